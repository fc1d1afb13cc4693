"""Makes the files of ``documents/`` and ``hostile/`` beside this script; they are checked in: no test needs this.

pip install odfpy pillow pypdf[crypto] python-docx reportlab && python tests/data/make.py
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHEN = (2026, 1, 1, 0, 0, 0)
PARAGRAPH = (
    "The bicycle workshop opens at nine and closes at five. A repair that is handed in before noon is ready on the "
    "next day, unless a part has to be ordered from the manufacturer."
)
SCANNED = ["Invoice number 4711", "Front wheel, 28 inches", "The total is 89 euros", "Payable within 14 days"]


def save(name: str, data: bytes | str, encoding: str = "utf-8") -> None:
    """Write one file."""
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))


def packed(parts: dict[str, bytes | str], *, stored: tuple[str, ...] = ()) -> bytes:
    """A zip file, the same on every run."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            method = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name, WHEN), content, method, 9)
    return out.getvalue()


def repacked(data: bytes) -> bytes:
    """What a library packed, with a fixed time."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return packed(parts, stored=("mimetype",))


def picture(width: int = 1000, height: int = 460, size: int = 44):
    """Lines of text as an image."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (width, height), 255)
    font = ImageFont.load_default(size=size)
    for number, line in enumerate(SCANNED):
        ImageDraw.Draw(image).text((60, 50 + number * 2 * size), line, fill=0, font=font)
    return image


def pictures() -> None:
    """One format each; two pages of a fax, and a photograph without text."""
    from PIL import Image

    image = picture()
    for name, options in {
        "scan.png": {"bits": 4, "optimize": True},
        "scan.jpg": {"quality": 60},
        "scan.webp": {"quality": 60},
        "scan.gif": {},
        "scan.tif": {"compression": "group4", "save_all": True, "append_images": [image.convert("1")]},
    }.items():
        out = io.BytesIO()
        source = image.convert("1") if name.endswith("tif") else image
        source.save(out, Image.registered_extensions()[Path(name).suffix], **options)
        save(f"documents/{name}", out.getvalue())
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(out, "PNG")
    save("documents/no-text.png", out.getvalue())


def pdfs() -> None:
    """A text with an outline, a scan, the first one locked, and a long one."""
    from pypdf import PdfReader, PdfWriter
    from reportlab.lib.utils import ImageReader, simpleSplit
    from reportlab.pdfgen import canvas

    def lines(page: canvas.Canvas, words: list[str], top: int = 780) -> None:
        for line in words:
            page.drawString(60, top, line)
            top -= 16

    def made(draw: object, title: str = "") -> bytes:
        out = io.BytesIO()
        page = canvas.Canvas(out, invariant=1)
        page.setTitle(title)
        draw(page)  # type: ignore[operator]
        page.save()
        return out.getvalue()

    def text(page: canvas.Canvas) -> None:
        page.bookmarkPage("repairs")
        page.addOutlineEntry("Repairs", "repairs", 0)
        page.bookmarkPage("hours")
        page.addOutlineEntry("Opening hours", "hours", 1)
        lines(page, ["Repairs", "", "Opening hours", *simpleSplit(PARAGRAPH, "Helvetica", 12, 440)])
        page.showPage()
        lines(page, ["The second page has a word that is cut at the end of a work-", "shop line."])

    def scan(page: canvas.Canvas) -> None:
        page.drawImage(ImageReader(picture()), 40, 500, 500, 230)
        page.showPage()
        lines(page, ["This page has a text layer, and needs nobody who recognises it."])

    def long(page: canvas.Canvas) -> None:
        for number in range(1, 301):
            page.drawString(60, 780, f"This is page {number} of a long manual.")
            page.showPage()

    plain = made(text, "The workshop's handbook")
    save("documents/text.pdf", plain)
    save("documents/scan.pdf", made(scan))
    save("documents/pages-300.pdf", made(long))
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(plain)))
    writer.encrypt("secret", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    save("documents/encrypted.pdf", out.getvalue())
    save("hostile/broken-xref.pdf", plain.replace(b"startxref", b"startxxxx").replace(b"xref\n0", b"xxxx\n7"))
    save("hostile/truncated.pdf", plain[:700])
    save("hostile/endless-objects.pdf", raw_pdf(b"<< /Type /Pages /Kids [2 0 R 2 0 R 3 0 R] /Count 99999999 >>"))
    huge = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 1000000000 1000000000] /Contents 4 0 R >>"
    loop = raw_pdf()
    prev = b"/Root 1 0 R /Prev %s >>" % loop.rpartition(b"startxref\n")[2].split()[0]
    save("hostile/table-loop.pdf", loop.replace(b"/Root 1 0 R >>", prev))
    save("hostile/huge-page.pdf", raw_pdf(page=huge))
    save("hostile/stream-bomb.pdf", raw_pdf(content=b"0 0 9 9 re f\n" * 4_000_000))
    save("hostile/polyglot.pdf", plain + packed({"[Content_Types].xml": "<Types/>", "a.js": "alert(1)"}))


def raw_pdf(
    pages: bytes = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    page: bytes = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R >>",
    content: bytes = b"0 0 99 99 re f",
) -> bytes:
    """A PDF of four objects, written by hand, so that it can be as wrong as is wanted."""
    stream = zlib.compress(content, 9)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        pages,
        page,
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"xref\n0 5\n0000000000 65535 f \n%strailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        len(out),
    )


def word() -> None:
    """A document with all that is kept, one that leads elsewhere, and what is made to do harm."""
    import docx
    from docx.oxml import OxmlElement

    document = docx.Document()
    document.core_properties.title = "Handbook of the workshop"
    document.add_heading("Repairs", 1)
    document.add_paragraph(PARAGRAPH)
    document.add_heading("Prices", 2)
    for item in ("Front wheel", "Rear wheel"):
        document.add_paragraph(item, style="List Bullet")
    for item in ("Bring the bicycle", "Wait for a call"):
        document.add_paragraph(item, style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, words in zip(table._cells, ["Part", "Price", "Chain", "25 euros"], strict=True):
        cell.text = words
    out = io.BytesIO()
    picture(200, 100, 12).save(out, "PNG")
    shape = document.add_picture(out)
    shape._inline.docPr.set("descr", "A bicycle on its stand")
    deleted = OxmlElement("w:del")
    run = OxmlElement("w:r")
    words = OxmlElement("w:delText")
    words.text = "what was deleted"
    run.append(words)
    deleted.append(run)
    document.add_paragraph("What was left.")._p.append(deleted)
    out = io.BytesIO()
    document.save(out)
    save("documents/handbook.docx", repacked(out.getvalue()))
    save("hostile/truncated.docx", repacked(out.getvalue())[:4000])

    types = '<Types><Override ContentType="application/x.wordprocessingml.document.main+xml"/></Types>'
    body = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body/></w:document>'

    def parts(content: bytes | str) -> dict[str, bytes | str]:
        return {"[Content_Types].xml": types, "word/document.xml": content}

    save("hostile/bomb.docx", packed(parts(b" " * 140_000_000)))
    save("hostile/ratio.docx", packed(parts(body.encode() + b" " * 8_000_000)))
    save("hostile/laughs.docx", packed(parts(laughs() + body.replace("<w:body/>", "<w:body>&l9;</w:body>"))))
    entity = '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    save("hostile/entity.docx", packed(parts(entity + body.replace("<w:body/>", "<w:body>&e;</w:body>"))))
    save("hostile/no-document.docx", packed({"readme.txt": "An archive, and no document."}))
    lying = packed(parts(body.encode() + b" " * 100_000))
    size = struct.pack("<I", len(body) + 100_000)
    save("hostile/lying-size.docx", lying.replace(size, struct.pack("<I", 64)))
    deep = "<w:tbl><w:tr><w:tc>" * 5000
    save("hostile/deep.docx", packed(parts(body.replace("<w:body/>", f"<w:body>{deep}"))))


def laughs() -> str:
    """A document type that makes three lines a billion words."""
    names = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE l [<!ENTITY l0 "ha">{names}]>'


def open_document() -> None:
    """The same in ODT."""
    from odf import dc, draw, opendocument, svg
    from odf.table import Table, TableCell, TableRow
    from odf.text import H, List, ListItem, P, S, Span

    document = opendocument.OpenDocumentText()
    document.meta.addElement(dc.Title(text="Handbook of the workshop"))
    document.text.addElement(H(outlinelevel=1, text="Repairs"))
    document.text.addElement(P(text=PARAGRAPH))
    document.text.addElement(H(outlinelevel=2, text="Prices"))
    items = List()
    for words in ("Front wheel", "Rear wheel"):
        item = ListItem()
        item.addElement(P(text=words))
        items.addElement(item)
    document.text.addElement(items)
    table = Table(name="Prices")
    for row in (("Part", "Price"), ("Chain", "25 euros")):
        line = TableRow()
        for words in row:
            cell = TableCell()
            cell.addElement(P(text=words))
            line.addElement(cell)
        table.addElement(line)
    document.text.addElement(table)
    frame = draw.Frame(width="2cm", height="1cm")
    frame.addElement(svg.Desc(text="A bicycle on its stand"))
    last = P(text="What was")
    last.addElement(S())
    last.addElement(Span(text="left."))
    last.addElement(frame)
    document.text.addElement(last)
    out = io.BytesIO()
    document.write(out)
    sound = repacked(out.getvalue())
    save("documents/handbook.odt", sound)
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        content = archive.read("content.xml").decode()
    kind = "application/vnd.oasis.opendocument.text"
    head, _, rest = content.partition("?>")
    laughing = f"{head}?>{laughs()}{rest.replace('What was', '&l9;')}"
    save("hostile/laughs.odt", packed({"mimetype": kind, "content.xml": laughing}))
    manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>"
    locked = {"mimetype": kind, "META-INF/manifest.xml": manifest, "content.xml": "locked"}
    save("documents/encrypted.odt", packed(locked))


def texts() -> None:
    """Encodings, tables, Markdown, RTF."""
    german = "Die Werkstatt öffnet um neun Uhr. Größere Reparaturen dauern länger, außer für Räder aus Köln.\n"
    japanese = "自転車の修理は九時から受け付けます。部品の注文には一週間かかります。\n"
    save("documents/latin-1.txt", german, "latin-1")
    save("documents/utf-8-bom.txt", "\ufeff" + german)
    save("documents/utf-16.txt", "\ufeff" + german + japanese, "utf-16-le")
    save("documents/utf-16-be-no-mark.txt", german, "utf-16-be")
    save("documents/shift-jis.txt", japanese * 3, "cp932")
    save("documents/koi8-r.txt", "Мастерская открывается в девять часов. Ремонт занимает один день.\n", "koi8-r")
    save("documents/prices.csv", 'Part;Price;Note\nChain;25,00;"fits; most | bicycles"\nBell;9,00;\n')
    save("documents/notes.md", f"---\ntitle: Notes\ntags: [a]\n---\n\n# Repairs\n\n{PARAGRAPH}\n\n- one\n- two\n")
    save(
        "documents/letter.rtf",
        r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\f0 Dear customer,\par Your bicycle from K\'f6ln is \b ready\b0"
        r".\par\trowd\cell Chain\cell 25 euros\cell\row # no heading\par \u26085?\u26412?{\*\generator nobody;}}",
    )
    save(
        "documents/page.html",
        "<!doctype html><html><head><title>The workshop</title><style>p{}</style></head><body><nav>Menu</nav>"
        f"<main><h1>Repairs</h1><p>{PARAGRAPH}</p></main><footer>Imprint</footer></body></html>",
    )


def other_hostile() -> None:
    """What is not what it says, or nothing at all."""
    save("hostile/empty.pdf", b"")
    save("hostile/blank.txt", b" \r\n\x00\n")
    save("hostile/program.pdf", b"MZ\x90\x00\x03\x00\x00\x00\x04\x00" + bytes(range(256)) * 8)
    save(
        "hostile/page.txt", "<!DOCTYPE html><html><body><script>alert(1)</script><p>Words of a page.</p></body></html>"
    )
    save("hostile/old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(64)
    save("documents/encrypted.docx", locked)
    save(
        "hostile/nulls.txt",
        b"Words with \x00 nothing between them, and a bell \x07, and more words until the end.\n" * 3,
    )
    save(
        "hostile/surrogates.txt",
        b"\xff\xfe" + "before ".encode("utf-16-le") + b"\x00\xd8" + " after".encode("utf-16-le"),
    )
    save(
        "hostile/surrogates-utf-8.txt",
        "höher, größer, schöner ".encode() + b"\xed\xa0\x80" + " später, ähnlich".encode(),
    )
    chunk = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    header = b"IHDR" + chunk
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + zlib.compress(bytes(1000))
    png += struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    save("hostile/pixels.png", png)
    sound = (HERE / "documents" / "scan.png").read_bytes()
    save("hostile/truncated.png", sound[: len(sound) // 2])
    save("hostile/polyglot.gif", b"GIF89a/*" + bytes(8) + b"*/=1;alert(1)//")
    save("hostile/loop.tif", b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 0) + struct.pack("<I", 8))
    save("hostile/deep.rtf", "{\\rtf1 " + "{\\b " * 10_000 + "words")


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    for make in (texts, pictures, pdfs, word, open_document, other_hostile):
        make()
    total = sum(path.stat().st_size for path in HERE.glob("*/*"))
    print(f"{total} bytes")

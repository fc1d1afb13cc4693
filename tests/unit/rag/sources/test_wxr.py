"""An export's public things are read as they are, and a hostile file does nothing."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from django_wp_ai.rag.sources import wxr, wxr_items
from django_wp_ai.rag.sources.base import SourceDocument, SourceFailed

HEAD = """<?xml version="1.0" encoding="UTF-8" ?>
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/"
 xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:wp="http://wordpress.org/export/1.2/">
<channel><title>Shop</title><link>https://example.org</link><language>en-GB</language><wp:wxr_version>1.2</wp:wxr_version>
"""
TAIL = "</channel></rss>"


def item(number: int | str = 1, kind: str = "post", status: str = "publish", more: str = "", content: str = "") -> str:
    return f"""<item><title><![CDATA[Thing {number} &amp; <b>more</b>]]></title><link>https://example.org/{number}/</link>
<content:encoded><![CDATA[{content or f"<p>Content of {number}</p>"}]]></content:encoded>
<excerpt:encoded><![CDATA[the excerpt]]></excerpt:encoded>
<wp:post_id>{number}</wp:post_id><wp:post_type><![CDATA[{kind}]]></wp:post_type>
<wp:status><![CDATA[{status}]]></wp:status><wp:post_modified_gmt>2026-01-02 03:04:05</wp:post_modified_gmt>
<wp:post_date_gmt>2026-01-01 00:00:00</wp:post_date_gmt>{more}
<wp:postmeta><wp:meta_key>_secret</wp:meta_key><wp:meta_value>secret</wp:meta_value></wp:postmeta>
<wp:comment><wp:comment_content>secret</wp:comment_content></wp:comment></item>
"""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return tmp_path / "export.xml"


def read(export: Path, *items: str, **options: list[str]) -> list[SourceDocument]:
    export.write_bytes((HEAD + "".join(items) + TAIL).encode("utf-8", "surrogatepass"))
    return list(wxr.read(export, **options))


def test_a_post_comes_with_all_that_the_export_tells(export: Path) -> None:
    terms = (
        '<category domain="category" nicename="news"><![CDATA[News &amp; more]]></category>'
        '<category domain="post_tag" nicename="shoes"><![CDATA[Shoes]]></category>'
        '<category domain="post_tag" nicename="shoes"><![CDATA[Shoes]]></category>'
        '<category domain="language" nicename="de"><![CDATA[Deutsch]]></category>'
    )
    assert read(export, item(7, more=terms)) == [
        SourceDocument(
            source_id="post-7",
            title="Thing 7 & more",
            url="https://example.org/7/",
            html="<p>Content of 7</p>",
            mime="text/html",
            post_type="post",
            language="de",
            tags=("News & more", "Shoes"),
            modified_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )
    ]


def test_without_a_language_of_its_own_a_post_has_the_sites(export: Path) -> None:
    assert read(export, item())[0].language == "en"


@pytest.mark.parametrize("status", ["draft", "private", "pending", "future", "trash", "auto-draft", "inherit", ""])
def test_what_is_not_published_is_left_out(export: Path, status: str) -> None:
    assert [found.source_id for found in read(export, item(1, status=status), item(2))] == ["post-2"]


def test_what_has_a_password_is_left_out(export: Path) -> None:
    locked = "<wp:post_password><![CDATA[x]]></wp:post_password>"
    free = "<wp:post_password><![CDATA[]]></wp:post_password>"
    assert [found.source_id for found in read(export, item(1, more=locked), item(2, more=free))] == ["post-2"]


def test_post_types_are_chosen(export: Path) -> None:
    items = [item(1), item(2, "page"), item(3, "book"), item(4, "nav_menu_item")]
    assert [found.source_id for found in read(export, *items)] == ["post-1", "page-2"]
    assert [found.source_id for found in read(export, *items, post_types=["book"])] == ["book-3"]


def test_attachments_go_by_what_they_belong_to(export: Path) -> None:
    def attachment(number: int, parent: int) -> str:
        url = f"https://example.org/wp-content/uploads/price%20list-{number}.pdf"
        more = f"<wp:post_parent>{parent}</wp:post_parent><wp:attachment_url>{url}</wp:attachment_url>"
        return item(number, "attachment", "inherit", more)

    found = read(export, attachment(1, 9), attachment(2, 0), attachment(3, 8), item(8), item(9, status="private"))
    assert [one.source_id for one in found] == ["attachment-2", "attachment-3", "post-8"]
    assert (found[0].filename, found[0].mime, found[0].html) == ("price list-2.pdf", "application/pdf", "")
    assert found[0].url == "https://example.org/wp-content/uploads/price%20list-2.pdf"
    assert found[0].metadata == {"page_url": "https://example.org/2/"}


def test_pictures_are_left_out(export: Path) -> None:
    more = "<wp:attachment_url>https://example.org/a.png</wp:attachment_url>"
    assert read(export, item(1, "attachment", "inherit", more), item(2, "attachment", "inherit")) == []


def test_long_fields_are_cut_and_many_terms_dropped(export: Path) -> None:
    terms = "".join(f'<category domain="post_tag" nicename="t">tag {number}</category>' for number in range(1500))
    (found,) = read(export, item(1, more=terms).replace("Thing", "T" * 20_000))
    assert len(found.title) <= 10_000
    assert len(found.tags) == 1000


def test_comments_and_meta_are_not_read(export: Path) -> None:
    assert "secret" not in repr(read(export, item()))


def test_odd_values_do_no_harm(export: Path) -> None:
    odd = (
        item("x") + item("-5") + item("٣") + item(4).replace("2026-01-0", "0000-00-0").replace("https:", "javascript:")
    )
    (found,) = read(export, odd)
    assert (found.source_id, found.url, found.modified_at) == ("post-4", "", None)


def test_characters_that_no_xml_may_have_are_dropped(export: Path) -> None:
    assert read(export, item(content="a\x0bb\x00c\x1bd"))[0].html == "abcd"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_older_exports_are_read(export: Path, version: str) -> None:
    text = (HEAD + item() + TAIL).replace("export/1.2/", f"export/{version}/")
    export.write_text(text)
    assert len(list(wxr.read(export))) == 1


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE rss SYSTEM "http://127.0.0.1:1/x.dtd">',
        "<!DOCTYPE rss>",
    ],
)
def test_declared_entities_are_refused(export: Path, declaration: str) -> None:
    export.write_text((HEAD + item() + TAIL).replace("<rss", declaration + "<rss", 1))
    with pytest.raises(SourceFailed) as refused:
        wxr.read(export)
    assert refused.value.reason == "not_wxr"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"no xml", "damaged"),
        (b"<html></html>", "not_wxr"),
        (b"<rss><channel><item><title>feed</title></item></channel></rss>", "not_wxr"),
        (b'<?xml version="1.0" encoding="no-such"?><rss/>', "damaged"),
        ((HEAD + item())[:-200].encode(), "damaged"),
        ((HEAD + "<item>&undefined;</item>" + TAIL).encode(), "damaged"),
        ((HEAD + item() + TAIL).encode("utf-16"), "not_wxr"),
        (b"\x00" * 1000, "damaged"),
        (b"<a>" * 50_000, "not_wxr"),
        ((HEAD + "<a>" * 50_000).encode(), "damaged"),
    ],
)
def test_what_is_no_whole_export_is_refused_before_anything_is_read(export: Path, content: bytes, reason: str) -> None:
    export.write_bytes(content)
    with pytest.raises(SourceFailed) as refused:
        wxr.read(export)
    assert refused.value.reason == reason


def test_a_file_that_is_not_there_is_told(export: Path) -> None:
    with pytest.raises(SourceFailed) as refused:
        wxr.read(export)
    assert refused.value.reason == "no_file"


def test_an_item_too_large_is_left_out_and_told(
    export: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wxr_items, "MAX_CONTENT_CHARS", 1000)
    found = read(export, item(1), item(2, content="x" * 1001), item(3))
    assert [one.source_id for one in found] == ["post-1", "post-3"]
    assert "post 2 is too large" in caplog.text


def test_memory_does_not_grow_with_the_file(export: Path) -> None:
    text = "x" * 20_000
    with export.open("w") as opened:
        opened.write(HEAD)
        opened.writelines(item(number, content=text) for number in range(500))
        opened.write(TAIL)
    tracemalloc.start()
    assert sum(1 for _ in wxr.read(export)) == 500
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < export.stat().st_size / 5

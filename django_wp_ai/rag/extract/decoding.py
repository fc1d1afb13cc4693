"""Bytes as text that a database takes: every encoding that sites have, no NULs, no halves of characters."""

from __future__ import annotations

import re

from django_wp_ai.rag.extract.sniffing import wide_encoding

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_GUESSED_FROM = 64 * 1024
#: What the web had before UTF-8; among all that there are, a short text looks like many things.
_GUESSES = [
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("cp932", "euc_jp", "iso2022_jp", "gb18030", "big5", "cp949"),
]
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([a-z0-9._:-]{2,40})", re.IGNORECASE)
_NEWLINES = re.compile(r"\r\n?|[\u2028\u2029\x85]")
#: Controls but tab and newline, halves of surrogate pairs, marks of order, invisible hyphens, what is no character.
_UNWANTED = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\xad\ud800-\udfff\ufeff\ufffe\uffff]")


def decode(data: bytes, *, mime: str = "") -> str:
    """By the mark of order, as UTF-8, by what the type or the page says of itself, by a guess; never fails."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    if encoding := wide_encoding(data[:4096]):
        return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_other(data, mime)


def clean(text: str) -> str:
    """One sort of newline, and nothing that a database refuses or a reader can't see."""
    return _UNWANTED.sub("", _NEWLINES.sub("\n", text).replace("\f", "\n").replace("\v", "\n")).replace("\xa0", " ")


def _decode_other(data: bytes, mime: str) -> str:
    told = _CHARSET.search(mime.encode("ascii", "ignore")) or _CHARSET.search(data[:2048])
    if told and (text := _decoded(data, told[1].decode("ascii"))) is not None:
        return text
    mended = data.decode("utf-8", errors="replace")
    wrong = mended.count("\ufffd")
    if sum(character > "\x7f" for character in mended) >= 2 * wrong:
        return mended  # UTF-8 with a few bytes that were lost
    guess = _guess(data[:_GUESSED_FROM])
    return data.decode(guess or "cp1252", errors="replace")


def _decoded(data: bytes, encoding: str) -> str | None:
    if encoding.lower() in {"iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii"}:
        encoding = "cp1252"  # what browsers take these for
    try:
        return data.decode(encoding, errors="replace") if encoding.lower() not in {"utf-8", "utf8"} else None
    except (LookupError, ValueError):
        return None


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=_GUESSES).best()
    # A short Western text is the same in several encodings; then it is the usual one.
    return best.encoding if best is not None and "cp1252" not in best.could_be_from_charset else ""

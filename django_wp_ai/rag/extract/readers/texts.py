"""Plain text, Markdown, CSV and HTML, in whatever encoding."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from django_wp_ai.rag.extract import html, sniffing
from django_wp_ai.rag.extract.decoding import clean, decode
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.markdown import Enough, Writer
from django_wp_ai.rag.extract.result import Extracted, ExtractionFailed

_DELIMITERS = ",;\t|"
_FIRST_LINES = 20
_FRONT_MATTER = re.compile(r"\A\s*---\n(.{0,4000}?)\n---\n", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*[\"']?(.+?)[\"']?[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


def read(data: bytes, *, kind: str, mime: str, limits: Limits) -> Extracted:
    """Text as it is written; a table as a Markdown table; a page by ``html.read``."""
    text = decode(data, mime=mime)
    if kind == sniffing.HTML:
        page = html.read(text, max_chars=limits.extract_max_chars)
        return Extracted(text=page.text, title=page.title, mime=kind, truncated=page.truncated)
    text = clean(text)
    if kind == sniffing.CSV:
        return _table(text, limits.extract_max_chars)
    title = ""
    if kind == sniffing.MARKDOWN:
        text, title = _without_front_matter(text)
    return Extracted(text=text.strip(), title=title, mime=kind)


def _without_front_matter(text: str) -> tuple[str, str]:
    front = _FRONT_MATTER.match(text)
    told = _TITLE.search(front[1]) if front else None
    body = text[front.end() :] if front else text
    heading = _HEADING.search(body[:4000])
    found = told or heading
    return body, found[1].strip() if found else ""


def _table(text: str, max_chars: int) -> Extracted:
    delimiter = _delimiter(text)
    rows: list[list[str]] = []
    size, truncated = 0, False
    try:
        for row in csv.reader(io.StringIO(text.strip("\n")), delimiter=delimiter):
            cells = [" ".join(cell.split()).replace("|", "\\|") for cell in row]
            size += sum(map(len, cells)) + (3 * len(cells) + 2 if rows else 9 * len(cells) + 4)
            if size > max_chars:
                truncated = True
                break
            rows.append(cells)
    except csv.Error as error:
        raise ExtractionFailed("damaged", "A field of the table is too long, or has no end.") from error
    writer = Writer(2 * max_chars)
    try:
        writer.table(rows)
    except Enough:
        truncated = True
    return Extracted(text=writer.text(), mime=sniffing.CSV, truncated=truncated)


def _delimiter(text: str) -> str:
    """The character that most of the first lines have, and equally often."""
    lines = [line for line in text[:20_000].split("\n")[:_FIRST_LINES] if line.strip()]

    def evenness(delimiter: str) -> tuple[int, int]:
        counts = Counter(count for line in lines if (count := line.count(delimiter)))
        ((number, times),) = counts.most_common(1) or [(0, 0)]
        return times, number

    return max(_DELIMITERS, key=evenness)

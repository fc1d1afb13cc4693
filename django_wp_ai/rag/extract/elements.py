"""What becomes of each element of a page: kept as Markdown, kept as words, or left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django_wp_ai.rag.extract.inline import Inline
from django_wp_ai.rag.extract.markdown import MAX_PREFIXES, Prefix, Writer, image, inline_code
from django_wp_ai.rag.extract.result import ExtractionFailed
from django_wp_ai.rag.extract.tables import Table
from django_wp_ai.rag.extract.tags import BLOCKS, PARAGRAPHS, is_hidden, language_of

MAX_DEPTH = 1000
ENOUGH_TITLE = 10_000  # characters, blanks included; what is kept of it is far less


class Elements:
    """Takes the parser's events and writes blocks."""

    def __init__(self, max_chars: int) -> None:
        self.title = ""
        self._tag = ""
        self._attributes: Mapping[str, str] = {}
        self._writer = Writer(max_chars)
        self._inline = Inline()
        self._table = Table()
        self._depth = self._hidden = 0
        self._pending = 0  # characters in the cells of the table under way
        self._in_title = self._has_title = False
        self._language = ""
        self._lists: list[int | None] = []  # the next number; None: a list without
        self._mains: list[tuple[int, int]] = []

    # The parser's events

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins; the parser calls this for those that HTML leaves out, too."""
        self._depth += 1
        self._tag, self._attributes = tag, attributes
        if self._depth > MAX_DEPTH:
            raise ExtractionFailed("damaged", f"The page has more than {MAX_DEPTH} elements in each other.")
        if self._hidden or is_hidden(tag, attributes):
            self._hidden += 1
            return
        if begin := _BEGIN.get(tag):
            begin(self)
        elif tag in BLOCKS:
            self._flush()
        if tag in PARAGRAPHS:
            self._inline.tight += 1

    def end(self, tag: str) -> None:
        """An element ends."""
        self._depth -= 1
        self._tag = tag
        if self._hidden:
            self._hidden -= 1
            return
        if finish := _END.get(tag):
            finish(self)
        elif tag in BLOCKS:
            self._flush()
        if tag in PARAGRAPHS:
            self._inline.tight = max(0, self._inline.tight - 1)

    def data(self, text: str) -> None:
        """Text; the parser may give it in pieces."""
        if self._in_title:
            if not self._has_title and len(self.title) < ENOUGH_TITLE:
                self.title += text[:ENOUGH_TITLE]
        elif not self._hidden:
            self._inline.words.append(text)

    def comment(self, text: str) -> None:
        """Nothing: WordPress's blocks are written between comments."""

    def close(self) -> None:
        """Nothing: ``finish`` does it, also for a text that had no element."""

    # What comes out

    def finish(self) -> None:
        """Write what is under way."""
        self._flush()

    def text(self) -> str:
        """The Markdown: of the page's main part, where it names exactly one."""
        self.title = " ".join(self.title.split())
        if len(self._mains) == 1:
            start, end = self._mains[0]
            main = "".join(self._writer.blocks[start:end]).strip("\n")
            if main:
                return main
        return self._writer.text()

    def _flush(self) -> None:
        """The block under way ends here."""
        for words in self._inline.paragraphs():
            self._write(words)

    def _write(self, words: str) -> None:
        if self._table.cell is not None:
            self._table.cell.append(words.replace("\n", " "))
        else:
            self._writer.paragraph(words)

    # Elements that are kept

    def _break(self) -> None:
        self._inline.line_break()

    def _image(self) -> None:
        self._inline.mark(image(self._attributes.get("alt") or ""))

    def _end_heading(self) -> None:
        words = self._inline.line()
        if words and self._table.cell is None:
            self._writer.heading(int(self._tag[1]), words)
        elif words:
            self._write(words)

    def _begin_code(self) -> None:
        if self._inline.pre:
            self._language = self._language or language_of(self._attributes)
        else:
            self._inline.begin_code()

    def _end_code(self) -> None:
        self._inline.end_code()

    def _begin_pre(self) -> None:
        if not self._inline.pre:
            self._flush()
            is_verse = "wp-block-verse" in (self._attributes.get("class") or "")
            self._language = "verse" if is_verse else language_of(self._attributes)
        self._inline.pre += 1

    def _end_pre(self) -> None:
        text = self._inline.verbatim()
        self._inline.pre = max(0, self._inline.pre - 1)
        if not text.strip():
            return
        if self._table.cell is not None:
            self._table.cell.append(inline_code(" ".join(text.split())))
        elif self._language == "verse":
            self._writer.paragraph(text.strip())
        else:
            self._writer.code(text, self._language)

    def _begin_list(self) -> None:
        self._flush()
        start = self._attributes.get("start") or ""
        number = int(start) if start.isdecimal() and len(start) < 7 else 1
        self._lists.append(number if self._tag == "ol" else None)

    def _end_list(self) -> None:
        self._flush()
        if self._lists:
            self._lists.pop()

    def _begin_item(self) -> None:
        self._flush()
        mark = "- "
        if self._lists and (number := self._lists[-1]) is not None:
            self._lists[-1] = number + 1
            mark = f"{number}. "
        if len(self._writer.prefixes) >= MAX_PREFIXES:
            mark = ""
        self._writer.prefixes.append(Prefix(mark, " " * len(mark), is_item=True))

    def _begin_quote(self) -> None:
        self._flush()
        mark = "> " if len(self._writer.prefixes) < MAX_PREFIXES else ""
        self._writer.prefixes.append(Prefix(mark, mark))

    def _end_prefixed(self) -> None:
        self._flush()
        if self._writer.prefixes:
            self._writer.prefixes.pop()

    # Tables

    def _begin_table(self) -> None:
        self._flush()
        self._table.depth += 1

    def _end_table(self) -> None:
        self._flush()
        if rows := self._table.end():
            self._writer.size -= self._pending
            self._pending = 0
            self._writer.table(rows)

    def _begin_row(self) -> None:
        self._flush()
        self._table.begin_row()

    def _begin_cell(self) -> None:
        self._flush()
        self._table.begin_cell(self._attributes.get("colspan") or "1")

    def _end_cell(self) -> None:
        self._flush()
        self._pending += (size := self._table.end_cell())
        self._writer.count(size)

    # The page

    def _begin_title(self) -> None:
        self._in_title = True

    def _end_title(self) -> None:
        self._in_title = False
        self._has_title = bool(self.title)

    def _begin_main(self) -> None:
        self._flush()
        self._mains.append((len(self._writer.blocks), len(self._writer.blocks)))

    def _end_main(self) -> None:
        self._flush()
        if self._mains:
            self._mains[-1] = (self._mains[-1][0], len(self._writer.blocks))


Handler = Callable[[Elements], None]
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")

_BEGIN: dict[str, Handler] = {
    **dict.fromkeys((*_HEADINGS, "p", "dt", "dd", "figcaption", "summary", "caption"), Elements._flush),
    **dict.fromkeys(("ul", "ol", "menu"), Elements._begin_list),
    **dict.fromkeys(("code", "kbd", "samp"), Elements._begin_code),
    **dict.fromkeys(("td", "th"), Elements._begin_cell),
    "li": Elements._begin_item,
    "blockquote": Elements._begin_quote,
    "pre": Elements._begin_pre,
    "table": Elements._begin_table,
    "tr": Elements._begin_row,
    "br": Elements._break,
    "img": Elements._image,
    "main": Elements._begin_main,
    "title": Elements._begin_title,
}
_END: dict[str, Handler] = {
    **dict.fromkeys(_HEADINGS, Elements._end_heading),
    **dict.fromkeys(("p", "dt", "dd", "figcaption", "summary", "caption", "tr"), Elements._flush),
    **dict.fromkeys(("ul", "ol", "menu"), Elements._end_list),
    **dict.fromkeys(("code", "kbd", "samp"), Elements._end_code),
    **dict.fromkeys(("td", "th"), Elements._end_cell),
    **dict.fromkeys(("li", "blockquote"), Elements._end_prefixed),
    "pre": Elements._end_pre,
    "table": Elements._end_table,
    "main": Elements._end_main,
    "title": Elements._end_title,
}

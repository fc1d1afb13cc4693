"""The items of a WordPress export, one at a time, from a stream: what is not asked for is never kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final, NoReturn
from xml.parsers import expat

from django_wp_ai.rag.sources.base import SourceFailed

MAX_CONTENT_CHARS: Final = 32 * 1024 * 1024
MAX_FIELD_CHARS: Final = 10_000  # of a title, a link, a name; the rest is dropped
MAX_TERMS: Final = 1000
_PIECE_BYTES: Final = 64 * 1024
#: WordPress writes what authors pasted, also characters that no XML may have.
_NOT_XML: Final = bytes({*range(32)} - {9, 10, 13})
_WORDPRESS: Final = "http://wordpress.org/export/"
_KEPT: Final = frozenset(
    {"title", "link", "post_id", "post_type", "post_parent", "post_password", "status", "attachment_url"}
    | {"post_date_gmt", "post_modified_gmt", "category", "content"}
)


@dataclass(slots=True)
class Item:
    """The texts of an item by element; ``terms`` are its categories as (taxonomy, slug, name)."""

    language: str = ""  # of the whole site
    texts: dict[str, str] = field(default_factory=dict)
    terms: list[tuple[str, str, str]] = field(default_factory=list)
    is_cut: bool = False  # its content was too large, and is not whole


def items(opened: IO[bytes]) -> Iterator[Item]:
    """The items in their order; raises SourceFailed for what is no export, and where the file is damaged."""
    reader = _Reader()
    first = True
    while True:
        piece = opened.read(_PIECE_BYTES)
        if first and piece.startswith((b"\xfe\xff", b"\xff\xfe")):
            raise SourceFailed("The export is not in UTF-8.", reason="not_wxr")
        first = False
        try:
            reader.parser.Parse(piece.translate(None, _NOT_XML), not piece)
        except (expat.ExpatError, LookupError, ValueError):  # the last two: an encoding that expat doesn't know
            line = reader.parser.CurrentLineNumber
            raise SourceFailed(f"The export is damaged in line {line}.", reason="damaged") from None
        yield from reader.done
        reader.done.clear()
        if not piece:
            break
    if not reader.is_export:
        raise SourceFailed("The file is no WordPress export.", reason="not_wxr")


class _Reader:
    """Follows rss / channel / item / element, and skips what stands deeper: comments and post meta."""

    def __init__(self) -> None:
        self.done: list[Item] = []
        self.is_export = False
        self._language = ""
        self._depth = 0
        self._item: Item | None = None
        self._name = ""  # of the element whose text is kept
        self._text: list[str] = []
        self._chars = 0
        self._attributes: dict[str, str] = {}
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse  # no entities, nothing to fetch
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def _refuse(self, *_declaration: object) -> NoReturn:
        raise SourceFailed("The export declares a document type, which WordPress never does.", reason="not_wxr")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        space, _, local = name.rpartition(" ")
        if self._depth == 1 and name != "rss":
            raise SourceFailed("The file is no WordPress export.", reason="not_wxr")
        if self._depth == 3:
            self.is_export = self.is_export or (space.startswith(_WORDPRESS) and local == "wxr_version")
            self._item = Item() if name == "item" else None
            self._name = "language" if name == "language" else ""
        elif self._depth == 4 and self._item is not None:
            known = not space or space.startswith(_WORDPRESS)
            local = "content" if (space, local) == ("http://purl.org/rss/1.0/modules/content/", "encoded") else local
            self._name = local if local in _KEPT and (known or local == "content") else ""
            self._attributes = attributes
        else:
            return
        self._text.clear()
        self._chars = 0

    def _characters(self, text: str) -> None:
        if not self._name or self._depth > 4:
            return
        self._chars += len(text)
        if self._chars <= (MAX_CONTENT_CHARS if self._name == "content" else MAX_FIELD_CHARS):
            self._text.append(text)
        elif self._name == "content" and self._item is not None:
            self._item.is_cut = True

    def _end(self, _name: str) -> None:
        if self._depth == 3 and self._name == "language":
            self._language = "".join(self._text).strip()
        elif self._depth == 3 and self._item is not None:
            self._item.language = self._language
            self.done.append(self._item)
            self._item = None
        elif self._depth == 4 and self._item is not None and self._name:
            self._keep(self._item, "".join(self._text))
        if self._depth <= 4:
            self._name = ""
            self._text.clear()
        self._depth -= 1

    def _keep(self, item: Item, text: str) -> None:
        if self._name == "category" and len(item.terms) < MAX_TERMS:
            item.terms.append((self._attributes.get("domain", ""), self._attributes.get("nicename", ""), text))
        elif self._name != "category":
            item.texts.setdefault(self._name, text)

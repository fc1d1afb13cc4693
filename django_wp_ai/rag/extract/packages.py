"""Zip files in which documents are packed, opened only when what they unpack to is bounded; and the XML in them."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from typing import NoReturn
from xml.parsers import expat

from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.result import ExtractionFailed

MAX_PARTS = 10_000
MAX_DEPTH = 400
#: Below so much a high ratio is only a small file.
_RATIO_FROM = 4 * 1024 * 1024
_IS_ENCRYPTED = 0x1


def _ignore(*_: object) -> None:
    """Of what nobody asked for."""


class Package:
    """A zip file's parts by name. What a part says to unpack to is a bound that ``zipfile`` holds."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise ExtractionFailed("damaged") from error
        self.parts = {part.filename: part for part in self._zip.infolist()}
        unpacked = sum(part.file_size for part in self._zip.infolist())
        if len(self._zip.infolist()) > MAX_PARTS or unpacked > limits.extract_max_unpacked_bytes:
            raise ExtractionFailed("too_large", "The file unpacks to more than is read here.")
        if unpacked > _RATIO_FROM and unpacked > limits.extract_max_ratio * len(data):
            raise ExtractionFailed(
                "too_large", f"The file unpacks to more than {limits.extract_max_ratio} times its size."
            )
        if any(part.flag_bits & _IS_ENCRYPTED for part in self.parts.values()):
            raise ExtractionFailed("encrypted")

    def __contains__(self, name: str) -> bool:
        return name in self.parts

    def part(self, name: str) -> bytes:
        """A part's bytes; ``b""`` where there is none."""
        if name not in self.parts:
            return b""
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError) as error:
            raise ExtractionFailed("damaged") from error


def walk(
    xml: bytes,
    *,
    start: Callable[[str, dict[str, str]], None] = _ignore,
    end: Callable[[str], None] = _ignore,
    text: Callable[[str], None] = _ignore,
) -> None:
    """Go through XML; names are ``namespace name``, with a blank. Nothing is fetched and no entity is declared.

    Raises ``ExtractionFailed`` (``damaged``) for a document type, deep nesting and broken XML.
    """
    depth = 0

    def _start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise ExtractionFailed("damaged", f"The document has more than {MAX_DEPTH} elements in each other.")
        start(name, attributes)

    def _end(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = _start
    parser.EndElementHandler = _end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, UnicodeError, LookupError, ValueError) as error:
        raise ExtractionFailed("damaged") from error


def words_of(xml: bytes, name: str) -> str:
    """The text of the first element of this name (``namespace name``), empty when there is none; raises ``damaged``."""
    found: list[str] = []
    inside = ended = False

    def start(begun: str, _: dict[str, str]) -> None:
        nonlocal inside
        inside = inside or (begun == name and not ended)

    def end(closed: str) -> None:
        nonlocal inside, ended
        if closed == name:
            inside, ended = False, True

    if xml:
        walk(xml, start=start, end=end, text=lambda data: found.append(data) if inside else None)
    return " ".join("".join(found).split())


def _refuse(*_: object) -> NoReturn:
    raise ExtractionFailed("damaged", "The document declares a document type, which could declare anything.")

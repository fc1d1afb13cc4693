"""The words of the block under way, put together without shortcodes and needless blanks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from django_wp_ai.rag.extract import shortcodes
from django_wp_ai.rag.extract.markdown import inline_code

_GAP = re.compile(r"\n[^\S\n]*\n\s*")
_BLANKS = re.compile(r"[^\S\x0c\x0b]+")
_BREAK, _PARAGRAPH = "\x0b", "\x0c"  # none comes in from outside


@dataclass(slots=True)
class Inline:
    """``tight`` counts elements around that are one paragraph, ``pre`` those in which blanks count."""

    tight: int = 0
    pre: int = 0
    is_code: bool = False
    words: list[str] = field(default_factory=list)  # since the last mark-up that is kept
    _parts: list[str] = field(default_factory=list)

    def mark(self, markup: str) -> None:
        """Put in what is Markdown already."""
        if markup:
            self._settle()
            self._parts.append(markup)

    def line_break(self) -> None:
        """A new line, of the text itself."""
        if self.is_code:
            self.words.append(" ")
        else:
            self.mark("\n" if self.pre else _BREAK)

    def begin_code(self) -> None:
        """Words that are code follow."""
        self._settle()
        self.is_code = True

    def end_code(self) -> None:
        """They end."""
        if self.is_code and not self.pre:
            words = "".join(self.words)
            self.words.clear()
            self.is_code = False
            self.mark(inline_code(" ".join(words.split())))

    def paragraphs(self) -> Iterator[str]:
        """Take the block: as one paragraph, or as several where the source has empty lines."""
        for text in self._take().split(_PARAGRAPH):
            if words := _trim(text):
                yield words

    def line(self) -> str:
        """Take the block as one paragraph."""
        return _trim(self._take().replace(_PARAGRAPH, " "))

    def verbatim(self) -> str:
        """Take the block with its blanks."""
        return self._take().replace(_BREAK, "\n").replace(_PARAGRAPH, "\n").strip("\n")

    def _settle(self) -> None:
        text = "".join(self.words)
        self.words.clear()
        if not text or self.pre or self.is_code:
            self._parts.append(text)
            return
        text = shortcodes.strip(text)
        self._parts.append(_BLANKS.sub(" ", text if self.tight else _GAP.sub(_PARAGRAPH, text)))

    def _take(self) -> str:
        self._settle()
        text = "".join(self._parts)
        self._parts.clear()
        return text


def _trim(text: str) -> str:
    """Lines without blanks around them; a break of a line stays one."""
    return "\n".join(filter(None, (line.strip() for line in text.split(_BREAK)))).strip()

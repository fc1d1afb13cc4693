"""Where a Markdown text that is read piece by piece is code, as far as its backticks tell. Source: CommonMark 0.31."""

from __future__ import annotations

import re
from typing import Final

#: How far ahead the end of a short run of code is looked for.
REACH: Final = 1000
FENCE: Final = 3  # backticks, or more
_OPENS = re.compile(r"[ >]{0,3}(?:(?:[-*+]|\d{1,9}[.)]) {1,3}){0,3}")
_CLOSES = re.compile(r"[ >]*")
_NEXT = re.compile(r"`+|\n[^\S\n]*(?=\n)")


class Code:
    """Is told of all text in its order.

    A fence lasts until its like has a line of its own, or until a line stands outside of the list or quotation that
    the fence is in. Any other run of code ends within its paragraph, or is none.
    """

    def __init__(self) -> None:
        self._line = ""  # how the line begins
        self._is_escaped = False
        self._opened = ""  # the backticks that opened what may be code
        self._is_fence = False
        self._is_indented = False
        self._is_first_line = False  # of the fence
        self._is_closing = False  # if nothing else comes on this line

    def passed(self, text: str) -> None:
        """Text without backticks."""
        for place, part in enumerate(text.split("\n")):
            if place:
                self._next_line()
            self._goes_on(part)
        backslashes = len(text) - len(text.rstrip("\\"))
        self._is_escaped = (backslashes % 2 == 1) != (self._is_escaped and backslashes == len(text))

    def _next_line(self) -> None:
        if self._is_closing or not (self._is_fence or self._line.strip()):
            self._end()
        self._line, self._is_first_line = "", False

    def _goes_on(self, part: str) -> None:
        if part.strip():
            self._is_closing = False
        self._line = (self._line + part)[:64]
        if self._is_indented and not self._is_first_line and self._line[:1] not in ("", " ", "\t", ">"):
            self._end()

    def _end(self) -> None:
        self._opened, self._is_fence, self._is_indented, self._is_closing = "", False, False, False

    def met(self, run: str) -> None:
        """Backticks."""
        line = self._line
        self._goes_on(run)
        if self._is_fence and not self._is_first_line:
            self._is_closing = len(run) >= len(self._opened) and _CLOSES.fullmatch(line) is not None
        elif self._opened:
            self._is_fence = self._is_indented = False  # a fence has no more of them on its line
            self._opened = "" if run == self._opened else self._opened
        else:
            self._opened = run[1:] if self._is_escaped else run
            self._is_fence = self._is_first_line = len(run) >= FENCE and _OPENS.fullmatch(line) is not None
            self._is_indented = self._is_fence and line != ""
        self._is_escaped = False

    def holds(self, ahead: str, *, is_over: bool) -> bool | None:
        """Whether what begins with ``ahead`` is code; None where more text must tell."""
        if not self._opened:
            return False
        if self._is_fence and (not self._is_first_line or re.match(r"[^`\n]*\n", ahead[:REACH])):
            return True
        is_code = self._closes(ahead, is_over=is_over)
        if is_code is False:
            self._end()
        return is_code

    def _closes(self, ahead: str, *, is_over: bool) -> bool | None:
        for found in _NEXT.finditer(ahead):
            if found.start() >= REACH or found[0][0] == "\n":
                return False
            if found.end() == len(ahead) and not is_over:
                return None
            if found[0] == self._opened:
                return True
        return False if is_over or len(ahead) >= REACH else None

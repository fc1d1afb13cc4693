"""The syntax of prompt templates: ``{name}`` is a variable, ``{{`` and ``}}`` are braces; nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]{0,63})\}|[{}]", re.ASCII)


class BrokenPlaceholder(ValueError):
    """A brace that is neither doubled nor part of a variable; ``line`` and ``column`` count from 1."""

    def __init__(self, text: str, position: int) -> None:
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        super().__init__(f"line {self.line}, column {self.column}")


def names(text: str) -> list[str]:
    """The variables of a template, one entry for each time one stands there; raises BrokenPlaceholder."""
    found = []
    for token in _TOKEN.finditer(text):
        if token[1]:
            found.append(token[1])
        elif len(token[0]) == 1:
            raise BrokenPlaceholder(text, token.start())
    return found


def fill(text: str, values: Mapping[str, str]) -> str:
    """The template with its variables put in; braces in a value stay text. Raises KeyError for a missing value."""

    def stand_for(token: re.Match[str]) -> str:
        if token[1]:
            return values[token[1]]
        if len(token[0]) == 1:
            raise BrokenPlaceholder(text, token.start())
        return token[0][0]

    return _TOKEN.sub(stand_for, text)

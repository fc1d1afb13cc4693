"""What was hidden in one call, and how it comes back, whole or in a stream."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import NoReturn

from django_wp_ai.policy.content import placeholders

_MAX_NUMBER: int = 10**placeholders.MAX_DIGITS - 1


class Vault:
    """The values of one call by placeholder. In memory only: it can't be pickled, and shows counts, never values."""

    __slots__ = ("_numbers", "_values")

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._values: dict[str, list[str]] = {}

    def hide(self, kind: str, value: str) -> str:
        """The placeholder of ``value``: the same for the same text, so that a model can follow it through a call."""
        number = self._numbers.get((kind, value))
        if number is None:
            values = self._values.setdefault(kind, [])
            if len(values) >= _MAX_NUMBER:
                raise ValueError("There are more values to hide than placeholders.")
            values.append(value)
            number = self._numbers[kind, value] = len(values)
        return placeholders.written(kind, number)

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of which something is hidden."""
        return frozenset(self._values)

    @property
    def counts(self) -> Counter[str]:
        """How many values of each kind are hidden; fit for a log."""
        return Counter({kind: len(values) for kind, values in self._values.items()})

    def restore(self, text: str) -> str:
        """Put the values back; placeholders that hide nothing stay as they are."""
        return self._restored(text, as_json=False)

    def restore_json(self, text: str) -> str:
        """Put the values back into JSON text, escaped, so that it stays JSON. Works on any part of it."""
        return self._restored(text, as_json=True)

    def _restored(self, text: str, *, as_json: bool) -> str:
        if not self._values:
            return text

        def value(match: re.Match[str]) -> str:
            kind, number = placeholders.named(match)
            values = self._values[kind]
            if not 1 <= number <= len(values):
                return match[0]
            found = values[number - 1]
            return json.dumps(found)[1:-1] if as_json else found

        return placeholders.complete(self.kinds).sub(value, text)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __repr__(self) -> str:
        shown = ", ".join(f"{count} {kind}" for kind, count in sorted(self.counts.items()))
        return f"<Vault: {shown or 'empty'}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A vault is never stored.")


class Restorer:
    """Puts values back into a stream: all that ``feed`` and ``flush`` return is ``vault.restore`` of all that was fed.

    Only text that more text could make a placeholder of is held back, so at most ``placeholders.LONGEST`` characters.
    """

    def __init__(self, vault: Vault, *, as_json: bool = False) -> None:
        """``as_json`` for a stream of JSON text, such as a tool call's arguments."""
        self._vault = vault
        self._restore = vault.restore_json if as_json else vault.restore
        self._held = ""

    def feed(self, chunk: str) -> str:
        """What can be shown now."""
        if not self._vault:
            return chunk
        text = self._held + chunk
        cut = self._cut(text, placeholders.unfinished(self._vault.kinds))
        self._held = text[cut:]
        return self._restore(text[:cut])

    def flush(self) -> str:
        """What was held back, at the stream's end."""
        text, self._held = self._held, ""
        return self._restore(text)

    @staticmethod
    def _cut(text: str, unfinished: re.Pattern[str]) -> int:
        for opener in placeholders.OPENER.finditer(text, max(0, len(text) - placeholders.LONGEST)):
            if unfinished.match(text, opener.start()):
                return opener.start()
        return len(text)

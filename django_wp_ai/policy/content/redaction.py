"""Hides personal data from a provider behind placeholders that a vault can undo.

Text that already looks like a placeholder is hidden too (kind ``LITERAL``): so it comes back as it was, never as
someone's data, and no number of ours is ever taken by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from phonenumbers import SUPPORTED_REGIONS

from django_wp_ai.policy.content import placeholders
from django_wp_ai.policy.content.detectors import addresses, cards, ibans, national_ids, patterns, phones
from django_wp_ai.policy.content.detectors.spans import Span, chosen
from django_wp_ai.policy.content.plain_form import plain_form
from django_wp_ai.policy.content.vault import Restorer, Vault

#: Locales that are meant where a site names none.
LOCALES = ("en-US", "en-GB", "de", "fr", "es", "it", "nl", "ja")
_DIGITS = re.compile(r"\d[^\n]{0,3}\d")
_REGIONS_OF = {
    "en": ("US", "GB"),
    "ja": ("JP",),
    "da": ("DK",),
    "sv": ("SE",),
    "nb": ("NO",),
    "nn": ("NO",),
    "cs": ("CZ",),
    "el": ("GR",),
    "et": ("EE",),
    "sl": ("SI",),
    "uk": ("UA",),
    "ko": ("KR",),
    "zh": ("CN",),
    "he": ("IL",),
    "hi": ("IN",),
    "ar": ("SA", "AE", "EG"),
    "vi": ("VN",),
    "ca": ("ES",),
}


class InvalidLocale(ValueError):
    """A locale nobody knows; its text is fit to show."""


def regions(locales: Sequence[str]) -> tuple[str, ...]:
    """Regions of locales such as ``de``, ``en-GB`` or ``pt_BR``; raises ``InvalidLocale``."""
    found: dict[str, None] = {}
    for locale in locales or LOCALES:
        language, *rest = str(locale).replace("_", "-").split("-")
        named = rest[-1].upper() if rest and len(rest[-1]) == 2 else ""
        for region in (named,) if named else _REGIONS_OF.get(language.lower(), (language.upper(),)):
            if region not in SUPPORTED_REGIONS:
                raise InvalidLocale(f"{str(locale)[:32]!r} is no locale that is known; write it as de or en-GB.")
            found[region] = None
    return tuple(found)


class Redactor:
    """Hides what the locales' detectors and the site's own patterns find. Make it with ``redactor``, which keeps it."""

    def __init__(self, locales: Sequence[str] = (), own_patterns: Mapping[str, str] | None = None) -> None:
        """Raises ``InvalidLocale`` or ``InvalidPattern``. E-mail, cards, IBANs, international phones need no locale."""
        known = regions(locales)
        self._plans = tuple(plan for region in known if (plan := phones.plan(region)))
        self._ids = tuple(each for region in known for each in national_ids.BY_REGION.get(region, ()))
        self._patterns = patterns.compiled(own_patterns or {})
        self._literal = placeholders.complete(frozenset([*placeholders.KINDS, *(kind for kind, _ in self._patterns)]))

    def find(self, text: str) -> list[Span]:
        """What would be hidden: places in ``text`` that do not overlap, in its order."""
        plain = plain_form(text)
        literal = [Span(*match.span(), placeholders.LITERAL) for match in self._literal.finditer(text)]
        found = chosen(self._found(plain.text))
        spans = [span._replace(start=a, end=b) for span in found for a, b in [plain.original(span.start, span.end)]]
        return _beside(literal, spans) if literal else spans

    def redact(self, text: str, vault: Vault) -> str:
        """The text with placeholders, whose values are now in the vault.

        Blocking: some 0.1 s for 256 KB of usual text, more where it is all numbers.
        """
        parts: list[str] = []
        end_of_last = 0
        for span in self.find(text):
            parts += text[end_of_last : span.start], vault.hide(span.kind, text[span.start : span.end])
            end_of_last = span.end
        return "".join([*parts, text[end_of_last:]])

    def redact_json(self, text: str, vault: Vault) -> str:
        """The same inside strings and whole numbers of JSON text, which stays JSON; other text is redacted as text."""
        try:
            value = json.loads(text)
            changed = self._redacted(value, vault)
        except (ValueError, RecursionError):
            return self.redact(text, vault)
        return text if changed == value else json.dumps(changed, ensure_ascii=False)

    def _redacted(self, value: Any, vault: Vault) -> Any:
        if isinstance(value, str):
            return self.redact(value, vault)
        if isinstance(value, list):
            return [self._redacted(each, vault) for each in value]
        if isinstance(value, dict):
            return {self.redact(key, vault): self._redacted(each, vault) for key, each in value.items()}
        if isinstance(value, int) and not isinstance(value, bool) and self.find(str(value)):
            return self.redact(str(value), vault)
        return value

    def _found(self, text: str) -> Iterator[Span]:
        if "@" in text or "%40" in text:
            yield from addresses.find(text)
        if _DIGITS.search(text):  # all the others have some
            yield from ibans.find(text)
            yield from cards.find(text)
            yield from phones.find(text, self._plans)
            for each in self._ids:
                yield from each.find(text)
        for kind, pattern in self._patterns:
            yield from patterns.find(text, kind, pattern)


def _beside(literal: Sequence[Span], spans: Sequence[Span]) -> list[Span]:
    """Both, where a literal placeholder takes the place of whatever touches it."""
    taken = [(span.start, span.end) for span in literal]
    free = []
    index = 0
    for span in spans:
        while index < len(taken) and taken[index][1] <= span.start:
            index += 1
        if index == len(taken) or taken[index][0] >= span.end:
            free.append(span)
    return sorted([*literal, *free])


def redactor(locales: Sequence[str] = (), own_patterns: Mapping[str, str] | None = None) -> Redactor:
    """The redactor of a configuration, made once and kept; raises what ``Redactor`` raises."""
    own = own_patterns or {}
    if not all(isinstance(pattern, str) for pattern in own.values()):
        return Redactor(locales, own)  # refuses them by name
    return _kept(tuple(locales), tuple(sorted(own.items())))


@lru_cache(maxsize=128)
def _kept(locales: tuple[str, ...], own_patterns: tuple[tuple[str, str], ...]) -> Redactor:
    return Redactor(locales, dict(own_patterns))


__all__ = ["LOCALES", "InvalidLocale", "Redactor", "Restorer", "Vault", "redactor", "regions"]

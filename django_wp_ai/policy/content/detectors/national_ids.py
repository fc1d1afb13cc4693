"""National identity, tax and health numbers by country.

Where a number's form or check leaves little to chance, it is found anywhere. Where one in eleven numbers would pass,
it is found in its usual grouping or after a word that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.it import codicefiscale
from stdnum.jp import in_ as my_number
from stdnum.nl import bsn

from django_wp_ai.policy.content.detectors import context
from django_wp_ai.policy.content.detectors.spans import Span

_KIND = "NATIONAL_ID"


def _written(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9_])(?<![\d][.,/-])(?:{pattern})(?![A-Za-z0-9_]|[.,/-]\d)", re.IGNORECASE)


def _named(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NationalId:
    """``bare`` is a way of writing that counts only after one of ``names``."""

    written: re.Pattern[str]
    is_valid: Callable[[str], bool]
    bare: re.Pattern[str] | None = None
    names: re.Pattern[str] | None = None

    def find(self, text: str) -> Iterator[Span]:
        """Each such number."""
        for match in self.written.finditer(text):
            if self.is_valid(match[0]) and not context.is_called_something_else(text, match.start()):
                yield Span(match.start(), match.end(), _KIND, 4)
        for match in self.bare.finditer(text) if self.bare and self.names else ():
            if self.is_valid(match[0]) and self.names and context.is_called(text, match.start(), self.names):
                yield Span(match.start(), match.end(), _KIND, 4)


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)


def _is_ssn(number: str) -> bool:
    """A number that may be issued, or a taxpayer's (9…); those known from print, such as 078-05-1120, count too."""
    digits = _digits(number)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    itin = area[0] == "9" and group in _ITIN_GROUPS
    return area not in {"000", "666"} and (area[0] != "9" or itin) and group != "00" and serial != "0000"


_ITIN_GROUPS = frozenset(f"{n}" for n in (*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)))
_NINO_NEVER = frozenset(["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"])


def _is_nino(number: str) -> bool:
    return number[:2].upper() not in _NINO_NEVER


def _is_nhs(number: str) -> bool:
    return nhs.is_valid(_digits(number))


def _is_tax_id(number: str) -> bool:
    return idnr.is_valid(_digits(number))


def _is_dni(number: str) -> bool:
    return dni.is_valid(number.replace(".", ""))


def _is_fiscal_code(number: str) -> bool:
    return codicefiscale.is_valid(number.replace(" ", ""))


def _is_citizen_number(number: str) -> bool:
    return bsn.is_valid(_digits(number)) and len(set(_digits(number))) > 1


def _is_my_number(number: str) -> bool:
    return my_number.is_valid(_digits(number))


_LETTER = "[A-CEGHJ-PR-TW-Z]"
#: By region. QQ opens the number that the British tax office prints in its examples.
BY_REGION: dict[str, tuple[NationalId, ...]] = {
    "US": (
        NationalId(
            _written(r"\d{3}([- ])\d{2}\1\d{4}(?!\1\d)"),
            _is_ssn,
            _written(r"\d{9}"),
            _named(r"\bssn\b|social security|\bitin\b|taxpayer"),
        ),
    ),
    "GB": (
        NationalId(_written(rf"(?:{_LETTER}[A-CEGHJ-NPR-TW-Z]|QQ)[ -]?\d\d[ -]?\d\d[ -]?\d\d[ -]?[A-D]"), _is_nino),
        NationalId(
            _written(r"\d{3}([- ])\d{3}\1\d{4}(?!\1\d)"),
            _is_nhs,
            _written(r"\d{10}"),
            _named(r"\bnhs\b|health service"),
        ),
    ),
    "DE": (NationalId(_written(r"\d{11}|\d\d([ /.-])\d{3}\1\d{3}\1\d{3}"), _is_tax_id),),
    "FR": (
        NationalId(_written(r"[1-478] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d"), nir.is_valid),
        NationalId(_written(r"[1-478]([.-])\d\d\1\d\d\1(?:\d\d|2[AB])\1\d{3}\1\d{3}\1\d\d"), nir.is_valid),
    ),
    "ES": (
        NationalId(_written(r"\d{8}[ -]?[A-HJ-NP-TV-Z]|\d\d\.\d{3}\.\d{3}[ -]?[A-HJ-NP-TV-Z]"), _is_dni),
        NationalId(_written(r"[XYZ][ -]?\d{7}[ -]?[A-HJ-NP-TV-Z]"), nie.is_valid),
    ),
    "IT": (
        NationalId(
            _written(r"[A-Z]{3} ?[A-Z]{3} ?[\dL-NP-V]{2}[A-EHLMPRST][\dL-NP-V]{2} ?[A-Z][\dL-NP-V]{3} ?[A-Z]"),
            _is_fiscal_code,
        ),
    ),
    "NL": (
        NationalId(
            _written(r"\d{4}([. ])\d\d\1\d{3}"),
            _is_citizen_number,
            _written(r"\d{8,9}|\d{3}([- .])\d{3}\1\d{3}"),
            _named(r"\bbsn|burgerservice|burger service|\bsofi"),
        ),
    ),
    "JP": (
        NationalId(
            _written(r"(?<!\d[ -])\d{4}([ -])\d{4}\1\d{4}(?!\1\d)"),
            _is_my_number,
            _written(r"\d{12}"),
            _named(r"マイナンバー|個人番号|my ?number"),
        ),
    ),
}

"""International bank account numbers: the country's own length and form, and mod 97 (ISO 13616, SWIFT's registry)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from stdnum import iban, numdb
from stdnum.iso7064 import mod_97_10

from django_wp_ai.policy.content.detectors.spans import Span

_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9])")
_FIELD = re.compile(r"(\d+)!")


def find(text: str) -> Iterator[Span]:
    """Each IBAN, in one piece or in groups."""
    end_of_last = 0
    for start in _START.finditer(text):
        number = _number(start[0][:2].upper())
        if start.start() < end_of_last or number is None or not (written := number.match(text, start.start())):
            continue
        compact = written[0].replace(" ", "").replace("-", "").upper()
        if mod_97_10.is_valid(compact[4:] + compact[:4]) and iban.is_valid(compact, check_country=False):
            end_of_last = written.end()
            yield Span(written.start(), written.end(), "IBAN", 5)


@lru_cache(maxsize=1024)
def _number(country: str) -> re.Pattern[str] | None:
    """As many letters and digits as the country's numbers have, in groups or not; ``None`` where it has none."""
    form = numdb.get("iban").info(country)[0][1].get("bban")
    if not form:
        return None
    length = sum(int(size) for size in _FIELD.findall(form))
    return re.compile(rf"[A-Za-z]{{2}}\d\d(?:[ -]?[A-Za-z0-9]){{{length}}}(?![A-Za-z0-9])")

"""Payment cards: 13 to 19 digits of a known issuer that pass Luhn, written together or in the groups of a card.

Issuers' ranges: ISO/IEC 7812 as the schemes publish them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stdnum import ean, luhn

from django_wp_ai.policy.content.detectors import context
from django_wp_ai.policy.content.detectors.spans import Span

_RUN = re.compile(r"(?<![A-Za-z0-9_])\d+(?:[ -]\d+)*(?![A-Za-z0-9_])")
_GROUP = re.compile(r"\d+")
_GROUPINGS = frozenset(
    [(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (6, 13), (4, 4, 4, 4, 2), (4, 4, 4, 4, 1)]
)
_SHORTEST, _LONGEST = 13, 19
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})\Z"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}\Z"  # Mastercard
    r"|3[47]\d{13}\Z"  # American Express
    r"|(?:6011|64[4-9]\d|65\d{2})\d{12,15}\Z"  # Discover, RuPay
    r"|62\d{14,17}\Z"  # UnionPay
    r"|3(?:0[0-5]|[689]\d)\d{11,16}\Z"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12,15}\Z"  # JCB
    r"|220[0-4]\d{12,15}\Z"  # Mir
    r"|(?:5018|5020|5038|5[6-8]\d{2}|6304|6759|676[1-3])\d{9,15}\Z"  # Maestro
    r"|(?:60|81|82|508\d)\d{12,14}\Z"  # RuPay
)


def find(text: str) -> Iterator[Span]:
    """Each card number."""
    for run in _RUN.finditer(text):
        if run.end() - run.start() < _SHORTEST:
            continue
        groups = [(run.start() + m.start(), run.start() + m.end()) for m in _GROUP.finditer(run[0])]
        sizes = tuple([end - start for start, end in groups])
        first = 0
        while first < len(groups):
            count = _card(text, groups, sizes, first)
            if count:
                yield Span(groups[first][0], groups[first + count - 1][1], "CARD", 4)
            first += count or 1


def _card(text: str, groups: list[tuple[int, int]], sizes: tuple[int, ...], first: int) -> int:
    """Of how many groups the longest card is that begins with group ``first``; 0 for none."""
    counts = {len(grouping) for grouping in _GROUPINGS if sizes[first : first + len(grouping)] == grouping}
    counts |= {1} if _SHORTEST <= sizes[first] <= _LONGEST else set()
    if first == 0 and len(groups) <= _LONGEST:
        counts.add(len(groups))  # alone, it may be grouped in any way
    for count in sorted(counts, reverse=True):
        digits = "".join([text[start:end] for start, end in groups[first : first + count]])
        if _is_card(digits):
            named = count == 1 and context.is_called_something_else(text, groups[first][0])
            return 0 if named else count
    return 0


def _is_card(digits: str) -> bool:
    if not _SHORTEST <= len(digits) <= _LONGEST or not _ISSUERS.match(digits) or not luhn.is_valid(digits):
        return False
    return len(digits) > 13 or len(set(digits)) == 2 or not ean.is_valid(digits)

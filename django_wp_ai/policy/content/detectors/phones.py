"""Telephone numbers, international and national, by the numbering plans that ``phonenumbers`` keeps.

Only its tables are used: its own matcher and parser cost too much on hostile text. A number is looked for in a run of
digits and the separators of numbers, at the run's beginning or after a space, the longest first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from django_wp_ai.policy.content.detectors import context
from django_wp_ai.policy.content.detectors.spans import Span

_RUN = re.compile(r"\(?\+?\(?\d(?:[ ./()-]{0,3}\d)*")
_GROUP = re.compile(r"\d+")
#: Dates, times, addresses of the internet, amounts: same length, no digits.
_NOT_PHONES = re.compile(
    r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d]|[./-]\d)"
    r"|(?<![\d./-])\d{4}([./-])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?!\d|[./-]\d)"
    r"|(?<![\d./-])(?:0?[1-9]|[12]\d|3[01])([./-])(?:0?[1-9]|[12]\d|3[01])\2(?:\d{4}|\d\d)(?!\d|[./-]\d)"
    r"|(?<![\d./-])(?:0?[1-9]|1[0-2])/(?:19|20)\d\d(?!\d)"
    r"|(?<![\d.])\d{1,2}[.:h]\d{2} ?- ?\d{1,2}[.:h]\d{2}(?![\d.])"
    r"|(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)"
    r"|(?:[$€£¥]|\b(?:EUR|USD|GBP|JPY|CHF)) ?\d{1,15}(?:[.,' ]\d{3})*(?:[.,]\d{1,2})?(?!\d)"
    r"|(?<![\d.,])\d{1,3}(?:[.,' ]\d{3}){0,4}(?:[.,]\d{1,2})? ?"
    r"(?:[$€£¥円%]|(?:EUR|USD|GBP|JPY|CHF|Euro|euros?|dollars?)\b)"
    r"|(?<!\d)0\.\d+"
)
_MAX_ENDS, _MAX_DIGITS, _MIN_DIGITS = 4, 15, 7
_SSN = (3, 2, 4)  # the grouping of an American id
_PHONE = "PHONE"


@dataclass(frozen=True, slots=True)
class Plan:
    """A region's numbering plan."""

    region: str
    country_code: str
    prefix: str  # dialled before a national number, mostly 0
    lengths: frozenset[int]
    valid: re.Pattern[str]

    def national(self, digits: str, shape: tuple[int, ...], *, named: bool, whole: bool) -> bool:
        """Are digits in groups of these sizes a number as dialled inside; without a prefix its writing must show it."""
        if self.country_code == "1":
            number = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
            return len(number) == 10 and number[0] > "1" and (named or shape[-3:] == (3, 3, 4))
        if not (self.prefix or digits[0] == "0"):
            grouped = min(shape) > 1 and shape != _SSN and (len(shape) > 2 or (len(shape) == 2 and shape[0] == 3))
            return self._fits(digits) and (named or (whole and grouped))
        if not digits.startswith(self.prefix):
            return named and self._fits(digits)
        if len(digits) < 8:
            return False
        number = digits[len(self.prefix) :]
        few = len(self.lengths) <= 3 and len(shape) > 1  # a closed plan: the form alone tells
        return self._fits(number) or (few and len(number) in self.lengths and len(number) > 7)

    def _fits(self, number: str) -> bool:
        return len(number) in self.lengths and self.valid.fullmatch(number) is not None


@lru_cache(maxsize=512)
def plan(region: str, country_code: int = 0) -> Plan | None:
    """The plan of a region such as ``DE``, or of a code that is no country's (region ``001``); ``None`` without one."""
    if region == "001":
        metadata = PhoneMetadata.metadata_for_nongeo_region(country_code)
    else:
        metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.general_desc is None:
        return None
    kinds = [metadata.fixed_line, metadata.mobile, metadata.toll_free, metadata.premium_rate, metadata.shared_cost]
    kinds += [metadata.personal_number, metadata.voip, metadata.uan, metadata.pager]
    patterns = [kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern]
    return Plan(
        region=region,
        country_code=str(metadata.country_code),
        prefix=metadata.national_prefix or "",
        lengths=frozenset(metadata.general_desc.possible_length),
        valid=re.compile("|".join(f"(?:{pattern})" for pattern in patterns)),
    )


def find(text: str, plans: Sequence[Plan]) -> Iterator[Span]:
    """Each number: international ones of every country, national ones of ``plans``."""
    masked = _masked(text)
    for run in _RUN.finditer(masked):
        if len(run[0]) >= _MIN_DIGITS:
            yield from _numbers(masked, run, plans)


def _masked(text: str) -> str:
    """The text with NULs in place of what nobody dials; looked at only near long runs, as most text has none."""
    parts: list[str] = []
    end_of_last = 0
    for run in _RUN.finditer(text):
        if run.end() - run.start() < _MIN_DIGITS:
            continue
        for other in _NOT_PHONES.finditer(text, max(end_of_last, run.start() - 5), run.end() + 9):
            parts += text[end_of_last : other.start()], "\0" * len(other[0])
            end_of_last = other.end()
    return "".join([*parts, text[end_of_last:]])


def _numbers(text: str, run: re.Match[str], plans: Sequence[Plan]) -> Iterator[Span]:
    groups = [(run.start() + m.start(), run.start() + m.end()) for m in _GROUP.finditer(run[0])]
    if sum(end - start for start, end in groups) > _MAX_DIGITS * 3:
        return  # a table, not a list of telephones
    first, starts_here = 0, True
    while first < len(groups):
        last = _last_group(text, groups, first, plans) if starts_here else None
        if last is not None:
            yield Span(_start(text, run.start(), groups[first][0], groups[last][1]), groups[last][1], _PHONE, 1)
        starts_here = last is not None or _is_break(groups, first)
        first = first + 1 if last is None else last + 1


def _is_break(groups: list[tuple[int, int]], index: int) -> bool:
    """Do a bracket, or several separators, part this group from the next: more than parts of one number."""
    return index + 1 == len(groups) or groups[index + 1][0] - groups[index][1] > 1


def _last_group(text: str, groups: list[tuple[int, int]], first: int, plans: Sequence[Plan]) -> int | None:
    """Where the longest number ends that begins with group ``first``."""
    start = groups[first][0]
    ends = _ends(text, groups, first)
    if not ends or not _begins_here(text, start):
        return None
    prefix = _international_prefix(text, *groups[first])
    named = context.is_called_a_phone(text, start)
    other = not named and context.is_called_something_else(text, start)
    for last in reversed(ends):
        digits = "".join([text[a:b] for a, b in groups[first : last + 1]])
        written = text[start : groups[last][1]]
        if prefix is not None and _is_international(digits[prefix:], trunk="(0)" in written):
            return last
        if prefix in {0, 2} or other:
            continue
        shape = tuple([b - a for a, b in groups[first : last + 1]])
        whole = _is_break(groups, last) and not ("." in written or "/" in written)
        if any(each.national(digits, shape, named=named, whole=whole) for each in plans):
            return last
    return None


def _ends(text: str, groups: list[tuple[int, int]], first: int) -> list[int]:
    """The groups that a number may end with, the furthest ones."""
    ends: list[int] = []
    size = 0
    for last in range(first, min(len(groups), first + _MAX_DIGITS)):
        size += groups[last][1] - groups[last][0]
        if size > _MAX_DIGITS + 3:
            break
        if size >= _MIN_DIGITS and _ends_here(text, groups[last][1]):
            ends.append(last)
    return ends[-_MAX_ENDS:]


def _international_prefix(text: str, start: int, end: int) -> int | None:
    """How many digits stand before the country's code: none after a plus; ``None`` where it is a national number."""
    if "+" in text[max(0, start - 2) : start]:
        return 0
    if text.startswith("00", start):
        return 2
    return 3 if text[start:end] in {"010", "011"} else None


def _is_international(digits: str, *, trunk: bool) -> bool:
    for size in (1, 2, 3):
        code = int(digits[:size] or 0)
        regions = COUNTRY_CODE_TO_REGION_CODE.get(code)
        if regions and digits[0] != "0":
            number = digits[size + 1 :] if trunk else digits[size:]
            main = plan(regions[0], code)
            return main is not None and len(number) >= 6 and len(number) in main.lengths
    return False


def _begins_here(text: str, start: int) -> bool:
    """Not inside a word or code such as ``RE-0301234567``."""
    near = text[max(0, start - 4) : start]
    before = near.rstrip("(+")
    if before != near:
        return not re.search(r"[A-Za-z0-9_]\Z", before)
    if re.search(r"[A-Za-z0-9_]\Z|\d[.,]\Z", before):
        return False
    return not re.search(r"[A-Za-z0-9_][./#=-]\Z", before) or context.is_called_a_phone(text, start)


def _ends_here(text: str, end: int) -> bool:
    after = text[end : end + 2]
    return not re.match(r"[A-Za-z0-9_%]|[.,-][0-9]", after)


def _start(text: str, floor: int, start: int, end: int) -> int:
    """The number with its plus, and with its bracket where that is closed inside."""
    if start > floor and text[start - 1] in "+(" and (text[start - 1] == "+" or ")" in text[start:end]):
        start -= 1
    if start > floor and text[start - 1] in "+(" and (text[start - 1] == "+" or ")" in text[start:end]):
        start -= 1
    return start

"""A host's own patterns, kept so simple that no text can make them slow.

Python's ``re`` has no time limit. So a pattern may hold one open-ended repeat at most, no repeat around another or
around a choice, no back reference and no look-around, and it is run on short overlapping stretches of the text: work
grows with the text only.
"""

from __future__ import annotations

import re
import re._constants as opcodes  # type: ignore[import-not-found]  # the parser of ``re``, which has no public name
import re._parser as parser  # type: ignore[import-not-found]
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from django_wp_ai.policy.content.detectors.spans import Span
from django_wp_ai.policy.content.placeholders import KINDS, MAX_KIND

MAX_PATTERNS, MAX_LENGTH = 32, 256
#: Text of this length is always found when it matches; a longer match may be cut.
MAX_MATCH = 128
_STRETCH = MAX_MATCH * 2
_OPEN_ENDED, _MAX_WAYS = 32, 64
_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{MAX_KIND - 1}}}", re.IGNORECASE)
_SIMPLE = {opcodes.LITERAL, opcodes.NOT_LITERAL, opcodes.ANY, opcodes.IN, opcodes.AT}
_REPEATS = {opcodes.MAX_REPEAT, opcodes.MIN_REPEAT, opcodes.POSSESSIVE_REPEAT}


class InvalidPattern(ValueError):
    """A pattern that can't be used; its text says which and why, and is fit to show."""


def compiled(patterns: Mapping[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Kind and pattern of each; raises ``InvalidPattern``."""
    if len(patterns) > MAX_PATTERNS:
        raise InvalidPattern(f"There are more than {MAX_PATTERNS} patterns.")
    compiled = {}
    for name, pattern in patterns.items():
        kind = str(name).upper()
        if not isinstance(name, str) or not _NAME.fullmatch(name) or kind in KINDS or kind in compiled:
            raise InvalidPattern(
                f"{str(name)[:MAX_KIND]!r} can't name a pattern: a letter, then letters, digits, _, at most {MAX_KIND},"
                f" not twice, and none of {', '.join(KINDS)}."
            )
        try:
            compiled[kind] = _compiled(pattern)
        except InvalidPattern as error:
            raise InvalidPattern(f"The pattern {name!r} {error}.") from None
    return tuple(compiled.items())


def find(text: str, kind: str, pattern: re.Pattern[str]) -> Iterator[Span]:
    """Each match that is not empty."""
    start = 0
    while start < len(text):
        end = min(len(text), start + _STRETCH)
        match = pattern.search(text, start, end)
        if match is None:
            start = end if end == len(text) else end - MAX_MATCH
        elif match.end() == end < len(text) and match.start() > start:
            start = match.start()  # it may go on behind the stretch
        else:
            yield Span(match.start(), match.end(), kind, 2)
            start = match.end()


def _compiled(pattern: Any) -> re.Pattern[str]:
    if not isinstance(pattern, str) or not 0 < len(pattern) <= MAX_LENGTH:
        raise InvalidPattern(f"must be text of 1 to {MAX_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = parser.parse(pattern)
            made = re.compile(pattern)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise InvalidPattern(f"is no regular expression: {error}") from None
    if tree.getwidth()[0] < 1:
        raise InvalidPattern("matches empty text")
    ways, open_ended = _cost(tree, inside=False)
    if open_ended > 1:
        raise InvalidPattern("has more than one open-ended repeat; give the others a limit, as in {1,8}")
    if ways > _MAX_WAYS:
        raise InvalidPattern("can match in too many ways; give its repeats narrower limits")
    return made


def _cost(tree: Any, *, inside: bool) -> tuple[int, int]:
    """In how many ways it can match at one place, leaving out open-ended repeats, and how many of those it has."""
    ways, open_ended = 1, 0
    for opcode, argument in tree:
        if opcode in _SIMPLE:
            continue
        if opcode is opcodes.SUBPATTERN:
            more, opened = _cost(argument[3], inside=inside)
        elif opcode is opcodes.BRANCH and not inside:
            costs = [_cost(branch, inside=inside) for branch in argument[1]]
            more, opened = sum(each[0] for each in costs), max(each[1] for each in costs)
        elif opcode in _REPEATS and not (inside and argument[0] != argument[1]):
            low, high, body = argument
            wide = high - low >= _OPEN_ENDED
            inner = _cost(body, inside=inside or high > 1)
            more, opened = (1, 1 + inner[1]) if wide else (inner[0] * (high - low + 1), inner[1])
        else:
            raise InvalidPattern("uses a back reference, a look-around, or a repeat or choice inside a repeat")
        ways, open_ended = ways * more, open_ended + opened
    return ways, open_ended

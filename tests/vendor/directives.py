"""What a test asks of the stand-in, written into the last user message: ``[[status=429 retry_after=7]] Hello``.

Directives (several may stand in one pair of brackets, or in several pairs):

====================  ==================================================================================================
``status=429``        answer with this HTTP status in the vendor's own error shape; ``retry_after=7`` adds the header
                      (``retry_after=http_date`` an HTTP date an hour ahead), ``code=insufficient_quota`` OpenAI's code
``times=2``           the status, ``close`` and ``garbage`` of this text apply to its first two requests only
``only=gpt-4o``       every directive of these brackets applies to this model only (for failover tests)
``close``             close the connection without an answer
``delay=2``           wait so many seconds before the first byte
``hold``              send each delta (or the whole answer) only after a release: ``POST /control/release``
``chunks=20``         answer ``tok1 tok2 … tok20``, a delta each; ``pause=0.05`` seconds between deltas
``say=some text``     answer this text (to the end of the brackets); of several, each in its turn, the last for ever
``tool=name {…}``     call this tool with these JSON arguments, unless its result is there already; may be repeated
``rounds=3``          do so until there were three rounds of calls since the user's message, not one
``finish=length``     stop, length, tool_calls or content_filter, in the vendor's own word
``refusal``           refuse the way the vendor does
``usage=120,45``      report these input and output totals, with ``,cached=64,cache_write=3,reasoning=8``
``no_usage``          leave usage out of a stream
``cut_after=3``       reset the connection after three deltas
``end_after=3``       end the stream in good order after three deltas, without a finish reason
``error_after=3``     send the vendor's in-stream error after three deltas
``error_first``       send that error as the stream's first event
``garbage``           200 with what is no JSON (whole) or a broken event after the first delta (stream)
``garbage=shape``     200 with JSON of no known shape
``flag=violence``     in a text to be moderated: it is flagged for these categories (with commas between them)
====================  ==================================================================================================
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

_BRACKETS = re.compile(r"\[\[(.*?)\]\](?!\])", re.DOTALL)


@dataclass(slots=True)
class Directives:
    """The parsed wishes of one text."""

    status: int = 0
    retry_after: str = ""
    code: str = ""
    times: int = 0
    close: bool = False
    delay: float = 0.0
    hold: bool = False
    chunks: int = 0
    pause: float = 0.0
    say: str | None = None
    says: list[str] = field(default_factory=list)
    tools: list[tuple[str, str]] = field(default_factory=list)
    rounds: int = 1
    finish: str = ""
    refusal: bool = False
    usage: dict[str, int] | None = None
    no_usage: bool = False
    cut_after: int | None = None
    end_after: int | None = None
    error_after: int | None = None
    error_first: bool = False
    garbage: str = ""
    flag: list[str] = field(default_factory=list)

    @property
    def fails(self) -> bool:
        return bool(self.status or self.close or self.garbage)


def strip(text: str) -> str:
    """``text`` without its directives."""
    return _BRACKETS.sub("", text).strip() if "[[" in text else text.strip()


def parse(text: str, *, model: str = "") -> Directives:
    """Read the directives of ``text``; raises ValueError for one that does not exist."""
    found = Directives()
    if "[[" not in text:
        return found
    for inner in _BRACKETS.findall(text):
        if inner.startswith("say="):
            found.says.append(inner.removeprefix("say="))
            found.say = found.says[0]
        elif inner.startswith("tool="):
            name, _, arguments = inner.removeprefix("tool=").partition(" ")
            json.loads(arguments or "{}")
            found.tools.append((name, arguments or "{}"))
        else:
            _read(found, inner.split(), model)
    return found


def _read(found: Directives, items: list[str], model: str) -> None:
    if any(item.startswith("only=") and item != f"only={model}" for item in items):
        return
    for item in items:
        key, _, value = item.partition("=")
        if key in {"close", "hold", "refusal", "no_usage", "error_first"}:
            setattr(found, key, True)
        elif key in {"status", "times", "chunks", "rounds", "cut_after", "end_after", "error_after"}:
            setattr(found, key, int(value))
        elif key in {"delay", "pause"}:
            setattr(found, key, float(value))
        elif key in {"finish", "retry_after", "code"}:
            setattr(found, key, value)
        elif key == "garbage":
            found.garbage = value or "bytes"
        elif key == "flag":
            found.flag = value.split(",")
        elif key == "usage":
            found.usage = _usage(value)
        elif key != "only":
            raise ValueError(f"The stand-in knows no directive {key!r}")


def _usage(value: str) -> dict[str, int]:
    counts = dict.fromkeys(("input", "output", "cached", "cache_write", "reasoning"), 0)
    totals = iter(("input", "output"))
    for item in value.split(","):
        key, separator, count = item.partition("=")
        counts[key if separator else next(totals)] = int(count if separator else key)
    return counts

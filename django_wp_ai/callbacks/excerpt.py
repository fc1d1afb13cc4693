"""What may be kept of a receiver's reply: its beginning, without secrets and without what we told it."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from itertools import groupby

MAX_CHARS = 500
READ_BYTES = 2048
MASK = "***"
#: So many letters and digits in a row that stand in the message too are no accident.
REPEATED_CHARS = 12

_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_SECRETS = (
    re.compile(r"\b(Bearer|Basic|Digest)\s+\S+", re.IGNORECASE),
    re.compile(r"\b(?:wpai_|whsec_|sk-|pk-|xox[a-z]-|gh[a-z]_|AKIA)[A-Za-z0-9+/=_-]{8,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"),
    # Whatever else is as long as a key and has a digit or a capital, as every random key of that length has.
    re.compile(r"(?=[a-z+/_-]*[0-9A-Z])[A-Za-z0-9+/_-]{32,}={0,2}"),
    # WordPress shows an Application Password in six groups of four.
    re.compile(r"\b(?:[A-Za-z0-9]{4} ){5}[A-Za-z0-9]{4}\b"),
)


def excerpt(reply: bytes, *, message: bytes, secrets: Sequence[str]) -> str:
    """At most ``MAX_CHARS`` printable characters of ``reply``, with secrets and what repeats ``message`` masked."""
    text = _ESCAPED.sub(
        lambda match: chr(int(match[1], 16)), html.unescape(reply[:READ_BYTES].decode("utf-8", "replace"))
    )
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    for secret in secrets:
        text = text.replace(secret, MASK)
    for pattern in _SECRETS:
        text = pattern.sub(MASK, text)
    return _without_repeats(text[: 2 * MAX_CHARS], message)[:MAX_CHARS]


def _without_repeats(text: str, message: bytes) -> str:
    """Quoting and line breaks may differ, so letters and digits alone are compared."""
    told = "".join(filter(str.isalnum, message.decode("utf-8", "replace").lower()))
    places = [place for place, char in enumerate(text) if char.isalnum()]
    letters = "".join(text[place].lower()[:1] for place in places)
    hidden: set[int] = set()
    for start in range(len(letters) - REPEATED_CHARS + 1):
        if letters[start : start + REPEATED_CHARS] in told:
            hidden.update(range(places[start], places[start + REPEATED_CHARS - 1] + 1))
    runs = groupby(enumerate(text), key=lambda numbered: numbered[0] in hidden)
    return "".join(MASK if masked else "".join(char for _, char in run) for masked, run in runs)

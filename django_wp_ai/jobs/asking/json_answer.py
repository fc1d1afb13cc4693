"""The JSON in what a model said, which may stand in a fence or among other words."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

MAX_TRIES = 20
MAX_CHARS = 500_000
MAX_DEPTH = 64
_FENCED = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n(.*?)```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")


def parse(text: str) -> Any:
    """The value: of the whole text, else of a fence, else of the first place that holds an object or a list.

    Raises ValueError where there is none.
    """
    text = text.strip().removeprefix("\ufeff")[:MAX_CHARS]
    for candidate in (text, *(fenced[1] for fenced in islice(_FENCED.finditer(text), MAX_TRIES))):
        try:
            return _clean(_DECODER.decode(candidate))
        except (ValueError, RecursionError):
            continue
    for opening in islice(_OPENING.finditer(text), MAX_TRIES):
        try:
            return _clean(_DECODER.raw_decode(text, opening.start())[0])
        except (ValueError, RecursionError):
            continue
    raise ValueError("no JSON")


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_constant)


def _clean(value: Any) -> Any:
    """Without halves of surrogate pairs, which escapes may bring in and UTF-8 can't hold; raises ValueError."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = [below for each in level for below in (each.values() if isinstance(each, dict) else each)]
        level = [each for each in level if isinstance(each, (dict, list))]
        if not level:
            break
    else:
        raise ValueError("nested too deep")
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        written.encode()
    except UnicodeEncodeError:
        return json.loads(written.encode("utf-8", "replace"))
    return value

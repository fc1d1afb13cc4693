"""How many tokens a text has: counted by tiktoken where it and its data are at hand, else estimated; never fetched."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

#: What OpenAI's embedding models read. tiktoken keeps a file by the SHA-1 of the address it came from.
ENCODING: Final = "cl100k_base"
_SOURCE: Final = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
_FILE: Final = hashlib.sha1(_SOURCE.encode(), usedforsecurity=False).hexdigest()
_SHA256: Final = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_FOLDERS: Final = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")  # in the order in which tiktoken reads them

_WORD = re.compile(r"[A-Za-z]+")
_CAPITAL_INSIDE = re.compile(r"(?<=[A-Za-z])[A-Z]")
_DIGITS = re.compile(r"[0-9]{1,3}")
_MARKS = re.compile(r"[!-/:-@\[-`{-~]{1,2}|\s\s+|[\n\r]")
_ENGLISH = frozenset(
    """
    a about after all also an and any are as at be been but by can could do does for from had has have he her his how i
    if in into is it its just like may more most my no not of on one only or other our out over she should so some than
    that the their them then there these they this to up us use was we were what when where which who will with would
    you your I A All An And As At But By For From He How If In It No Not On Or Our She So That The There These They This
    To We What When Where Which Who With You Your
    """.split()  # noqa: SIM905
)
#: Tokens of a character, from a code point on. As measured on texts in the 85 languages of Django's catalogues.
_WEIGHTS: Final = (
    *((0x80, 1.25), (0x250, 1.2), (0x370, 1.05), (0x400, 0.75), (0x530, 2.1), (0x590, 1.15), (0x600, 1.05), (0x700, 2)),
    *((0x900, 1.2), (0x980, 1.45), (0xA00, 2), (0xE00, 0.95), (0xE80, 2), (0x10A0, 2.1), (0x1100, 2), (0x1E00, 1.5)),
    *((0x2000, 1), (0x2070, 2), (0x3000, 1), (0x3100, 2), (0x3400, 2.5), (0x4E00, 1.25), (0xA000, 2.2), (0xAC00, 1.15)),
    *((0xD7B0, 2.5), (0x10000, 3)),
)
_FROM = [first for first, _ in _WEIGHTS]


def counter() -> Callable[[str], int]:
    """What counts tokens here; takes any text, also one with half characters."""
    return _tiktoken(_folder()) or estimate


def estimate(text: str) -> int:
    """About the tokens of ``cl100k_base``, rather too many than too few; docs/documents.md has the measured error.

    An English word is one token and a bit; words of other languages in Latin letters have more, by their length; in
    other scripts it goes by the character.
    """
    words = _WORD.findall(text)
    is_english = sum(map(_ENGLISH.__contains__, words)) >= 0.15 * len(words)
    each, per_letter, free = (1.05, 0.3, 7) if is_english else (1.15, 0.33, 3)
    tokens = each * len(words) + per_letter * sum([len(word) - free for word in words if len(word) > free])
    tokens += len(_DIGITS.findall(text)) + 0.75 * len(_MARKS.findall(text))
    tokens += 0.45 * len(_CAPITAL_INSIDE.findall(text))
    if not text.isascii():
        tokens += sum(_weight(character) * number for character, number in Counter(text).items() if character > "\x7f")
    return int(tokens) + bool(text)


@lru_cache(maxsize=1 << 14)
def _weight(character: str) -> float:
    return _WEIGHTS[bisect_right(_FROM, ord(character)) - 1][1]


def _folder() -> str:
    """Where tiktoken finds the encoding's file without a download; "" if it would have to fetch it."""
    folder = next((os.environ[name] for name in _FOLDERS if name in os.environ), "")
    return folder if folder and (Path(folder) / _FILE).is_file() else ""


@cache
def _tiktoken(folder: str) -> Callable[[str], int] | None:
    """tiktoken's count; None without it, or if the file is damaged: tiktoken would replace it by a download."""
    if not folder or importlib.util.find_spec("tiktoken") is None:
        return None
    if hashlib.sha256((Path(folder) / _FILE).read_bytes()).hexdigest() != _SHA256:
        return None
    import tiktoken

    encoding = tiktoken.get_encoding(ENCODING)
    return lambda text: len(encoding.encode_ordinary(text))

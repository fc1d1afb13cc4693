"""Which language a text is in: by its script where that tells, else by py3langid where that is installed."""

from __future__ import annotations

import importlib.util
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final

SAMPLE_CHARS: Final = 1000  # more text tells no more, and costs 0.3 ms per 1,000 characters
MIN_LETTERS: Final = 4  # of an alphabet; a character of the East counts twice
MIN_CONFIDENCE: Final = 0.3  # below it a guess is wrong as often as right

_CODE = re.compile(r"(`{3,}|~{3,})[^`~]*(?:\1|\Z)|`[^`\n]*`|<[^<>\n]*>")
_ADDRESS = re.compile(r"(?<![!-~])[!-.0-?A-\[\]^`-~]*[/@_\\][!-~]*")  # ASCII without blanks, with one of /@_\ in it
#: First and last letter, and the language that alone or mostly is written so; words stand for scripts that many share.
_LETTERS: Final = (
    (0x41, 0x5A, "latin"),
    (0x61, 0x7A, "latin"),
    (0xC0, 0x24F, "latin"),
    (0x370, 0x3FF, "el"),
    (0x400, 0x52F, "cyrillic"),
    (0x531, 0x587, "hy"),
    (0x5D0, 0x5EA, "he"),
    (0x620, 0x64A, "arabic"),
    (0x66E, 0x6D3, "arabic"),
    (0x6FA, 0x77F, "arabic"),
    (0x904, 0x939, "devanagari"),
    (0x985, 0x9B9, "bengali"),
    (0xA05, 0xA39, "pa"),
    (0xA85, 0xAB9, "gu"),
    (0xB05, 0xB39, "or"),
    (0xB85, 0xBB9, "ta"),
    (0xC05, 0xC39, "te"),
    (0xC85, 0xCB9, "kn"),
    (0xD05, 0xD39, "ml"),
    (0xD85, 0xDC6, "si"),
    (0xE01, 0xE44, "th"),
    (0xE81, 0xEC4, "lo"),
    (0x1000, 0x102A, "my"),
    (0x10A0, 0x10FF, "ka"),
    (0x1100, 0x11FF, "ko"),
    (0x1200, 0x137F, "am"),
    (0x1780, 0x17B3, "km"),
    (0x1E00, 0x1EFF, "latin"),
    (0x1F00, 0x1FFF, "el"),
    (0x3041, 0x30FF, "ja"),
    (0x3400, 0x9FFF, "han"),
    (0xAC00, 0xD7A3, "ko"),
)
_FIRST = [first for first, _, _ in _LETTERS]
_SHARED: Final = frozenset({"latin", "cyrillic", "arabic", "devanagari", "bengali"})
_HEAVY: Final = frozenset({"han", "ja", "ko"})
#: Forms of one language that the library tells apart, by their other codes.
_SAME: Final = {"yue": "zh", "wuu": "zh", "arz": "ar", "ary": "ar", "hbo": "he", "grc": "el", "uzs": "uz", "nn": "no"}


def detect(text: str) -> str:
    """The ISO 639-1 code of the language that most of the text's beginning is in; "" if it can't be told.

    Code, addresses and tags don't count. Without py3langid, letters that many languages share tell nothing, and
    ideographs without kana are Chinese.
    """
    prose = _ADDRESS.sub(" ", _CODE.sub(" ", text[: 8 * SAMPLE_CHARS]))
    sample = " ".join(prose.split())[:SAMPLE_CHARS]
    script = _main_script(sample)
    if script not in _SHARED:
        return "zh" if script == "han" else script
    classify = _classifier()
    if classify is None:
        return ""
    foreign = {ord(character): " " for character in set(sample) if _script(character) not in {script, ""}}
    language, confidence = classify(sample.translate(foreign) if foreign else sample)
    language = _SAME.get(language, language)
    return language if confidence >= MIN_CONFIDENCE and len(language) == 2 else ""


def _main_script(sample: str) -> str:
    """The script of most letters, "" if there are hardly any."""
    weights = Counter[str]()
    for character, number in Counter(sample).items():
        if script := _script(character):
            weights[script] += number * (2 if script in _HEAVY else 1)
    if weights["ja"] * 10 > weights["han"]:  # Japanese has about as many kana as ideographs; a title may have few
        weights["ja"] += weights.pop("han", 0)
    script, weight = max(weights.items(), key=lambda found: (found[1], found[0]), default=("", 0))
    return script if weight >= MIN_LETTERS else ""


@lru_cache(maxsize=1 << 14)
def _script(character: str) -> str:
    point = ord(character)
    _, last, script = _LETTERS[max(0, bisect_right(_FIRST, point) - 1)]
    return script if _FIRST[0] <= point <= last else ""


@cache
def _classifier() -> Callable[[str], tuple[str, float]] | None:
    """The library's model, 75 MB of memory: loaded when the first text needs it."""
    if importlib.util.find_spec("py3langid") is None:
        return None
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    classify: Callable[[str], tuple[str, float]]
    classify = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True).classify
    return classify

"""What the settings choose by embedding model: what its texts begin with, and how much its ranking counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from django_wp_ai.conf import SETTING, settings

#: Of vectors and of words. Chosen on one half of ``tests/data/eval`` with a small model: see docs/evaluation.md.
DEFAULT_WEIGHTS: Final = (1.0, 0.5)
MAX_PASSAGE_PREFIX: Final = 64  # characters: it stands in the name of the vectors


def prefixes(model: str) -> tuple[str, str]:
    """What ``provider:model`` is sent before the text of a question, and before that of a passage."""
    question, passage = _first(settings.rag_prefixes, model, ("", ""))
    return question, passage


def weights(model: str) -> tuple[float, float]:
    """How much the ranking by vectors of ``provider:model`` counts, and the one by words."""
    vectors, words = _first(settings.rag_weights, model, DEFAULT_WEIGHTS)
    return float(vectors), float(words)


def check_settings() -> None:
    """Raise ImproperlyConfigured, with a usable sentence, for what can't be meant."""
    for model, pair in settings.rag_prefixes.items():
        if not _is_pair(pair) or not all(isinstance(each, str) for each in pair):
            raise _wrong("RAG_PREFIXES", model, "two strings: what questions begin with, and what passages do")
        if len(pair[1]) > MAX_PASSAGE_PREFIX or "\x00" in pair[1]:
            raise _wrong("RAG_PREFIXES", model, f"for passages of at most {MAX_PASSAGE_PREFIX} characters")
    for model, pair in settings.rag_weights.items():
        if not _is_pair(pair) or not all(map(_is_weight, pair)) or not any(pair):
            raise _wrong("RAG_WEIGHTS", model, "two numbers, not negative and not both 0: of vectors and of words")


def _first(choices: Mapping[str, Any], model: str, default: Any) -> Any:
    return next((chosen for pattern, chosen in choices.items() if fnmatchcase(model, pattern)), default)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2


def _is_weight(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def _wrong(key: str, model: str, wanted: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{SETTING}[{key!r}][{model!r}] must be {wanted}.")

"""Moderation before a call: a site's local rules, and the form that a vendor's judgement is brought into.

The local rules are coarse. They know some plain phrases of five languages, see no meaning, no irony and no context,
miss most of what a person would refuse, and also stop the worried friend who quotes one. Where that matters, use a
vendor's endpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from django_wp_ai.policy.content.deny_list import DenyList
from django_wp_ai.policy.content.moderation_phrases import PHRASES

Category = Literal["self_harm", "sexual_minors", "sexual", "violence", "hate", "illicit", "harassment", "other"]
CATEGORIES: tuple[Category, ...] = get_args(Category)
#: From here on, local rules flag.
THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """How sure it is, from 0 to 1, that a text is of this category."""

    category: Category
    score: float


@dataclass(frozen=True, slots=True)
class Moderation:
    """A judgement on one text; ``source`` is ``local`` or the provider's name. Fit for a log: it holds no text."""

    flagged: bool
    findings: tuple[Finding, ...] = ()
    source: str = "local"

    @property
    def categories(self) -> tuple[Category, ...]:
        """Categories that were found, the surest first."""
        return tuple(finding.category for finding in self.findings)


def judge(text: str) -> Moderation:
    """By the local rules."""
    matcher, weights = _rules()
    doubt: dict[Category, float] = {}
    for phrase in matcher.all(text):
        category, weight = weights[phrase]
        doubt[category] = doubt.get(category, 1.0) * (1 - weight)
    scores = {category: round(1 - each, 4) for category, each in doubt.items()}
    return Moderation(any(score >= THRESHOLD for score in scores.values()), _findings(scores))


def from_vendor(scores: Mapping[str, float], *, flagged: bool, source: str) -> Moderation:
    """A vendor's own categories and scores, such as ``{"sexual/minors": 0.98}``; what it flags is flagged.

    Names are OpenAI's; unknown ones are ``other``. Raises ValueError for a score that is no number from 0 to 1.
    """
    found: dict[Category, float] = {}
    for name, score in scores.items():
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1 or math.isnan(score):
            raise ValueError(f"A moderation score is a number from 0 to 1, not {score!r}.")
        category = _category(name)
        found[category] = max(found.get(category, 0.0), float(score))
    return Moderation(flagged, _findings(found), source)


def _category(name: str) -> Category:
    plain = name.lower().replace("-", "_")
    if plain == "sexual/minors":
        return "sexual_minors"
    main = plain.partition("/")[0]
    return next((category for category in CATEGORIES if category == main), "other")


def _findings(scores: Mapping[Category, float]) -> tuple[Finding, ...]:
    surest = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Finding(category, score) for category, score in surest)


@lru_cache(maxsize=1)
def _rules() -> tuple[DenyList, dict[str, tuple[Category, float]]]:
    weights = {phrase: (_category(name), weight) for name, weight, phrases in PHRASES for phrase in phrases}
    return DenyList(weights), weights

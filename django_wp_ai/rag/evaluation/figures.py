"""What many outcomes come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from django_wp_ai.rag.evaluation.metrics import ndcg, recall, reciprocal_rank
from django_wp_ai.rag.evaluation.retrieval import PLACES, Outcome

ALL = "all"


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over the answerable questions of a language (``all``: of all of them), each between 0 and 1."""

    mode: str
    language: str
    questions: int
    recall: float  # among the first k
    mrr: float
    ndcg: float  # of the first PLACES


def figures(outcomes: Iterable[Outcome], *, k: int) -> list[Figures]:
    """For each mode the figures of all questions, then those by language."""
    by_mode: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.question.is_answerable:
            by_mode.setdefault(outcome.mode, []).append(outcome)
    return [
        _figures(mode, language, group, k)
        for mode, everything in by_mode.items()
        for language, group in [(ALL, everything), *_by_language(everything)]
    ]


def _by_language(outcomes: Iterable[Outcome]) -> list[tuple[str, list[Outcome]]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.question.language, []).append(outcome)
    return sorted(groups.items())


def _figures(mode: str, language: str, group: Sequence[Outcome], k: int) -> Figures:
    judged = [(outcome.ranked, outcome.question.relevant) for outcome in group]
    return Figures(
        mode=mode,
        language=language,
        questions=len(group),
        recall=fmean(recall(ranked, relevant, k) for ranked, relevant in judged),
        mrr=fmean(reciprocal_rank(ranked, relevant) for ranked, relevant in judged),
        ndcg=fmean(ndcg(ranked, relevant, PLACES) for ranked, relevant in judged),
    )

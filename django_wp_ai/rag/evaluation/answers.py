"""Have a site answer every question, and see whether the answers hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from django_wp_ai.bridge import in_thread
from django_wp_ai.models import Tenant
from django_wp_ai.models.budget import attach_budgets
from django_wp_ai.rag.answer import Question, ask
from django_wp_ai.rag.evaluation.figures import ALL
from django_wp_ai.rag.evaluation.questions import EvalQuestion
from django_wp_ai.rag.evaluation.retrieval import ORIGIN
from django_wp_ai.rag.ingest.operator import operator_of
from django_wp_ai.rag.search.hits import Mode


@dataclass(frozen=True, slots=True)
class Answered:
    """What the site answered, and the sources that its citations name."""

    question: EvalQuestion
    text: str
    supported: bool
    cited: tuple[str, ...]

    @property
    def cites_relevant(self) -> bool:
        """Whether one of its citations is of a source that answers the question."""
        return not self.question.relevant.isdisjoint(self.cited)

    @property
    def says_it(self) -> bool:
        """Whether the words of a right answer stand in it, in any case of letters."""
        return self.question.answer_contains.casefold() in self.text.casefold()


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """Shares between 0 and 1 for a language (``all``: all questions); None where no question tells.

    ``supported``, ``cites_relevant`` and ``says_it`` are shares of the answerable questions (the last of those that say
    what an answer must contain), ``declined`` of the unanswerable ones.
    """

    language: str
    questions: int
    supported: float | None
    cites_relevant: float | None
    says_it: float | None
    declined: float | None


async def answer_questions(tenant: Tenant, questions: Sequence[EvalQuestion], *, mode: Mode) -> list[Answered]:
    """Each question asked as a visitor would, one after the other; kept answers are not taken. Costs what it costs."""
    principal = operator_of(tenant)
    await in_thread(attach_budgets, [tenant])
    found = []
    for question in questions:
        answer = await ask(principal, Question(text=question.text, mode=mode, cache=False), ORIGIN)
        cited = tuple(dict.fromkeys(citation.source_id for citation in answer.citations))
        found.append(Answered(question, answer.text, answer.supported, cited))
    return found


def answer_figures(answered: Iterable[Answered]) -> list[AnswerFigures]:
    """The figures of all questions, then those by language."""
    everything = list(answered)
    groups: dict[str, list[Answered]] = {}
    for each in everything:
        groups.setdefault(each.question.language, []).append(each)
    return [_figures(language, group) for language, group in [(ALL, everything), *sorted(groups.items())]]


def _figures(language: str, group: Sequence[Answered]) -> AnswerFigures:
    answerable = [each for each in group if each.question.is_answerable]
    return AnswerFigures(
        language=language,
        questions=len(group),
        supported=_share(each.supported for each in answerable),
        cites_relevant=_share(each.cites_relevant for each in answerable),
        says_it=_share(each.says_it for each in answerable if each.question.answer_contains),
        declined=_share(not each.supported for each in group if not each.question.is_answerable),
    )


def _share(held: Iterable[bool]) -> float | None:
    found = list(held)
    return fmean(found) if found else None

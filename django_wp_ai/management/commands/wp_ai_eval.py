"""``wp_ai_eval``: how well a site's content meets a file of questions."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_wp_ai.bridge import CallerThread
from django_wp_ai.management.commands.wp_ai_tenant import find_tenant
from django_wp_ai.management.reporting import ReportingCommand, Row
from django_wp_ai.rag.evaluation import (
    Answered,
    Figures,
    Outcome,
    answer_figures,
    answer_questions,
    figures,
    parse,
    retrieve,
)
from django_wp_ai.rag.search.flow import MAX_K
from django_wp_ai.rag.search.hits import Mode

MODES: tuple[Mode, ...] = ("hybrid", "vector", "text")
MAX_BYTES = 16_000_000


def places(text: str) -> int:
    """A number of places of a ranking."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MAX_K:
        raise ArgumentTypeError(f"From 1 to {MAX_K}.")
    return int(text)


def share(text: str) -> float:
    """A number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise ArgumentTypeError("From 0 to 1.")
    return value


class Command(ReportingCommand):
    """Figures of retrieval by mode and language; with ``--answers`` those of answers too."""

    help = "Measure how well a site's indexed content meets a file of questions."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of PROTOCOL §6; there are no verbs."""
        self.add_common(parser)
        parser.add_argument("file", metavar="FILE", help="JSON lines: id, question, language, relevant, …")
        parser.add_argument("--tenant", metavar="SLUG", required=True, help="Whose content is searched.")
        parser.add_argument("--mode", choices=(*MODES, "all"), default="all", help="Default: all, side by side.")
        parser.add_argument("--k", metavar="N", type=places, default=5, help="Places that recall looks at; default: 5.")
        parser.add_argument("--misses", action="store_true", help="List the questions that miss a source.")
        parser.add_argument("--answers", action="store_true", help="Have each question answered too, at its price.")
        parser.add_argument(
            "--min-recall", metavar="X", type=share, help="Exit with an error if a mode's recall is below."
        )
        parser.set_defaults(run=self.evaluate)

    def evaluate(
        self,
        *,
        file: str,
        tenant: str,
        mode: str,
        k: int,
        misses: bool,
        answers: bool,
        min_recall: float | None,
        **_options: Any,
    ) -> None:
        """Ask, measure, print."""
        questions = parse(_read(file))
        site = find_tenant(tenant)
        modes: tuple[Mode, ...] = tuple(each for each in MODES if mode in (each, "all"))
        outcomes = CallerThread().drive(retrieve(site, questions, modes=modes, k=k))
        found = figures(outcomes, k=k)
        asked = questions if answers else []
        answered = CallerThread().drive(answer_questions(site, asked, mode=modes[0]))
        missed = [_missed(each, k) for each in outcomes if _misses(each, k)]
        if self.as_json:
            told: dict[str, Any] = {"tenant": site.slug, "k": k, "figures": [_row(each, k) for each in found]}
            told |= {"answers": [asdict(each) for each in answer_figures(answered)]} if answers else {}
            self.report(told | ({"misses": missed} if misses else {}))
        else:
            self._print(found, answered, missed if misses else [], k=k)
        _hold(found, min_recall)

    def _print(self, found: Sequence[Figures], answered: Sequence[Answered], missed: Sequence[Row], *, k: int) -> None:
        names = ("mode", "language", "questions", f"recall@{k}", "MRR", "nDCG@10")
        rows = [_shown(_row(each, k)) for each in found]
        self.report_table(rows, columns=names, empty="No question has a source: there is nothing to be found.")
        if answered:
            self.stdout.write("")
            shares = [_shown(asdict(each)) for each in answer_figures(answered)]
            self.report_table(shares, columns=tuple(shares[0]), empty="")
        if missed:
            self.stdout.write("")
            self.report_table(missed, columns=("mode", "id", "question", "missing", "found"), empty="")


def _read(file: str) -> str:
    try:
        if Path(file).stat().st_size > MAX_BYTES:
            raise CommandError(f"{file} has more than {MAX_BYTES:,} bytes.")
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not UTF-8.") from error
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} can't be read: {getattr(error, 'strerror', None) or 'not a path'}.") from error


def _row(each: Figures, k: int) -> dict[str, Any]:
    return {
        "mode": each.mode,
        "language": each.language,
        "questions": each.questions,
        f"recall@{k}": each.recall,
        "MRR": each.mrr,
        "nDCG@10": each.ndcg,
    }


def _shown(row: Row) -> dict[str, Any]:
    return {name: f"{value:.3f}" if isinstance(value, float) else value for name, value in row.items()}


def _misses(outcome: Outcome, k: int) -> bool:
    return not outcome.question.relevant <= set(outcome.ranked[:k])


def _missed(outcome: Outcome, k: int) -> dict[str, Any]:
    first = outcome.ranked[:k]
    return {
        "mode": outcome.mode,
        "id": outcome.question.id,
        "question": outcome.question.text,
        "missing": sorted(outcome.question.relevant.difference(first)),
        "found": list(first),
    }


def _hold(found: Sequence[Figures], least: float | None) -> None:
    below = [each for each in found if each.language == "all" and least is not None and each.recall < least]
    if below:
        raise CommandError(f"Recall in mode {below[0].mode} is {below[0].recall:.3f}, less than {least}.")

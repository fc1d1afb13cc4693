"""A file of questions: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django_wp_ai.exceptions import Invalid

FIELDS = frozenset({"id", "question", "language", "relevant", "answer_contains", "unanswerable"})
MAX_QUESTIONS = 10_000
MAX_QUESTION = 4000  # characters, as a search takes them


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """What a visitor asks, and the ids of all sources that answer it: of an unanswerable one, none.

    ``answer_contains`` is what a right answer says, word for word.
    """

    id: str
    text: str
    language: str
    relevant: frozenset[str]
    answer_contains: str = ""

    @property
    def is_answerable(self) -> bool:
        """Whether there is something to be found."""
        return bool(self.relevant)


def parse(text: str) -> list[EvalQuestion]:
    """The questions of a JSON-lines text; raises Invalid that names the first line that is wrong, and why."""
    found: dict[str, EvalQuestion] = {}
    # Only these end a line: JSON text may hold other characters that ``splitlines`` parts at.
    for number, line in enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), 1):
        if not line.strip():
            continue
        question = _question(line, number)
        if question.id in found:
            raise _wrong(number, f"the id {question.id!r} was there before")
        found[question.id] = question
        if len(found) > MAX_QUESTIONS:
            raise Invalid(f"There are more than {MAX_QUESTIONS} questions.")
    if not found:
        raise Invalid("There is no question.")
    return list(found.values())


def _question(line: str, number: int) -> EvalQuestion:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise _wrong(number, "it is no JSON") from None
    if not isinstance(row, dict):
        raise _wrong(number, "it is no object")
    if unknown := sorted(row.keys() - FIELDS):
        raise _wrong(number, f"{unknown[0][:40]!r} is no field; there are {', '.join(sorted(FIELDS))}")
    is_unanswerable = row.get("unanswerable", False)
    relevant = row.get("relevant", [])
    if not isinstance(is_unanswerable, bool):
        raise _wrong(number, "unanswerable is not true or false")
    if not isinstance(relevant, list) or not all(isinstance(each, str) and each for each in relevant):
        raise _wrong(number, "relevant is no list of source ids")
    if is_unanswerable == bool(relevant):
        raise _wrong(number, "a question has either relevant sources or is unanswerable")
    return EvalQuestion(
        id=_text(row, "id", number),
        text=_text(row, "question", number),
        language=_text(row, "language", number, default="-"),
        relevant=frozenset(relevant),
        answer_contains=_text(row, "answer_contains", number, default=""),
    )


def _text(row: Mapping[str, Any], name: str, number: int, *, default: str | None = None) -> str:
    value = row.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise _wrong(number, f"{name} is no text")
    if len(value) > MAX_QUESTION:
        raise _wrong(number, f"{name} has more than {MAX_QUESTION} characters")
    return value


def _wrong(number: int, why: str) -> Invalid:
    return Invalid(f"Line {number} of the questions: {why}.")

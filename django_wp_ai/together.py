"""Blocking work in steps, so that what several flows ask of a store at the same moment is asked at once.

A flow that is written as ``Steps`` is a generator: it yields what it asks (``yield from ask(...)``) and gets the
answer, or the failure raised where it asked. Driven ``alone`` it is an ordinary blocking function. Driven ``together``
with others, questions of one kind go to their store as one, while each flow keeps its own outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextvars import Context
from copy import copy
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

A = TypeVar("A")
P = ParamSpec("P")
Q = TypeVar("Q")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failed:
    """In the place of an outcome: what was raised."""

    error: BaseException


AnswerAll = Callable[[Sequence[Q]], Sequence[A | Failed]]
"""Answers questions of one kind, each with its own outcome in the same order; what it raises is raised for all."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and who answers it together with others of its kind."""

    answer_all: AnswerAll[Any, Any]
    question: Any


Steps = Generator[Asked, Any, T]


def ask(answer_all: AnswerAll[Q, A], question: Q) -> Steps[A]:
    """One question of a flow; gives its answer or raises its failure."""
    answer: A = yield Asked(answer_all, question)
    return answer


def each(answer: Callable[[Q], A], questions: Sequence[Q]) -> list[A | Failed]:
    """Answers one by one, for a store that can't answer several at once."""
    outcomes: list[A | Failed] = []
    for question in questions:
        try:
            outcomes.append(answer(question))
        except Exception as error:  # noqa: BLE001 - raised where it was asked
            outcomes.append(Failed(error))
    return outcomes


def alone(steps: Steps[T]) -> T:
    """Drive one flow to its end."""
    outcomes: Sequence[Any]
    try:
        asked = next(steps)
        while True:
            try:
                outcomes = asked.answer_all([asked.question])
            except BaseException as error:  # noqa: BLE001 - raised where it was asked
                outcomes = [Failed(error)]
            asked = _resume(steps, outcomes[0])
    except StopIteration as over:
        result: T = over.value
        return result


def blocking(flow: Callable[P, Steps[T]]) -> Callable[P, T]:
    """``flow`` as an ordinary function."""

    @wraps(flow)
    def driven(*args: P.args, **kwargs: P.kwargs) -> T:
        return alone(flow(*args, **kwargs))

    return driven


def own(error: BaseException) -> BaseException:
    """A copy for one of those that it is raised for: an error gathers the frames of whoever it passes."""
    try:
        copied = copy(error)
    except Exception:  # noqa: BLE001 - one that can't be made again is shared
        return error
    if type(copied) is not type(error):
        return error
    copied.__cause__, copied.__suppress_context__ = error.__cause__, error.__suppress_context__
    return copied.with_traceback(error.__traceback__)


def together(
    flows: Sequence[tuple[Context, Steps[T]]], *, after_failure: Callable[[], object] = bool
) -> list[T | Failed]:
    """Drive flows side by side, each step in the flow's own context; their outcomes, in order.

    What is asked for several runs in the context of the first of them. ``after_failure`` is called when a flow has
    failed, so that what broke under it does not break under the next.
    """
    over: dict[int, T | Failed] = {}
    turn: list[tuple[int, Any]] = [(number, None) for number in range(len(flows))]
    while turn:
        asked: dict[AnswerAll[Any, Any], list[tuple[int, Any]]] = {}
        for number, outcome in turn:
            context, steps = flows[number]
            try:
                one = context.run(_resume, steps, outcome)
            except StopIteration as end:
                over[number] = end.value
            except BaseException as error:  # noqa: BLE001 - this flow's outcome
                over[number] = Failed(error)
                after_failure()
            else:
                asked.setdefault(one.answer_all, []).append((number, one.question))
        turn = [
            answered
            for answer_all, questions in asked.items()
            for answered in _answered(flows[questions[0][0]][0], answer_all, questions)
        ]
    return [over[number] for number in range(len(flows))]


def _resume(steps: Steps[Any], outcome: Any) -> Asked:
    return steps.throw(outcome.error) if isinstance(outcome, Failed) else steps.send(outcome)


def _answered(
    context: Context, answer_all: AnswerAll[Any, Any], asked: Sequence[tuple[int, Any]]
) -> list[tuple[int, Any]]:
    numbers = [number for number, _ in asked]
    try:
        outcomes = context.run(answer_all, [question for _, question in asked])
    except BaseException as error:  # noqa: BLE001 - raised for each where it was asked
        return [(number, Failed(own(error))) for number in numbers]
    return list(zip(numbers, outcomes, strict=True))

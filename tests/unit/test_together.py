"""Blocking work in steps: alone an ordinary function, together asked at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from django_wp_ai.together import Failed, Steps, alone, ask, blocking, each, together

marked: ContextVar[str] = ContextVar("marked", default="")


class Store:
    """Doubles numbers; refuses 13, and is away for parties with a 99."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def double(self, numbers: Sequence[int]) -> list[int | Failed]:
        self.asked.append(list(numbers))
        if 99 in numbers:
            raise ConnectionError
        return [Failed(ValueError(number)) if number == 13 else 2 * number for number in numbers]


def twice(store: Store, number: int) -> Steps[int]:
    doubled = yield from ask(store.double, number)
    return (yield from ask(store.double, doubled))


def mended(store: Store, number: int) -> Steps[str]:
    try:
        yield from ask(store.double, number)
    except (ValueError, ConnectionError) as error:
        return type(error).__name__
    return "well"


def driven(*flows: Steps[Any]) -> list[Any]:
    outcomes = together([(copy_context(), flow) for flow in flows])
    return [type(one.error) if isinstance(one, Failed) else one for one in outcomes]


def test_alone_a_flow_is_an_ordinary_function() -> None:
    store = Store()
    assert blocking(twice)(store, 1) == 4
    assert alone(mended(store, 13)) == "ValueError"
    assert alone(mended(store, 99)) == "ConnectionError"
    with pytest.raises(ValueError, match="13"):
        alone(twice(store, 13))


def test_together_each_step_is_asked_once_for_all() -> None:
    store = Store()
    assert driven(twice(store, 1), twice(store, 2), mended(store, 3)) == [4, 8, "well"]
    assert store.asked == [[1, 2, 3], [2, 4]]


def test_a_failure_of_one_is_its_own() -> None:
    store = Store()
    assert driven(twice(store, 1), twice(store, 13), mended(store, 13)) == [4, ValueError, "ValueError"]
    assert store.asked == [[1, 13, 13], [2]]


def test_a_store_that_is_away_is_away_for_all_who_asked_it() -> None:
    store, other = Store(), Store()
    assert driven(twice(store, 1), mended(store, 99), twice(other, 1)) == [ConnectionError, "ConnectionError", 4]


def test_flows_that_ask_nothing_and_flows_that_raise_end_at_once() -> None:
    def plain(number: int) -> Steps[int]:
        yield from ()
        return 1 // number

    assert driven(plain(1), plain(0)) == [1, ZeroDivisionError]
    assert driven() == []


def test_each_step_runs_in_its_flows_own_context() -> None:
    def named(store: Store) -> Steps[str]:
        yield from ask(store.double, 1)
        return marked.get()

    store, flows = Store(), []
    for name in ("a", "b"):
        marked.set(name)
        flows.append((copy_context(), named(store)))
    marked.set("")
    assert together(flows) == ["a", "b"]


def test_what_can_only_be_answered_one_by_one_fails_one_by_one() -> None:
    outcomes = each(lambda number: 1 // number, [1, 0])
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], Failed)


def test_each_gets_an_error_of_its_own_from_a_store_that_failed_for_all() -> None:
    def broken(_: Sequence[Any]) -> list[Any]:
        raise ValueError("down")

    flows = [(copy_context(), ask(broken, number)) for number in range(2)]
    first, second = together(flows)
    assert isinstance(first, Failed)
    assert isinstance(second, Failed)
    assert repr(first.error) == repr(second.error) == "ValueError('down')"
    assert first.error is not second.error


def test_what_broke_under_one_flow_is_mended_before_the_next() -> None:
    mended: list[str] = []

    def failing() -> Steps[None]:
        raise ValueError
        yield

    together([(copy_context(), failing()), (copy_context(), failing())], after_failure=lambda: mended.append("once"))
    assert mended == ["once", "once"]


def test_a_store_is_asked_in_the_context_of_the_first_who_asks() -> None:
    named: ContextVar[str] = ContextVar("named", default="nobody")
    seen: list[str] = []

    def answer(questions: Sequence[Any]) -> list[Any]:
        seen.append(named.get())
        return list(questions)

    contexts = [copy_context(), copy_context()]
    for context, name in zip(contexts, ("first", "second"), strict=True):
        context.run(named.set, name)
    assert together([(context, ask(answer, 1)) for context in contexts]) == [1, 1]
    assert seen == ["first"]

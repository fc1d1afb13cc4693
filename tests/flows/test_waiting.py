"""Waiting for money that is held for others."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from django_wp_ai.exceptions import BudgetExceeded
from django_wp_ai.gateway import waiting
from django_wp_ai.models import Tenant
from tests.factories import TenantFactory

HELD, SPENT = BudgetExceeded(retry_after_s=1.0), BudgetExceeded()


class Till:
    """Gives each in turn: raises what is an error, returns the rest; the last for ever."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self) -> Any:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def asked_again(till: Till) -> None:
    """Wait until a call stands first in line."""

    def wait() -> None:
        while till.asked < 2:
            time.sleep(0.001)

    await asyncio.to_thread(wait)


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.build(pk=1)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "ASK_AGAIN_S", 0.001)


def wait(settings: Any, seconds: float) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "BUDGET_WAIT_S": seconds}


async def test_a_call_that_the_budget_covers_waits_for_nothing(tenant: Tenant) -> None:
    assert await waiting.covered(tenant, Till("call")) == "call"


async def test_money_that_is_held_is_waited_for(tenant: Tenant, settings: Any) -> None:
    wait(settings, 600)
    till = Till(HELD, HELD, HELD, "call")
    assert await waiting.covered(tenant, till) == "call"
    assert till.asked == 4


@pytest.mark.parametrize("answers", [(SPENT,), (HELD, HELD, SPENT)])
async def test_money_that_is_spent_is_not_waited_for(tenant: Tenant, settings: Any, answers: Any) -> None:
    wait(settings, 600)
    till = Till(*answers)
    with pytest.raises(BudgetExceeded) as refused:
        await waiting.covered(tenant, till)
    assert refused.value is SPENT
    assert till.asked == len(answers)


async def test_the_wait_has_an_end_and_can_be_turned_off(tenant: Tenant, settings: Any) -> None:
    for seconds, at_least in ((0, 1), (0.02, 2)):
        wait(settings, seconds)
        till = Till(HELD)
        with pytest.raises(BudgetExceeded):
            await waiting.covered(tenant, till)
        assert till.asked >= at_least
    wait(settings, 0)
    till = Till(HELD)
    with pytest.raises(BudgetExceeded):
        await waiting.covered(tenant, till)
    assert till.asked == 1


async def test_who_waits_too_long_in_the_line_is_refused_and_the_line_goes_on(tenant: Tenant, settings: Any) -> None:
    wait(settings, 600)
    slow = Till(HELD)
    first = asyncio.ensure_future(waiting.covered(tenant, slow))
    await asked_again(slow)
    wait(settings, 0.01)
    second = Till(HELD)
    with pytest.raises(BudgetExceeded):
        await waiting.covered(tenant, second)
    assert second.asked == 1  # only the first in line asks again
    assert await waiting.covered(TenantFactory.build(pk=2), Till(HELD, "call")) == "call"
    slow._answers = ["call"]
    assert await first == "call"


async def test_one_that_leaves_the_line_lets_the_next_one_in(tenant: Tenant, settings: Any) -> None:
    wait(settings, 600)
    stuck = Till(HELD)
    first = asyncio.ensure_future(waiting.covered(tenant, stuck))
    await asked_again(stuck)
    second = asyncio.ensure_future(waiting.covered(tenant, Till(HELD, "call")))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "call"

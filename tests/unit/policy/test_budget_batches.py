"""Several calls' rows changed in one statement: each keeps an outcome of its own."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.test.utils import CaptureQueriesContext

from django_wp_ai.exceptions import BudgetExceeded
from django_wp_ai.models import BudgetAlert, BudgetPeriod, Tenant, UsageEvent
from django_wp_ai.policy import budget_batches
from django_wp_ai.policy.budget_changes import Opening, Settling
from tests.factories import TenantFactory
from tests.unit.policy.contention import opened, opened_together, outcome, pending_row, settled, settled_together

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

USD = Decimal("0.1")


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create(budget_month_usd=Decimal(1), budget_day_usd=Decimal("0.5"))


def month(tenant: Tenant) -> tuple[Decimal, Decimal]:
    row = BudgetPeriod.objects.for_tenant(tenant).get(kind="month")
    return row.spent_usd, row.reserved_usd


def statements(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if "usageevent" in query["sql"].lower()]


def test_rows_are_the_same_as_those_of_calls_alone(tenant: Tenant) -> None:
    rows = [opened(tenant, USD), *opened_together([tenant, tenant], USD)]
    for one, several in zip(fields(rows[0].event), fields(rows[1].event), strict=True):
        assert one == several
    assert settled(rows[0], USD)
    assert settled_together(rows[1:], USD) == [True, True]
    for one, several in zip(fields(rows[0].event), fields(rows[2].event), strict=True):
        assert one == several
    assert month(tenant) == (3 * USD, 0)


def fields(event: UsageEvent) -> list[tuple[str, Any]]:
    own = {"id", "call_id", "created_at", "settled_at"}
    return [(field.name, getattr(event, field.attname)) for field in event._meta.fields if field.name not in own]


def test_one_statement_opens_all_and_one_settles_all(tenant: Tenant) -> None:
    settled_together(opened_together([tenant, tenant], Decimal(0)), Decimal(0))  # the counters are known now
    with CaptureQueriesContext(connection) as queries:
        held = opened_together([tenant] * 5, USD)
    assert len(statements(queries)) == 1
    with CaptureQueriesContext(connection) as queries:
        assert settled_together(held, USD) == [True] * 5
    assert len(statements(queries)) == 1


def test_calls_of_a_party_are_refused_one_by_one_in_their_order(tenant: Tenant) -> None:
    outcomes = opened_together([tenant] * 7, USD)
    assert [isinstance(one, BudgetExceeded) for one in outcomes] == [False] * 5 + [True] * 2
    assert str(outcomes[5]) == "The daily budget of 0.5 USD does not cover the call."
    assert outcomes[5].retry_after_s  # it is held, not spent
    assert month(tenant) == (0, 5 * USD)
    assert UsageEvent.objects.count() == 5


def test_a_budget_that_is_used_up_holds_up_nobody_else_of_the_party(tenant: Tenant) -> None:
    rich, free = TenantFactory.create(budget_day_usd=Decimal(9)), TenantFactory.create()
    opened(tenant, 5 * USD)
    outcomes = opened_together([rich, tenant, free, rich], USD)
    assert [isinstance(one, BudgetExceeded) for one in outcomes] == [False, True, False, False]
    assert outcomes[2].event.reserved_usd is None
    assert BudgetPeriod.objects.for_tenant(rich).get(kind="day").reserved_usd == 2 * USD


def test_each_call_is_held_to_the_budget_that_it_knows(tenant: Tenant) -> None:
    """The tenant's budget was raised between the look-ups of two calls."""
    raised = Tenant.objects.get(pk=tenant.pk)
    raised.budget_day_usd = Decimal(1)
    outcomes = opened_together([raised, tenant, raised], 2 * USD)
    assert [isinstance(one, BudgetExceeded) for one in outcomes] == [False, True, False]
    assert month(tenant) == (0, 4 * USD)


@pytest.mark.parametrize("wrong", [{"route": "x" * 500}, {"credential_id": "none"}, {"plugin": "\x00"}])
def test_a_row_that_the_database_refuses_fails_alone(tenant: Tenant, wrong: dict[str, Any]) -> None:
    openings = [opening(tenant), opening(tenant, **wrong), opening(tenant)]
    outcomes = budget_batches.open_rows(openings)
    assert [type(one).__name__ for one in outcomes] == ["Opened", "Failed", "Opened"]
    assert UsageEvent.objects.count() == 2


def opening(tenant: Tenant, **wrong: Any) -> Opening:
    return Opening(pending_row(tenant, **wrong), (), None)


def test_a_settlement_that_the_database_refuses_fails_alone(tenant: Tenant) -> None:
    held = opened_together([tenant] * 3, USD)
    changes = [outcome(USD), outcome(USD, input_tokens=-1), outcome(USD)]
    asked = [Settling(one.call_id, change, ()) for one, change in zip(held, changes, strict=True)]
    outcomes = budget_batches.settle_rows(asked)
    assert [type(one).__name__ for one in outcomes] == ["Settled", "Failed", "Settled"]
    assert isinstance(outcomes[1].error, IntegrityError)  # type: ignore[union-attr]  # it is the Failed one
    assert [one.event.state for one in held] == ["settled", "pending", "settled"]


def test_counters_that_are_gone_are_made_anew(tenant: Tenant) -> None:
    other = TenantFactory.create(budget_day_usd=Decimal(1))
    settled_together(opened_together([tenant, other], USD), USD)
    BudgetPeriod.objects.for_tenant(tenant).delete()
    held = opened_together([tenant, other, tenant], USD)
    assert month(tenant) == (USD, 2 * USD)
    BudgetPeriod.objects.for_tenant(tenant).delete()
    assert settled_together(held, USD) == [True] * 3
    assert month(tenant)[0] == 3 * USD
    assert BudgetPeriod.objects.for_tenant(other).get(kind="day").spent_usd == 2 * USD


def test_what_was_settled_already_is_not_charged_again(tenant: Tenant) -> None:
    first, second = opened_together([tenant, tenant], USD)
    assert settled(first, USD)
    assert settled_together([first, second], USD) == [False, True]
    assert month(tenant) == (2 * USD, 0)


def test_a_party_that_brings_a_budget_near_its_end_is_told_once(tenant: Tenant) -> None:
    settled_together(opened_together([tenant] * 5, USD), USD)
    assert BudgetAlert.objects.for_tenant(tenant).get(kind="day").spent_usd == 5 * USD


def test_where_calls_waited_in_a_circle_each_tries_again_alone(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    from psycopg.errors import DeadlockDetected

    def gives_way(*_: Any, **__: Any) -> Any:
        raise OperationalError from DeadlockDetected()

    monkeypatch.setattr(budget_batches, "run", gives_way)
    held = opened_together([tenant, tenant], USD)
    assert settled_together(held, USD) == [True, True]
    assert month(tenant) == (2 * USD, 0)


def test_a_database_that_is_away_is_asked_once_for_all(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def away(*_: Any, **__: Any) -> Any:
        asked.append(1)
        raise OperationalError("away")

    held = opened_together([tenant, tenant], USD)
    monkeypatch.setattr(budget_batches, "run", away)
    assert [type(one) for one in opened_together([tenant] * 4, USD)] == [OperationalError] * 4
    assert [type(one) for one in settled_together(held, USD)] == [OperationalError] * 2
    assert len(asked) == 2
    assert month(tenant) == (0, 2 * USD)


def test_statements_look_rows_up_by_their_index(tenant: Tenant) -> None:
    """A ledger of millions of rows must not be read for a settlement."""
    opened(tenant, USD)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_wp_ai_usageevent SELECT (populated).* FROM (SELECT json_populate_record(event, "
            "json_build_object('id', event.id + number, 'call_id', gen_random_uuid())) AS populated "
            "FROM django_wp_ai_usageevent AS event, generate_series(1, 20000) AS number) AS rows"
        )
        cursor.execute("ANALYZE django_wp_ai_usageevent")
        values = dict.fromkeys(("ids", "spent", "released"), "{}") | {
            "calls": "{}",
            "rows": f'[{{"call_id": "{uuid.uuid4()}"}}]',
        }
        cursor.execute(f"EXPLAIN {budget_batches._SETTLE}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan on django_wp_ai_usageevent" not in plan

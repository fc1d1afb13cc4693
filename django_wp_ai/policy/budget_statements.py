"""A call's row and its counters, changed in one statement each way: what PostgreSQL does for the two hottest writes.

Written by hand, because Django's way takes a transaction of up to ten statements and more processor time than all the
rest of a call. How one statement can be right under concurrency:

* ``locked`` takes the counters' row locks in the order of their ids, before anything is changed, so calls that share
  counters queue and never wait in a circle. A lock that had to be waited for shows the row as it is then, so all
  sums are up to date, whatever snapshot the statement began with.
* Part of a statement can't be rolled back, so ``verdict`` looks at every budget first; nothing is held, and no row is
  written, unless all budgets fit.
* Settling changes the usage row first: who comes second finds it settled and touches no counter.

Both read whether every counter they were told of exists; an id that a process remembers may be of a row that is gone.

Values go beside the statement, all of them as text, and the server reads each as its column's type. So a statement is
the same one whatever its values are, and where the host sets psycopg's ``prepare_threshold``, its plan is made once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connections, router, transaction

from django_wp_ai.models import UsageEvent
from django_wp_ai.policy.budget_changes import Charge, Hold, Opened, Settled

#: Of a usage row as it is opened.
COLUMNS = """
    call_id, tenant_id, credential_id, state, route, provider, model, end_user, plugin, request_id, trace_id, step,
    prompt_template, streamed, cached, estimated, input_tokens, output_tokens, cached_input_tokens, cache_write_tokens,
    reasoning_tokens, finish_reason, error_code, held_periods, created_at, reserved_usd
"""
_VALUES = """
    %(call_id)s, %(tenant_id)s, %(credential_id)s, 'pending', %(route)s, %(provider)s, %(model)s, %(end_user)s,
    %(plugin)s, %(request_id)s, %(trace_id)s, %(step)s, %(prompt_template)s, %(streamed)s, false, false, 0, 0, 0, 0, 0,
    '', '', to_jsonb(%(ids)s::bigint[]), %(created_at)s, %(amount)s::numeric
"""

_OPEN = f"INSERT INTO django_wp_ai_usageevent ({COLUMNS}) VALUES ({_VALUES}) RETURNING true"  # noqa: S608 - our own columns

_OPEN_WITHIN_BUDGETS = f"""
WITH asked AS (
    SELECT * FROM unnest(%(ids)s::bigint[], %(budgets)s::numeric[]) AS asked (id, budget)
), locked AS (
    SELECT period.id, period.spent_usd, period.reserved_usd,
           ROUND(period.spent_usd + period.reserved_usd + %(amount)s::numeric, 9) <= asked.budget AS fits
    FROM django_wp_ai_budgetperiod AS period JOIN asked ON asked.id = period.id
    ORDER BY period.id
    FOR NO KEY UPDATE OF period
), verdict AS (
    SELECT count(*) = cardinality(%(ids)s::bigint[]) AND bool_and(fits) AS opens FROM locked
), held AS (
    UPDATE django_wp_ai_budgetperiod AS period
    SET reserved_usd = ROUND(period.reserved_usd + %(amount)s::numeric, 9)
    FROM locked, verdict
    WHERE period.id = locked.id AND verdict.opens
), opened AS (
    INSERT INTO django_wp_ai_usageevent ({COLUMNS})
    SELECT {_VALUES} FROM verdict WHERE opens
)
SELECT verdict.opens, locked.id, locked.fits, locked.spent_usd, locked.reserved_usd
FROM verdict LEFT JOIN locked ON NOT verdict.opens
"""  # noqa: S608 - our own columns

_SETTLE = """
WITH charge AS (
    SELECT *
    FROM unnest(%(ids)s::bigint[], %(spent)s::numeric[], %(released)s::numeric[]) AS charge (id, spent, released)
), known AS (
    SELECT count(*) = cardinality(%(ids)s::bigint[]) AS complete
    FROM django_wp_ai_budgetperiod AS period JOIN charge ON charge.id = period.id
), mine AS (
    UPDATE django_wp_ai_usageevent SET
        state = 'settled', settled_at = %(settled_at)s, provider = %(provider)s, model = %(model)s,
        input_tokens = %(input_tokens)s, output_tokens = %(output_tokens)s,
        cached_input_tokens = %(cached_input_tokens)s, cache_write_tokens = %(cache_write_tokens)s,
        reasoning_tokens = %(reasoning_tokens)s,
        input_price = %(input_price)s, output_price = %(output_price)s,
        cached_input_price = %(cached_input_price)s, cache_write_price = %(cache_write_price)s,
        cost_usd = %(cost_usd)s, estimated = %(estimated)s, finish_reason = %(finish_reason)s,
        error_code = %(error_code)s, provider_status = %(provider_status)s,
        latency_ms = %(latency_ms)s, first_token_ms = %(first_token_ms)s
    WHERE call_id = %(call_id)s AND state = 'pending' AND (SELECT complete FROM known)
    RETURNING id
), locked AS (
    SELECT period.id FROM django_wp_ai_budgetperiod AS period
    WHERE period.id = ANY(%(ids)s::bigint[]) AND EXISTS (SELECT FROM mine)
    ORDER BY period.id
    FOR NO KEY UPDATE OF period
), charged AS (
    UPDATE django_wp_ai_budgetperiod AS period
    SET spent_usd = ROUND(period.spent_usd + charge.spent, 9),
        reserved_usd = ROUND(GREATEST(period.reserved_usd - charge.released, 0), 9)
    FROM locked JOIN charge ON charge.id = locked.id
    WHERE period.id = locked.id
    RETURNING period.id, period.spent_usd
)
SELECT known.complete, (SELECT count(*) FROM mine), charged.id, charged.spent_usd
FROM known LEFT JOIN charged ON true
"""


def open_row(row: Mapping[str, Any], holds: Sequence[Hold], amount_usd: Decimal | None) -> Opened:
    """Write a pending row if ``amount_usd`` fits every budget of ``holds``, and hold it in them."""
    ids = [hold.pk for hold in holds]
    values = {**row, "ids": array(ids), "amount": amount_usd if holds else None}
    if not holds:
        run(_OPEN, values)
        return Opened(True)
    rows = run(_OPEN_WITHIN_BUDGETS, values | {"budgets": array(hold.within_usd for hold in holds)})
    if rows[0][0]:
        return Opened(True)
    found = {pk: (fits, spent, reserved) for _, pk, fits, spent, reserved in rows if pk is not None}
    return Opened(
        False,
        missing=tuple(pk for pk in ids if pk not in found),
        refused={pk: (spent, reserved) for pk, (fits, spent, reserved) in found.items() if not fits},
    )


def settle_row(call_id: UUID, changes: Mapping[str, Any], charges: Sequence[Charge]) -> Settled:
    """Turn a pending row into a settled one and charge its counters; nothing where it is settled, or one is missing."""
    values = {
        **changes,
        "call_id": call_id,
        "ids": array(charge.pk for charge in charges),
        "spent": array(charge.spent_usd for charge in charges),
        "released": array(charge.released_usd for charge in charges),
    }
    rows = run(_SETTLE, values)
    complete, mine = rows[0][:2]
    return Settled(bool(mine), complete=complete, spent={pk: spent for _, _, pk, spent in rows if pk is not None})


def array(values: Iterable[int | Decimal | UUID]) -> str:
    """As PostgreSQL reads one."""
    return f"{{{','.join(map(str, values))}}}"


def run(statement: str, values: Mapping[str, Any], *, is_planned_once: bool = True) -> list[tuple[Any, ...]]:
    """Its rows; one that is not planned once is planned for these values alone."""
    alias = router.db_for_write(UsageEvent)
    connection = connections[alias]
    texts = {name: None if value is None else str(value) for name, value in values.items()}
    # A statement needs no transaction; one that a caller has must survive a statement that fails.
    with transaction.atomic(alias) if connection.in_atomic_block else nullcontext(), connection.cursor() as cursor:
        cursor.cursor = _cursor_class(is_planned_once)(connection.connection)  # Django's writes values into the text
        cursor.execute(statement, texts)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


@cache
def _cursor_class(is_planned_once: bool) -> type[Any]:
    from psycopg import Cursor

    class Unprepared(Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            return super().execute(query, params, **options, prepare=False)

    return Cursor if is_planned_once else Unprepared

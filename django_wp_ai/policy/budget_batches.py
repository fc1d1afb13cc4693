"""Rows of several calls and their counters, changed in one statement: one commit for all that came during the last one.

As ``budget_statements``, whose reasons hold here too, but of many calls: counters are locked in the order of their ids,
and every budget is looked at before anything is held. A call opens here only if its budgets have room for *all* calls
of the batch, so whichever of them open, no budget is passed. What does not open or settle here is looked at alone
afterwards, and so is every call of a batch of which one has values that PostgreSQL refuses.

Which plan is right depends on how many calls there are and how large the ledger is, so these are planned each time: it
costs less than one call does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.db import DataError, IntegrityError, OperationalError

from django_wp_ai.policy.budget_changes import Opened, Opening, Settled, Settling
from django_wp_ai.policy.budget_statements import COLUMNS, array, open_row, run, settle_row
from django_wp_ai.together import Failed, each

Q = TypeVar("Q")
A = TypeVar("A")

DEADLOCK = "40P01"

_OPEN = f"""
WITH hold AS (
    SELECT * FROM unnest(%(calls)s::uuid[], %(ids)s::bigint[], %(budgets)s::numeric[], %(amounts)s::numeric[])
        AS hold (call_id, id, budget, amount)
), locked AS (
    SELECT period.id, period.spent_usd + period.reserved_usd AS used
    FROM django_wp_ai_budgetperiod AS period
    WHERE period.id = ANY(%(ids)s::bigint[])
    ORDER BY period.id
    FOR NO KEY UPDATE OF period
), wanted AS (
    SELECT id, sum(amount) AS amount FROM hold GROUP BY id
), verdict AS (
    SELECT hold.call_id, bool_and(locked.id IS NOT NULL AND ROUND(used + wanted.amount, 9) <= hold.budget) AS opens
    FROM hold JOIN wanted USING (id) LEFT JOIN locked USING (id)
    GROUP BY hold.call_id
), kept AS (
    SELECT hold.id, sum(hold.amount) AS amount
    FROM hold JOIN verdict USING (call_id)
    WHERE verdict.opens
    GROUP BY hold.id
), held AS (
    UPDATE django_wp_ai_budgetperiod AS period
    SET reserved_usd = ROUND(period.reserved_usd + kept.amount, 9)
    FROM kept
    WHERE period.id = kept.id
)
INSERT INTO django_wp_ai_usageevent ({COLUMNS})
SELECT
    call_id, tenant_id, credential_id, 'pending', route, provider, model, end_user, plugin, request_id, trace_id, step,
    prompt_template, streamed, false, false, 0, 0, 0, 0, 0, '', '', held_periods, created_at, reserved_usd
FROM json_populate_recordset(NULL::django_wp_ai_usageevent, %(rows)s::json) LEFT JOIN verdict USING (call_id)
WHERE verdict.opens IS NOT FALSE
RETURNING call_id
"""  # noqa: S608 - our own columns

_SETTLE = """
WITH charge AS (
    SELECT * FROM unnest(%(calls)s::uuid[], %(ids)s::bigint[], %(spent)s::numeric[], %(released)s::numeric[])
        AS charge (call_id, id, spent, released)
), incomplete AS (
    SELECT charge.call_id
    FROM charge LEFT JOIN django_wp_ai_budgetperiod AS period ON period.id = charge.id
    WHERE period.id IS NULL
), mine AS (
    UPDATE django_wp_ai_usageevent AS event SET
        state = 'settled', settled_at = change.settled_at, provider = change.provider, model = change.model,
        input_tokens = change.input_tokens, output_tokens = change.output_tokens,
        cached_input_tokens = change.cached_input_tokens, cache_write_tokens = change.cache_write_tokens,
        reasoning_tokens = change.reasoning_tokens,
        input_price = change.input_price, output_price = change.output_price,
        cached_input_price = change.cached_input_price, cache_write_price = change.cache_write_price,
        cost_usd = change.cost_usd, estimated = change.estimated, finish_reason = change.finish_reason,
        error_code = change.error_code, provider_status = change.provider_status,
        latency_ms = change.latency_ms, first_token_ms = change.first_token_ms
    FROM json_populate_recordset(NULL::django_wp_ai_usageevent, %(rows)s::json) AS change
    WHERE event.call_id = change.call_id AND event.state = 'pending'
        AND NOT EXISTS (SELECT FROM incomplete WHERE incomplete.call_id = change.call_id)
    RETURNING event.call_id
), total AS (
    SELECT charge.id, sum(charge.spent) AS spent, sum(charge.released) AS released
    FROM charge JOIN mine USING (call_id)
    GROUP BY charge.id
), locked AS (
    SELECT period.id FROM django_wp_ai_budgetperiod AS period
    WHERE period.id = ANY(%(ids)s::bigint[]) AND EXISTS (SELECT FROM total WHERE total.id = period.id)
    ORDER BY period.id
    FOR NO KEY UPDATE OF period
), charged AS (
    UPDATE django_wp_ai_budgetperiod AS period
    SET spent_usd = ROUND(period.spent_usd + total.spent, 9),
        reserved_usd = ROUND(GREATEST(period.reserved_usd - total.released, 0), 9)
    FROM locked JOIN total USING (id)
    WHERE period.id = locked.id
    RETURNING period.id, period.spent_usd
)
SELECT call_id, NULL AS id, NULL AS spent_usd FROM mine UNION ALL SELECT NULL, id, spent_usd FROM charged
"""


def open_rows(openings: Sequence[Opening]) -> list[Opened | Failed]:
    """Open these; one alone as ever."""
    opened = _open_all(openings) if len(openings) > 1 else frozenset()
    return _else_alone(openings, _open_alone, [Opened(True) if _id_of(one) in opened else None for one in openings])


def settle_rows(settlings: Sequence[Settling]) -> list[Settled | Failed]:
    """Settle these; one alone as ever."""
    settled = _settle_all(settlings) if len(settlings) > 1 else {}
    return _else_alone(settlings, _settle_alone, [settled.get(one.call_id) for one in settlings])


def _open_alone(one: Opening) -> Opened:
    return open_row(one.row, one.holds, one.amount_usd)


def _settle_alone(one: Settling) -> Settled:
    return settle_row(one.call_id, one.changes, one.charges)


def _id_of(opening: Opening) -> UUID:
    call_id: UUID = opening.row["call_id"]
    return call_id


def _open_all(openings: Sequence[Opening]) -> frozenset[UUID]:
    """The ids of those that are open now."""
    held = [(_id_of(one), hold, one.amount_usd) for one in openings for hold in one.holds]
    rows = [
        {
            **one.row,
            "reserved_usd": one.amount_usd if one.holds else None,
            "held_periods": [hold.pk for hold in one.holds],
        }
        for one in openings
    ]
    values = {
        "calls": array(call_id for call_id, _, _ in held),
        "ids": array(hold.pk for _, hold, _ in held),
        "budgets": array(hold.within_usd for _, hold, _ in held),
        "amounts": array(amount for _, _, amount in held if amount is not None),
        "rows": json.dumps(rows, default=str),
    }
    return frozenset(call_id for (call_id,) in _at_once(_OPEN, values))


def _settle_all(settlings: Sequence[Settling]) -> dict[UUID, Settled]:
    """Those that are settled now."""
    charged = [(one.call_id, charge) for one in settlings for charge in one.charges]
    values = {
        "calls": array(call_id for call_id, _ in charged),
        "ids": array(charge.pk for _, charge in charged),
        "spent": array(charge.spent_usd for _, charge in charged),
        "released": array(charge.released_usd for _, charge in charged),
        "rows": json.dumps([{**one.changes, "call_id": one.call_id} for one in settlings], default=str),
    }
    found = _at_once(_SETTLE, values)
    settled = Settled(True, spent={pk: spent for _, pk, spent in found if pk is not None})
    return {call_id: settled for call_id, _, _ in found if call_id is not None}


def _at_once(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Its rows; none where it failed for what one call has in it, or gave way to others."""
    try:
        return run(statement, values, is_planned_once=False)
    except (DataError, IntegrityError):
        return []
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != DEADLOCK:
            raise
        return []


def _else_alone(asked: Sequence[Q], alone: Callable[[Q], A], known: Sequence[A | None]) -> list[A | Failed]:
    """What is known, and the outcome of each alone where nothing is."""
    rest = iter(each(alone, [one for one, outcome in zip(asked, known, strict=True) if outcome is None]))
    return [next(rest) if outcome is None else outcome for outcome in known]

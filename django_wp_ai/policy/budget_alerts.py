"""When a budget is used so far that somebody must know: noted once for each budget and period, told by ``gateway``."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from decimal import Decimal

from django.db import connections, router

from django_wp_ai.models import BudgetAlert
from django_wp_ai.policy.budget_scope import Counted, Key

logger = logging.getLogger("django_wp_ai.policy")

NEAR = Decimal("0.8")  # of a hard budget
MAX_NOTED = 20_000

_noted: set[tuple[Key, str]] = set()


def consider(counters: Iterable[tuple[Counted, Decimal]]) -> None:
    """Note what is used up of each counter's budgets; ``Decimal`` is what is spent in it.

    Far below its budgets a counter costs a comparison, above them too: a process remembers what it has noted. (Not on
    SQLite, which may give the same keys again after a rollback.)
    """
    for one, spent_usd in counters:
        if not spent_usd:
            continue
        if one.soft_usd is not None and spent_usd >= one.soft_usd:
            _note(one, BudgetAlert.Level.SOFT, one.soft_usd, spent_usd)
        if one.hard_usd is not None and spent_usd >= NEAR * one.hard_usd:
            _note(one, BudgetAlert.Level.NEAR, one.hard_usd, spent_usd)


def _note(one: Counted, level: BudgetAlert.Level, budget_usd: Decimal, spent_usd: Decimal) -> None:
    noted = (one.key, level.value)
    if noted in _noted:
        return
    _, made = BudgetAlert.objects.get_or_create(
        tenant_id=one.tenant.pk,
        subject=one.subject,
        kind=one.kind,
        starts_at=one.starts_at,
        level=level,
        defaults={"budget_usd": budget_usd, "spent_usd": spent_usd},
    )
    if made:  # without the subject, which may name a person
        of = f" for one {one.applies_to.replace('_', ' ')}" if one.applies_to else ""
        logger.warning(
            "Tenant %s has spent %s USD of its %s budget%s of %s USD per %s.",
            one.tenant.slug,
            spent_usd,
            "hard" if level == BudgetAlert.Level.NEAR else "soft",
            of,
            budget_usd,
            one.kind,
        )
    if connections[router.db_for_write(BudgetAlert)].vendor == "postgresql":
        if len(_noted) > MAX_NOTED:
            _noted.clear()
        _noted.add(noted)

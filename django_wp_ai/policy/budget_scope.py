"""Which budgets a call falls under: its tenant's and those above it, its end user's, those of models that may answer.

Each is held against a counter of one day or month in the time zone of the tenant that has it. Whole tenants are counted
always; users and models are, where a ``Budget`` names them. A budget for models also binds the tenants below the one
that has it; one for end users does not, because ids of users are a site's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase

from django_wp_ai.models import Budget, BudgetPeriod, Tenant

DAY, MONTH = BudgetPeriod.Kind.DAY.value, BudgetPeriod.Kind.MONTH.value
END_USER, MODEL = Budget.AppliesTo.END_USER.value, Budget.AppliesTo.MODEL.value
MAX_SUBJECT = 160

Key = tuple[int, str, str, datetime]


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """One counter that a call falls under, and the budgets held against it.

    ``applies_to`` and ``name`` are those of the ``Budget`` (empty for the whole tenant). ``models`` are the targets of
    the call that the counter counts; None: whichever answers.
    """

    tenant: Tenant
    kind: str
    starts_at: datetime
    applies_to: str = ""
    name: str = ""
    hard_usd: Decimal | None = None
    soft_usd: Decimal | None = None
    models: frozenset[str] | None = None

    @property
    def subject(self) -> str:
        """As the counter's row says it; a name too long for that is hashed."""
        text = f"{self.applies_to}:{self.name}" if self.applies_to else ""
        if len(text) <= MAX_SUBJECT:
            return text
        return f"{self.applies_to}:sha256:{hashlib.sha256(self.name.encode('utf-8', 'surrogatepass')).hexdigest()}"

    @property
    def key(self) -> Key:
        """What its counter is found by."""
        return (self.tenant.pk, self.subject, self.kind, self.starts_at)

    @property
    def ends_at(self) -> datetime:
        """Where the next period starts; a local day has 23 to 25 hours, a month 28 to 31 days."""
        if self.kind == DAY:
            return self.tenant.start_of_day(self.starts_at + timedelta(hours=36)).astimezone(UTC)
        return self.tenant.start_of_month(self.starts_at + timedelta(days=32)).astimezone(UTC)

    def counts(self, model: str) -> bool:
        """Whether a call that ``model`` (``provider:model``) answered is counted here."""
        return self.models is None or model in self.models


def counted(tenant: Tenant, *, at: datetime, end_user: str = "", models: Sequence[str] = ()) -> list[Counted]:
    """Every counter of a call at ``at`` that one of ``models`` (``provider:model``) will answer."""
    found: list[Counted] = []
    for above in chain(tenant):
        day, month = _starts(above, at)
        found.append(Counted(above, DAY, day, hard_usd=above.budget_day_usd, soft_usd=above.soft_budget_day_usd))
        found.append(
            Counted(above, MONTH, month, hard_usd=above.budget_month_usd, soft_usd=above.soft_budget_month_usd)
        )
        if budgets := list(above.budgets.all()):
            whose = end_user if above is tenant else ""
            found += _of_parts(above, budgets, {DAY: day, MONTH: month}, whose, models)
    return found


def chain(tenant: Tenant) -> Iterator[Tenant]:
    """The tenant and each one above it, nearest first; a chain that returns to itself is walked once."""
    above: Tenant | None = tenant
    seen: set[int] = set()
    while above is not None and above.pk not in seen:
        seen.add(above.pk)
        yield above
        above = above.parent


def has_budget(tenant: Tenant) -> bool:
    """Whether a hard budget may bind calls of the tenant, so that a call's worst case must be known."""
    return any(
        above.budget_day_usd is not None
        or above.budget_month_usd is not None
        or any(budget.is_hard for budget in above.budgets.all())
        for above in chain(tenant)
    )


def matches(pattern: str, model: str) -> bool:
    """Whether a budget for ``pattern`` is one for ``model`` (``provider:model``); its bare name will do too."""
    names = (model, model.partition(":")[2])
    return pattern in names or any(fnmatchcase(name, pattern) for name in names)


def _of_parts(
    tenant: Tenant, budgets: Iterable[Budget], starts: dict[str, datetime], end_user: str, models: Sequence[str]
) -> list[Counted]:
    """Counters for end users and models; a hard and a soft budget of the same part share one."""
    amounts: dict[tuple[str, str, str], dict[bool, Decimal]] = {}
    answering: dict[tuple[str, str, str], set[str]] = {}
    for budget, name, model in _bound(list(budgets), end_user, models):
        part = (budget.applies_to, name, budget.period)
        known = amounts.setdefault(part, {})
        known[budget.is_hard] = min(known.get(budget.is_hard, budget.amount_usd), budget.amount_usd)
        answering.setdefault(part, set()).add(model)
    return [
        Counted(
            tenant,
            period,
            starts[period],
            applies_to,
            name,
            hard_usd=known.get(True),
            soft_usd=known.get(False),
            models=frozenset(answering[applies_to, name, period]) if applies_to == MODEL else None,
        )
        for (applies_to, name, period), known in amounts.items()
    ]


def _bound(budgets: Sequence[Budget], end_user: str, models: Sequence[str]) -> Iterator[tuple[Budget, str, str]]:
    """Budgets that bind the call, each with the name that is counted and the model it is for."""
    of_users = [budget for budget in budgets if budget.applies_to == END_USER]
    if end_user:
        named = [budget for budget in of_users if budget.name == end_user]
        for budget in (*named, *_for_each(of_users, named)):
            yield budget, end_user, ""
    of_models = [budget for budget in budgets if budget.applies_to == MODEL]
    for model in models:
        named = [budget for budget in of_models if budget.name and matches(budget.name, model)]
        for budget in named:
            yield budget, budget.name, model
        exactly = [budget for budget in named if budget.name in (model, model.partition(":")[2])]
        for budget in _for_each(of_models, exactly):
            yield budget, model, model


def _for_each(budgets: Sequence[Budget], named: Sequence[Budget]) -> list[Budget]:
    """Budgets of each one for itself, where none with its own name takes their place."""
    taken = {(budget.period, budget.is_hard) for budget in named}
    return [budget for budget in budgets if not budget.name and (budget.period, budget.is_hard) not in taken]


_last: dict[str, tuple[datetime, datetime, datetime]] = {}


def _starts(tenant: Tenant, at: datetime) -> tuple[datetime, datetime]:
    """Where the tenant's day and month began. Kept for each time zone, because every call asks for the same day."""
    known = _last.get(tenant.timezone)
    if known is None or not known[0] <= at < known[1]:
        day = tenant.start_of_day(at).astimezone(UTC)
        next_day = tenant.start_of_day(day + timedelta(hours=36)).astimezone(UTC)
        known = _last[tenant.timezone] = (day, next_day, tenant.start_of_month(at).astimezone(UTC))
    return known[0], known[2]

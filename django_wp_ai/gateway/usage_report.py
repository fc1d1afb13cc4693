"""What a tenant used in a time, by day, model, end user, …: one SQL statement over the ledger."""

from __future__ import annotations

import csv
import io
import unicodedata
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Tenant, UsageEvent

#: What rows may be grouped by; each is a column of the ledger but the day.
GROUPS = ("day", "model", "end_user", "plugin", "route", "provider")
MAX_SPAN = timedelta(days=400)
MAX_ROWS = 10_000
_SETTLED = UsageEvent.State.SETTLED
#: Each figure adds up, so that totals are sums of the groups' figures. Tokens and money are those of settled calls.
_FIGURES: Mapping[str, Count | Sum] = {
    "calls": Count("pk"),
    "pending": Count("pk", filter=Q(state=UsageEvent.State.PENDING)),
    "errors": Count("pk", filter=~Q(error_code="")),
    "cache_hits": Count("pk", filter=Q(cached=True)),
    "estimated": Count("pk", filter=Q(estimated=True)),
    "input_tokens": Sum("input_tokens", default=0),
    "output_tokens": Sum("output_tokens", default=0),
    "cached_input_tokens": Sum("cached_input_tokens", default=0),
    "cost_usd": Sum("cost_usd", default=Decimal(0)),
    "unknown_price": Count("pk", filter=Q(state=_SETTLED, cost_usd=None)),
}
FIGURES = tuple(_FIGURES)
_TOTAL = "total_"  # a sum can't have the name of its column
#: Where a spreadsheet begins to calculate; in a wide form too, which some take for the same.
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """Figures from ``start`` to before ``end``. ``cost_usd`` adds up known prices; calls without one are counted."""

    tenant: Tenant
    start: datetime
    end: datetime
    group_by: tuple[str, ...] = ()
    end_user: str = ""
    rows: list[Row] = field(default_factory=list)

    @property
    def columns(self) -> tuple[str, ...]:
        """What each row has, in order."""
        return (*self.group_by, *FIGURES)

    @property
    def totals(self) -> Row:
        """Sums of all rows."""
        nothing = {"cost_usd": Decimal(0)}
        return {name: sum((row[name] for row in self.rows), nothing.get(name, 0)) for name in FIGURES}


def report(
    tenant: Tenant, *, start: datetime, end: datetime, group_by: Sequence[str] = (), end_user: str = ""
) -> Report:
    """Blocking: figures of calls that began in the time, a row for each group, in the order of ``group_by``.

    Days are the tenant's own. ``end_user`` leaves out all others. Raises Invalid for a time or grouping that can't be.
    """
    _check(start, end, group_by)
    calls = UsageEvent.objects.for_tenant(tenant).filter(created_at__gte=start, created_at__lt=end)
    if end_user:
        calls = calls.filter(end_user=end_user)
    made = Report(tenant, start, end, tuple(group_by), end_user)
    figures = {f"{_TOTAL}{name}": figure for name, figure in _FIGURES.items()}
    if not group_by:
        made.rows.append(_row(calls.order_by().aggregate(**figures)))
        return made
    if "day" in group_by:
        calls = calls.annotate(day=TruncDate("created_at", tzinfo=zoneinfo.ZoneInfo(tenant.timezone)))
    grouped = calls.order_by(*group_by).values(*group_by).annotate(**figures)
    made.rows.extend(_row(row) for row in grouped[: MAX_ROWS + 1])
    if len(made.rows) > MAX_ROWS:
        raise _invalid("group_by", f"There are more than {MAX_ROWS} groups: choose a shorter time or group by less.")
    return made


def _row(found: Row) -> Row:
    return {name.removeprefix(_TOTAL): value for name, value in found.items()}


def _check(start: datetime, end: datetime, group_by: Sequence[str]) -> None:
    if end <= start:
        raise _invalid("to", "The end must lie after the beginning.")
    if end - start > MAX_SPAN:
        raise _invalid("to", f"At most {MAX_SPAN.days} days at once.")
    for name in group_by:
        if name not in GROUPS:
            raise _invalid("group_by", f"Choose of {', '.join(GROUPS)}, parted by commas.")
    if len(set(group_by)) < len(group_by):
        raise _invalid("group_by", "Name each group once.")


def as_csv(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Lines of RFC 4180 with a header; no cell begins a formula."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\r\n")
    for cells in (columns, *([_cell(row[column]) for column in columns] for row in rows)):
        writer.writerow(cells)
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def _cell(value: Any) -> str:
    """A figure as it is, money to the billionth; a text so that a spreadsheet shows it."""
    if isinstance(value, Decimal):
        return f"{value:.9f}"
    return safe_text(value) if isinstance(value, str) else str(value)


def safe_text(text: str) -> str:
    """``text``, with an apostrophe before it where a spreadsheet would begin to calculate.

    Tabs, line breaks and what can't be seen may stand before the sign.
    """
    if text[:1] in ("\t", "\r", "\n"):
        return f"'{text}"
    first = next((letter for letter in text if unicodedata.category(letter)[0] not in "CZ"), "")
    return f"'{text}" if first in _FORMULA else text


def _invalid(name: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": name, "message": message}], param=name)

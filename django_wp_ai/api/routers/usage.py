"""What a site used, and what remains of its limits and budgets."""

from __future__ import annotations

import zoneinfo
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router
from pydantic import BaseModel, Field

from django_wp_ai.api.auth import principal_of, site
from django_wp_ai.api.framing.plain import plain
from django_wp_ai.api.queries import require_known
from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import Principal
from django_wp_ai.gateway import remaining, usage_report
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.gateway.report_period import period

router = Router(tags=["usage"])


class UsageIn(BaseModel):
    """Which time, and how it is parted."""

    start: Annotated[str, Field(alias="from", max_length=40, description="A date, or a time (RFC 3339).")] = ""
    end: Annotated[str, Field(alias="to", max_length=40, description="A date is included, a time is not.")] = ""
    group_by: Annotated[
        str, Field(max_length=100, description=f"Of {', '.join(usage_report.GROUPS)}, parted by commas.")
    ] = ""
    format: Literal["json", "csv"] = "json"


PARAMETERS = frozenset({"from", "to", "group_by", "format"})


@router.get("usage", auth=site, summary="Usage", url_name="usage")
async def usage(request: HttpRequest, asked: Query[UsageIn]) -> Any:
    """Figures of a time with totals, and what remains of each limit and budget; as CSV the figures alone."""
    principal = principal_of(request)
    require_scope(principal, "usage")
    require_known(request, PARAMETERS)
    if asked.format == "csv":
        return _csv(await in_thread(_report, principal, asked))
    return await in_thread(_json, principal, asked)


def _report(principal: Principal, asked: UsageIn) -> usage_report.Report:
    """A proof that names an end user may be in a visitor's hands, so it shows that user's part."""
    start, end = period(principal.tenant, asked.start, asked.end)
    group_by = asked.group_by.split(",") if asked.group_by else ()
    return usage_report.report(
        principal.tenant,
        start=start,
        end=end,
        group_by=[name.strip() for name in group_by],
        end_user=principal.end_user,
    )


def _json(principal: Principal, asked: UsageIn) -> dict[str, Any]:
    made = _report(principal, asked)
    found: dict[str, Any] = plain(
        {
            "from": _local(made, made.start),
            "to": _local(made, made.end),
            "timezone": made.tenant.timezone,
            "group_by": made.group_by,
            "totals": made.totals,
            "groups": made.rows if made.group_by else [],
            "limits": [asdict(left) for left in remaining.limits_left(principal)],
            "budgets": [asdict(left) for left in remaining.budgets_left(principal)],
        }
    )
    return found


def _local(made: usage_report.Report, at: datetime) -> datetime:
    return timezone.localtime(at, zoneinfo.ZoneInfo(made.tenant.timezone))


def _csv(made: usage_report.Report) -> HttpResponse:
    lines = usage_report.as_csv(made.columns, made.rows)
    response = HttpResponse("".join(lines), content_type="text/csv; charset=utf-8")
    first, last = (f"{_local(made, at):%Y%m%dT%H%M}" for at in (made.start, made.end))
    response["Content-Disposition"] = f'attachment; filename="usage-{made.tenant.slug}-{first}-{last}.csv"'
    response["Cache-Control"] = "no-store"
    return response

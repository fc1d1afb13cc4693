"""``wp_ai_usage``: what tenants used in a time, as a table, JSON or CSV."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_wp_ai.gateway import usage_report
from django_wp_ai.gateway.report_period import period
from django_wp_ai.management import arguments
from django_wp_ai.management.commands.wp_ai_tenant import find_tenant
from django_wp_ai.management.reporting import ReportingCommand
from django_wp_ai.models import Tenant

SHOWN = ("calls", "input_tokens", "output_tokens", "cost_usd", "unknown_price", "cache_hits", "errors")


def groups(text: str) -> list[str]:
    """Names of groups parted by commas."""
    found = arguments.names(text)
    if unknown := [name for name in found if name not in usage_report.GROUPS]:
        raise ArgumentTypeError(f"{unknown[0][:40]!r} is no group; choose of {', '.join(usage_report.GROUPS)}.")
    return found


class Command(ReportingCommand):
    """Days and times are those of each tenant's time zone."""

    help = "Show what tenants used in a time."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of PROTOCOL §6; there are no verbs."""
        self.add_common(parser)
        parser.add_argument(
            "--from", dest="start", metavar="DATE", default="", help="A date or time; default: this month's first day."
        )
        parser.add_argument(
            "--to", dest="end", metavar="DATE", default="", help="A date, which is included, or a time; default: today."
        )
        parser.add_argument("--group-by", metavar="A,B", type=groups, default=[], help="day, model, end_user, …")
        parser.add_argument("--tenant", metavar="SLUG", help="One tenant; without it, all.")
        parser.add_argument("--csv", action="store_true", dest="as_csv", help="Print CSV.")
        parser.set_defaults(run=self.show)

    def show(
        self, *, start: str, end: str, group_by: list[str], tenant: str | None, as_csv: bool, **_options: Any
    ) -> None:
        """One row for each tenant and group."""
        if as_csv and self.as_json:
            raise CommandError("Choose one of --csv and --json.")
        tenants = [find_tenant(tenant)] if tenant else list(Tenant.objects.all())
        reports = [_report(one, start, end, group_by) for one in tenants]
        if self.as_json:
            self.report({"tenants": [_described(made) for made in reports]})
            return
        rows = [{"tenant": made.tenant.slug, **row} for made in reports for row in made.rows]
        if as_csv:
            columns = ("tenant", *group_by, *usage_report.FIGURES)
            for line in usage_report.as_csv(columns, rows):
                self.stdout.write(line, ending="")
            return
        self.report_table(rows, columns=("tenant", *group_by, *SHOWN), empty="Nothing was used in this time.")


def _report(tenant: Tenant, start: str, end: str, group_by: list[str]) -> usage_report.Report:
    first, last = period(tenant, start, end)
    return usage_report.report(tenant, start=first, end=last, group_by=group_by)


def _described(made: usage_report.Report) -> dict[str, Any]:
    return {
        "tenant": made.tenant.slug,
        "from": made.start,
        "to": made.end,
        "group_by": made.group_by,
        "totals": made.totals,
        "groups": made.rows if made.group_by else [],
    }

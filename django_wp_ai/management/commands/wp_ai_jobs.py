"""``wp_ai_jobs``: look at jobs, try them again, cancel and purge them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.utils import timezone

from django_wp_ai.exceptions import NotFound, WpAiError
from django_wp_ai.jobs import claims, ending, retention
from django_wp_ai.management import arguments, job_report
from django_wp_ai.management.commands.wp_ai_tenant import find_tenant
from django_wp_ai.management.reporting import ReportingCommand
from django_wp_ai.models import Job, Tenant

DEFAULT_LIMIT = 50
SEALED = ("input_sealed", "result_sealed", "metadata", "callback_context")


class Command(ReportingCommand):
    """Verbs list, show, retry, cancel, purge."""

    help = "Look at jobs, try them again, cancel and purge them."

    def add_verbs(self) -> None:
        """Declare the verbs of PROTOCOL §6."""
        listing = self.add_verb("list", "List jobs, the newest first, and how deep the queue is.", self.list_some)
        listing.add_argument("--tenant", metavar="SLUG")
        listing.add_argument("--status", choices=Job.Status.values)
        listing.add_argument("--kind", metavar="KIND", default="")
        listing.add_argument("--since", metavar="24h", type=arguments.duration, help="Created at most so long ago.")
        listing.add_argument("--limit", metavar="N", type=arguments.whole, default=DEFAULT_LIMIT)
        show = self.add_verb("show", "Show a job with its attempts, steps and callbacks.", self.show)
        show.add_argument("id", metavar="ID", type=arguments.uuid_of)
        retry = self.add_verb("retry", "Queue failed or cancelled jobs again.", self.retry)
        retry.add_argument("ids", metavar="ID", nargs="+", type=arguments.uuid_of)
        cancel = self.add_verb("cancel", "Cancel jobs; one that runs is asked to stop.", self.cancel)
        cancel.add_argument("ids", metavar="ID", nargs="+", type=arguments.uuid_of)
        purge = self.add_verb("purge", "Delete or anonymise ended jobs.", self.purge)
        purge.add_argument("--tenant", metavar="SLUG", help="One tenant; without it, all.")
        purge.add_argument(
            "--older-than", metavar="30d", type=arguments.duration, help="Since they ended; default: the tenant's days."
        )
        purge.add_argument("--failed", action="store_true", help="Only failed jobs.")
        purge.add_argument("--anonymise", action="store_true", help="Blank their texts instead of deleting them.")
        purge.add_argument("--dry-run", action="store_true", help="Only say how many it would be.")

    def list_some(
        self,
        *,
        tenant: str | None,
        status: str | None,
        kind: str,
        since: timedelta | None,
        limit: int,
        **_options: Any,
    ) -> None:
        """The newest jobs that match."""
        jobs = Job.objects.for_tenant(find_tenant(tenant)) if tenant else Job.objects.all()
        chosen = {"status": status, "kind": kind, "created_at__gte": since and timezone.now() - since}
        found = jobs.filter(**{name: value for name, value in chosen.items() if value})
        newest = found.select_related("tenant").defer(*SEALED).order_by("-created_at", "-id")[:limit]
        rows = [job_report.summary(job) for job in newest]
        depth = claims.depth()
        queue = {"queued": depth.queued, "running": depth.running, "oldest_age_s": round(depth.oldest_age_s, 1)}
        if self.as_json:
            self.report({"queue": queue, "jobs": rows})
            return
        self.report_table(rows, columns=job_report.COLUMNS, empty="There are no such jobs.")
        age = f", the oldest for {depth.oldest_age_s:.0f} s" if depth.queued else ""
        self.stdout.write(f"\nOf all tenants: {depth.queued} due{age}; {depth.running} running.")

    def show(self, *, id: UUID, **_options: Any) -> None:  # noqa: A002 - what the user calls it
        """One job."""
        job = find_job(id)
        found = job_report.lists(job)
        if self.as_json:
            self.report({**job_report.details(job), **found})
            return
        self.report(job_report.details(job))
        for title, columns in (
            ("attempt_log", job_report.ATTEMPT_COLUMNS),
            ("steps", job_report.STEP_COLUMNS),
            ("callbacks", job_report.CALLBACK_COLUMNS),
        ):
            if found[title]:
                self.stdout.write(f"\n{title}")
                self.report_table(found[title], columns=columns, empty="")

    def retry(self, *, ids: list[UUID], **_options: Any) -> None:
        """Each by itself."""
        self._each(ids, lambda job: ending.retry_ended(job.tenant, job.pk))

    def cancel(self, *, ids: list[UUID], **_options: Any) -> None:
        """Each by itself."""
        self._each(ids, lambda job: ending.request_cancel(job.tenant, job.pk))

    def purge(
        self,
        *,
        tenant: str | None,
        older_than: timedelta | None,
        failed: bool,
        anonymise: bool,
        dry_run: bool,
        **_options: Any,
    ) -> None:
        """As the tenants' settings say, unless the options say otherwise."""
        tenants = [find_tenant(tenant)] if tenant else list(Tenant.objects.all())
        rows = []
        for one in tenants:
            blank = anonymise or one.job_retention == Tenant.Retention.ANONYMISE
            age = timedelta(days=one.job_days) if older_than is None else older_than
            act = retention.count_expired if dry_run else retention.purge
            number = act(one, older_than=age, failed_only=failed, anonymise=blank)
            rows.append({"tenant": one.slug, "jobs": number, "how": "anonymise" if blank else "delete"})
        self.report_table(rows, columns=("tenant", "jobs", "how"), empty="There are no tenants.")
        if dry_run and not self.as_json:
            self.stdout.write("\nNothing was changed.")

    def _each(self, ids: list[UUID], act: Callable[[Job], Job]) -> None:
        """Do all that can be done, print what each became, and fail with a line where some could not."""
        rows: list[dict[str, Any]] = []
        refused: list[str] = []
        for job_id in dict.fromkeys(ids):
            try:
                job = act(find_job(job_id))
            except WpAiError as error:
                reason = error.detail or error.title
                refused.append(f"{job_id}: {reason}")
                rows.append({"id": str(job_id), "status": None, "error": reason})
            else:
                state = "stopping" if job.cancel_requested_at and not job.is_finished else job.status
                rows.append({"id": str(job_id), "status": state, "error": None})
        if len(rows) > len(refused) or self.as_json:
            self.report_table(rows, columns=("id", "status", "error"), empty="")
        if refused:
            raise CommandError(f"{len(refused)} of {len(rows)} were left as they are. " + " ".join(refused))


def find_job(job_id: UUID) -> Job:
    """The job of whichever tenant; raises NotFound with a sentence."""
    found = Job.objects.filter(pk=job_id).select_related("tenant").defer(*SEALED).first()
    if found is None:
        raise NotFound(f"There is no job {job_id}.")
    return found

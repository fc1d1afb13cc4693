"""Jobs: what waits, runs and failed, and what people may do about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.acting import OperatedAdmin
from django_wp_ai.admin.display import address, badge, bar, count, duration, titled, usd
from django_wp_ai.admin.job_figures import queue_figures
from django_wp_ai.admin.job_filters import BatchFilter, ErrorFilter, JobEndedFilter, KindFilter, QueueFilter
from django_wp_ai.admin.job_page import sections
from django_wp_ai.callbacks.replay import replay
from django_wp_ai.exceptions import NotFound
from django_wp_ai.jobs import ending
from django_wp_ai.models import Callback, Job

OF = {"batch": "parent_id", "error_message": "error_message"}
SEALED = ("input_sealed", "result_sealed", "metadata", "callback_context")
WORK = (
    ("kind", "tenant"),
    ("state", "progress_bar"),
    ("tried", "repeated_calls"),
    ("cost", "tokens"),
    ("waited", "took"),
)
RECORD = (
    "id",
    ("request_id", "idempotency_key"),
    ("end_user", "credential"),
    ("callback_address", "callback_profile"),
    ("priority", "deadline_s"),
    ("created_at", "run_after"),
    ("started_at", "finished_at"),
    ("worker", "lease_until"),
    ("cancel_requested_at", "anonymised_at"),
)


@admin.register(Job)
class JobAdmin(OperatedAdmin[Job]):
    """Jobs with their states. Input, result and metadata stay out: they are the words of a site's users."""

    list_display = ("job", "advance", "tenant", "cost", "time")
    list_filter = ("status", KindFilter, "tenant", QueueFilter, ErrorFilter, JobEndedFilter, BatchFilter)
    list_select_related = ("tenant",)
    list_per_page = 50
    date_hierarchy = "created_at"
    id_fields = ("id",)
    search_fields = ("=end_user", "=idempotency_key", "=request_id")
    search_help_text = _("Job id, end user, idempotency key or request id, written in full")
    actions = ("cancel_jobs", "retry_jobs", "replay_callbacks")
    change_list_template = "admin/django_wp_ai/job/change_list.html"
    change_form_template = "admin/django_wp_ai/job/change_form.html"

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        """What it does, then what is on record; what most jobs do not have is shown for those that have it."""
        rare = [name for name in ("batch", "error_message") if obj and getattr(obj, OF[name])]
        return ((None, {"fields": (*WORK, *rare)}), (_("Record"), {"fields": RECORD}))

    def get_readonly_fields(self, request: HttpRequest, obj: Job | None = None) -> Any:
        """All of them."""
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Without what is not shown."""
        return super().get_queryset(request).defer(*SEALED)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Add the figures of the queue."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data and "cl" in response.context_data:
            response.context_data["figures"] = queue_figures()
        return response

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Add the sections below the fields, and the actions that this job's state and this person's rights allow."""
        job = kwargs.get("obj")
        if job is not None:
            base = self.admin_site.name
            found = sections(job)
            context.update(found, list_url=reverse(f"{base}:django_wp_ai_job_changelist"))
            sent = any(one["callback"].state != Callback.State.PENDING for one in found["callbacks"])
            context["tools"] = self.tools(request, job, _possible(job, can_replay=sent))
            context["may_view_callbacks"] = request.user.has_perm("django_wp_ai.view_callback")
            if request.user.has_perm("django_wp_ai.view_usageevent"):
                usage = reverse(f"{base}:django_wp_ai_usageevent_changelist")
                context["usage_url"] = f"{usage}?{urlencode({'q': str(job.pk)})}"
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=_("Cancel selected jobs"), permissions=["operate"])
    def cancel_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Those that wait end at once, those that run are asked to stop."""
        return self.act_on(request, queryset, _cancel)

    @admin.action(description=_("Retry selected jobs"), permissions=["operate"])
    def retry_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Failed and cancelled ones are queued again; steps that are done stay done."""
        return self.act_on(request, queryset, _retry)

    @admin.action(description=_("Replay callbacks of selected jobs"), permissions=["replay"])
    def replay_callbacks(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Send again what was delivered or given up."""
        return self.act_on(request, queryset, _replay)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Callbacks are changed by it, not jobs."""
        return request.user.has_perm("django_wp_ai.change_callback")

    @admin.display(description=_("job"), ordering="created_at")
    def job(self, job: Job) -> SafeString:
        """The kind, the beginning of the id to tell it from others, and when it was handed over."""
        created = date_format(timezone.localtime(job.created_at), "Y-m-d H:i")
        return titled(job.kind, str(job.pk)[:8], created)

    @admin.display(description=_("status"), ordering="status")
    def advance(self, job: Job) -> SafeString:
        """The status, with how far it has come where that says more."""
        if not 0 < job.progress < 100:
            return self.state(job)
        return format_html("{}<div>{}</div>", self.state(job), self.progress_bar(job))

    @admin.display(description=_("status"))
    def state(self, job: Job) -> SafeString:
        """The status as a badge, with why it failed."""
        label = gettext("stopping") if job.cancel_requested_at and not job.is_finished else job.get_status_display()
        if not job.error_code or job.status == Job.Status.SUCCEEDED:
            return badge(job.status, label)
        return format_html('{}<div class="wpai-below">{}</div>', badge(job.status, label), job.error_code)

    @admin.display(description=_("progress"))
    def progress_bar(self, job: Job) -> SafeString | str:
        """A bar while it runs and where it stopped."""
        tone = {"failed": "bad", "succeeded": "good"}.get(job.status, "wait")
        return "-" if job.status == Job.Status.QUEUED and not job.progress else bar(job.progress, tone=tone)

    @admin.display(description=_("attempts"))
    def tried(self, job: Job) -> str:
        """How many of how many."""
        return gettext("%(number)s of %(most)s") % {"number": job.attempts, "most": job.max_attempts}

    @admin.display(description=_("cost"), ordering="cost_usd")
    def cost(self, job: Job) -> SafeString | str:
        """Dollars; an unknown price is said to be unknown, and before the first call there is none."""
        if job.cost_usd is not None:
            return f"~{usd(job.cost_usd)}" if job.is_estimated else usd(job.cost_usd)
        return badge("failed", usd(None)) if job.is_finished or job.input_tokens else "-"

    @admin.display(description=_("tokens in / out"))
    def tokens(self, job: Job) -> str:
        """Both directions."""
        return f"{count(job.input_tokens)} / {count(job.output_tokens)}"

    @admin.display(description=_("queued"))
    def waited(self, job: Job) -> str:
        """How long it waited for its first start, or has been waiting."""
        if job.started_at is not None:
            return duration(job.started_at - job.created_at)
        now = timezone.now()
        if job.status == Job.Status.QUEUED and job.run_after - now > timedelta(seconds=1):
            return gettext("starts in %(time)s") % {"time": duration(job.run_after - now)}
        return duration((job.finished_at or now) - job.created_at)

    @admin.display(description=_("took"))
    def took(self, job: Job) -> str:
        """From the first start to the end, or until now."""
        if job.started_at is None:
            return "-"
        if job.finished_at is None:
            return gettext("%(time)s so far") % {"time": duration(timezone.now() - job.started_at)}
        return duration(job.finished_at - job.started_at)

    @admin.display(description=_("queued / took"), ordering="attempts")
    def time(self, job: Job) -> SafeString:
        """Both, one below the other, and the attempts where there was more than one."""
        below = self.took(job) if job.started_at else ""
        took = format_html('{}<div class="wpai-below">{}</div>', self.waited(job), below)
        if job.attempts < 2:
            return took
        return format_html(
            '{}<div class="wpai-below">{}</div>', took, _("attempt %(tried)s") % {"tried": self.tried(job)}
        )

    @admin.display(description=_("part of"))
    def batch(self, job: Job) -> SafeString | str:
        """The batch it belongs to."""
        if job.parent_id is None:
            return "-"
        url = reverse(f"{self.admin_site.name}:django_wp_ai_job_change", args=[job.parent_id])
        return format_html('<a href="{}">{}</a>', url, gettext("batch %(id)s") % {"id": str(job.parent_id)[:8]})

    @admin.display(description=_("callback to"))
    def callback_address(self, job: Job) -> str:
        """Without what may be a token."""
        return address(job.callback_url)


def _possible(job: Job, *, can_replay: bool) -> dict[str, object]:
    """The actions that make sense in this state."""
    names: dict[str, object] = {}
    if not job.is_finished:
        names["cancel_jobs"] = _("Cancel")
    if job.status in (Job.Status.FAILED, Job.Status.CANCELLED) and job.anonymised_at is None:
        names["retry_jobs"] = _("Retry")
    if can_replay:
        names["replay_callbacks"] = _("Replay callbacks")
    return names


def _cancel(job: Job) -> str:
    after = ending.request_cancel(job.tenant, job.pk)
    return gettext("cancelled.") if after.is_finished else gettext("asked to stop; a worker sees it within seconds.")


def _retry(job: Job) -> str:
    ending.retry_ended(job.tenant, job.pk)
    return gettext("queued again.")


def _replay(job: Job) -> str:
    try:
        replay(job.tenant, job_id=job.pk)
    except NotFound:
        raise NotFound(gettext("There is no callback of it.")) from None
    return gettext("callbacks queued again.")

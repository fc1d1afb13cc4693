"""A job that is to be created, checked and as a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from django_wp_ai.callbacks import profiles
from django_wp_ai.datatypes import Principal
from django_wp_ai.jobs import inputs, payload, registry
from django_wp_ai.jobs.held import created_now
from django_wp_ai.jobs.standing import OPERATOR
from django_wp_ai.models import Job, Tenant
from django_wp_ai.policy.limits import STREAM_TOKEN
from django_wp_ai.security import outbound

MAX_AHEAD = timedelta(days=30)
PRIORITIES = range(-100, 101)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What a site asks for. Without a ``callback_url`` the tenant's own is told, unless the job ``is_silent``.

    ``is_internal`` is what this app creates itself: kinds that no site may name.
    """

    kind: str
    input: Any
    callback_url: str = ""
    callback_profile: str = ""
    callback_context: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    run_after: datetime | None = None
    priority: int = 0
    idempotency_key: str = ""
    request_id: str = ""
    plugin: str = ""
    end_user: str = ""
    is_silent: bool = False
    is_internal: bool = False


def row_of(principal: Principal, new: NewJob) -> Job:
    """The row, not saved; raises Invalid for what breaks a rule."""
    tenant = principal.tenant
    url = new.callback_url or ("" if new.is_silent else tenant.callback_url)
    job = work_of(tenant, new)
    job.credential = principal.credential
    job.end_user = end_user_of(principal, new)
    job.caller = {
        "scopes": sorted(principal.scopes),
        "models": list(principal.models),
        "roles": list(principal.roles),
        "method": principal.method,
        "plugin": new.plugin[:128],
    }
    if principal.credential is None:
        job.caller[OPERATOR] = True
    job.request_id = new.request_id[:128]
    job.idempotency_key = new.idempotency_key or None
    job.callback_url = url
    job.callback_profile = _profile(tenant, new, url)
    job.callback_context = new.callback_context
    callback = [url, new.callback_profile, new.callback_context]
    when = "" if new.run_after is None else new.run_after.isoformat()
    job.input_hash = payload.digest(new.kind, new.input, job.end_user, callback, new.metadata, when)
    for name, most in (("end_user", 128), ("idempotency_key", 255), ("request_id", 128), ("plugin", 128)):
        inputs.check_text(getattr(new, name), field=name, most=most if name != "request_id" else 10_000)
    return job


def work_of(tenant: Tenant, new: NewJob, *, field: str = "") -> Job:
    """What every job has, also a child of a batch: its kind and checked input."""
    kind = registry.kind(new.kind) if new.is_internal else registry.offered(new.kind)
    inputs.parse(kind, new.input, field=f"{field}input")
    if not isinstance(new.metadata, dict):
        raise inputs.invalid(f"{field}metadata", "An object.")
    inputs.dumped(new.metadata, field=f"{field}metadata", most_bytes=inputs.MAX_METADATA_BYTES)
    if new.priority not in PRIORITIES:
        raise inputs.invalid(f"{field}priority", f"From {PRIORITIES[0]} to {PRIORITIES[-1]}.")
    return Job(
        tenant=tenant,
        kind=kind.name,
        input_sealed=payload.seal(new.input),
        metadata=new.metadata,
        priority=new.priority,
        max_attempts=kind.max_attempts,
        deadline_s=kind.deadline_s,
        created_at=created_now(),
        run_after=_run_after(new.run_after, f"{field}run_after"),
    )


def end_user_of(principal: Principal, new: NewJob) -> str:
    """Whom the job is for: a visitor, whose proof is a stream token, can't name anybody."""
    return principal.end_user or ("" if principal.method == STREAM_TOKEN else new.end_user)


def _run_after(at: datetime | None, field: str) -> Any:
    """The past is now: no job may push in before those that wait."""
    if at is None:
        return Now()
    if timezone.is_naive(at):
        raise inputs.invalid(field, "A time with its time zone.")
    now = timezone.now()
    if at > now + MAX_AHEAD:
        raise inputs.invalid(field, f"At most {MAX_AHEAD.days} days from now.")
    return Now() if at <= now else at


def _profile(tenant: Tenant, new: NewJob, url: str) -> str:
    inputs.dumped(new.callback_context, field="callback_context", most_bytes=inputs.MAX_METADATA_BYTES)
    profile = profiles.check_profile(new.callback_profile, new.callback_context)
    if not url:
        if new.callback_profile:
            raise inputs.invalid("callback_profile", "There is no callback URL to be told in this way.")
        return ""
    if new.callback_url:
        try:
            outbound.check_url(url, allowed_hosts=tenant.callback_hosts)
        except outbound.OutboundError as error:
            raise inputs.invalid("callback_url", str(error)) from None
    if profile == profiles.BASIC:
        profiles.check_password_target(tenant, url)
    return profile

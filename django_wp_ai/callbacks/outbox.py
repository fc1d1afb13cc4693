"""Write a callback in the transaction that makes it true; workers deliver it once that is committed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now
from django.utils import timezone

from django_wp_ai.callbacks import bodies
from django_wp_ai.callbacks.endpoints import ENDPOINT_DISABLED, endpoint_for
from django_wp_ai.callbacks.profiles import STANDARD
from django_wp_ai.callbacks.waking import tell_workers
from django_wp_ai.models import Callback, Job, Tenant
from django_wp_ai.security import secrets


@transaction.atomic
def job_ended(job: Job) -> Callback | None:
    """Blocking: tell the job's URL that it ended; None where nobody wants to know.

    Called in the transaction that ends the job, after its row was written: the row is read anew.
    """
    if not job.callback_url:
        return None
    ended = _locked(job)
    event, profile = f"job.{ended.status}", ended.callback_profile or STANDARD
    body = bodies.of_job(ended, event, at=ended.finished_at or timezone.now(), profile=profile)
    return _put(
        ended.tenant,
        url=ended.callback_url,
        event=event,
        body=body,
        profile=profile,
        job=ended,
        end_user=ended.end_user,
    )


@transaction.atomic
def put(
    tenant: Tenant,
    *,
    url: str,
    type: str,  # noqa: A002 - as on the wire
    data: Mapping[str, Any],
    profile: str = "",
    job: Job | None = None,
    end_user: str = "",
) -> Callback:
    """Blocking: an event for one URL. Those of one job arrive in order; its row is locked until the commit."""
    profile = profile or STANDARD
    body = bodies.event(type, data, at=timezone.now(), profile=profile)
    locked = None if job is None else _locked(job)
    return _put(tenant, url=url, event=type, body=body, profile=profile, job=locked, end_user=end_user)


def _put(
    tenant: Tenant, *, url: str, event: str, body: bytes, profile: str, job: Job | None, end_user: str
) -> Callback:
    endpoint = endpoint_for(tenant, url)
    callback = Callback(
        tenant=tenant,
        endpoint=endpoint,
        job=job,
        sequence=_next_place(job),
        type=event,
        profile=profile,
        body_sealed=secrets.seal(body),
        end_user=end_user,
        next_attempt_at=Now(),
    )
    if endpoint.disabled_at is not None:  # kept, so that it can be sent once somebody switched the endpoint on
        callback.state, callback.ended_at = Callback.State.DEAD, Now()
        callback.last_error = ENDPOINT_DISABLED
    callback.save(force_insert=True)
    tell_workers()
    return callback


def _locked(job: Job) -> Job:
    """The row as it is now, and nobody else's to change before the commit."""
    return Job.objects.select_for_update(of=("self",), no_key=True).select_related("tenant").get(pk=job.pk)


def _next_place(job: Job | None) -> int:
    """The job's row is locked, so nobody takes the same place."""
    if job is None:
        return 0
    last = Callback.objects.for_tenant(job.tenant).filter(job=job).aggregate(last=Max("sequence"))["last"]
    return 0 if last is None else last + 1

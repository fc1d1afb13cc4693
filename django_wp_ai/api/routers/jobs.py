"""Long work handed over: created in milliseconds, then read, watched, cancelled or tried again."""

from __future__ import annotations

import hashlib
import uuid

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import reverse
from ninja import Query, Router

from django_wp_ai import bridge
from django_wp_ai.api import cors, edge, idempotency, job_events, sse
from django_wp_ai.api.auth import principal_of, site, site_or_stream_token, site_without_body
from django_wp_ai.api.conditional import conditional_json
from django_wp_ai.api.openapi import ACCEPTED
from django_wp_ai.api.queries import require_known
from django_wp_ai.api.schemas.jobs import JobIn, JobsIn
from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import NotFound
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.jobs import cancelling, reading, registry
from django_wp_ai.jobs.create import Created, create
from django_wp_ai.models import Job

router = Router(tags=["jobs"])

PARAMETERS = frozenset(JobsIn.model_fields)


@router.post("jobs", auth=site, summary="Create a job", url_name="jobs", openapi_extra=ACCEPTED)
async def create_job(request: HttpRequest, body: JobIn) -> HttpResponse:
    """Hand work over; the row is committed before the reply. The same call finds the job that it made before."""
    principal = principal_of(request)
    new = body.to_new(idempotency_key=_key(request, principal), request_id=edge.request_id(request))
    created: Created = await in_thread(create, principal, new)
    request.wp_ai_fields = created.fields  # type: ignore[attr-defined]  # edge.guard writes them
    response = _accepted(created.job)
    if not created.is_new and new.idempotency_key:
        response["Idempotency-Replayed"] = "true"
    return response


@router.get("jobs", auth=site, summary="Jobs")
async def jobs(request: HttpRequest, asked: Query[JobsIn]) -> JsonResponse:
    """Jobs, newest first, without their results; ``next_cursor`` leads to the next page and is null on the last."""
    principal = principal_of(request)
    require_scope(principal, "jobs")
    require_known(request, PARAMETERS)
    page = await in_thread(
        reading.page,
        principal.tenant,
        status=asked.status,
        kind=asked.kind,
        cursor=asked.cursor,
        limit=asked.limit,
        end_user=principal.end_user,
    )
    listed = [reading.describe(job, with_result=False) for job in page.jobs]
    return JsonResponse({"jobs": listed, "next_cursor": page.next_cursor or None})


@router.get("jobs/{job_id}", auth=site, summary="A job", url_name="job")
async def job(request: HttpRequest, job_id: str) -> HttpResponse:
    """One job with its result; with ``If-None-Match`` it costs nothing while nothing has changed."""
    principal = principal_of(request)
    require_scope(principal, "jobs")
    found = await in_thread(own, principal, job_id)
    response = conditional_json(request, reading.describe(found))
    timings = reading.timings(found)
    response["Server-Timing"] = ", ".join(f"{name};dur={timings[name]:g}" for name in ("queue", "worker", "provider"))
    return response


@router.post(
    "jobs/{job_id}/cancel",
    auth=site_without_body,
    summary="Cancel a job",
    url_name="job-cancel",
    openapi_extra=ACCEPTED,
)
async def cancel(request: HttpRequest, job_id: str) -> HttpResponse:
    """Cancel a queued job at once (200); a running one ends when its worker hears of it (202)."""
    principal = principal_of(request)
    require_scope(principal, "jobs")
    cancelled = await in_thread(_cancel, principal, job_id)
    return _accepted(cancelled, status=200 if cancelled.is_finished else 202)


@router.post(
    "jobs/{job_id}/retry",
    auth=site_without_body,
    summary="Try a job again",
    url_name="job-retry",
    openapi_extra=ACCEPTED,
)
async def retry(request: HttpRequest, job_id: str) -> HttpResponse:
    """Queue a failed or cancelled job again; what it paid for and finished is not paid for again."""
    principal = principal_of(request)
    require_scope(principal, "jobs")
    return _accepted(await in_thread(_retry, principal, job_id))


@router.get("jobs/{job_id}/events", auth=site_or_stream_token, summary="Watch a job", url_name="job-events")
async def events(request: HttpRequest, job_id: str) -> StreamingHttpResponse:
    """Server-sent events: ``progress`` at once and on each change, ``done`` with the whole job."""
    principal = principal_of(request)
    require_scope(principal, "jobs")
    begin = job_events.watch(principal, lambda: own(principal, job_id), edge.request_id(request))
    return StreamingHttpResponse(await bridge.run_stream(request, begin), headers=sse.HEADERS)


@router.api_operation(["OPTIONS"], "jobs/{job_id}/events", auth=None, include_in_schema=False)
async def events_preflight(request: HttpRequest, job_id: str) -> HttpResponse:  # noqa: ARG001 - of any job
    """Tell a browser whether its page may watch."""
    return await in_thread(cors.preflight, request, methods="GET")


def own(principal: Principal, job_id: str) -> Job:
    """Blocking: a job that the proof reaches. One that names an end user reaches that user's; raises NotFound."""
    try:
        found = reading.find(principal.tenant, uuid.UUID(job_id))
    except ValueError:
        raise NotFound from None
    if principal.end_user not in ("", found.end_user):
        raise NotFound
    return found


def _cancel(principal: Principal, job_id: str) -> Job:
    return cancelling.request_cancel(principal.tenant, _changeable(principal, job_id).pk)


def _retry(principal: Principal, job_id: str) -> Job:
    return cancelling.retry_ended(principal.tenant, _changeable(principal, job_id).pk)


def _changeable(principal: Principal, job_id: str) -> Job:
    """A job of its own; what keeps the site's index is changed by who may write to it."""
    found = own(principal, job_id)
    kind = registry.kinds().get(found.kind)
    if kind is not None and kind.is_internal:
        require_scope(principal, "rag.write")
    return found


def _accepted(found: Job, *, status: int = 202) -> HttpResponse:
    response = JsonResponse(reading.describe(found), status=status)
    response["Location"] = reverse("django_wp_ai:job", args=[found.pk])
    return response


def _key(request: HttpRequest, principal: Principal) -> str:
    """The call's idempotency key as the row has it: each end user that a proof names has keys of their own."""
    keyed = idempotency.keyed(request)
    if keyed is None or not principal.end_user:
        return "" if keyed is None else keyed.key
    return hashlib.sha256(f"{principal.end_user}\x00{keyed.key}".encode("utf-8", "surrogatepass")).hexdigest()

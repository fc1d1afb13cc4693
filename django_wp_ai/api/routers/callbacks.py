"""What was told to a site, and telling it again."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from django.http import HttpRequest, JsonResponse
from ninja import Query, Router
from pydantic import BaseModel, Field

from django_wp_ai.api.auth import principal_of, site, site_without_body
from django_wp_ai.api.framing.plain import plain
from django_wp_ai.api.openapi import ACCEPTED
from django_wp_ai.api.queries import require_known
from django_wp_ai.bridge import in_thread
from django_wp_ai.callbacks import listing, reading
from django_wp_ai.callbacks.replay import replay
from django_wp_ai.callbacks.selection import Selection
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.models import Callback

router = Router(tags=["callbacks"])


class CallbacksIn(BaseModel):
    """Which callbacks are listed."""

    job: Annotated[str, Field(max_length=64, description="Only of this job.")] = ""
    state: Annotated[Literal["", "pending", "delivered", "dead", "cancelled"], Field(description="Only these.")] = ""
    cursor: Annotated[str, Field(max_length=200, description="The next_cursor of the page before.")] = ""
    limit: Annotated[int, Field(ge=1, le=100, description="Callbacks on a page.")] = 50


PARAMETERS = frozenset(CallbacksIn.model_fields)


@router.get("callbacks", auth=site, summary="Callbacks", url_name="callbacks")
async def callbacks(request: HttpRequest, asked: Query[CallbacksIn]) -> JsonResponse:
    """Callbacks, newest first, without their bodies; ``next_cursor`` leads to the next page."""
    principal = principal_of(request)
    require_scope(principal, "jobs")
    require_known(request, PARAMETERS)
    return JsonResponse(await in_thread(_page, principal, asked))


@router.post(
    "callbacks/{callback_id}/replay", auth=site_without_body, summary="Send a callback again", openapi_extra=ACCEPTED
)
async def send_again(request: HttpRequest, callback_id: str) -> JsonResponse:
    """Send what was delivered or given up once more, with the same id and body."""
    principal = principal_of(request)
    require_scope(principal, "jobs")
    return JsonResponse(await in_thread(_replay, principal, callback_id), status=202)


def _page(principal: Principal, asked: CallbacksIn) -> dict[str, Any]:
    selection = Selection(tenant=principal.tenant, job_id=_job(asked.job), states=(asked.state,) if asked.state else ())
    page = listing.page(selection, cursor=asked.cursor, limit=asked.limit, end_user=principal.end_user)
    return {"callbacks": [_told(callback) for callback in page.callbacks], "next_cursor": page.next_cursor or None}


def _job(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise Invalid(errors=[{"field": "job", "message": "A job's id."}], param="job") from None


def _replay(principal: Principal, callback_id: str) -> dict[str, Any]:
    """The id is the ``webhook-id``; one of another site, or for another end user, is not there."""
    try:
        pk = uuid.UUID(callback_id.removeprefix("msg_"))
    except ValueError:
        raise NotFound from None
    mine = Callback.objects.for_tenant(principal.tenant).select_related("tenant", "endpoint")
    found = mine.filter(pk=pk).first()
    if found is None or principal.end_user not in ("", found.end_user):
        raise NotFound
    replay(principal.tenant, callback_id=pk)
    found.refresh_from_db()
    return _told(found)


def _told(callback: Callback) -> dict[str, Any]:
    described = reading.describe(callback)
    del described["tenant"]
    told: dict[str, Any] = plain(described)
    return told

"""What WordPress's privacy tools ask for: one end user's data, and its end."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest, JsonResponse
from ninja import Query, Router
from pydantic import BaseModel, Field

from django_wp_ai.api.auth import principal_of, site
from django_wp_ai.api.framing.plain import plain
from django_wp_ai.bridge import in_thread
from django_wp_ai.gateway import end_users
from django_wp_ai.gateway.admission import require_scope

router = Router(tags=["end users"])


class PageIn(BaseModel):
    """Where to go on."""

    cursor: Annotated[str, Field(max_length=64, description="The next_cursor of the page before.")] = ""


@router.get("end-users/{path:id}/export", auth=site, summary="Export an end user", url_name="end-user-export")
async def export(request: HttpRequest, id: str, page: Query[PageIn]) -> JsonResponse:  # noqa: A002 - as the URL says it
    """A page of what is kept of one end user; ``next_cursor`` leads to the next one."""
    principal = principal_of(request)
    require_scope(principal, "usage")
    end_users.require_own(principal, id)
    found = await in_thread(end_users.export, principal.tenant, id, cursor=page.cursor)
    response = JsonResponse(plain(found))
    response["Cache-Control"] = "no-store"
    return response


@router.delete("end-users/{path:id}", auth=site, summary="Erase an end user", url_name="end-user")
async def erase(request: HttpRequest, id: str) -> dict[str, Any]:  # noqa: A002 - as the URL says it
    """Delete what is kept of one end user; usage keeps its figures without the name. Again it changes nothing."""
    principal = principal_of(request)
    require_scope(principal, "usage")
    end_users.require_own(principal, id)
    return {"end_user": id, "erased": await in_thread(end_users.erase, principal.tenant, id)}


@router.delete("end-users/{path:id}/export", auth=site, include_in_schema=False)
async def erase_one_whose_id_ends_in_export(request: HttpRequest, id: str) -> dict[str, Any]:  # noqa: A002 - as above
    """The same for an id that ends like the path above."""
    return await erase(request, f"{id}/export")

"""A site's documents: handed in, looked at, taken out; and a look through the whole site."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from ninja import Query, Router

from django_wp_ai.api import edge, uploads
from django_wp_ai.api.auth import principal_of, site, site_with_optional_body, site_with_upload
from django_wp_ai.api.openapi import ACCEPTED
from django_wp_ai.api.queries import require_known
from django_wp_ai.api.schemas.documents import (
    DeleteEvent,
    DocumentIn,
    DocumentsIn,
    MediaEvent,
    PostEvent,
    SiteEvent,
    SyncIn,
)
from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Forbidden, NotFound
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.jobs.reading import describe as describe_job
from django_wp_ai.rag import ingest
from django_wp_ai.rag.ingest import Accepted, NewDocument

router = Router(tags=["documents"])
hooks = Router(tags=["webhooks"])

PARAMETERS = frozenset(DocumentsIn.model_fields)
SINCE_THE_LAST = SyncIn()
FORM = ACCEPTED | {
    "requestBody": {
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/DocumentIn"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["source_id", "file"],
                    "properties": {
                        "source_id": {"type": "string"},
                        "title": {"type": "string"},
                        "url": {"type": "string"},
                        "metadata": {"type": "string", "description": "JSON, as in the other form of this call."},
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            },
        }
    }
}


@router.post("documents", auth=site_with_upload, summary="Hand a document in", url_name="documents", openapi_extra=FORM)
async def hand_in(request: HttpRequest, body: DocumentIn) -> JsonResponse:
    """Keep a document and let a job index it (202); the same again is nothing to be done (200)."""
    return await _taken(request, body.to_new(uploads.upload_of(request)))


@router.get("documents", auth=site, summary="Documents")
async def documents(request: HttpRequest, asked: Query[DocumentsIn]) -> JsonResponse:
    """Documents, the newest first; ``next_cursor`` leads to the next page and is null on the last."""
    principal = principal_of(request)
    require_scope(principal, "rag.read")
    require_known(request, PARAMETERS)
    page = await in_thread(
        ingest.page,
        principal.tenant,
        status=asked.status,
        post_type=asked.post_type,
        cursor=asked.cursor,
        limit=asked.limit,
    )
    listed = [ingest.describe(document) for document in page.documents]
    return JsonResponse({"documents": listed, "next_cursor": page.next_cursor or None})


@router.post(
    "documents/sync",
    auth=site_with_optional_body,
    summary="Look through the site",
    url_name="documents-sync",
    openapi_extra=ACCEPTED,
)
async def sync(request: HttpRequest, body: SyncIn = SINCE_THE_LAST) -> HttpResponse:
    """Let a job pull what the site has published, and take out what it has no more; the one that runs, if one does."""
    job = await in_thread(ingest.start_sync, principal_of(request), full=body.full, request_id=edge.request_id(request))
    response = JsonResponse(describe_job(job), status=202)
    response["Location"] = reverse("django_wp_ai:job", args=[job.pk])
    return response


@router.get("documents/{path:source_id}", auth=site, summary="A document", url_name="document")
async def document(request: HttpRequest, source_id: str) -> JsonResponse:
    """One document and how far it is; a deleted one is not there."""
    principal = principal_of(request)
    require_scope(principal, "rag.read")
    return JsonResponse(ingest.describe(await in_thread(ingest.find, principal.tenant, source_id)))


@router.delete("documents/{path:source_id}", auth=site, summary="Take a document out")
async def take_out(request: HttpRequest, source_id: str) -> JsonResponse:
    """Delete its text and passages; answers no longer know it from this moment."""
    gone = await in_thread(ingest.delete, principal_of(request), source_id)
    return JsonResponse({"id": gone.pk, "source_id": gone.source_id, "status": "deleted"})


@hooks.post("wp-post", auth=site, openapi_extra=ACCEPTED, summary="A post was saved", url_name="wp-post")
async def post_saved(request: HttpRequest, event: PostEvent) -> JsonResponse:
    """Index a post as it is told, or as the site has it; one that is not published, or says nothing, is taken out."""
    _require_site(request, event)
    new = event.to_new()
    if event.status != "publish" or await in_thread(lambda: new.is_wordless):
        return await _gone(request, event.source_id, event.modified_at)
    return await _taken(request, new)


@hooks.post("wp-media", auth=site, openapi_extra=ACCEPTED, summary="A file was added", url_name="wp-media")
async def media_added(request: HttpRequest, event: MediaEvent) -> JsonResponse:
    """Fetch a file of the media library and index it."""
    _require_site(request, event)
    return await _taken(request, event.to_new())


@hooks.post("wp-delete", auth=site, summary="A post or file is gone", url_name="wp-delete")
async def post_deleted(request: HttpRequest, event: DeleteEvent) -> JsonResponse:
    """Take it out; that it never was there is no error."""
    _require_site(request, event)
    return await _gone(request, event.name, event.modified_at)


async def _taken(request: HttpRequest, new: NewDocument) -> JsonResponse:
    found: Accepted = await in_thread(ingest.accept, principal_of(request), new, request_id=edge.request_id(request))
    told = {"id": found.document.pk, "source_id": found.document.source_id}
    if found.job is None:
        status = "unchanged" if found.unchanged else "outdated"
        return JsonResponse({**told, "status": status, "job_id": None})
    return JsonResponse({**told, "status": "pending", "job_id": str(found.job.pk)}, status=202)


async def _gone(request: HttpRequest, source_id: str, modified_at: datetime | None) -> JsonResponse:
    try:
        found = await in_thread(ingest.delete, principal_of(request), source_id, modified_at=modified_at)
    except NotFound:
        return JsonResponse({"source_id": source_id, "status": "deleted", "job_id": None})
    status = "deleted" if found.deleted_at else "outdated"
    return JsonResponse({"id": found.pk, "source_id": found.source_id, "status": status, "job_id": None})


def _require_site(request: HttpRequest, event: SiteEvent) -> None:
    """An event that names another site is not of this credential's."""
    principal: Principal = principal_of(request)
    if principal.end_user:  # the proof may be in a visitor's hands
        raise Forbidden("Events come from the site, not from its users.")
    names = {principal.tenant.slug, principal.tenant.site_url, principal.tenant.site_url.rstrip("/")} - {""}
    if event.site_id and event.site_id.rstrip("/") not in names:
        raise Forbidden("The event names another site than the credential's.")

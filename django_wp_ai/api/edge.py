"""What every request passes on its way in and out: an id, its body, its proof, its errors."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import TooManyFieldsSent
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver
from django.views.decorators.csrf import csrf_exempt

from django_wp_ai.api import body, errors, idempotency
from django_wp_ai.api.cors import allow_origin
from django_wp_ai.conf import settings
from django_wp_ai.exceptions import Invalid, NotFound, WpAiError
from django_wp_ai.security.client_ip import client_ip
from django_wp_ai.security.envelope import Envelope

logger = logging.getLogger("django_wp_ai.api")

View = Callable[..., HttpResponseBase]
AsyncView = Callable[..., Awaitable[HttpResponseBase]]
ViewT = TypeVar("ViewT", bound=Callable[..., Any])
#: What the form around a file may have: its other fields, and what parts them.
FORM_BYTES = 256 * 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


def request_id(request: HttpRequest) -> str:
    """The id of this request: the caller's when it is well formed, else a fresh one; the same for the whole request."""
    known: str | None = getattr(request, "wp_ai_request_id", None)
    if known is None:
        given = (request.META.get(name, "") for name in ("HTTP_X_REQUEST_ID", "HTTP_X_CLIENT_REQUEST_ID"))
        known = next((text for text in given if _REQUEST_ID.fullmatch(text)), None) or uuid.uuid4().hex
        request.wp_ai_request_id = known  # type: ignore[attr-defined]  # one request, one id
    return known


def envelope(
    request: HttpRequest,
    *,
    is_stream: bool,
    is_repeatable: bool = False,
    has_upload: bool = False,
    has_body: bool = True,
) -> Envelope:
    """The request as signatures see it; reads the body once, which may be as large as a file with ``has_upload``.

    Without ``has_body`` it is left unread.
    """
    return Envelope(
        method=request.method or "",
        path=_raw_path(request),
        query=request.META.get("QUERY_STRING", ""),
        headers=_headers(request),
        body=read_body(request, has_upload=has_upload) if has_body else b"",
        ip=client_ip(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", "")),
        token=request.GET.get("token", "") if is_stream and request.method == "GET" else "",
        is_stream=is_stream,
        is_repeatable=is_repeatable,
    )


def _headers(request: HttpRequest) -> dict[str, str]:
    """By lower-case name; ``request.headers`` would be made of ``META`` for this alone, and read name by name."""
    named = {key[5:].replace("_", "-").lower(): value for key, value in request.META.items() if key.startswith("HTTP_")}
    unprefixed = (("content-type", "CONTENT_TYPE"), ("content-length", "CONTENT_LENGTH"))
    return named | {name: request.META[key] for name, key in unprefixed if key in request.META}


def read_body(request: HttpRequest, *, has_upload: bool = False) -> bytes:
    """The body's bytes, read once and bounded; ``request.body`` gives the same from then on."""
    if not getattr(request, "wp_ai_body_read", False):
        limit = settings.max_upload_bytes + FORM_BYTES if has_upload else None
        request._body = body.read(request, limit=limit)  # what request.body returns
        request.wp_ai_body_read = True  # type: ignore[attr-defined]  # it can be read once only
    return request.body


def _raw_path(request: HttpRequest) -> str:
    """The path as received: servers hand it over beside the decoded one."""
    if isinstance(request, ASGIRequest):
        raw = request.scope.get("raw_path")
        return raw.partition(b"?")[0].decode("latin-1") if raw else _quoted(request)
    raw_uri: str = request.META.get("RAW_URI") or request.META.get("REQUEST_URI") or ""
    if raw_uri.startswith("/"):
        return raw_uri.partition("?")[0]
    return _quoted(request)


def _quoted(request: HttpRequest) -> str:
    return request.get_full_path().partition("?")[0]


def guard(view: AsyncView) -> AsyncView:
    """Wrap a view: request id on every reply, errors in the family's shape, CORS where a stream token may be used."""

    @wraps(view)
    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        reply = partial(_reply, request, partial(view, request, *args, **kwargs))
        response = await (idempotency.outliving(request, reply) if request.method == "POST" else reply())
        response["X-Request-ID"] = request_id(request)
        for name, value in getattr(request, "wp_ai_fields", {}).items():
            response[name] = value
        allow_origin(request, response)
        return response

    return _open_to_all(guarded)


async def _reply(request: HttpRequest, view: AsyncView) -> HttpResponseBase:
    """The view's reply, or its refusal as one."""
    try:
        response = await view()
    except WpAiError as error:
        return errors.render(request, error, request_id(request))
    except TooManyFieldsSent:
        return errors.render(request, Invalid("There are too many query parameters."), request_id(request))
    if response.status_code == 405:  # Ninja's own reply
        return _method_not_allowed(request, response.get("Allow", ""))
    return response


def guard_page(view: View) -> View:
    """Wrap a page (the API's docs): request id, and no method but GET and HEAD."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method in ("GET", "HEAD"):
            response = view(request, *args, **kwargs)
        else:
            response = _method_not_allowed(request, "GET, HEAD")
        response["X-Request-ID"] = request_id(request)
        return response

    return _open_to_all(guarded)


def _open_to_all(view: ViewT) -> ViewT:
    """No cookie counts, since calls prove themselves; no ATOMIC_REQUESTS either, which Django refuses async views."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    view.csrf_exempt = True  # type: ignore[attr-defined]  # what csrf_exempt sets, without its wrapper
    return view


def _method_not_allowed(request: HttpRequest, allowed: str) -> HttpResponse:
    rendered = errors.render(request, MethodNotAllowed(f"Allowed: {allowed}."), request_id(request))
    rendered["Allow"] = allowed
    return rendered


class MethodNotAllowed(WpAiError):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    status = 405
    title = "This method is not allowed here"


@csrf_exempt
def unknown_path(request: HttpRequest) -> HttpResponse:
    """Whatever no route names."""
    response = errors.render(request, NotFound(), request_id(request))
    response["X-Request-ID"] = request_id(request)
    return response


def guarded(patterns: list[URLResolver | URLPattern]) -> list[URLResolver | URLPattern]:
    """The same patterns with every view guarded."""
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            view = pattern.callback
            is_async = iscoroutinefunction(view)
            pattern.callback = markcoroutinefunction(guard(view)) if is_async else guard_page(view)
    return patterns

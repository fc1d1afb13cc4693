"""Errors as replies, in the shape of the endpoint's family. Source: PROTOCOL §2, RFC 9457, the vendors' API pages."""

from __future__ import annotations

import json
import math
import re
from enum import Enum
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse

from django_wp_ai.exceptions import Unauthenticated, WpAiError

TYPE_BASE = "urn:django-wp-ai:error:"

_OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


_VENDOR_PATH = re.compile(r"/v1/(?:(messages)|(chat/completions|embeddings)|(models))(?:/|$)")


class Family(Enum):
    """Whose shapes an endpoint speaks."""

    NATIVE = "native"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


def family_of(request: HttpRequest) -> Family:
    """The family by the path, also of what no route names: ``messages`` is Anthropic's; completions, … are OpenAI's."""
    match = _VENDOR_PATH.search(request.path)
    if match is None:
        return Family.NATIVE
    messages, _, models = match.groups()
    if messages or (models and "anthropic-version" in request.headers):
        return Family.ANTHROPIC
    return Family.OPENAI


def problem(error: WpAiError, request_id: str) -> dict[str, Any]:
    """RFC 9457 problem details."""
    body: dict[str, Any] = {
        "type": TYPE_BASE + error.code,
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "request_id": request_id,
    }
    if error.detail:
        body["detail"] = error.detail
    if error.errors:
        body["errors"] = error.errors
    return body


def openai_error(error: WpAiError) -> dict[str, Any]:
    """OpenAI's error object."""
    kind = _OPENAI_TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    return {"error": {"message": _message(error), "type": kind, "code": error.code, "param": error.param}}


def anthropic_error(error: WpAiError, request_id: str) -> dict[str, Any]:
    """Anthropic's error object."""
    kind = _ANTHROPIC_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": _message(error)}, "request_id": request_id}


def _message(error: WpAiError) -> str:
    listed = "; ".join(f"{item['field']}: {item['message']}" for item in error.errors)
    return f"{error.title}. {error.detail or listed}".strip() if error.detail or listed else f"{error.title}."


def render(request: HttpRequest, error: WpAiError, request_id: str) -> HttpResponse:
    """The reply for an error."""
    family = family_of(request)
    content_type = "application/json"
    if family is Family.OPENAI:
        body = openai_error(error)
    elif family is Family.ANTHROPIC:
        body = anthropic_error(error, request_id)
    else:
        body, content_type = problem(error, request_id), "application/problem+json"
    response = HttpResponse(json.dumps(body), status=error.status, content_type=content_type)
    response.reason_phrase = HTTPStatus(error.status).phrase
    if isinstance(error, Unauthenticated):
        response["WWW-Authenticate"] = 'Bearer realm="django-wp-ai"'
    for name, value in error.fields.items():
        if family is Family.OPENAI or not name.startswith("x-ratelimit-"):
            response[name] = value
    if error.retry_after_s is not None:
        response["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return response

"""The NinjaAPI of this app."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from ninja import NinjaAPI
from ninja.errors import ValidationError
from ninja.parser import Parser

from django_wp_ai import __version__
from django_wp_ai.api import edge, errors, idempotency
from django_wp_ai.api.routers import (
    answers,
    callbacks,
    chat,
    compatible,
    documents,
    embeddings,
    end_users,
    health,
    infer,
    jobs,
    pairing,
    search,
    usage,
    webhooks,
)
from django_wp_ai.exceptions import Invalid, WpAiError
from django_wp_ai.jobs import inputs

#: How Pydantic names the one of several shapes that did not fit.
_BRANCH = re.compile(r"constrained-\w+|list\[.*\]|function-(?:after|before|plain|wrap)\[.*\]")
SECURITY_SCHEMES = {
    "SiteAuth": {"type": "http", "scheme": "bearer", "description": "API key, JWT or (streams only) stream token."},
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "MessageSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "Signature",
        "description": "HTTP Message Signatures (RFC 9421) with Signature-Input and Content-Digest.",
    },
}


class ReadBody(Parser):
    """Gives Ninja the body that authentication read and parsed."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The parsed JSON, once: a stream holds its request to its end, but not this."""
        return request.__dict__.pop("wp_ai_json")  # set by SiteAuth


def build() -> NinjaAPI:
    """A fresh API with all routers and error handlers."""
    api = NinjaAPI(
        title="django-wp-ai",
        version=__version__,
        description="The AI backend of WordPress sites.",
        urls_namespace="django_wp_ai",
        parser=ReadBody(),
        docs_url="/v1/docs",
        openapi_url="/v1/openapi.json",
        openapi_extra={"components": {"securitySchemes": SECURITY_SCHEMES}},
    )
    api.add_router("v1", chat.router)
    api.add_router("v1", infer.router)
    api.add_router("v1", compatible.router)
    api.add_router("v1", embeddings.router)
    api.add_router("v1", search.router)
    api.add_router("v1", answers.router)
    api.add_router("v1", jobs.router)
    api.add_router("v1", callbacks.router)
    api.add_router("v1", documents.router)
    api.add_router("v1", usage.router)
    api.add_router("v1", end_users.router)
    api.add_router("v1", pairing.router)
    api.add_router("webhooks", webhooks.router)
    api.add_router("webhooks", documents.hooks)
    api.add_router("health", health.router)
    api.add_exception_handler(WpAiError, _on_error)
    api.add_exception_handler(ValidationError, _on_validation_error)
    api.add_exception_handler(idempotency.Replay, idempotency.replayed)
    return api


def _on_error(request: HttpRequest, error: WpAiError | type[WpAiError]) -> HttpResponse:
    assert isinstance(error, WpAiError)
    return errors.render(request, error, edge.request_id(request))


def _on_validation_error(request: HttpRequest, error: ValidationError | type[ValidationError]) -> HttpResponse:
    assert isinstance(error, ValidationError)
    fields = [{"field": _field(item.get("loc", ())), "message": inputs.message_of(item)} for item in error.errors[:50]]
    param = fields[0]["field"] if fields else None
    return _on_error(request, Invalid(errors=fields, param=param))


def _field(location: Any) -> str:
    """``("body", "body", "messages", 0, "role")`` as ``messages.0.role``, and ``("query", "q")`` as ``q``."""
    inner = location[1:] if location[:1] == ("query",) else location[2:]
    return ".".join(str(part) for part in inner if not _BRANCH.fullmatch(str(part)))[:200]


api = build()
patterns = edge.guarded(list(api.urls[0]))
patterns.append(re_path(r"^(?:v1|webhooks|health)(?:/[\s\S]*)?\Z", edge.unknown_path))

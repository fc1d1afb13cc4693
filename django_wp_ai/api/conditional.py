"""Replies that a client has already: an entity tag, and 304 instead of the same body again. Source: RFC 9110."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_etags


def conditional_json(request: HttpRequest, body: Any) -> HttpResponse:
    """``body`` as JSON with a strong ``ETag``, or 304 without a body where ``If-None-Match`` names it."""
    content = json.dumps(body, separators=(",", ":")).encode()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    response = HttpResponse(content, content_type="application/json")
    known = [tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))]
    if etag in known or known == ["*"]:
        response = HttpResponse(status=304)
        del response["Content-Type"]
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response

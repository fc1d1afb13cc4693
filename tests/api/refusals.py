"""What a refusal looks like in each family, and what it must not leave behind."""

from __future__ import annotations

from typing import Any

from django.apps import apps

#: A good body for each route that takes one.
BODIES: dict[str, dict[str, Any]] = {
    "v1/chat": {"prompt": "Hi"},
    "v1/chat/stream": {"prompt": "Hi"},
    "v1/stream-tokens": {"scope": "chat"},
    "v1/infer": {"prompt": "Hi"},
    "v1/embeddings": {"model": "text-embedding-3-small", "input": "Hi"},
    "v1/chat/completions": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]},
    "v1/messages": {
        "model": "claude-haiku-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
    },
}
ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    502: "server_error",
    503: "server_error",
    504: "server_error",
}


def row_counts() -> dict[str, int]:
    """How many rows each of the app's tables has."""
    return {model.__name__: model._base_manager.count() for model in apps.get_app_config("django_wp_ai").get_models()}


def check_shape(response: Any, path: str, status: int, code: str) -> dict[str, Any]:
    """The documented refusal of the path's family; returns its body."""
    assert response.status_code == status, response.content[:300]
    assert response["X-Request-ID"]
    body: dict[str, Any] = response.json()
    if "/messages" in path:
        assert response["Content-Type"] == "application/json"
        assert set(body) == {"type", "error", "request_id"}
        assert body["type"] == "error"
        assert body["error"]["type"] == ANTHROPIC_TYPES.get(status, "invalid_request_error")
        assert body["error"]["message"]
        assert set(body["error"]) == {"type", "message"}
    elif "/completions" in path or "/models" in path or "/embeddings" in path:
        assert response["Content-Type"] == "application/json"
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "code", "param"}
        assert body["error"]["type"] == OPENAI_TYPES.get(status, "invalid_request_error")
        assert body["error"]["code"] == code
    else:
        assert response["Content-Type"] == "application/problem+json"
        assert (body["status"], body["code"]) == (status, code)
        assert body["type"] == f"urn:django-wp-ai:error:{code}"
        assert body["title"]
        assert body["request_id"] == response["X-Request-ID"]
    return body

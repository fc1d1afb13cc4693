"""No way around the ledger: every route that reaches a provider leaves a usage row."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

import django_wp_ai
from django_wp_ai.api.build import api
from django_wp_ai.models import UsageEvent
from tests.api.conftest import MOUNT
from tests.api.refusals import BODIES
from tests.factories import make_credential
from tests.vendor.running import RunningVendor

PACKAGE = Path(django_wp_ai.__file__).parent
#: Routes that ask no provider, each with the reason why.
ASK_NOBODY = {"v1/stream-tokens": "signs a token on its own"}
#: Routes that hand work over or look at it, each with the reason why they ask no provider themselves.
ASK_LATER = {
    "v1/jobs": "a worker asks, in the job's name",
    "v1/jobs/{job_id}/cancel": "ends work",
    "v1/jobs/{job_id}/retry": "a worker asks, in the job's name",
    "v1/callbacks/{callback_id}/replay": "sends what a job has said",
    "webhooks/events": "host code works on it later",
    "v1/documents": "a job reads and embeds it",
    "v1/documents/sync": "a job looks through the site",
    "webhooks/wp-post": "a job reads and embeds it",
    "webhooks/wp-media": "a job reads and embeds it",
    "webhooks/wp-delete": "forgets what was indexed",
}
#: Routes whose proof is in the body, each with the reason why; they ask no provider either.
NO_CREDENTIAL = {
    "v1/pair": "a pairing code is what a site has before its first credential",
    "webhooks/providers/{provider}": "a vendor signs what it tells",
}
#: Routes that need content to be asked about, each with where their rows are looked at.
NEED_CONTENT = {"v1/ask": "tests/api/test_ask.py", "v1/search": "tests/api/test_search.py"}
#: Routes that answer whole only.
NEVER_STREAMED = {"v1/embeddings", "v1/infer"}


def posts() -> list[str]:
    """The path of every POST route of the API."""
    found = []
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            if any("POST" in operation.methods for operation in view.operations):
                found.append("/".join(part for part in (prefix.strip("/"), path.strip("/")) if part))
    return [path for path in found if path not in NO_CREDENTIAL]


def asking() -> list[str]:
    """Those that may ask a provider within the call."""
    return [path for path in posts() if path not in {*ASK_LATER, *NEED_CONTENT}]


def test_every_post_route_is_known_here() -> None:
    assert set(posts()) == {*BODIES, *ASK_LATER, *NEED_CONTENT}
    assert len(posts()) == len(set(posts()))


@pytest.mark.django_db
@pytest.mark.parametrize("path", asking())
def test_a_call_that_reaches_a_provider_leaves_a_row(path: str, client: Client, vendor: RunningVendor) -> None:
    key = make_credential("api_key").secret
    for streamed in (False, True):
        body: dict[str, Any] = dict(BODIES[path])
        if path not in {*ASK_NOBODY, *NEVER_STREAMED}:
            body["stream"] = streamed
        response = client.post(MOUNT + path, body, content_type="application/json", headers={"X-API-Key": key})
        assert response.status_code == 200, response.content
        if response.streaming:
            b"".join(response.streaming_content)
    expected = 0 if path in ASK_NOBODY else 2
    assert len(vendor.requests) == expected
    assert UsageEvent.objects.filter(state="settled").count() == expected


def test_only_the_gateway_asks_a_provider() -> None:
    """``provider.chat``, ``.stream`` and ``.embed`` are called in the flows that write the row, and nowhere else."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("chat", "stream", "embed")
                and isinstance(node.func.value, (ast.Name, ast.Attribute))
                and (getattr(node.func.value, "attr", "") or getattr(node.func.value, "id", "")) == "provider"
            ):
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found == {"gateway/chat.py", "gateway/stream.py", "gateway/embeddings.py"}

"""What every request passes: methods, paths, ids, proofs, and a host project's own settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import URLPattern

from django_wp_ai import urls
from django_wp_ai.models import AuthFailureCount
from tests.api.conftest import MOUNT, Site, body_of
from tests.api.refusals import BODIES, check_shape, row_counts

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ID = "0b8f6f0c-3a2e-4a39-9a53-3d4f4f9a1c11"  # of a job or a callback
ROUTES = {
    "v1/chat": {"POST"},
    "v1/chat/stream": {"GET", "POST", "OPTIONS"},
    "v1/stream-tokens": {"POST"},
    "v1/chat/completions": {"POST"},
    "v1/messages": {"POST"},
    "v1/infer": {"POST"},
    "v1/embeddings": {"POST"},
    "v1/documents": {"GET", "POST"},
    "v1/documents/sync": {"POST"},
    "v1/documents/post-1": {"GET", "DELETE"},
    "webhooks/wp-post": {"POST"},
    "webhooks/wp-media": {"POST"},
    "webhooks/wp-delete": {"POST"},
    "v1/search": {"POST"},
    "v1/ask": {"POST", "OPTIONS"},
    "v1/related/post-1": {"GET"},
    "v1/models": {"GET"},
    "v1/models/gpt-4o-mini": {"GET"},
    "v1/jobs": {"GET", "POST"},
    f"v1/jobs/{ID}": {"GET"},
    f"v1/jobs/{ID}/cancel": {"POST"},
    f"v1/jobs/{ID}/retry": {"POST"},
    f"v1/jobs/{ID}/events": {"GET", "OPTIONS"},
    "v1/callbacks": {"GET"},
    f"v1/callbacks/{ID}/replay": {"POST"},
    "webhooks/providers/openai": {"POST"},
    "webhooks/events": {"POST"},
    "v1/usage": {"GET"},
    "v1/end-users/7": {"DELETE"},
    "v1/end-users/7/export": {"GET", "DELETE"},  # there is an end user of the id 7/export too
    "v1/pair": {"POST"},
    "health/live": {"GET"},
    "health/ready": {"GET"},
}
WRONG = [(path, method) for path, allowed in ROUTES.items() for method in METHODS if method not in allowed]


def test_every_route_is_in_this_list() -> None:
    patterns = [pattern for pattern in urls.urlpatterns if isinstance(pattern, URLPattern)]
    values = {
        "<path:model_id>": "gpt-4o-mini",
        "<path:id>": "7",
        "<path:source_id>": "post-1",
        "<job_id>": ID,
        "<callback_id>": ID,
        "<provider>": "openai",
    }
    named = {re.sub(r"<[^>]+>", lambda found: values[found[0]], str(pattern.pattern)) for pattern in patterns}
    assert named - set(ROUTES) == {"v1/docs", "v1/openapi.json", "", r"^(?:v1|webhooks|health)(?:/[\s\S]*)?\Z"}
    assert set(ROUTES) <= named


@pytest.mark.parametrize(("path", "method"), WRONG)
def test_a_wrong_method_is_told_in_the_familys_shape(site: Site, path: str, method: str) -> None:
    before = row_counts()
    response = site.client.generic(method, MOUNT + path, b"{}", "application/json", headers=site.auth)

    assert response.status_code == 405
    assert set(response["Allow"].split(", ")) == ROUTES[path]
    assert response["X-Request-ID"]
    if method != "HEAD":
        check_shape(response, path, 405, "method_not_allowed")
    assert row_counts() == before


@pytest.mark.parametrize("path", ["v1/docs", "v1/openapi.json"])
def test_the_apis_own_pages_are_read_only_and_carry_an_id(site: Site, path: str) -> None:
    assert site.get(path, headers={"X-Request-ID": "abc"})["X-Request-ID"] == "abc"
    for method in ("POST", "PUT", "DELETE"):
        response = site.client.generic(method, MOUNT + path)
        check_shape(response, path, 405, "method_not_allowed")
        assert response["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    [
        "v1",
        "v1/",
        "v1/nothing",
        "v1/chat/",
        "v1/../admin/",
        "v1/%2e%2e/%00",
        "v1/chat/completions/",
        "v1/chat/completions/abc",
        "v1/embeddings/",
        "v1/messages/count_tokens",
        "v1/messages/batches",
        "v1/models/no-such-model",
        "v1/models/a/b/c",
        "health",
        "health/nothing",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_told_in_the_familys_shape(site: Site, path: str, method: str) -> None:
    strict = Client(enforce_csrf_checks=True)  # a host's CSRF check must not answer first
    response = strict.generic(method, MOUNT + path, b"{}", "application/json", headers=site.auth)
    if "/models/" in path and method == "POST":
        check_shape(response, path, 405, "method_not_allowed")
    else:
        check_shape(response, path, 404, "not_found")


def test_an_unknown_model_is_told_to_anthropics_clients_in_their_shape(site: Site) -> None:
    response = site.get("v1/models/nothing", headers={**site.auth, "anthropic-version": "2023-06-01"})
    check_shape(response, "v1/messages", 404, "not_found")


@pytest.mark.parametrize("path", BODIES)
def test_a_post_needs_no_csrf_token(site: Site, path: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    response = strict.post(MOUNT + path, BODIES[path], content_type="application/json", headers=site.auth)
    assert response.status_code == 200
    assert body_of(response) if response.streaming else response.content


@pytest.fixture
def atomic_requests() -> Iterator[None]:
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = True
    yield
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = False


@pytest.mark.usefixtures("atomic_requests")
def test_a_host_with_atomic_requests_is_served(site: Site) -> None:
    assert site.post("v1/chat", {"prompt": "Hi"}).status_code == 200
    assert site.get("v1/models").status_code == 200
    assert site.get("health/ready").status_code == 200
    assert [row.state for row in site.usage()] == ["settled"]


# Request ids

GOOD_IDS = ["a", "A-Z.0_9", "x" * 128]
BAD_IDS = [
    "",
    " ",
    "x" * 129,
    "a b",
    "a\r\nSet-Cookie: x=1",
    "a\nb",
    "caf\u00e9",
    "\u0661",
    "a;b",
    "../etc",
    "{}",
    "%0d%0a",
]


@pytest.mark.parametrize("header", ["X-Request-ID", "X-Client-Request-ID"])
@pytest.mark.parametrize("given", GOOD_IDS)
def test_a_well_formed_request_id_is_kept_and_recorded(site: Site, header: str, given: str) -> None:
    response = site.post("v1/chat", {"prompt": "Hi"}, headers={**site.auth, header: given})

    assert response["X-Request-ID"] == given
    assert [row.request_id for row in site.usage()] == [given]


@pytest.mark.parametrize("header", ["X-Request-ID", "X-Client-Request-ID"])
@pytest.mark.parametrize("given", BAD_IDS)
def test_any_other_request_id_is_replaced(site: Site, header: str, given: str) -> None:
    response = site.get("v1/models", headers={**site.auth, header: given})

    assert len(response["X-Request-ID"]) == 32
    assert "Set-Cookie" not in response
    assert site.get("v1/nothing", headers={header: given})["X-Request-ID"] != given


def test_the_second_header_counts_where_the_first_is_malformed(site: Site) -> None:
    headers = {"X-Request-ID": "not good", "X-Client-Request-ID": "good"}
    assert site.get("health/live", headers=headers)["X-Request-ID"] == "good"


# Proofs


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic d3A6eA==",
        "Bearer",
        "Bearer ",
        "Digest x",
        "bearer wpai_x_y",
        "Bearer a.b.c",
        "Bearer \u00fc",
        "x" * 9000,
    ],
)
@pytest.mark.parametrize("path", BODIES)
def test_what_proves_nothing_is_401_and_leaves_only_a_count(site: Site, path: str, authorization: str) -> None:
    before = row_counts()
    response = site.post(path, BODIES[path], headers={"Authorization": authorization})
    check_shape(response, path, 401, "unauthenticated")

    assert response["WWW-Authenticate"].startswith("Bearer")
    assert row_counts() == {**before, "AuthFailureCount": 1}
    assert AuthFailureCount.objects.get().count == 1


def test_a_bad_proof_is_not_saved_by_a_good_one_beside_it(site: Site) -> None:
    good = {"X-API-Key": site.keys.api_key.secret}
    for bad in ({"Authorization": "Bearer wpai_no_no"}, {"Signature": "x", "Signature-Input": "y"}):
        check_shape(site.post("v1/chat", {"prompt": "Hi"}, headers=good | bad), "v1/chat", 401, "unauthenticated")
    assert not site.usage()


def test_another_scheme_leaves_the_key_header_to_decide(site: Site) -> None:
    headers = {"Authorization": "Basic d3A6eA==", "X-API-Key": site.keys.api_key.secret}
    assert site.post("v1/chat", {"prompt": "Hi"}, headers=headers).status_code == 200


@pytest.mark.parametrize("header", ["X-API-Key", "X-Client-Key", "X-Demo-Key", "x-api-key"])
def test_an_api_key_counts_in_each_of_its_headers(site: Site, header: str) -> None:
    assert site.get("v1/models", headers={header: site.keys.api_key.secret}).status_code == 200


def test_a_key_without_the_scope_is_forbidden(site: Site) -> None:
    credential = site.keys.api_key.credential
    credential.scopes = ["usage"]
    credential.save()
    before = row_counts()
    for path, body in BODIES.items():
        check_shape(site.post(path, body), path, 403, "forbidden")
    assert row_counts() == before


@pytest.mark.parametrize("stamp", [[[]], {"a": 1}, True, 1e300, -1, "", "1" * 400])
def test_a_strange_timestamp_under_an_older_signature_is_401(site: Site, stamp: Any) -> None:
    response = site.post("v1/chat", {"prompt": "Hi", "ts": stamp}, headers={"X-AI-Signature": "x"})
    check_shape(response, "v1/chat", 401, "unauthenticated")


@pytest.mark.parametrize("depth", [100, 500, 1000, 2500, 9000])
def test_a_deeply_nested_timestamp_under_an_older_signature_is_401(site: Site, depth: int) -> None:
    body = b'{"ts": ' + b"[" * depth + b"]" * depth + b"}"
    check_shape(site.post("v1/chat", body, headers={"X-AI-Signature": "x"}), "v1/chat", 401, "unauthenticated")


# The line itself


def test_a_very_long_query_is_read_or_refused_and_never_breaks(site: Site) -> None:
    many = "&".join(f"a{number}=1" for number in range(2000))
    check_shape(site.get(f"v1/chat/stream?q=Hi&{many}"), "v1/chat/stream", 422, "invalid")
    check_shape(site.get(f"v1/chat/stream?q={'x' * 60_000}"), "v1/chat/stream", 422, "invalid")
    assert site.get(f"v1/models?{many}").status_code == 200


def test_a_hostile_host_is_refused_by_django(site: Site, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["example.org"]
    before = row_counts()
    for host in ("evil.example", "example.org@evil.example", "example.org:80:80", "a b"):
        response = site.client.get(f"{MOUNT}v1/models", headers={**site.auth, "Host": host})
        assert response.status_code == 400
    assert row_counts() == before

"""CORS: a tenant's own origins, on stream routes, for holders of a stream token; nobody and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.api import cors
from tests.api.conftest import MOUNT, Site, body_of
from tests.api.refusals import check_shape

STREAM = MOUNT + "v1/chat/stream"
ORIGIN = "https://shop.example.org"
STRANGE = ["https://evil.example", "null", "https://shop.example.org.evil.example", "http://shop.example.org", "*", "x"]


@pytest.fixture(autouse=True)
def forget_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process remembers of origins belongs to another test's database."""
    monkeypatch.setattr(cors, "_known", (float("-inf"), frozenset()))


@pytest.fixture
def shop(site: Site) -> Site:
    site.tenant.origins = [ORIGIN]
    site.tenant.save()
    return site


def preflight(site: Site, origin: str | None, path: str = STREAM) -> Any:
    headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    return site.client.options(path, headers=headers | ({"Origin": origin} if origin is not None else {}))


def stream(site: Site, origin: str, **headers: str) -> Any:
    token = site.post("v1/stream-tokens", {}).json()["token"]
    sent = {"Origin": origin, "Authorization": f"Bearer {token}", **headers}
    response = site.client.post(STREAM, '{"prompt": "Hi"}', content_type="application/json", headers=sent)
    if response.streaming:
        body_of(response)
    return response


def is_closed(response: Any) -> bool:
    return not any(name.lower().startswith("access-control-") for name in response.headers)


def test_a_known_origin_may_ask(shop: Site) -> None:
    response = preflight(shop, ORIGIN)

    assert response.status_code == 204
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert response["Access-Control-Allow-Methods"] == "GET, POST"
    assert "Authorization" in response["Access-Control-Allow-Headers"]
    assert int(response["Access-Control-Max-Age"]) > 0
    assert "Origin" in response["Vary"]
    assert "Access-Control-Allow-Credentials" not in response
    assert not response.content


@pytest.mark.parametrize("origin", [*STRANGE, "", None])
def test_an_unknown_origin_may_not(shop: Site, origin: str | None) -> None:
    response = preflight(shop, origin)
    check_shape(response, "v1/chat/stream", 403, "forbidden")
    assert is_closed(response)


def test_the_origin_of_an_inactive_tenant_is_unknown(shop: Site) -> None:
    shop.tenant.is_active = False
    shop.tenant.save()
    assert preflight(shop, ORIGIN).status_code == 403


def test_origins_are_read_once_in_a_while_and_not_for_each_question(shop: Site, django_assert_num_queries: Any) -> None:
    preflight(shop, ORIGIN)
    with django_assert_num_queries(0):
        preflight(shop, ORIGIN)
        preflight(shop, "https://evil.example")


def test_a_page_of_the_site_streams_and_may_read_the_reply(shop: Site) -> None:
    response = stream(shop, ORIGIN)

    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert "X-Request-ID" in response["Access-Control-Expose-Headers"]
    assert "Origin" in response["Vary"]


@pytest.mark.parametrize("origin", STRANGE)
def test_a_page_of_another_site_gets_nothing(shop: Site, origin: str) -> None:
    response = stream(shop, origin)

    check_shape(response, "v1/chat/stream", 403, "forbidden")
    assert is_closed(response)
    assert not shop.usage()


def test_another_tenants_page_gets_nothing(shop: Site) -> None:
    type(shop.tenant).objects.create(slug="other", origins=["https://other.example.org"])
    assert preflight(shop, "https://other.example.org").status_code == 204  # no tenant is known yet
    check_shape(stream(shop, "https://other.example.org"), "v1/chat/stream", 403, "forbidden")


def test_our_own_page_needs_no_permission(shop: Site) -> None:
    response = stream(shop, "http://testserver")
    assert response.status_code == 200
    assert is_closed(response)


def test_an_error_after_the_proof_can_be_read_by_the_page(shop: Site) -> None:
    token = shop.post("v1/stream-tokens", {}).json()["token"]
    sent = {"Origin": ORIGIN, "Authorization": f"Bearer {token}"}
    response = shop.client.post(STREAM, "{}", content_type="application/json", headers=sent)

    check_shape(response, "v1/chat/stream", 422, "invalid")
    assert response["Access-Control-Allow-Origin"] == ORIGIN


def test_a_sites_key_opens_no_door_for_browsers(shop: Site) -> None:
    response = shop.post("v1/chat/stream", {"prompt": "Hi"}, headers={**shop.auth, "Origin": ORIGIN})
    assert body_of(response)
    assert is_closed(response)


@pytest.mark.parametrize(
    "path", ["v1/chat", "v1/chat/completions", "v1/messages", "v1/models", "v1/stream-tokens", "v1/x"]
)
def test_no_other_route_speaks_to_browsers(shop: Site, path: str) -> None:
    assert is_closed(preflight(shop, ORIGIN, MOUNT + path))
    assert preflight(shop, ORIGIN, MOUNT + path).status_code in (404, 405)
    assert is_closed(shop.get(path, headers={**shop.auth, "Origin": ORIGIN}))

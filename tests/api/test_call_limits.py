"""Limits of end users, addresses, routes and streams, as a caller meets them."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.models import Tenant
from tests.api.conftest import Site, body_of
from tests.api.refusals import BODIES, check_shape, row_counts
from tests.signing import fresh_claims, hs256
from tests.vendor.running import RunningVendor

CHATS = ["v1/chat", "v1/chat/stream", "v1/chat/completions", "v1/messages"]
METERED = [*CHATS, "v1/embeddings", "v1/infer"]


def limit(site: Site, **fields: Any) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(**fields)


def call(site: Site, path: str, *, headers: dict[str, str] | None = None, ip: str = "203.0.113.7", **body: Any) -> Any:
    response = site.post(path, {**BODIES[path], **body}, headers=headers, REMOTE_ADDR=ip)
    if response.streaming:
        body_of(response)
    return response


def as_user(site: Site, subject: str) -> dict[str, str]:
    jwt = site.keys.jwt
    return {"Authorization": f"Bearer {hs256(jwt.secret, fresh_claims(sub=subject), kid=jwt.credential.key_id)}"}


@pytest.mark.parametrize("path", METERED)
def test_one_end_user_is_limited_and_the_others_are_not(site: Site, path: str) -> None:
    limit(site, rpm=100, end_user_rpm=1)
    first = call(site, path, headers=as_user(site, "one"))
    assert first["RateLimit-Policy"] == '"rpm";q=100;w=60, "user-rpm";q=1;w=60'
    before = row_counts()
    second = call(site, path, headers=as_user(site, "one"))

    check_shape(second, path, 429, "rate_limited")
    assert 1 <= int(second["Retry-After"]) <= 60
    assert '"user-rpm";r=0' in second["RateLimit"]
    assert row_counts() == before
    assert call(site, path, headers=as_user(site, "other")).status_code == 200


def test_a_user_whom_the_site_names_is_limited_too(site: Site) -> None:
    limit(site, end_user_rpd=1, ip_rpm=0)
    one, other = ({"metadata": {"end_user": name}} for name in ("one", "other"))
    assert [call(site, "v1/chat", **one).status_code for _ in range(2)] == [200, 429]
    assert call(site, "v1/chat", **other).status_code == 200
    assert call(site, "v1/chat/completions", user="one").status_code == 429
    assert call(site, "v1/chat").status_code == 429


def test_callers_without_a_user_are_limited_by_address(site: Site) -> None:
    limit(site, ip_rpm=1)
    assert [call(site, "v1/chat").status_code for _ in range(2)] == [200, 429]
    assert call(site, "v1/chat", ip="203.0.113.8").status_code == 200
    assert [call(site, "v1/chat", ip=ip).status_code for ip in ("2001:db8::1", "2001:db8::2")] == [200, 429]
    assert call(site, "v1/chat", headers=as_user(site, "one")).status_code == 200


@pytest.mark.parametrize(("path", "route"), [(path, path.removeprefix("v1/")) for path in METERED])
def test_a_route_has_limits_of_its_own(site: Site, path: str, route: str) -> None:
    limit(site, routes={route: {"rpm": 1}})
    assert call(site, path)["RateLimit-Policy"] == '"route-rpm";q=1;w=60'
    check_shape(call(site, path), path, 429, "rate_limited")
    for other in set(METERED) - {path}:
        assert call(site, other).status_code == 200


def test_tokens_of_a_route_that_were_not_used_come_back(site: Site) -> None:
    limit(site, routes={"chat": {"tpm": 160}})
    for _ in range(3):  # each holds about 130 and uses about 10
        assert call(site, "v1/chat", max_tokens=100).status_code == 200
    assert call(site, "v1/chat", max_tokens=1000).status_code == 429


def test_openais_fields_show_the_tightest_limit(site: Site) -> None:
    limit(site, rpm=100, end_user_rpm=5)
    reply = call(site, "v1/chat/completions", headers=as_user(site, "one"))
    assert (reply["x-ratelimit-limit-requests"], reply["x-ratelimit-remaining-requests"]) == ("5", "4")


def test_so_many_streams_run_at_once_and_one_that_ends_makes_room(site: Site, vendor: RunningVendor) -> None:
    limit(site, max_streams=1, rpm=100)
    vendor.release(1)
    running = site.post("v1/chat/stream", {"prompt": "Go [[chunks=3 hold]]"})
    assert running.status_code == 200
    before = row_counts()
    refused = site.post("v1/chat/stream", {"prompt": "Hi"})

    check_shape(refused, "v1/chat/stream", 429, "rate_limited")
    assert int(refused["Retry-After"]) >= 1
    assert row_counts() == before
    assert call(site, "v1/chat").status_code == 200  # whole answers need no place
    vendor.release(None)
    body_of(running)
    ended = call(site, "v1/chat/stream")
    assert ended.status_code == 200
    assert ended["RateLimit"].startswith('"rpm";r=97;')  # the refused stream took none


@pytest.mark.parametrize("prompt", ["[[status=500]]", "[[status=400]]"])
def test_a_stream_that_fails_gives_its_place_back(site: Site, prompt: str) -> None:
    limit(site, max_streams=1)
    assert site.post("v1/chat/stream", {"prompt": prompt}).status_code >= 400
    assert call(site, "v1/chat/stream").status_code == 200

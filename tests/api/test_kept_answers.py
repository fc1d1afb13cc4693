"""Kept answers as callers see them: whole, streamed, and never another's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import caches
from django_redis import get_redis_connection

from django_wp_ai.gateway import answer_cache
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import Site, body_of, events
from tests.factories import TenantFactory
from tests.vendor.running import RunningVendor

ASKED = {"prompt": "Go [[say=We open  at nine.]]", "cache": True}


def chat(site: Site, body: dict[str, Any], path: str = "v1/chat") -> Any:
    response = site.post(path, body)
    assert response.status_code == 200, response.content
    return response


def test_the_same_question_is_answered_without_the_provider(site: Site, vendor: RunningVendor) -> None:
    first, again = chat(site, ASKED).json(), chat(site, ASKED).json()

    assert (first["cached"], again["cached"]) == (False, True)
    assert again["content"] == first["content"] == "We open  at nine."
    assert again["finish_reason"] == "stop"
    assert again["usage"]["cost_usd"] == 0
    assert len(vendor.requests) == 1
    rows = site.usage()
    assert [row.state for row in rows] == ["settled", "settled"]
    assert rows[0].cost_usd
    assert rows[1].cost_usd == Decimal(0)


def test_an_answer_is_kept_across_streams_and_whole_calls(site: Site, vendor: RunningVendor) -> None:
    def streamed() -> list[Any]:
        return events(body_of(chat(site, ASKED, "v1/chat/stream")))

    first = streamed()
    assert chat(site, ASKED).json()["cached"]
    again = streamed()
    for found in (first, again):
        assert "".join(event.data["delta"] for event in found if not event.name and event.data != "[DONE]") == (
            "We open  at nine."
        )
        assert found[-1].data == "[DONE]"
    assert [event.data["cached"] for event in (first[-2], again[-2])] == [False, True]
    assert len(vendor.requests) == 1


def test_two_sites_that_ask_the_same_both_ask_the_provider(site: Site, vendor: RunningVendor) -> None:
    other = TenantFactory.create()
    neighbour = Site(other, issue_site_keys(other), site.client)
    for asking in (site, neighbour):
        assert not chat(asking, ASKED).json()["cached"]
    assert chat(site, ASKED).json()["cached"]
    assert len(vendor.requests) == 2


def test_changed_content_is_asked_for_anew(site: Site, vendor: RunningVendor) -> None:
    chat(site, ASKED)
    answer_cache.invalidate(site.tenant)
    assert not chat(site, ASKED).json()["cached"]
    assert len(vendor.requests) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "Go"},
        {"prompt": "Go", "cache": False},
        {"prompt": "Go [[finish=length]]", "cache": True},
        {"prompt": "Go [[refusal]]", "cache": True},
    ],
)
def test_what_was_not_asked_for_or_did_not_end_well_is_not_kept(
    site: Site, vendor: RunningVendor, body: dict[str, Any]
) -> None:
    for count in (1, 2):
        assert not chat(site, body).json()["cached"]
        assert len(vendor.requests) == count


def test_askers_share_a_redacted_answer_and_each_sees_their_own_data(site: Site, vendor: RunningVendor) -> None:
    site.tenant.redact_pii = True
    site.tenant.save()
    prompt = "Write to {} please"
    first = chat(site, {"prompt": prompt.format("ada-canary@example.org"), "cache": True}).json()
    again = chat(site, {"prompt": prompt.format("bob@example.org"), "cache": True}).json()

    assert len(vendor.requests) == 1
    assert again["cached"]
    assert "ada-canary@example.org" in first["content"]
    assert "bob@example.org" in again["content"]
    assert "canary" not in again["content"]
    client, prefix = get_redis_connection("default"), caches["default"].key_prefix
    kept = [(name, client.get(name)) for name in client.scan_iter(match=f"{prefix}:*answer*")]
    assert kept
    assert "canary" not in repr(kept)

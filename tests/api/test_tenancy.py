"""One tenant's keys, models, tokens and rows are of no use to another."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from django_wp_ai.models import Tenant, UsageEvent
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import Site, body_of
from tests.api.refusals import BODIES, check_shape
from tests.factories import TenantFactory
from tests.signing import fresh_claims, hs256, message_signature
from tests.vendor.running import RunningVendor


@pytest.fixture
def other(site: Site) -> Site:
    tenant = TenantFactory.create()
    return Site(tenant, issue_site_keys(tenant), Client())


CALLS = [path for path in BODIES if path != "v1/stream-tokens"]


@pytest.mark.parametrize("path", CALLS)
def test_a_call_is_written_to_the_tenant_of_its_key(site: Site, other: Site, path: str) -> None:
    for caller in (site, other, other):
        response = caller.post(path, BODIES[path])
        assert response.status_code == 200
        if response.streaming:
            body_of(response)
    assert (len(site.usage()), len(other.usage())) == (1, 2)
    assert {row.credential for row in site.usage()} == {site.keys.api_key.credential}


def test_a_body_names_no_tenant(site: Site, other: Site) -> None:
    for field in ("tenant", "site_id", "tenant_id", "credential"):
        body = {"prompt": "Hi", field: other.tenant.slug}
        check_shape(site.post("v1/chat", body), "v1/chat", 422, "invalid")
    assert not UsageEvent.objects.exists()


def test_a_token_signed_with_ones_own_secret_under_anothers_key_id_is_refused(site: Site, other: Site) -> None:
    for claims in ({}, {"iss": other.tenant.site_url}, {"sub": other.tenant.slug}, {"site": other.tenant.site_url}):
        token = hs256(site.keys.jwt.secret, fresh_claims(**claims), kid=other.keys.jwt.credential.key_id)
        response = site.post("v1/chat", {"prompt": "Hi"}, headers={"Authorization": f"Bearer {token}"})
        check_shape(response, "v1/chat", 401, "unauthenticated")


def test_a_signature_with_ones_own_secret_under_anothers_key_id_is_refused(site: Site, other: Site) -> None:
    body = b'{"prompt": "Hi"}'
    headers = message_signature(other.keys.hmac.credential.key_id, site.keys.hmac.secret, body=body)
    check_shape(site.post("v1/chat", body, headers=headers), "v1/chat", 401, "unauthenticated")


@pytest.mark.parametrize("path", CALLS)
def test_a_model_that_one_tenant_may_use_is_refused_to_another(
    site: Site, other: Site, vendor: RunningVendor, path: str
) -> None:
    Tenant.objects.filter(pk=other.tenant.pk).update(allowed_models=["offline-*"])
    check_shape(other.post(path, BODIES[path]), path, 400, "model_not_allowed")
    allowed = site.post(path, BODIES[path])
    assert body_of(allowed) if allowed.streaming else allowed.json()
    assert "gpt-4o-mini" not in [entry["id"] for entry in other.get("v1/models").json()["data"]]
    check_shape(other.get("v1/models/gpt-4o-mini"), "v1/models", 404, "not_found")


def test_a_site_prompt_stays_with_its_tenant(site: Site, other: Site, vendor: RunningVendor) -> None:
    Tenant.objects.filter(pk=other.tenant.pk).update(system_prompt="A private rule.")
    site.post("v1/chat", {"prompt": "Hi"})
    assert "A private rule." not in str(vendor.last.body)
    other.post("v1/chat", {"prompt": "Hi"})
    assert "A private rule." in str(vendor.last.body)


@pytest.mark.parametrize("fields", [{"rpm": 1}, {"budget_day_usd": "0.0000"}])
def test_limits_of_one_tenant_do_not_bind_another(site: Site, other: Site, fields: dict[str, Any]) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(**fields)
    for _ in range(2):
        refused = site.post("v1/chat", {"prompt": "Hi"})
        assert other.post("v1/chat", {"prompt": "Hi"}).status_code == 200
    assert refused.status_code in (402, 429)


def test_an_inactive_tenant_is_told_what_a_stranger_is(site: Site) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(is_active=False)
    told = site.post("v1/chat", {"prompt": "Hi"})
    stranger = site.post("v1/chat", {"prompt": "Hi"}, headers={"Authorization": "Bearer wpai_no_no"})
    for response in (told, stranger):
        check_shape(response, "v1/chat", 401, "unauthenticated")
    assert {**told.json(), "request_id": ""} == {**stranger.json(), "request_id": ""}

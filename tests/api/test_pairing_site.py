"""``v1/pair`` looks at the site that asks: whose it is, what it may open, and what is wrong with its fields."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from django_wp_ai.gateway import pairing
from django_wp_ai.models import Tenant
from tests.api.refusals import check_shape, row_counts
from tests.api.test_pairing import URL, pair
from tests.factories import TenantFactory


@pytest.fixture
def tenant(db: None) -> Tenant:
    return TenantFactory.create(slug="blog", site_url="https://blog.example.org")


@pytest.mark.parametrize(
    "site_url", ["HTTPS://Blog.Example.org", "https://blog.example.org/", " https://blog.example.org "]
)
def test_a_site_url_is_compared_in_one_form(client: Client, tenant: Tenant, site_url: str) -> None:
    assert pair(client, pairing.make(tenant).code, site_url=site_url).status_code == 200


@pytest.mark.parametrize(
    "site_url", ["https://evil.example.org", "http://blog.example.org", "https://blog.example.org/shop"]
)
def test_another_site_is_refused_and_the_code_is_not_spent(client: Client, tenant: Tenant, site_url: str) -> None:
    code = pairing.make(tenant).code
    before = row_counts()
    problem = check_shape(pair(client, code, site_url=site_url), "v1/pair", 422, "invalid")
    assert problem["errors"][0]["field"] == "site_url"
    assert row_counts() == before
    assert pair(client, code).status_code == 200


def test_a_tenant_without_a_site_url_gets_the_sites(client: Client, db: None) -> None:
    tenant = TenantFactory.create(site_url="")
    assert pair(client, pairing.make(tenant).code, site_url="HTTPS://New.example.org/").status_code == 200
    tenant.refresh_from_db()
    assert tenant.site_url == "https://new.example.org"
    assert tenant.callback_hosts == []


def test_a_site_url_of_another_tenant_is_not_taken(client: Client, tenant: Tenant) -> None:
    newcomer = TenantFactory.create(site_url="")
    problem = check_shape(pair(client, pairing.make(newcomer).code), "v1/pair", 422, "invalid")
    assert problem["errors"][0]["field"] == "site_url"
    newcomer.refresh_from_db()
    assert newcomer.site_url == ""


@pytest.mark.parametrize("host", ["169.254.169.254", "localhost", "10.0.0.8:8000", "hooks.example.com"])
def test_a_code_opens_no_host_but_that_of_the_site_the_operator_named(
    client: Client, tenant: Tenant, host: str
) -> None:
    assert pair(client, pairing.make(tenant).code, callback_url=f"http://{host}/hook").status_code == 200
    tenant.refresh_from_db()
    assert tenant.callback_url == f"http://{host}/hook"
    assert tenant.callback_hosts == []
    unnamed = TenantFactory.create(site_url="")
    fields = {"site_url": f"http://{host}", "callback_url": f"http://{host}/hook"}
    assert pair(client, pairing.make(unnamed).code, **fields).status_code == 200
    unnamed.refresh_from_db()
    assert unnamed.callback_hosts == []


def test_without_a_callback_url_the_known_one_stays(client: Client, tenant: Tenant) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(callback_url="https://blog.example.org/known")
    body = {"code": pairing.make(tenant).code, "site_url": "https://blog.example.org"}
    assert client.post(URL, body, content_type="application/json").status_code == 200
    tenant.refresh_from_db()
    assert (tenant.callback_url, tenant.callback_hosts) == ("https://blog.example.org/known", [])
    assert {one.label for one in tenant.credentials.all()} == {"paired"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": ""}, "code"),
        ({"code": "x" * 65}, "code"),
        ({"code": 5}, "code"),
        ({"code": None}, "code"),
        ({"site_url": ""}, "site_url"),
        ({"site_url": "blog.example.org"}, "site_url"),
        ({"site_url": "ftp://blog.example.org"}, "site_url"),
        ({"site_url": "javascript:alert(1)"}, "site_url"),
        ({"site_url": "http://["}, "site_url"),
        ({"site_url": "https://a b.example.org"}, "site_url"),
        ({"site_url": "https://user:pw@blog.example.org"}, "site_url"),
        ({"site_url": "https://blog.example.org/?a=1"}, "site_url"),
        ({"site_url": "https://blog.example.org/" + "x" * 500}, "site_url"),
        ({"callback_url": "file:///etc/passwd"}, "callback_url"),
        ({"callback_url": "https://user@blog.example.org/"}, "callback_url"),
        ({"callback_url": "https://blog.example.org/" + "x" * 2000}, "callback_url"),
        ({"plugin_version": "1" * 33}, "plugin_version"),
        ({"plugin_version": "<b>"}, "plugin_version"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_field_is_named_and_the_code_is_not_spent(
    client: Client, tenant: Tenant, fields: dict[str, Any], field: str
) -> None:
    code = pairing.make(tenant).code
    before = row_counts()
    problem = check_shape(pair(client, **{"code": code, **fields}), "v1/pair", 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert row_counts() == before
    assert pair(client, code).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"code": "a", "code": "b"}', b"\xff"])
def test_a_body_that_is_none_is_refused(client: Client, db: None, body: bytes) -> None:
    response = client.post(URL, body, content_type="application/json")
    check_shape(response, "v1/pair", 422, "invalid")
    check_shape(client.post(URL, b"{}", content_type="text/plain"), "v1/pair", 415, "unsupported_media")

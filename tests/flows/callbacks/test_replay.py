"""Replay: one, those of a job, a range; with the same id and body, and clear words where it can't be."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from django_wp_ai.callbacks.endpoints import disable
from django_wp_ai.callbacks.replay import Replayed, replay, replay_all
from django_wp_ai.callbacks.selection import Selection
from django_wp_ai.exceptions import Conflict, NotFound
from django_wp_ai.models import Callback, Tenant
from django_wp_ai.security.issue import Issued
from tests.factories import TenantFactory
from tests.flows.callbacks.conftest import deliver_due, fresh, make_due, put
from tests.flows.callbacks.jobs import ended_job
from tests.flows.callbacks.receiver import Receiver, status

pytestmark = pytest.mark.django_db(transaction=True)


def ended(callback: Callback, state: str = "dead") -> Callback:
    Callback.objects.filter(pk=callback.pk).update(state=state, ended_at=timezone.now(), attempts=10, last_status=500)
    return callback


@pytest.mark.parametrize("state", ["dead", "delivered", "cancelled"])
def test_a_replay_sends_the_same_again_with_all_attempts_before_it(
    site: Tenant, secret: Issued, receiver: Receiver, state: str
) -> None:
    receiver.answers = [status(500), status(200)]
    callback = put(site, receiver)
    deliver_due()
    ended(callback, state)
    assert replay(site, callback_id=callback.pk) == Replayed(replayed=1)
    again = fresh(callback)
    assert (again.state, again.attempts, again.replays, again.ended_at) == ("pending", 0, 1, None)
    assert (again.last_status, again.last_error) == (None, "")
    assert deliver_due() == 1
    assert (fresh(callback).state, fresh(callback).attempts) == ("delivered", 1)
    [(first, body), (second, same)] = receiver.received
    assert first["webhook-id"] == second["webhook-id"]
    assert body == same
    assert list(callback.attempt_log.values_list("number", flat=True)) == [1, 1]


def test_what_waits_or_lost_its_body_or_its_endpoint_is_not_replayed_and_says_why(
    site: Tenant, receiver: Receiver
) -> None:
    callback = put(site, receiver)
    with pytest.raises(Conflict, match="waits to be sent already"):
        replay(site, callback_id=callback.pk)
    ended(callback)
    Callback.objects.filter(pk=callback.pk).update(body_sealed=b"")
    with pytest.raises(Conflict, match="no longer kept"):
        replay(site, callback_id=callback.pk)
    disable(callback.endpoint, reason="operator")
    with pytest.raises(Conflict, match="switch it on first"):
        replay(site, callback_id=callback.pk)
    assert fresh(callback).state == "dead"


def test_another_sites_callback_is_not_found(site: Tenant, receiver: Receiver) -> None:
    callback = ended(put(site, receiver))
    for wrong in ((TenantFactory.create(), callback.pk), (site, uuid.uuid4())):
        with pytest.raises(NotFound):
            replay(wrong[0], callback_id=wrong[1])
    assert replay(None, callback_id=callback.pk)


def test_nothing_named_replays_nothing(site: Tenant, receiver: Receiver) -> None:
    callback = ended(put(site, receiver))
    with pytest.raises(ValueError, match="Name a callback"):
        replay(site)
    assert fresh(callback).state == "dead"


def test_those_of_a_job_are_replayed_in_their_order(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    job = ended_job(site, callback_url=receiver.url)
    first, second = (ended(put(site, receiver, job=job, data={"n": n})) for n in range(2))
    unrelated = ended(put(site, receiver))
    assert replay(site, job_id=job.pk).replayed == 2
    assert [deliver_due(), deliver_due()] == [1, 1]
    ids = [headers["webhook-id"] for headers, _ in receiver.received]
    assert ids == [first.message_id, second.message_id]
    assert fresh(unrelated).state == "dead"


def test_a_range_of_time_takes_what_is_in_it_and_counts_what_it_leaves(site: Tenant, receiver: Receiver) -> None:
    now = timezone.now()
    made = [ended(put(site, receiver, data={"n": n})) for n in range(4)]
    for callback, hours in zip(made, (1, 2, 3, 4), strict=True):
        Callback.objects.filter(pk=callback.pk).update(created_at=now - timedelta(hours=hours))
    elsewhere = ended(put(site, receiver, url="https://elsewhere.example.org/"))
    Callback.objects.filter(pk=elsewhere.pk).update(created_at=now - timedelta(hours=2))
    disable(elsewhere.endpoint, reason="gone")
    Callback.objects.filter(pk=made[1].pk).update(state="pending", ended_at=None)
    chosen = Selection(tenant=site, since=now - timedelta(hours=3, minutes=1), until=now - timedelta(minutes=90))
    assert replay_all(chosen) == Replayed(replayed=1, endpoint_off=1, pending=1)
    assert [fresh(one).state for one in made] == ["dead", "pending", "pending", "dead"]


def test_more_than_one_transaction_takes_are_replayed(
    site: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_wp_ai.callbacks.replay.AT_ONCE", 2)
    for n in range(5):
        ended(put(site, receiver, data={"n": n}))
    assert replay_all(Selection(tenant=site)).replayed == 5
    assert set(Callback.objects.values_list("state", "replays")) == {("pending", 1)}


def test_a_replay_wins_all_attempts_back(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    receiver.answers = [status(500)]
    callback = ended(put(site, receiver))
    replay(site, callback_id=callback.pk)
    deliver_due()
    assert fresh(callback).state == "pending"
    for _ in range(9):
        make_due()
        deliver_due()
    assert fresh(callback).state == "dead"
    assert len(receiver.received) == 10

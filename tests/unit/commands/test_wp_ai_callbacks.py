"""Callbacks from the shell: looked at without their bodies, and sent again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError
from django.utils import timezone

from django_wp_ai.callbacks import outbox
from django_wp_ai.callbacks.endpoints import disable
from django_wp_ai.models import Callback, CallbackEndpoint, Tenant
from tests.factories import TenantFactory
from tests.flows.callbacks.jobs import ended_job
from tests.unit.commands.conftest import Shell

pytestmark = pytest.mark.django_db

URL = "https://blog.example.org/hook?token=CANARY"


@pytest.fixture
def blog() -> Tenant:
    return TenantFactory.create(slug="blog")


def made(tenant: Tenant, *, state: str = "dead", hours: float = 1, **options: Any) -> Callback:
    defaults: dict[str, Any] = {"url": URL, "type": "thing.done", "data": {"text": "CANARY"}}
    callback = outbox.put(tenant, **{**defaults, **options})
    ended = None if state == "pending" else timezone.now()
    Callback.objects.filter(pk=callback.pk).update(
        state=state, ended_at=ended, attempts=3, last_status=503, created_at=timezone.now() - timedelta(hours=hours)
    )
    return callback


def state(callback: Callback) -> str:
    return Callback.objects.get(pk=callback.pk).state


def test_a_list_shows_what_became_of_callbacks_and_no_body_nor_token(shell: Shell, blog: Tenant) -> None:
    job = ended_job(blog, callback_url=URL, result={"content": "CANARY"})
    callback = outbox.job_ended(job)
    assert callback is not None
    [row] = shell.json("wp_ai_callbacks", "list")
    assert (row["id"], row["tenant"], row["type"]) == (callback.message_id, "blog", "job.succeeded")
    assert (row["job_id"], row["state"], row["attempts"]) == (str(job.pk), "pending", 0)
    assert row["url"] == "https://blog.example.org/hook?…"
    assert row["next_attempt_at"]
    text = shell.run("wp_ai_callbacks", "list")
    assert callback.message_id in text
    assert "CANARY" not in text + str(row)


def test_a_list_is_narrowed_by_site_state_job_and_time(shell: Shell, blog: Tenant) -> None:
    job = ended_job(blog)
    wanted = made(blog, hours=2, job=job)
    made(blog, hours=5, job=job)
    made(blog, hours=2, state="delivered", job=job)
    made(blog, hours=2)
    made(TenantFactory.create(), hours=2)
    words = ["--tenant", "blog", "--state", "dead", "--job", str(job.pk), "--since", "3h", "--until", "1h"]
    assert [row["id"] for row in shell.json("wp_ai_callbacks", "list", *words)] == [wanted.message_id]
    assert len(shell.json("wp_ai_callbacks", "list", "--limit", "2")) == 2
    assert len(shell.json("wp_ai_callbacks", "list", "--state", "dead", "--state", "delivered")) == 5
    assert "There are no such callbacks" in shell.run("wp_ai_callbacks", "list", "--since", "1s")


def test_callbacks_are_replayed_by_id_as_the_receiver_saw_it(shell: Shell, blog: Tenant) -> None:
    first, second, third = made(blog), made(blog, state="delivered"), made(blog)
    found = shell.json("wp_ai_callbacks", "replay", first.message_id, str(second.pk))
    assert found == {"replayed": 2, "endpoint_off": 0, "without_body": 0, "pending": 0}
    assert [state(one) for one in (first, second, third)] == ["pending", "pending", "dead"]


def test_a_range_replays_dead_letters_unless_other_states_are_named(shell: Shell, blog: Tenant) -> None:
    dead, delivered, older = made(blog), made(blog, state="delivered"), made(blog, hours=30)
    assert "replayed" in shell.run("wp_ai_callbacks", "replay", "--tenant", "blog", "--since", "24h")
    assert [state(one) for one in (dead, delivered, older)] == ["pending", "delivered", "dead"]
    shell.run("wp_ai_callbacks", "replay", "--state", "delivered")
    assert [state(one) for one in (delivered, older)] == ["pending", "dead"]


def test_nothing_is_replayed_unless_something_is_named(shell: Shell, blog: Tenant) -> None:
    callback = made(blog)
    with pytest.raises(CommandError, match="Name callbacks, or choose some"):
        shell.run("wp_ai_callbacks", "replay")
    assert state(callback) == "dead"


def test_an_endpoint_that_is_off_is_told_or_switched_on(shell: Shell, blog: Tenant) -> None:
    callback = made(blog)
    elsewhere = made(blog, url="https://other.example.org/")
    disable(callback.endpoint, reason="operator")
    with pytest.raises(CommandError, match="None was replayed: 1 of an endpoint that is off"):
        shell.run("wp_ai_callbacks", "replay", callback.message_id)
    text = shell.run("wp_ai_callbacks", "replay", "--tenant", "blog")
    assert "Not replayed: 1 of an endpoint that is off." in text
    assert state(elsewhere) == "pending"
    shell.run("wp_ai_callbacks", "replay", callback.message_id, "--enable")
    assert state(callback) == "pending"
    assert not CallbackEndpoint.objects.filter(disabled_at__isnull=False).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay", "nonsense"], "is not an id"),
        (["replay", "0" * 32], "There are no such callbacks"),
        (["replay", "--state", "pending"], "invalid choice"),
        (["list", "--state", "lost"], "invalid choice"),
        (["list", "--tenant", "nobody"], "no tenant"),
        (["list", "--since", "yesterday"], "not a duration"),
        (["list", "--limit", "-1"], "not a number|expected one argument"),
    ],
)
def test_what_can_not_be_is_refused_with_one_line(shell: Shell, blog: Tenant, words: list[str], said: str) -> None:
    made(blog, state="pending")
    with pytest.raises(CommandError, match=said):
        shell.run("wp_ai_callbacks", *words)

"""What WordPress's privacy tools ask for: everything of one end user, and then nothing of them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from django_wp_ai.callbacks import outbox
from django_wp_ai.gateway import end_users
from django_wp_ai.jobs import claims, ending, payload
from django_wp_ai.models import (
    Budget,
    BudgetAlert,
    BudgetPeriod,
    Callback,
    Conversation,
    IdempotentReply,
    Job,
    JobStep,
    Turn,
    UsageEvent,
)
from django_wp_ai.security.issue import issue, issue_site_keys
from tests.api.conftest import MOUNT, Site
from tests.api.refusals import check_shape
from tests.factories import TenantFactory
from tests.signing import fresh_claims, hs256, message_signature

IDS = [
    "7",
    "user@example.org",
    "a/b",
    "a/export",
    "/lead",
    "50%",
    "a?b#c",
    "ü 漢字 🙂",
    "..",
    "x" * 128,
    "a+b;c=d&e",
    "'\"<b>",
]


def path(end_user: str, suffix: str = "") -> str:
    return f"v1/end-users/{quote(end_user, safe='')}{suffix}"


def export(site: Site, end_user: str, **extra: Any) -> Any:
    return site.get(path(end_user, "/export"), **extra)


def erase(site: Site, end_user: str, *, headers: dict[str, str] | None = None) -> Any:
    return site.client.delete(MOUNT + path(end_user), headers=site.auth if headers is None else headers)


def other_site() -> Site:
    tenant = TenantFactory.create()
    return Site(tenant, issue_site_keys(tenant), Client())


def leave_traces(site: Site, end_user: str) -> None:
    """One of everything that is kept of an end user."""
    now, tenant = timezone.now(), site.tenant
    body = {"prompt": "My secret plan", "conversation_id": "new", "metadata": {"end_user": end_user, "plugin": "p"}}
    Budget.objects.get_or_create(tenant=tenant, applies_to="end_user", name="", period="day", amount_usd=100)
    response = site.post("v1/chat", body, headers={**site.auth, "Idempotency-Key": uuid4().hex})
    assert response.status_code == 200, response.content
    job = Job.objects.create(
        tenant=tenant,
        kind="summary",
        end_user=end_user,
        metadata={"a": 1},
        input_sealed=payload.seal({"text": "My words"}),
        result_sealed=payload.seal({"summary": "Our words"}),
    )
    JobStep.objects.create(job=job, name="summary", fence=1, sent_at=now)
    outbox.put(tenant, url="https://example.org/done", type="job.succeeded", data={}, job=job, end_user=end_user)
    BudgetAlert.objects.create(
        tenant=tenant, subject=f"end_user:{end_user}", kind="day", starts_at=now, level="near", budget_usd=1
    )


@pytest.mark.parametrize("end_user", IDS)
def test_an_id_of_any_shape_is_exported_and_erased(site: Site, end_user: str) -> None:
    leave_traces(site, end_user)
    body = export(site, end_user).json()
    assert body["end_user"] == end_user
    assert (len(body["usage"]), len(body["jobs"]), len(body["conversations"])) == (1, 1, 1)
    told = erase(site, end_user).json()
    assert told["end_user"] == end_user
    assert told["erased"] == {
        "conversations": 1,
        "jobs": 1,
        "callbacks": 1,
        "replies": 1,
        "budget_counters": 1,
        "budget_alerts": 1,
        "usage": 1,
    }
    after = export(site, end_user).json()
    assert (after["usage"], after["jobs"], after["conversations"]) == ([], [], [])


def test_the_export_holds_figures_and_what_was_said(site: Site) -> None:
    leave_traces(site, "7")
    body = export(site, "7").json()
    [row] = site.usage()
    [usage] = body["usage"]
    assert usage["call_id"] == str(row.call_id)
    assert usage["cost_usd"] == float(row.cost_usd or 0)
    assert (usage["input_tokens"], usage["plugin"], usage["route"]) == (row.input_tokens, "p", "chat")
    assert [turn["role"] for turn in body["conversations"][0]["turns"]] == ["user", "assistant"]
    assert body["conversations"][0]["turns"][0]["content"] == "My secret plan"
    [job] = body["jobs"]
    assert (job["kind"], job["status"], job["metadata"]) == ("summary", "queued", {"a": 1})
    assert (job["input"], job["result"]) == ({"text": "My words"}, {"summary": "Our words"})
    assert body["next_cursor"] is None


def test_erasing_leaves_the_figures_and_nothing_that_names_the_user(site: Site) -> None:
    leave_traces(site, "someone@example.org")
    before = site.usage()[0]
    leave_traces(site, "stays")
    erase(site, "someone@example.org")
    row = UsageEvent.objects.get(pk=before.pk)
    assert row.end_user == ""
    assert (row.cost_usd, row.input_tokens, row.model) == (before.cost_usd, before.input_tokens, before.model)
    assert UsageEvent.objects.filter(end_user="stays").count() == 1
    for model in (Conversation, Job, Callback, IdempotentReply, UsageEvent, BudgetPeriod, BudgetAlert):
        assert "someone@example.org" not in str(list(model.objects.values()))  # type: ignore[attr-defined]
    assert Turn.objects.count() == 2
    assert JobStep.objects.count() == 1
    assert len(export(site, "stays").json()["conversations"]) == 1


def test_the_sites_own_counters_keep_what_the_erased_user_spent(site: Site) -> None:
    leave_traces(site, "7")
    whole = BudgetPeriod.objects.get(tenant=site.tenant, kind="day", subject="")
    assert whole.spent_usd > 0
    erase(site, "7")
    whole.refresh_from_db()
    assert whole.spent_usd == site.usage()[0].cost_usd


def test_a_user_whose_counter_was_erased_can_call_again(site: Site) -> None:
    leave_traces(site, "7")
    erase(site, "7")
    leave_traces(site, "7")
    [counter] = BudgetPeriod.objects.filter(subject="end_user:7")
    assert counter.reserved_usd == 0
    assert counter.spent_usd == site.usage()[1].cost_usd


def test_erasing_twice_and_erasing_nobody_is_no_error(site: Site) -> None:
    leave_traces(site, "7")
    erase(site, "7")
    for end_user in ("7", "nobody"):
        response = erase(site, end_user)
        assert response.status_code == 200
        assert set(response.json()["erased"].values()) == {0}


def test_a_repeated_call_is_not_answered_with_an_erased_reply(site: Site) -> None:
    body = {"prompt": "Hi", "metadata": {"end_user": "7"}}
    headers = {**site.auth, "Idempotency-Key": "key-1"}
    site.post("v1/chat", body, headers=headers)
    assert site.post("v1/chat", body, headers=headers)["Idempotency-Replayed"] == "true"
    erase(site, "7")
    assert "Idempotency-Replayed" not in site.post("v1/chat", body, headers=headers).headers


def test_another_sites_user_of_the_same_id_is_somebody_else(site: Site) -> None:
    other = other_site()
    leave_traces(other, "7")
    body = export(site, "7").json()
    assert (body["usage"], body["jobs"], body["conversations"]) == ([], [], [])
    assert set(erase(site, "7").json()["erased"].values()) == {0}
    assert len(export(other, "7").json()["conversations"]) == 1


def test_a_huge_export_comes_in_pages_without_a_gap_or_a_double(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end_users, "PAGE", 4)
    monkeypatch.setitem(end_users.WEIGHTS, "conversations", 2)
    now = timezone.now()
    for index in range(9):
        row = {"route": "chat", "provider": "p", "model": "m", "end_user": "7", "created_at": now}
        row |= {"state": "settled", "settled_at": now, "request_id": f"r{index}"}
        UsageEvent.objects.create(tenant=site.tenant, **row)
        if index < 5:
            Job.objects.create(tenant=site.tenant, kind="k", end_user="7")
            Conversation.objects.create(
                tenant=site.tenant, end_user="7", updated_at=now, created_at=now + timedelta(seconds=index)
            )
    found: dict[str, list[str]] = {"usage": [], "jobs": [], "conversations": []}
    cursor, pages = "", 0
    while cursor is not None:
        body = site.get(f"{path('7', '/export')}?cursor={cursor}").json()
        for name, key in (("usage", "request_id"), ("jobs", "id"), ("conversations", "id")):
            found[name] += [row[key] for row in body[name]]
        cursor, pages = body["next_cursor"], pages + 1
    assert found["usage"] == [f"r{index}" for index in range(9)]
    assert (len(set(found["jobs"])), len(found["jobs"])) == (5, 5)
    assert (len(set(found["conversations"])), len(found["conversations"])) == (5, 5)
    assert pages > 4


@pytest.mark.parametrize(
    "cursor", ["x", "usage", "usage:", "usage:-1", "usage:1e3", f"usage:{10**30}", "jobs:7", "secrets:1", "c" * 65]
)
def test_a_cursor_that_was_made_up_is_refused(site: Site, cursor: str) -> None:
    problem = check_shape(site.get(f"{path('7', '/export')}?cursor={cursor}"), "v1/end-users", 422, "invalid")
    assert problem["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("end_user", ["x" * 129, "a\x00b", "\x00"])
def test_what_can_be_no_id_is_refused(site: Site, end_user: str) -> None:
    for response in (export(site, end_user), erase(site, end_user)):
        problem = check_shape(response, "v1/end-users", 422, "invalid")
        assert problem["errors"][0]["field"] == "id"


def test_the_scope_is_needed(site: Site) -> None:
    key = issue(site.tenant, kind="api_key", scopes=["chat"]).secret
    headers = {"Authorization": f"Bearer {key}"}
    leave_traces(site, "7")
    check_shape(export(site, "7", headers=headers), "v1/end-users", 403, "forbidden")
    check_shape(erase(site, "7", headers=headers), "v1/end-users", 403, "forbidden")
    check_shape(erase(site, "7", headers={}), "v1/end-users", 401, "unauthenticated")
    assert Conversation.objects.count() == 1


def test_a_visitors_proof_reaches_the_visitors_own_data_only(site: Site) -> None:
    leave_traces(site, "7")
    leave_traces(site, "8")
    token = hs256(site.keys.jwt.secret, fresh_claims(sub="7"), kid=site.keys.jwt.credential.key_id)
    headers = {"Authorization": f"Bearer {token}"}
    check_shape(export(site, "8", headers=headers), "v1/end-users", 403, "forbidden")
    check_shape(erase(site, "8", headers=headers), "v1/end-users", 403, "forbidden")
    assert len(export(site, "7", headers=headers).json()["usage"]) == 1
    assert erase(site, "7", headers=headers).json()["erased"]["usage"] == 1
    assert len(export(site, "8").json()["usage"]) == 1


def test_a_signature_covers_the_escaped_id(site: Site) -> None:
    leave_traces(site, "a/b ü")
    raw = MOUNT + path("a/b ü", "/export")
    signed = message_signature(site.keys.hmac.credential.key_id, site.keys.hmac.secret, method="GET", path=raw)
    response = site.client.get(raw, headers=signed, RAW_URI=raw)
    assert response.status_code == 200, response.content
    assert len(response.json()["usage"]) == 1


def test_other_methods_are_named(site: Site) -> None:
    assert site.get(path("7"))["Allow"] == "DELETE"
    assert site.get(path("7")).status_code == 405
    assert site.post(path("7", "/export"), {}).status_code == 405


def test_either_everything_is_erased_or_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_traces(site, "7")
    site.tenant.usage_events.update(cost_usd=Decimal(1))

    def broken(*_: Any) -> int:
        raise RuntimeError("the database is gone")

    monkeypatch.setattr(end_users, "_deleted", broken)
    site.client.raise_request_exception = False
    assert erase(site, "7").status_code == 500
    assert (Conversation.objects.count(), UsageEvent.objects.filter(end_user="7").count()) == (1, 1)


def test_a_job_that_no_key_opens_any_more_is_exported_without_its_texts(site: Site) -> None:
    leave_traces(site, "7")
    Job.objects.update(input_sealed=b"sealed with another key")
    [job] = export(site, "7").json()["jobs"]
    assert (job["input"], job["result"]) == (None, {"summary": "Our words"})


def test_erasing_takes_a_running_job_out_of_its_workers_hands(site: Site) -> None:
    leave_traces(site, "7")
    [claim] = claims.claim(worker="w", at_most=1)
    erase(site, "7")
    assert not ending.succeed(claim, {"text": "late"})
    assert claims.renew({claim.job.pk: claim.fence}).lost == {claim.job.pk}
    assert not Callback.objects.exists()

"""What may be created, how often, and what is the same job."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Forbidden, Invalid, RateLimited
from django_wp_ai.jobs import claims, create, ending, payload
from django_wp_ai.jobs.waking import jobs_waiting
from django_wp_ai.models import Job
from tests.flows.jobs.conftest import new, queued, site
from tests.unit.policy.contention import in_threads

URL = "https://example.org/done"


def configured(settings: Any, **values: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, **values}


def test_a_row_has_what_the_call_said_and_who_made_it(db: None) -> None:
    principal = replace(site(), roles=("editor",), models=("offline:extractive",))
    job = queued(
        principal,
        "My words",
        metadata={"post": 7},
        callback_url=URL,
        request_id="r-1",
        plugin="p",
        end_user="7",
        priority=2,
    )
    job.refresh_from_db()
    assert payload.unseal(job.input_sealed) == {"text": "My words"}
    assert b"My words" not in bytes(job.input_sealed)
    assert (job.credential_id, job.end_user, job.request_id, job.priority) == (principal.credential.pk, "7", "r-1", 2)
    assert (job.callback_url, job.callback_profile, job.metadata) == (URL, "standard", {"post": 7})
    assert job.caller == {
        "scopes": sorted(principal.scopes),
        "models": ["offline:extractive"],
        "roles": ["editor"],
        "method": "api_key",
        "plugin": "p",
    }
    assert (job.max_attempts, job.deadline_s) == (3, 30)
    assert abs(timezone.now() - job.created_at) < timedelta(minutes=1)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a kind that is not there": ({"kind": "none"}, "kind"),
    "a wrong type": ({"input": {"text": 7}}, "input.text"),
    "a wrong type far inside": ({"input": {"parts": [{"value": 1}, {"value": "x"}]}}, "input.parts.1.value"),
    "an unknown field": ({"input": {"other": 1}}, "input.other"),
    "no object": ({"input": "text"}, "input"),
    "a NUL character": ({"input": {"text": "a\x00b"}}, "input.text"),
    "half a surrogate pair": ({"input": {"any": ["\ud800"]}}, "input.any.0"),
    "a NUL in a name": ({"input": {"any": {"\x00": 1}}}, "input.any"),
    "a number that JSON has not": ({"input": {"any": float("nan")}}, "input"),
    "what is no JSON": ({"input": {"any": object()}}, "input"),
    "endless depth": ({"input": {"any": [[[[]]]]}}, "input"),
    "metadata that is no object": ({"metadata": ["a"]}, "metadata"),
    "large metadata": ({"metadata": {"a": "ü" * 8192}}, "metadata"),
    "a NUL in the metadata": ({"metadata": {"a": "\x00"}}, "metadata.a"),
    "a NUL in the context": ({"callback_context": {"a": "\x00"}}, "callback_context.a"),
    "a time without its zone": ({"run_after": datetime(2030, 1, 1)}, "run_after"),  # noqa: DTZ001 - meant
    "a time too far ahead": ({"run_after": timezone.now() + timedelta(days=31)}, "run_after"),
    "a priority out of bounds": ({"priority": 101}, "priority"),
    "a URL into our network": ({"callback_url": "http://10.1.2.3/x"}, "callback_url"),
    "a URL of another scheme": ({"callback_url": "file:///etc/passwd"}, "callback_url"),
    "a profile that is not there": ({"callback_url": URL, "callback_profile": "none"}, "callback_profile"),
    "a long key": ({"idempotency_key": "k" * 256}, "idempotency_key"),
    "a key with a NUL": ({"idempotency_key": "\x00"}, "idempotency_key"),
    "a long end user": ({"end_user": "u" * 129}, "end_user"),
    "an end user with a NUL": ({"end_user": "\x00"}, "end_user"),
    "a request id that can't be stored": ({"request_id": "\ud800"}, "request_id"),
}


@pytest.mark.parametrize(("fields", "field"), BAD.values(), ids=BAD)
def test_what_breaks_a_rule_is_refused_with_its_field(
    settings: Any, fields: dict[str, Any], field: str, principal: Principal
) -> None:
    configured(settings, MAX_JSON_DEPTH=3)
    with pytest.raises(Invalid) as refused:
        create.create(principal, new(**fields))
    assert [error["field"] for error in refused.value.errors] == [field]
    assert not Job.objects.exists()


def test_depth_beyond_what_python_recurses_is_refused_too(principal: Principal) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Invalid):
        create.create(principal, new(input={"any": deep}))
    while deep:  # taken apart by hand: the interpreter would do so by recursion
        deep = deep[0]


def test_a_host_on_the_sites_list_may_be_called_back(db: None) -> None:
    assert queued(site(callback_hosts=["10.1.2.3"]), callback_url="http://10.1.2.3/x").callback_url


def test_without_a_url_the_sites_own_is_told(db: None) -> None:
    job = queued(site(callback_url=URL))
    assert (job.callback_url, job.callback_profile) == (URL, "standard")
    assert queued(site()).callback_url == ""


def test_the_scope_is_needed(db: None) -> None:
    principal = replace(site(), scopes=frozenset({"chat"}))
    with pytest.raises(Forbidden):
        create.create(principal, new())


def test_a_visitor_can_not_name_another_end_user(db: None) -> None:
    principal = replace(site(), method="stream_token")
    assert queued(principal, end_user="7").end_user == ""
    assert queued(replace(principal, end_user="8"), end_user="7").end_user == "8"


def test_a_time_in_the_past_does_not_push_in(db: None) -> None:
    first = queued(site())
    pushing = queued(site(), run_after=timezone.now() - timedelta(days=1))
    assert pushing.run_after >= first.run_after


@pytest.fixture
def woken() -> Iterator[list[uuid.UUID]]:
    found: list[uuid.UUID] = []

    def note(*, job_id: uuid.UUID, **_: Any) -> None:
        found.append(job_id)

    jobs_waiting.connect(note)
    yield found
    jobs_waiting.disconnect(note)


@pytest.mark.django_db(transaction=True)
def test_workers_are_told_of_a_job_that_is_due_once_it_is_committed(woken: list[uuid.UUID]) -> None:
    principal = site()
    job = queued(principal)
    queued(principal, run_after=timezone.now() + timedelta(hours=1))
    create.create(principal, new(idempotency_key="k"))
    create.create(principal, new(idempotency_key="k"))
    assert woken == [job.pk, Job.objects.get(idempotency_key="k").pk]


OTHER: dict[str, dict[str, Any]] = {
    "input": {"input": {"text": "other"}},
    "callback": {"callback_url": URL},
    "context": {"callback_context": {"post_id": 1}},
    "metadata": {"metadata": {"a": 1}},
    "end user": {"end_user": "8"},
    "time": {"run_after": timezone.now() + timedelta(hours=1)},
}


@pytest.mark.parametrize("fields", OTHER.values(), ids=OTHER)
def test_a_key_of_another_call_is_refused(principal: Principal, fields: dict[str, Any]) -> None:
    first = queued(principal, idempotency_key="k")
    with pytest.raises(Invalid):
        queued(principal, idempotency_key="k", **fields)
    assert queued(principal, idempotency_key="k", request_id="another", priority=1).pk == first.pk
    assert queued(site(), idempotency_key="k", **fields).pk != first.pk


def test_a_profile_without_a_url_to_be_told_is_refused(principal: Principal) -> None:
    with pytest.raises(Invalid) as refused:
        queued(principal, callback_profile="x-sig")
    assert refused.value.errors[0]["field"] == "callback_profile"


def test_a_key_still_names_its_job_when_that_has_ended(principal: Principal) -> None:
    first = queued(principal, idempotency_key="k")
    ending.request_cancel(principal.tenant, first.pk)
    assert queued(principal, idempotency_key="k").pk == first.pk


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fields", [{"idempotency_key": "k"}, {}], ids=["by key", "by input"])
def test_the_same_call_made_many_times_at_once_makes_one_job(settings: Any, fields: dict[str, Any]) -> None:
    configured(settings, JOB_DEDUPE_S=60)
    principal = site(job_rpm=2)
    made = in_threads(lambda: create.create(principal, new(**fields)), calls=24, threads=8)
    assert Job.objects.count() == 1
    assert [one.is_new for one in made].count(True) == 1
    assert {one.job.pk for one in made} == {Job.objects.get().pk}


def test_the_same_input_within_the_time_is_the_same_job_until_it_failed(principal: Principal, settings: Any) -> None:
    configured(settings, JOB_DEDUPE_S=60)
    first = queued(principal)
    assert queued(principal).pk == first.pk
    assert queued(principal, "other").pk != first.pk
    assert queued(principal, end_user="7").pk != first.pk
    ending.request_cancel(principal.tenant, first.pk)
    second = queued(principal)
    assert second.pk != first.pk
    Job.objects.filter(pk=second.pk).update(created_at=timezone.now() - timedelta(seconds=61))
    assert queued(principal).pk not in (first.pk, second.pk)


def test_without_the_setting_the_same_input_is_another_job(principal: Principal) -> None:
    assert queued(principal).pk != queued(principal).pk


def test_a_site_may_not_fill_the_queue(principal: Principal, settings: Any) -> None:
    configured(settings, JOBS_QUEUED_PER_TENANT=2)
    queued(principal)
    queued(principal)
    with pytest.raises(RateLimited) as refused:
        queued(principal)
    assert refused.value.retry_after_s
    queued(site())
    assert claims.claim(worker="w", at_most=1)
    queued(principal)


LIMITS: dict[str, dict[str, Any]] = {
    "job-rpm": {"job_rpm": 2},
    "user-job-rpm": {"end_user_job_rpm": 2},
    "route-rpm": {"routes": {"jobs": {"rpm": 2}}},
    "route-rpd": {"routes": {"jobs": {"rpd": 2}}},
}


@pytest.mark.parametrize(("name", "fields"), LIMITS.items(), ids=LIMITS)
def test_creating_is_limited_and_a_refused_call_uses_nothing(db: None, name: str, fields: dict[str, Any]) -> None:
    principal = site(rpm=0, **fields)  # what the site may call models is counted when a job does
    made = create.create(principal, new(end_user="7"))
    assert f'"{name}";r=1' in made.fields["RateLimit"]
    with pytest.raises(Invalid):
        create.create(principal, new(end_user="7", input={"text": 7}))
    create.create(principal, new("second", end_user="7"))
    with pytest.raises(RateLimited) as refused:
        create.create(principal, new("third", end_user="7"))
    assert f'"{name}";r=0' in refused.value.fields["RateLimit"]
    assert int(refused.value.fields["Retry-After"]) >= 1
    assert Job.objects.count() == 2


def test_what_is_refused_for_a_full_queue_or_was_there_already_is_not_counted(db: None, settings: Any) -> None:
    configured(settings, JOBS_QUEUED_PER_TENANT=1)
    principal = site(job_rpm=2)
    create.create(principal, new(idempotency_key="k"))
    for _ in range(3):
        assert not create.create(principal, new(idempotency_key="k")).is_new
        with pytest.raises(RateLimited):
            create.create(principal, new("more"))
    configured(settings, JOBS_QUEUED_PER_TENANT=9)
    assert create.create(principal, new("more")).is_new


def test_one_end_users_limit_is_not_anothers(db: None) -> None:
    principal = site(end_user_job_rpm=1)
    queued(principal, end_user="7")
    queued(principal, end_user="8")
    queued(principal)
    with pytest.raises(RateLimited):
        queued(principal, end_user="7")


def test_a_row_that_could_not_be_written_is_not_counted(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    principal = site(job_rpm=1)

    def broken(_: Job) -> None:
        raise OSError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(create.inserting, "insert", broken)
        with pytest.raises(OSError, match="full"):
            queued(principal)
    assert queued(principal).pk


def test_limits_hold_where_the_database_counts_them(db: None, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    principal = site(job_rpm=1)
    assert queued(principal, idempotency_key="k").pk == queued(principal, idempotency_key="k").pk
    with pytest.raises(RateLimited):
        queued(principal)

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_wp_ai.jobs import payload
from django_wp_ai.models import Callback, CallbackEndpoint, Job, JobStep
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

CANARY = "canary-words"


def made(status: str = "queued", *, days: float = 0, **fields) -> Job:
    at = timezone.now() - timedelta(days=days)
    ended = status in ("succeeded", "failed", "cancelled")
    values = {
        "kind": "summary",
        "created_at": at,
        "finished_at": at if ended else None,
        "input_sealed": payload.seal(CANARY),
        "result_sealed": payload.seal(CANARY) if ended else None,
        "metadata": {"title": CANARY},
        "callback_url": f"https://a.example.org/?token={CANARY}",
    }
    tenant = fields.pop("tenant", None) or TenantFactory()
    return Job.objects.create(tenant=tenant, status=status, **{**values, **fields})


def listed(shell, *words: str) -> set[str]:
    return {job["id"] for job in shell.json("wp_ai_jobs", "list", *words)["jobs"]}


def test_the_list_has_the_newest_first_and_says_how_deep_the_queue_is(shell):
    made("succeeded", days=2, kind="chat", cost_usd=Decimal("0.25"))
    made("queued", run_after=timezone.now() - timedelta(seconds=90), tenant=TenantFactory(slug="blog"))
    lines = shell.run("wp_ai_jobs", "list").splitlines()
    assert lines[0].split() == [
        "id", "tenant", "kind", "status", "progress", "attempts", "error", "cost_usd", "created_at"
    ]  # fmt: skip
    assert [line.split()[1:4:2] for line in lines[1:2]] == [["blog", "queued"]]
    assert "0.25" in lines[2]
    assert lines[-1].startswith("Of all tenants: 1 due, the oldest for 9")
    assert lines[-1].endswith("0 running.")


def test_an_empty_list_is_a_sentence(shell):
    assert shell.run("wp_ai_jobs", "list").splitlines() == [
        "There are no such jobs.",
        "",
        "Of all tenants: 0 due; 0 running.",
    ]


def test_the_list_is_narrowed_by_tenant_status_kind_and_age(shell):
    tenant = TenantFactory(slug="blog")
    wanted = made("failed", tenant=tenant, kind="chat")
    others = [made("failed", tenant=tenant, days=3), made("succeeded", tenant=tenant, kind="extract"), made("failed")]
    everything = {str(job.pk) for job in (wanted, *others)}
    assert listed(shell) == everything
    assert listed(shell, "--tenant", "blog") == everything - {str(others[2].pk)}
    assert listed(shell, "--status", "succeeded") == {str(others[1].pk)}
    assert listed(shell, "--kind", "chat") == {str(wanted.pk)}
    assert listed(shell, "--since", "24h") == everything - {str(others[0].pk)}
    assert listed(shell, "--tenant", "blog", "--status", "failed", "--since", "1h") == {str(wanted.pk)}
    assert len(listed(shell, "--limit", "2")) == 2


def test_the_list_asks_as_often_for_one_job_as_for_many(shell, django_assert_num_queries):
    made()
    with django_assert_num_queries(3):
        shell.run("wp_ai_jobs", "list")
    for _ in range(10):
        made()
    with django_assert_num_queries(3):
        shell.run("wp_ai_jobs", "list")


def test_a_job_is_shown_with_attempts_steps_and_callbacks_and_without_what_was_said(shell):
    attempt = {"number": 1, "worker": "w", "started_at": "a", "ended_at": "b", "outcome": "failed", "error": "timeout"}
    job = made("failed", error_code="timeout", error_message="It took too long", timeline=[attempt])
    JobStep.objects.create(
        job=job, name="ask", fence=1, sends=2, sent_at=timezone.now(), result_sealed=payload.seal(CANARY)
    )
    endpoint = CallbackEndpoint.objects.create(tenant=job.tenant, url=f"https://a.example.org/?{CANARY}", url_hash="a")
    callback = Callback.objects.create(
        tenant=job.tenant,
        endpoint=endpoint,
        job=job,
        type="job.failed",
        profile="standard",
        body_sealed=payload.seal(CANARY),
        state="dead",
        ended_at=timezone.now(),
    )
    told = shell.json("wp_ai_jobs", "show", str(job.pk))
    assert (told["id"], told["error"], told["error_message"]) == (str(job.pk), "timeout", "It took too long")
    assert told["attempt_log"] == [attempt]
    assert [(step["name"], step["state"], step["sends"]) for step in told["steps"]] == [("ask", "sent", 2)]
    assert [(one["id"], one["state"]) for one in told["callbacks"]] == [(str(callback.pk), "dead")]
    printed = shell.run("wp_ai_jobs", "show", str(job.pk))
    for part in ("attempt_log", "steps", "callbacks", "job.failed", "It took too long"):
        assert part in printed
    assert CANARY not in f"{told}{printed}"


def test_a_bare_job_is_shown_without_empty_tables(shell):
    printed = shell.run("wp_ai_jobs", "show", str(made().pk))
    assert "attempt_log" not in printed
    assert "steps" not in printed


def test_failed_jobs_are_retried_and_waiting_ones_cancelled(shell):
    failed, waiting, running = made("failed", attempts=4), made("queued"), made("running")
    assert shell.json("wp_ai_jobs", "retry", str(failed.pk)) == [
        {"id": str(failed.pk), "status": "queued", "error": None}
    ]
    told = shell.json("wp_ai_jobs", "cancel", str(waiting.pk), str(running.pk), str(waiting.pk))
    assert [(one["id"], one["status"]) for one in told] == [
        (str(waiting.pk), "cancelled"),
        (str(running.pk), "stopping"),
    ]
    assert set(Job.objects.values_list("status", flat=True)) == {"queued", "cancelled", "running"}


def test_what_can_be_done_is_done_and_the_rest_is_one_line_and_an_error(shell, capsys):
    failed, done, unknown = made("failed"), made("succeeded"), uuid4()
    with pytest.raises(CommandError) as error:
        call_command("wp_ai_jobs", "retry", str(done.pk), str(failed.pk), str(unknown))
    text = str(error.value)
    assert text.startswith("2 of 3 were left as they are.")
    assert f"{done.pk}: Only failed and cancelled jobs" in text
    assert f"{unknown}: There is no job" in text
    assert "\n" not in text
    assert str(failed.pk) in capsys.readouterr().out
    assert Job.objects.get(pk=failed.pk).status == "queued"


def test_nothing_done_prints_no_table(capsys):
    with pytest.raises(CommandError, match="1 of 1 were left"):
        call_command("wp_ai_jobs", "cancel", str(made("succeeded").pk))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "x"], "is not an id"),
        (["show", str(uuid4())], "There is no job"),
        (["list", "--tenant", "nobody"], "There is no tenant"),
        (["list", "--status", "lost"], "invalid choice"),
        (["list", "--since", "yesterday"], "not a duration"),
        (["list", "--limit", "none"], "give a number"),
        (["purge", "--tenant", "nobody"], "There is no tenant"),
        (["purge", "--older-than", "x"], "not a duration"),
        (["retry"], "required"),
    ],
)
def test_a_wrong_word_is_one_line(shell, words, said):
    with pytest.raises(CommandError, match=said) as error:
        shell.run("wp_ai_jobs", *words)
    assert "\n" not in str(error.value)


def test_purging_does_what_each_tenant_wants(shell):
    deleting, blanking = TenantFactory(slug="a", job_days=10), TenantFactory(slug="b", job_retention="anonymise")
    gone, kept = made("succeeded", days=11, tenant=deleting), made("failed", days=9, tenant=deleting)
    blank, young = made("succeeded", days=31, tenant=blanking), made("succeeded", days=29, tenant=blanking)
    expected = [{"tenant": "a", "jobs": 1, "how": "delete"}, {"tenant": "b", "jobs": 1, "how": "anonymise"}]
    assert shell.json("wp_ai_jobs", "purge", "--dry-run") == expected
    assert Job.objects.filter(anonymised_at=None).count() == 4
    assert shell.json("wp_ai_jobs", "purge") == expected
    assert set(Job.objects.values_list("pk", flat=True)) == {kept.pk, blank.pk, young.pk}
    assert set(Job.objects.filter(anonymised_at=None)) == {kept, young}
    assert gone.pk is not None


def test_purging_can_be_narrowed_and_told_to_anonymise(shell):
    tenant = TenantFactory(slug="blog")
    failed, done, other = (
        made("failed", days=2, tenant=tenant),
        made("succeeded", days=2, tenant=tenant),
        made("failed", days=2),
    )
    words = ("wp_ai_jobs", "purge", "--tenant", "blog", "--older-than", "1d", "--failed", "--anonymise")
    said = shell.run(*words, "--dry-run")
    assert said.splitlines()[-1] == "Nothing was changed."
    assert shell.json(*words) == [{"tenant": "blog", "jobs": 1, "how": "anonymise"}]
    assert set(Job.objects.filter(anonymised_at=None)) == {done, other}
    failed.refresh_from_db()
    assert (bytes(failed.input_sealed), failed.metadata, failed.callback_url) == (b"", {}, "")

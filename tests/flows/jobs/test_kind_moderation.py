"""The kind ``moderation``: a judgement, not a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Tenant
from tests.flows.jobs.working import Work, steps_of
from tests.vendor.running import RunningVendor

BAD = "I am going to kill you"


def change(work: Work, **fields: Any) -> None:
    Tenant.objects.filter(pk=work.tenant.pk).update(**fields)


@pytest.mark.parametrize("mode", ["off", "local"])
def test_local_rules_judge_each_text(work: Work, vendor: RunningVendor, mode: str) -> None:
    change(work, moderation=mode)
    found = work.result("moderation", {"texts": ["A nice day", BAD]})
    assert (found["flagged"], found["source"]) == (True, "local")
    assert [each["flagged"] for each in found["results"]] == [False, True]
    assert found["categories"] == found["results"][1]["categories"]
    assert all(0 < score <= 1 for score in found["results"][1]["scores"].values())
    assert not vendor.requests
    assert work.result("moderation", {"text": "A nice day"})["flagged"] is False


def test_a_provider_judges_where_the_site_says_so_and_sees_no_personal_data(work: Work, vendor: RunningVendor) -> None:
    change(work, moderation="provider", redact_pii=True)
    job = work.done("moderation", {"texts": ["Write to ann@example.org", "[[flag=violence,hate]] x", " "]})
    assert job.status == "succeeded", job.error_message
    assert steps_of(job) == ["moderation"]
    [asked] = vendor.requests
    assert asked.path == "/v1/moderations"
    assert "ann@example.org" not in str(asked.body)
    found = work.result("moderation", {"texts": ["fine", "[[flag=violence,hate]] x"]})
    assert found["source"] == "openai"
    assert found["categories"] == ["hate", "violence"]
    assert [each["flagged"] for each in found["results"]] == [False, True]


def test_a_denied_term_flags_too(work: Work) -> None:
    change(work, denied_terms=["gizmo"])
    found = work.result("moderation", {"text": "Buy a gizmo"})
    assert (found["flagged"], found["categories"]) == (True, ["denied_term"])


def test_a_provider_that_is_down_is_asked_later(work: Work) -> None:
    change(work, moderation="provider")
    job = work.done("moderation", {"text": "[[status=503]] x"})
    assert (job.status, job.attempts, job.timeline[0]["outcome"]) == ("queued", 1, "retried")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "input"),
        ({"text": "a", "texts": ["b"]}, "input"),
        ({"texts": []}, "input.texts"),
        ({"texts": ["a"] * 101}, "input.texts"),
        ({"texts": ["a", 5]}, "input.texts.1"),
        ({"text": None}, "input"),
        ({"text": "a", "categories": ["hate"]}, "input.categories"),
    ],
)
def test_what_does_not_fit_is_refused_at_once_with_its_field(work: Work, given: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        work.queue("moderation", given)
    assert field in [error["field"] for error in refused.value.errors]

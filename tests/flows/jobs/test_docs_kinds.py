"""The samples of docs/kinds.md, run on the offline provider; and kinds that a host registers."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.test import override_settings

from django_wp_ai.jobs import registry
from tests.flows.jobs.working import OFFLINE, Work, result_of
from tests.samples import Sample, samples

PAGE = [sample for sample in samples() if sample.page == "kinds.md"]
JOBS = [sample for sample in PAGE if sample.kind == "job"]
RESULTS = {
    before.id: after.source for before, after in pairwise(PAGE) if (before.kind, after.kind) == ("job", "result")
}


@pytest.mark.parametrize("sample", JOBS, ids=lambda sample: sample.id)
def test_a_sample_of_a_job_has_the_result_that_is_shown(work: Work, sample: Sample) -> None:
    wished = json.loads(sample.source)
    found = work.result(wished["kind"], wished["input"])
    if sample.id in RESULTS:
        assert found == json.loads(RESULTS[sample.id])
    else:
        [shown] = [json.loads(each.source) for each in PAGE if each.language == "json" and not each.kind]
        assert shown.keys() == found.keys()
        assert shown["results"][0].keys() == found["results"][0].keys()


def test_each_kind_of_the_app_has_a_sample_and_a_heading() -> None:
    kinds = [kind for kind in registry.kinds().values() if not kind.is_internal]
    own = {kind.name for kind in kinds if kind.run.__module__.startswith("django_wp_ai.")}
    assert {json.loads(sample.source)["kind"] for sample in JOBS} == own
    text = (Path(__file__).parents[3] / "docs" / "kinds.md").read_text(encoding="utf-8")
    assert all(f"\n## {name}\n" in text for name in own)


@pytest.mark.parametrize("sample", samples("kinds"), ids=lambda sample: sample.id)
def test_a_sample_of_a_kind_registers_and_runs(work: Work, sample: Sample) -> None:
    before = set(registry.kinds())
    exec(compile(sample.source, sample.id, "exec", dont_inherit=True), {"__name__": "wp_ai_jobs"})
    [name] = set(registry.kinds()) - before
    found = work.result(name, {"text": "Our bakery sells rye bread. It opens at six.", "model": OFFLINE})
    assert all(found.values())


def test_the_kinds_of_installed_apps_are_found_at_start(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a_shop"
    folder.mkdir()
    (folder / "__init__.py").touch()
    source = """
from pydantic import BaseModel
from django_wp_ai.job_kinds import JobContext, JobFailed, job_kind

class Stock(BaseModel):
    sku: str

@job_kind("stock", input=Stock, output=Stock, deadline_s=7, max_attempts=2)
async def stock(context: JobContext, given: Stock) -> Stock:
    if given.sku == "none":
        raise JobFailed("There is no such thing.", code="no_such_thing")
    return Stock(sku=await context.step("look", lambda: look(given.sku)))

async def look(sku: str) -> str:
    return sku.upper()
"""
    (folder / "wp_ai_jobs.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with override_settings(INSTALLED_APPS=["django_wp_ai", "a_shop"]):
        apps.get_app_config("django_wp_ai").ready()
    for name in ("a_shop.wp_ai_jobs", "a_shop"):
        del sys.modules[name]
    job = work.done("stock", {"sku": "rye"})
    assert (job.status, job.deadline_s, job.max_attempts, result_of(job)) == ("succeeded", 7, 2, {"sku": "RYE"})
    failed = work.done("stock", {"sku": "none"})
    assert (failed.status, failed.error_code, failed.error_message) == (
        "failed",
        "no_such_thing",
        "There is no such thing.",
    )


def test_host_code_gets_all_it_needs_from_one_module() -> None:
    from django_wp_ai import job_kinds

    assert all(getattr(job_kinds, name) for name in job_kinds.__all__)
    documented = {word for sample in samples("kinds") for word in sample.source.split()}
    used: set[Any] = {name for name in job_kinds.__all__ if any(name in word for word in documented)}
    assert {"JobContext", "JobFailed", "job_kind", "ask_for_json", "fence"} <= used

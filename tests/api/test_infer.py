"""``v1/infer``: a prompt in, an answer out."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.models import Tenant
from tests.api.conftest import Site
from tests.api.refusals import check_shape, row_counts
from tests.vendor.running import RunningVendor

PATH = "v1/infer"


def test_the_reply_has_its_contract_and_the_ledger_its_row(site: Site) -> None:
    prompt = "Hi [[say=hello]] [[usage=12,3]]"
    body = {"prompt": prompt, "model": "fast", "metadata": {"end_user": "42", "plugin": "forms"}}
    response = site.post(PATH, body)

    assert response.status_code == 200
    assert response.json() == {
        "cached": False,
        "model": "gpt-4o-mini",
        "result": {"text": "hello", "tokens_in": 12, "tokens_out": 3, "model": "gpt-4o-mini"},
        "output": "hello",
    }
    (row,) = site.usage()
    assert (row.route, row.state, row.end_user, row.plugin) == ("infer", "settled", "42", "forms")


def test_a_refusal_of_the_model_is_the_text(site: Site) -> None:
    assert site.post(PATH, {"prompt": "Hi [[refusal]]"}).json()["output"] == "I can't help with that."


def test_what_is_asked_is_kept_within_what_the_site_allows(site: Site, vendor: RunningVendor) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(max_tokens_limit=800, temperature_max=1.0, default_max_tokens=50)
    site.post(PATH, {"prompt": "Hi"})
    assert vendor.last.body["max_tokens"] == 50
    response = site.post(PATH, {"prompt": "Hi", "max_tokens": 9000, "temperature": 1.7})
    assert (vendor.last.body["max_tokens"], vendor.last.body["temperature"]) == (800, 1.0)
    assert response["X-WP-AI-Clamped"] == "temperature=1, max_tokens=800"


def test_a_kept_answer_is_given_again_where_the_caller_agrees(site: Site, vendor: RunningVendor) -> None:
    body = {"prompt": "Hi [[say=hello]]", "cache": True}
    first, second = site.post(PATH, body).json(), site.post(PATH, body).json()
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["output"] == second["output"]
    assert len(vendor.requests) == 1
    site.post(PATH, {**body, "cache": False})
    assert len(vendor.requests) == 2


def test_a_dry_run_tells_what_would_be_sent_and_sends_nothing(site: Site, vendor: RunningVendor) -> None:
    before = row_counts()
    told = site.post(PATH, {"prompt": "Hi", "dry_run": True, "max_tokens": 9}).json()
    assert told["dry_run"] is True
    assert told["messages"][-1]["content"] == "Hi"
    assert told["usage"]["max_cost_usd"] > 0
    assert row_counts() == before
    assert not vendor.requests


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": "a" * 8001}, "prompt"),
        ({"prompt": ["Hi"]}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"model": 5}, "model"),
        ({"model": "m" * 129}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"cache": "yes"}, "cache"),
        ({"dry_run": 1}, "dry_run"),
        ({"metadata": {"surprise": 1}}, "metadata.surprise"),
        ({"stream": True}, "stream"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_fields_that_break_a_rule_are_named(
    site: Site, vendor: RunningVendor, change: dict[str, Any], field: str
) -> None:
    before = row_counts()
    body = check_shape(site.post(PATH, {"prompt": "Hi", **change}), PATH, 422, "invalid")
    assert [error["field"] for error in body["errors"]] == [field]
    assert row_counts() == before
    assert not vendor.requests


def test_a_prompt_of_the_longest_length_is_taken(site: Site) -> None:
    assert site.post(PATH, {"prompt": "é" * 8000}).status_code == 200

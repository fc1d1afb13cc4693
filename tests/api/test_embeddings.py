"""``v1/embeddings``: OpenAI's shape in and out, and what it refuses."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from django_wp_ai.models import Tenant
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import Site, options
from tests.api.refusals import check_shape, row_counts
from tests.factories import TenantFactory, make_credential
from tests.servers import running_site
from tests.vendor.running import RunningVendor

PATH = "v1/embeddings"
SMALL = "text-embedding-3-small"


def test_a_text_becomes_a_vector_in_openais_shape(site: Site) -> None:
    response = site.post(PATH, {"model": SMALL, "input": "two words", "dimensions": 8, "user": "42"})
    body = response.json()

    assert response.status_code == 200
    assert set(body) == {"object", "data", "model", "usage"}
    assert (body["object"], body["model"]) == ("list", SMALL)
    assert body["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    (entry,) = body["data"]
    assert (entry["object"], entry["index"], len(entry["embedding"])) == ("embedding", 0, 8)
    (row,) = site.usage()
    assert (row.route, row.end_user, row.input_tokens) == ("embeddings", "42", 2)


def test_packed_vectors_hold_the_same_numbers(site: Site) -> None:
    body = {"model": SMALL, "input": ["one", "two"], "dimensions": 8}
    plain = site.post(PATH, body).json()
    packed = site.post(PATH, {**body, "encoding_format": "base64"}).json()

    for told, text in zip(plain["data"], packed["data"], strict=True):
        assert array("f", base64.b64decode(text["embedding"])).tolist() == pytest.approx(told["embedding"])
    assert [entry["index"] for entry in packed["data"]] == [0, 1]


def test_the_limits_are_told_in_openais_fields_too(site: Site) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(rpm=5)
    response = site.post(PATH, {"model": SMALL, "input": "Hi"})
    assert response["x-ratelimit-remaining-requests"] == "4"
    assert "RateLimit" in response.headers


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": "  "}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [1, 2, 3]}, "input"),
        ({"input": [[1, 2], [3]]}, "input"),
        ({"input": ["a", None]}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": 5}, "input"),
        ({"input": True}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": "m" * 129}, "model"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": -1}, "dimensions"),
        ({"dimensions": 10**9}, "dimensions"),
        ({"dimensions": "8"}, "dimensions"),
        ({"dimensions": True}, "dimensions"),
        ({"dimensions": 1.5}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"user": "u" * 129}, "user"),
        ({"user": 7}, "user"),
        ({"surprise": 1}, "surprise"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_fields_that_break_a_rule_are_named(
    site: Site, vendor: RunningVendor, change: dict[str, Any], field: str
) -> None:
    before = row_counts()
    response = site.post(PATH, {"model": SMALL, "input": "Hi", **change})
    body = check_shape(response, PATH, 422, "invalid")
    assert body["error"]["param"].startswith(field)
    assert row_counts() == before
    assert not vendor.requests


@pytest.mark.parametrize("missing", ["model", "input"])
def test_what_is_missing_is_named(site: Site, missing: str) -> None:
    body = {"model": SMALL, "input": "Hi"}
    del body[missing]
    assert check_shape(site.post(PATH, body), PATH, 422, "invalid")["error"]["param"] == missing


def test_tokens_are_refused_in_words(site: Site) -> None:
    body = check_shape(site.post(PATH, {"model": SMALL, "input": [9906, 1917]}), PATH, 422, "invalid")
    assert "give text, not tokens" in body["error"]["message"]


def test_a_body_over_the_limit_is_refused(site: Site) -> None:
    check_shape(site.post(PATH, {"model": SMALL, "input": "a" * 300_000}), PATH, 413, "too_large")


def test_a_model_without_embeddings_is_told_so(site: Site, vendor: RunningVendor) -> None:
    response = site.post(PATH, {"model": "claude-haiku-4-5", "input": "Hi"})
    body = check_shape(response, PATH, 400, "model_not_allowed")
    assert "makes no embeddings" in body["error"]["message"]
    assert not vendor.requests


def test_the_scope_is_needed(site: Site) -> None:
    key = make_credential("api_key", tenant=site.tenant, scopes=["chat"]).secret
    response = site.post(PATH, {"model": SMALL, "input": "Hi"}, headers={"X-API-Key": key})
    check_shape(response, PATH, 403, "forbidden")


def test_a_vendors_failure_keeps_its_text_to_itself(site: Site, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "MAX_ATTEMPTS": 1}
    response = site.post(PATH, {"model": SMALL, "input": "Hi [[status=500]]"})
    assert response.status_code in (502, 503)
    assert "secret-vendor-text" not in response.content.decode()
    (row,) = site.usage()
    assert row.state == "settled"


@pytest.fixture
def sdk(vendor: RunningVendor, transactional_db: None) -> Iterator[openai.OpenAI]:
    keys = issue_site_keys(TenantFactory.create())
    with (
        running_site("uvicorn", options(vendor.url)) as url,
        openai.OpenAI(base_url=f"{url}/wp-ai/v1", api_key=keys.api_key.secret, max_retries=0) as made,
    ):
        yield made


@pytest.mark.django_db(transaction=True)
def test_openais_sdk_embeds_with_nothing_changed(sdk: openai.OpenAI) -> None:
    found = sdk.embeddings.create(model=SMALL, input=["red apple", "green pear"])  # asks for base64 by itself
    assert [len(entry.embedding) for entry in found.data] == [1536, 1536]
    assert found.usage.prompt_tokens == 4
    plain = sdk.embeddings.create(model=SMALL, input="red apple", encoding_format="float", dimensions=1536)
    assert plain.data[0].embedding == pytest.approx(found.data[0].embedding)
    offline = sdk.embeddings.create(model="offline-hash-2", input="red apple")
    assert len(offline.data[0].embedding) == 2048
    with pytest.raises(openai.UnprocessableEntityError):
        sdk.embeddings.create(model=SMALL, input=[[1, 2, 3]])

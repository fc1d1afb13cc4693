"""Embeddings on the street: admitted, priced by their input, recorded."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from django_wp_ai.datatypes import EmbeddingRequest
from django_wp_ai.exceptions import (
    BudgetExceeded,
    ContentBlocked,
    Forbidden,
    Invalid,
    ModelNotAllowed,
    ProviderError,
    RateLimited,
)
from django_wp_ai.gateway.embeddings import MAX_INPUTS, Embedded, embed
from django_wp_ai.gateway.origin import Origin
from tests.flows.conftest import Street, until_asked
from tests.flows.shop import change
from tests.vendor.running import RunningVendor

ORIGIN = Origin("embeddings", "request-1")
SMALL = "text-embedding-3-small"


def ask(street: Street, *inputs: str, model: str = SMALL, **fields: Any) -> Embedded:
    request = EmbeddingRequest(inputs=inputs, model=model, **fields)
    return street.run(embed(street.principal, request, ORIGIN))


def test_texts_become_vectors_in_their_order_and_a_priced_row(street: Street) -> None:
    done = ask(street, "red apple", "green pear", "red apple", dimensions=64, end_user="42", plugin="shop")

    first, second, third = done.result.vectors
    assert first == third != second
    assert len(first) == 64
    row = street.row()
    assert (row.route, row.provider, row.model, row.end_user, row.plugin) == (
        "embeddings",
        "openai",
        SMALL,
        "42",
        "shop",
    )
    assert (row.state, row.input_tokens, row.output_tokens, row.estimated) == ("settled", 6, 0, False)
    assert row.cost_usd == done.call.cost_usd == 6 * Decimal("0.02") / 1_000_000


@pytest.mark.parametrize(
    ("inputs", "fields", "field"),
    [
        ((), {}, "input"),
        (("a",) * (MAX_INPUTS + 1), {}, "input"),
        (("a", " "), {}, "input.1"),
        (("a",), {"dimensions": 0}, "dimensions"),
        (("a",), {"dimensions": 10**6}, "dimensions"),
    ],
)
def test_what_makes_no_vector_is_refused(
    street: Street, vendor: RunningVendor, inputs: tuple[str, ...], fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        ask(street, *inputs, **fields)
    assert refused.value.param == field
    assert not vendor.requests


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "nothing-like-it"])
def test_a_model_that_makes_no_embeddings_is_told_so(street: Street, vendor: RunningVendor, model: str) -> None:
    with pytest.raises(ModelNotAllowed):
        ask(street, "a", model=model)
    assert not vendor.requests


def test_of_an_aliass_candidates_those_are_asked_that_make_embeddings(street: Street) -> None:
    change(street, model_aliases={"vectors": ["anthropic:claude-haiku-4-5", f"openai:{SMALL}"]})
    assert ask(street, "a", model="vectors").call.target.name == f"openai:{SMALL}"


def test_the_scope_the_lists_and_the_limits_hold(street: Street, vendor: RunningVendor) -> None:
    change(street, allowed_models=["gpt-*"])
    with pytest.raises(ModelNotAllowed):
        ask(street, "a")
    change(street, allowed_models=[], budget_day_usd=Decimal(0))
    with pytest.raises(BudgetExceeded):
        ask(street, "a")
    change(street, budget_day_usd=None, routes={"embeddings": {"max_input_tokens": 2}})
    with pytest.raises(Invalid, match="this site's embeddings takes 2"):
        ask(street, "a text of more than two tokens")
    change(street, routes={}, rpm=1)
    ask(street, "a")
    with pytest.raises(RateLimited):
        ask(street, "a")
    object.__setattr__(street.principal, "scopes", frozenset({"chat"}))
    with pytest.raises(Forbidden):
        ask(street, "a")
    assert len(vendor.requests) == 1


def test_a_failing_provider_is_asked_again_and_the_call_is_settled(street: Street, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "MAX_ATTEMPTS": 3}
    ask(street, "a [[status=503 times=1]]")
    with pytest.raises(ProviderError):
        ask(street, "b [[status=500]]")
    states = {row.state for row in street.principal.tenant.usage_events.all()}
    assert states == {"settled"}


def test_a_caller_that_leaves_leaves_the_true_price(street: Street, vendor: RunningVendor) -> None:
    async def leave() -> None:
        request = EmbeddingRequest(inputs=("two words [[hold]]",), model=SMALL)
        asked = asyncio.ensure_future(embed(street.principal, request, ORIGIN))
        await until_asked(vendor)
        asked.cancel()
        await asyncio.wait([asked])

    street.run(leave())
    vendor.release(None)
    street.finish()
    row = street.row()
    assert (row.state, row.input_tokens, row.estimated) == ("settled", 3, False)


def test_personal_data_is_hidden_the_same_way_in_whatever_company(street: Street, vendor: RunningVendor) -> None:
    change(street, redact_pii=True)
    together = ask(street, "write to bob@example.org", "write to ada@example.org")
    alone = ask(street, "write to ada@example.org")

    assert "example.org" not in str([request.body for request in vendor.requests])
    assert alone.result.vectors[0] == together.result.vectors[1]


def test_a_denied_term_is_no_text_to_embed_either(street: Street, vendor: RunningVendor) -> None:
    change(street, denied_terms=["forbidden fruit"])
    with pytest.raises(ContentBlocked):
        ask(street, "red apple", "a forbidden fruit")
    assert not vendor.requests


def test_the_offline_provider_embeds_without_a_price(street: Street) -> None:
    done = ask(street, "apple", model="offline-hash-2")
    assert (len(done.result.vectors[0]), done.call.cost_usd) == (2048, 0)

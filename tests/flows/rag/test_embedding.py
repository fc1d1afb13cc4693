"""Which model makes a site's vectors: the one that serves, else the site's, else the host's, else whichever can."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import ModelNotAllowed
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.models import SiteIndex, Tenant
from django_wp_ai.rag.embedding import embed_query, serving_model, wanted_model
from tests.flows.conftest import Street

SMALL, LARGE, OFFLINE = "openai:text-embedding-3-small", "openai:text-embedding-3-large", "offline:offline-hash-2"


@pytest.fixture
def tenant(street: Street) -> Tenant:
    return street.principal.tenant


def choose(settings: Any, **options: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, **options}


def test_what_serves_goes_before_what_is_wanted(tenant: Tenant, settings: Any) -> None:
    assert serving_model(tenant) == SMALL  # the first provider that has one
    choose(settings, EMBEDDING_MODEL=OFFLINE)
    assert serving_model(tenant) == OFFLINE
    tenant.embedding_model = LARGE
    assert serving_model(tenant) == LARGE
    SiteIndex.objects.create(tenant=tenant, embedding_model=SMALL, dimensions=1536)
    assert (serving_model(tenant), wanted_model(tenant)) == (SMALL, LARGE)


def test_another_sites_index_says_nothing(tenant: Tenant, street: Street) -> None:
    other = Tenant.objects.create(slug="other")
    SiteIndex.objects.create(tenant=other, embedding_model=LARGE, dimensions=3072)
    assert serving_model(tenant) == SMALL


def test_an_alias_stands_for_its_first_target_however_they_are_weighted(tenant: Tenant, settings: Any) -> None:
    alias = [{"target": SMALL, "weight": 1}, {"target": OFFLINE, "weight": 1000}]
    choose(settings, MODEL_ALIASES={"vectors": alias}, EMBEDDING_MODEL="vectors")
    assert {wanted_model(tenant) for _ in range(20)} == {SMALL}


@pytest.mark.parametrize(
    "model", ["openai:gpt-4o", "offline:offline-extractive", "anthropic:claude-x", "nobody:x", "x"]
)
def test_a_model_that_cannot_embed_is_a_clear_error(tenant: Tenant, model: str) -> None:
    tenant.embedding_model = model
    with pytest.raises(ModelNotAllowed, match="embedding"):
        wanted_model(tenant)


def test_a_site_that_may_not_use_the_first_one_gets_the_next(tenant: Tenant) -> None:
    tenant.denied_models = ["openai:*"]
    assert wanted_model(tenant) == OFFLINE
    tenant.embedding_model = SMALL
    with pytest.raises(ModelNotAllowed, match="may not use"):
        wanted_model(tenant)


def test_a_question_is_embedded_by_the_model_that_serves_and_is_on_the_ledger(street: Street) -> None:
    SiteIndex.objects.create(tenant=street.principal.tenant, embedding_model=OFFLINE, dimensions=2048)
    reader = Principal(
        tenant=street.principal.tenant,
        credential=street.principal.credential,
        scopes=frozenset({"rag.read"}),
        models=("gpt-4o",),
    )
    model, vector = street.run(embed_query(reader, "When do you open?", Origin("search", "r-1")))
    assert (model, len(vector)) == (OFFLINE, 2048)
    row = street.row()
    assert (row.route, row.provider, row.model, row.state) == ("search", "offline", "offline-hash-2", "settled")

"""Which model makes a site's vectors, and what it is sent for a passage and for a question.

Vectors are named by their model and by the prefix that passages had: ``local:multilingual-e5-small|passage: ``. So a
site moves to another prefix as it does to another model, and vectors of two kinds never meet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.datatypes import EmbeddingRequest, Principal
from django_wp_ai.gateway import embeddings
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.routing import embedding_target
from django_wp_ai.models import SiteIndex, Tenant
from django_wp_ai.rag.choices import prefixes

BEFORE_PREFIX: Final = "|"


def wanted_model(tenant: Tenant) -> str:
    """The name of the vectors that the site is to have; raises ModelNotAllowed where no model can make them."""
    model = embedding_target(tenant, tenant.embedding_model or settings.embedding_model).name
    _, prefix = prefixes(model)
    return f"{model}{BEFORE_PREFIX}{prefix}" if prefix else model


def serving_model(tenant: Tenant) -> str:
    """Blocking: the name of the vectors that are searched, which is the wanted one where there are none yet.

    While a site moves to another model the old one serves. Raises ModelNotAllowed as ``wanted_model`` does.
    """
    indexed = SiteIndex.objects.for_tenant(tenant).values_list("embedding_model", flat=True).first()
    return indexed or wanted_model(tenant)


def of_passages(texts: Iterable[str], name: str) -> EmbeddingRequest:
    """What makes vectors of this name of passages."""
    model, _, prefix = name.partition(BEFORE_PREFIX)
    return EmbeddingRequest(inputs=tuple(prefix + text for text in texts), model=model)


def of_questions(texts: Iterable[str], name: str) -> EmbeddingRequest:
    """What makes vectors of questions that can be compared with those of this name."""
    model = model_of(name)
    prefix, _ = prefixes(model)
    return EmbeddingRequest(inputs=tuple(prefix + text for text in texts), model=model)


def model_of(name: str) -> str:
    """The ``provider:model`` that makes vectors of this name."""
    return name.partition(BEFORE_PREFIX)[0]


async def embed_query(principal: Principal, text: str, origin: Origin) -> tuple[str, list[float]]:
    """The name of the serving vectors and the vector of ``text`` among them, on the same street as every call.

    The model is the site's choice and not the caller's: neither the scope ``embeddings`` nor the model list of the
    credential is asked for. Who calls this has checked its own scope.
    """
    name = await in_thread(serving_model, principal.tenant)
    embedded = await embeddings.embed(for_retrieval(principal), of_questions([text], name), origin)
    return name, list(embedded.result.vectors[0])


def for_retrieval(principal: Principal) -> Principal:
    """Who calls, with the right to the site's own embedding model."""
    return replace(principal, scopes=principal.scopes | {"embeddings"}, models=())

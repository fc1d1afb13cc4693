"""Which model makes a site's vectors, and the vector of a question."""

from __future__ import annotations

from dataclasses import replace

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.datatypes import EmbeddingRequest, Principal
from django_wp_ai.gateway import embeddings
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.routing import embedding_target
from django_wp_ai.models import SiteIndex, Tenant


def wanted_model(tenant: Tenant) -> str:
    """The ``provider:model`` that the site's vectors are to be of; raises ModelNotAllowed where none can make them."""
    return embedding_target(tenant, tenant.embedding_model or settings.embedding_model).name


def serving_model(tenant: Tenant) -> str:
    """Blocking: the ``provider:model`` whose vectors are searched, which is the wanted one where there are none yet.

    While a site moves to another model the old one serves. Raises ModelNotAllowed as ``wanted_model`` does.
    """
    indexed = SiteIndex.objects.for_tenant(tenant).values_list("embedding_model", flat=True).first()
    return indexed or wanted_model(tenant)


async def embed_query(principal: Principal, text: str, origin: Origin) -> tuple[str, list[float]]:
    """The serving model and the vector of ``text`` by it, on the same street as every call.

    The model is the site's choice and not the caller's: neither the scope ``embeddings`` nor the model list of the
    credential is asked for. Who calls this has checked its own scope.
    """
    model = await in_thread(serving_model, principal.tenant)
    request = EmbeddingRequest(inputs=(text,), model=model)
    embedded = await embeddings.embed(for_retrieval(principal), request, origin)
    return model, list(embedded.result.vectors[0])


def for_retrieval(principal: Principal) -> Principal:
    """Who calls, with the right to the site's own embedding model."""
    return replace(principal, scopes=principal.scopes | {"embeddings"}, models=())

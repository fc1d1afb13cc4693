"""Embeddings: texts made vectors, on the same street as a chat: admitted, limited, budgeted, recorded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial

from django_wp_ai.datatypes import EmbeddingRequest, Principal, Usage
from django_wp_ai.exceptions import Invalid, ModelNotAllowed
from django_wp_ai.gateway import asking, clamps, content, entry, ledger
from django_wp_ai.gateway.admission import capable, payable, require_scope
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.routing import Target, candidates
from django_wp_ai.gateway.waiting import covered
from django_wp_ai.providers.base import EmbeddingResult

MAX_INPUTS = 2048  # what OpenAI takes at once
MAX_DIMENSIONS = 16_000  # what pgvector can store


@dataclass(slots=True)
class AdmittedEmbedding:
    """An embedding that may be sent; reads like an admitted chat."""

    principal: Principal
    request: EmbeddingRequest
    targets: tuple[Target, ...]
    origin: Origin
    clamped: dict[str, float] = field(default_factory=dict)
    prompt_template: str = ""

    @property
    def target(self) -> Target:
        """The first choice."""
        return self.targets[0]

    @property
    def end_user(self) -> str:
        """Who asks, for limits and the ledger."""
        return self.request.end_user

    @property
    def plugin(self) -> str:
        """Which WordPress plugin asks."""
        return self.request.plugin

    def estimated(self, received: str = "") -> Usage:  # noqa: ARG002 - nothing is received but vectors
        """Usage where the vendor did not tell it: the input; there is no output to be paid."""
        count = self.target.provider.count_tokens
        return Usage(input_tokens=sum(count(text) for text in self.request.inputs), estimated=True)

    def largest(self) -> Usage:
        """The most the call can use."""
        return self.estimated()


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors in the order of the inputs, and the settled call."""

    call: ledger.Call
    result: EmbeddingResult


async def embed(principal: Principal, request: EmbeddingRequest, origin: Origin) -> Embedded:
    """Vectors for texts. A caller that leaves meanwhile leaves a settled row: the call goes on without it."""
    admitted = await admit_embedding(principal, request, origin)
    return await asyncio.shield(asking.keep(_embed(admitted)))


async def admit_embedding(principal: Principal, request: EmbeddingRequest, origin: Origin) -> AdmittedEmbedding:
    """Check an embedding against who asks and who answers; raises what the call is refused with."""
    require_scope(principal, "embeddings")
    _check_inputs(request)
    able = capable(candidates(principal, model=request.model, provider=request.provider), _check_capability)
    targets = payable(principal.tenant, able)
    inputs = await content.apply_to_texts(principal.tenant, request.inputs)
    request = replace(request, inputs=inputs, end_user=principal.end_user or request.end_user)
    admitted = AdmittedEmbedding(principal, request, targets, origin)
    clamps.check_input(principal.tenant, admitted, origin.route, name="input")
    return admitted


def _check_inputs(request: EmbeddingRequest) -> None:
    if not 1 <= len(request.inputs) <= MAX_INPUTS:
        raise _invalid("input", f"From 1 to {MAX_INPUTS} texts.")
    for index, text in enumerate(request.inputs):
        if not text.strip():
            raise _invalid(f"input.{index}", "The text is empty.")
    if request.dimensions is not None and not 1 <= request.dimensions <= MAX_DIMENSIONS:
        raise _invalid("dimensions", f"From 1 to {MAX_DIMENSIONS}.")


def _check_capability(target: Target) -> None:
    if not target.provider.supports_embeddings:
        raise ModelNotAllowed(f"{target.name} makes no embeddings.", param="model")


async def _embed(admitted: AdmittedEmbedding) -> Embedded:
    call = await covered(admitted.principal.tenant, partial(entry.open_call, admitted, admitted.origin))

    async def send(target: Target) -> EmbeddingResult:
        request = admitted.request
        return await target.provider.embed(request.inputs, model=target.model, dimensions=request.dimensions)

    result = await asking.ask(call, send)
    call.model = result.model or call.target.model
    await entry.settle(call, result.usage)
    return Embedded(call, result)


def _invalid(name: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": name, "message": message}], param=name)

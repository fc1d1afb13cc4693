"""Vectors for the passages that have none: in batches over all documents of a job, each paid for once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from django_wp_ai.bridge import in_thread
from django_wp_ai.exceptions import ContentBlocked, Invalid, ProviderRefused, WpAiError
from django_wp_ai.jobs.context import JobContext, JobFailed
from django_wp_ai.models import SiteIndex, Tenant
from django_wp_ai.rag.embedding import of_passages
from django_wp_ai.rag.ingest import staging
from django_wp_ai.rag.ingest.rows import add_costs
from django_wp_ai.rag.ingest.staging import Place

BATCH = 64
MOST_TOKENS = 100_000  # of one call, whatever it holds: vendors refuse some more
UNIT = Decimal("0.000000001")
#: What is wrong with one text and says nothing of the others.
OF_ONE = (ContentBlocked, Invalid, ProviderRefused)


async def embed(context: JobContext, places: Sequence[Place], model: str) -> int:
    """Embed and write each passage; how many texts were sent. A document whose text is refused has failed, alone."""
    expected = await in_thread(_dimensions, context.tenant, model)
    sent, batches = 0, list(_batches(places))
    for number, planned in enumerate(batches, 1):
        batch = [place for place in planned if place[0].is_open]
        try:
            sent += await _batch(context, batch, model, expected)
        except OF_ONE as error:
            sent += await _one_by_one(context, batch, model, expected, error)
        await context.progress(5 + 90 * number // len(batches))
    return sent


async def _one_by_one(
    context: JobContext, batch: list[Place], model: str, expected: int | None, error: WpAiError
) -> int:
    """Each document of a refused batch by itself, so that only what can't be embedded fails."""
    sent, works = 0, list({id(work): work for work, _ in batch}.values())
    for work in works:
        try:
            if len(works) == 1:
                raise error
            sent += await _batch(context, [place for place in batch if place[0] is work], model, expected)
        except OF_ONE as refused:
            work.failure = refused
    return sent


async def _batch(context: JobContext, batch: list[Place], model: str, expected: int | None) -> int:
    """One call, and the rows that it makes; done once, however often the job is run."""
    if not batch:
        return 0
    texts = {passage.hash: passage.embedded for _, passage in batch}

    async def send() -> int:
        embedded = await context.ask_for_vectors(of_passages(texts.values(), model))
        vectors = dict(zip(texts, embedded.result.vectors, strict=True))
        _check(vectors, expected)
        await context.commit(partial(_write, context, batch, vectors, model, embedded.call.cost_usd))
        return len(texts)

    await once(context, "".join([model, *texts]), send)
    return len(texts)


async def once(context: JobContext, what: str, send: Callable[[], Awaitable[int]]) -> int:
    """A step of the job for what is missing now. One that was done before wrote what is not there any more: again."""
    was_sent = False

    async def noted() -> int:
        nonlocal was_sent
        was_sent = True
        return await send()

    name = f"embed.{hashlib.sha256(what.encode()).hexdigest()[:40]}"
    sent: int = await context.step(name, noted)
    if not was_sent:
        await context.discard(name)
        sent = await context.step(name, noted)
    return sent


def _batches(places: Sequence[Place]) -> Iterator[list[Place]]:
    """So many texts a call, the same text once; fewer where they are long."""
    batch: list[Place] = []
    texts: set[str] = set()
    tokens = 0
    for place in places:
        is_new = place[1].hash not in texts
        if batch and is_new and (len(texts) >= BATCH or tokens + place[1].token_count > MOST_TOKENS):
            yield batch
            batch, texts, tokens = [], set(), 0
        batch.append(place)
        if place[1].hash not in texts:
            texts.add(place[1].hash)
            tokens += place[1].token_count
    if batch:
        yield batch


def _dimensions(tenant: Tenant, model: str) -> int | None:
    """How long the site's vectors by this model are, if it has some."""
    index = SiteIndex.objects.for_tenant(tenant).filter(embedding_model=model).first()
    return None if index is None else index.dimensions


def _check(vectors: dict[str, Any], expected: int | None) -> None:
    sizes = {len(vector) for vector in vectors.values()}
    if len(sizes) != 1 or (expected is not None and sizes != {expected}):
        raise JobFailed("The embedding model gives vectors of another length than before.", code="dimensions_changed")


def _write(
    context: JobContext, batch: Sequence[Place], vectors: dict[str, Any], model: str, cost_usd: Decimal | None
) -> None:
    """The rows, and what they have cost on their documents; what was superseded meanwhile is paid for all the same."""
    tenant, works = context.tenant, list({id(work): work for work, _ in batch}.values())
    staging.own(tenant, context.job_id, works)
    staging.write(tenant, [place for place in batch if place[0].is_open], vectors, model)
    tokens = Counter({work.document.pk: 0 for work in works})
    for work, passage in batch:
        tokens[work.document.pk] += max(1, passage.token_count)
    left, share = cost_usd, cost_usd and cost_usd / tokens.total()
    costs: dict[int, Decimal | None] = {}
    for place, (pk, count) in enumerate(sorted(tokens.items()), 1):
        costs[pk] = left if place == len(tokens) or share is None else (share * count).quantize(UNIT)
        left = None if left is None else left - (costs[pk] or 0)
    add_costs(costs)

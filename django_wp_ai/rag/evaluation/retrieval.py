"""Ask a site's index every question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django_wp_ai.bridge import in_thread
from django_wp_ai.gateway import embeddings
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.models import Tenant
from django_wp_ai.models.budget import attach_budgets
from django_wp_ai.rag.embedding import for_retrieval, of_questions, serving_model
from django_wp_ai.rag.evaluation.questions import EvalQuestion
from django_wp_ai.rag.ingest.operator import operator_of
from django_wp_ai.rag.search.flow import MAX_K, candidates_of
from django_wp_ai.rag.search.hits import Filters, Hit, Mode
from django_wp_ai.rag.search.picking import pick
from django_wp_ai.rag.search.rerank import reranked

ORIGIN = Origin("evaluation")
BATCH = 64
PLACES = 10  # of a ranking that figures look at, at least
PASSAGES = 3  # that are asked for to have one source: several may be of the same


@dataclass(frozen=True, slots=True)
class Outcome:
    """The sources that a question found in one mode, each once, at the place of its best passage."""

    question: EvalQuestion
    mode: Mode
    ranked: tuple[str, ...]


async def retrieve(
    tenant: Tenant, questions: Sequence[EvalQuestion], *, modes: Sequence[Mode], k: int
) -> list[Outcome]:
    """What each question finds in each mode, as a search of a visitor would, reranked if the host has a reranker.

    The questions are embedded through the gateway: they count in the site's limits and cost what questions cost.
    """
    passages = min(MAX_K, PASSAGES * max(k, PLACES))
    is_words_only = set(modes) == {"text"}
    model, vectors = ("", [[]] * len(questions)) if is_words_only else await _embedded(tenant, questions)
    found = []
    for question, vector in zip(questions, vectors, strict=True):
        for mode in modes:
            candidates = await in_thread(
                candidates_of,
                tenant,
                query=question.text,
                vector=None if mode == "text" else vector,
                model=model,
                k=passages,
                filters=Filters(),
                mode=mode,
            )
            hits = pick(await reranked(question.text, candidates), passages)
            found.append(Outcome(question, mode, sources(hits)))
    return found


def sources(hits: Iterable[Hit]) -> tuple[str, ...]:
    """The sources of passages in the order in which they come first."""
    return tuple(dict.fromkeys(hit.source_id for hit in hits))


async def _embedded(tenant: Tenant, questions: Sequence[EvalQuestion]) -> tuple[str, list[list[float]]]:
    principal = for_retrieval(operator_of(tenant))
    await in_thread(attach_budgets, [tenant])
    model = await in_thread(serving_model, tenant)
    vectors: list[list[float]] = []
    for start in range(0, len(questions), BATCH):
        batch = questions[start : start + BATCH]
        request = of_questions((question.text for question in batch), model)
        embedded = await embeddings.embed(principal, request, ORIGIN)
        vectors.extend(list(vector) for vector in embedded.result.vectors)
    return model, vectors

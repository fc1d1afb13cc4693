"""What a running job may do: ask models step by step, tell its progress, begin other jobs."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import ChatRequest, EmbeddingRequest, FinishReason, Principal, ToolCall, Usage
from django_wp_ai.exceptions import WpAiError
from django_wp_ai.gateway import chat, embeddings
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.tools.loop import complete_with_tools
from django_wp_ai.jobs import batches, standing, steps
from django_wp_ai.jobs.batches import Child
from django_wp_ai.jobs.held import Claim, lock_held, one_transaction
from django_wp_ai.jobs.interrupts import LeaseLost, Waiting
from django_wp_ai.jobs.new import NewJob
from django_wp_ai.jobs.outage import outlast
from django_wp_ai.models import Tenant

__all__ = ["Child", "JobContext", "JobFailed", "LeaseLost", "NewJob", "StepAnswer", "Waiting"]

ROUTE = "jobs"

T = TypeVar("T")


class JobFailed(WpAiError):
    """For kinds: this job can't succeed. ``detail`` is shown to the site, ``code`` is what its error bears."""

    code = "job_failed"
    status = 500
    title = "The job failed"

    def __init__(self, detail: str = "", *, code: str = "job_failed") -> None:
        super().__init__(detail)
        self.code = code  # type: ignore[misc]  # of this one error


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What a model answered, now or on an attempt before. ``cost_usd`` is None where the price is not known.

    With tools of the host it is the last answer of the loop, and the usage of all. ``refused``: the text says why.
    """

    text: str
    finish_reason: FinishReason
    tool_calls: tuple[ToolCall, ...]
    usage: Usage
    model: str
    provider: str
    cost_usd: Decimal | None
    cached: bool
    refused: bool
    conversation_id: str


class JobContext:
    """One attempt of one job. Every method raises LeaseLost once the job is another worker's."""

    def __init__(self, claim: Claim) -> None:
        """Raises Forbidden where whoever created the job may not call any more."""
        job = claim.job
        self._claim = claim
        self._sent = 0
        self._progress = job.progress
        self.principal: Principal = standing.principal_of(job)
        self.job_id: uuid.UUID = job.pk
        self.kind: str = job.kind
        self.tenant: Tenant = job.tenant
        self.end_user: str = job.end_user
        self.metadata: dict[str, Any] = job.metadata
        self.attempt: int = job.attempts
        self.language: str = str(job.metadata.get("lang") or "")

    async def chat(self, step: str, request: ChatRequest) -> StepAnswer:
        """Ask a model, once a step name: an attempt after this one gets the same answer without a call."""
        return _answer(await self.step(step, partial(self._chat, request)))

    async def embed(self, step: str, request: EmbeddingRequest) -> list[list[float]]:
        """Vectors in the order of the inputs, once a step name."""
        vectors: list[list[float]] = await self.step(step, partial(self._embed, request))
        return vectors

    async def step(self, name: str, send: Callable[[], Awaitable[Any]]) -> Any:
        """Do what must not be done twice. ``send`` gives JSON, which later attempts get without doing it again.

        Where a worker died within ``send`` nobody knows whether it was done: it is done again, and counted.
        """
        begun = await in_thread(self._begin, name)
        if begun.is_done:
            return begun.result
        try:
            result = await send()
        except Exception:
            await outlast("note that a step failed", steps.forget, self._claim, name)
            raise
        if not await outlast("keep the result of a step", steps.done, self._claim, name, result):
            raise LeaseLost
        return result

    async def commit(self, change: Callable[[], T]) -> T:
        """What blocking ``change`` gives, which is done in one transaction that ends before the job is another's.

        What it writes may have been paid for, so a database that is away is waited for: ``change`` may be run again.
        """
        return await outlast("write what a job has made", self._committed, change)

    async def ask_for_vectors(self, request: EmbeddingRequest) -> embeddings.Embedded:
        """Vectors and the settled call, for a ``step`` whose kind keeps the vectors itself."""
        request = replace(request, end_user=self.end_user, plugin=request.plugin or self._plugin)
        return await embeddings.embed(self.principal, request, self._origin())

    async def discard(self, *names: str) -> None:
        """Forget steps whose results are of no use, before failing: a retry of the job does them anew."""
        if not await in_thread(steps.discard, self._claim, names):
            raise LeaseLost

    async def progress(self, percent: int) -> None:
        """Tell how far it is; it never goes back, and 100 is only for the end."""
        percent = min(99, percent)
        if percent <= self._progress:
            return
        self._progress = percent
        if not await in_thread(steps.set_progress, self._claim, percent):
            raise LeaseLost

    async def begin_children(self, items: Sequence[NewJob]) -> int:
        """Create jobs that belong to this one, by their place in ``items``; once, however often it is run."""
        return await in_thread(batches.create_children, self._claim, items)

    async def children(self, *, most_bytes: int | None = None) -> list[Child]:
        """Those that it began, when all have ended; until then it raises Waiting, and the job is run again after.

        ``most_bytes`` bounds the JSON of their results together; beyond it they are left out.
        """
        children = await in_thread(batches.ended_children, self._claim, most_bytes=most_bytes)
        if children is None:
            raise Waiting
        return children

    def _begin(self, name: str) -> steps.Step:
        if (sent := steps.send_first(self._claim, name)) is not None:
            return sent
        standing.require_standing(self._claim.job)
        return steps.begin(self._claim, name)

    async def _chat(self, request: ChatRequest) -> dict[str, Any]:
        request = replace(request, end_user=self.end_user or request.end_user, plugin=request.plugin or self._plugin)
        flow = complete_with_tools if request.server_tools else chat.complete
        completed = await flow(self.principal, request, self._origin())
        call, choice = completed.call, completed.result.choices[0]
        history = call.admitted.history
        return {
            "text": choice.text or choice.refusal or "",
            "finish_reason": choice.finish_reason,
            "tool_calls": [asdict(call) for call in choice.tool_calls],
            "usage": asdict(call.usage),
            "model": call.model,
            "provider": call.target.provider.name,
            "cost_usd": None if call.cost_usd is None else str(call.cost_usd),
            "cached": call.cached,
            "refused": bool(choice.refusal),
            "conversation_id": history.conversation_id if history else "",
        }

    def _committed(self, change: Callable[[], T]) -> T:
        with one_transaction():
            if lock_held(self._claim) is None:
                raise LeaseLost
            return change()

    async def _embed(self, request: EmbeddingRequest) -> list[list[float]]:
        embedded = await self.ask_for_vectors(request)
        return [list(vector) for vector in embedded.result.vectors]

    @property
    def _plugin(self) -> str:
        return str(self._claim.job.caller.get("plugin", ""))

    def _origin(self) -> Origin:
        self._sent += 1
        return Origin(ROUTE, self._claim.job.request_id, trace_id=self.job_id, step=self._sent)


def _answer(kept: dict[str, Any]) -> StepAnswer:
    cost = kept["cost_usd"]
    return StepAnswer(
        text=kept["text"],
        finish_reason=kept["finish_reason"],
        tool_calls=tuple(ToolCall(**call) for call in kept["tool_calls"]),
        usage=Usage(**kept["usage"]),
        model=kept["model"],
        provider=kept["provider"],
        cost_usd=None if cost is None else Decimal(cost),
        cached=kept["cached"],
        refused=kept["refused"],
        conversation_id=kept["conversation_id"],
    )

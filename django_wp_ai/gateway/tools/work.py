"""One request with tools on its way through its steps: what to ask next, what was done so far, when to stop."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from django.utils import timezone

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import (
    ChatRequest,
    ChatResult,
    Message,
    Principal,
    Quote,
    TextPart,
    ToolCall,
    ToolChoice,
    ToolStep,
    Usage,
)
from django_wp_ai.exceptions import Invalid
from django_wp_ai.gateway import ledger
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.tools.call import MAX_PARALLEL, MAX_RESULT_BYTES, Ran, run_all
from django_wp_ai.gateway.tools.registry import RegisteredTool, chosen
from django_wp_ai.gateway.tools.signature import ToolContext
from django_wp_ai.policy.budget import worst_case
from django_wp_ai.policy.content.injection import FENCE_RULE
from django_wp_ai.providers import prices

NOT_RUN = "not_run"  # the caller has a call of its own to answer first, or this was the last step
OVER_BUDGET = "max_usd"


def offered(principal: Principal, request: ChatRequest) -> ChatRequest:
    """The request of the first step: the host's tools among its tools, and the rule of how to read their results.

    Raises Invalid for a tool that the site may not use.
    """
    return _offering(request, chosen(principal.tenant, request))


def _offering(request: ChatRequest, tools: Mapping[str, RegisteredTool]) -> ChatRequest:
    if tools and request.n != 1:
        raise Invalid("Tools of this side go with one answer: n must be 1.", param="n")
    if not tools:
        return request
    rule = Message("system", (TextPart(FENCE_RULE),))
    offers = tuple(tool.as_offered() for tool in tools.values())
    return replace(request, messages=(rule, *request.messages), tools=(*request.tools, *offers))


@dataclass(slots=True)
class Work:
    """One request on its way through its steps: what to ask next, and what was done so far."""

    principal: Principal
    request: ChatRequest
    origin: Origin
    tools: dict[str, RegisteredTool]
    trace: list[ToolStep] = field(default_factory=list)
    _calls: list[ledger.Call] = field(default_factory=list)

    @classmethod
    def begin(cls, principal: Principal, request: ChatRequest, origin: Origin) -> Work:
        """Raises Invalid for a tool that the site may not use."""
        tools = chosen(principal.tenant, request)
        first = replace(origin, trace_id=origin.trace_id or uuid.uuid4(), step=1)
        work = cls(principal, _offering(request, tools), first, tools)
        if settings.tool_max_steps == 1:
            work.request = replace(work.request, tool_choice=ToolChoice("none"))
        return work

    def count(self, call: ledger.Call) -> None:
        """Note a settled step."""
        self._calls.append(call)

    def goes_on(self, result: ChatResult) -> bool:
        """Whether the model called tools that are to be run now, which ``run`` does; else this was the last step."""
        calls = result.choices[0].tool_calls
        if not calls:
            return False
        if self._theirs(calls) or self.origin.step >= settings.tool_max_steps:
            return self._skip(calls, NOT_RUN)
        if self._too_dear(calls):
            return self._skip(calls, OVER_BUDGET)
        return True

    async def run(self, result: ChatResult) -> list[Ran]:
        """Run the tools that the model called and prepare the next step."""
        choice = result.choices[0]
        ran = await run_all(choice.tool_calls, self.tools, self._context(), step=self.origin.step)
        self.trace += [one.step for one in ran]
        content = (TextPart(choice.text),) if choice.text else ()
        asked = Message("assistant", content, tool_calls=choice.tool_calls)
        self._prepare(asked, *(one.message for one in ran))
        return ran

    def shown(self, result: ChatResult) -> ChatResult:
        """The last step's result as the caller gets it: without calls that were for this side."""
        choice = result.choices[0]
        theirs = self._theirs(choice.tool_calls)
        if len(theirs) == len(choice.tool_calls):
            return result
        cut_short = replace(choice, tool_calls=theirs, finish_reason="tool_calls" if theirs else "length")
        return replace(result, choices=(cut_short,))

    def total(self) -> ledger.Call:
        """The last step's call with the usage of all steps; no cost where that of one is not known."""
        found = copy.copy(self._calls[-1])
        found.usage = _sum([call.usage for call in self._calls])
        cost = self.spent_usd()
        found.quote = None if cost is None or found.quote is None else Quote(cost, found.quote.prices)
        return found

    def spent_usd(self) -> Decimal | None:
        """What the steps cost so far; None where that of one is not known."""
        costs = [call.cost_usd for call in self._calls]
        return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))

    def _theirs(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """Calls of functions that the caller runs."""
        own = {tool.name for tool in self.request.tools} - set(self.tools)
        return tuple(call for call in calls if call.name in own)

    def _skip(self, calls: Sequence[ToolCall], reason: str) -> bool:
        for call in calls:
            if call.name in self.tools:
                self.trace.append(ToolStep(self.origin.step, call.name, False, 0, reason))
        return False

    def _too_dear(self, calls: Sequence[ToolCall]) -> bool:
        """Whether the next step could pass the money cap; asked before tools run, so that none acts in vain."""
        last, spent = self._calls[-1], self.spent_usd()
        results = min(len(calls), MAX_PARALLEL) * MAX_RESULT_BYTES // 4
        read = last.usage.input_tokens + last.usage.output_tokens + results
        written = last.admitted.request.max_tokens or settings.default_max_tokens
        now = timezone.now()
        for target in last.admitted.targets:
            unit = prices.unit_prices(provider=target.provider, model=target.model, at=now, input_tokens=read)
            if spent is None or unit is None:
                continue
            if spent + worst_case(unit, read, written, 1) > settings.tool_max_usd:
                return True
        return False  # also where a price is not known: then the step cap holds alone

    def _context(self) -> ToolContext:
        end_user = self.principal.end_user or self.request.end_user
        return ToolContext(self.principal.tenant, end_user, self.origin.request_id)

    def _prepare(self, *turns: Message) -> None:
        """A choice that forced a tool would force it for ever, so the model is free from now on; at last, without."""
        step = self.origin.step + 1
        asked = self.request.tool_choice
        without = step >= settings.tool_max_steps or (asked is not None and asked.type == "none")
        choice = ToolChoice("none" if without else "auto", None, asked.parallel if asked else None)
        history = self._calls[-1].admitted.history
        self.origin = replace(self.origin, step=step)
        self.request = replace(
            self.request,
            tool_turns=(*self.request.tool_turns, *turns),
            tool_choice=choice,
            conversation_id=history.conversation_id if history else "",  # what was "new" has a name now
        )


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cached_input_tokens=sum(usage.cached_input_tokens for usage in usages),
        cache_write_tokens=sum(usage.cache_write_tokens for usage in usages),
        reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
        estimated=any(usage.estimated for usage in usages),
    )

"""A chat whose answer is waited for: the fields of ``v1/chat``, for calls that take longer than a request may."""

from __future__ import annotations

from dataclasses import replace

from pydantic import field_validator

from django_wp_ai.datatypes import ToolCall
from django_wp_ai.jobs.context import JobContext
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.schemas.base import Strict
from django_wp_ai.schemas.chat import ChatFields


class ChatJobIn(ChatFields):
    """As ``v1/chat``, but for ``stream`` and ``dry_run``."""

    @field_validator("prompt")
    @classmethod
    def says_something(cls, value: str | None) -> str | None:
        """Blanks would be refused by the worker only."""
        if value is not None and not value.strip():
            raise ValueError("the prompt is empty")
        return value


class FunctionCallOut(Strict):
    """What is to be called."""

    name: str
    arguments: str


class ToolCallOut(Strict):
    """In OpenAI's shape; ``arguments`` is JSON text as the model wrote it."""

    id: str
    type: str = "function"
    function: FunctionCallOut


class ChatUsageOut(Strict):
    """Tokens of the answer, and US dollars: null where the price is not known."""

    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    estimated: bool


class ChatOut(Strict):
    """The answer. ``tool_calls`` are of functions that the site runs itself."""

    content: str
    model: str
    provider: str
    finish_reason: str
    cached: bool
    tool_calls: list[ToolCallOut] | None = None
    conversation_id: str | None = None
    usage: ChatUsageOut


@job_kind("chat", input=ChatJobIn, output=ChatOut)
async def chat(context: JobContext, given: ChatJobIn) -> ChatOut:
    """Answer. All that the host's own tools do on the way is one step: after a crash in it they may run again."""
    request = given.to_request()
    if given.conversation_id in ("", "new"):  # an attempt that begins again goes on with the same one
        request = replace(request, conversation_id=str(context.job_id))
    answer = await context.chat("chat", request)
    return ChatOut(
        content=answer.text,
        model=answer.model,
        provider=answer.provider,
        finish_reason=answer.finish_reason,
        cached=answer.cached,
        tool_calls=[_tool_call(call) for call in answer.tool_calls] or None,
        conversation_id=answer.conversation_id or None,
        usage=ChatUsageOut(
            input_tokens=answer.usage.input_tokens,
            output_tokens=answer.usage.output_tokens,
            cost_usd=None if answer.cost_usd is None else float(answer.cost_usd),
            estimated=answer.usage.estimated,
        ),
    )


def _tool_call(call: ToolCall) -> ToolCallOut:
    return ToolCallOut(id=call.id, function=FunctionCallOut(name=call.name, arguments=call.arguments))

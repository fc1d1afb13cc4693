"""One call of a tool: arguments checked, run within its time, the result as text. What fails is told, never raised."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pydantic_core
from pydantic import ValidationError

from django_wp_ai.bridge import in_thread, in_tool_thread
from django_wp_ai.datatypes import Message, TextPart, ToolCall, ToolStep
from django_wp_ai.gateway.tools.registry import RegisteredTool
from django_wp_ai.gateway.tools.signature import ToolContext
from django_wp_ai.policy.content import injection

logger = logging.getLogger("django_wp_ai.tools")

MAX_RESULT_BYTES: Final = 16 * 1024
MAX_PARALLEL: Final = 16  # calls that a model makes at once; more are told to wait
SUSPICIOUS: Final = 0.5  # a result that is screened so is told to the operator
_SHOWN_ERRORS: Final = 5


class ToolError(Exception):
    """Raised by a tool to tell the model why it can't help. Its text reaches the model; that of no other error does."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a call: a message for the model and an entry of the trace."""

    message: Message
    step: ToolStep


@dataclass(frozen=True, slots=True)
class _Outcome:
    text: str
    error: str = ""


async def run_all(
    calls: tuple[ToolCall, ...], tools: Mapping[str, RegisteredTool], context: ToolContext, *, step: int
) -> list[Ran]:
    """Run a step's calls side by side; the results stand in the order of the calls."""
    return await asyncio.gather(
        *(
            _timed(call, tools.get(call.name), context, step=step, at_once=position < MAX_PARALLEL)
            for position, call in enumerate(calls)
        )
    )


async def _timed(call: ToolCall, tool: RegisteredTool | None, context: ToolContext, *, step: int, at_once: bool) -> Ran:
    started = time.monotonic()
    if at_once:
        outcome = await _run(call, tool, context)
    else:
        outcome = _Outcome(f"At most {MAX_PARALLEL} tools are called at once. Call this one again.", "too_many")
    elapsed_ms = int((time.monotonic() - started) * 1000)
    name = tool.name if tool else "unknown"  # what a model invents may be a part of the prompt
    ok = not outcome.error
    message = Message("tool", (TextPart(outcome.text),), tool_call_id=call.id, is_error=not ok)
    return Ran(message, ToolStep(step, name, ok, elapsed_ms, outcome.error))


async def _run(call: ToolCall, tool: RegisteredTool | None, context: ToolContext) -> _Outcome:
    if tool is None:
        return _Outcome("There is no tool of this name.", "unknown_tool")
    try:
        given = tool.arguments.read(call.arguments, context)
    except ValidationError as error:
        return _Outcome(f"The arguments are not valid. {_listed(error)}", "invalid_arguments")
    limit = asyncio.timeout(tool.timeout_s)
    try:
        async with limit:
            result = await _invoke(tool, given)
        return _Outcome(await in_thread(_fenced, tool, _as_text(result)))
    except ToolError as error:
        return _Outcome(_bounded(str(error)) or "The tool can't help.", "refused")
    except Exception as error:  # noqa: BLE001 - whatever host code raises, or a result without a JSON form
        if isinstance(error, TimeoutError) and limit.expired():
            logger.warning("tool %s took more than %s s", tool.name, tool.timeout_s)
            return _Outcome("The tool did not answer in time.", "timeout")
        return _failed(tool, error)


async def _invoke(tool: RegisteredTool, given: dict[str, Any]) -> Any:
    """The tool's result. A thread can't be stopped: a plain function that hangs keeps its one."""
    return await (tool.function(**given) if tool.is_async else in_tool_thread(tool.function, **given))


def _listed(error: ValidationError) -> str:
    """The first errors by field, without the values: the model has them."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:_SHOWN_ERRORS]
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}" for item in found)


def _failed(tool: RegisteredTool, error: Exception) -> _Outcome:
    """Log where it broke. The error's own text stays out: it may quote the arguments, and so a prompt."""
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("tool %s failed with %s\n%s", tool.name, type(error).__name__, where)
    return _Outcome("The tool failed.", "failed")


def _as_text(result: Any) -> str:
    return _bounded(result if isinstance(result, str) else pydantic_core.to_json(result).decode())


def _bounded(text: str) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_RESULT_BYTES:
        return data.decode()
    return f"{data[:MAX_RESULT_BYTES].decode('utf-8', 'ignore')}\n[cut: the result had {len(data)} bytes]"


def _fenced(tool: RegisteredTool, text: str) -> str:
    """The result marked as data from outside: what it says to do is not for the model to do."""
    screening = injection.screen(text)
    if screening.score >= SUSPICIOUS:
        rules = ", ".join(finding.rule for finding in screening.findings)
        logger.warning("the result of tool %s speaks to the model: %s", tool.name, rules)
    return injection.fence(screening.cleaned, f"tool {tool.name}")

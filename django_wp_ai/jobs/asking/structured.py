"""Answers that are JSON of a given schema: asked for, read leniently, checked strictly, repaired once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import ChatRequest, ResponseFormat
from django_wp_ai.exceptions import Invalid, ProviderRefused
from django_wp_ai.jobs.asking import json_answer, json_schema
from django_wp_ai.jobs.asking.prompts import Task, message, request
from django_wp_ai.jobs.context import JobContext, JobFailed, StepAnswer
from django_wp_ai.policy.content.injection import FENCE_RULE, fence

MAX_SHOWN = 20_000  # characters of a wrong answer that is to be repaired


@dataclass(frozen=True, slots=True)
class Structured:
    """The shape of an answer. ``read`` may bring what was said into it, as a word that stands for an object."""

    schema: Mapping[str, Any]
    name: str
    read: Callable[[str], Any] = json_answer.parse


async def ask_for_json(context: JobContext, step: str, task: Task, shape: Structured) -> Any:
    """The value, which fits the schema; raises JobFailed ``invalid_result`` when the repair doesn't either.

    Steps: ``step`` and, as needed, ``step.plain`` and ``step.repair``.
    """
    rules = f"Answer with JSON only. It must fit this JSON schema:\n{_written(shape.schema)}"
    task = replace(task, rules="\n\n".join(filter(None, (task.rules, rules))))
    wished = ResponseFormat("json_schema", shape.schema, shape.name)
    answer = await _sent(context, step, await request(context.tenant, task, response_format=wished))
    value, problems = await in_thread(_read, shape, answer.text)
    if problems:
        repaired = await _sent(context, f"{step}.repair", await _repair(task, answer, problems, wished))
        value, problems = await in_thread(_read, shape, repaired.text)
    if problems:
        told = "; ".join(f"{path}: {keyword}" for path, keyword, _ in problems)
        await context.discard(step, f"{step}.plain", f"{step}.repair", f"{step}.repair.plain")
        raise JobFailed(f"The model's answer does not fit the schema, twice. {told}"[:400], code="invalid_result")
    return value


async def _sent(context: JobContext, step: str, asked: ChatRequest) -> StepAnswer:
    """The answer; without the format where a server does not know it: the schema stands in the prompt too."""
    try:
        return await whole_answer(context, step, asked)
    except (ProviderRefused, Invalid):  # told by the server, or by a provider that knows itself
        return await whole_answer(context, f"{step}.plain", replace(asked, response_format=None))


async def whole_answer(context: JobContext, step: str, asked: ChatRequest) -> StepAnswer:
    """The answer; raises JobFailed for one that the model refused, that was cut off, or that is empty."""
    answer = await context.chat(step, asked)
    message, code = "", ""
    if answer.refused or answer.finish_reason == "content_filter":
        message, code = "The model refused to answer.", "refused"
    elif answer.finish_reason == "length":
        message, code = "The answer is longer than this site's max_tokens allow.", "cut_off"
    elif not answer.text.strip():
        message, code = "The model's answer is empty.", "invalid_result"
    if code:
        await context.discard(step)
        raise JobFailed(message, code=code)
    return answer


def _read(shape: Structured, text: str) -> tuple[Any, list[tuple[str, str, str]]]:
    try:
        value = shape.read(text)
    except ValueError:
        return None, [("the root", "json", "This is no JSON.")]
    return value, json_schema.problems(shape.schema, value)


async def _repair(
    task: Task, answer: StepAnswer, problems: list[tuple[str, str, str]], wished: ResponseFormat
) -> ChatRequest:
    """Whole in itself: a site's template has no place for what was answered before."""
    listed = "\n".join(f"- {path}: {text}" for path, _, text in problems)
    system = f"Mend the JSON that was taken from the text. {task.rules}\n\n{FENCE_RULE}"
    given = task.given
    wrong = await in_thread(fence, f"{answer.text[:MAX_SHOWN]}\n\nWhat is wrong with it:\n{listed}", "answer")
    text = await in_thread(fence, task.text, task.source)
    return ChatRequest(
        messages=(message("system", system), message("user", f"{text}\n\n{wrong}")),
        model=given.model,
        provider=given.provider,
        response_format=wished,
    )


def _written(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False)

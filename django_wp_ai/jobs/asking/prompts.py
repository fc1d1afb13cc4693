"""From a task and a text from outside to the request that is sent: in our words, or in the site's own template's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import ChatRequest, Message, ResponseFormat, Role, TextPart, Variable
from django_wp_ai.exceptions import Invalid
from django_wp_ai.gateway import prompts
from django_wp_ai.jobs.asking.fields import TextTask
from django_wp_ai.models import Tenant
from django_wp_ai.policy.content.injection import FENCE_RULE, fence


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to do with a text. ``rules`` hold whoever words the task, ``instruction`` stands for a missing template."""

    given: TextTask
    text: str
    instruction: str
    rules: str = ""
    offers: Mapping[str, Variable] = field(default_factory=dict)
    source: str = "text"


async def request(tenant: Tenant, task: Task, *, response_format: ResponseFormat | None = None) -> ChatRequest:
    """The chat request. The text stands between marks, and the model is told that nothing in it is to be followed.

    Raises NotFound for a template that is not there, Invalid for one without the variable ``text``.
    """
    given = task.given
    titled = f"Title: {given.title}\n\n{task.text}" if given.title else task.text
    fenced = await in_thread(fence, titled, task.source)
    if given.prompt_template:
        return await _by_template(tenant, task, fenced, response_format)
    system = "\n\n".join(filter(None, (task.instruction, task.rules, FENCE_RULE)))
    return ChatRequest(
        messages=(message("system", system), message("user", fenced)),
        model=given.model,
        provider=given.provider,
        response_format=response_format,
    )


async def _by_template(tenant: Tenant, task: Task, fenced: str, response_format: ResponseFormat | None) -> ChatRequest:
    given = task.given
    reference, names = await in_thread(
        prompts.variables_of, tenant, reference=given.prompt_template, language=given.language
    )
    if "text" not in names:
        raise Invalid(f"The prompt template {reference} has no variable text.", param="prompt_template")
    offered = {**given.offers(), **task.offers, "text": fenced}
    values = {name: value for name, value in offered.items() if name in names} | given.variables
    return ChatRequest(
        messages=(message("system", "\n\n".join(filter(None, (task.rules, FENCE_RULE)))),),
        model=given.model,
        provider=given.provider,
        response_format=response_format,
        prompt_template=reference,
        variables={**values, "text": fenced},
        language=given.language,
    )


def message(role: Role, text: str) -> Message:
    """A message of text."""
    return Message(role, (TextPart(text),))

"""The request of an ask: our words or the site's own, the sources, the question. Blocking: it looks for a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from django_wp_ai.datatypes import ChatRequest, Message, Role, TextPart
from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.gateway import prompts
from django_wp_ai.models import Tenant
from django_wp_ai.policy.content.injection import FENCE_RULE
from django_wp_ai.rag.answer.contexts import written
from django_wp_ai.rag.answer.question import Question, Source
from django_wp_ai.rag.answer.sentences import NAMES, not_found

#: The template whose words take the place of ours, where the site (or the installation) has one of this name.
TEMPLATE: Final = "ask"
NEEDED: Final = frozenset({"question", "sources"})
WORDING: Final = (
    "You answer the questions of a website's visitors from the site's own content, which comes with each question as "
    "numbered sources. Answer in {language}, briefly and plainly. Say only what the sources say, without what you know "
    "from elsewhere."
)
#: Holds whoever words the rest: the citations are checked by it.
RULES: Final = (
    "Behind each statement name its source and quote it, in this form:\n"
    'We close at noon on Saturdays [2 "Saturday: 9 am to 12 noon"].\n'
    "The number is that of a source that was given. The words between quotation marks are copied from that source, "
    "letter by letter: one sentence or a part of one, not translated. A statement that you can't quote a source for "
    "you leave out.\n"
    "If the sources don't answer the question, reply with this sentence and nothing else: {not_found}\n"
    "A source's number stands on the line above it. Numbers in brackets within a source are part of its text. "
    "Write no web addresses."
)


def request_of(
    tenant: Tenant, question: Question, sources: Sequence[Source], history: Sequence[Message], *, language: str
) -> ChatRequest:
    """The chat request. Raises Invalid for a template without the variables ``question`` and ``sources``."""
    given = {"question": question.text, "sources": written(sources), "language": NAMES[language]}
    rules = "\n\n".join((RULES.format(not_found=not_found(language)), FENCE_RULE))
    template = _template(tenant, language)
    if template is None:
        system = f"{WORDING.format(language=given['language'])}\n\n{rules}"
        asked = f"{given['sources']}\n\n{question.text}"
        request = ChatRequest(messages=(_text("system", system), *history, _text("user", asked)))
    else:
        reference, names = template
        if lacking := sorted(NEEDED - names):
            raise Invalid(f"The prompt template {reference} lacks the variable {', '.join(lacking)}.")
        request = ChatRequest(
            messages=(_text("system", rules), *history),
            prompt_template=reference,
            variables={name: value for name, value in given.items() if name in names},
            language=language,
        )
    return replace(request, temperature=0.0, cache=question.cache, end_user=question.end_user, plugin=question.plugin)


def _template(tenant: Tenant, language: str) -> tuple[str, frozenset[str]] | None:
    try:
        return prompts.variables_of(tenant, reference=TEMPLATE, language=language)
    except NotFound:
        return None


def _text(role: Role, text: str) -> Message:
    return Message(role, (TextPart(text),))

"""An answer, whole: search, the one street, the check of what came back."""

from __future__ import annotations

import logging

from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import Choice, Message, Principal, TextPart
from django_wp_ai.gateway import conversations
from django_wp_ai.gateway.chat import complete
from django_wp_ai.gateway.ledger import Call
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.rag.answer.checking import Checker
from django_wp_ai.rag.answer.preparing import Prepared, prepare
from django_wp_ai.rag.answer.question import Answer, Citation, Question
from django_wp_ai.rag.answer.sentences import not_found

logger = logging.getLogger("django_wp_ai.rag")


async def ask(principal: Principal, question: Question, origin: Origin) -> Answer:
    """Answer from the site's content; raises what a search or a chat is refused with."""
    prepared = await prepare(principal, question, origin)
    if prepared.request is None:
        answer = answer_of(prepared)
    else:
        completed = await complete(prepared.principal, prepared.request, prepared.origin)
        text, citations = await in_thread(checked, prepared, completed.result.choices[0].text)
        answer = answer_of(prepared, text, citations, call=completed.call)
    await keep(prepared, answer)
    return answer


def checked(prepared: Prepared, text: str) -> tuple[str, list[Citation]]:
    """An answer without the citations that don't hold, and those that do."""
    checker = Checker(prepared.sources, site_host=prepared.site_host)
    return checker.feed(text) + checker.finish(), checker.citations


def answer_of(
    prepared: Prepared, text: str = "", citations: list[Citation] | None = None, *, call: Call | None = None
) -> Answer:
    """The answer; what no citation supports is none."""
    supported = bool(citations)
    return Answer(
        text=text.strip() if supported else not_found(prepared.language),
        supported=supported,
        citations=tuple(citations or ()),
        sources=prepared.sources,
        hits=prepared.hits,
        language=prepared.language,
        call=call,
        conversation_id=prepared.history.conversation_id if prepared.history else "",
    )


async def keep(prepared: Prepared, answer: Answer) -> None:
    """Add the exchange to its conversation, as the reader saw it. Raises nothing: the answer is there."""
    if prepared.history is None:
        return
    asked = Message("user", (TextPart(prepared.question.text),))
    try:
        await in_thread(conversations.append, prepared.history, [asked], Choice(answer.text, "stop"))
    except Exception:
        logger.exception("an answer could not be added to its conversation")

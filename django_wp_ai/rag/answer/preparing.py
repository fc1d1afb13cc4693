"""From a question to what a model is asked, or to the finding that there is nothing to ask it about."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest, Message, Principal, TextPart
from django_wp_ai.exceptions import Invalid
from django_wp_ai.gateway import conversations
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.gateway.conversations import History
from django_wp_ai.gateway.moderation import DENIED, moderate
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.models import Tenant
from django_wp_ai.rag.answer import prompting, relevance
from django_wp_ai.rag.answer.contexts import sources_of
from django_wp_ai.rag.answer.following import query_of
from django_wp_ai.rag.answer.question import Question, Source
from django_wp_ai.rag.answer.sentences import FALLBACK, language_of
from django_wp_ai.rag.embedding import serving_model
from django_wp_ai.rag.search import MAX_QUERY_CHARS, Hit, metering, search
from django_wp_ai.rag.tokens import counter

PROMPT_TOKENS = 500  # our words around the sources
LEAST_TOKENS = 200  # of sources, however little input the site gives the route
_BLANKS = re.compile(r"\s+")
_CITED = re.compile(r"\s?\[\d{1,3}\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A question with what was found for it. ``request`` is None where nothing is worth asking a model about."""

    principal: Principal
    question: Question
    origin: Origin
    history: History | None
    hits: tuple[Hit, ...]
    query: str  # what was searched for
    language: str = FALLBACK
    sources: tuple[Source, ...] = ()
    request: ChatRequest | None = None

    @property
    def site_host(self) -> str:
        """Where links in an answer may lead, beside the pages of its sources."""
        return _host(self.principal.tenant.site_url)


async def prepare(principal: Principal, question: Question, origin: Origin) -> Prepared:
    """Search, and put the request together; raises what a search or a conversation is refused with."""
    require_scope(principal, "rag.read")
    question = replace(question, text=_normalised(question.text))
    principal = replace(principal, scopes=principal.scopes | {"chat"})
    origin = replace(origin, trace_id=origin.trace_id or uuid.uuid4())
    history = await in_thread(_history, principal, question)
    query = query_of(question.text, history.messages if history else ())
    searching = replace(origin, route="search")
    await in_thread(metering.require_room, principal, (searching, origin), end_user=question.end_user)
    found = await search(principal, query, k=question.k, filters=question.filters, mode=question.mode, origin=searching)
    hits = await _permitted(principal.tenant, found)
    prepared = Prepared(
        principal=principal,
        question=question,
        origin=replace(origin, step=origin.step + 1),
        history=history,
        hits=tuple(hits),
        query=query,
    )
    return await in_thread(_with_request, prepared)


def _normalised(text: str) -> str:
    """One spelling for what is asked in the same words: composed, without blanks too many."""
    normalised = _BLANKS.sub(" ", unicodedata.normalize("NFC", text)).strip()
    message = ""
    if not normalised:
        message = "The question is empty."
    elif len(normalised) > MAX_QUERY_CHARS:
        message = f"At most {MAX_QUERY_CHARS} characters."
    if message:
        raise Invalid(message, errors=[{"field": "question", "message": message}], param="question")
    return normalised


def _history(principal: Principal, question: Question) -> History | None:
    if not question.conversation_id:
        return None
    tenant, end_user = principal.tenant, principal.end_user or question.end_user
    return conversations.load(tenant, end_user, question.conversation_id, budget_tokens=tenant.conversation_tokens)


async def _permitted(tenant: Tenant, hits: Sequence[Hit]) -> list[Hit]:
    """Without passages that the site's own content rules refuse: they would have the whole call refused."""
    is_moderated = tenant.moderation != Tenant.Moderation.OFF
    if not hits or not (tenant.denied_terms or is_moderated):
        return list(hits)
    judged = await moderate(
        tenant, ["\n".join((hit.source_id, hit.title, *hit.heading_path, hit.content)) for hit in hits]
    )
    return [
        hit
        for hit, judgement in zip(hits, judged, strict=True)
        if not (judgement.flagged if is_moderated else DENIED in judgement.categories)
    ]


def _with_request(prepared: Prepared) -> Prepared:
    """Blocking: judge what was found, cut it to what fits, and word the request."""
    tenant, question, hits = prepared.principal.tenant, prepared.question, prepared.hits
    language = language_of(question.text, others=[*question.filters.languages, *(hit.language for hit in hits)])
    prepared = replace(prepared, language=language)
    model = serving_model(tenant) if question.mode != "text" else ""
    if not relevance.is_worth_asking(prepared.query, hits, mode=question.mode, model=model):
        return prepared
    said = prepared.history.messages if prepared.history else ()
    sources = sources_of(hits, budget_tokens=_budget(tenant, question, said), count=counter())
    if said:  # an answer within a conversation is nobody else's
        question = replace(question, cache=False)
    request = prompting.request_of(tenant, question, sources, _without_marks(said), language=language)
    return replace(prepared, sources=tuple(sources), request=request)


def _budget(tenant: Tenant, question: Question, said: Sequence[Message]) -> int:
    """Tokens of the sources: less where the tenant gives the route ``ask`` fewer input tokens."""
    ceiling = tenant.routes.get("ask", {}).get("max_input_tokens")
    if ceiling is None:
        return int(settings.rag_context_tokens)
    count = counter()
    taken = PROMPT_TOKENS + sum(map(count, (tenant.system_prompt, question.text, *(each.text for each in said))))
    return max(LEAST_TOKENS, min(int(settings.rag_context_tokens), int(ceiling) - taken))


def _without_marks(said: Sequence[Message]) -> list[Message]:
    """Earlier answers without their markers, whose numbers were those of other sources."""
    return [
        replace(each, content=(TextPart(_CITED.sub("", each.text)),)) if each.role == "assistant" else each
        for each in said
    ]


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""

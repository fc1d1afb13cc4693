"""Answers without a network, a key or a model: sentences of the given text, chosen by their words.

It lets a newcomer see the whole product work, and serves tests that need real answers. Each answer says what it is.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

from django_wp_ai.datatypes import (
    ChatRequest,
    ChatResult,
    Choice,
    Delta,
    FinishReason,
    Message,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from django_wp_ai.exceptions import ProviderRefused
from django_wp_ai.providers import feature_hashing, numbered, words
from django_wp_ai.providers.base import EmbeddingResult, Provider
from django_wp_ai.providers.conforming import fill

CHAT_MODEL = "offline-extractive"
EMBEDDING_MODEL = f"offline-hash-{feature_hashing.VERSION}"
NOTICE = "Extractive answer (offline provider, no language model):"
NOTHING_FOUND = (
    "This is the offline provider: it has no language model and answers only with sentences from the text it is given. "
    "It was given none that answers this."
)
MAX_SENTENCES = 3
SUMMARY_FROM = 4  # a message of so many sentences without a question is a text to summarise
SUMMARY_WORDS = 120
LARGE_BYTES = 20_000  # reading more than this takes milliseconds: done in a thread, off the event loop
_FENCED = re.compile(r"<untrusted id=[^<>]{0,400}>(.*?)</untrusted id=[^<>]{0,400}>", re.DOTALL)
_LENGTH = re.compile(r"\b(\d{1,4}) words\b")
_GLOSS = re.compile(r"^- ([^:\n]{1,100}): (.{1,500})$", re.MULTILINE)
_TOKEN = re.compile(r"\s*\S{1,16}|\s+$")


class OfflineProvider(Provider):
    """Extractive answers and feature-hashed embeddings: deterministic, free, on this machine.

    A token is a word (of a long one, each 16 characters). Takes text only; calls a tool only when ``tool_choice``
    demands it.
    """

    options: ClassVar[frozenset[str]] = Provider.options
    known_models = (CHAT_MODEL, EMBEDDING_MODEL)
    needs_key = False
    free = True
    supports_tools = True
    supports_json_schema = True
    supports_embeddings = True
    supports_n = True
    embedding_models = (EMBEDDING_MODEL,)
    other_models = (CHAT_MODEL,)

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        super().__init__(name, config)
        if unknown := sorted(set(self.models) - set(self.known_models)):
            raise ImproperlyConfigured(
                f"Provider {name!r} has no model {', '.join(unknown)}; it has {', '.join(self.known_models)}."
            )

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text``, exactly."""
        return len(_TOKEN.findall(text))

    async def chat(self, request: ChatRequest, *, model: str) -> ChatResult:
        """Answer whole."""
        choice, tokens = await self._answer(request, model)
        return ChatResult((choice,) * request.n, self._usage(request, tokens), model)

    async def stream(self, request: ChatRequest, *, model: str) -> AsyncGenerator[Delta, None]:
        """Answer word by word."""
        choice, tokens = await self._answer(request, model)
        for index in range(request.n):
            for piece in _TOKEN.findall(choice.text):
                yield Delta(text=piece, choice=index, model=model)
                await asyncio.sleep(0)
            for position, call in enumerate(choice.tool_calls):
                piece = ToolCallDelta(position, call.id, call.name, call.arguments)
                yield Delta(choice=index, tool_call=piece, model=model)
            yield Delta(choice=index, finish_reason=choice.finish_reason, model=model)
        yield Delta(usage=self._usage(request, tokens), model=model)

    async def embed(self, texts: Sequence[str], *, model: str, dimensions: int | None = None) -> EmbeddingResult:
        """Hashed words and letters as vectors of 2,048 (or ``dimensions``) numbers."""
        if model != EMBEDDING_MODEL:
            raise ProviderRefused(f"The offline provider's model for embeddings is {EMBEDDING_MODEL}.")
        size = feature_hashing.DIMENSIONS if dimensions is None else dimensions
        if not 1 <= size <= feature_hashing.MAX_DIMENSIONS:
            raise ProviderRefused(f"dimensions must be between 1 and {feature_hashing.MAX_DIMENSIONS}.")

        def work() -> tuple[tuple[float, ...], ...]:
            return tuple(feature_hashing.vector(text, size) for text in texts)

        large = sum(map(len, texts)) > LARGE_BYTES
        vectors = await asyncio.to_thread(work) if large else work()
        return EmbeddingResult(vectors, Usage(input_tokens=sum(map(self.count_tokens, texts))), model)

    def _usage(self, request: ChatRequest, output_tokens: int) -> Usage:
        read = sum(self.count_tokens(message.text) for message in request.messages)
        return Usage(input_tokens=read, output_tokens=output_tokens * request.n)

    async def _answer(self, request: ChatRequest, model: str) -> tuple[Choice, int]:
        """The one answer to a request, and its tokens."""
        if model != CHAT_MODEL:
            raise ProviderRefused(f"The offline provider's model for chat is {CHAT_MODEL}.")
        self.check(request)
        large = sum(len(message.text) for message in request.messages) > LARGE_BYTES
        text, calls = await asyncio.to_thread(_compose, request) if large else _compose(request)
        finish: FinishReason = "tool_calls" if calls else "stop"
        for stop in request.stop:
            text = text.split(stop, 1)[0] if stop else text
        tokens = _TOKEN.findall(text)
        if request.max_tokens is not None and len(tokens) > request.max_tokens:
            tokens, finish = tokens[: request.max_tokens], "length"
        spent = len(tokens) + sum(self.count_tokens(call.arguments) for call in calls)
        return Choice("".join(tokens), finish, calls), spent


def _compose(request: ChatRequest) -> tuple[str, tuple[ToolCall, ...]]:
    """Text or tool calls, before limits."""
    position = _last_user(request.messages)
    question = request.messages[position].text if position is not None else ""
    results = [message for message in request.messages[(position or 0) :] if message.role == "tool"]
    forced = _forced_tool(request, question)
    if forced is not None and not results:
        return "", (ToolCall("call_1", forced.name, json.dumps(fill(forced.parameters, question), ensure_ascii=False)),)
    wished = request.response_format
    fenced = _FENCED.findall(question)
    if wished is not None and wished.type == "json_schema":
        users = [message.text for message in request.messages if message.role == "user"]
        given = "\n".join([*(message.text for message in results), *(fenced[:1] or users)])
        glosses = dict(_GLOSS.findall(_told(request.messages, "")))
        return json.dumps(fill(wished.schema or {}, given, glosses), ensure_ascii=False), ()
    if numbered.is_numbered(question) and not results:
        answer = _cited(question)
    elif fenced and not results and not _question(words.sentences(_FENCED.sub("\n", question))):
        answer = _summary("\n".join(fenced), _told(request.messages, question))
    elif results:
        answer = f"{NOTICE} the tool returned: {' '.join(message.text for message in results).strip()}"
    else:
        answer = _extract(request.messages, position)
    if wished is not None and wished.type == "json_object":
        answer = json.dumps({"answer": answer}, ensure_ascii=False)
    return answer, ()


def _last_user(messages: Sequence[Message]) -> int | None:
    return next((at for at in range(len(messages) - 1, -1, -1) if messages[at].role == "user"), None)


def _forced_tool(request: ChatRequest, question: str) -> Tool | None:
    """The tool that must be called: the named one, or for ``required`` the one whose description fits best."""
    choice = request.tool_choice
    if choice is None or choice.type in {"auto", "none"}:
        return None
    if choice.type == "function":
        return next(tool for tool in request.tools if tool.name == choice.name)
    asked = set(words.content_words(question))
    return max(request.tools, key=lambda tool: len(asked.intersection(words.words(f"{tool.name} {tool.description}"))))


def _question(said: Sequence[words.Sentence]) -> words.Sentence | None:
    return next((sentence for sentence in reversed(said) if sentence.text.endswith(words.QUESTION_MARKS)), None)


def _told(messages: Sequence[Message], question: str) -> str:
    """What the caller itself says: system messages, and what stands around the fenced text of the last message."""
    return "\n".join([*(m.text for m in messages if m.role == "system"), _FENCED.sub("\n", question)])


def _summary(text: str, told: str) -> str:
    """Sentences of a fenced text, as many as the wished number of words holds, the notice included."""
    wished = _LENGTH.search(told)
    length = int(wished[1]) if wished else SUMMARY_WORDS
    chosen = words.brief(words.sentences(text), limit=max(5, length - len(words.words(NOTICE))))
    if not chosen:
        return NOTHING_FOUND
    return "\n".join([NOTICE, *(f"- {each}" for each in chosen)]) if "“- ”" in told else " ".join([NOTICE, *chosen])


def _cited(text: str) -> str:
    """Sentences of numbered texts that answer what stands around them, each with its number."""
    around = words.sentences(numbered.around(text))
    asked = _question(around)
    wanted = asked.words if asked else tuple(word for sentence in around for word in sentence.words)
    chosen = words.relevant(wanted, list(numbered.sentences(text)), limit=MAX_SENTENCES)
    return " ".join([NOTICE, *(f"{each.text} [{each.marker}]" for each in chosen)]) if chosen else NOTHING_FOUND


def _extract(messages: Sequence[Message], position: int | None) -> str:
    """Sentences that answer the last user message, from it and from what stands before it."""
    own = words.sentences(messages[position].text) if position is not None else []
    asked = _question(own)
    before = [m.text for m in messages[:position] if m.role in {"system", "user"}]
    context = [sentence for text in before for sentence in words.sentences(text)]
    if asked is None and len(own) >= SUMMARY_FROM:
        chosen = words.central(own, limit=MAX_SENTENCES)
    elif asked is None:
        chosen = words.relevant((word for s in own for word in s.words), context, limit=MAX_SENTENCES)
    else:
        rest = context + [sentence for sentence in own if sentence is not asked]
        chosen = words.relevant(asked.words, rest, limit=MAX_SENTENCES)
    if chosen:
        return " ".join([NOTICE, *(f"{s.text} [{s.marker}]" if s.marker else s.text for s in chosen)])
    about = words.keywords(messages[position].text if position is not None else "", limit=5)
    return f"{NOTHING_FOUND} Your message is about: {', '.join(about)}." if about else NOTHING_FOUND

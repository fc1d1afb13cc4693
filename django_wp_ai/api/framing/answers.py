"""An answer from the site's content, as a reply and as a stream. Source: PROTOCOL §3 and §4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django_wp_ai.api.errors import problem
from django_wp_ai.api.framing import native
from django_wp_ai.api.sse import event
from django_wp_ai.datatypes import Delta
from django_wp_ai.exceptions import WpAiError
from django_wp_ai.gateway.ledger import Call
from django_wp_ai.rag.answer import Answer, AnswerStream, Citation, Source

NOTHING_USED = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cached_input_tokens": 0,
    "reasoning_tokens": 0,
    "cost_usd": 0.0,
    "estimated": False,
}


def reply(answer: Answer) -> dict[str, Any]:
    """The whole answer."""
    body = {"answer": answer.text, **_ending(answer)}
    return body | {"conversation_id": answer.conversation_id} if answer.conversation_id else body


def _ending(answer: Answer) -> dict[str, Any]:
    return {
        "supported": answer.supported,
        "citations": [_citation(citation) for citation in answer.citations],
        "usage": _usage(answer.call),
        "cached": answer.call is not None and answer.call.cached,
    }


def _usage(call: Call | None) -> dict[str, Any]:
    """Of the model's call; that of the search, which is little, stands in the ledger beside it."""
    return NOTHING_USED if call is None else native.usage(call)


def _citation(citation: Citation) -> dict[str, Any]:
    return {**_source(citation), "quote": citation.quote}


def _source(source: Source | Citation) -> dict[str, Any]:
    return {
        "n": source.n,
        "source_id": source.source_id,
        "title": source.title,
        "url": source.url,
        "score": source.score,
    }


class AnswerFraming:
    """``sources``, then ``start``, unnamed deltas, ``done`` or ``error``, then ``[DONE]``.

    Where no model is asked ``start`` names none.
    """

    def __init__(self, stream: AnswerStream, request_id: str) -> None:
        self._stream = stream
        self._request_id = request_id

    def start(self) -> Iterable[bytes]:
        """What the answer is made from, and by whom."""
        yield event({"sources": [_source(source) for source in self._stream.sources]}, name="sources")
        call = self._stream.call
        about = {
            "id": native.chat_id(call) if call else f"chat_{self._stream.trace_id.hex}",
            "model": call.model if call else "",
            "provider": call.target.provider.name if call else "",
        }
        if self._stream.conversation_id:
            about["conversation_id"] = self._stream.conversation_id
        yield event(about, name="start")

    def delta(self, delta: Delta) -> Iterable[bytes]:
        """Text."""
        yield event({"delta": delta.text})

    def end(self) -> Iterable[bytes]:
        """The citations; the call is settled by now."""
        answer = self._stream.answer
        assert answer is not None  # the deltas are over
        finish = answer.call.finish_reason if answer.call else "stop"
        yield event({"finish_reason": finish, **_ending(answer)}, name="done")
        yield native.DONE

    def error(self, error: WpAiError) -> Iterable[bytes]:
        """The answer broke off."""
        yield event(problem(error, self._request_id), name="error")
        yield native.DONE

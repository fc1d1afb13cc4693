"""What of a stream has passed: enough to count it, keep it and show it whole."""

from __future__ import annotations

from django_wp_ai.datatypes import ChatResult, Choice, Delta, FinishReason, ToolCall, Usage


class Transcript:
    """Deltas put together again; tool calls by choice and index, in the order in which they began."""

    def __init__(self) -> None:
        self.tool_calls: dict[tuple[int, int], ToolCall] = {}
        self.usage: Usage | None = None
        self.model = ""
        self._texts: dict[int, list[str]] = {}
        self._refusals: dict[int, str] = {}
        self._finish_reasons: dict[int, FinishReason] = {}

    def add(self, delta: Delta) -> None:
        """Take note of one delta."""
        if delta.text:
            self._texts.setdefault(delta.choice, []).append(delta.text)
        if delta.tool_call is not None:
            piece = delta.tool_call
            key = (delta.choice, piece.index)
            known = self.tool_calls.get(key, ToolCall("", "", ""))
            self.tool_calls[key] = ToolCall(
                known.id or piece.id, known.name or piece.name, known.arguments + piece.arguments
            )
        if delta.refusal:
            self._refusals[delta.choice] = self._refusals.get(delta.choice, "") + delta.refusal
        if delta.finish_reason:
            self._finish_reasons.setdefault(delta.choice, delta.finish_reason)
        if delta.model:
            self.model = delta.model
        if delta.usage is not None:
            self.usage = delta.usage

    @property
    def finish_reason(self) -> str:
        """Why the first choice to end did."""
        return next(iter(self._finish_reasons.values()), "")

    @property
    def received(self) -> str:
        """All that the provider wrote, to be counted."""
        texts = ["".join(pieces) for pieces in self._texts.values()]
        return "".join([*texts, *(call.name + call.arguments for call in self.tool_calls.values())])

    def result(self, usage: Usage) -> ChatResult:
        """The whole answer, as a call without a stream would have given it."""
        choices = sorted({*self._texts, *self._refusals, *self._finish_reasons, *(key[0] for key in self.tool_calls)})
        return ChatResult(
            tuple(
                Choice(
                    "".join(self._texts.get(choice, [])),
                    self._finish_reasons.get(choice, "error"),
                    tuple(call for key, call in self.tool_calls.items() if key[0] == choice),
                    self._refusals.get(choice),
                )
                for choice in choices
            ),
            usage,
            self.model,
        )

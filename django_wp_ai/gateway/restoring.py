"""Personal data put back into what a provider answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from django_wp_ai.datatypes import ChatResult, Choice, Delta, ToolCall, ToolCallDelta
from django_wp_ai.policy.content.vault import Restorer, Vault


def restored(vault: Vault | None, result: ChatResult) -> ChatResult:
    """The answer as the asker gets it."""
    if not vault:
        return result
    return replace(result, choices=tuple(restored_choice(vault, choice) for choice in result.choices))


def restored_choice(vault: Vault | None, choice: Choice) -> Choice:
    """One candidate as the asker gets it."""
    if not vault:
        return choice
    return replace(
        choice,
        text=vault.restore_json(choice.text) if _is_json(choice.text) else vault.restore(choice.text),
        tool_calls=tuple(restored_call(vault, call) for call in choice.tool_calls),
        refusal=choice.refusal and vault.restore(choice.refusal),
    )


def restored_call(vault: Vault | None, call: ToolCall) -> ToolCall:
    """A tool call whose arguments stay JSON."""
    return call if not vault else replace(call, arguments=vault.restore_json(call.arguments))


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


class StreamRestorer:
    """The same for deltas; what might be the beginning of a placeholder is held back until it is clear."""

    def __init__(self, vault: Vault | None) -> None:
        self._vault = vault
        self._texts: dict[int, Restorer] = {}
        self._calls: dict[tuple[int, int], Restorer] = {}

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """The deltas that can be shown now."""
        if not self._vault:
            yield delta
            return
        if delta.finish_reason:
            yield from self._rest(delta.choice)
        text = self._text(delta.choice, delta.text) if delta.text else ""
        piece = delta.tool_call
        if piece is not None:
            restorer = self._calls.setdefault((delta.choice, piece.index), Restorer(self._vault, as_json=True))
            piece = replace(piece, arguments=restorer.feed(piece.arguments))
        yield replace(delta, text=text, tool_call=piece, refusal=self._vault.restore(delta.refusal))

    def _text(self, choice: int, text: str) -> str:
        restorer = self._texts.get(choice)
        if restorer is None:
            assert self._vault is not None
            restorer = self._texts[choice] = Restorer(self._vault, as_json=_is_json(text))
        return restorer.feed(text)

    def _rest(self, choice: int) -> Iterator[Delta]:
        """What is still held back of a choice that ends."""
        if choice in self._texts and (text := self._texts[choice].flush()):
            yield Delta(text=text, choice=choice)
        for (of, index), restorer in self._calls.items():
            if of == choice and (arguments := restorer.flush()):
                yield Delta(choice=choice, tool_call=ToolCallDelta(index, arguments=arguments))

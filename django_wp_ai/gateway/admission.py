"""Everything that can refuse a call, before a byte is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest, ImagePart, Message, Principal, TextPart
from django_wp_ai.exceptions import Forbidden, Invalid, ProviderRefused
from django_wp_ai.gateway.routing import Target, resolve

MAX_N = 8


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may be sent: its request as the provider gets it, and where it goes."""

    principal: Principal
    request: ChatRequest
    target: Target


def require_scope(principal: Principal, scope: str) -> None:
    """Raise Forbidden when the credential lacks a scope."""
    if scope not in principal.scopes:
        raise Forbidden(f"The credential lacks the scope {scope}.")


def admit(principal: Principal, request: ChatRequest) -> Admitted:
    """Check a chat call against who asks and who answers; raises Forbidden, ModelNotAllowed or Invalid."""
    require_scope(principal, "chat")
    _check_messages(request.messages)
    target = resolve(principal, model=request.model, provider=request.provider)
    _check_capabilities(request, target)
    return Admitted(principal, _as_sent(principal, request), target)


def _check_messages(messages: tuple[Message, ...]) -> None:
    if len(messages) > settings.max_messages:
        raise _invalid("messages", f"At most {settings.max_messages} messages.")
    if not any(message.role in ("user", "tool") for message in messages):
        raise _invalid("messages", "There must be a user message.")
    calls: set[str] = set()
    for index, message in enumerate(messages):
        calls.update(call.id for call in message.tool_calls)
        if message.role == "tool":
            if message.tool_call_id not in calls:
                raise _invalid(f"messages.{index}.tool_call_id", "No earlier message made this tool call.")
        elif message.role == "user" and not _has_content(message):
            raise _invalid(f"messages.{index}.content", "The message is empty.")


def _has_content(message: Message) -> bool:
    return any(isinstance(part, ImagePart) or part.text.strip() for part in message.content)


def _check_capabilities(request: ChatRequest, target: Target) -> None:
    if request.n > MAX_N:
        raise _invalid("n", f"At most {MAX_N}.")
    try:
        target.provider.check(request)
    except ProviderRefused as refused:
        raise Invalid(f"{target.model}: {refused.detail}") from None


def _as_sent(principal: Principal, request: ChatRequest) -> ChatRequest:
    """The request with the site's own system prompt in front and its end user filled in."""
    messages = request.messages
    if principal.tenant.system_prompt:
        messages = (Message("system", (TextPart(principal.tenant.system_prompt),)), *messages)
    return replace(request, messages=messages, end_user=principal.end_user or request.end_user)


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": field, "message": message}], param=field)

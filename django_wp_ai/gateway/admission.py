"""Everything that can refuse a call, before a byte is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from django.utils import timezone

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest, ImagePart, Message, Principal, Role, TextPart, Usage
from django_wp_ai.exceptions import Forbidden, Invalid, ModelNotAllowed, ProviderRefused
from django_wp_ai.gateway import clamps, content, conversations, prompts
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.routing import Target, candidates
from django_wp_ai.models import Tenant
from django_wp_ai.policy.budget import has_budget
from django_wp_ai.policy.content.redaction import Vault
from django_wp_ai.providers import prices

MAX_N = 8
TOKENS_A_MESSAGE, TOKENS_A_CALL = 8, 16


@dataclass(slots=True)
class Admitted:
    """A call that may be sent: its request as the provider gets it, and who may answer, first choice first."""

    principal: Principal
    request: ChatRequest
    targets: tuple[Target, ...]
    origin: Origin
    clamped: dict[str, float] = field(default_factory=dict)  # parameters that were set to what is allowed
    prompt_template: str = ""
    vault: Vault | None = None  # what redaction took out of the request
    history: conversations.History | None = None
    turns: tuple[Message, ...] = ()  # the caller's own, as they go into the conversation

    @property
    def target(self) -> Target:
        """The first choice."""
        return self.targets[0]

    @property
    def end_user(self) -> str:
        """Who asks, for limits and the ledger."""
        return self.request.end_user

    @property
    def plugin(self) -> str:
        """Which WordPress plugin asks."""
        return self.request.plugin

    def estimated(self, received: str = "") -> Usage:
        """Usage of a call whose end the vendor never told: its input, and the output that passed."""
        return self.target.provider.estimate(self.request, received)

    def largest(self) -> Usage:
        """The most the call can use; also what a call is taken for that may have been answered unseen.

        The count of the input is a guess: a third more covers languages that vendors cut finer, and they add some
        tokens for every message.
        """
        guess, request = self.estimated(), self.request
        return replace(
            guess,
            input_tokens=guess.input_tokens * 4 // 3 + TOKENS_A_MESSAGE * len(request.messages) + TOKENS_A_CALL,
            output_tokens=(request.max_tokens or settings.default_max_tokens) * request.n,
        )


def require_scope(principal: Principal, scope: str) -> None:
    """Raise Forbidden when the credential lacks a scope."""
    if scope not in principal.scopes:
        raise Forbidden(f"The credential lacks the scope {scope}.")


async def admit(principal: Principal, request: ChatRequest, origin: Origin, *, moderate: bool = True) -> Admitted:
    """Check a chat call against who asks and who answers; raises what the call is refused with.

    ``moderate`` False leaves out the moderation that a provider would be asked for.
    """
    require_scope(principal, "chat")
    admitted = await _with_stored(principal, request, origin)
    request = admitted.request
    _check_messages(request.messages)
    request, admitted.clamped = clamps.apply(principal.tenant, request, origin.route)
    targets = candidates(principal, model=request.model, provider=request.provider)
    able = capable(targets, lambda target: _check_capabilities(request, target))
    admitted.targets = payable(principal.tenant, able)
    admitted.request, admitted.vault = await content.apply(principal.tenant, request, ask_provider=moderate)
    clamps.check_input(principal.tenant, admitted, origin.route, name="messages")
    return admitted


def capable(targets: tuple[Target, ...], check: Callable[[Target], None]) -> tuple[Target, ...]:
    """The targets that can do it; raises what the first says when none can."""
    able: list[Target] = []
    refusals: list[Invalid | ModelNotAllowed] = []
    for target in targets:
        try:
            check(target)
        except (Invalid, ModelNotAllowed) as refused:
            refusals.append(refused)
        else:
            able.append(target)
    if not able:
        raise refusals[0]
    return tuple(able)


def payable(tenant: Tenant, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """Without those whose price is not known, where a budget must hold it; all of them when that leaves none."""
    if len(targets) == 1 or not has_budget(tenant):
        return targets
    now = timezone.now()
    priced = (t for t in targets if prices.unit_prices(provider=t.provider, model=t.model, at=now) is not None)
    return tuple(priced) or targets


async def _with_stored(principal: Principal, request: ChatRequest, origin: Origin) -> Admitted:
    """The request with what is stored here put in: the template's texts, the conversation, the site's own prompt."""
    if principal.end_user and principal.end_user != request.end_user:
        request = replace(request, end_user=principal.end_user)
    if request.prompt_template or request.conversation_id:
        return await in_thread(_load, principal, request, origin)
    return Admitted(principal, _whole(principal, request), (), origin)


def _load(principal: Principal, request: ChatRequest, origin: Origin) -> Admitted:
    """Blocking: a template's system text comes first and its prompt last; a conversation goes before what is new."""
    tenant, reference, history = principal.tenant, "", None
    if request.prompt_template:
        expanded = prompts.expand(
            tenant, reference=request.prompt_template, variables=request.variables, language=request.language
        )
        reference = expanded.reference
        lead = (_text("system", expanded.system),) if expanded.system else ()
        messages = (*lead, *request.messages, _text("user", expanded.prompt))
        request = replace(request, messages=messages, model=request.model or expanded.model)
    turns = tuple(message for message in request.messages if message.role != "system")
    if request.conversation_id:
        budget_tokens = tenant.conversation_tokens
        history = conversations.load(
            tenant, request.end_user, request.conversation_id, budget_tokens=budget_tokens, own=turns
        )
        system = tuple(message for message in request.messages if message.role == "system")
        request = replace(request, messages=(*system, *history.messages, *turns))
    request = _whole(principal, request)
    # What the host's tools said is not kept: a vendor may refuse a history of tools in a call that names none.
    return Admitted(principal, request, (), origin, prompt_template=reference, history=history, turns=turns)


def _whole(principal: Principal, request: ChatRequest) -> ChatRequest:
    """With the site's own prompt in front, and behind what tools were asked and said so far."""
    prompt = principal.tenant.system_prompt
    if not prompt and not request.tool_turns:
        return request
    system = (_text("system", prompt),) if prompt else ()
    return replace(request, messages=(*system, *request.messages, *request.tool_turns))


def _text(role: Role, text: str) -> Message:
    return Message(role, (TextPart(text),))


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


def _invalid(name: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": name, "message": message}], param=name)

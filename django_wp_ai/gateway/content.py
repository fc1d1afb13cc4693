"""A site's content rules, applied to what would be sent: denied terms, moderation, personal data."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import ChatRequest, Message, Part, TextPart
from django_wp_ai.exceptions import ContentBlocked
from django_wp_ai.gateway.moderation import moderator
from django_wp_ai.models import Tenant
from django_wp_ai.policy.content.deny_list import deny_list
from django_wp_ai.policy.content.moderation import judge
from django_wp_ai.policy.content.redaction import Redactor, Vault, redactor

logger = logging.getLogger("django_wp_ai.gateway")

LONG_TEXT = 4096  # characters: from here on reading it would keep other calls waiting


async def apply(tenant: Tenant, request: ChatRequest, *, ask_provider: bool) -> tuple[ChatRequest, Vault | None]:
    """The request as a provider may see it, and what was hidden from it; raises ContentBlocked.

    ``ask_provider`` False leaves out the moderation that a provider would be asked for.
    """
    if not _has_rules(tenant):
        return request, None
    if sum(len(message.text) for message in request.messages) > LONG_TEXT:
        shown, vault = await in_thread(_checked, tenant, request)
    else:
        shown, vault = _checked(tenant, request)
    if ask_provider and tenant.moderation == Tenant.Moderation.PROVIDER:
        await _ask_moderation(_texts_of_others(shown))
    return shown, vault


async def apply_to_texts(tenant: Tenant, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The same for texts that become vectors; raises ContentBlocked.

    Each has placeholders of its own, so that the same text gives the same vector in whatever company.
    """
    asked = tuple(Message("user", (TextPart(text),)) for text in texts)
    await apply(tenant, ChatRequest(messages=asked), ask_provider=True)  # for what it refuses
    if not tenant.redact_pii:
        return texts
    hide = redactor(tenant.redaction_locales, tenant.redaction_patterns)

    def work() -> tuple[str, ...]:
        return tuple(hide.redact(text, Vault()) for text in texts)

    return await in_thread(work) if sum(map(len, texts)) > LONG_TEXT else work()


def _has_rules(tenant: Tenant) -> bool:
    return bool(tenant.redact_pii or tenant.denied_terms or tenant.moderation != Tenant.Moderation.OFF)


def _checked(tenant: Tenant, request: ChatRequest) -> tuple[ChatRequest, Vault | None]:
    """Refuse by the site's own rules, then hide. Rules that can't be read let nothing pass."""
    try:
        _require_clean(tenant, _texts_of_others(request))
        return _redacted(tenant, request) if tenant.redact_pii else (request, None)
    except ValueError:
        logger.exception("the content rules of %s can't be read", tenant.slug)
        raise ContentBlocked("The content rules of this site can't be read.") from None


def _texts_of_others(request: ChatRequest) -> list[str]:
    """What users and tools said: the rest was written here or by a model."""
    return [message.text for message in request.messages if message.role in ("user", "tool")]


def _require_clean(tenant: Tenant, texts: Iterable[str]) -> None:
    denied = deny_list(tenant.denied_terms) if tenant.denied_terms else None
    for text in texts:
        if denied is not None and denied.first(text) is not None:
            logger.info("a call of %s has a denied term", tenant.slug)
            raise ContentBlocked("The text contains a term that this site does not allow.")
        if tenant.moderation == Tenant.Moderation.LOCAL and (found := judge(text)).flagged:
            raise _moderated(found.categories)


async def _ask_moderation(texts: list[str]) -> None:
    """Ask the first provider that moderates; without one nothing passes. The vendors take no money for it."""
    for judgement in await moderator().moderate([text for text in texts if text.strip()] or [" "]):
        if judgement.flagged:
            raise _moderated(judgement.categories)


def _moderated(categories: Iterable[str]) -> ContentBlocked:
    return ContentBlocked(f"Moderation refused the text: {', '.join(categories)}.")


def _redacted(tenant: Tenant, request: ChatRequest) -> tuple[ChatRequest, Vault]:
    vault = Vault()
    hide = redactor(tenant.redaction_locales, tenant.redaction_patterns)
    messages = tuple(_redacted_message(hide, vault, message) for message in request.messages)
    return replace(request, messages=messages), vault


def _redacted_message(hide: Redactor, vault: Vault, message: Message) -> Message:
    def part(each: Part) -> Part:
        return replace(each, text=hide.redact(each.text, vault)) if isinstance(each, TextPart) else each

    return replace(
        message,
        content=tuple(part(each) for each in message.content),
        tool_calls=tuple(
            replace(call, arguments=hide.redact_json(call.arguments, vault)) for call in message.tool_calls
        ),
    )

"""Judging texts without refusing them: by the tenant's provider, or by the local rules."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from django_wp_ai.bridge import in_thread
from django_wp_ai.exceptions import ContentBlocked, ProviderUnavailable
from django_wp_ai.models import Tenant
from django_wp_ai.policy.content.deny_list import deny_list
from django_wp_ai.policy.content.moderation import judge
from django_wp_ai.policy.content.redaction import Vault, redactor
from django_wp_ai.providers.base import Provider
from django_wp_ai.providers.registry import providers

logger = logging.getLogger("django_wp_ai.gateway")

DENIED = "denied_term"  # the category of a text with a term that the site denies


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of one text. ``source`` is ``local`` or the provider's name, ``scores`` are the local rules'."""

    flagged: bool
    categories: tuple[str, ...]
    source: str
    scores: tuple[tuple[str, float], ...] = ()


def moderator() -> Provider:
    """The first provider that moderates; raises ProviderUnavailable where there is none."""
    asked = next((each for each in providers().values() if each.supports_moderation and not each.missing_key), None)
    if asked is None:
        raise ProviderUnavailable("This site wants moderation by a provider, and none that moderates is configured.")
    return asked


async def moderate(tenant: Tenant, texts: Sequence[str]) -> list[Judgement]:
    """A judgement for each text, in their order.

    By a provider where the tenant's moderation says so, which sees no personal data that the tenant hides; else by the
    local rules, also for a tenant that moderates no calls. Raises what a provider raises, and ContentBlocked for rules
    that can't be read.
    """
    if tenant.moderation != Tenant.Moderation.PROVIDER:
        return await in_thread(lambda: [_with_denied(tenant, text, _local(text)) for text in texts])
    asked = moderator()
    shown = await in_thread(_shown, tenant, texts)
    found = await asked.moderate([text if text.strip() else " " for text in shown])
    judged = [Judgement(each.flagged, each.categories, asked.name) for each in found]
    return await in_thread(lambda: [_with_denied(tenant, *each) for each in zip(texts, judged, strict=True)])


def _local(text: str) -> Judgement:
    found = judge(text)
    return Judgement(
        found.flagged, found.categories, found.source, tuple((f.category, f.score) for f in found.findings)
    )


def _with_denied(tenant: Tenant, text: str, judged: Judgement) -> Judgement:
    if not tenant.denied_terms:
        return judged
    try:
        found = deny_list(tenant.denied_terms).first(text)
    except ValueError:
        raise _unreadable(tenant) from None
    return Judgement(True, (DENIED, *judged.categories), judged.source, judged.scores) if found is not None else judged


def _shown(tenant: Tenant, texts: Sequence[str]) -> list[str]:
    if not tenant.redact_pii:
        return list(texts)
    try:
        hide = redactor(tenant.redaction_locales, tenant.redaction_patterns)
    except ValueError:
        raise _unreadable(tenant) from None
    return [hide.redact(text, Vault()) for text in texts]


def _unreadable(tenant: Tenant) -> ContentBlocked:
    logger.error("the content rules of %s can't be read", tenant.slug)
    return ContentBlocked("The content rules of this site can't be read.")

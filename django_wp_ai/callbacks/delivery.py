"""One attempt to deliver one callback: read and signed, sent, noted.

A process that dies between sending and noting sends again, with the same id, when the lease has run out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from django.db import InterfaceError, OperationalError
from django.utils import timezone

from django_wp_ai.bridge import in_pool
from django_wp_ai.callbacks import noting
from django_wp_ai.callbacks.claims import Claim
from django_wp_ai.callbacks.excerpt import READ_BYTES, excerpt
from django_wp_ai.callbacks.noting import GONE, Outcome, note
from django_wp_ai.callbacks.schedule import read_retry_after
from django_wp_ai.callbacks.signing import Proof, Unsigned, prove
from django_wp_ai.conf import settings
from django_wp_ai.security import secrets
from django_wp_ai.security.outbound import OutboundError, OutboundReply, send

logger = logging.getLogger("django_wp_ai.callbacks")

CONTENT_TYPE = "application/json; charset=utf-8"
#: How long to wait before an outcome is noted again that a database would not take; within a lease's margin.
NOTED_AGAIN_AFTER_S = (0.5, 2.0, 6.0, 12.0)
AWAY = (OperationalError, InterfaceError)  # the database, not this code
LATER = frozenset({429, 503})  # statuses whose Retry-After is honoured


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An attempt, ready to be sent."""

    url: str
    body: bytes = field(repr=False)
    proof: Proof

    @property
    def headers(self) -> Mapping[str, str]:
        """All that are sent."""
        return {"content-type": CONTENT_TYPE, **self.proof.headers}


async def deliver(claim: Claim) -> None:
    """Make the attempt and note it; raises one of ``AWAY`` when the database can't be asked."""
    prepared = await in_pool(_prepare, claim)
    if prepared is None:
        return
    if isinstance(prepared, Outgoing):
        prepared = await _attempt(claim, prepared)
    await _noted(claim, prepared)


def _prepare(claim: Claim) -> Outgoing | Outcome | None:
    """What is to be sent; why nothing can be; or None when its endpoint is off and it ended here."""
    callback = claim.callback
    callback.endpoint.refresh_from_db(fields=["disabled_at"])
    if callback.endpoint.disabled_at is not None:
        noting.bury(claim)
        return None
    try:
        body = secrets.unseal(bytes(callback.body_sealed))
    except secrets.UndecryptableSecret:
        return _not_sent(claim, "body_unreadable")
    try:
        url = callback.endpoint.url
        return Outgoing(url, body, prove(callback, body, url=url, timestamp=int(timezone.now().timestamp())))
    except Unsigned as error:
        return _not_sent(claim, error.code)


def _not_sent(claim: Claim, code: str) -> Outcome:
    slug = claim.callback.tenant.slug
    logger.warning("Callback %s of tenant %s could not be sent: %s.", claim.callback.pk, slug, code)
    return Outcome(error=code)


async def _attempt(claim: Claim, outgoing: Outgoing) -> Outcome:
    try:
        reply = await send(
            "POST",
            outgoing.url,
            headers=outgoing.headers,
            body=outgoing.body,
            allowed_hosts=claim.callback.tenant.callback_hosts,
            max_bytes=READ_BYTES,
            timeout_s=settings.callback_timeout_s,
            excerpt=True,
        )
    except OutboundError as error:
        return Outcome(error=error.code)
    return await in_pool(_outcome, outgoing, reply)


def _outcome(outgoing: Outgoing, reply: OutboundReply) -> Outcome:
    """Blocking: what a reply means; reading its beginning takes a moment when the message was long."""
    after = reply.headers.get("Retry-After", "") if reply.status in LATER else ""
    return Outcome(
        error=_error(reply.status),
        status=reply.status,
        latency_ms=reply.elapsed_ms,
        excerpt=excerpt(reply.body, message=outgoing.body, secrets=outgoing.proof.secrets),
        retry_after_s=read_retry_after(after, now=timezone.now()),
    )


def _error(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return "redirect"
    return "gone" if status == GONE else "bad_status"


async def _noted(claim: Claim, outcome: Outcome) -> None:
    """Note it though the database is away for a moment: what arrived should not be sent again."""
    write = partial(in_pool, note, claim, outcome)
    for pause_s in NOTED_AGAIN_AFTER_S:
        try:
            await write()
        except AWAY:
            await asyncio.sleep(pause_s)
        else:
            return
    await write()

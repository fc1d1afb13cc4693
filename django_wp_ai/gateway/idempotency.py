"""A call that is sent again gets its first reply again, in every process. Blocking; plain data in and out.

One row a key: its unique constraint decides who runs the call. The runner holds a lease and renews it; when it dies,
the next one to ask takes over. ``owner`` is the fencing token: who lost the row can't write into it any more.
Source: PROTOCOL §2, the IETF draft "The Idempotency-Key HTTP Header Field".
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import Conflict, Invalid
from django_wp_ai.models import IdempotentReply, Tenant
from django_wp_ai.models.tenant import TenantOwnedQuerySet
from django_wp_ai.security import secrets

logger = logging.getLogger("django_wp_ai.gateway")

KEPT_FOR = timedelta(hours=24)
LEASE = timedelta(seconds=60)
RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run a call and to keep its reply."""

    row_id: int
    owner: uuid.UUID


@dataclass(frozen=True, slots=True)
class Reply:
    """What is given again; a ``body`` of None was too large to keep."""

    status: int
    headers: dict[str, str]
    body: bytes | None


def begin(tenant: Tenant, key: str, *, caller: str, call: bytes, end_user: str = "") -> Claim | Reply:
    """The claim to run ``call`` under ``key``, or the reply that it had.

    ``caller`` is who the key belongs to within the tenant, ``call`` is all that makes a call another one, ``end_user``
    whose data the reply holds. Raises Conflict while it runs elsewhere, Invalid for a key that named another call.
    """
    mine = _fresh(tenant, key, caller=caller, call=call, end_user=end_user)
    rows = IdempotentReply.objects.for_tenant(tenant).filter(key_hash=mine.key_hash)
    while True:
        IdempotentReply.objects.bulk_create([mine], ignore_conflicts=True)
        found = rows.first()
        if found is None:  # released in this very moment
            continue
        if found.owner == mine.owner or _take_over(rows, found, mine):
            return Claim(found.pk, mine.owner)
        if found.expires_at > mine.created_at:
            return _known_reply(found, mine)


def _fresh(tenant: Tenant, key: str, *, caller: str, call: bytes, end_user: str) -> IdempotentReply:
    now = timezone.now()
    return IdempotentReply(
        tenant=tenant,
        key_hash=hashlib.sha256(f"{caller}\x00{key}".encode("utf-8", "surrogatepass")).hexdigest(),
        body_hash=hashlib.sha256(call).hexdigest(),
        owner=uuid.uuid4(),
        lease_until=now + LEASE,
        end_user=end_user,
        created_at=now,
        expires_at=now + KEPT_FOR,
    )


def _take_over(rows: TenantOwnedQuerySet[IdempotentReply], found: IdempotentReply, mine: IdempotentReply) -> bool:
    """Make the row ours if it is too old to count, or if whoever ran this same call is gone."""
    now = mine.created_at
    is_abandoned = found.body_hash == mine.body_hash and found.lease_until is not None and found.lease_until <= now
    if not is_abandoned and found.expires_at > now:
        return False
    unchanged = rows.filter(owner=found.owner, lease_until=found.lease_until, expires_at=found.expires_at)
    taken = unchanged.update(
        body_hash=mine.body_hash,
        owner=mine.owner,
        lease_until=mine.lease_until,
        status=None,
        headers={},
        body=b"",
        end_user=mine.end_user,
        created_at=mine.created_at,
        expires_at=mine.expires_at,
    )
    return bool(taken)


def _known_reply(found: IdempotentReply, mine: IdempotentReply) -> Reply:
    if found.body_hash != mine.body_hash:
        raise Invalid("This idempotency key belongs to another call.")
    if found.status is None:
        raise Conflict("The call with this idempotency key still runs.", retry_after_s=RETRY_AFTER_S)
    if not found.body:
        raise Conflict("The call was made, but its reply was too large to keep. To make it again use another key.")
    try:
        return Reply(found.status, found.headers, secrets.unseal(bytes(found.body)))
    except secrets.UndecryptableSecret as error:
        logger.error("The reply of idempotency key %s is lost. %s", found, error)
        raise Conflict("The call was made, but its reply can't be read. To make it again use another key.") from None


def renew(claim: Claim) -> bool:
    """Hold the lease longer; False when the claim is lost or over."""
    return bool(_held(claim).update(lease_until=timezone.now() + LEASE))


def finish(claim: Claim, reply: Reply) -> bool:
    """Keep the reply, or only that there was one when it is too large; False when another took the call over."""
    content = reply.body if reply.body is not None and len(reply.body) <= settings.idempotency_max_bytes else None
    body = b"" if content is None else secrets.seal(content)
    return bool(_held(claim).update(status=reply.status, headers=reply.headers, body=body, lease_until=None))


def release(claim: Claim) -> None:
    """Forget the key: the next call with it is a first one."""
    _held(claim).delete()


def _held(claim: Claim) -> TenantOwnedQuerySet[IdempotentReply]:
    return IdempotentReply.objects.filter(pk=claim.row_id, owner=claim.owner, status=None)


def forget_expired(*, at: datetime) -> int:
    """Delete the rows whose time is over; how many."""
    deleted, _ = IdempotentReply.objects.filter(expires_at__lte=at).delete()
    return deleted

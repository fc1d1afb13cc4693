"""POSTs that may be sent again: from the key in a request to the reply that is given, kept or given again.

Source: PROTOCOL §1 and §2.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from django_wp_ai import bridge
from django_wp_ai.api.errors import Family, family_of
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Invalid
from django_wp_ai.gateway import idempotency
from django_wp_ai.gateway.idempotency import Claim, Reply
from django_wp_ai.security import stream_tokens

logger = logging.getLogger("django_wp_ai.api")

HEADER, HEADER_META = "Idempotency-Key", "HTTP_IDEMPOTENCY_KEY"
BODY_FIELDS = ("idempotency_key", "request_id")
RENEW_EVERY_S = idempotency.LEASE.total_seconds() / 4
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
#: What a reply tells of its own moment only.
_OF_THE_MOMENT = ("ratelimit", "x-ratelimit-", "x-request-id", "date", "server-timing", "set-cookie", "content-length")

T = TypeVar("T")
Replying = Callable[[], Awaitable[HttpResponseBase]]

_unfinished: set[asyncio.Task[Any]] = set()


class Replay(Exception):
    """The call has been answered already: its first reply is the reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__("answered already")
        self.reply = reply


def replayed(_: HttpRequest, replay: Replay | type[Replay]) -> HttpResponse:
    """The first reply again, marked as such."""
    assert isinstance(replay, Replay)
    reply = replay.reply
    return HttpResponse(reply.body, status=reply.status, headers={**reply.headers, "Idempotency-Replayed": "true"})


class Keyed:
    """A request that has a key; ``claim`` once it is the one that runs, ``is_recorded`` when its stream is kept."""

    def __init__(self, key: str = "") -> None:
        self.key = key

    claim: Claim | None = None
    lease: asyncio.Task[None] | None = None
    is_recorded = False


def keyed(request: HttpRequest) -> Keyed | None:
    """What is known of the request's key; None without one."""
    return getattr(request, "wp_ai_keyed", None)


async def begin(request: HttpRequest, principal: Principal, body: Any) -> None:
    """Take the key's fields out of ``body`` and claim the call.

    Raises Replay when it has been answered, Conflict while it runs, Invalid for a bad key or one of another call.
    """
    key = _key(request, principal, body)
    if not key:
        return
    known = Keyed(key)
    request.wp_ai_keyed = known  # type: ignore[attr-defined]  # before the hop: from here on it outlives its client
    found = await bridge.in_thread(
        idempotency.begin,
        principal.tenant,
        key,
        caller=principal.end_user,
        call=_call(request, principal, body),
        end_user=principal.end_user or _named_end_user(body),
    )
    if isinstance(found, Reply):
        raise Replay(found)
    known.claim, known.lease = found, hold(found)


def _key(request: HttpRequest, principal: Principal, body: Any) -> str:
    """The header's, else the body's, else the JWT's; empty without one. A vendor's routes have the header only."""
    given: list[tuple[str, Any]] = [(HEADER, request.META.get(HEADER_META))]
    is_native = family_of(request) is Family.NATIVE
    if is_native and isinstance(body, dict):
        given += [(name, body.pop(name, None)) for name in BODY_FIELDS]
    keys = [(name, value) for name, value in given if value is not None]
    for name, value in keys:
        if not isinstance(value, str) or not _KEY.fullmatch(value):
            raise Invalid(errors=[{"field": name, "message": "1 to 255 visible ASCII characters."}], param=name)
    if keys:
        return str(keys[0][1])
    # A vendor's SDK uses one token for many calls; a stream token's jti is spent by the proof.
    return principal.jti if is_native and principal.method != stream_tokens.METHOD else ""


def _call(request: HttpRequest, principal: Principal, body: Any) -> bytes:
    """All that makes a call another one: where it goes, what it says, and what its caller may do.

    Not the credential, so that a retry may come after a rotation.
    """
    rights = [sorted(principal.scopes), sorted(principal.models)]
    call = [request.get_full_path(), rights, body]
    return json.dumps(call, sort_keys=True, separators=(",", ":")).encode()


def _named_end_user(body: Any) -> str:
    """Whom the body names, in whichever family's field, so that their data can be found and erased."""
    if not isinstance(body, dict):
        return ""
    metadata = body.get("metadata")
    inner = metadata if isinstance(metadata, dict) else {}
    named = (body.get("safety_identifier"), body.get("user"), inner.get("end_user"), inner.get("user_id"))
    return next((name[:128] for name in named if isinstance(name, str) and name), "")


async def outliving(request: HttpRequest, reply: Replying) -> HttpResponseBase:
    """Await a POST's reply. One with a key is made to its end and kept, even if the client leaves meanwhile."""
    task = in_background(_kept(request, reply))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if keyed(request) is None:
            task.cancel()
        raise


async def _kept(request: HttpRequest, reply: Replying) -> HttpResponseBase:
    response = None
    try:
        response = await reply()
        return response
    finally:
        known = keyed(request)
        if known is not None and known.lease is not None and known.claim is not None:
            known.lease.cancel()
            if not known.is_recorded:
                await _settle(request, known.claim, response)


async def _settle(request: HttpRequest, claim: Claim, response: HttpResponseBase | None) -> None:
    """Keep a reply that is one; after an error the key is free for a fresh attempt."""
    if isinstance(response, HttpResponse) and response.status_code < 400:
        await keep(claim, Reply(response.status_code, kept_headers(request, response.headers), response.content))
    else:
        await release(claim)


def kept_headers(request: HttpRequest, headers: Mapping[str, str]) -> dict[str, str]:
    """Those that belong to the reply and not to the moment of its first sending."""
    told = {**headers, **getattr(request, "wp_ai_fields", {})}
    return {name: value for name, value in told.items() if not name.lower().startswith(_OF_THE_MOMENT)}


async def keep(claim: Claim, reply: Reply) -> None:
    """Finish the claim; a failure costs the replay, not the reply."""
    try:
        if not await bridge.in_thread(idempotency.finish, claim, reply):
            logger.error("An idempotent call took so long that another process ran it too.")
    except Exception:
        logger.exception("a reply could not be kept; its key stays taken until the lease is out")


async def release(claim: Claim) -> None:
    """Give the claim up; a failure leaves it to the lease."""
    try:
        await bridge.in_thread(idempotency.release, claim)
    except Exception:
        logger.exception("an idempotency key could not be released; it stays taken until the lease is out")


def in_background(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that is held until it ends, as the loop itself holds tasks only weakly."""
    task = asyncio.get_running_loop().create_task(work)
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    return task


def hold(claim: Claim) -> asyncio.Task[None]:
    """A task that renews the claim's lease until it is cancelled or the claim is over."""
    return in_background(_renew(claim))


async def _renew(claim: Claim) -> None:
    is_held = True
    while is_held:
        await asyncio.sleep(RENEW_EVERY_S)
        try:
            is_held = await bridge.in_pool(idempotency.renew, claim)
        except Exception:
            logger.exception("a lease could not be renewed; another try follows")

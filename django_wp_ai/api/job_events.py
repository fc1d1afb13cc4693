"""A job's progress as server-sent events.

A watcher takes one of the site's places for streams and holds nothing else: it looks into the database every
``LOOK_EVERY_S``, on whichever connection is free, and says something when there is something new.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from uuid import UUID, uuid4

from django.db import DatabaseError, InterfaceError

from django_wp_ai import bridge
from django_wp_ai.api.errors import problem
from django_wp_ai.api.framing.native import DONE
from django_wp_ai.api.idempotency import in_background
from django_wp_ai.api.recording import HEARTBEAT, StreamBody
from django_wp_ai.api.sse import event
from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import WpAiError
from django_wp_ai.jobs import reading, watching
from django_wp_ai.models import Job, Tenant
from django_wp_ai.policy import slots

logger = logging.getLogger("django_wp_ai.api")

LOOK_EVERY_S = 0.75
#: Nobody watches for longer at a time: who is still there comes again.
WATCHED_FOR_S = 3600.0


async def watch(principal: Principal, find: Callable[[], Job], request_id: str) -> StreamBody:
    """The events of the job that blocking ``find`` finds; raises what it raises, and RateLimited without a place."""
    place = uuid4()

    def begin() -> Job:
        try:
            found = find()
            slots.require(principal.tenant, place)
            return found
        finally:
            bridge.let_connections_go()

    return JobEvents(await in_thread(begin), Place(principal.tenant, place), request_id)


class Place:
    """A place among the tenant's streams, renewed while it is used and given back once."""

    def __init__(self, tenant: Tenant, call_id: UUID) -> None:
        self._tenant = tenant
        self._call_id = call_id
        self._is_held = tenant.max_streams is not None
        self._renewed_at_s = asyncio.get_running_loop().time()

    async def renew(self) -> None:
        """Hold it longer, when it is time to."""
        now_s = asyncio.get_running_loop().time()
        if self._is_held and now_s - self._renewed_at_s >= slots.RENEW_S:
            self._renewed_at_s = now_s
            await bridge.in_pool(slots.renew, self._tenant, self._call_id)

    def give_back(self) -> None:
        """Free it, in a task of its own: the one that calls may be cancelled."""
        if self._is_held:
            self._is_held = False
            in_background(bridge.in_pool(slots.give_back, self._tenant, self._call_id))


class JobEvents(StreamBody):
    """``progress`` at once and on each change, a comment in long silence, then ``done`` with the job, or ``error``."""

    def __init__(self, job: Job, place: Place, request_id: str) -> None:
        self._job = job
        self._place = place
        self._request_id = request_id
        self._loop = asyncio.get_running_loop()
        self._is_left = asyncio.Event()
        self._events = self._told()

    async def __anext__(self) -> bytes:
        """The next event."""
        return await anext(self._events)

    async def aclose(self) -> None:
        """End the body."""
        self._leave()
        await self._events.aclose()

    def close(self) -> None:
        """Called by Django when the response ends, from whatever thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._is_left.set()
        self._place.give_back()

    async def _told(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in self._progress():
                yield chunk
        except WpAiError as error:
            self.is_broken = True
            yield event(problem(error, self._request_id), name="error")
            yield DONE
        finally:
            self._place.give_back()

    async def _progress(self) -> AsyncGenerator[bytes, None]:
        seen = watching.seen(self._job)
        yield event(seen.told(), name="progress")
        started_s = said_s = self._loop.time()
        while not seen.is_finished:
            if self._loop.time() - started_s > WATCHED_FOR_S or await self._has_left():
                return
            await self._place.renew()
            now = await self._look(seen)
            if now != seen:
                seen, said_s = now, self._loop.time()
                yield event(seen.told(), name="progress")
            elif self._loop.time() - said_s >= settings.stream_heartbeat_s:
                said_s = self._loop.time()
                yield HEARTBEAT
        yield event(await in_thread(self._whole), name="done")
        yield DONE

    async def _has_left(self) -> bool:
        """Waits for the next look, or until the client is gone."""
        try:
            await asyncio.wait_for(self._is_left.wait(), LOOK_EVERY_S)
        except TimeoutError:
            return False
        return True

    async def _look(self, before: watching.Seen) -> watching.Seen:
        """A database that restarts is no reason to end."""
        try:
            return await in_thread(watching.look, self._job)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("A watched job could not be looked at: %s.", type(error).__name__)
            return before

    def _whole(self) -> dict[str, object]:
        try:
            return reading.describe(reading.find(self._job.tenant, self._job.pk))
        finally:
            bridge.let_connections_go()

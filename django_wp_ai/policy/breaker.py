"""A circuit breaker for each provider, shared by all processes: who is down is not asked, by nobody, for a while.

After ``BREAKER_FAILURES`` failures within ``BREAKER_WINDOW_S`` a breaker opens for ``BREAKER_OPEN_S``. Then one call of
all processes is the probe: its success closes the breaker, its failure opens it again, and if it dies another one
follows when its lease, as long as the open time, is over. Which outcome is a failure the caller says: a request that
the provider refused as not valid is none.

The shared cache holds the state, and a process goes by what it last heard for ``VIEW_S``, or while the breaker is
open; so a call costs nothing, and a success is written only when it closes the breaker. This fails open: without a
shared cache each process has a breaker of its own.
"""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any

from django.core.signals import setting_changed

from django_wp_ai.conf import settings
from django_wp_ai.policy.circuit import Circuit, Decision, State
from django_wp_ai.shared_cache import CacheUnavailable, Script, shared_cache

logger = logging.getLogger("django_wp_ai.policy")

DAY_MS = 86_400_000

# A breaker is a hash: "until" when it is open (absent: closed), "probe": until when the lease of the probe "prober"
# lasts. Its failures are a sorted set by their time. Replies: a State, and ms to the end of the open time or the lease.
_STATE = """
local now = tonumber(ARGV[1])
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function digits(number) return string.format('%.0f', number) end
local head = redis.call('HMGET', KEYS[1], 'until', 'probe', 'prober')
local open_until, probed_until = tonumber(head[1] or '0'), tonumber(head[2] or '0')
local is_closed, is_open = not head[1], now < open_until

local function open(duration)
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'until', digits(now + duration))
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1, duration}
end
"""

# ARGV from the third: an id of this call, the probe's lease in ms; 0 only to ask whether there may be one.
ALLOW = Script(
    _STATE
    + """
if is_closed then return {0, 0} end
if is_open then return {1, open_until - now} end
if now < probed_until and head[3] ~= ARGV[3] then return {2, probed_until - now} end
local lease = tonumber(ARGV[4])
if lease > 0 then redis.call('HSET', KEYS[1], 'probe', digits(now + lease), 'prober', ARGV[3]) end
return {3, lease}
"""
)

# ARGV from the third: an id of this failure, the open time in ms, the window in ms, how many failures open, and 1 for
# a probe's.
FAIL = Script(
    _STATE
    + """
if is_open then return {1, open_until - now} end
if not is_closed then
  if ARGV[7] == '1' then return open(tonumber(ARGV[4])) end
  return {2, math.max(probed_until - now, 0)}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', digits(now - tonumber(ARGV[5])))
redis.call('ZADD', KEYS[2], digits(now), ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then return open(tonumber(ARGV[4])) end
return {0, 0}
"""
)

SUCCEED = Script(
    _STATE
    + """
if is_open then return {1, open_until - now} end
if not is_closed then redis.call('DEL', KEYS[1], KEYS[2]) end
return {0, 0}
"""
)

ABANDON = Script(
    _STATE
    + """
if not is_closed and not is_open then redis.call('HDEL', KEYS[1], 'probe', 'prober') end
return {2, 0}
"""
)

_circuits: dict[str, Circuit] = {}


def glance(provider_name: str, *, now: float | None = None) -> Decision | None:
    """What this process knows, at no cost; None when ``allow`` must be asked."""
    return _circuit(provider_name).glance(_clock(now))


def open_for_s(provider_name: str, *, now: float | None = None) -> float:
    """Blocking: how long no call would pass; 0 where ``allow`` would let one pass, which this does not count as."""
    circuit = _circuit(provider_name)
    if circuit.glance(_clock(now)) is None:
        try:
            _ask(provider_name, ALLOW, now, "", 0)
        except CacheUnavailable:
            logger.debug("The breaker of %s counts in this process alone.", provider_name)
    return circuit.wait_s(_clock(now))


def allow(provider_name: str, *, now: float | None = None) -> Decision:
    """Blocking: whether the provider may be called. Whoever gets a probe tells how it went.

    ``now`` (seconds) is for tests; else the cache server's clock counts, or this process's where it decides alone.
    """
    circuit, at = _circuit(provider_name), _clock(now)
    known = circuit.glance(at)
    if known is not None:
        return known
    try:
        return _ask(provider_name, ALLOW, now, uuid.uuid4().hex, _ms(settings.breaker_open_s))
    except CacheUnavailable:
        return circuit.allow(at)


def failed(provider_name: str, *, probe: bool = False, now: float | None = None) -> None:
    """Blocking: the provider did not answer as it should; ``probe`` as the decision had it."""
    circuit = _circuit(provider_name)
    was_closed = circuit.is_closed
    circuit.fail(_clock(now), probe=probe)
    open_ms, window_ms = _ms(settings.breaker_open_s), _ms(settings.breaker_window_s)
    arguments = (uuid.uuid4().hex, open_ms, window_ms, settings.breaker_failures, int(probe))
    try:
        _ask(provider_name, FAIL, now, *arguments)
    except CacheUnavailable:
        logger.debug("The breaker of %s counts in this process alone.", provider_name)
    if was_closed and not circuit.is_closed:
        logger.warning("The breaker of %s is open for %s s.", provider_name, settings.breaker_open_s)


def succeeded(provider_name: str, *, probe: bool = False, now: float | None = None) -> None:
    """Blocking, but at no cost while the breaker is closed: the provider answered, be it with a refusal."""
    circuit = _circuit(provider_name)
    was_closed = circuit.is_closed
    if was_closed and not probe:
        return
    circuit.succeed(_clock(now))
    try:
        _ask(provider_name, SUCCEED, now)
    except CacheUnavailable:
        logger.debug("The breaker of %s counts in this process alone.", provider_name)
    if circuit.is_closed and not was_closed:
        logger.warning("The breaker of %s is closed: it answers again.", provider_name)


def abandoned(provider_name: str, *, now: float | None = None) -> None:
    """Blocking: a probe ended without finding out anything, so that the next call makes another at once."""
    _circuit(provider_name).abandon()
    try:
        shared_cache().run(ABANDON, _keys(provider_name), [_ms(now), DAY_MS])
    except CacheUnavailable:
        logger.debug("The breaker of %s counts in this process alone.", provider_name)


def _ask(provider_name: str, script: Script, now: float | None, *arguments: str | int) -> Decision:
    """Run a script and take over what it says; raises CacheUnavailable."""
    state, wait_ms = shared_cache().run(script, _keys(provider_name), [_ms(now), DAY_MS, *arguments])
    return _circuit(provider_name).hear(State(state), wait_ms / 1000, _clock(now))


def _keys(provider_name: str) -> list[str]:
    names = [f"django_wp_ai:breaker:{{{provider_name}}}:{part}" for part in ("state", "failures")]
    return [shared_cache().key(name) for name in names]


def _circuit(provider_name: str) -> Circuit:
    found = _circuits.get(provider_name)
    return _circuits.setdefault(provider_name, Circuit()) if found is None else found


def _clock(now: float | None) -> float:
    return time.monotonic() if now is None else now


def _ms(seconds: float | None) -> int:
    """Milliseconds for a script; -1 leaves the time to its server's clock."""
    return -1 if seconds is None else int(seconds * 1000)


def _forget_on_change(*, setting: str, **_: Any) -> None:
    if setting in {"CACHES", "DJANGO_WP_AI"}:
        _circuits.clear()


setting_changed.connect(_forget_on_change, dispatch_uid="django_wp_ai.policy.breaker")

"""Rate windows in the shared cache: one script takes all limits of a call, or none, by the cache server's clock."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence

from django_wp_ai.policy.limits import Limit, LimitStatus, RateDecision, Reading, decide
from django_wp_ai.shared_cache import Run, Script, shared_cache
from django_wp_ai.together import Steps, ask, blocking

# A window is a hash: for each bucket of time "count:when the last of it was taken", and "used" (the sum of counts),
# "oldest" and "newest". Buckets expire when the window is next looked at, each once, so a call costs the same however
# long the window is.
_WINDOW = """
local function clock()
  local given = tonumber(ARGV[1])
  if given >= 0 then return given end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function digits(number) return string.format('%.0f', number) end

local function content(window, bucket)
  local stored = redis.call('HGET', window.key, digits(bucket))
  if not stored then return 0, 0 end
  local count, last = string.match(stored, '(%d+):(%d+)')
  return tonumber(count), tonumber(last)
end

local function free_in(window, last) return last + window.length - window.now end

local function drop_expired(window)
  while window.oldest <= window.newest do
    local count, last = content(window, window.oldest)
    if count > 0 and free_in(window, last) > 0 then return end
    if count > 0 then
      redis.call('HDEL', window.key, digits(window.oldest))
      window.used = window.used - count
    end
    window.oldest = window.oldest + 1
  end
end

local function open(key, step, length, now)
  local head = redis.call('HMGET', key, 'used', 'oldest', 'newest')
  local window = {key = key, step = step, length = length, now = now, used = 0, oldest = 0, newest = -1}
  if head[1] then
    window.used, window.oldest, window.newest = tonumber(head[1]), tonumber(head[2]), tonumber(head[3])
    local _, last = content(window, window.newest)
    window.now = math.max(now, last)
    if math.floor(window.now / step) - window.newest > math.ceil(length / step) then
      redis.call('DEL', key)
      window.used, window.newest = 0, -1
    end
    drop_expired(window)
  end
  window.current = math.floor(window.now / step)
  return window
end

local function take(window, amount)
  local count = content(window, window.current)
  redis.call('HSET', window.key, digits(window.current), digits(count + amount) .. ':' .. digits(window.now))
  if window.used == 0 then window.oldest = window.current end
  window.used, window.newest = window.used + amount, window.current
end

local function give_back(window, bucket, amount)
  local count, last = content(window, bucket)
  window.used = window.used - math.min(count, amount)
  if count > amount then
    redis.call('HSET', window.key, digits(bucket), digits(count - amount) .. ':' .. digits(last))
  else
    redis.call('HDEL', window.key, digits(bucket))
  end
end

local function first_time(key)
  return redis.call('SET', key, '1', 'NX', 'PX', 2000)
end

local function close(window)
  if window.used == 0 then
    redis.call('DEL', window.key)
    return
  end
  redis.call('HSET', window.key, 'used', digits(window.used),
    'oldest', digits(window.oldest), 'newest', digits(window.newest))
  redis.call('PEXPIRE', window.key, window.length + window.step)
end
"""

# KEYS: a window for each limit, then one that remembers this call, should its reply be lost and it be asked again.
# ARGV: the time in ms or -1, then for each limit: step, length of the window, quota, cost.
TAKE = Script(
    _WINDOW
    + """
local now = clock()
local call = KEYS[#KEYS]
local seen = redis.call('EXISTS', call) == 1
local allowed = true
local windows = {}

local function wait(window, missing)
  for bucket = window.oldest, window.newest do
    local count, last = content(window, bucket)
    missing = missing - count
    if missing <= 0 then return free_in(window, last) end
  end
  return window.length
end

for i = 1, #KEYS - 1 do
  local step, length, quota, cost = unpack(ARGV, i * 4 - 2, i * 4 + 1)
  local window = open(KEYS[i], tonumber(step), tonumber(length), now)
  window.cost, window.retry = tonumber(cost), 0
  local missing = window.used + window.cost - tonumber(quota)
  if missing > 0 and not seen then
    allowed = false
    window.retry = wait(window, missing)
  end
  windows[i] = window
end

local taken = allowed and not seen and first_time(call)
local reply = {}
for _, window in ipairs(windows) do
  if taken and window.cost > 0 then take(window, window.cost) end
  close(window)
  local next_free, all_free = window.length, 0
  if window.used > 0 then
    local _, oldest = content(window, window.oldest)
    local _, newest = content(window, window.newest)
    next_free, all_free = free_in(window, oldest), free_in(window, newest)
  end
  for _, value in ipairs({window.used, next_free, all_free, window.retry, window.current}) do
    reply[#reply + 1] = value
  end
end
return reply
"""
)

# KEYS: as above. ARGV: the time in ms or -1, then for each limit: step, length of the window, bucket, amount.
ADJUST = Script(
    _WINDOW
    + """
if not first_time(KEYS[#KEYS]) then return 0 end
local now = clock()
for i = 1, #KEYS - 1 do
  local step, length, bucket, amount = unpack(ARGV, i * 4 - 2, i * 4 + 1)
  local window = open(KEYS[i], tonumber(step), tonumber(length), now)
  amount = tonumber(amount)
  if amount > 0 then
    take(window, amount)
  else
    give_back(window, tonumber(bucket), -amount)
    drop_expired(window)
    while window.newest > window.oldest and content(window, window.newest) == 0 do window.newest = window.newest - 1 end
  end
  close(window)
end
return 1
"""
)


def taking(key: str, limits: Sequence[Limit], *, now: float | None) -> Steps[RateDecision]:
    """Take all limits or none; raises CacheUnavailable."""
    arguments = [_milliseconds(now)]
    for limit in limits:
        arguments += [limit.step_ms, limit.window_s * 1000, limit.quota, limit.cost]
    reply: list[int] = yield from ask(shared_cache().run_all, Run(TAKE, _keys(key, limits), arguments))
    readings = [Reading(*reply[at : at + 5]) for at in range(0, len(reply), 5)]
    return decide(key, limits, readings, store="cache")


take = blocking(taking)


def adjusting(key: str, changes: Sequence[tuple[LimitStatus, int]], *, now: float | None) -> Steps[None]:
    """Count more, or give back where it was counted; raises CacheUnavailable."""
    arguments = [_milliseconds(now)]
    for status, amount in changes:
        arguments += [status.limit.step_ms, status.limit.window_s * 1000, status.bucket, amount]
    keys = _keys(key, [status.limit for status, _ in changes])
    yield from ask(shared_cache().run_all, Run(ADJUST, keys, arguments))


def _milliseconds(now: float | None) -> int:
    return -1 if now is None else int(now * 1000)


def _keys(key: str, limits: Sequence[Limit]) -> list[str]:
    """Keys of the windows and of the call; the braces keep them on one server of a Redis cluster."""
    who = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    names = [limit.window for limit in limits] + [f"call:{uuid.uuid4().hex}"]
    return [shared_cache().key(f"django_wp_ai:rate:{{{who}}}:{name}") for name in names]

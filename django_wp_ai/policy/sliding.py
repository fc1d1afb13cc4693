"""The sliding window's arithmetic, for the store that has no script of its own."""

from __future__ import annotations

from collections.abc import Mapping

from django_wp_ai.policy.limits import Limit, Reading

Buckets = dict[int, tuple[int, int]]  # number of the bucket -> what was taken in it, and when the last of it was


class SlidingWindow:
    """What was taken of one limit; times are whole milliseconds of one clock.

    A bucket comes back whole, when the last that was taken in it is a window old.
    """

    def __init__(self, limit: Limit, buckets: Mapping[str, list[int]], *, now_ms: int) -> None:
        """``buckets`` as ``stored`` gave them. A clock that went back stands still at the last call."""
        self.limit = limit
        known = {int(bucket): (count, last_ms) for bucket, (count, last_ms) in buckets.items()}
        self._now_ms = max([now_ms, *(last_ms for _, last_ms in known.values())])
        self._buckets: Buckets = {bucket: known[bucket] for bucket in sorted(known) if self._free_in(known[bucket]) > 0}
        self.current = self._now_ms // limit.step_ms
        self.used = sum(count for count, _ in self._buckets.values())

    def stored(self) -> dict[str, list[int]]:
        """The buckets as a JSON object."""
        return {str(bucket): list(content) for bucket, content in self._buckets.items()}

    def take(self, amount: int) -> None:
        """Count ``amount`` now."""
        if amount:
            before, _ = self._buckets.get(self.current, (0, 0))
            self._buckets[self.current] = (before + amount, self._now_ms)
            self.used += amount

    def give_back(self, amount: int, *, bucket: int) -> None:
        """Return ``amount`` to the bucket it was taken in, as far as that still holds it."""
        count, last_ms = self._buckets.pop(bucket, (0, 0))
        self.used -= min(count, amount)
        if count > amount:
            self._buckets[bucket] = (count - amount, last_ms)

    def retry_ms(self) -> int:
        """When the limit's cost would fit: 0 for now, and a whole window where it never will."""
        missing = self.used + self.limit.cost - self.limit.quota
        if missing <= 0:
            return 0
        for content in self._buckets.values():
            missing -= content[0]
            if missing <= 0:
                return self._free_in(content)
        return self.limit.window_s * 1000

    def reading(self, *, retry_ms: int) -> Reading:
        """Where the window stands, for a call that has to wait ``retry_ms``."""
        waits = [self._free_in(content) for content in self._buckets.values()]
        return Reading(
            used=self.used,
            next_free_ms=min(waits, default=self.limit.window_s * 1000),
            all_free_ms=max(waits, default=0),
            retry_ms=retry_ms,
            bucket=self.current,
        )

    def _free_in(self, content: tuple[int, int]) -> int:
        return content[1] + self.limit.window_s * 1000 - self._now_ms

"""One provider's breaker as one process knows it; where no shared cache tells more, it decides alone.

Closed: calls pass. Open: none does. Half-open, when that time is over: one does, the probe, and its outcome decides.
Times are seconds of a clock that the caller reads.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from django_wp_ai.conf import settings

VIEW_S = 0.25  # how long a process goes by what it last heard of a closed breaker, or of a probe under way
PROBED_RETRY_S = 1.0  # when to ask again while a probe is under way


class State(IntEnum):
    """What the shared cache answers. The last two are half-open: another call probes, or the caller may."""

    CLOSED = 0
    OPEN = 1
    PROBED = 2
    PROBE = 3


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a provider may be called. The one call with ``probe`` finds out whether it works again."""

    allowed: bool
    retry_after_s: float = 0.0
    probe: bool = False


class Circuit:
    """A breaker's state in this process; safe between threads."""

    def __init__(self) -> None:
        self._failures: deque[float] = deque()
        self._open_until: float | None = None  # None: closed
        self._probed_until = 0.0
        self._known_until = 0.0  # before that nobody needs to be asked
        self._lock = threading.Lock()

    @property
    def is_closed(self) -> bool:
        """Whether the last that this process knows is that calls pass."""
        return self._open_until is None

    def glance(self, now: float) -> Decision | None:
        """What is known without asking; None when that is too old, or it is time for a probe."""
        with self._lock:
            return self._decision(now) if now < self._known_until else None

    def hear(self, state: State, wait_s: float, now: float) -> Decision:
        """Take over what the shared cache said; ``wait_s``: to the end of the open time, or of the probe's lease."""
        with self._lock:
            if state is State.CLOSED:
                self._close()
            elif state is State.OPEN:
                self._open(now + wait_s)
            else:
                self._open(until=0.0)
                self._probed_until = now + wait_s
            self._keep_for_a_while(now)
            return Decision(allowed=True, probe=True) if state is State.PROBE else self._decision(now)

    def wait_s(self, now: float) -> float:
        """How long no call passes; 0 where one may, if only as a probe."""
        with self._lock:
            if self._open_until is None:
                return 0.0
            return max(self._open_until - now, min(self._probed_until - now, PROBED_RETRY_S), 0.0)

    def allow(self, now: float) -> Decision:
        """Decide alone."""
        with self._lock:
            probe = self._open_until is not None and now >= max(self._open_until, self._probed_until)
            if probe:
                self._probed_until = now + settings.breaker_open_s
            self._keep_for_a_while(now)
            return Decision(allowed=True, probe=True) if probe else self._decision(now)

    def fail(self, now: float, *, probe: bool) -> None:
        """Count a failure, and open after too many. A probe's opens again; an older call's says nothing new."""
        with self._lock:
            if self._open_until is not None:
                if probe and now >= self._open_until:
                    self._open(now + settings.breaker_open_s)
                    self._keep_for_a_while(now)
                return
            self._failures.append(now)
            while self._failures[0] <= now - settings.breaker_window_s:
                self._failures.popleft()
            if len(self._failures) >= settings.breaker_failures:
                self._open(now + settings.breaker_open_s)
                self._keep_for_a_while(now)

    def succeed(self, now: float) -> None:
        """Close, if it is half-open; while it is open, the success of an older call says nothing."""
        with self._lock:
            if self._open_until is not None and now >= self._open_until:
                self._close()
                self._keep_for_a_while(now)

    def abandon(self) -> None:
        """The probe found out nothing; the next call may make another."""
        with self._lock:
            self._probed_until = self._known_until = 0.0

    def _open(self, until: float) -> None:
        self._failures.clear()
        self._open_until, self._probed_until = until, 0.0

    def _close(self) -> None:
        self._open_until = None

    def _keep_for_a_while(self, now: float) -> None:
        """Go by this state: an open one to its end, a closed one or a probe for a while, and never when it is time."""
        if self._open_until is None:
            self._known_until = now + VIEW_S
        elif now < self._open_until:
            self._known_until = self._open_until
        else:
            self._known_until = min(now + VIEW_S, self._probed_until)

    def _decision(self, now: float) -> Decision:
        if self._open_until is None:
            return Decision(allowed=True)
        left_s = self._open_until - now
        return Decision(allowed=False, retry_after_s=left_s if left_s > 0 else PROBED_RETRY_S)

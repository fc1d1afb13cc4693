"""Waits for what other processes do: as long as a busy machine takes, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 300.0  # only what hangs is to end
Found = TypeVar("Found")


def until(look: Callable[[], Found], otherwise: Callable[[], str], *, every_s: float = 0.05) -> Found:
    """What ``look`` finds once it finds something; fails with what ``otherwise`` says after ``PATIENCE_S``."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"Waited {PATIENCE_S:.0f} s in vain: {otherwise()}"
        time.sleep(every_s)
    return found

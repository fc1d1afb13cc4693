"""Ends the demo's processes when the launcher is gone, however it went.

Run as a script of its own: it leads the process group that all children share and holds the read ends of two pipes.
``launcher`` closes when the launcher ends, SIGKILL included; ``children`` closes when the last descendant has ended.
"""

import os
import select
import signal
import sys
from contextlib import suppress

# SIGTERM asks; the second signal is PostgreSQL's "fast shutdown" and uvicorn's "don't wait for open streams".
STEPS = ((signal.SIGTERM, 4.0), (signal.SIGINT, 6.0))


def watch(launcher: int, children: int) -> None:
    """Wait for the launcher's end, then take the group down, politely first."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(launcher, 1):
        pass
    for number, patience_s in STEPS:
        with suppress(PermissionError):  # macOS says so when a member of the group is another user's
            os.killpg(0, number)
        ended, _, _ = select.select([children], [], [], patience_s)
        if ended:
            break
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]))

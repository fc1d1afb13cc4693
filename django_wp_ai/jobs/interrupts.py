"""What stops a kind's function from within its context; no ``except Exception`` of a kind sees it."""

from __future__ import annotations


class Interrupt(BaseException):
    """The run ends here; whoever runs the job knows what is next."""


class LeaseLost(Interrupt):
    """Another worker has the job, or it has ended: nothing more may be paid for or written."""


class Waiting(Interrupt):
    """The job has begun others and goes on when they have ended."""

"""What a running job may do: ask models step by step, tell its progress, begin other jobs."""

from __future__ import annotations


class JobContext:
    """One attempt of one job."""

"""How a defect is logged: by its type and place, never by its message, which may quote a job's input."""

from __future__ import annotations

import traceback


def described(error: BaseException) -> str:
    """Several lines: the type, then where it was raised."""
    return "\n".join([type(error).__name__, *(line.rstrip() for line in traceback.format_tb(error.__traceback__))])

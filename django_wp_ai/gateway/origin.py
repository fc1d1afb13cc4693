"""Where a call came in."""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The route as the ledger and the limits name it, the request's id, and the step of a longer piece of work."""

    route: str
    request_id: str = ""
    trace_id: uuid.UUID | None = None  # shared by the calls of one request
    step: int = 0

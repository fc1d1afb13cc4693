"""Where a page of rows ended: the next one begins there, whatever rows were added meanwhile."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime
from typing import Protocol

from django_wp_ai.exceptions import Invalid


class Placed(Protocol):
    """A row in a list by time, newest first."""

    created_at: datetime
    id: uuid.UUID


def cursor_of(last: Placed) -> str:
    """What leads to the rows after ``last``."""
    place = f"{last.created_at.astimezone(UTC).isoformat()} {last.id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def position(cursor: str) -> tuple[datetime, uuid.UUID]:
    """Time and id of the last row that was seen; raises Invalid for what ``cursor_of`` did not make."""
    try:
        place = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, pk = place.partition(" ")
        created_at = datetime.fromisoformat(at)
        if created_at.utcoffset() is None:
            raise ValueError
        return created_at.astimezone(UTC), uuid.UUID(pk)
    except (ValueError, OverflowError):
        message = "Give the next_cursor of the page before."
        raise Invalid(message, errors=[{"field": "cursor", "message": message}], param="cursor") from None

"""Callbacks as their site sees them, page by page. Blocking."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from django_wp_ai.callbacks.selection import Selection
from django_wp_ai.jobs.cursor import cursor_of, position
from django_wp_ai.models import Callback


@dataclass(frozen=True, slots=True)
class Page:
    """Some callbacks, newest first; an empty ``next_cursor`` ends the list."""

    callbacks: list[Callback]
    next_cursor: str


def page(selection: Selection, *, cursor: str = "", limit: int = 50, end_user: str = "") -> Page:
    """A page of what is selected; with ``end_user`` of that user's only. Raises Invalid for a bad cursor."""
    rows = selection.rows().select_related("tenant", "endpoint").order_by("-created_at", "-id")
    if end_user:
        rows = rows.filter(end_user=end_user)
    if cursor:
        at, pk = position(cursor)
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=pk))
    found = list(rows[: limit + 1])
    return Page(found[:limit], cursor_of(found[limit - 1]) if len(found) > limit else "")

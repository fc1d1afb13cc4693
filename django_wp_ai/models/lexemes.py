"""A column for what a text is found by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    _TextField = models.Field[str | None, str | None]
else:
    _TextField = models.Field  # not to be subscripted at run time


class LexemesField(_TextField):
    """The words of a passage with their positions, as PostgreSQL writes a ``tsvector``; plain text elsewhere."""

    empty_strings_allowed = False

    def db_type(self, connection: Any) -> str:
        """``tsvector`` where there is one."""
        return "tsvector" if connection.vendor == "postgresql" else "text"

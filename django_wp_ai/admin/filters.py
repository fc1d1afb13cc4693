"""List filters that several of our admins use, none of which reads a whole table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MAX_CHOICES = 100


class RecentValuesFilter(admin.SimpleListFilter):
    """Values of a column that occurred lately: listing all that ever did would read the whole table."""

    parameter_name: str  # the column

    def recent(self) -> QuerySet[Any]:
        """The rows whose values are offered."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The values, the chosen one too."""
        column = self.parameter_name
        values = self.recent().exclude(**{column: ""}).order_by(column).values_list(column, flat=True).distinct()
        chosen = [value] if (value := self.used_parameters.get(column)) else []
        return [(value, value) for value in dict.fromkeys([*chosen, *values[:MAX_CHOICES]])]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows with the chosen value."""
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class RecentErrorFilter(RecentValuesFilter):
    """By error code, or any, or none."""

    title = _("error")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Any and none before the codes."""
        codes = [pair for pair in super().lookups(request, model_admin) if pair[0] not in ("*", "-")]
        return [("*", str(_("any error"))), ("-", str(_("no error"))), *codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows with the chosen outcome."""
        if self.value() == "*":
            return queryset.exclude(**{self.parameter_name: ""})
        if self.value() == "-":
            return queryset.filter(**{self.parameter_name: ""})
        return super().queryset(request, queryset)


class LinkedFilter(admin.SimpleListFilter):
    """Rows that belong to one other row; offered only where a page of that one linked to the list."""

    column: str
    parse: Callable[[str], Any]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The chosen one."""
        chosen = self.used_parameters.get(str(self.parameter_name))
        return [(chosen, chosen[:8])] if chosen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Its rows; what is no id sends the browser back to the whole list."""
        chosen = self.value()
        if not chosen:
            return queryset
        try:
            return queryset.filter(**{self.column: type(self).parse(chosen)})
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error


class EndedFilter(admin.SimpleListFilter):
    """How long ago it ended."""

    title = _("ended")
    parameter_name = "ended"
    column: str
    spans = {
        "1h": (_("in the last hour"), timedelta(hours=1)),
        "24h": (_("in the last 24 hours"), timedelta(hours=24)),
        "7d": (_("in the last 7 days"), timedelta(days=7)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The spans."""
        return [(name, label) for name, (label, _span) in self.spans.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows that ended within the chosen one."""
        chosen = self.spans.get(self.value() or "")
        return queryset.filter(**{f"{self.column}__gte": timezone.now() - chosen[1]}) if chosen else queryset

"""What all our admins share: form fields for lists, narrow lookups, read-only records."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db import models
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.credential import SCOPES

M = TypeVar("M", bound=models.Model)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
else:

    class ModelAdmin(admin.ModelAdmin):
        """Generic for type checkers only; Django's own is not subscriptable."""

        def __class_getitem__(cls, _item: object) -> type:
            return cls


class LinesField(forms.CharField):
    """A list of strings, written one per line."""

    widget = AdminTextareaWidget(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        """A stored list as lines."""
        return "\n".join(str(entry) for entry in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Lines as a list without blanks and repeats."""
        text = super().to_python(value) or ""
        return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


class ObjectField(forms.JSONField):
    """A JSON object, written as text; empty for one without names."""

    widget = AdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """A stored object on lines of its own."""
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) and value else value or ""

    def to_python(self, value: Any) -> Any:
        """The object; other JSON is refused by the model's own validator, or by this."""
        found = super().to_python(value)
        if found is not None and not isinstance(found, dict):
            raise forms.ValidationError(_("Give a JSON object."), code="object")
        return {} if found is None else found


def scopes_field(**kwargs: Any) -> forms.MultipleChoiceField:
    """Check boxes for scopes, all checked at first."""
    return forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        **{"label": _("Scopes"), "initial": list(SCOPES), **kwargs},
    )


class GuardedAdmin(ModelAdmin[M]):
    """Filters in the URL reach only what ``list_filter`` and ``date_hierarchy`` offer.

    Django lets any local column be asked for (``?secret_hash__startswith=a``), which would spell a column out
    letter by letter to a person who may not see it.
    """

    class Media:
        css: ClassVar = {"all": ["django_wp_ai/admin/admin.css"]}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Whether the URL may filter by ``lookup``."""
        offered = {self.date_hierarchy, "id", "pk"}
        for entry in self.get_list_filter(request):
            name = entry[0] if isinstance(entry, (list, tuple)) else entry
            offered.add(name if isinstance(name, str) else getattr(name, "parameter_name", None))
        return lookup.split("__", maxsplit=1)[0] in offered and super().lookup_allowed(lookup, value, request)

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """Lists one per line, scopes as check boxes, other JSON as text, URLs of the web."""
        if db_field.name == "scopes":
            return scopes_field(help_text=db_field.help_text)
        if isinstance(db_field, models.JSONField) and db_field.default is dict:
            return ObjectField(
                label=capfirst(db_field.verbose_name), help_text=db_field.help_text, required=not db_field.blank
            )
        if isinstance(db_field, models.JSONField):
            return LinesField(
                label=capfirst(db_field.verbose_name), help_text=db_field.help_text, required=not db_field.blank
            )
        if isinstance(db_field, models.URLField):
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class ReadOnlyAdmin(GuardedAdmin[M]):
    """Records: looked at, never written here."""

    show_full_result_count = False
    #: UUID columns that a search finds rows by; Django's own search would compare them as text, without an index.
    id_fields: ClassVar[tuple[str, ...]] = ()

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[M], search_term: str
    ) -> tuple[models.QuerySet[M], bool]:
        """Rows with this id, however it is written, else those that ``search_fields`` find."""
        try:
            wanted = uuid.UUID(search_term.strip())
        except ValueError:
            return super().get_search_results(request, queryset, search_term)
        by_id = queryset.filter(models.Q.create([(name, wanted) for name in self.id_fields], connector=models.Q.OR))
        if self.id_fields and by_id.exists():
            return by_id, False
        return super().get_search_results(request, queryset, search_term)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows come from calls only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Rows are a record."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Retention deletes, people do not."""
        return False

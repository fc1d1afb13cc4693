"""Conversations: how many turns and how large, never what was said."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.base import GuardedAdmin, ReadOnlyAdmin
from django_wp_ai.admin.display import count
from django_wp_ai.models import Conversation, Turn


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin[Conversation]):
    """Who talked when and how much. May be deleted: that is how a person's wish is met by hand."""

    list_display = ("id", "tenant", "end_user", "turns", "tokens", "created_at", "updated_at")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    list_per_page = 50
    date_hierarchy = "updated_at"
    id_fields = ("id",)
    search_fields = ("=end_user",)
    search_help_text = _("Conversation id or end user, written in full")
    fields = readonly_fields = ("id", "tenant", "end_user", "name", "turns", "tokens", "created_at", "updated_at")

    def has_delete_permission(self, request: HttpRequest, obj: Conversation | None = None) -> bool:
        """With Django's permission to delete; records of other kinds have none."""
        return GuardedAdmin.has_delete_permission(self, request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        """Conversations with the number and size of their turns."""
        rows = Turn.objects.filter(conversation=OuterRef("pk")).order_by().values("conversation")
        return (
            super()
            .get_queryset(request)
            .annotate(
                turn_count=Coalesce(Subquery(rows.annotate(number=Count("pk")).values("number")), 0),
                token_count=Coalesce(Subquery(rows.annotate(size=Sum("tokens")).values("size")), 0),
            )
        )

    @admin.display(description=_("turns"), ordering="turn_count")
    def turns(self, conversation: Any) -> str:
        """How many messages were kept."""
        return count(conversation.turn_count)

    @admin.display(description=_("tokens"), ordering="token_count")
    def tokens(self, conversation: Any) -> str:
        """Their estimated size."""
        return count(conversation.token_count)

"""Conversations: what was said before, as far as it fits, and what is said now, kept for the next time.

Turns are kept encrypted, in the words that the user wrote and read: where personal data is hidden from providers, that
is done anew each time a history is sent.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import Choice, Message, TextPart, ToolCall
from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.gateway import turns
from django_wp_ai.models import Conversation, Tenant, Turn
from django_wp_ai.security.secrets import UndecryptableSecret

if TYPE_CHECKING:
    from django_wp_ai.policy.content.vault import Vault

logger = logging.getLogger("django_wp_ai.gateway")

NEW = "new"
PURGE_BATCH = 500
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class History:
    """A conversation as a call continues it. ``stored`` tells one that was there from one that the answer begins."""

    id: uuid.UUID
    tenant: Tenant
    end_user: str
    messages: tuple[Message, ...] = ()
    name: str = ""
    stored: bool = False

    @property
    def conversation_id(self) -> str:
        """How the caller names it: the site's own name, else the id."""
        return self.name or str(self.id)


def load(
    tenant: Tenant, end_user: str, conversation_id: str, *, budget_tokens: int, own: Sequence[Message] = ()
) -> History:
    """What was said, oldest first: the newest exchanges that fit ``budget_tokens`` together. Writes nothing.

    ``conversation_id`` is ``new``, a UUID, or (with an end user) a name of the site's own; what is not there yet
    begins with its first answer. ``own`` are the caller's messages: when they are results of tools, the exchange that
    asked for them is kept whatever its size. Raises NotFound for another's conversation, Invalid for a bad name.
    """
    history = _find(tenant, end_user, conversation_id)
    if not history.stored:
        return history
    said = [message for message in own if message.role != "system"]
    stored = Turn.objects.filter(conversation_id=history.id)
    # A half of what a call may hold is left for the caller's own messages.
    newest = list(stored.order_by("-ordinal").values_list("ordinal", "role", "tokens")[: settings.max_messages // 2])
    first = _first_that_fits(newest, budget_tokens, is_open=bool(said) and said[0].role == "tool")
    if first is None:
        return history
    rows = stored.filter(ordinal__gte=first, ordinal__lte=newest[0][0]).order_by("ordinal")
    messages = list(_readable(history.id, rows))
    return History(history.id, tenant, end_user, turns.paired(messages, said), history.name, stored=True)


def _find(tenant: Tenant, end_user: str, conversation_id: str) -> History:
    if conversation_id == NEW:
        return History(uuid.uuid4(), tenant, end_user)
    mine = Conversation.objects.for_tenant(tenant).of_end_user(end_user)
    if not _UUID.fullmatch(conversation_id):
        _require_name(end_user, conversation_id)
        found = mine.filter(name=conversation_id).values_list("pk", flat=True).first()
        return History(found or uuid.uuid4(), tenant, end_user, name=conversation_id, stored=found is not None)
    given = uuid.UUID(conversation_id)
    if mine.filter(pk=given).exists():
        return History(given, tenant, end_user, stored=True)
    if Conversation.objects.filter(pk=given).exists():  # of all tenants: ids are everybody's
        raise _not_found()
    return History(given, tenant, end_user)


def _require_name(end_user: str, name: str) -> None:
    """Names are guessed easily, so they only tell the conversations of one end user apart."""
    message = ""
    if not _NAME.fullmatch(name):
        message = "Write new, a UUID, or a name of at most 64 letters, digits and any of . _ : -"
    elif not end_user:
        message = "Without an end user a conversation is named by new or a UUID."
    if message:
        raise Invalid(message, errors=[{"field": "conversation_id", "message": message}], param="conversation_id")


def _not_found() -> NotFound:
    return NotFound("There is no such conversation for this end user.")


def _first_that_fits(newest: Sequence[tuple[int, str, int]], budget_tokens: int, *, is_open: bool) -> int | None:
    """The ordinal from which on whole exchanges (a user's turn and all up to the next one) fit; newest come first."""
    first, total = None, 0
    for ordinal, role, size in newest:
        total += size
        if role == "user":
            if total > budget_tokens and not is_open:
                break
            first, is_open = ordinal, False
    return first


def _readable(conversation_id: uuid.UUID, rows: QuerySet[Turn]) -> Iterator[Message]:
    """The messages of the turns that a configured key opens; the others are as if they were trimmed."""
    for role, content in rows.values_list("role", "content"):
        try:
            yield turns.unseal(role, content)
        except UndecryptableSecret:
            logger.error("a turn of conversation %s is left out: no encryption key opens it", conversation_id)


def append(history: History, asked: Sequence[Message], answer: Choice, *, vault: Vault | None = None) -> bool:
    """Keep what was asked and answered, all or nothing; False when the conversation was erased meanwhile.

    Calls on one conversation at once are added one behind the other. ``vault`` puts back into the answer what was
    hidden from the provider. Raises NotFound when another end user has begun a conversation of that id meanwhile.
    """
    added = turns.kept([*asked, _answered(answer, vault)])
    now = timezone.now()
    mine = Conversation.objects.for_tenant(history.tenant).of_end_user(history.end_user)
    mine = mine.filter(name=history.name) if history.name else mine.filter(pk=history.id)
    with transaction.atomic():
        # The update locks the row until the turns are in, on every database.
        if not mine.update(updated_at=now):
            if history.stored:
                return False
            begun = Conversation(
                id=history.id, tenant=history.tenant, end_user=history.end_user, name=history.name, updated_at=now
            )
            Conversation.objects.bulk_create([begun], ignore_conflicts=True)  # a call beside this one may have
            if not mine.update(updated_at=now):
                raise _not_found()
        conversation_id, last = mine.annotate(last=Max("turns__ordinal")).values_list("pk", "last").get()
        Turn.objects.bulk_create(
            Turn(
                conversation_id=conversation_id,
                ordinal=ordinal,
                role=message.role,
                content=turns.seal(message),
                tokens=turns.tokens(message),
            )
            for ordinal, message in enumerate(added, start=(last or 0) + 1)
        )
    return True


def _answered(choice: Choice, vault: Vault | None) -> Message:
    text, calls = choice.text or choice.refusal or "", choice.tool_calls
    if vault is not None:
        text = vault.restore(text)
        calls = tuple(ToolCall(call.id, call.name, vault.restore_json(call.arguments)) for call in calls)
    return Message("assistant", (TextPart(text),) if text else (), tool_calls=calls)


def purge_expired(now: datetime, *, batch: int = PURGE_BATCH) -> int:
    """Delete the conversations that rest longer than their tenant keeps them, so many a transaction; how many."""
    total = 0
    for days in Tenant.objects.order_by("conversation_days").values_list("conversation_days", flat=True).distinct():
        tenants = Tenant.objects.filter(conversation_days=days).values("pk")
        rest = Conversation.objects.filter(tenant_id__in=tenants, updated_at__lt=now - timedelta(days=days))
        while deleted := _delete(rest, at_most=batch):
            total += deleted
    return total


def erase_end_user(tenant: Tenant, end_user: str) -> int:
    """Delete all conversations of one end user; how many. A call that runs meanwhile does not bring one back."""
    _require_end_user(end_user)
    return _delete(Conversation.objects.for_tenant(tenant).of_end_user(end_user))


def _delete(conversations: QuerySet[Conversation], *, at_most: int | None = None) -> int:
    """Locked first: turns that are just being added to one would be left without it."""
    with transaction.atomic():
        locked = conversations.order_by("pk").select_for_update(skip_locked=at_most is not None)
        ids = list(locked.values_list("pk", flat=True)[:at_most])
        Conversation.objects.filter(pk__in=ids).delete()
    return len(ids)


def export_end_user(
    tenant: Tenant, end_user: str, *, start: int = 0, at_most: int | None = None
) -> Iterator[dict[str, Any]]:
    """What is kept of one end user's conversations, oldest first, ready for JSON: all, or ``at_most`` from ``start``.

    The content of a turn that no configured key opens is None.
    """
    _require_end_user(end_user)
    oldest = Conversation.objects.for_tenant(tenant).of_end_user(end_user).order_by("created_at", "pk")
    return map(_exported, oldest[start : None if at_most is None else start + at_most])


def _exported(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": str(conversation.pk),
        "name": conversation.name,
        "created_at": conversation.created_at.isoformat(),
        "updated_at": conversation.updated_at.isoformat(),
        "turns": [turns.exported(turn) for turn in conversation.turns.order_by("ordinal").iterator()],
    }


def _require_end_user(end_user: str) -> None:
    if not end_user:
        raise Invalid("Name the end user.", errors=[{"field": "end_user", "message": "Name the end user."}])

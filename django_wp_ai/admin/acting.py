"""Actions on chosen rows: each row by itself through a flow, and a message that says how many and why not others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_wp_ai.admin.base import M, ReadOnlyAdmin
from django_wp_ai.exceptions import WpAiError

if TYPE_CHECKING:
    from django.db.models import QuerySet

MAX_AT_ONCE = 500
#: What one row became, in words; raises WpAiError where it can't be.
Act = Callable[[Any], str]


class OperatedAdmin(ReadOnlyAdmin[M]):
    """A record that people act on by actions, with Django's permission to change it; its fields are never edited."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this person may use the actions."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def act_on(self, request: HttpRequest, rows: QuerySet[M], act: Act) -> HttpResponse | None:
        """Do ``act`` with each row and report; an action that was sent from a row's own page returns there."""
        chosen = list(rows.order_by("pk")[: MAX_AT_ONCE + 1])
        if len(chosen) > MAX_AT_ONCE:
            text = _("Nothing was done: select %(number)s at most, or use the command.") % {"number": MAX_AT_ONCE}
            self.message_user(request, text, messages.ERROR)
            return None
        became: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        for row in chosen:
            try:
                outcome = act(row)
            except WpAiError as error:
                refused[str(error.detail or error.title)] += 1
            else:
                became[outcome] += 1
                self.log_change(request, row, outcome)
        self._say(request, became, refused)
        return redirect(self.page_of(chosen[0])) if "from_page" in request.POST and len(chosen) == 1 else None

    def page_of(self, row: models.Model) -> str:
        """Where one row is shown."""
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[row.pk])

    def _say(self, request: HttpRequest, became: Counter[str], refused: Counter[str]) -> None:
        for outcome, number in became.items():
            self.message_user(request, f"{number} {self._noun(number)}: {outcome}", messages.SUCCESS)
        for reason, number in refused.items():
            text = ngettext(
                "%(number)s was left as it is: %(reason)s", "%(number)s were left as they are: %(reason)s", number
            )
            self.message_user(request, text % {"number": number, "reason": reason}, messages.WARNING)

    def _noun(self, number: int) -> str:
        return str(self.opts.verbose_name if number == 1 else self.opts.verbose_name_plural)

    def tools(self, request: HttpRequest, row: models.Model, names: dict[str, object]) -> list[dict[str, Any]]:
        """The actions ``names`` as buttons of a row's page, as far as this person may use them."""
        allowed = self.get_actions(request)
        return [{"action": name, "label": label, "id": str(row.pk)} for name, label in names.items() if name in allowed]

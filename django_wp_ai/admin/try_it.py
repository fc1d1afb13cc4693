"""The page that asks a tenant's content: what is found for a question, with its scores, and what is answered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.display import usd
from django_wp_ai.bridge import run_blocking
from django_wp_ai.exceptions import WpAiError
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.models import Tenant
from django_wp_ai.models.budget import attach_budgets
from django_wp_ai.rag.answer import Answer, Citation, Question, ask
from django_wp_ai.rag.ingest import operator_of
from django_wp_ai.rag.search import MAX_K, MAX_QUERY_CHARS, Filters, Hit

if TYPE_CHECKING:
    from django_wp_ai.admin.tenant import TenantAdmin


def may_try(request: HttpRequest) -> bool:
    """Whether this person may ask: passages are shown, also such as are not public, and the tenant pays."""
    return request.user.has_perm("django_wp_ai.change_document")


class TryItForm(forms.Form):
    """A question, as a site would send it."""

    question = forms.CharField(
        label=_("Question"), max_length=MAX_QUERY_CHARS, widget=AdminTextInputWidget(attrs={"autofocus": True})
    )
    mode = forms.ChoiceField(
        label=_("Search"),
        choices=[("hybrid", _("by meaning and words")), ("vector", _("by meaning")), ("text", _("by words"))],
    )
    k = forms.IntegerField(label=_("Passages"), min_value=1, max_value=MAX_K, initial=8)
    source_id = forms.CharField(
        label=_("Only this document"), max_length=255, required=False, widget=AdminTextInputWidget
    )

    def to_question(self) -> Question:
        """As plain data; a kept answer would hide what is answered now."""
        data = self.cleaned_data
        source = (data["source_id"],) if data["source_id"] else ()
        return Question(
            text=data["question"], k=data["k"], mode=data["mode"], filters=Filters(source_ids=source), cache=False
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A passage on the page; ``number`` is the source's that the model was given, None where it did not fit."""

    hit: Hit
    number: int | None
    content: SafeString


def try_it(model_admin: TenantAdmin, request: HttpRequest, tenant_id: int) -> HttpResponseBase:
    """GET the form, POST a question; metered as the operator's call on the route ``ask``."""
    tenant = model_admin.get_object(request, str(tenant_id))
    if tenant is None:
        raise Http404
    if not (may_try(request) and model_admin.has_view_permission(request, tenant)):
        raise PermissionDenied
    first = {"mode": "hybrid", "k": 8, "source_id": request.GET.get("source_id", "")[:255]}
    form = TryItForm(request.POST) if request.method == "POST" else TryItForm(initial=first)
    answer, refused = None, ""
    if request.method == "POST" and form.is_valid():
        try:
            answer = _ask(tenant, form.to_question())
        except WpAiError as error:
            refused = error.detail or str(error.title)
    title = _("Ask the content of %(tenant)s") % {"tenant": tenant}
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": title,
        "title": title,
        "has_view_permission": True,
        "media": model_admin.media + form.media,
        "form": form,
        "refused": refused,
        "back_url": reverse(f"{model_admin.admin_site.name}:django_wp_ai_tenant_change", args=[tenant.pk]),
        **({} if answer is None else _shown(answer)),
    }
    return TemplateResponse(request, "admin/django_wp_ai/tenant/try_it.html", context)


def _ask(tenant: Tenant, question: Question) -> Answer:
    if not tenant.is_active:
        raise WpAiError(gettext("The tenant is not active."))
    attach_budgets([tenant])
    return run_blocking(ask(operator_of(tenant), question, Origin("ask")))


def _shown(answer: Answer) -> dict[str, Any]:
    numbers = {hit.chunk_id: source.n for source in answer.sources for hit in source.hits}
    quotes: dict[int, list[str]] = {}
    cited: dict[int, list[Citation]] = {}
    for citation in answer.citations:
        quotes.setdefault(citation.chunk_id, []).append(citation.quote)
        cited.setdefault(citation.n, []).append(citation)
    call = answer.call
    return {
        "answer": answer,
        "answer_html": _linked(answer),
        "cited": sorted(cited.items()),
        "found": [
            Found(hit, numbers.get(hit.chunk_id), _marked(hit.content, quotes.get(hit.chunk_id, [])))
            for hit in answer.hits
        ],
        "spent": None if call is None else usd(call.cost_usd),
        "model": None if call is None else call.target.name,
        "tokens": None if call is None else call.usage.input_tokens + call.usage.output_tokens,
    }


def _linked(answer: Answer) -> SafeString:
    """The answer with its markers as links to the citations below it."""
    shown: str = conditional_escape(answer.text)
    for number in {citation.n for citation in answer.citations}:
        link = format_html('<a class="wpai-marker" href="#citation-{0}">[{0}]</a>', number)
        shown = shown.replace(f"[{number}]", link)
    return mark_safe(shown)  # noqa: S308 - escaped above, the links are ours


def _marked(content: str, quotes: list[str]) -> SafeString:
    """A passage with the quoted words marked."""
    if not quotes:
        return format_html("{}", content)
    pieces = re.split("(" + "|".join(map(re.escape, sorted(quotes, key=len, reverse=True))) + ")", content)
    shown = (format_html("<mark>{}</mark>" if at % 2 else "{}", piece) for at, piece in enumerate(pieces))
    return format_html_join("", "{}", ((piece,) for piece in shown))

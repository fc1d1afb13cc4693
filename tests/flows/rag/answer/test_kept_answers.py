"""Kept answers: for the same question to the same content, and no other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from django_wp_ai.gateway import answer_cache
from django_wp_ai.models import PromptTemplate
from django_wp_ai.rag.search import Filters
from tests.flows.rag.answer.conftest import OPENING, Site
from tests.vendor.running import RunningVendor

QUOTE = "Our shop opens at nine in the morning"
ASKED = f'When does the shop open? [[say=At nine [1 "{QUOTE}"].]]'


def test_a_question_that_was_answered_costs_nothing_again(site: Site, vendor: RunningVendor) -> None:
    first, again = site.ask(ASKED, cache=True), site.ask(f"  {ASKED.replace(' ', '  ')}\n", cache=True)
    streamed = site.stream(ASKED, cache=True)[1]
    assert len(vendor.requests) == 1
    for answer, cached in ((first, False), (again, True), (streamed, True)):
        assert answer.call is not None
        assert answer.call.cached is cached
        assert answer.text == "At nine [1]."
        assert answer.citations == first.citations
    assert [(row.cached, row.cost_usd == Decimal(0)) for row in site.rows()] == [
        (False, False), (True, True), (True, True)
    ]  # fmt: skip


@pytest.mark.parametrize(("mode", "kept"), [("off", False), ("opt_in", False), ("deterministic", True)])
def test_the_sites_cache_mode_decides_where_the_call_does_not(
    site: Site, vendor: RunningVendor, mode: str, kept: bool
) -> None:
    site.set(cache_mode=mode)
    for _ in range(2):
        site.ask(ASKED)
    assert len(vendor.requests) == (1 if kept else 2)
    site.ask(ASKED, cache=False)
    assert len(vendor.requests) == (2 if kept else 3)


def _edit(site: Site) -> None:
    site.tenant.documents.filter(source_id="post-1").delete()
    site.write("post-1", OPENING.replace("nine", "ten"), title="Opening hours")


def _add(site: Site) -> None:
    site.write("post-8", "The shop opens later in winter.", title="When the shop opens")


def _delete(site: Site) -> None:
    site.tenant.documents.filter(source_id="post-2").delete()


def _reword(site: Site) -> None:
    PromptTemplate.objects.create(tenant=site.tenant, name="ask", prompt="{sources}\n\n{question}")


def _forget(site: Site) -> None:
    answer_cache.invalidate(site.tenant)


@pytest.mark.parametrize("change", [_edit, _add, _delete, _reword, _forget])
def test_other_content_or_another_prompt_is_asked_anew(site: Site, vendor: RunningVendor, change: Any) -> None:
    site.ask(ASKED, cache=True)
    change(site)
    answer = site.ask(ASKED, cache=True)
    assert answer.call is not None
    assert not answer.call.cached
    assert len(vendor.requests) == 2
    assert site.ask(ASKED, cache=True).call.cached  # type: ignore[union-attr]


def test_filters_another_question_or_another_end_user_share_nothing(site: Site, vendor: RunningVendor) -> None:
    site.ask(ASKED, cache=True)
    for number, fields in enumerate(
        ({"filters": Filters(source_ids=("post-1",))}, {"end_user": "ada"}, {"k": 1, "end_user": "bob"}), start=2
    ):
        site.ask(ASKED, cache=True, **fields)
        assert len(vendor.requests) == number
    site.ask(ASKED.replace("open?", "close?"), cache=True)
    assert len(vendor.requests) == 5

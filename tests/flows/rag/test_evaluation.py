"""The evaluation set against the real path: readers, chunks, jobs, offline embeddings, search."""

from __future__ import annotations

import pytest

from django_wp_ai.bridge import CallerThread
from django_wp_ai.jobs import room
from django_wp_ai.models import Chunk, Tenant, UsageEvent
from django_wp_ai.rag.evaluation import Figures, answer_figures, answer_questions, figures, retrieve
from tests import library
from tests.benchmarks.retrieval import full_text
from tests.caches import clean_cache, own_server
from tests.factories import TenantFactory

__all__ = ["clean_cache", "own_server"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_cache")]
MODES = ("hybrid", "vector", "text")


@pytest.fixture
def tenant() -> Tenant:
    room._places.clear()  # tenants of other tests may have had the same ids
    return TenantFactory.create()


def overall(found: list[Figures]) -> dict[str, Figures]:
    return {each.mode: each for each in found if each.language == "all"}


def test_on_a_slice_of_the_set_both_legs_together_are_no_worse_than_either(tenant):
    posts = [new for new in library.posts() if new.source_id.partition("-")[2][0] in "12"]  # the English ones
    assert library.index(tenant, posts) == 20
    asked = library.about(library.questions(), posts)
    assert len(asked) >= 20
    found = overall(figures(CallerThread().drive(retrieve(tenant, asked, modes=MODES, k=5)), k=5))
    assert found["hybrid"].recall >= max(found["vector"].recall, found["text"].recall)
    assert found["hybrid"].recall >= 0.85


def test_the_words_alone_ask_no_provider_and_questions_are_embedded_together(tenant):
    posts = library.posts()[:2]
    library.index(tenant, posts)
    before = UsageEvent.objects.for_tenant(tenant).count()
    asked = library.questions()[:3]
    CallerThread().drive(retrieve(tenant, asked, modes=("text",), k=5))
    assert UsageEvent.objects.for_tenant(tenant).count() == before
    CallerThread().drive(retrieve(tenant, asked, modes=MODES, k=5))
    assert UsageEvent.objects.for_tenant(tenant).count() == before + 1


def test_a_source_stands_where_its_best_passage_does_and_once(tenant):
    library.index(tenant, [new for new in library.pages() if new.source_id in {"docs/limits.md", "docs/tools.md"}])
    asked = library.about(library.questions(), library.pages())[:5]
    for outcome in CallerThread().drive(retrieve(tenant, asked, modes=("hybrid",), k=5)):
        assert sorted(outcome.ranked) == ["docs/limits.md", "docs/tools.md"]


def test_a_site_without_content_finds_nothing(tenant):
    outcomes = CallerThread().drive(retrieve(tenant, library.questions()[:2], modes=MODES, k=5))
    assert {outcome.ranked for outcome in outcomes} == {()}


def test_answers_of_a_slice_are_supported_by_what_is_relevant(tenant):
    tenant.default_model = "offline:offline-extractive"
    tenant.save()
    posts = [new for new in library.posts() if new.source_id in {"page-201", "page-204"}]
    library.index(tenant, posts)
    asked = library.about(library.questions(), posts)[:6]
    nothing = [question for question in library.questions() if not question.is_answerable and question.language == "ja"]
    answered = CallerThread().drive(answer_questions(tenant, [*asked, *nothing[:1]], mode="hybrid"))
    everything = answer_figures(answered)[0]
    assert everything.supported is not None
    assert everything.supported >= 0.5
    assert everything.cites_relevant == everything.supported
    assert everything.declined == 1


@pytest.mark.once
def test_on_the_whole_set_retrieval_is_as_good_as_was_asked_for(tenant):
    library.index(tenant, [*library.posts(), *library.pages()])
    asked = library.questions()
    found = overall(figures(CallerThread().drive(retrieve(tenant, asked, modes=MODES, k=5)), k=5))
    assert found["hybrid"].recall >= max(found["vector"].recall, found["text"].recall)
    assert found["hybrid"].recall >= 0.85
    chunks = list(Chunk.objects.for_tenant(tenant).live().select_related("document").order_by("pk"))
    plain = overall(figures(full_text(chunks, asked), k=5))
    assert found["text"].ndcg >= max(plain["fts5"].ndcg, plain["fts5-3"].ndcg) - 0.01

"""The page that asks a tenant's content."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from django_wp_ai.bridge import flow_loop
from django_wp_ai.models import Tenant, UsageEvent
from django_wp_ai.providers import registry
from django_wp_ai.providers.feature_hashing import vector
from django_wp_ai.providers.offline import EMBEDDING_MODEL
from tests.factories import TenantFactory
from tests.flows.rag.search.passages import write

MAY = ("view_tenant", "change_document")
ASKED = {"question": "When does the shop open?", "mode": "hybrid", "k": 8, "source_id": ""}


@pytest.fixture
def tenant(db: None) -> Iterator[Tenant]:
    tenant = TenantFactory.create()
    for source_id, title, content in (
        ("post-1", "Opening <b>hours</b>", "Our shop opens at nine <script>alert(1)</script> in the morning."),
        ("post-2", "Parking", "Parking is free for guests of the shop."),
    ):
        vectors = [vector(f"{title}\n{content}")]
        write(tenant, source_id, [content], title=title, vectors=vectors, embedding_model=f"offline:{EMBEDDING_MODEL}")
    yield tenant
    asyncio.run_coroutine_threadsafe(registry.aclose(), flow_loop()).result()


def page(tenant: Tenant) -> str:
    return reverse("admin:django_wp_ai_tenant_try_it", args=[tenant.pk])


def test_a_question_shows_passages_with_both_scores_and_the_answer(
    tenant: Tenant, log_in: Callable[..., Client]
) -> None:
    client = log_in(*MAY)
    assert client.get(page(tenant)).status_code == 200
    assert not UsageEvent.objects.exists()
    shown = client.post(page(tenant), ASKED)
    html = shown.content.decode()
    assert shown.status_code == 200
    assert shown.context["answer"].supported
    assert 'href="#citation-1">[1]</a>' in html
    assert "<mark>" in html
    assert "Opening &lt;b&gt;hours&lt;/b&gt;" in html
    assert "<script>alert(1)" not in html
    for found in shown.context["found"]:
        assert f"{found.hit.vector:.3f}" in html
        assert f"{found.hit.score:.4f}" in html
    rows = UsageEvent.objects.for_tenant(tenant).order_by("id")
    assert [(row.route, row.credential) for row in rows] == [("search", None), ("ask", None)]


def test_what_nothing_is_found_for_says_so(tenant: Tenant, log_in: Callable[..., Client]) -> None:
    html = log_in(*MAY).post(page(tenant), {**ASKED, "question": "Who painted the Mona Lisa?"}).content.decode()
    assert "No model was asked" in html
    assert "not supported" in html


@pytest.mark.parametrize(
    "change",
    [{"question": ""}, {"mode": "both"}, {"k": 0}, {"k": "x"}, {"question": "x" * 4001}, {"source_id": "x" * 300}],
)
def test_what_the_form_can_not_mean_is_told(tenant: Tenant, log_in: Callable[..., Client], change: Any) -> None:
    shown = log_in(*MAY).post(page(tenant), {**ASKED, **change})
    assert shown.status_code == 200
    assert "errorlist" in shown.content.decode()
    assert not UsageEvent.objects.exists()


def test_a_refusal_is_shown(tenant: Tenant, log_in: Callable[..., Client]) -> None:
    client = log_in(*MAY)
    Tenant.objects.filter(pk=tenant.pk).update(routes={"ask": {"rpm": 1}})
    client.post(page(tenant), ASKED)
    assert "errornote" in client.post(page(tenant), ASKED).content.decode()
    Tenant.objects.filter(pk=tenant.pk).update(is_active=False)
    assert "not active" in client.post(page(tenant), ASKED).content.decode()


@pytest.mark.parametrize("permissions", [(), ("view_tenant",), ("change_document",), ("view_tenant", "view_document")])
def test_who_may_not_act_on_documents_may_not_ask(
    tenant: Tenant, log_in: Callable[..., Client], permissions: tuple[str, ...]
) -> None:
    client = log_in(*permissions)
    assert client.get(page(tenant)).status_code == 403
    assert client.post(page(tenant), ASKED).status_code == 403
    assert not UsageEvent.objects.exists()


def test_asking_needs_the_forms_token_and_an_existing_tenant(tenant: Tenant, log_in: Callable[..., Client]) -> None:
    assert log_in(*MAY, csrf=True).post(page(tenant), ASKED).status_code == 403
    assert log_in(*MAY).get(page(tenant).replace(str(tenant.pk), "999999")).status_code == 404


def test_the_tenant_and_its_documents_lead_here(tenant: Tenant, log_in: Callable[..., Client]) -> None:
    client = log_in(*MAY, "view_document")
    of_tenant = client.get(reverse("admin:django_wp_ai_tenant_change", args=[tenant.pk])).content.decode()
    assert f'href="{page(tenant)}"' in of_tenant
    document = tenant.documents.get(source_id="post-1")
    of_document = client.get(reverse("admin:django_wp_ai_document_change", args=[document.pk])).content.decode()
    assert f'href="{page(tenant)}?source_id=post-1"' in of_document
    assert 'value="post-1"' in client.get(f"{page(tenant)}?source_id=post-1").content.decode()
    viewer = log_in("view_tenant", "view_document")
    assert (
        page(tenant) not in viewer.get(reverse("admin:django_wp_ai_tenant_change", args=[tenant.pk])).content.decode()
    )

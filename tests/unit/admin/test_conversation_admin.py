from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_wp_ai.datatypes import Choice, Message, TextPart
from django_wp_ai.gateway import conversations
from django_wp_ai.models import Conversation, Turn
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/django_wp_ai/conversation/"


@pytest.fixture
def conversation():
    tenant = TenantFactory(slug="bakery")
    history = conversations.load(tenant, "7", "support", budget_tokens=4000)
    for _ in range(2):
        conversations.append(history, [Message("user", (TextPart("canary " * 100),))], Choice("canary", "stop"))
    return Conversation.objects.get()


def test_counts_and_times_are_shown_and_no_word_of_what_was_said(admin_client, conversation):
    stored = Turn.objects.values_list("content", flat=True)
    pages = [LIST, f"{LIST}{conversation.pk}/change/", f"{LIST}{conversation.pk}/delete/"]
    for page in pages:
        text = admin_client.get(page).content.decode()
        assert str(conversation.pk) in text
        assert "canary" not in text
        assert not any(content in text for content in stored)
    text = admin_client.get(LIST).content.decode()
    assert '<td class="field-turns">4</td>' in text
    assert '<td class="field-tokens">370</td>' in text


def test_a_conversation_is_not_written_here(admin_client, conversation):
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{conversation.pk}/change/", {"end_user": "8"}).status_code == 403


def test_a_conversation_is_deleted_with_its_turns(admin_client, conversation):
    assert admin_client.post(f"{LIST}{conversation.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Turn.objects.exists()


def test_several_are_deleted_at_once(admin_client, conversation):
    chosen = {"action": "delete_selected", "_selected_action": [conversation.pk], "post": "yes"}
    assert admin_client.post(LIST, chosen).status_code == 302
    assert not Conversation.objects.exists()


def test_deleting_needs_the_permission(viewer, conversation):
    assert viewer.get(LIST).status_code == 200
    assert viewer.post(f"{LIST}{conversation.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Conversation.objects.exists()


@pytest.mark.parametrize(("query", "found"), [("7", 1), ("bakery", 0), ("8", 0)])
def test_conversations_are_found_by_their_end_user(admin_client, conversation, query, found):
    assert admin_client.get(LIST, {"q": query}).context["cl"].result_count == found


def test_conversations_are_found_by_their_id_and_tenant(admin_client, conversation):
    other = Conversation.objects.create(tenant=TenantFactory(), updated_at=timezone.now() - timedelta(days=1))
    assert admin_client.get(LIST, {"q": str(other.pk)}).context["cl"].queryset.get() == other
    by_tenant = admin_client.get(LIST, {"tenant__id__exact": conversation.tenant_id})
    assert by_tenant.context["cl"].queryset.get() == conversation


def test_the_url_can_not_search_what_is_not_shown(admin_client, conversation):
    assert admin_client.get(LIST, {"turns__content__contains": "g"}).status_code == 400

from __future__ import annotations

import pytest
from django.utils import timezone

from django_wp_ai.jobs import payload
from django_wp_ai.models import AuthFailureCount, Document, InboundEvent
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

BASE = "/admin/django_wp_ai"


def test_documents_show_how_many_chunks_they_have(admin_client):
    document = Document.objects.create(tenant=TenantFactory(), source_id="post-1", title="Bread", chunk_count=3)
    text = admin_client.get(f"{BASE}/document/", {"q": "Bread"}).content.decode()
    assert '<td class="field-chunk_count">3</td>' in text
    assert admin_client.get(f"{BASE}/document/{document.pk}/change/").status_code == 200


def test_authentication_failures_are_listed(admin_client):
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    AuthFailureCount.objects.create(hour=hour, method="jwt", reason="expired", count=3)
    assert '<td class="field-count">3</td>' in admin_client.get(f"{BASE}/authfailurecount/").content.decode()


def test_events_of_providers_show_what_became_of_them_and_not_what_they_say(admin_client):
    tenant = TenantFactory()
    for name, state in (("evt_1", "done"), ("evt_2", "failed")):
        InboundEvent.objects.create(
            source="openai",
            event_id=name,
            type="batch.completed",
            state=state,
            tenant=tenant,
            payload_sealed=payload.seal("canary"),
            error_message="No such batch" if state == "failed" else "",
        )
    text = admin_client.get(f"{BASE}/inboundevent/", {"state__exact": "failed"}).content.decode()
    assert "evt_2" in text
    assert "evt_1" not in text
    assert admin_client.get(f"{BASE}/inboundevent/", {"source": "openai"}).context["cl"].result_count == 2
    assert admin_client.get(f"{BASE}/inboundevent/", {"q": "evt_1"}).context["cl"].result_count == 1
    event = InboundEvent.objects.get(event_id="evt_2")
    shown = admin_client.get(f"{BASE}/inboundevent/{event.pk}/change/").content.decode()
    assert "No such batch" in shown
    assert "canary" not in text + shown
    assert admin_client.get(f"{BASE}/inboundevent/", {"payload_sealed__contains": "c"}).status_code == 400


@pytest.mark.parametrize(
    "model", ["job", "callback", "callbackendpoint", "inboundevent", "document", "siteindex", "authfailurecount"]
)
def test_records_are_read_only_and_need_the_permission_to_view(admin_client, log_in, viewer, model):
    assert admin_client.get(f"{BASE}/{model}/add/").status_code == 403
    assert viewer.get(f"{BASE}/{model}/").status_code == 200
    assert log_in("view_tenant").get(f"{BASE}/{model}/").status_code == 403

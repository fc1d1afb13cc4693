from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_wp_ai.jobs import payload
from django_wp_ai.models import AuthFailureCount, Chunk, Document, Job
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

BASE = "/admin/django_wp_ai"


@pytest.fixture
def job():
    now = timezone.now()
    return Job.objects.create(
        tenant=TenantFactory(),
        kind="summary",
        status="failed",
        input_sealed=payload.seal({"text": "canary-input"}),
        result_sealed=payload.seal({"text": "canary-result"}),
        error_code="provider_error",
        callback_url="https://hooks.example.org/in?token=canary-token",
        started_at=now,
        finished_at=now + timedelta(seconds=4),
    )


def test_jobs_show_their_state_and_not_the_words_of_users(admin_client, job):
    listed = admin_client.get(f"{BASE}/job/").content.decode()
    shown = admin_client.get(f"{BASE}/job/{job.pk}/change/").content.decode()
    assert "provider_error" in listed
    assert "4.0 s" in listed
    assert "hooks.example.org" in shown
    assert "canary" not in listed + shown
    assert admin_client.get(f"{BASE}/job/", {"q": str(job.pk)}).context["cl"].result_count == 1


def test_a_job_that_runs_or_has_a_broken_callback_url_is_shown(admin_client):
    job = Job.objects.create(tenant=TenantFactory(), kind="draft", callback_url="http://[broken")
    assert admin_client.get(f"{BASE}/job/").status_code == 200
    assert admin_client.get(f"{BASE}/job/{job.pk}/change/").status_code == 200


def test_the_url_can_not_search_what_jobs_do_not_show(admin_client, job):
    assert admin_client.get(f"{BASE}/job/", {"input_sealed__icontains": "canary"}).status_code == 400


def test_documents_show_how_many_chunks_they_have(admin_client):
    document = Document.objects.create(tenant=TenantFactory(), source_id="post-1", title="Bread", status="indexed")
    for ordinal in range(3):
        Chunk.objects.create(
            tenant=document.tenant, document=document, ordinal=ordinal, content="canary", content_hash=str(ordinal)
        )
    text = admin_client.get(f"{BASE}/document/", {"q": "Bread"}).content.decode()
    assert '<td class="field-chunks">3</td>' in text
    assert admin_client.get(f"{BASE}/document/{document.pk}/change/").status_code == 200


def test_authentication_failures_are_listed(admin_client):
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    AuthFailureCount.objects.create(hour=hour, method="jwt", reason="expired", count=3)
    assert '<td class="field-count">3</td>' in admin_client.get(f"{BASE}/authfailurecount/").content.decode()


@pytest.mark.parametrize("model", ["job", "document", "authfailurecount"])
def test_records_are_read_only_and_need_the_permission_to_view(admin_client, log_in, viewer, model):
    assert admin_client.get(f"{BASE}/{model}/add/").status_code == 403
    assert viewer.get(f"{BASE}/{model}/").status_code == 200
    assert log_in("view_tenant").get(f"{BASE}/{model}/").status_code == 403

"""Callbacks and endpoints: states, attempts and addresses; neither bodies nor tokens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_wp_ai.models import Callback, CallbackAttempt, CallbackEndpoint
from tests.factories import TenantFactory
from tests.unit.admin.conftest import CANARY

pytestmark = pytest.mark.django_db

LIST = "/admin/django_wp_ai/callback/"
ENDPOINTS = "/admin/django_wp_ai/callbackendpoint/"


def found(client, url=LIST, **query):
    return set(client.get(url, query).context["cl"].queryset)


def endpoint(**fields) -> CallbackEndpoint:
    tenant = TenantFactory()
    return CallbackEndpoint.objects.create(tenant=tenant, url=f"https://{tenant.slug}.example.org/in", **fields)


def test_a_callback_shows_its_state_its_address_and_each_attempt(admin_client, made_callback):
    callback = made_callback("pending", last_status=503, last_error="")
    CallbackAttempt.objects.create(callback=callback, number=2, error="timeout", latency_ms=15_000)
    listed = admin_client.get(LIST).content.decode()
    shown = admin_client.get(f"{LIST}{callback.pk}/change/").content.decode()
    for part in ("pending", "503", "hooks.example.org<", "next: in 1 h 59 min"):
        assert part in listed
    for part in (
        callback.message_id,
        "hooks.example.org/in?…",
        "timeout",
        "1.5 s",
        "15.0 s",
        "&lt;b&gt;Down for maintenance&lt;/b&gt;",
    ):
        assert part in shown
    assert shown.index("timeout") < shown.index("Down for maintenance")  # the last attempt is seen first
    assert CANARY not in listed + shown
    assert callback.job_id is not None
    assert str(callback.job_id) in shown


def test_a_callback_is_found_by_what_a_receiver_logged(admin_client, made_callback, made_job):
    callback, other = made_callback(end_user="u-7"), made_callback("dead", job=made_job("failed"))
    assert callback.endpoint_id != other.endpoint_id
    for query in (callback.message_id, str(callback.pk), str(callback.job_id), "u-7"):
        assert found(admin_client, q=query) == {callback}
    assert found(admin_client, state__exact="dead") == {other}
    assert found(admin_client, endpoint=callback.endpoint_id) == {callback}
    assert found(admin_client, ended="24h") == {callback, other}
    assert admin_client.get(LIST, {"endpoint": "x"}).status_code == 302
    assert admin_client.get(LIST, {"body_sealed__contains": "c"}).status_code == 400


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"attempts": 3}, "3<"),
        ({"attempts": 3, "replays": 1}, "3, replayed once"),
        ({"attempts": 3, "replays": 2}, "3, replayed 2 times"),
    ],
)
def test_attempts_are_counted_since_the_last_replay(admin_client, made_callback, fields, shown):
    made_callback(**fields)
    assert shown in admin_client.get(LIST).content.decode()


def test_a_callback_that_is_due_is_sent_now(admin_client, made_callback):
    made_callback("pending", next_attempt_at=timezone.now())
    text = admin_client.get(LIST).content.decode()
    assert "next: now" in text


def test_the_list_asks_as_often_for_one_callback_as_for_twenty(admin_client, made_callback):
    made_callback()
    admin_client.get(LIST)
    with CaptureQueriesContext(connection) as few:
        admin_client.get(LIST)
    for _ in range(20):
        made_callback()
    with CaptureQueriesContext(connection) as many:
        admin_client.get(LIST)
    assert len(many) == len(few)
    assert not any("body_sealed" in query["sql"] for query in many)


def test_endpoints_show_how_they_are_and_since_when(admin_client):
    now = timezone.now()
    working = endpoint(url_hash="a", last_success_at=now - timedelta(minutes=2))
    failing = endpoint(url_hash="b", failing_since=now - timedelta(days=2, hours=3, minutes=1))
    off = endpoint(url_hash="c", disabled_at=now - timedelta(hours=2, minutes=5), disabled_reason="gone")
    text = admin_client.get(ENDPOINTS).content.decode()
    for part in ("working", "2 min ago", "failing", "2 d 3 h", "switched off", "it answered 410", "2 h 5 min"):
        assert part in text
    for state, row in (("working", working), ("failing", failing), ("disabled", off)):
        assert found(admin_client, ENDPOINTS, health=state) == {row}
    assert found(admin_client, ENDPOINTS, q=off.tenant.slug) == {off}
    assert len(found(admin_client, ENDPOINTS, health="nonsense")) == 3


def test_an_endpoint_shows_how_much_waits_and_leads_there(admin_client, log_in, made_callback):
    first = made_callback("pending")
    made_callback("pending", job=first.job)
    made_callback("dead", job=first.job)
    url = f"{ENDPOINTS}{first.endpoint_id}/change/"
    page = admin_client.get(url)
    assert '<td class="field-pending">2</td>' in admin_client.get(ENDPOINTS).content.decode()
    assert found(admin_client, page.context["callbacks_url"].partition("?")[0], endpoint=first.endpoint_id) == set(
        Callback.objects.all()
    )
    assert [tool["action"] for tool in page.context["tools"]] == ["disable_selected"]
    assert CANARY not in page.content.decode() + admin_client.get(ENDPOINTS).content.decode()
    assert "callbacks_url" not in log_in("view_callbackendpoint").get(url).context


def test_the_list_asks_as_often_for_one_endpoint_as_for_many(admin_client):
    endpoint(url_hash="a")
    admin_client.get(ENDPOINTS)
    with CaptureQueriesContext(connection) as few:
        admin_client.get(ENDPOINTS)
    for number in range(10):
        endpoint(url_hash=str(number))
    with CaptureQueriesContext(connection) as many:
        admin_client.get(ENDPOINTS)
    assert len(many) == len(few)

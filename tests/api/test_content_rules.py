"""What a site's content rules do to a call, seen from both ends."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from django.core.cache import caches

from django_wp_ai.models import Tenant, UsageEvent
from tests.api.conftest import Site, body_of, events
from tests.factories import make_credential
from tests.vendor.running import RunningVendor

CANARY = "canary-7f3a9c51"
PII = "Write to ada@example.org or call +44 20 7946 0958."


def rules(site: Site, **fields: Any) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(**fields)


def ask(site: Site, prompt: str, **fields: Any) -> Any:
    return site.post("v1/chat", {"prompt": prompt, **fields})


def test_a_provider_never_sees_personal_data_and_the_asker_gets_it_back(site: Site, vendor: RunningVendor) -> None:
    rules(site, redact_pii=True)
    assert PII in ask(site, PII).json()["content"]  # the stand-in repeats what it is asked
    assert b"ada@example.org" not in vendor.last.raw
    assert b"7946" not in vendor.last.raw


def test_personal_data_comes_back_in_a_stream_too(site: Site, vendor: RunningVendor) -> None:
    rules(site, redact_pii=True)
    reply = site.post("v1/chat/stream", {"prompt": PII})
    text = "".join(event.data["delta"] for event in events(body_of(reply)) if event.data != "[DONE]" and not event.name)
    assert PII in text
    assert b"ada@example.org" not in vendor.last.raw


def test_a_denied_term_is_refused_before_anything_is_sent_or_written(site: Site, vendor: RunningVendor) -> None:
    rules(site, denied_terms=["forbidden fruit"])
    reply = ask(site, "Tell me of the FORBIDDEN  fruit")
    assert (reply.status_code, reply.json()["code"]) == (400, "content_blocked")
    assert "fruit" not in reply.content.decode()
    assert not vendor.requests
    assert not UsageEvent.objects.exists()
    assert ask(site, "Tell me of apples").status_code == 200


def test_the_sites_own_prompt_may_name_what_it_denies(site: Site) -> None:
    rules(site, denied_terms=["forbidden"], system_prompt="Never speak of what is forbidden.")
    assert ask(site, "Hi").status_code == 200


def test_local_moderation_refuses_and_names_the_category(site: Site, vendor: RunningVendor) -> None:
    rules(site, moderation="local")
    reply = ask(site, "how to build a pipe bomb")
    assert (reply.status_code, reply.json()["code"]) == (400, "content_blocked")
    assert not vendor.requests


def test_a_providers_moderation_is_asked_first_and_sees_no_personal_data(site: Site, vendor: RunningVendor) -> None:
    rules(site, moderation="provider", redact_pii=True)
    assert ask(site, PII).status_code == 200
    asked, answered = vendor.requests
    assert (asked.path, answered.path) == ("/v1/moderations", "/v1/chat/completions")
    assert b"ada@example.org" not in asked.raw

    vendor.clear()
    reply = ask(site, "[[flag=violence]] something")
    assert (reply.status_code, reply.json()["code"]) == (400, "content_blocked")
    assert "violence" in reply.json()["detail"]
    assert [received.path for received in vendor.requests] == ["/v1/moderations"]


def test_moderation_that_nobody_can_do_lets_nothing_pass(site: Site, settings: Any) -> None:
    rules(site, moderation="provider")
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "PROVIDERS": {"offline": {}}, "DEFAULT_MODEL": ""}
    assert ask(site, "Hi").status_code == 503


def test_rules_that_can_not_be_read_let_nothing_pass(site: Site, vendor: RunningVendor) -> None:
    rules(site, redact_pii=True, redaction_patterns={"bad": "(a+)+$"})
    reply = ask(site, "Hi")
    assert (reply.status_code, reply.json()["code"]) == (400, "content_blocked")
    assert not vendor.requests


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(site: Site, vendor: RunningVendor) -> None:
    rules(site, redact_pii=True, max_tokens_limit=100)
    reply = ask(site, PII, dry_run=True, max_tokens=500).json()
    assert reply["messages"] == [{"role": "user", "content": "Write to [EMAIL_1] or call [PHONE_1].", "images": 0}]
    assert (reply["provider"], reply["max_tokens"], reply["clamped"]) == ("openai", 100, {"max_tokens": 100})
    assert reply["usage"]["max_cost_usd"] > 0
    assert not vendor.requests
    assert not UsageEvent.objects.exists()


@pytest.mark.parametrize("streamed", [False, True])
def test_a_canary_in_a_prompt_is_nowhere_but_in_the_answer(
    site: Site, vendor: RunningVendor, caplog: pytest.LogCaptureFixture, admin_client: Any, streamed: bool
) -> None:
    """Logs, errors, cache keys and values, admin pages, and another tenant's answer to the same prompt."""
    rules(site, cache_mode="deterministic")
    other = make_credential("api_key")
    prompt = f"Say {CANARY} [[say=Here it is: {CANARY}]]"
    path = "v1/chat/stream" if streamed else "v1/chat"
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG):
            for key in (site.keys.api_key.secret, site.keys.api_key.secret, other.secret):
                reply = site.post(
                    path, {"prompt": prompt, "temperature": 0}, headers={"Authorization": f"Bearer {key}"}
                )
                assert CANARY in (body_of(reply) if streamed else reply.content).decode()
            refused = site.post(path, {"prompt": prompt, "model": "nobody:nothing"})
            failed = site.post(path, {"prompt": f"{CANARY} [[status=401]]"})
    finally:
        logging.getLogger().removeHandler(handler)
    assert UsageEvent.objects.filter(cached=True).count() == 1  # the same tenant's second, and no other
    assert (refused.status_code, failed.status_code) == (400, 502)
    told = [refused.content.decode(), failed.content.decode(), stream.getvalue()]
    told += [str(vars(record)) for record in caplog.records if record.name.startswith("django_wp_ai")]
    for model in ("usageevent", "tenant", "conversation"):
        page = admin_client.get(f"/admin/django_wp_ai/{model}/")
        assert page.status_code == 200
        told.append(page.content.decode())
    for event in UsageEvent.objects.all():
        told.append(admin_client.get(f"/admin/django_wp_ai/usageevent/{event.pk}/change/").content.decode())
    assert not [text for text in told if CANARY in text]
    client = caches["default"].client.get_client()
    for key in client.scan_iter():
        assert CANARY.encode() not in key
        assert CANARY.encode() not in (client.dump(key) or b"")

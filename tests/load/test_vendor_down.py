"""A vendor that is down, seen from several real servers: nobody waits for it, one call finds out that it is back."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from django.core.cache import cache

from django_wp_ai.models import UsageEvent
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import options
from tests.caches import clean_cache, use_cache
from tests.factories import TenantFactory
from tests.servers import running_site
from tests.services import redis_url
from tests.vendor.running import RunningVendor

__all__ = ["clean_cache"]
pytestmark = pytest.mark.django_db(transaction=True)

OPEN_S = 8.0  # long enough to look at three servers on a busy machine
SERVERS = ["uvicorn", "uvicorn", "gunicorn"]


def test_what_one_process_learned_of_a_vendor_all_go_by(
    settings: Any, clean_cache: None, vendor: RunningVendor
) -> None:
    use_cache(settings, redis_url())
    cache.clear()
    key = issue_site_keys(TenantFactory.create()).api_key.secret
    aliases = {"only": "openai:gpt-4o", "both": ["openai:gpt-4o", "offline:offline-extractive"]}
    chosen = options(vendor.url, MODEL_ALIASES=aliases, BREAKER_FAILURES=3, BREAKER_OPEN_S=OPEN_S)
    with ExitStack() as stack:
        urls = [stack.enter_context(running_site(server, chosen)) for server in SERVERS]
        client = stack.enter_context(httpx2.Client(timeout=60, headers={"Authorization": f"Bearer {key}"}))

        def ask(url: str, prompt: str, model: str = "only") -> httpx2.Response:
            return client.post(f"{url}/wp-ai/v1/chat", json={"prompt": prompt, "model": model})

        assert [ask(url, "Hi").status_code for url in urls] == [200] * 3
        for _ in range(3):
            assert ask(urls[0], "[[status=500]]").status_code == 502
        opened = time.monotonic()
        time.sleep(0.3)  # a process goes by what it last heard for a quarter of a second
        known = (len(vendor.requests), UsageEvent.objects.count())
        refused = [ask(url, "Hi") for url in urls]
        elsewhere = [ask(url, "Hi", "both") for url in urls]
        assert [(reply.status_code, reply.json()["code"]) for reply in refused] == [(503, "provider_unavailable")] * 3
        assert all(1 <= int(reply.headers["Retry-After"]) <= OPEN_S + 1 for reply in refused)
        assert [reply.json()["provider"] for reply in elsewhere] == ["offline"] * 3
        assert (len(vendor.requests), UsageEvent.objects.count() - 3) == known

        time.sleep(max(0.0, OPEN_S + 0.1 - (time.monotonic() - opened)))
        assert ask(urls[1], "Hi").status_code == 200  # the probe
        time.sleep(0.3)
        assert [ask(url, "Hi").status_code for url in urls] == [200] * 3

"""Streams through real servers: token by token, and recorded when the client leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from django_wp_ai.models import Tenant, UsageEvent
from django_wp_ai.security.issue import SiteKeys, issue_site_keys
from tests.api.conftest import options
from tests.factories import TenantFactory
from tests.servers import running_site
from tests.vendor.running import RunningVendor

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_S = 300.0  # longer than a busy machine takes: only what hangs is to end


class Served:
    """A site and the server that serves it."""

    def __init__(self, url: str, tenant: Tenant, keys: SiteKeys) -> None:
        self.url = f"{url}/wp-ai/v1"
        self.tenant = tenant
        self.keys = keys
        self.http = httpx2.Client(headers={"X-API-Key": keys.api_key.secret}, timeout=PATIENCE_S)

    def settled(self, count: int = 1) -> list[UsageEvent]:
        """The usage rows, once there are ``count`` and none is pending."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            rows = list(UsageEvent.objects.for_tenant(self.tenant).order_by("id"))
            if len(rows) == count and all(row.state == "settled" for row in rows):
                return rows
            time.sleep(0.05)
        raise AssertionError(f"not settled: {rows}")


@pytest.fixture(params=["uvicorn", "uvicorn, plain", "gunicorn"])
def served(request: pytest.FixtureRequest, vendor: RunningVendor, transactional_db: None) -> Iterator[Served]:
    tenant = TenantFactory.create()
    keys = issue_site_keys(tenant)
    with running_site(request.param, options(vendor.url, DISCONNECT_DRAIN_S=0.2)) as url:
        served = Served(url, tenant, keys)
        with served.http:
            yield served


def deltas(lines: Iterator[str]) -> Iterator[str]:
    """The text of each delta as it arrives."""
    for line in lines:
        if line.startswith("data: {"):
            data = json.loads(line[6:])
            if "delta" in data:
                yield data["delta"]


def test_each_delta_arrives_before_the_vendor_sends_the_next(served: Served, vendor: RunningVendor) -> None:
    vendor.release()  # the first one, which the reply waits for
    body = {"prompt": "Go [[chunks=5 hold]]"}
    with served.http.stream("POST", f"{served.url}/chat/stream", json=body) as response:
        assert response.status_code == 200
        arriving = deltas(response.iter_lines())
        seen = []
        for _ in range(4):
            seen.append(next(arriving).strip())
            vendor.release()
        vendor.release(None)
        seen += [text.strip() for text in arriving]
    assert [text for text in seen if text] == ["tok1", "tok2", "tok3", "tok4", "tok5"]


def test_a_client_that_leaves_after_the_third_delta_leaves_one_priced_row(
    served: Served, vendor: RunningVendor
) -> None:
    vendor.release(3)
    body = {"prompt": "Go [[chunks=50 hold]]"}
    with served.http.stream("POST", f"{served.url}/chat/stream", json=body) as response:
        arriving = deltas(response.iter_lines())
        for _ in range(3):
            next(arriving)
    vendor.release()  # a WSGI server notices that the client left only when it writes
    vendor.release()
    [row] = served.settled()

    assert row.cost_usd is not None
    assert row.cost_usd > Decimal(0)
    assert row.estimated
    assert row.error_code == "disconnected"
    assert row.output_tokens > 0


def test_a_vendor_that_ends_soon_after_the_client_left_is_billed_by_its_own_count(
    vendor: RunningVendor, transactional_db: None
) -> None:
    tenant = TenantFactory.create()
    keys = issue_site_keys(tenant)
    with running_site("uvicorn", options(vendor.url, DISCONNECT_DRAIN_S=20.0)) as url:
        served = Served(url, tenant, keys)
        with served.http:
            vendor.release(3)
            body = {"prompt": "Go [[chunks=9 hold usage=100,9]]"}
            with served.http.stream("POST", f"{served.url}/chat/stream", json=body) as response:
                arriving = deltas(response.iter_lines())
                for _ in range(3):
                    next(arriving)
            vendor.release(None)
            [row] = served.settled()

    assert not row.estimated
    assert (row.input_tokens, row.output_tokens) == (100, 9)


def test_a_client_that_leaves_during_a_whole_call_leaves_its_true_price(served: Served, vendor: RunningVendor) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        served.http.post(
            f"{served.url}/chat", json={"prompt": "Go [[hold usage=100,50]]"}, timeout=httpx2.Timeout(5, read=1.0)
        )
    vendor.release(None)
    [row] = served.settled()

    assert (row.input_tokens, row.output_tokens, row.estimated) == (100, 50, False)
    assert row.cost_usd == (100 * Decimal("0.15") + 50 * Decimal("0.60")) / 1_000_000


def test_every_api_answers_whole_and_streamed_behind_this_server(served: Served) -> None:
    messages = [{"role": "user", "content": "Go [[chunks=3]]"}]
    bodies: dict[str, dict[str, Any]] = {
        "chat": {"messages": messages},
        "chat/completions": {"model": "gpt-4o-mini", "messages": messages},
        "messages": {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": messages},
    }
    for path, body in bodies.items():
        whole = served.http.post(f"{served.url}/{path}", json=body)
        assert whole.status_code == 200, (path, whole.text)
        assert "tok1 tok2 tok3" in whole.text
        streamed = served.http.post(f"{served.url}/{path}", json={**body, "stream": True})
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert "tok3" in streamed.text
    assert len(served.settled(6)) == 6


def test_a_silent_vendor_is_bridged_by_comments(vendor: RunningVendor, transactional_db: None) -> None:
    keys = issue_site_keys(TenantFactory.create())
    with running_site("uvicorn", options(vendor.url, STREAM_HEARTBEAT_S=0.1)) as url:
        vendor.release(1)
        body = {"prompt": "Go [[chunks=2 hold]]"}
        headers = {"X-API-Key": keys.api_key.secret}
        with httpx2.stream("POST", f"{url}/wp-ai/v1/chat/stream", json=body, headers=headers, timeout=30) as response:
            lines = []
            for line in response.iter_lines():
                lines.append(line)
                if line.startswith(":"):
                    vendor.release(None)
    assert any(line.startswith(":") for line in lines)
    assert "data: [DONE]" in lines

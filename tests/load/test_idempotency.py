"""Repeated POSTs to real servers: many at once, and a client that left and comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from django_wp_ai.models import Tenant, UsageEvent
from django_wp_ai.security.issue import SiteKeys, issue_site_keys
from tests.api.conftest import options
from tests.factories import TenantFactory
from tests.servers import running_site
from tests.signing import message_signature
from tests.vendor.running import RunningVendor

pytestmark = pytest.mark.django_db(transaction=True)
KEY = {"Idempotency-Key": "key-1"}
SERVERS = ["uvicorn", "gunicorn"]


class Returning:
    """A site whose client tries again until its key no longer runs."""

    def __init__(self, urls: list[str], tenant: Tenant, keys: SiteKeys) -> None:
        self.urls = [f"{url}/wp-ai/v1" for url in urls]
        self.tenant = tenant
        self.keys = keys
        self.http = httpx2.Client(timeout=60, limits=httpx2.Limits(max_connections=100))

    @property
    def headers(self) -> dict[str, str]:
        return {"X-API-Key": self.keys.api_key.secret, **KEY}

    def post(self, path: str, body: Any, **how: Any) -> httpx2.Response:
        return self.http.post(f"{self.urls[0]}/{path}", json=body, headers=self.headers, **how)

    def again(self, path: str, body: Any) -> httpx2.Response:
        """The reply, once the first call is over; each 409 must say when to come back."""
        while (response := self.post(path, body)).status_code == 409:
            assert int(response.headers["retry-after"]) >= 1
            time.sleep(0.1)
        return response

    def rows(self) -> list[UsageEvent]:
        return list(UsageEvent.objects.for_tenant(self.tenant))


@pytest.fixture
def serve(vendor: RunningVendor, transactional_db: None) -> Iterator[Callable[..., Returning]]:
    with ExitStack() as stack:

        def start(*servers: str, **extra: Any) -> Returning:
            tenant = TenantFactory.create()
            keys = issue_site_keys(tenant)
            site_options = options(vendor.url, **{"DISCONNECT_DRAIN_S": 0.1, **extra})
            urls = [stack.enter_context(running_site(server, site_options)) for server in servers]
            site = Returning(urls, tenant, keys)
            stack.enter_context(site.http)
            return site

        yield start


@pytest.mark.parametrize("path", ["chat", "chat/stream"])
def test_fifty_at_once_in_several_processes_are_one_call(
    serve: Callable[..., Returning], vendor: RunningVendor, path: str
) -> None:
    site = serve("uvicorn", "uvicorn", "gunicorn", "gunicorn")
    body = json.dumps({"prompt": "Go [[chunks=5 delay=0.5]]"}).encode()

    def send(number: int) -> httpx2.Response:
        hmac = site.keys.hmac
        signed = message_signature(hmac.credential.key_id, hmac.secret, path=f"/wp-ai/v1/{path}", body=body)
        url = f"{site.urls[number % 4]}/{path}"
        return site.http.post(url, content=body, headers={**signed, **KEY, "Content-Type": "application/json"})

    with ThreadPoolExecutor(50) as threads:
        replies = list(threads.map(send, range(50)))
    assert {reply.status_code for reply in replies} <= {200, 409}
    assert any("idempotency-replayed" not in reply.headers for reply in replies if reply.status_code == 200)

    while any(reply.status_code == 409 for reply in replies):
        replies = [send(number) if reply.status_code == 409 else reply for number, reply in enumerate(replies)]
    assert len({reply.content for reply in replies}) == 1
    assert sum("idempotency-replayed" not in reply.headers for reply in replies) == 1
    assert len(vendor.requests) == len(site.rows()) == 1


@pytest.mark.parametrize("server", SERVERS)
def test_a_stream_that_its_client_left_is_there_when_it_comes_back(
    serve: Callable[..., Returning], vendor: RunningVendor, server: str
) -> None:
    site = serve(server)
    body = {"prompt": "Go [[chunks=20 hold usage=100,50]]"}
    vendor.release(3)
    with site.http.stream("POST", f"{site.urls[0]}/chat/stream", json=body, headers=site.headers) as response:
        lines = response.iter_lines()
        while "tok2" not in next(lines):
            pass
    assert site.post("chat/stream", body).status_code == 409
    vendor.release(None)

    whole = site.again("chat/stream", body)
    assert whole.headers["idempotency-replayed"] == "true"
    assert whole.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert all(f"tok{number}" in whole.text for number in range(1, 21))
    assert whole.text.endswith("data: [DONE]\n\n")
    [row] = site.rows()
    assert (row.output_tokens, row.estimated, row.error_code) == (50, False, "")
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("path", ["chat", "chat/stream"])
def test_a_client_that_left_before_the_first_byte_gets_the_answer_later(
    serve: Callable[..., Returning], vendor: RunningVendor, server: str, path: str
) -> None:
    site = serve(server)
    body = {"prompt": "Go [[chunks=3 hold]]"}
    with pytest.raises(httpx2.ReadTimeout):
        site.post(path, body, timeout=httpx2.Timeout(5, read=1.0))
    vendor.release(None)

    whole = site.again(path, body)
    assert whole.headers["idempotency-replayed"] == "true"
    assert "tok3" in whole.text
    assert len(vendor.requests) == len(site.rows()) == 1


def test_a_client_without_a_key_that_leaves_ends_its_stream(
    serve: Callable[..., Returning], vendor: RunningVendor
) -> None:
    site = serve("uvicorn")
    body = {"prompt": "Go [[chunks=3 hold]]"}
    headers = {"X-API-Key": site.keys.api_key.secret}
    with pytest.raises(httpx2.ReadTimeout):
        site.http.post(f"{site.urls[0]}/chat/stream", json=body, headers=headers, timeout=httpx2.Timeout(5, read=1.0))
    while not [row for row in site.rows() if row.state == "settled"]:
        time.sleep(0.05)
    [row] = site.rows()
    assert row.error_code == "disconnected"


@pytest.mark.parametrize("server", SERVERS)
def test_silence_is_bridged_and_not_kept(serve: Callable[..., Returning], vendor: RunningVendor, server: str) -> None:
    site = serve(server, STREAM_HEARTBEAT_S=0.1)
    body = {"prompt": "Go [[chunks=2 hold]]"}
    vendor.release(1)
    lines = []
    with site.http.stream("POST", f"{site.urls[0]}/chat/stream", json=body, headers=site.headers) as response:
        for line in response.iter_lines():
            lines.append(line)
            if line.startswith(":"):
                vendor.release(None)
    assert any(line.startswith(":") for line in lines)
    again = site.again("chat/stream", body)
    assert again.text.splitlines() == [line for number, line in enumerate(lines) if not _is_heartbeat(lines, number)]


def _is_heartbeat(lines: list[str], number: int) -> bool:
    """A comment, or the empty line after it."""
    return lines[number].startswith(":") or (number > 0 and lines[number - 1].startswith(":"))

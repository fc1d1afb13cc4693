"""The short way in gives the answers that the host's whole stack gives, and takes this app's calls only."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from django.conf import settings as django_settings
from django.core import signals
from django.core.asgi import get_asgi_application

from django_wp_ai.asgi import gateway
from django_wp_ai.models import Tenant
from django_wp_ai.providers import registry
from django_wp_ai.security.issue import SiteKeys, issue_site_keys
from tests.api.conftest import MOUNT
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db(transaction=True)

Application = Callable[..., Awaitable[None]]
CHAT = {"model": "offline:offline-extractive", "messages": [{"role": "user", "content": "What is a widget?"}]}
ORIGIN = "https://site.example"
JSON = {"content-type": "application/json"}


def scope_of(method: str, path: str, headers: dict[str, str], *, root_path: str = "") -> dict[str, Any]:
    path, _, query = path.partition("?")
    fields = {"host": "testserver", **headers}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": root_path + path,
        "raw_path": (root_path + path).encode(),
        "root_path": root_path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("testserver", 80),
    }


async def ask(application: Application, scope: dict[str, Any], body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """One request through an ASGI application: status, headers, body."""
    received = iter([{"type": "http.request", "body": body, "more_body": False}])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(received, None) or await asyncio.get_running_loop().create_future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest_asyncio.fixture(autouse=True)
async def closed_connections() -> AsyncIterator[None]:
    """What a test's own event loop opened to the stand-in ends with it."""
    yield
    await registry.aclose()


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return TenantFactory.create(origins=[ORIGIN])


@pytest.fixture
def keys(tenant: Tenant) -> SiteKeys:
    return issue_site_keys(tenant)


def chat(**fields: Any) -> bytes:
    return json.dumps({**CHAT, **fields}).encode()


REQUESTS: list[tuple[str, str, dict[str, str], bytes]] = [
    ("GET", "health/live", {}, b""),
    ("HEAD", "health/live", {}, b""),
    ("POST", "health/live", {}, b""),
    ("GET", "health/nothing", {}, b""),
    ("POST", "v1/chat", JSON, chat()),
    ("POST", "v1/chat", JSON, chat(stream=True)),
    ("POST", "v1/chat", JSON, chat(temperature="hot")),
    ("POST", "v1/chat", JSON, b"{"),
    ("POST", "v1/chat", {"content-type": "text/plain"}, chat()),
    ("POST", "v1/chat", {**JSON, "authorization": "Bearer no"}, chat()),
    ("POST", "v1/chat", {**JSON, "content-length": "99999999"}, chat()),
    ("POST", "v1/chat/completions", JSON, chat()),
    ("POST", "v1/messages", JSON, chat(max_tokens=20)),
    ("POST", "v1/messages", JSON, b"[]"),
    ("POST", "v1/chat/", JSON, chat()),
    ("DELETE", "v1/chat", {}, b""),
    ("GET", "v1/models", {}, b""),
    ("GET", "v1/models/nothing", {}, b""),
    ("GET", "v1/models/offline:offline-extractive", {}, b""),
    ("GET", "v1/models", {"host": "evil.example"}, b""),
    ("GET", "v1/models", {"host": "two words"}, b""),
    ("GET", "v1/models?a=%ff", {}, b""),
    ("OPTIONS", "v1/chat/stream", {"origin": ORIGIN}, b""),
    ("OPTIONS", "v1/chat/stream", {"origin": "https://evil.example"}, b""),
    ("GET", "v1/chat/stream?q=Hi", {"origin": ORIGIN}, b""),
    ("GET", "v1/nothing", {}, b""),
    ("GET", "v1/docs", {}, b""),
    ("GET", "v1/openapi.json", {}, b""),
    ("GET", "../admin/", {}, b""),
]


def comparable(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], str]:
    """An answer without what differs from call to call."""
    status, headers, body = answer
    text = re.sub(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", "<id>", body.decode())
    text = re.sub(r'"created": ?\d+|csrfToken[^,]+,|token="[^"]+"', "<once>", text)
    return status, {name: value for name, value in headers.items() if name != "set-cookie"}, text


@pytest.mark.parametrize(("method", "path", "headers", "body"), REQUESTS)
async def test_an_answer_is_the_one_of_the_hosts_whole_stack(
    keys: SiteKeys, settings: Any, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    given = {"authorization": f"Bearer {keys.api_key.secret}", "x-request-id": "one", **headers}
    if body and "content-length" not in given:
        given["content-length"] = str(len(body))
    plain = get_asgi_application()
    expected, found = [
        comparable(await ask(application, scope_of(method, MOUNT + path, given), body))
        for application in (plain, gateway(plain))
    ]
    assert found == expected


@pytest.mark.parametrize("path", ["v1/models", "health/live", "v1/nothing", "v1/docs"])
async def test_a_call_without_https_is_redirected_where_the_host_wants_that(
    keys: SiteKeys, settings: Any, path: str
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.MIDDLEWARE = [*django_settings.MIDDLEWARE, "django.middleware.clickjacking.XFrameOptionsMiddleware"]
    plain = get_asgi_application()
    expected, found = [
        comparable(await ask(application, scope_of("GET", MOUNT + path, {}))) for application in (plain, gateway(plain))
    ]
    assert found == expected
    assert found[0] == 301


class Host:
    """A host's application that only notes what came to it."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope.get("path", scope["type"]))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 418, "headers": []})
            await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    "path", ["/", "/admin/", "/wp-ai", "/wp-ai/", "/wp-ai/v1/docs", "/wp-ai/v1/nothing", "/v1/chat", "/wp-ai/own"]
)
async def test_what_is_no_call_to_this_app_goes_to_the_host(path: str) -> None:
    host = Host()
    assert (await ask(gateway(host), scope_of("GET", path, {})))[0] == 418
    assert host.paths == [path]


async def test_other_protocols_go_to_the_host() -> None:
    host = Host()
    for kind in ("lifespan", "websocket"):
        await gateway(host)({"type": kind}, None, None)
    assert host.paths == ["lifespan", "websocket"]


async def test_a_call_to_this_app_does_not_reach_the_host() -> None:
    host = Host()
    assert (await ask(gateway(host), scope_of("GET", "/wp-ai/health/live", {})))[0] == 200
    assert (await ask(gateway(host), scope_of("GET", "/wp-ai/v1/models/some/thing", {})))[0] == 401
    assert not host.paths


async def test_a_site_below_a_path_of_its_server_is_served() -> None:
    host = Host()
    application = gateway(host)
    assert (await ask(application, scope_of("GET", "/wp-ai/health/live", {}, root_path="/sub")))[0] == 200
    assert (await ask(application, scope_of("GET", "/other", {}, root_path="/sub")))[0] == 418


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """The signals of requests that a tracer hears."""
    found: list[str] = []

    def started(**_: Any) -> None:
        found.append("started")

    def finished(**_: Any) -> None:
        found.append("finished")

    signals.request_started.connect(started)
    signals.request_finished.connect(finished)
    yield found
    signals.request_started.disconnect(started)
    signals.request_finished.disconnect(finished)


async def test_who_listens_to_djangos_request_signals_hears_them(heard: list[str]) -> None:
    await ask(gateway(Host()), scope_of("GET", "/wp-ai/health/live", {}))
    assert heard == ["started", "finished"]


@pytest.mark.parametrize("after", ["nothing", "half"])
async def test_a_client_that_leaves_before_its_body_is_whole_gets_nothing(after: str) -> None:
    messages = [{"type": "http.request", "body": b"{", "more_body": True}] if after == "half" else []
    messages.append({"type": "http.disconnect"})
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await gateway(Host())(scope_of("POST", "/wp-ai/v1/chat", JSON), receive, send)
    assert sent == []


async def test_a_query_that_is_no_utf8_is_a_bad_request() -> None:
    scope = scope_of("GET", "/wp-ai/v1/models", {})
    scope["query_string"] = b"\xff"
    assert (await ask(gateway(Host()), scope))[0] == 400

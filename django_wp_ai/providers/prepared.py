"""How a vendor's SDK would send a request: learned once from the SDK itself, then used for every call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2
from multidict import istr

from django_wp_ai.providers.transport import ACCEPT_ENCODING

PER_REQUEST = frozenset({"content-length", "transfer-encoding", "host", "accept-encoding"})


class SdkClient(Protocol):
    """What both SDKs' async clients can do."""

    async def post(self, path: str, *, cast_to: Any, body: Any) -> Any:
        """Send ``body`` as JSON."""

    async def close(self) -> None:
        """Release the connections."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where the requests of one kind go, and their header fields: key, version, user agent and the like."""

    url: str
    fields: tuple[tuple[str, str], ...]


class _Recorder(httpx2.AsyncBaseTransport):
    """Sends nothing: remembers the request and answers it with an empty object."""

    request: httpx2.Request

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.request = request
        return httpx2.Response(200, json={})


def unconnected() -> httpx2.AsyncClient:
    """An HTTP client that sends nothing, for what of an SDK needs no network."""
    return httpx2.AsyncClient(transport=_Recorder())


async def prepare(connect: Callable[[httpx2.AsyncClient], SdkClient], path: str, body: Mapping[str, Any]) -> Prepared:
    """Let an SDK client, made by ``connect`` on a given HTTP client, send ``body`` to nobody."""
    recorder = _Recorder()
    sdk = connect(httpx2.AsyncClient(transport=recorder))
    try:
        await sdk.post(path, cast_to=httpx2.Response, body=body)
    finally:
        await sdk.close()
    sent = recorder.request
    fields = [(name.decode("ascii"), value.decode("latin-1")) for name, value in sent.headers.raw]
    own = [(istr(name), value) for name, value in fields if name.lower() not in PER_REQUEST]
    url = f"{sent.url.scheme}://{sent.url.netloc.decode()}{sent.url.raw_path.decode()}"  # without a password
    return Prepared(url, (*own, (istr("Accept-Encoding"), ACCEPT_ENCODING)))

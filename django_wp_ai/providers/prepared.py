"""How a vendor's SDK would send a request: learned once from the SDK itself, then used for every call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2

PER_REQUEST = frozenset({"content-length", "transfer-encoding", "host"})


class SdkClient(Protocol):
    """What both SDKs' async clients can do."""

    async def post(self, path: str, *, cast_to: Any, body: Any) -> Any:
        """Send ``body`` as JSON."""

    async def close(self) -> None:
        """Release the connections."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where the requests of one kind go, and their headers: key, version, user agent and the like."""

    url: httpx2.URL
    headers: httpx2.Headers

    def request(self, body: Mapping[str, Any], timeout: httpx2.Timeout) -> httpx2.Request:
        """A request with this body; raises ValueError for what is no JSON."""
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return httpx2.Request(
            "POST", self.url, headers=self.headers, content=content, extensions={"timeout": timeout.as_dict()}
        )


class _Recorder(httpx2.AsyncBaseTransport):
    """Sends nothing: remembers the request and answers it with an empty object."""

    request: httpx2.Request

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.request = request
        return httpx2.Response(200, json={})


async def prepare(connect: Callable[[httpx2.AsyncClient], SdkClient], path: str, body: Mapping[str, Any]) -> Prepared:
    """Let an SDK client, made by ``connect`` on a given HTTP client, send ``body`` to nobody."""
    recorder = _Recorder()
    sdk = connect(httpx2.AsyncClient(transport=recorder))
    try:
        await sdk.post(path, cast_to=httpx2.Response, body=body)
    finally:
        await sdk.close()
    sent = recorder.request
    fields = ((name, value) for name, value in sent.headers.raw if name.decode("ascii").lower() not in PER_REQUEST)
    return Prepared(sent.url, httpx2.Headers(list(fields)))

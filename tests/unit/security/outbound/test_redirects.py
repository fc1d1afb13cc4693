"""A redirect is a reply, or a new request that passes every check of the first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from django_wp_ai.security.outbound import OutboundError, send
from tests.unit.security.outbound.servers import OK, listening, redirecting

SECRET = {
    "Authorization": "Bearer x",
    "Cookie": "a=b",
    "Signature": "sig=:x:",
    "Signature-Input": "sig=()",
    "webhook-signature": "v1,x",
    "X-AI-Signature": "x",
    "X-Own": "x",
}
HARMLESS = {"Accept": "application/pdf", "Range": "bytes=0-"}


@pytest.fixture(autouse=True)
def loopback(allow_networks: Callable[..., None]) -> None:
    allow_networks("127.0.0.1/32")


async def test_where_none_is_allowed_a_redirect_is_the_reply() -> None:
    async with listening() as there, listening(redirecting(there.url())) as here:
        reply = await send("POST", here.url(), body=b"x", max_bytes=10, timeout_s=60)
        assert (reply.status, reply.headers["location"], reply.url) == (302, there.url(), here.url())
        assert not there.connections


@pytest.mark.parametrize("location", ["/there?a=b", "there?a=b", "//{}/there?a=b#c", "HTTP://{}/there?a=b"])
async def test_it_is_followed_within_a_site_with_all_headers_and_no_cookie_of_it(location: str) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        where = location.replace("{}", f"127.0.0.1:{here.port}")
        head = f"HTTP/1.1 302 Moved\r\nSet-Cookie: c=d\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode() if len(here.requests) == 1 else OK)

    async with listening(answer) as here:
        reply = await send("GET", here.url("/here"), headers=SECRET, max_bytes=10, timeout_s=60, max_redirects=1)
        assert (reply.body, reply.url) == (b"ok", here.url("/there?a=b"))
        assert {name.lower() for name in SECRET} <= set(here.headers)
        assert here.headers["cookie"] == "a=b"


async def test_another_site_gets_neither_authorization_nor_signatures() -> None:
    async with listening() as there, listening(redirecting(there.url())) as here:
        headers = {**SECRET, **HARMLESS}
        reply = await send("GET", here.url(), headers=headers, max_bytes=10, timeout_s=60, max_redirects=1)
        assert reply.url == there.url()
        assert {name.lower() for name in SECRET} <= set(here.headers)
        assert not {name.lower() for name in SECRET} & set(there.headers)
        assert there.headers["accept"] == "application/pdf"
        assert there.headers["range"] == "bytes=0-"


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{}/",
        "http://127.1:{}/",
        "//127.0.0.2:{}/",
        "http://a@127.0.0.1:{}/",
        "ftp://127.0.0.1:{}/",
        "file:///etc/passwd",
        "http://127.0.0.1\t:{}/",
        "\\\\127.0.0.1:{}/",
        "http://[::1:{}/",
        "http://127.0.0.1:{}/" + "a" * 5000,
    ],
)
async def test_a_redirect_to_what_a_url_may_not_be_is_refused(location: str) -> None:
    async with (
        listening(host="127.0.0.2") as there,
        listening(redirecting(location.replace("{}", str(there.port)))) as here,
    ):
        with pytest.raises(OutboundError) as failed:
            await send("GET", here.url(), max_bytes=10, timeout_s=60, max_redirects=3)
        assert failed.value.code == "url_refused"
        assert (here.connections, there.connections) == (1, 0)


async def test_a_site_that_redirects_for_ever_is_left() -> None:
    async with listening(redirecting("/again")) as here:
        with pytest.raises(OutboundError) as failed:
            await send("GET", here.url(), max_bytes=10, timeout_s=60, max_redirects=3)
        assert failed.value.code == "too_many_redirects"
        assert here.connections == 4


@pytest.mark.parametrize(
    ("method", "status", "sent"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("PUT", 302, "PUT"),
        ("PUT", 303, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
    ],
)
async def test_a_redirect_changes_the_method_as_browsers_do(method: str, status: int, sent: str) -> None:
    async with listening(redirecting("/there", status)) as here:
        body = b"" if method == "HEAD" else b"body"
        headers = {"Content-Type": "text/plain"}
        with pytest.raises(OutboundError):  # this site knows nothing else
            await send(method, here.url(), headers=headers, body=body, max_bytes=10, timeout_s=60, max_redirects=1)
        head, _, came = here.requests[-1].partition(b"\r\n\r\n")
    assert head.split()[0] == sent.encode()
    assert came == (body if sent == method else b"")
    assert (b"content-type" in head.lower()) is (sent == method and method != "GET" and status != 303)


@pytest.mark.parametrize("status", [307, 308])
async def test_a_body_is_not_carried_to_another_site(status: int) -> None:
    async with listening() as there, listening(redirecting(there.url(), status)) as here:
        with pytest.raises(OutboundError) as failed:
            await send("POST", here.url(), body=b"body", max_bytes=10, timeout_s=60, max_redirects=1)
        assert failed.value.code == "url_refused"
        assert not there.connections


@pytest.mark.parametrize("status", [300, 304, 305])
async def test_other_replies_of_that_class_are_not_followed(status: int) -> None:
    async with listening() as there, listening(redirecting(there.url(), status)) as here:
        reply = await send("GET", here.url(), max_bytes=10, timeout_s=60, max_redirects=3)
        assert reply.status == status
        assert not there.connections

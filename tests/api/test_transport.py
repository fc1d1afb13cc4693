"""Bytes that no well-behaved client sends, on the sockets of real servers."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.api.conftest import options
from tests.api.refusals import row_counts
from tests.factories import make_credential
from tests.servers import running_site
from tests.vendor.running import RunningVendor

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/wp-ai/v1/chat"
BODY = b'{"model": "offline-extractive", "prompt": "Hi"}'


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn"])
def address(
    request: pytest.FixtureRequest, vendor_server: RunningVendor, django_db_setup: None
) -> Iterator[tuple[str, int]]:
    """One server of each kind for all tests here; it keeps nothing between them."""
    with running_site(request.param, options(vendor_server.url)) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


class Line:
    """A connection to the server, and a key that it knows."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.key = make_credential("api_key").secret

    def head(self, *fields: str, method: str = "POST", path: str = PATH) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"X-API-Key: {self.key}", "Connection: close", *fields]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def exchange(self, sent: bytes, *, end: bool = True) -> bytes:
        """Send, say that no more will come, and read until the server hangs up."""
        with socket.create_connection(self.address) as line:
            try:
                line.sendall(sent)
                if end:
                    line.shutdown(socket.SHUT_WR)
            except ConnectionError:
                pass  # the server answered before it had heard all of it
            return _all_of(line)

    def answers(self) -> bool:
        reply = self.exchange(self.head(f"Content-Length: {len(BODY)}") + BODY, end=False)
        return statuses(reply) == [200]


def _all_of(line: socket.socket) -> bytes:
    received = b""
    try:
        while piece := line.recv(65536):
            received += piece
    except ConnectionError:
        pass  # hung up on with our bytes unread
    return received


def statuses(reply: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", reply)]


def problem_of(reply: bytes) -> str:
    code = json.loads(reply[reply.index(b"{") : reply.rindex(b"}") + 1])["code"]
    assert isinstance(code, str)
    return code


@pytest.fixture
def line(address: tuple[str, int], transactional_db: None) -> Iterator[Line]:
    line = Line(address)
    before = row_counts()
    yield line
    assert row_counts() == before  # a good call at the end of a test would show here
    assert line.answers()


def chunks(body: bytes, size: int = 65536) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_less_than_the_content_length_is_not_taken_for_the_whole(line: Line) -> None:
    reply = line.exchange(line.head("Content-Length: 500") + BODY)
    assert statuses(reply) in ([], [422])


def test_more_than_the_content_length_is_no_part_of_the_body(line: Line) -> None:
    reply = line.exchange(line.head("Content-Length: 10") + BODY, end=False)
    assert statuses(reply)[0] == 422
    assert problem_of(reply) == "invalid"


def test_half_a_body_and_a_client_that_is_gone_leave_nothing(line: Line) -> None:
    for _ in range(3):
        with socket.create_connection(line.address) as gone:
            gone.sendall(line.head(f"Content-Length: {len(BODY)}") + BODY[:10])
    assert line.exchange(line.head("Content-Length: 0"), end=False)


def test_a_chunked_body_beyond_the_limit_is_refused(line: Line) -> None:
    huge = b'{"prompt": "' + b"x" * 10_000_000 + b'"}'
    reply = line.exchange(line.head("Transfer-Encoding: chunked") + chunks(huge), end=False)
    assert statuses(reply) in ([413], [])  # its reply may be lost when it hangs up on a client that still sends


def test_a_broken_chunk_is_refused(line: Line) -> None:
    for broken in (b"zz\r\n{}\r\n0\r\n\r\n", b"5\r\n{}", b"-1\r\n\r\n"):
        reply = line.exchange(line.head("Transfer-Encoding: chunked") + broken)
        assert statuses(reply) in ([], [400], [422])


def test_a_gzip_bomb_is_refused_unread(line: Line) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    reply = line.exchange(line.head("Content-Encoding: gzip", f"Content-Length: {len(bomb)}") + bomb, end=False)
    assert statuses(reply) == [415]
    assert problem_of(reply) == "unsupported_media"


def test_a_declared_10_mb_is_refused(line: Line) -> None:
    reply = line.exchange(line.head("Content-Length: 10000000") + b"x" * 10_000_000, end=False)
    assert statuses(reply) in ([413], [])


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: ten",),
        ("Content-Length: -5",),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip",),
        ("X-Request-ID: a\x00b", "Content-Length: 0"),
    ],
)
def test_a_head_that_contradicts_itself_is_never_a_500(line: Line, fields: tuple[str, ...]) -> None:
    assert all(400 <= status < 500 for status in statuses(line.exchange(line.head(*fields) + BODY)))


def test_garbage_behind_a_good_request_spoils_only_itself(line: Line) -> None:
    good = line.head(method="GET", path="/wp-ai/v1/models").replace(b"Connection: close\r\n", b"")
    found = statuses(line.exchange(good + b"\x00\xff\xfe garbage\r\n\r\n" * 3))
    assert found
    assert set(found) <= {200, 400}


@pytest.mark.parametrize(
    "path", ["/wp-ai/v1/%ff%fe", "/wp-ai/v1/..%2f..%2fadmin", "//wp-ai/v1/chat", "/wp-ai/v1/%00", "*"]
)
def test_a_strange_path_is_not_found_and_never_a_500(line: Line, path: str) -> None:
    reply = line.exchange(line.head("Content-Length: 0", path=path), end=False)
    assert set(statuses(reply)) <= {400, 404}


def test_a_chunked_body_is_read_by_every_server(address: tuple[str, int], transactional_db: None) -> None:
    line = Line(address)
    reply = line.exchange(line.head("Transfer-Encoding: chunked") + chunks(BODY, 7), end=False)
    assert statuses(reply) == [200]

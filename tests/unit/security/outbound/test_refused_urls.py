"""URLs that lead, or try to lead, into private networks: refused before a byte is sent."""

from __future__ import annotations

import pytest

from django_wp_ai.security.outbound import OutboundError, check_url, send
from tests.unit.security.outbound.servers import Listener, listening, redirecting

#: Spellings of the listener's own address; {} is its port.
LOOPBACK = [
    "http://127.0.0.1:{}/",
    "HTTP://127.0.0.1:{}/",
    "http://127.0.0.1.:{}/",
    "http://127.0.0.2:{}/",
    "http://127.1:{}/",
    "http://127.0.1:{}/",
    "http://2130706433:{}/",
    "http://0x7f000001:{}/",
    "http://0x7f.0.0.1:{}/",
    "http://0X7F.0.0.0X1:{}/",
    "http://0177.0.0.1:{}/",
    "http://017700000001:{}/",
    "http://127.0.0.01:{}/",
    "http://127.0.0.1%00:{}/",
    "http://%31%32%37.0.0.1:{}/",
    "http://１２７.0.0.1:{}/",
    "http://①②⑦.⓪.⓪.①:{}/",
    "http://127。0。0。1:{}/",
    "http://127.0.0.\u00ad1:{}/",
    "http://0.0.0.0:{}/",
    "http://0:{}/",
    "http://[::1]:{}/",
    "http://[0:0:0:0:0:0:0:1]:{}/",
    "http://[::]:{}/",
    "http://[::ffff:127.0.0.1]:{}/",
    "http://[::ffff:7f00:1]:{}/",
    "http://[::127.0.0.1]:{}/",
    "http://[64:ff9b::7f00:1]:{}/",
    "http://[2002:7f00:1::]:{}/",
    "http://[::1%25lo]:{}/",
    "http://[::1%lo]:{}/",
    "http://[127.0.0.1]:{}/",
    "http://::1:{}/",
    "http://localhost:{}/",
    "http://LOCALHOST.:{}/",
    "http://sub.localhost:{}/",
    "http://ⓛocalhost:{}/",
]
USERINFO = [
    "http://example.org@127.0.0.1:{}/",
    "http://127.0.0.1:{}@example.org/",
    "http://user:password@example.org:{}/",
    "http://@127.0.0.1:{}/",
    "http://example.org\\@127.0.0.1:{}/",
    "http://127.0.0.1:{}\\@example.org/",
    "http://127.0.0.1:{}#@example.org/",
    "http://127.0.0.1:{}?@example.org/",
]
BROKEN = [
    "",
    "127.0.0.1:{}",
    "//127.0.0.1:{}/",
    "http:127.0.0.1:{}/",
    "http:/127.0.0.1:{}/",
    "http:///127.0.0.1:{}/",
    "http:\\\\127.0.0.1:{}/",
    " http://127.0.0.1:{}/",
    "http://127.0.0.1:{}/ ",
    "http://127.0.0.1:{}/\n",
    "ht\ttp://127.0.0.1:{}/",
    "http://127.0\t.0.1:{}/",
    "http://127.0.0.1\n:{}/",
    "http://127.0.0.1\r\nHost: example.org:{}/",
    "http://exam ple.org:{}/",
    "http://127.0.0.1 :{}/",
    "http://[::1:{}/",
    "http://::1]:{}/",
    "http://a..b:{}/",
    "http://.:{}/",
    "http://[1::2::3]:{}/",
    "http://ü..ü:{}/",
    "http://\u2025:{}/",
    "http://-a.example:{}/",
    "http://" + "a" * 64 + ".example:{}/",
    "http://" + "a." * 127 + "example:{}/",
    "http://example.org:{}/" + "a" * 4096,
    "http://example.org:{}/\ud800",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{}/",
    "gopher://127.0.0.1:{}/",
    "unix:///run/docker.sock",
    "javascript:alert(1)",
    "data:text/plain,x",
]
PORTS = [
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:{}000000/",
    "http://127.0.0.1:-{}/",
    "http://127.0.0.1:+{}/",
    "http://127.0.0.1:{}a/",
    "http://127.0.0.1:{}:{}/",
    "http://example.org:22/",
    "http://example.org:25/",
    "http://example.org:0025/",
    "https://example.org:5432/",
    "http://example.org:6379/",
    "http://example.org:１１/",
]
EVERY = [*LOOPBACK, *USERINFO, *BROKEN, *PORTS]


@pytest.mark.parametrize("url", EVERY)
async def test_it_is_refused_with_nothing_sent(url: str) -> None:
    async with listening() as listener:
        with pytest.raises(OutboundError) as refused:
            await send("POST", at(url, listener), body=b"secret", max_bytes=100, timeout_s=60)
        assert refused.value.code == "url_refused"
        assert not listener.connections


@pytest.mark.parametrize("url", EVERY)
def test_it_is_refused_without_a_look_up_where_it_is_given(url: str) -> None:
    with pytest.raises(OutboundError) as refused:
        check_url(url.replace("{}", "8080"))
    assert refused.value.code == "url_refused"


@pytest.mark.parametrize("url", [url for url in EVERY if "\ud800" not in url])
async def test_a_redirect_there_is_refused(url: str) -> None:
    async with listening() as inside, listening(redirecting(at(url, inside)), host="127.0.0.3") as site:
        with pytest.raises(OutboundError) as refused:
            await send("GET", site.url(), allowed_hosts=["127.0.0.3"], max_bytes=100, timeout_s=60, max_redirects=3)
        # A location that is no URL of its own is one of the site's, and leads back there.
        assert refused.value.code in {"url_refused", "too_many_redirects", "reply_invalid"}
        assert not inside.connections


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "HTTPS://Example.ORG./a?b=c#d",
        "https://münchen.example/straße",
        "https://example.org:8443/x y?q=ü",
        "http://8.8.8.8/",
        "http://[2606:4700::1111]:8080/",
        "https://xn--mnchen-3ya.example:/",
        "https://a_b.example/%zz/../x?url=http://127.0.0.1/",
    ],
)
def test_a_public_url_is_accepted(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("http://10.0.0.7:6379/", ["10.0.0.7"]),
        ("http://[fd00::7]/", ["FD00:0::7"]),
        ("http://BLOG.internal:22/", ["blog.INTERNAL."]),
        ("http://bücher.test:22/", ["xn--bcher-kva.test"]),
        ("http://localhost/", ["localhost"]),
        ("http://169.254.169.254/", ["169.254.169.254"]),
    ],
)
def test_a_listed_host_is_accepted_in_any_spelling_and_with_any_port(url: str, hosts: list[str]) -> None:
    check_url(url, allowed_hosts=hosts)
    with pytest.raises(OutboundError):
        check_url(url, allowed_hosts=["other.example", "10.0.0.8", "*", "", "no host"])


def test_a_listed_address_does_not_open_what_carries_it() -> None:
    with pytest.raises(OutboundError):
        check_url("http://[::ffff:10.0.0.7]/", allowed_hosts=["10.0.0.7"])


def test_the_refusal_says_no_address() -> None:
    for url in ("http://10.1.2.3/", "http://[::ffff:10.1.2.3]/", "http://0xa010203/"):
        with pytest.raises(OutboundError) as refused:
            check_url(url)
        assert not any(character.isdigit() for character in str(refused.value))


def at(url: str, listener: Listener) -> str:
    return url.replace("{}", str(listener.port))

"""The client's address behind proxies: only what a trusted one wrote is believed."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_wp_ai.security.client_ip import client_ip, is_within


@pytest.fixture
def behind_proxies(settings: Any) -> None:
    proxies = ["10.0.0.0/8", "fd00::/8"]
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "TRUSTED_PROXIES": proxies}


@pytest.mark.parametrize("forwarded", ["", "198.51.100.9", "127.0.0.1, 198.51.100.9", "garbage"])
def test_without_trusted_proxies_the_header_counts_for_nothing(forwarded: str) -> None:
    assert client_ip("203.0.113.7", forwarded) == "203.0.113.7"


@pytest.mark.usefixtures("behind_proxies")
@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("203.0.113.7", "198.51.100.9", "203.0.113.7"),  # no proxy of ours: it wrote the header itself
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("::ffff:10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "10.9.9.9, 127.0.0.1, 198.51.100.9", "198.51.100.9"),  # what stands left was made up
        ("10.0.0.1", "198.51.100.9, 10.0.0.2, 10.0.0.3", "198.51.100.9"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", " , 198.51.100.9 , ", "198.51.100.9"),
        ("10.0.0.1", "198.51.100.9:51234", "198.51.100.9"),
        ("10.0.0.1", "[2001:db8::1]:51234", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.1", "198.51.100.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.9, \x00", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.9, \ud800", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.9, 1.2.3.4:5:6", "10.0.0.1"),
        ("", "198.51.100.9", ""),
    ],
)
def test_the_nearest_address_that_is_no_proxy_is_the_clients(remote: str, forwarded: str, expected: str) -> None:
    assert client_ip(remote, forwarded) == expected


@pytest.mark.usefixtures("behind_proxies")
def test_a_header_of_thousands_of_hops_is_read_from_its_end_only() -> None:
    assert client_ip("10.0.0.1", "198.51.100.9, " + "10.0.0.2, " * 10_000 + "10.0.0.3") == "10.0.0.2"


@pytest.mark.parametrize(
    ("ip", "within"),
    [
        ("192.0.2.1", True),
        ("::ffff:192.0.2.1", True),
        ("2001:db8::5", True),
        ("192.0.3.1", False),
        ("2001:db9::5", False),
        ("", False),
        ("192.0.2.1 ", False),
        ("192.0.2.1/32", False),
        ("3221225985", False),
        ("0xc0000201", False),
        ("192.0.2.01", False),
        ("\ud800", False),
    ],
)
def test_an_address_is_in_a_network_or_it_is_not(ip: str, within: bool) -> None:
    assert is_within(ip, ("192.0.2.0/24", "2001:db8::/32")) is within


def test_no_network_holds_no_address() -> None:
    assert not is_within("192.0.2.1", ())


@pytest.mark.parametrize("cidr", ["10.0.0.1/8", "10.0.0.0/33", "proxy", ""])
def test_a_network_that_is_none_is_a_clear_error(settings: Any, cidr: str) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "TRUSTED_PROXIES": [cidr]}
    with pytest.raises(ImproperlyConfigured, match="Not a network in CIDR notation"):
        client_ip("10.0.0.1", "198.51.100.9")

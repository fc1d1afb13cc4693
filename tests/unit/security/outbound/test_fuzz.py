"""Any text at all: refused as a URL, or accepted and then public in the eyes of ``ipaddress`` too."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_wp_ai.security.outbound import OutboundError, check_url
from django_wp_ai.security.outbound.addresses import is_public
from django_wp_ai.security.outbound.destination import AllowList, read

NOBODY = AllowList.of(())
numbers = st.integers(0, 2**32).map(str) | st.integers(0, 2**32).map(hex) | st.integers(0, 2**32).map(oct)
addresses = st.ip_addresses().map(str)
pieces = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["127.0.0.1", "[::1]", "example.org", "//", "::", *"@:/\\%#?.[]１。\t"]),
    numbers,
    addresses,
)
urls = st.text() | st.lists(pieces, max_size=8).map(lambda found: "http://" + "".join(found))
#: What Python calls global and the registries, or clouds, don't mean for everybody. We refuse it.
STRICTER = ("168.63.129.16", "192.88.99.0/24", "192.0.0.0/24", "224.0.0.0/4", "2001::/23", "2002::/16", "3fff::/20")


@given(url=urls, hosts=st.lists(st.text() | addresses, max_size=2))
def test_any_text_is_accepted_or_refused_in_the_documented_way(url: str, hosts: list[str]) -> None:
    with suppress(OutboundError):  # anything else fails
        check_url(url, allowed_hosts=hosts)


@given(url=urls)
def test_what_is_accepted_reads_the_same_again_and_is_public(url: str) -> None:
    try:
        destination = read(url, NOBODY)
    except OutboundError:
        return
    assert read(destination.url, NOBODY) == destination
    assert destination.url.isascii()
    if destination.address is not None:
        assert destination.address.is_global


@given(address=st.ip_addresses())
def test_what_is_public_is_global_to_python_too(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
    elif address.is_global and address.version == 4:
        assert any(address in ipaddress.ip_network(network) for network in STRICTER)


@pytest.mark.parametrize("network", ["10.0.0.0/8", "fc00::/7", "64:ff9b::/96", "2002::/16", "::ffff:0:0/96"])
@given(data=st.data())
def test_no_address_of_a_private_network_is_accepted(network: str, data: st.DataObject) -> None:
    address = data.draw(st.ip_addresses(network=network))
    with pytest.raises(OutboundError):
        check_url(f"http://{address}/" if address.version == 4 else f"http://[{address}]/")

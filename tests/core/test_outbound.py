from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.outbound import ALLOWED_MAX, LOOPBACK, NOBODY, read_allowed, why_internal

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.255.255",
    "223.255.255.255",
    "168.63.129.15",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "2003::1",
    "64:ff9b::808:808",
)
INTERNAL = {
    "0.0.0.0": "this network",
    "0.1.2.3": "this network",
    "10.1.2.3": "private",
    "100.64.0.1": "a carrier's own network",
    "100.100.100.200": "a carrier's own network",
    "127.0.0.1": "loopback",
    "127.255.255.255": "loopback",
    "169.254.169.254": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "protocol assignments",
    "192.0.2.1": "documentation",
    "192.168.0.1": "private",
    "192.88.99.1": "6to4 relays",
    "198.18.0.1": "benchmarks",
    "198.51.100.7": "documentation",
    "203.0.113.7": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "168.63.129.16": "a cloud's own services",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:10.0.0.1": "private",
    "::ffff:0:169.254.169.254": "link-local",
    "::ffff:8.8.8.8": "reserved",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a9fe:a9fe": "link-local",
    "64:ff9b:1::1": "reserved",
    "100::1": "reserved",
    "2001::1": "protocol assignments",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4",
    "2002:0808:0808::1": "6to4",
    "3fff::1": "documentation",
    "2a00:1450::5efe:7f00:1": "loopback",
    "2a00:1450::200:5efe:a00:1": "private",
    "fc00::1": "private",
    "fd00:ec2::254": "private",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "::1%lo": "loopback",
    "fec0::1": "reserved",
    "ff02::1": "multicast",
    "5f00::1": "reserved",
    "localhost": "no address",
    "127.1": "no address",
    "": "no address",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_what_everybody_can_reach_is_public(address: str) -> None:
    assert why_internal(address) == ""


@pytest.mark.parametrize(("address", "why"), INTERNAL.items())
def test_what_is_not_is_internal_and_why(address: str, why: str) -> None:
    assert why_internal(address) == why


@given(st.integers(0, 2**32 - 1))
def test_an_address_inside_another_is_judged_no_better_than_alone(number: int) -> None:
    inner = IPv4Address(number)
    for carrier in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "2a00:1450::5efe:0:0"):
        outer = IPv6Address(int(IPv6Address(carrier)) + number)
        if why_internal(str(inner)):
            assert why_internal(str(outer))


@given(st.integers(0, 2**32 - 1))
def test_what_the_standard_library_holds_for_private_is_internal(number: int) -> None:
    address = IPv4Address(number)
    if address.is_private or address.is_loopback or address.is_multicast or address.is_reserved:
        assert why_internal(str(address)) or address.is_global


@given(st.integers(0, 2**128 - 1))
def test_what_the_standard_library_does_not_call_global_is_internal(number: int) -> None:
    address = IPv6Address(number)
    if not address.is_global:
        assert why_internal(str(address))


def test_the_operator_allows_networks_and_single_ports() -> None:
    allowed = read_allowed(("10.0.0.0/8", "192.168.1.5:8080", "[fd00::/8]:443", "::1", "[fe80::1]"))
    assert allowed.permits("10.1.2.3", 1)
    assert allowed.permits("::ffff:10.1.2.3", 1)
    assert allowed.permits("192.168.1.5", 8080)
    assert not allowed.permits("192.168.1.5", 80)
    assert not allowed.permits("192.168.1.6", 8080)
    assert allowed.permits("fd00::9", 443)
    assert not allowed.permits("fd00::9", 80)
    assert allowed.permits("::1", 5)
    assert allowed.permits("fe80::1%eth0", 5)
    assert not allowed.permits("localhost", 5)


def test_nobody_is_allowed_unless_said() -> None:
    assert not NOBODY.permits("127.0.0.1", 80)
    assert LOOPBACK.permits("127.9.9.9", 80)
    assert LOOPBACK.permits("::1", 80)
    assert not LOOPBACK.permits("10.0.0.1", 80)
    assert read_allowed(("127.0.0.1/8",)).entries == ((ip_network("127.0.0.0/8"), None),)


@pytest.mark.parametrize(
    "word", ["localhost", "10.0.0.0/33", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:x", "[::1]x", "?"]
)
def test_what_is_no_network_is_named(word: str) -> None:
    with pytest.raises(ValueError, match=re.escape(word)):
        read_allowed(("10.0.0.0/8", word))


def test_the_list_is_bounded() -> None:
    with pytest.raises(ValueError, match="more than"):
        read_allowed(("10.0.0.0/8",) * (ALLOWED_MAX + 1))

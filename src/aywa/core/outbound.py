"""Which addresses a request that a customer steers may go to: the public ones, and those that the operator allows.

It judges addresses as a socket is given them, never names or spellings: whatever a URL, a redirect or a name server says ends
in one of these. The tables are IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates); IPv6 counts as
public only inside 2000::/3, and an address that carries an IPv4 address is judged by that one too. Refuses to ask anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ALLOWED_MAX: Final = 256

_INTERNAL_V4: Final = tuple(
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "a carrier's own network"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "AMT"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        # Azure's agents answer here, in the middle of public space.
        ("168.63.129.16/32", "a cloud's own services"),
    )
)
_INTERNAL_V6: Final = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
    )
)
_PUBLIC_V6: Final = IPv6Network("2000::/3")
_NAMED_V6: Final = (
    (IPv6Network("::1/128"), "loopback"),
    (IPv6Network("::/128"), "unspecified"),
    (IPv6Network("fc00::/7"), "private"),
    (IPv6Network("fe80::/10"), "link-local"),
    (IPv6Network("ff00::/8"), "multicast"),
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_MAPPED: Final = (
    IPv6Network("::/96"),
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("::ffff:0:0:0/96"),
    _NAT64,
)
_ISATAP: Final = (0x00005EFE, 0x02005EFE)


def why_internal(address: str) -> str:
    """Why nobody from outside may be sent there; empty when it is public. address: as a socket takes it; what is none is
    refused too."""
    try:
        # A zone ("%eth0") says on which link: only link-local addresses have one.
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "no address"
    return _why_v4(found) if isinstance(found, IPv4Address) else _why_v6(found)


def _why_v4(address: IPv4Address) -> str:
    return next((why for network, why in _INTERNAL_V4 if address in network), "")


def _why_v6(address: IPv6Address) -> str:
    if address in _NAT64:
        return _why_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    for network, why in (*_NAMED_V6, *_INTERNAL_V6):
        if address in network:
            return why
    inside = next((why for one in _carried(address) if (why := _why_v4(one))), "")
    if inside:
        return inside
    return "" if address in _PUBLIC_V6 else "reserved"


def _carried(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address may lead to: mapped, compatible, translated (RFC 4291, 2765, 6052), ISATAP
    (RFC 5214). 6to4 and Teredo are refused whole."""
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in _MAPPED):
        yield low
    if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        yield low


@dataclass(frozen=True, slots=True)
class Allowed:
    """The operator's exceptions: networks, each with a port or for any."""

    entries: tuple[tuple[Network, int | None], ...] = ()

    def permits(self, address: str, port: int) -> bool:
        """Whether an internal address is allowed all the same."""
        try:
            found: Address = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network and wanted in (None, port) for network, wanted in self.entries)


NOBODY: Final = Allowed()
LOOPBACK: Final = Allowed(((ip_network("127.0.0.0/8"), None), (ip_network("::1/128"), None)))


def read_allowed(words: tuple[str, ...]) -> Allowed:
    """10.0.0.0/8, 192.168.1.5:8080, [fd00::/8]:443, ::1. Raises ValueError with the word that is none."""
    if len(words) > ALLOWED_MAX:
        raise ValueError(f"{len(words)} entries, more than {ALLOWED_MAX}")
    return Allowed(tuple(_entry(word) for word in words))


def _entry(word: str) -> tuple[Network, int | None]:
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?", word)
    if bracketed is not None:
        network, port = bracketed[1], bracketed[2]
    elif word.count(":") == 1:
        network, _, port = word.partition(":")
    else:
        network, port = word, None
    try:
        found = ip_network(network, strict=False)
        number = None if port is None else int(port)
    except ValueError:
        raise ValueError(word[:60]) from None
    if number is not None and not 0 < number < 65_536:
        raise ValueError(word[:60])
    return found, number

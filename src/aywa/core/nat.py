"""What stands between us and the public network, judged from addresses alone: which ones no far side out there can use, and what
a NAT makes of our ports. It asks nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Place = tuple[str, int]

# What a public address is of no use to (RFC 1918, 6598, 3927, 4193, 4291).
PRIVATE: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(one)
    for one in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


class Nat(StrEnum):
    """What was found of one socket of ours. NONE: it is seen as it is. KEEPS_PORTS: another address, the same port. MOVES_PORTS:
    another port, the same for everybody. PER_FAR_SIDE: another for each (RFC 4787 4.1)."""

    NONE = "none"
    KEEPS_PORTS = "keeps ports"
    MOVES_PORTS = "moves ports"
    PER_FAR_SIDE = "another for each far side"


def is_private(host: str) -> bool:
    """No public address is of use to it."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address.version == network.version and address in network for network in PRIVATE)


def judge(ours: Place, seen: Sequence[Place]) -> Nat:
    """ours: what the socket is bound to. seen: what several far sides saw of it, one at least."""
    if len(set(seen)) > 1:
        return Nat.PER_FAR_SIDE
    host, port = seen[0]
    if port != ours[1]:
        return Nat.MOVES_PORTS
    return Nat.NONE if host == ours[0] else Nat.KEEPS_PORTS

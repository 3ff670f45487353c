"""What can be set of the SIP port; every limit by its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network

from aywa.core.sip.flow import Transport

PORT = 5060
TLS_PORT = 5061

# What a public address is of no use to (RFC 1918, 6598, 3927, 4193, 4291).
PRIVATE: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(one)
    for one in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """connections: streams at once, of one address and in all. queue_bytes: what waits for a stream that is being opened
    or does not read. connect_s, handshake_s: how long opening may take. idle_s: a stream without a call and without a
    sign of life is closed."""

    connections: int = 2_000
    connections_each: int = 200
    queue_bytes: int = 262_144
    connect_s: float = 5.0
    handshake_s: float = 5.0
    idle_s: float = 900.0
    receive_bytes: int = 4_194_304


@dataclass(frozen=True, slots=True)
class SipSettings:
    """hosts: to bind. port: of UDP and TCP; tls_port: None without TLS. public_host: what to write in Via and Contact
    towards public addresses (behind NAT). transports: which to open."""

    hosts: tuple[str, ...] = ("127.0.0.1",)
    port: int = PORT
    tls_port: int | None = None
    public_host: str = ""
    transports: tuple[Transport, ...] = ("udp", "tcp")
    limits: SocketLimits = field(default_factory=SocketLimits)

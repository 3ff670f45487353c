"""What can be set of the SIP port; every limit by its name."""

from __future__ import annotations

from dataclasses import dataclass, field

from aywa.core.sip.flow import Transport

PORT = 5060
TLS_PORT = 5061


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """connections: streams at once, of one address and in all. queue_bytes: what waits for a stream that is being opened
    or does not read. connect_s, handshake_s: how long opening may take. whole_s: how long whoever opened a stream may take
    over its first message, and over the rest of each that has begun. idle_s: a stream without a call and without a sign of
    life is closed."""

    connections: int = 2_000
    connections_each: int = 200
    queue_bytes: int = 262_144
    connect_s: float = 5.0
    handshake_s: float = 5.0
    whole_s: float = 15.0
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

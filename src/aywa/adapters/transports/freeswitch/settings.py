"""What the event socket is to know, every limit by its name."""

from __future__ import annotations

from dataclasses import dataclass, field

from aywa.core.esl.link import LinkSettings

ESL_PORT = 8021


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """user: user@domain of FreeSWITCH's directory; empty for the socket's own password. retry_s: after a connection that was
    lost, doubled each time up to retry_max_s. refused_s: after one that was refused. unsent_max_bytes: for a far side that does
    not read."""

    host: str
    port: int = ESL_PORT
    password: str = field(default="", repr=False)
    user: str = ""
    connect_s: float = 5.0
    retry_s: float = 0.5
    retry_max_s: float = 15.0
    refused_s: float = 30.0
    unsent_max_bytes: int = 1 << 22
    link: LinkSettings = field(default_factory=LinkSettings)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """networks: whence FreeSWITCH may come. linger_s: for how long it tells what happened to a channel that is over."""

    host: str = "127.0.0.1"
    port: int = 0
    networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    connections_max: int = 2_000
    linger_s: int = 10
    unsent_max_bytes: int = 1 << 20
    link: LinkSettings = field(default_factory=LinkSettings)

"""What an operator can set about the HTTP API."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """public_url: how clients reach this API, without a slash at the end; None: as each request names it.
    payload_bytes: a request's longest body; file_bytes: one with a file. inline_bytes: a longer one is parsed off the event
    loop.
    cors_origins: web origins that may call everything; /call/web may be called from any (contract 16).
    talk_hosts: host names, besides this machine's own, under which the talk page is told its key.
    check_timeout_s: how long one readiness check may take. metrics_token: opens /metrics, as the operator's own keys do;
    metrics_open: anybody may see it."""

    public_url: str | None = None
    payload_bytes: int = 1_000_000
    file_bytes: int = 25_000_000
    inline_bytes: int = 64_000
    cors_origins: tuple[str, ...] = ()
    talk_hosts: tuple[str, ...] = ()
    check_timeout_s: float = 2.0
    metrics_token: str = field(default="", repr=False)
    metrics_open: bool = False

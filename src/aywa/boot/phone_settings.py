"""What an operator can set of phone calls: RUNTIME_SIP_* and RUNTIME_MEDIA_*, with their defaults; every limit by its name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from aywa.boot.errors import CannotStart
from aywa.core.stun import PORT as STUN_PORT

SIP_PORT = 5060
MEDIA_PROCESSES_MOST = 64
STUN_SERVERS_MOST = 4
NORMAL, HIGH, REALTIME = "normal", "high", "realtime"
DEMO_USER = "demo"
# Contract 14.1: of a number's authentication.
PASSWORD_LENGTHS = (20, 40)
DIGESTS = ("SHA-256", "MD5")
_SERVER = re.compile(r"(?P<host>[a-z0-9.\-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::(?P<port>\d{1,5}))?")
_YES, _NO = frozenset(("1", "true", "yes", "on")), frozenset(("0", "false", "no", "off"))


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """hosts: to bind, the API's own when empty. port: of UDP and TCP, 0: a free one; next_port: the next free one when it is
    taken. tls_port: None without TLS. public_host: what to tell far sides behind whose NAT we are; media_public_host: the
    same for audio; stun: who is asked for it where neither is said. first_media_port, last_media_port: of RTP. srtp: never,
    optional, required. tls_authorities: a file of those whose certificates are believed; tls_verify: whether they must be.
    password: of the account `demo`. networks: who may call `demo` without it. cpu_most: of a processor; above that new calls
    are refused, to come again after retry_after_s. digest: the algorithms that callers may prove themselves by, the strongest
    first; some telephones know only the first that they are offered. media_processes: 0: the calls' audio is handled in the
    runtime's own process; else in so many beside it, one a core. media_priority: what they ask the system for. hold_music: a
    WAV file that callers hear while they wait; None: a ringing tone. comfort_noise: it is agreed on, where the far side has it
    (RFC 3389)."""

    enabled: bool = True
    hosts: tuple[str, ...] = ()
    port: int = SIP_PORT
    next_port: bool = True
    tls_port: int | None = None
    tls_verify: bool = True
    tls_authorities: Path | None = None
    public_host: str = ""
    media_public_host: str = ""
    stun: tuple[tuple[str, int], ...] = ()
    first_media_port: int = 10_000
    last_media_port: int = 10_999
    media_processes: int = 0
    media_priority: str = REALTIME
    hold_music: Path | None = None
    comfort_noise: bool = False
    srtp: str = "optional"
    password: str = field(default="", repr=False)
    networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    register_s: int = 300
    ping_s: float = 30.0
    retry_after_s: int = 10
    cpu_most: float = 0.9
    digest: tuple[str, ...] = DIGESTS


def phone_from_environment(environment: Mapping[str, str] | None = None) -> PhoneSettings:
    """What the environment says. Raises CannotStart, naming the variable and what it may hold."""
    read = Reader(os.environ if environment is None else environment)
    first, last = read.ports("RUNTIME_MEDIA_PORTS", (10_000, 10_999))
    media_host = read.text("RUNTIME_MEDIA_PUBLIC_IP")
    authorities, music = read.text("RUNTIME_SIP_TLS_CA"), read.text("RUNTIME_MEDIA_HOLD_MUSIC")
    return PhoneSettings(
        enabled=read.flag("RUNTIME_SIP_ENABLED", True),
        hosts=read.words("RUNTIME_SIP_HOST"),
        port=read.port("RUNTIME_SIP_PORT", SIP_PORT) or 0,
        tls_port=read.port("RUNTIME_SIP_TLS_PORT", None),
        tls_verify=read.flag("RUNTIME_SIP_TLS_VERIFY", True),
        tls_authorities=Path(authorities) if authorities else None,
        public_host=read.text("RUNTIME_SIP_PUBLIC_IP") or media_host,
        media_public_host=media_host or read.text("RUNTIME_SIP_PUBLIC_IP"),
        stun=read.servers("RUNTIME_MEDIA_STUN", STUN_PORT),
        first_media_port=first,
        last_media_port=last,
        media_processes=read.number("RUNTIME_MEDIA_PROCESSES", 0, MEDIA_PROCESSES_MOST),
        media_priority=read.choice("RUNTIME_MEDIA_PRIORITY", (NORMAL, HIGH, REALTIME), REALTIME),
        hold_music=Path(music) if music else None,
        comfort_noise=read.flag("RUNTIME_MEDIA_COMFORT_NOISE", False),
        srtp=read.choice("RUNTIME_SIP_SRTP", ("never", "optional", "required"), "optional"),
        password=read.password("RUNTIME_SIP_PASSWORD"),
        networks=read.networks("RUNTIME_SIP_NETWORKS", PhoneSettings().networks),
        cpu_most=read.share("RUNTIME_SIP_CPU_MOST", PhoneSettings().cpu_most),
        digest=read.digests("RUNTIME_SIP_DIGEST"),
    )


class Reader:
    """An environment's settings, each by its name."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str:
        return self._environment.get(name, "").strip()

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(one for one in re.split(r"[,\s]+", self.text(name)) if one)

    def password(self, name: str) -> str:
        given = self.text(name)
        if given and not PASSWORD_LENGTHS[0] <= len(given) <= PASSWORD_LENGTHS[1]:
            least, most = PASSWORD_LENGTHS
            raise CannotStart(f"{name} must be {least} to {most} characters long, it has {len(given)}")
        return given

    def flag(self, name: str, otherwise: bool) -> bool:
        given = self.text(name).lower()
        if not given:
            return otherwise
        if given not in _YES | _NO:
            raise CannotStart(f"{name} must be true or false, got {given[:40]!r}")
        return given in _YES

    def share(self, name: str, otherwise: float) -> float:
        given = self.text(name)
        if not given:
            return otherwise
        if not re.fullmatch(r"[01]?\.\d{1,3}|1|1\.0", given) or not 0.1 <= float(given) <= 1:
            raise CannotStart(f"{name} must be a share of a processor, 0.1 to 1, got {given[:40]!r}")
        return float(given)

    def digests(self, name: str) -> tuple[str, ...]:
        given = tuple(one.upper() for one in self.words(name))
        if not set(given) <= set(DIGESTS):
            raise CannotStart(f"{name} must be of {', '.join(DIGESTS)}, got {' '.join(given)[:40]!r}")
        return given or DIGESTS

    def choice(self, name: str, choices: tuple[str, ...], otherwise: str) -> str:
        given = self.text(name).lower() or otherwise
        if given not in choices:
            raise CannotStart(f"{name} must be one of {', '.join(choices)}, got {given[:40]!r}")
        return given

    def number(self, name: str, otherwise: int, most: int) -> int:
        given = self.text(name)
        if not given:
            return otherwise
        if not given.isdigit() or int(given) > most:
            raise CannotStart(f"{name} must be a number from 0 to {most}, got {given[:40]!r}")
        return int(given)

    def port(self, name: str, otherwise: int | None) -> int | None:
        given = self.text(name)
        if not given:
            return otherwise
        if not given.isdigit() or int(given) > 65_535:
            raise CannotStart(f"{name} must be a port, 0 to 65535, got {given[:40]!r}")
        return int(given)

    def ports(self, name: str, otherwise: tuple[int, int]) -> tuple[int, int]:
        given = self.text(name)
        if not given:
            return otherwise
        found = re.fullmatch(r"(\d{1,5})\s*-\s*(\d{1,5})", given)
        first, last = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1024 <= first < last <= 65_535:
            raise CannotStart(f"{name} must be a range of ports such as 10000-10999, got {given[:40]!r}")
        return first, last

    def servers(self, name: str, otherwise: int) -> tuple[tuple[str, int], ...]:
        found = []
        for one in self.words(name):
            parts = _SERVER.fullmatch(one.lower().removeprefix("stun:"))
            port = int(parts["port"] or otherwise) if parts is not None else 0
            if parts is None or not 0 < port <= 65_535:
                raise CannotStart(f"{name} must hold servers such as stun.example.com:3478, got {one[:40]!r}")
            found.append((parts["host"].strip("[]"), port))
        if len(found) > STUN_SERVERS_MOST:
            raise CannotStart(f"{name} can hold {STUN_SERVERS_MOST} servers, got {len(found)}")
        return tuple(found)

    def networks(self, name: str, otherwise: tuple[str, ...]) -> tuple[str, ...]:
        given = self.words(name)
        for one in given:
            try:
                ip_network(one, strict=False)
            except ValueError:
                raise CannotStart(f"{name} must hold networks such as 10.0.0.0/8, got {one[:40]!r}") from None
        return given or otherwise

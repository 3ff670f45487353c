"""Who may ask at all: strangers that flood or guess are not heard for a while, and nobody else is harmed.

Pure, and bounded in memory however many addresses there are. It knows addresses and faults, and refuses to know messages:
whoever does tells it. Trunks and open networks are exempt, because the source of a datagram is easily forged.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

# Faults that weigh so much together within so long are a ban.
LIMIT = 10.0
FORGOTTEN_S = 60.0
BAN_S = 60.0
BAN_MAX_S = 3600.0
# How long an address is trusted with which there is something going on.
TRUSTED_S = 3600.0
# So many requests at once and a second, from one stranger; a telephone needs two or three a call.
BURST = 40.0
RATE_PER_S = 20.0
# From all strangers together, beyond which their requests are not even refused.
TOTAL_BURST = 400.0
TOTAL_PER_S = 200.0
# Addresses kept; the one that was quiet for longest goes first, and a banned one after all others.
KEPT = 10_000
# What goes by such a name only ever looks for open doors.
SCANNERS = (
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipscan",
    "smap",
    "sundayddr",
    "vaxsipuseragent",
    "siparmyknife",
    "pplsip",
    "iwar",
    "scamblaster",
)


class Fault(Enum):
    """What a stranger did, and what it weighs."""

    MALFORMED = 1.0
    # Not every first request has credentials; but asking on and on without any is a scan.
    UNKNOWN = 0.5
    WRONG_PASSWORD = 2.0
    NOT_ALLOWED = 1.5
    SCANNER = LIMIT

    @property
    def weight(self) -> float:
        """Against the limit."""
        return self.value


@dataclass(frozen=True, slots=True)
class Ban:
    """An address that is not heard until then. why: the last fault, or "flood"."""

    address: str
    until_s: float
    why: str


class _Stranger:
    __slots__ = ("banned_until_s", "bans", "blame", "seen_s", "tokens", "trusted_until_s")

    def __init__(self, now: float) -> None:
        self.tokens = BURST
        self.blame = 0.0
        self.seen_s = now
        self.bans = 0
        self.banned_until_s = 0.0
        self.trusted_until_s = 0.0


class Guard:
    """The strangers of one SIP port. exempt: networks that are never refused."""

    def __init__(self, exempt: Iterable[str] = (), kept: int = KEPT) -> None:
        self._exempt = networks(exempt)
        self._kept = kept
        self._strangers: OrderedDict[str, _Stranger] = OrderedDict()
        self._tokens = TOTAL_BURST
        self._seen_s = 0.0
        self.dropped = 0

    def set_exempt(self, exempt: Iterable[str]) -> None:
        """The networks that are never refused; a ban of theirs is over."""
        self._exempt = networks(exempt)

    def exempts(self, address: str) -> bool:
        """Whether it is one of those."""
        return within(address, self._exempt)

    def __len__(self) -> int:
        return len(self._strangers)

    def hears(self, address: str, now: float) -> tuple[bool, Ban | None]:
        """Whether a request from there is looked at; and the ban, if this one was the last straw."""
        if self.exempts(address):
            return True, None
        stranger = self._stranger(address, now)
        if now < stranger.banned_until_s:
            self.dropped += 1
            return False, None
        if now < stranger.trusted_until_s:
            return True, None
        self._tokens = min(TOTAL_BURST, self._tokens + (now - self._seen_s) * TOTAL_PER_S)
        self._seen_s = now
        if stranger.tokens < 1.0:
            self.dropped += 1
            return False, self._blame(address, stranger, LIMIT, "flood", now)
        stranger.tokens -= 1.0
        if self._tokens < 1.0:
            self.dropped += 1
            return False, None
        self._tokens -= 1.0
        return True, None

    def blame(self, address: str, fault: Fault, now: float) -> Ban | None:
        """A stranger did something; the ban, if it is enough now."""
        if self.exempts(address):
            return None
        stranger = self._stranger(address, now)
        if now < stranger.banned_until_s:
            return None
        return self._blame(address, stranger, fault.weight, fault.name.lower(), now)

    def trust(self, address: str, now: float) -> None:
        """A stranger has shown the right password, or we call there: what was held against it is forgotten, and for a while
        it may send as much as it likes."""
        if not self.exempts(address):
            stranger = self._stranger(address, now)
            stranger.blame, stranger.bans = 0.0, 0
            stranger.banned_until_s = 0.0
            stranger.trusted_until_s = now + TRUSTED_S

    def bans(self, now: float) -> tuple[Ban, ...]:
        """Who is not heard now."""
        return tuple(
            Ban(address, each.banned_until_s, "")
            for address, each in self._strangers.items()
            if now < each.banned_until_s
        )

    def _blame(self, address: str, stranger: _Stranger, weight: float, why: str, now: float) -> Ban | None:
        stranger.blame += weight
        if stranger.blame < LIMIT:
            return None
        stranger.blame = 0.0
        stranger.banned_until_s = now + min(BAN_S * 2.0 ** min(stranger.bans, 10), BAN_MAX_S)
        stranger.bans += 1
        return Ban(address, stranger.banned_until_s, why)

    def _stranger(self, address: str, now: float) -> _Stranger:
        stranger = self._strangers.get(address)
        if stranger is None:
            self._make_room(now)
            stranger = self._strangers[address] = _Stranger(now)
        else:
            self._strangers.move_to_end(address)
        passed_s = max(0.0, now - stranger.seen_s)
        stranger.tokens = min(BURST, stranger.tokens + passed_s * RATE_PER_S)
        stranger.blame = max(0.0, stranger.blame - passed_s * LIMIT / FORGOTTEN_S)
        stranger.seen_s = now
        return stranger

    def _make_room(self, now: float) -> None:
        if len(self._strangers) < self._kept:
            return
        # A banned one may stay a second time round; among very many it has to go like all others.
        for _ in range(8):
            address, stranger = next(iter(self._strangers.items()))
            if now >= stranger.banned_until_s:
                break
            self._strangers.move_to_end(address)
        self._strangers.popitem(last=False)


def is_scanner(user_agent: str) -> bool:
    """Whether it calls itself one of the tools that look for open doors."""
    name = user_agent.lower()
    return any(each in name for each in SCANNERS)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks as they are written; an address is a network of one. Raises ValueError."""
    return tuple(ipaddress.ip_network(each, strict=False) for each in texts)


def within(address: str, nets: Iterable[Network]) -> bool:
    """Whether the address lies in one of them. IPv4 inside IPv6 counts as IPv4."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in each for each in nets)

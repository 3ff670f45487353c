"""Where a SIP URI is to be sent: transports, addresses and ports in the order in which they are tried (RFC 3263).

It asks for records and is given them; it refuses to look anything up. What does not come back, does not exist.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from aywa.core.sip.uri import DEFAULT_PORT, DEFAULT_PORT_TLS, SipUri, bare_host

# A host with more answers than this is not tried to the end.
MOST_CANDIDATES = 16
MOST_RECORDS = 32
TRANSPORTS = ("udp", "tcp", "tls")
# RFC 3263 4.1, and RFC 3261 26.2.2 for TLS.
SERVICES = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
PREFIXES = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}


@dataclass(frozen=True, slots=True)
class Naptr:
    """A NAPTR record (RFC 3403 4.1) as far as SIP needs it."""

    order: int
    preference: int
    service: str
    replacement: str
    flags: str = "s"


@dataclass(frozen=True, slots=True)
class Srv:
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class HostAddress:
    """An A or AAAA record."""

    address: str


Record = Naptr | Srv | HostAddress


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be looked up. kind: NAPTR, SRV, or ADDRESS for A and AAAA together."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place to try. name: the host as the URI has it, for the certificate."""

    transport: str
    address: str
    port: int
    name: str


class Resolution:
    """The way from one URI to its candidates. below(count): a random number under count. transports: what we speak."""

    def __init__(
        self, uri: SipUri, below: Callable[[int], int], transports: Sequence[str] = TRANSPORTS
    ) -> None:
        self._below = below
        self._speaks = tuple(transports)
        # RFC 3263 4: maddr takes the host's place.
        self._host = bare_host(uri.params.get("maddr") or uri.host)
        self._port = uri.port
        self._plain = self._speaks[0]
        self._found: list[Candidate] = []
        self._targets: list[tuple[str, str, int]] = []
        self._services: list[tuple[str, str]] = []
        self._question: Question | None = None
        self._begin(uri)

    @property
    def question(self) -> Question | None:
        """What has to be looked up next; None: all is known."""
        return self._question

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Where to try, the first first; empty while a question is open, or when the host does not exist."""
        return () if self._question else tuple(self._found[:MOST_CANDIDATES])

    def answer(self, question: Question, records: Iterable[Record]) -> None:
        """The records that were found, none if there are none. An answer to anything else is passed over."""
        if question != self._question:
            return
        some = [record for record, _ in zip(records, range(MOST_RECORDS), strict=False)]
        if question.kind == "NAPTR":
            self._named([each for each in some if isinstance(each, Naptr)])
        elif question.kind == "SRV":
            self._served([each for each in some if isinstance(each, Srv)])
        else:
            transport, _, port = self._targets.pop(0)
            addresses = [each.address for each in some if isinstance(each, HostAddress)]
            self._found += [Candidate(transport, each, port, self._host) for each in addresses if is_ip(each)]
        self._next()

    def _begin(self, uri: SipUri) -> None:
        transport = uri.transport
        if uri.secure:
            # RFC 3261 26.2.2: sips is never carried in the clear, and there is TLS over TCP only.
            transport = "tls"
        self._plain = plain = transport or self._speaks[0]
        if plain not in self._speaks:
            return
        if is_ip(self._host):
            self._found = [Candidate(plain, self._host, self._port or default_port(plain), self._host)]
        elif self._port is not None:
            self._targets = [(plain, self._host, self._port)]
        elif transport is not None:
            self._services = [(transport, PREFIXES[transport] + self._host)]
        else:
            self._question = Question("NAPTR", self._host)
            return
        self._next()

    def _named(self, records: list[Naptr]) -> None:
        ordered = sorted(records, key=lambda each: (each.order, each.preference))
        found = [
            (SERVICES.get(each.service.upper(), ""), each) for each in ordered if each.flags.lower() == "s"
        ]
        self._services = [
            (way, each.replacement.rstrip(".").lower()) for way, each in found if way in self._speaks
        ]
        if not self._services:
            # RFC 3263 4.1: without NAPTR each transport is asked for by its SRV name.
            self._services = [(way, PREFIXES[way] + self._host) for way in self._speaks]

    def _served(self, records: list[Srv]) -> None:
        transport, _ = self._services.pop(0)
        for each in weighed(records, self._below):
            # A single dot says: there is no such service here (RFC 2782).
            if each.target.strip(".") and 0 < each.port <= 65_535:
                self._targets.append((transport, bare_host(each.target.rstrip(".")), each.port))
        if not self._services and not self._targets and not self._found:
            # RFC 3263 4.2: no SRV at all; the host itself, at the default port.
            self._targets = [(self._plain, self._host, default_port(self._plain))]

    def _next(self) -> None:
        self._question = None
        while self._targets and is_ip(self._targets[0][1]):
            transport, address, port = self._targets.pop(0)
            self._found.append(Candidate(transport, address, port, self._host))
        if len(self._found) >= MOST_CANDIDATES:
            return
        if self._targets:
            self._question = Question("ADDRESS", self._targets[0][1])
        elif self._services:
            self._question = Question("SRV", self._services[0][1])


def is_ip(text: str) -> bool:
    """Whether it is an address and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def default_port(transport: str) -> int:
    """RFC 3261 19.1.2."""
    return DEFAULT_PORT_TLS if transport == "tls" else DEFAULT_PORT


def weighed(records: Iterable[Srv], below: Callable[[int], int]) -> list[Srv]:
    """In the order of their priority, and by chance in proportion to their weight within one (RFC 2782)."""
    left = sorted(records, key=lambda each: (each.priority, each.weight))
    ordered: list[Srv] = []
    while left:
        first = [each for each in left if each.priority == left[0].priority]
        at = below(sum(each.weight for each in first) + 1)
        sums = accumulate(each.weight for each in first)
        chosen = next(each for each, passed in zip(first, sums, strict=True) if at <= passed)
        ordered.append(chosen)
        left.remove(chosen)
    return ordered

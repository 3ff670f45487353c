"""Looks names up for the agent: NAPTR and SRV in the DNS (RFC 3263), addresses as the system knows them.

Answers records, never raises: what cannot be found is nothing. Refuses to choose among what was found: core.sip.resolve does.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.rdtypes.IN.NAPTR
import dns.rdtypes.IN.SRV
import dns.resolver

from aywa.core.sip.resolve import HostAddress, Naptr, Record, Srv

LOOKUP_S = 4.0
MOST_RECORDS = 64


class Names:
    """nameservers: instead of the system's, (address, port); for tests."""

    def __init__(self, nameservers: Sequence[tuple[str, int]] | None = None) -> None:
        self._nameservers = nameservers
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def look_up(self, kind: str, name: str) -> Sequence[Record]:
        """kind: NAPTR, SRV or ADDRESS."""
        try:
            async with asyncio.timeout(LOOKUP_S):
                if kind == "ADDRESS":
                    return await self._addresses(name)
                return await self._records(kind, name)
        except (TimeoutError, OSError, UnicodeError, dns.exception.DNSException):
            return ()

    async def _addresses(self, name: str) -> Sequence[HostAddress]:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_DGRAM)
        hosts = dict.fromkeys(str(place[0]) for *_, place in found)
        return [HostAddress(host) for host in hosts][:MOST_RECORDS]

    async def _records(self, kind: str, name: str) -> Sequence[Naptr | Srv]:
        answer = await self._ready().resolve(name, dns.rdatatype.from_text(kind), raise_on_no_answer=False)
        found: list[Naptr | Srv] = []
        for record in answer.rrset or ():
            if isinstance(record, dns.rdtypes.IN.SRV.SRV):
                target = record.target.to_text(omit_final_dot=True)
                found.append(Srv(record.priority, record.weight, record.port, target))
            elif isinstance(record, dns.rdtypes.IN.NAPTR.NAPTR):
                replacement = record.replacement.to_text(omit_final_dot=True)
                flags, service = (
                    record.flags.decode("ascii", "replace"),
                    record.service.decode("ascii", "replace"),
                )
                found.append(Naptr(record.order, record.preference, service, replacement, flags))
        return found[:MOST_RECORDS]

    def _ready(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver(configure=self._nameservers is None)
            if self._nameservers is not None:
                self._resolver.nameservers = [host for host, _ in self._nameservers]
                self._resolver.nameserver_ports = dict(self._nameservers)
            self._resolver.lifetime = LOOKUP_S
        return self._resolver

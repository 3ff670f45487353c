"""Names are looked up at a server of our own on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from aywa.adapters.transports.sip.names import MOST_RECORDS, Names
from aywa.core.sip.resolve import HostAddress, Naptr, Srv

ZONE = {
    ("trunk.test.", "NAPTR"): ['10 50 "s" "SIP+D2U" "" _sip._udp.trunk.test.'],
    ("_sip._udp.trunk.test.", "SRV"): ["10 60 5060 a.trunk.test.", "20 0 5070 b.trunk.test."],
    ("many.test.", "SRV"): [f"1 1 {5000 + number} host{number}.many.test." for number in range(100)],
}


class _Server(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        asked = dns.message.from_wire(data)
        question = asked.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.RA
        records = ZONE.get((question.name.to_text(), kind))
        if records:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
        self.transport.sendto(answer.to_wire(max_size=65_000), addr)


@asynccontextmanager
async def names() -> AsyncIterator[Names]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Server, local_addr=("127.0.0.1", 0))
    try:
        yield Names([transport.get_extra_info("sockname")[:2]])
    finally:
        transport.close()


async def test_naptr_and_srv() -> None:
    async with names() as asked:
        assert await asked.look_up("NAPTR", "trunk.test") == [
            Naptr(10, 50, "SIP+D2U", "_sip._udp.trunk.test", "s")
        ]
        assert set(await asked.look_up("SRV", "_sip._udp.trunk.test")) == {
            Srv(10, 60, 5060, "a.trunk.test"),
            Srv(20, 0, 5070, "b.trunk.test"),
        }


async def test_what_is_not_there_is_nothing() -> None:
    async with names() as asked:
        assert await asked.look_up("SRV", "_sip._udp.nobody.test") == []
        assert await asked.look_up("SRV", "not a name " + "x" * 300) == ()


async def test_a_large_answer_is_cut() -> None:
    async with names() as asked:
        assert len(await asked.look_up("SRV", "many.test")) == MOST_RECORDS


async def test_addresses_as_the_system_knows_them() -> None:
    assert HostAddress("127.0.0.1") in await Names().look_up("ADDRESS", "localhost")
    assert await Names().look_up("ADDRESS", "127.0.0.2") == [HostAddress("127.0.0.2")]

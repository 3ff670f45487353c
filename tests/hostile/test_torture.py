"""A message of every kind that RFC 4475 lists, sent to a runtime over sockets: the right verdict for each, and calls are
answered as before."""

from __future__ import annotations

import asyncio
import itertools
import re

import pytest

from aywa.testing.softphone.message import Message, NotSip, parse
from tests.core.sip.test_torture import ENDLESS, KINDS, NONE, OK, WAITING
from tests.hostile.conftest import well_answered
from tests.hostile.stranger import Stranger, stranger
from tests.peers.runtime import PhoneRuntime

# What becomes of those that are well-formed: decided by whoever is above the transactions.
ABOVE: dict[str, int] = {
    "wsinv": 481,  # it claims to be inside a dialog
    "esc01": 404,
    "escnull": 200,
    "lwsdisp": 200,
    "longreq": 404,
    "dblreq": 200,
    "semiuri": 200,
    "transports": 200,
    "mpart01": 405,
    "unreason": NONE,
    "noreason": NONE,
    "baddate": 404,
    "baddn": 200,
    "badbranch": 200,
    "unksm2": 200,
    "invut": 415,
    "regaut01": 200,
    "sdp01": 404,
    "cparam01": 200,
    "cparam02": 200,
    "regescrt": 200,
    "zeromf": 200,
    "inv2543": 404,
}
QUIET_S = 0.25
_numbers = itertools.count(1)


def verdict(name: str) -> int:
    expected = KINDS[name][1]
    return ABOVE[name] if expected == OK else expected


def addressed(data: bytes, host: str, port: int, transport: str) -> bytes:
    """The message as if its sender were there, in a call of its own."""
    number = next(_numbers)
    via = f"SIP/2.0/{transport} {host}:{port}".encode()
    data = re.sub(rb"SIP/2\.0/UDP (192\.0\.2\.9|old\.example)", lambda found: via, data, count=1)
    return data.replace(b"\r\nCall-ID: ", b"\r\nCall-ID: %d-" % number)


async def told(line: Stranger, data: bytes, expected: int) -> list[int]:
    """The final answers' statuses to one message."""
    before = len(line.heard)
    line.send(data)
    if expected:
        async with asyncio.timeout(5):
            await line.until(lambda: any(each.status >= 200 for each in line.heard[before:]))
    else:
        await asyncio.sleep(QUIET_S)
    statuses = [each.status for each in line.heard[before:] if each.status >= 200]
    for each in line.heard[before:]:
        acknowledge(line, each)
    return statuses


def acknowledge(line: Stranger, answer: Message) -> None:
    """So that it is not sent again."""
    if answer.status >= 200 and answer.get("CSeq").endswith("INVITE"):
        kept = ("Via", "From", "To", "Call-ID")
        lines = [f"{field}: {value}" for field, value in answer.headers if field in kept]
        cseq = answer.get("CSeq").replace("INVITE", "ACK")
        head = ["ACK sip:bert@example.net SIP/2.0", *lines, f"CSeq: {cseq}", "Content-Length: 0", "", ""]
        line.send("\r\n".join(head).encode())


@pytest.mark.parametrize("name", KINDS)
async def test_as_a_datagram(name: str, besieged: PhoneRuntime) -> None:
    async with stranger(besieged.place, "127.0.0.1") as line:
        expected = verdict(name)
        statuses = await told(line, addressed(KINDS[name][0], *line.own, "UDP"), expected)
    # An answer may have been on its way twice before it was acknowledged.
    assert set(statuses) == ({expected} if expected else set())


@pytest.mark.parametrize("name", KINDS)
async def test_over_a_stream(name: str, besieged: PhoneRuntime) -> None:
    reader, writer = await asyncio.open_connection(*besieged.place)
    host, port = writer.get_extra_info("sockname")[:2]
    expected = NONE if name in WAITING else ENDLESS.get(name, verdict(name))
    data = addressed(KINDS[name][0], host, port, "TCP")
    # In two pieces: a stream may be cut anywhere.
    writer.write(data[: len(data) // 2])
    await writer.drain()
    writer.write(data[len(data) // 2 :])
    held = b""
    try:
        async with asyncio.timeout(5 if expected else QUIET_S):
            while not _finals(held):
                piece = await reader.read(65_536)
                if not piece:
                    break
                held += piece
    except TimeoutError:
        assert not expected
    writer.close()
    assert _finals(held)[:1] == ([expected] if expected else [])


def _finals(data: bytes) -> list[int]:
    found = []
    for piece in re.split(rb"(?=SIP/2\.0 [1-6])", data):
        try:
            found.append(parse(piece).status)
        except NotSip:
            continue
    return [status for status in found if status >= 200]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_calls_are_answered_as_before(transport: str, besieged: PhoneRuntime) -> None:
    await well_answered(besieged, transport)
    assert "Traceback" not in besieged.dev.log

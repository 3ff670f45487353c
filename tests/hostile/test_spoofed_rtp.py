"""Audio, keys and reports from an address that is no part of the call: not heard, counted, and the call is unharmed."""

from __future__ import annotations

import asyncio
import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from socket import AF_INET, SOCK_DGRAM, socket

from aywa.core.events import DtmfReceived, LegConnected, LegEnded, VoiceStarted
from aywa.media.rtp.leg import RtpLeg
from aywa.testing.softphone.phone import Phone, Setup
from aywa.testing.sound import encode_mulaw
from tests.boot.test_phone import Rig, rig
from tests.hostile.stranger import address
from tests.peers.runtime import PhoneRuntime

FRAME_S = 0.02
SILENCE = bytes(320)
LOUD = b"".join(struct.pack("<h", round(20_000 * math.sin(number / 3))) for number in range(160))
# A goodbye of whoever sends (RFC 3550 6.6), in the place of the far side's source.
GOODBYE = struct.pack("!BBHI", 0x81, 203, 1, 7)


@contextmanager
def line(host: str) -> Iterator[socket]:
    with socket(AF_INET, SOCK_DGRAM) as made:
        made.bind((host, 0))
        made.setblocking(False)
        yield made


def packet(number: int, payload_type: int, payload: bytes, source: int = 7) -> bytes:
    return (
        struct.pack("!BBHII", 0x80, payload_type, number & 0xFFFF, number * 160 & 0xFFFFFFFF, source)
        + payload
    )


def leg_of(made: Rig) -> RtpLeg:
    (leg,) = [each.rtp for each in made.phone._lines.values() if isinstance(each.rtp, RtpLeg)]
    return leg


async def talk_over(phone: Phone, forger: socket, frames: int, each: int = 3) -> int:
    """The phone is silent, the forger is not: how many packets of its the runtime was sent."""
    far = phone.audio.far
    assert far is not None
    place = (far.host, far.port)
    sent = 0
    for frame in range(frames):
        phone.audio.send_frame(SILENCE)
        for _ in range(each):
            forger.sendto(packet(sent, 0, encode_mulaw(LOUD)), place)
            sent += 1
        forger.sendto(packet(sent, 101, struct.pack("!BBH", 5, 0x8A, 800)), place)
        forger.sendto(GOODBYE, place)
        forger.sendto(b"\x80" + bytes(frame % 20), place)
        sent += 3
        await asyncio.sleep(FRAME_S)
    return sent


async def test_a_stranger_in_the_middle_of_a_call() -> None:
    async with rig() as made, Phone(Setup(), lambda pcm: None) as phone:
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        leg = leg_of(made)
        with line(address()) as forger:
            sent = await talk_over(phone, forger, 40)
        await asyncio.sleep(0.1)
        report = leg.report()
        assert (report.refused, report.received, report.lost) == (sent, 40, 0)
        assert leg.latch.destination == phone.audio.local
        assert not made.host.of(VoiceStarted)
        assert not made.host.of(DtmfReceived)
        # The same sound from the one who was agreed on is heard: the test could fail.
        for _ in range(40):
            phone.audio.send_frame(LOUD)
            await asyncio.sleep(FRAME_S)
        await made.host.until(lambda: made.host.of(VoiceStarted))
        await phone.hang_up()
        await made.host.until(lambda: made.host.of(LegEnded))


async def test_a_stranger_who_comes_first() -> None:
    async with rig() as made, Phone(Setup(), lambda pcm: None) as phone:
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        leg = leg_of(made)
        far = phone.audio.far
        assert far is not None
        with line(address()) as forger:
            for number in range(20):
                forger.sendto(packet(number, 0, encode_mulaw(LOUD)), (far.host, far.port))
                forger.sendto(GOODBYE, (far.host, far.port + 1))
            await asyncio.sleep(0.2)
        assert leg.report().refused == 40
        assert leg.latch.source is None
        phone.audio.send_frame(SILENCE)
        await asyncio.sleep(0.1)
        assert leg.latch.destination == phone.audio.local
        await phone.hang_up()
        await made.host.until(lambda: made.host.of(LegEnded))


async def test_a_runtime_says_how_much_it_did_not_listen_to(besieged: PhoneRuntime) -> None:
    async with Phone(Setup(), lambda pcm: None) as phone:
        assert await phone.dial(besieged.uri)
        assert phone.dialog is not None
        call_id = phone.dialog.call_id
        with line(address()) as forger:
            sent = await talk_over(phone, forger, 75, each=30)
        # What the runtime says arrives all the same.
        assert phone.audio.arrivals.packets >= 40
        assert phone.audio.arrivals.lost == 0
        assert phone.in_call
        await phone.hang_up()
    call = await besieged.call_of(call_id)
    assert call["endedReason"] == "customer-ended-call"
    assert not [each for each in call.get("messages", ()) if each["role"] == "user"]
    found = re.search(rf"{call['id']}: (\d+) packets of strangers", besieged.dev.log)
    assert found is not None
    # A flood may overflow the socket's own buffer before anybody reads it.
    assert sent / 2 <= int(found[1]) <= sent

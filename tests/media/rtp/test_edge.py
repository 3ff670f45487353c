"""Legs over real sockets on a clock that jumps: what their phone hears, and what becomes of them."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.codecs import make_coding
from aywa.adapters.srtp.libsrtp import LibSrtp
from aywa.core.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from aywa.core.events import (
    DtmfReceived,
    LegConnected,
    LegEnded,
    MediaEvent,
    MediaWarned,
    PlayoutFinished,
    PlayoutStarted,
    QualityMeasured,
    VoiceStopped,
)
from aywa.core.rtp.dtmf import KeyStarted
from aywa.core.rtp.packet import Packet, build, is_rtcp, parse
from aywa.core.rtp.plan import Address, Codec, StreamPlan
from aywa.core.rtp.rtcp import Goodbye, Report
from aywa.core.rtp.rtcp import parse as parse_reports
from aywa.core.rtp.srtp_keys import SrtpSuite, new_keys
from aywa.core.rtp.tones import ToneReceiver, tone
from aywa.media.rtp.edge import RtpEdge, own_address
from aywa.media.rtp.leg import QUALITY_S, RtpLeg
from aywa.media.rtp.ports import PortPair
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.codec import CodecUnavailable
from aywa.ports.media import (
    Arm,
    AudioFormat,
    CloseLeg,
    Drop,
    Finish,
    HandOver,
    LegPlan,
    Pause,
    Play,
    SendDtmf,
    SendText,
)
from aywa.ports.srtp import SrtpUnavailable
from tests.media.rig import Rig, rig
from tests.media.rtp.test_ports import free_range

pytestmark = pytest.mark.virtual_time

HOST = "127.0.0.1"
PCMU = {0: Codec.PCMU}


class Phone:
    """A far side: two sockets, and what came to them."""

    def __init__(self, host: str = HOST) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.audio, self.reports = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        for each in (self.audio, self.reports):
            each.bind((host, 0))
            each.setblocking(False)
        self.number = 0

    @property
    def address(self) -> Address:
        return Address(*self.audio.getsockname()[:2])

    @property
    def reports_address(self) -> Address:
        return Address(*self.reports.getsockname()[:2])

    def send(self, data: bytes, pair: PortPair, reports: bool = False) -> None:
        """Sends it, and waits until the kernel has it for the leg."""
        target = pair.reports if reports else pair.audio
        (self.reports if reports else self.audio).sendto(data, (pair.host, target.getsockname()[1]))
        assert select.select([target], [], [], 1.0)[0]

    async def speak(
        self, pair: PortPair, frames: int, payload: bytes = b"\x90" * 160, payload_type: int = 0
    ) -> None:
        """Packets in real time."""
        for _ in range(frames):
            self.send(build(payload_type, False, self.number & 0xFFFF, self.number * 160, 77, payload), pair)
            self.number += 1
            await asyncio.sleep(0.02)

    def raw(self, reports: bool = False) -> list[bytes]:
        """What has come since this was asked."""
        came: list[bytes] = []
        opened = self.reports if reports else self.audio
        while select.select([opened], [], [], 0)[0]:
            came.append(opened.recv(2048))
        return came

    def heard(self) -> list[Packet]:
        return [packet for data in self.raw() if not is_rtcp(data) and (packet := parse(data)) is not None]

    def close(self) -> None:
        self.audio.close()
        self.reports.close()


@dataclass
class Signals:
    """Signalling that takes notes. answers: ends the leg when it is asked to hang up."""

    hung_up: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    keys: str = ""
    has_keys: bool = False
    leg: RtpLeg | None = None
    answers: bool = True

    def hang_up(self, reason: str) -> None:
        self.hung_up.append(reason)
        if self.answers and self.leg is not None:
            self.leg.close("local")

    def media_lost(self, detail: str) -> None:
        self.lost.append(detail)

    def send_keys(self, digits: str) -> bool:
        self.keys += digits if self.has_keys else ""
        return self.has_keys


@dataclass
class Call:
    """A leg with its phone."""

    leg: RtpLeg
    phone: Phone
    signals: Signals
    events: list[MediaEvent]
    audio: bytearray

    def of(self, *kinds: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]


class Edge(Rig):
    """Opens RTP calls on a plane."""

    def __init__(self, at: Rig, settings: RtpSettings) -> None:
        self.loop, self.plane, self.vads = at.loop, at.plane, at.vads
        self.edge = RtpEdge(
            self.loop, self.plane, settings, make_coding, LibSrtp, lambda many: 5 % many, lambda: 1e9
        )
        self.phones: list[Phone] = []

    def phone(self, host: str = HOST) -> Phone:
        self.phones.append(Phone(host))
        return self.phones[-1]

    def ring(
        self,
        leg_id: str = "leg",
        host: str = HOST,
        open_leg: Callable[..., RtpLeg] | None = None,
        recording: Path | None = None,
        phone: Phone | None = None,
        signalling_host: str = "",
        **plan: Any,
    ) -> Call:
        phone = phone or self.phone(host)
        events: list[MediaEvent] = []
        signals = Signals()
        path = None if recording is None else str(recording)
        leg_plan = LegPlan(leg_id, AudioFormat.PCM16, 1, self.loop.time(), events.append, path)
        if open_leg is None:
            stream = replace(StreamPlan(Codec.PCMU, 0, PCMU, remote=phone.address), **plan)
            leg = self.edge.open(self.edge.reserve(host), stream, leg_plan, signals, signalling_host)
        else:
            leg = open_leg(leg_plan, signals)
        signals.leg = leg
        audio = bytearray()
        self.plane.listen(leg_id, audio.extend, 8000)
        return Call(leg, phone, signals, events, audio)


@asynccontextmanager
async def edge(**settings: Any) -> AsyncIterator[Edge]:
    first = free_range(4)
    async with rig() as at:
        made = Edge(at, RtpSettings(first_port=first, last_port=first + 7, **settings))
        try:
            yield made
            await made.plane.close()
        finally:
            made.edge.close()
            for phone in made.phones:
                phone.close()


def loud(packets: list[Packet]) -> list[Packet]:
    return [packet for packet in packets if packet[5].strip(b"\xff")]


REPLY = (2000).to_bytes(2, "little") * 160


# --- audio ---------------------------------------------------------------------------------------------------------


async def test_a_phone_is_heard_and_hears() -> None:
    async with edge() as at:
        call = at.ring()
        assert call.of(LegConnected) == [LegConnected("leg", 8000)]
        await call.phone.speak(call.leg.pair, 10)
        assert len(call.audio) == 10 * 320
        call.phone.heard()
        at.plane.send(Play("leg", 1, REPLY * 5))
        [first] = call.phone.heard()
        assert first[1]
        at.plane.send(Finish("leg", 1))
        await asyncio.sleep(0.2)
        assert len(loud(call.phone.heard())) == 4
        assert len(call.of(PlayoutStarted)) == len(call.of(PlayoutFinished)) == 1
        report = call.leg.report()
        assert (report.received, report.lost, report.refused) == (10, 0, 0)
        assert report.remote_lost is None


async def test_silence_flows_whenever_nothing_is_played() -> None:
    async with edge() as at:
        call = at.ring()
        at.plane.send(Play("leg", 1, REPLY * 100))
        await asyncio.sleep(0.1)
        at.plane.send(Pause("leg"))
        call.phone.heard()
        await asyncio.sleep(0.1)
        silence = call.phone.heard()
        assert len(silence) in (4, 5)
        assert loud(silence) == []
        at.plane.send(Drop("leg"))
        await asyncio.sleep(0.1)
        numbers = [packet[2] for packet in (*silence, *call.phone.heard())]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_barge_in_stops_the_packets() -> None:
    async with edge() as at:
        call = at.ring()
        at.plane.send(Play("leg", 1, REPLY * 100))
        at.plane.send(Arm("leg", True, 0.03))
        await call.phone.speak(call.leg.pair, 20, b"\xff" * 160)
        assert loud(call.phone.heard())
        await call.phone.speak(call.leg.pair, 8)
        call.phone.heard()
        await call.phone.speak(call.leg.pair, 5)
        assert loud(call.phone.heard()) == []


async def test_a_call_is_recorded(tmp_path: Path) -> None:
    async with edge() as at:
        call = at.ring(recording=tmp_path / "call.wav")
        at.plane.send(Play("leg", 1, REPLY * 50))
        await call.phone.speak(call.leg.pair, 50)
        call.leg.close()
        await at.plane.recorded("leg")
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        assert file.getnframes() == pytest.approx(8000, abs=400)


async def test_six_is_as_good_as_four() -> None:
    async with edge() as at:
        call = at.ring(host="::1")
        await call.phone.speak(call.leg.pair, 3)
        assert len(call.audio) == 3 * 320
        assert call.phone.heard()


@pytest.mark.parametrize(("codec", "number"), [(Codec.PCMA, 8), (Codec.G722, 9)])
async def test_other_codecs_there_and_back(codec: Codec, number: int) -> None:
    async with edge() as at:
        call = at.ring(codec=codec, payload_type=number, receive_types={number: codec})
        at.plane.send(Play("leg", 1, b"\x10\x20" * 3200))
        await asyncio.sleep(0.05)
        packets = call.phone.heard()
        assert {packet[0] for packet in packets} == {number}
        assert {len(packet[5]) for packet in packets} == {160}
        await call.phone.speak(call.leg.pair, 5, packets[-1][5], number)
        assert len(call.audio) == pytest.approx(5 * 320, abs=80)


# --- whose packets ---------------------------------------------------------------------------------------------------


async def test_audio_goes_to_where_it_comes_from_and_strangers_are_refused() -> None:
    async with edge() as at:
        call, moved = at.ring(), at.phone()
        await asyncio.sleep(0.05)
        assert call.phone.heard()
        # Behind its NAT the phone sends from another port.
        await moved.speak(call.leg.pair, 3)
        assert moved.heard()
        call.phone.heard()
        await asyncio.sleep(0.05)
        assert call.phone.heard() == []
        stranger = at.phone("127.0.0.2")
        await stranger.speak(call.leg.pair, 3)
        assert stranger.heard() == []
        assert len(call.audio) == 3 * 320
        assert call.leg.report().refused == 3


async def test_a_phone_behind_a_nat_may_send_from_where_its_signalling_comes() -> None:
    async with edge() as at:
        call = at.ring(remote=Address("192.168.255.255", 4000), signalling_host=HOST)
        await call.phone.speak(call.leg.pair, 2)
        assert len(call.audio) == 2 * 320
        assert call.phone.heard()


async def test_nothing_is_sent_before_anybody_is_known() -> None:
    async with edge() as at:
        call = at.ring(remote=None, signalling_host=HOST)
        at.plane.send(Play("leg", 1, REPLY * 5))
        await asyncio.sleep(0.5)
        assert call.leg.report().sent == 0
        await call.phone.speak(call.leg.pair, 2)
        assert call.phone.heard()


# --- what signalling changes ---------------------------------------------------------------------------------------------


async def test_another_address_and_codec_in_mid_call() -> None:
    async with edge() as at:
        call, other = at.ring(), at.phone()
        await call.phone.speak(call.leg.pair, 3)
        before = call.phone.heard()
        call.leg.change(
            replace(
                call.leg.plan,
                codec=Codec.PCMA,
                payload_type=8,
                receive_types={8: Codec.PCMA},
                remote=other.address,
            )
        )
        await asyncio.sleep(0.05)
        after = other.heard()
        assert call.phone.heard() == []
        assert {packet[0] for packet in after} == {8}
        assert after[0][2] == before[-1][2] + 1
        await call.phone.speak(call.leg.pair, 2)
        other.number = 3
        await other.speak(call.leg.pair, 2, b"\x2a" * 160, 8)
        assert len(call.audio) == 5 * 320
        assert call.audio[-2:] == (-32124).to_bytes(2, "little", signed=True)


async def test_hold_both_ways() -> None:
    async with edge(next_packet_s=2.0) as at:
        call = at.ring()
        await call.phone.speak(call.leg.pair, 2)
        plan = call.leg.plan
        call.leg.change(replace(plan, sends=False, receives=False, on_hold=True))
        call.phone.heard()
        await call.phone.speak(call.leg.pair, 5)
        await asyncio.sleep(10)
        assert call.phone.heard() == []
        assert len(call.audio) == 2 * 320
        assert call.signals.lost == []
        call.leg.change(plan)
        await call.phone.speak(call.leg.pair, 2)
        assert len(call.audio) == 4 * 320
        assert call.phone.heard()[0][1]


async def test_a_codec_that_goes_on_keeps_its_memory() -> None:
    async with edge() as at:
        call = at.ring(codec=Codec.G722, payload_type=9, receive_types={9: Codec.G722})
        encode = call.leg.talking._encode
        call.leg.change(replace(call.leg.plan, sends=False))
        call.leg.change(replace(call.leg.plan, sends=True))
        assert call.leg.talking._encode is encode


# --- keys ----------------------------------------------------------------------------------------------------------------


async def test_keys_both_ways_in_the_stream() -> None:
    async with edge() as at:
        call = at.ring(dtmf_type=101, dtmf_receive_type=96)
        for number, flags in enumerate((0x0A, 0x8A, 0x8A, 0x8A)):
            call.phone.send(build(96, number == 0, number, 1600, 77, bytes([7, flags, 1, 0])), call.leg.pair)
        await asyncio.sleep(0.01)
        assert call.of(DtmfReceived) == [DtmfReceived("leg", "7")]
        call.phone.heard()
        at.plane.send(SendDtmf("leg", "9"))
        await asyncio.sleep(0.3)
        keys = [packet for packet in call.phone.heard() if packet[0] == 101]
        assert {packet[5][0] for packet in keys} == {9}
        assert call.signals.keys == ""


async def test_keys_by_signalling_where_the_stream_has_none() -> None:
    async with edge() as at:
        call = at.ring()
        # Its keys come by signalling, and so it reads them there.
        call.leg.digit("#")
        at.plane.send(SendDtmf("leg", "1"))
        assert [warned.code for warned in call.of(MediaWarned)] == ["dtmf_unsupported"]
        call.signals.has_keys = True
        at.plane.send(SendDtmf("leg", "23"))
        assert call.signals.keys == "23"
        assert call.of(DtmfReceived) == [DtmfReceived("leg", "#")]
        at.plane.send(SendText("leg", "{}"))


# --- reports and timeouts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mux", [False, True])
async def test_reports_both_ways(mux: bool) -> None:
    async with edge() as at:
        phone = at.phone()
        call = at.ring(phone=phone, rtcp=phone.address if mux else phone.reports_address, rtcp_mux=mux)
        await phone.speak(call.leg.pair, 500)
        came = [data for data in phone.raw(reports=not mux) if is_rtcp(data)]
        assert len(came) in (2, 3, 4)
        records = parse_reports(came[-1])
        assert records is not None
        [report] = [record for record in records if isinstance(record, Report)]
        assert report.sent is not None
        assert [(block.ssrc, block.lost) for block in report.blocks] == [(77, 0)]
        # The far side's answer: 2 % lost, and when it was asked.
        block = struct.pack(
            "!IIIIII", report.ssrc, 5 << 24 | 10, 0, 80, report.sent.ntp >> 16 & 0xFFFFFFFF, 0
        )
        phone.send(struct.pack("!BBHI", 0x81, 201, 7, 77) + block, call.leg.pair, reports=not mux)
        await asyncio.sleep(0.01)
        told = call.leg.report()
        assert (told.remote_lost, told.remote_jitter_s) == (10, 0.01)
        assert told.round_trip_s is not None
        assert told.round_trip_s < 10
        phone.raw(reports=not mux)
        call.leg.close()
        last = parse_reports(next(data for data in phone.raw(reports=not mux) if is_rtcp(data)))
        assert last is not None
        assert isinstance(last[-1], Goodbye)


async def test_reports_of_strangers_and_broken_ones_change_nothing() -> None:
    async with edge() as at:
        phone = at.phone()
        call = at.ring(phone=phone, rtcp=phone.reports_address)
        phone.send(b"\x81\xc9nonsense", call.leg.pair, reports=True)
        at.phone("127.0.0.2").send(struct.pack("!BBHI", 0x80, 201, 1, 77), call.leg.pair, reports=True)
        await asyncio.sleep(0.01)
        report = call.leg.report()
        assert (report.malformed, report.refused) == (1, 1)


async def test_a_call_without_media_is_told_once() -> None:
    async with edge(first_packet_s=5.0, next_packet_s=3.0) as at:
        silent, speaking = at.ring("a"), at.ring("b")
        await speaking.phone.speak(speaking.leg.pair, 50)
        await asyncio.sleep(3.5)
        assert silent.signals.lost == []
        assert speaking.signals.lost == ["no packet came for 3 s"]
        await asyncio.sleep(5)
        assert silent.signals.lost == ["no packet came for 5 s"]
        assert len(speaking.signals.lost) == 1
        silent.leg.close("no_media", "as told")
        assert silent.of(LegEnded) == [LegEnded("a", "no_media", "as told")]


async def test_who_reports_is_there() -> None:
    async with edge(next_packet_s=3.0) as at:
        phone = at.phone()
        call = at.ring(phone=phone, rtcp=phone.reports_address)
        await phone.speak(call.leg.pair, 1)
        for _ in range(5):
            await asyncio.sleep(2)
            phone.send(struct.pack("!BBHI", 0x80, 201, 1, 77), call.leg.pair, reports=True)
        await asyncio.sleep(0.5)
        assert call.signals.lost == []


# --- the end ---------------------------------------------------------------------------------------------------------------


async def test_the_far_side_hangs_up() -> None:
    async with edge() as at:
        call = at.ring()
        await asyncio.sleep(0.05)
        call.leg.close("closed", "BYE")
        assert call.of(LegEnded) == [LegEnded("leg", "closed", "BYE")]
        call.phone.raw()
        await asyncio.sleep(0.5)
        assert call.phone.raw() == []
        # What is still under way is swallowed.
        await call.phone.speak(call.leg.pair, 3)
        assert call.leg.pair.late == 3
        assert call.audio == b""
        call.leg.close()
        call.leg.change(call.leg.plan)
        call.leg.digit("1")
        assert len(call.events) == 3


@pytest.mark.parametrize("answers", [True, False])
async def test_the_brain_hangs_up(answers: bool) -> None:
    async with edge() as at:
        call = at.ring()
        call.signals.answers = answers
        at.plane.send(Play("leg", 1, REPLY * 100))
        await asyncio.sleep(0.1)
        at.plane.send(CloseLeg("leg", "bye"))
        await asyncio.sleep(0.1)
        assert call.signals.hung_up == ["bye"]
        call.phone.raw()
        await asyncio.sleep(6)
        assert [ended.cause for ended in call.of(LegEnded)] == ["local"]
        assert call.phone.heard() == []
        assert call.leg.pair.audio.fileno() == -1


async def test_a_leg_that_the_plane_refuses_gives_its_ports_back() -> None:
    async with edge() as at:
        at.ring()
        free = at.edge.ports.free
        with pytest.raises(ValueError, match="connected"):
            at.ring()
        await asyncio.sleep(10)
        assert at.edge.ports.free == free


async def test_a_library_that_is_missing_is_told_and_gives_the_ports_back() -> None:
    async with edge() as at:
        keys = new_keys(SrtpSuite.AES_CM_128_HMAC_SHA1_80, bytes)
        first = free_range(4)
        bare = RtpEdge(at.loop, at.plane, RtpSettings(first_port=first, last_port=first + 7))
        at.edge, whole = bare, at.edge
        with pytest.raises(CodecUnavailable):
            at.ring("a", codec=Codec.OPUS, payload_type=111, receive_types={111: Codec.OPUS})
        with pytest.raises(SrtpUnavailable):
            at.ring("b", send_keys=keys, receive_keys=keys)
        assert at.plane.leg_count == 0
        await asyncio.sleep(10)
        assert bare.ports.free == 4
        bare.close()
        at.edge = whole


async def test_a_socket_that_cannot_send_ends_nothing() -> None:
    async with edge() as at:
        call = at.ring(remote=Address("255.255.255.255", 9))
        at.plane.send(Play("leg", 1, REPLY * 5))
        await asyncio.sleep(0.2)
        assert call.leg.report().unsent > 5
        assert call.of(LegEnded) == []


# --- secured, and in another process --------------------------------------------------------------------------------------


def randomness(count: int) -> bytes:
    return bytes(range(count))


async def test_secured_both_ways_and_taken_up_in_mid_call() -> None:
    async with edge() as at:
        suite = SrtpSuite.AES_CM_128_HMAC_SHA1_80
        ours, theirs = new_keys(suite, randomness), new_keys(suite, lambda count: randomness(count)[::-1])
        phone = at.phone()
        secured = LibSrtp(theirs, ours)
        call = at.ring(phone=phone, send_keys=ours, receive_keys=theirs, rtcp=phone.address, rtcp_mux=True)
        for number in range(65_530, 65_535):
            phone.send(
                secured.protect(build(0, False, number, number * 160, 77, b"\x90" * 160)), call.leg.pair
            )
        phone.send(build(0, False, 65_535, 0, 77, b"\x90" * 160), call.leg.pair)
        await asyncio.sleep(0.1)
        assert len(call.audio) == 5 * 320
        assert call.leg.report().unproven == 1
        before = [parse(secured.unprotect(data) or b"") for data in phone.raw()]
        assert all(before)
        snapshot = call.leg.snapshot()
        # The other process: the first one's sockets are closed without a word.
        call.leg._shut()
        at.edge.close()
        phone.raw()
        call.leg.close()
        at.edge = RtpEdge(at.loop, at.plane, at.edge.settings, make_coding, LibSrtp)
        again = at.ring(open_leg=lambda plan, signals: at.edge.take_up(snapshot, plan, signals), phone=phone)
        await asyncio.sleep(0.05)
        after = [parse(opened) for data in phone.raw() if (opened := secured.unprotect(data)) is not None]
        last, first = before[-1], after[0]
        assert last is not None
        assert first is not None
        assert (first[2], first[4]) == (last[2] + 1, last[4])
        assert first[3] - last[3] >= 160
        for number in range(65_535, 65_540):
            data = build(0, False, number & 0xFFFF, number * 160, 77, b"\x90" * 160)
            phone.send(secured.protect(data), again.leg.pair)
        await asyncio.sleep(0.1)
        assert len(again.audio) == 5 * 320
        assert again.leg.report().lost == 0


async def test_new_keys_in_mid_call() -> None:
    async with edge() as at:
        suite = SrtpSuite.AES_CM_128_HMAC_SHA1_80
        keys, others = new_keys(suite, randomness), new_keys(suite, lambda count: randomness(count)[::-1])
        call = at.ring(send_keys=keys, receive_keys=keys)
        call.leg.change(replace(call.leg.plan, send_keys=others, receive_keys=others))
        call.phone.raw()
        await asyncio.sleep(0.05)
        far = LibSrtp(others, others)
        assert all(far.unprotect(data) for data in call.phone.raw())
        call.leg.change(replace(call.leg.plan, send_keys=None, receive_keys=None))
        call.phone.raw()
        await asyncio.sleep(0.05)
        assert len(call.phone.heard()[0][5]) == 160


# --- where we are ---------------------------------------------------------------------------------------------------------


async def test_what_the_far_side_is_told_to_send_to() -> None:
    async with edge() as at:
        pair = at.edge.reserve(HOST)
        assert at.edge.told_host(pair, "192.0.2.1") == HOST
        at.edge.detected_host = "203.0.113.7"
        assert at.edge.told_host(pair, "192.0.2.1") == "203.0.113.7"
        assert at.edge.told_host(pair, "192.168.0.9") == HOST
        at.edge.detected_host = "2001:db8::7"
        assert at.edge.told_host(pair, "192.0.2.1") == HOST
        pair.release()
    async with edge(public_host="203.0.113.9") as at:
        pair = at.edge.reserve(HOST)
        at.edge.detected_host = "203.0.113.7"
        assert at.edge.told_host(pair, "192.0.2.1") == "203.0.113.9"


def test_our_own_address_is_the_one_that_leads_there() -> None:
    assert own_address("0.0.0.0", "127.0.0.9") == "127.0.0.1"
    assert own_address("::", "::1") == "::1"
    assert own_address("0.0.0.0", "no such host.invalid") == "127.0.0.1"
    assert own_address("::", "ff::no") == "::1"


# --- tones, noise, quality -------------------------------------------------------------------------------------------


async def press(call: Call, key: str, seconds: float = 0.12) -> None:
    """A key as its tones, and a gap behind it."""
    sound = pcm_to_mulaw(tone(key, 8000, seconds))
    for at in range(0, len(sound) - 159, 160):
        await call.phone.speak(call.leg.pair, 1, sound[at : at + 160])
    await call.phone.speak(call.leg.pair, 4, b"\xff" * 160)


def pressed(call: Call) -> str:
    return "".join(event.digit for event in call.of(DtmfReceived))


async def test_keys_are_heard_as_tones_where_there_are_no_events() -> None:
    async with edge() as at:
        call = at.ring()
        for key in "12#":
            await press(call, key)
        assert pressed(call) == "12#"
        # The brain hears the sound, too.
        assert len(call.audio) >= 3 * 10 * 320


async def test_tones_are_no_keys_where_there_are_events() -> None:
    async with edge() as at:
        call = at.ring(dtmf_type=101, dtmf_receive_type=101)
        await press(call, "5")
        assert pressed(call) == ""
        # Until a re-INVITE takes the events away.
        call.leg.change(replace(call.leg.plan, dtmf_type=None, dtmf_receive_type=None))
        await press(call, "5")
        assert pressed(call) == "5"


async def test_a_key_that_sounds_and_is_signalled_is_one_key() -> None:
    async with edge() as at:
        call = at.ring()
        await press(call, "7")
        call.leg.digit("7")
        assert pressed(call) == "7"
        # From now on its keys come by signalling.
        await press(call, "8")
        call.leg.digit("8")
        call.leg.digit("8")
        assert pressed(call) == "788"


async def test_keys_are_sent_as_tones_where_there_are_no_events() -> None:
    async with edge() as at:
        call = at.ring()
        call.signals.has_keys = True
        await asyncio.sleep(0.1)
        call.phone.heard()
        at.plane.send(SendDtmf("leg", "4w2"))
        await asyncio.sleep(1.2)
        listening = ToneReceiver(8000)
        heard = [
            event.key
            for packet in call.phone.heard()
            for event in listening.hear(mulaw_to_pcm(packet[5]))
            if isinstance(event, KeyStarted)
        ]
        assert (heard, call.signals.keys) == (["4", "2"], "")


async def test_keys_by_signalling_where_that_is_wanted_or_nothing_else_is_there() -> None:
    async with edge() as at:
        call = at.ring(dtmf_type=101)
        call.signals.has_keys = True
        at.plane.send(SendDtmf("leg", "4", signalled=True))
        assert call.signals.keys == "4"
        # Who presses keys by signalling reads them there.
        plain = at.ring("other")
        plain.signals.has_keys = True
        plain.leg.digit("1")
        at.plane.send(SendDtmf("other", "5"))
        assert plain.signals.keys == "5"


async def test_comfort_noise_both_ways() -> None:
    async with edge() as at:
        call = at.ring(comfort_noise_type=13)
        call.phone.heard()
        await call.phone.speak(call.leg.pair, 5)
        call.phone.send(
            build(13, False, call.phone.number, call.phone.number * 160, 77, b"\x2d"), call.leg.pair
        )
        before = len(call.audio)
        await asyncio.sleep(0.4)
        assert len(call.audio) - before == pytest.approx(20 * 320, abs=2 * 320)
        assert {packet[0] for packet in call.phone.heard()} == {13}
        at.plane.send(Play("leg", 1, REPLY * 5))
        await asyncio.sleep(0.2)
        assert len(loud([packet for packet in call.phone.heard() if packet[0] == 0])) == 5


async def test_how_the_stream_fares_is_told_now_and_then_and_at_the_end() -> None:
    async with edge(first_packet_s=300.0, next_packet_s=300.0) as at:
        call = at.ring()
        await call.phone.speak(call.leg.pair, 10)
        await asyncio.sleep(QUALITY_S)
        [told] = call.of(QualityMeasured)
        assert (told.codec, told.received, told.lost) == ("PCMU", 10, 0)
        assert told.opinion > 4
        call.leg.close()
        assert [type(event) for event in call.events[-2:]] == [QualityMeasured, LegEnded]


async def test_a_stream_on_which_nothing_ever_was_tells_no_quality() -> None:
    async with edge() as at:
        call = at.ring(sends=False)
        call.leg.close()
        assert call.of(QualityMeasured) == []


async def test_whoever_gave_the_leg_away_hears_no_more_of_its_quality() -> None:
    async with edge(first_packet_s=300.0, next_packet_s=300.0) as at:
        call = at.ring()
        await call.phone.speak(call.leg.pair, 5)
        at.plane.send(HandOver("leg", "line"))
        assert [type(event) for event in call.events[-2:]] == [QualityMeasured, LegEnded]
        await asyncio.sleep(QUALITY_S + 1)
        assert len(call.of(QualityMeasured)) == 1


async def test_a_reply_tells_how_much_silence_it_begins_with() -> None:
    async with edge() as at:
        call = at.ring()
        at.plane.send(Play("leg", 1, bytes(320 * 6) + REPLY * 5))
        at.plane.send(Play("leg", 1, bytes(320 * 6)))
        at.plane.send(Finish("leg", 1))
        await asyncio.sleep(0.5)
        [started] = call.of(PlayoutStarted)
        assert started.silent_s == pytest.approx(0.12)


async def test_latency_at_the_wire_is_from_packet_to_packet() -> None:
    async with edge() as at:
        epoch_s = at.loop.time()
        call = at.ring()
        await call.phone.speak(call.leg.pair, 30)
        last_s = at.loop.time() - 0.02
        await call.phone.speak(call.leg.pair, 20, b"\xff" * 160)
        [stopped] = call.of(VoiceStopped)
        assert epoch_s + stopped.at_s == pytest.approx(last_s, abs=0.0201)
        call.phone.heard()
        at.plane.send(Play("leg", 1, bytes(320 * 7) + REPLY * 5))
        while not loud(call.phone.heard()):  # noqa: ASYNC110 - the phone is a socket that tells nobody
            await asyncio.sleep(0.001)
        [started] = call.of(PlayoutStarted)
        # A frame may leave a slot of the wheel before its beat.
        assert epoch_s + started.at_s + started.silent_s == pytest.approx(at.loop.time(), abs=0.006)

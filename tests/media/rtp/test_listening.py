"""What is heard of what comes: in order, from whom it may come, and whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aywa.core.rtp.packet import build
from aywa.media.rtp.latch import Latch
from aywa.media.rtp.listening import Ear, Listening
from aywa.media.rtp.settings import RtpSettings
from aywa.media.wheel import Wheel
from aywa.media.wire import wire
from aywa.ports.media import AudioFormat
from aywa.testing.virtual_time import run_virtual

pytestmark = pytest.mark.virtual_time

PHONE = ("127.0.0.1", 4000)
OTHER = ("127.0.0.1", 4002)
STRANGER = ("127.0.0.2", 4000)
KEYS = 101


def payload(number: int) -> bytes:
    """Told from every other, and not silence."""
    return bytes([number % 100]) * 160


def packet(
    number: int, payload_type: int = 0, ssrc: int = 7, marker: bool = False, data: bytes | None = None
) -> bytes:
    body = payload(number) if data is None else data
    return build(payload_type, marker, number & 0xFFFF, number * 160 & 0xFFFFFFFF, ssrc, body)


def key(number: int, code: int, ended: bool = False, at: int = 0) -> bytes:
    return build(KEYS, False, number, at * 160, 7, bytes([code, 0x8A if ended else 0x0A, 0, 160]))


@dataclass
class Heard:
    """A listening half and what became of what it was given."""

    wheel: Wheel
    listening: Listening
    waiting: list[tuple[bytes, tuple[str, int]]]
    audio: list[bytes] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    reports: list[bytes] = field(default_factory=list)

    def take(self, *numbers: int) -> None:
        for number in numbers:
            self.datagram(packet(number))

    def datagram(self, data: bytes, source: tuple[str, int] = PHONE) -> None:
        self.waiting.append((data, source))
        self.listening.readable(asyncio.get_running_loop().time())

    @property
    def numbers(self) -> list[int]:
        return [frame[0] for frame in self.audio]


def heard() -> Heard:
    loop = asyncio.get_running_loop()
    wheel = Wheel(loop, 0.005)
    latch = Latch(PHONE)
    waiting: list[tuple[bytes, tuple[str, int]]] = []

    def recvfrom(most: int) -> tuple[bytes, tuple[str, int]]:
        if not waiting:
            raise BlockingIOError
        return waiting.pop(0)

    listening = Listening(
        wheel, loop.time, recvfrom, wire(AudioFormat.MULAW, 8000), 8000, RtpSettings(), latch
    )
    made = Heard(wheel, listening, waiting)
    listening.listen(Ear(made.audio.append, made.keys.append, lambda data, now: made.reports.append(data)))
    listening.code({0: None, 8: lambda coded: coded.replace(b"\x00", b"\x55")}, 8000)
    listening.keys(KEYS, 8000, None)
    listening.receiving(True, loop.time())
    return made


async def test_what_comes_in_order_is_heard_at_once() -> None:
    at = heard()
    at.take(1, 2, 3)
    assert at.audio == [payload(1), payload(2), payload(3)]
    at.listening.readable(0.0)
    assert len(at.audio) == 3


async def test_numbers_wrap() -> None:
    at = heard()
    at.take(65_534, 65_535, 65_536, 65_537)
    assert at.numbers == [34, 35, 36, 37]
    assert at.listening.reorder.lost == 0


async def test_order_is_put_right_and_copies_are_dropped() -> None:
    at = heard()
    at.take(1, 3, 2, 2, 3, 4)
    assert at.numbers == [1, 2, 3, 4]
    assert at.listening.reorder.duplicates == 2


async def test_what_is_lost_goes_on_as_the_voice_would_have() -> None:
    at = heard()
    t = np.arange(160 * 12) / 8000
    voice = (np.sin(2 * np.pi * 200 * t) * 8000).astype("<i2").tobytes()
    mulaw = wire(AudioFormat.MULAW, 8000)
    for number in (*range(6), *range(8, 12)):
        at.datagram(packet(number, data=mulaw.from_pcm(voice[number * 320 : number * 320 + 320])))
    assert len(at.audio) == 12
    assert at.listening.concealed == 2
    pcm = np.frombuffer(mulaw.to_pcm(b"".join(at.audio)), "<i2").astype(float)
    sent = np.frombuffer(voice, "<i2").astype(float)
    # The first is hardly different, the second fades, and from the third on it is what was sent.
    wrong = [np.abs(pcm - sent)[at : at + 80].max() for at in range(0, 1920, 80)]
    assert max(wrong[:13]) < 800
    assert 2000 < max(wrong[14:16]) < 8000
    assert max(wrong[17:]) < 300


async def test_nothing_is_made_up_from_nothing() -> None:
    at = heard()
    at.datagram(packet(1, payload_type=13, data=b"\x7f"))
    at.take(4, 5)
    # 20 ms of the noise, and the two.
    assert (len(at.audio), at.numbers[1:]) == (3, [4, 5])


async def test_a_long_gap_is_not_made_up_for_whole() -> None:
    at = heard()
    at.take(1, 40, 41)
    assert len(at.audio) == 3 + RtpSettings().most_concealed
    assert at.listening.reorder.lost == 38


async def test_nobody_waits_for_long() -> None:
    at = heard()
    at.take(1, 3)
    assert at.numbers == [1]
    await asyncio.sleep(0.09)
    assert at.audio[-1][40:] == payload(3)[40:]
    assert len(at.audio) == 3
    at.take(4)
    assert at.numbers[-1] == 4


async def test_a_sender_that_starts_anew_is_followed() -> None:
    at = heard()
    at.take(1, 2)
    await asyncio.sleep(0.2)
    at.datagram(packet(30_000, ssrc=9))
    at.datagram(packet(30_001, ssrc=9))
    assert at.numbers == [1, 2, 0, 1]
    # One that only jumps must say so twice.
    at.datagram(packet(10_000, ssrc=9))
    assert len(at.audio) == 4
    at.datagram(packet(10_001, ssrc=9))
    assert at.numbers[-1] == 1
    assert at.listening.concealed == 0


async def test_strangers_are_not_heard_and_are_counted() -> None:
    at = heard()
    at.datagram(packet(1), STRANGER)
    at.take(1)
    at.datagram(packet(2, data=b"\x7f" * 160), STRANGER)
    at.datagram(b"nonsense", STRANGER)
    at.datagram(b"nonsense and more of it", OTHER)
    assert at.audio == [payload(1)]
    assert (at.listening.latch.refused, at.listening.malformed) == (3, 1)
    assert at.listening.latch.source == PHONE


async def test_what_is_no_packet_or_nothing_agreed_is_counted() -> None:
    at = heard()
    at.take(1)
    for data in (
        b"",
        b"\x80",
        b"\x40" + packet(2)[1:],
        packet(2, payload_type=18),
        b"\x8f" + packet(2)[1:14],
    ):
        at.datagram(data)
    assert at.audio == [payload(1)]
    assert (at.listening.malformed, at.listening.unknown) == (4, 1)


async def test_extensions_and_padding_are_not_audio() -> None:
    at = heard()
    plain = packet(1)
    at.datagram(b"\xb0" + plain[1:12] + b"\xbe\xde\0\1abcd" + plain[12:] + b"\0\0\0\4")
    assert at.audio == [payload(1)]


async def test_another_agreed_codec_may_come_at_any_packet() -> None:
    at = heard()
    at.take(1)
    at.datagram(packet(2, payload_type=8, data=bytes(160)))
    assert at.audio[1] == b"\x55" * 160


async def test_comfort_noise_and_empty_packets_are_no_audio_and_no_loss() -> None:
    at = heard()
    at.take(1)
    at.datagram(packet(2, payload_type=13, data=b"\x7f"))
    at.datagram(packet(3, data=b""))
    at.take(4)
    assert (len(at.audio), at.numbers[::2]) == (3, [1, 4])
    assert (at.listening.reorder.lost, at.listening.unknown) == (0, 0)
    at.listening.keys(None, 8000, 98)
    at.datagram(packet(5, payload_type=98, data=b"\x7f"))
    at.take(6)
    assert (len(at.audio), at.numbers[-1]) == (5, 6)


async def test_a_key_is_told_once_when_it_goes_down() -> None:
    at = heard()
    at.take(1)
    for number, ended in ((2, False), (3, False), (4, True), (5, True), (6, True)):
        at.datagram(key(number, 5, ended, at=2))
    at.datagram(key(7, 11, at=7))
    at.take(8)
    assert at.keys == ["5", "#"]
    assert at.numbers == [1, 8]


async def test_a_key_whose_end_is_lost_may_come_again() -> None:
    at = heard()
    at.datagram(key(1, 5, at=1))
    await asyncio.sleep(0.3)
    at.listening.chores(asyncio.get_running_loop().time())
    at.datagram(key(2, 5, at=16))
    assert at.keys == ["5", "5"]


async def test_keys_without_an_agreement_are_unknown() -> None:
    at = heard()
    at.listening.keys(None, 8000, None)
    at.datagram(key(1, 5))
    at.listening.chores(0.0)
    assert at.keys == []
    assert at.listening.unknown == 1


async def test_reports_on_the_audios_port_go_to_who_takes_them() -> None:
    at = heard()
    report = b"\x81\xc9\0\7" + bytes(28)
    at.take(1)
    at.datagram(report)
    at.datagram(report, OTHER)
    at.datagram(report[:8])
    at.datagram(report, STRANGER)
    assert at.reports == [report, report, report[:8]]
    assert at.listening.latch.refused == 1
    at.listening.secure(lambda data: None)
    at.datagram(report, STRANGER)
    assert len(at.reports) == 4


async def test_on_hold_nothing_is_heard_and_the_order_is_kept() -> None:
    at = heard()
    at.take(1)
    at.listening.receiving(False, 0.0)
    at.take(2, 3, 5, 6)
    at.datagram(key(7, 5))
    assert at.numbers == [1]
    assert at.keys == ["5"]
    at.listening.receiving(True, 0.0)
    at.take(8)
    assert at.numbers == [1, 8]


async def test_what_is_not_proven_is_not_heard_and_cannot_take_the_place() -> None:
    at = heard()
    at.listening.secure(lambda data: data[:-4] if data.endswith(b"good") else None)
    at.datagram(packet(1) + b"good")
    at.datagram(packet(2) + b"evil")
    at.datagram(packet(2) + b"evil", STRANGER)
    assert at.audio == [payload(1)]
    assert at.listening.unproven == 2
    assert at.listening.latch.source == PHONE
    # A proven one may come from anywhere, but not while the agreed address speaks.
    at.datagram(packet(2) + b"good", STRANGER)
    assert at.numbers == [1]
    at.datagram(packet(2) + b"good")
    assert at.numbers == [1, 2]


async def test_nothing_is_heard_after_the_end() -> None:
    at = heard()
    at.take(1, 3)
    at.listening.close()
    await asyncio.sleep(1)
    at.take(2, 4)
    assert at.numbers == [1]


async def test_another_process_goes_on_with_the_numbers() -> None:
    at, other = heard(), heard()
    at.take(65_530, 65_531)
    values = at.listening.to_dict()
    other.listening.take_up(values)
    other.take(65_531, 65_532, 65_534, 65_533, 65_536, 65_535)
    assert other.numbers == [32, 33, 34, 35, 36]
    assert values["source"] == ["127.0.0.1", 4000]


async def test_a_network_that_becomes_calm_is_waited_for_less() -> None:
    at, loop = heard(), asyncio.get_running_loop()
    at.take(1, 3, 4, 5, 2)
    assert at.listening.reorder.window == 3
    windows = []
    for _ in range(4):
        at.listening.chores(loop.time())
        await asyncio.sleep(10)
        windows.append(at.listening.reorder.window)
    assert windows == [3, 2, 1, 1]


@pytest.mark.parametrize(("jitter_s", "extra"), [(0.0, 0.0), (0.06, 0.012)])
async def test_a_bad_network_costs_what_it_lost_and_hardly_more(jitter_s: float, extra: float) -> None:
    chance = random.Random(1)
    at, loop, sent, lost = heard(), asyncio.get_running_loop(), 6000, 0
    for number in range(sent):
        if chance.random() < 0.05:
            lost += 1
            continue
        for _ in range(2 if chance.random() < 0.02 else 1):
            when = 0.02 * number + chance.uniform(0, jitter_s)
            loop.call_at(when, at.datagram, packet(number, data=number.to_bytes(2) * 80))
    await asyncio.sleep(0.02 * sent + 1)
    reorder = at.listening.reorder
    assert reorder.lost - lost <= extra * sent
    # Every packet has its place, if with another's sound: the recogniser's clock is right.
    assert len(at.audio) == pytest.approx(sent, abs=5)
    whole = [int.from_bytes(frame[80:82]) for frame in at.audio if frame[80:] == frame[80:82] * 40]
    assert len(whole) >= sent - lost - extra * sent - reorder.window
    assert at.listening.inbound.source is not None
    assert reorder.duplicates > 60


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.integers(0, 70_000).map(packet),
            st.tuples(st.integers(0, 70_000), st.integers(0, 127), st.binary(max_size=20)).map(
                lambda made: packet(made[0], made[1], data=made[2])
            ),
        ),
        max_size=60,
    )
)
@example([packet(1, 13, data=b"")])
def test_nothing_that_comes_breaks_it_or_is_heard_out_of_place(datagrams: Sequence[bytes]) -> None:
    async def run() -> Heard:
        at = heard()
        for data in datagrams:
            at.datagram(data)
        await asyncio.sleep(0.2)
        at.wheel.close()
        return at

    at = run_virtual(run())
    listening = at.listening
    # Comfort noise sounds, 20 ms after 20 ms, until there is audio again.
    rustles = 11 if any(len(data) >= 12 and data[1] & 0x7F == 13 for data in datagrams) else 0
    assert len(at.audio) <= len(datagrams) + listening.concealed + rustles
    assert listening.concealed <= 5 * len(datagrams)
    assert listening.malformed + listening.unknown <= len(datagrams)
    assert not listening.reorder.waiting


# --- comfort noise ---------------------------------------------------------------------------------------------


def noise(number: int, level: int = 30, payload_type: int = 13) -> bytes:
    return packet(number, payload_type, data=bytes([level]))


def levels(at: Heard) -> list[float]:
    pcm = [wire(AudioFormat.MULAW, 8000).to_pcm(frame) for frame in at.audio]
    power = [float(np.mean((np.frombuffer(each, "<i2") / 32768.0) ** 2)) for each in pcm]
    return [float(10 * np.log10(each + 1e-12)) for each in power]


async def test_comfort_noise_is_heard_at_its_pace_until_there_is_audio() -> None:
    at = heard()
    at.take(1)
    await asyncio.sleep(0.02)
    at.datagram(noise(2))
    await asyncio.sleep(0.5)
    assert len(at.audio) == pytest.approx(1 + 25, abs=2)
    assert {len(frame) for frame in at.audio} == {160}
    assert np.mean(levels(at)[5:]) == pytest.approx(-30, abs=2)
    at.audio.clear()
    at.take(3)
    await asyncio.sleep(0.2)
    assert at.audio == [payload(3)]
    assert at.listening.reorder.lost == 0


async def test_new_comfort_noise_changes_the_noise_and_not_its_pace() -> None:
    at = heard()
    at.listening.keys(KEYS, 8000, 96)
    at.datagram(noise(1, 30, 96))
    await asyncio.sleep(0.2)
    at.datagram(noise(2, 60, 96))
    await asyncio.sleep(0.3)
    assert len(at.audio) == pytest.approx(25, abs=2)
    assert levels(at)[5] == pytest.approx(-30, abs=3)
    assert levels(at)[-1] == pytest.approx(-60, abs=4)


async def test_late_audio_ends_the_noise_too() -> None:
    at = heard()
    at.take(1)
    at.datagram(noise(2))
    await asyncio.sleep(0.1)
    at.take(4, 3)
    at.audio.clear()
    await asyncio.sleep(0.2)
    assert at.audio == []


@pytest.mark.parametrize("ends", ["close", "held"])
async def test_nobody_hears_noise_of_a_stream_that_is_over_or_held(ends: str) -> None:
    at = heard()
    at.datagram(noise(1))
    await asyncio.sleep(0.1)
    if ends == "close":
        at.listening.close()
    else:
        at.listening.receiving(False, 0.0)
        at.datagram(noise(2))
    at.audio.clear()
    await asyncio.sleep(0.2)
    assert at.audio == []


async def test_a_loop_that_was_held_up_does_not_make_up_for_the_noise() -> None:
    at = heard()
    at.datagram(noise(1))
    await asyncio.sleep(0.1)
    before = len(at.audio)
    asyncio.get_running_loop().hold_up(2.0)  # type: ignore[attr-defined]
    await asyncio.sleep(0.1)
    assert len(at.audio) - before <= 8

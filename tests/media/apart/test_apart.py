"""Legs in media processes: what their phones and their brain hear, and what becomes of them when a process goes."""

from __future__ import annotations

import os
import signal
import wave
from pathlib import Path

import pytest

from aywa.core.audio import g711
from aywa.core.audio.frame import shorts
from aywa.core.events import (
    DtmfReceived,
    LegConnected,
    LegEnded,
    MediaWarned,
    PlayoutFinished,
    PlayoutPaused,
    PlayoutStarted,
    VoiceStarted,
    VoiceStopped,
)
from aywa.core.rtp.packet import build
from aywa.core.rtp.plan import Codec, StreamPlan
from aywa.media.apart.process import MediaUnavailable
from aywa.media.rtp.ports import NoPorts
from aywa.ports.media import (
    Arm,
    AudioFormat,
    CloseLeg,
    Drop,
    Finish,
    GiveBack,
    LegPlan,
    Play,
    SendDtmf,
    Speak,
    TakeOver,
)
from tests.media.apart.rig import Signals, rig, until
from tests.media.rig import FarSide, square
from tests.media.rtp.test_edge import HOST, Phone

REPLY = square(8000, 8000)


async def test_a_call_is_heard_and_hears() -> None:
    async with rig() as opened:
        await opened.edge.ready()
        call = opened.call()
        await until(lambda: call.of(LegConnected))
        opened.plane.send(Play("leg", 1, REPLY))
        opened.plane.send(Finish("leg", 1))
        await call.speak(0.5)
        await until(lambda: call.of(PlayoutFinished))
        await until(lambda: len(call.audio) == 25 * 320)
        assert call.of(LegConnected)[0].rate_hz == 8000
        assert call.of(PlayoutFinished)[0].position == 8000
        assert 0 <= call.of(PlayoutStarted)[0].at_s <= opened.loop.time() - call.epoch_s
        assert call.of(VoiceStarted)
        assert len(call.phone.heard()) >= 50
        assert opened.plane.recent_audio("leg", 0.1) != b""
        assert len(opened.plane.recent_audio("leg", 8.0)) == pytest.approx(2 * 25 * 320, abs=64)
        call.leg.close("closed", "it hung up")
        await until(lambda: not opened.plane.has_leg("leg"))
        assert call.events[-1] == LegEnded("leg", "closed", "it hung up")
        report = call.leg.report()
        assert report is not None
        assert report.received == 25
        assert opened.plane.recent_audio("leg", 8.0) == b""


async def test_a_leg_s_audio_comes_before_what_is_told_of_it() -> None:
    async with rig(batch_s=5.0) as opened:
        await opened.edge.ready()
        call = opened.call()
        await call.speak(0.4)
        await call.speak(1.2, loud=False)
        await until(lambda: call.of(VoiceStopped))
        # Nothing was due yet, but for the voice's end.
        assert len(call.audio) >= 20 * 320


async def test_an_armed_pause_needs_nobody_s_answer() -> None:
    async with rig() as opened:
        await opened.edge.ready()
        call = opened.call()
        opened.plane.send(Arm("leg", True, 0.1))
        opened.plane.send(Play("leg", 1, REPLY * 5))
        await until(lambda: call.of(PlayoutStarted))
        await call.speak(0.4)
        await until(lambda: call.of(PlayoutPaused))
        assert call.of(PlayoutPaused)[0].position < 5 * 8000


async def test_keys_both_ways() -> None:
    async with rig() as opened:
        await opened.edge.ready()
        call = opened.call()
        call.leg.digit("7")
        await until(lambda: call.of(DtmfReceived))
        opened.plane.send(SendDtmf("leg", "12"))
        await until(lambda: call.signals.keys == "12")
        call.signals.has_keys = False
        opened.plane.send(SendDtmf("leg", "3"))
        await until(lambda: call.of(MediaWarned))
        assert call.of(MediaWarned)[0].code == "dtmf_unsupported"


async def test_the_brain_closes_the_leg(tmp_path: Path) -> None:
    file = tmp_path / "call.wav"
    async with rig() as opened:
        await opened.edge.ready()
        call = opened.call(recording=file)
        await call.speak(0.4)
        opened.plane.send(CloseLeg("leg", "done"))
        await until(lambda: call.of(LegEnded))
        assert call.signals.hung_up == ["done"]
        assert call.of(LegEnded)[0].cause == "local"
        recording = await opened.plane.recorded("leg")
        assert recording is not None
        assert recording.path == str(file)
        with wave.open(str(file)) as found:
            assert found.getnframes() == round(recording.seconds * 8000)
        assert await opened.plane.recorded("leg") is None


async def test_the_runtime_stops_and_recordings_are_whole(tmp_path: Path) -> None:
    async with rig() as opened:
        await opened.edge.ready()
        call = opened.call(recording=tmp_path / "call.wav")
        await call.speak(0.4)
        await opened.plane.close()
        assert call.of(LegEnded)[0].cause == "local"
        recording = await opened.plane.recorded("leg")
        assert recording is not None
        assert recording.seconds >= 0.3
        assert not recording.lost


# --- processes that go -------------------------------------------------------------------------------------------


async def test_a_process_that_dies_ends_its_legs_and_is_started_again(tmp_path: Path) -> None:
    async with rig() as opened:
        await opened.edge.ready()
        (process,) = opened.edge.processes
        call = opened.call(recording=tmp_path / "call.wav")
        await call.speak(1.5)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda: call.of(LegEnded), 1.0)
        assert call.of(LegEnded)[0].cause == "lost"
        assert call.signals.hung_up == ["its media process ended"]
        assert not opened.plane.has_leg("leg")
        recording = await opened.plane.recorded("leg")
        assert recording is not None
        assert recording.seconds > 0
        assert recording.lost
        await until(lambda: process.up)
        assert process.deaths == 1
        again = opened.call("again")
        opened.plane.send(Play("again", 1, REPLY))
        opened.plane.send(Finish("again", 1))
        await until(lambda: again.of(PlayoutFinished))


async def test_a_process_that_hangs_is_ended() -> None:
    async with rig() as opened:
        await opened.edge.ready()
        (process,) = opened.edge.processes
        call = opened.call()
        await until(lambda: call.of(LegConnected))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        await until(lambda: call.of(LegEnded), 3.0)
        assert call.of(LegEnded)[0].cause == "lost"
        await until(lambda: process.up)


async def test_the_other_process_s_legs_notice_nothing() -> None:
    async with rig(2) as opened:
        await opened.edge.ready()
        calls = [opened.call(f"leg{number}") for number in range(4)]
        first, second = opened.edge.processes
        assert [call.leg.process for call in calls] == [first, second, first, second]
        await until(lambda: all(call.of(LegConnected) for call in calls))
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: calls[0].of(LegEnded) and calls[2].of(LegEnded))
        # Until it is there again, the other one takes all.
        assert opened.call("next").leg.process is second
        opened.plane.send(Play("leg1", 1, REPLY))
        opened.plane.send(Finish("leg1", 1))
        await until(lambda: calls[1].of(PlayoutFinished))
        assert not calls[3].of(LegEnded)


async def test_without_a_process_no_port_is_given() -> None:
    async with rig(starts=1, start_s=0.5, clock_off_s=1000.0) as opened:
        # Its clock is not ours: whatever it told would be at the wrong time.
        with pytest.raises(MediaUnavailable):
            await opened.edge.ready()
        with pytest.raises(NoPorts):
            opened.edge.reserve(HOST)


async def test_a_process_that_goes_between_reservation_and_answer() -> None:
    async with rig(back_off_s=(30.0,)) as opened:
        await opened.edge.ready()
        (process,) = opened.edge.processes
        pair = opened.edge.reserve(HOST)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda: not process.up)
        plan = LegPlan("leg", AudioFormat.PCM16, 16000, 0.0, _never)
        with pytest.raises(LookupError):
            opened.edge.open(pair, _stream(), plan, Signals())
        assert not opened.plane.has_leg("leg")


async def test_a_busy_process_gets_no_new_legs() -> None:
    async with rig(busy=0.95, beat_s=0.02) as opened:
        await opened.edge.ready()
        (process,) = opened.edge.processes
        pair = opened.edge.reserve(HOST)
        await until(lambda: process.busy)
        with pytest.raises(NoPorts, match="no time left"):
            opened.edge.reserve(HOST)
        # What was promised is kept.
        plan = LegPlan("leg", AudioFormat.PCM16, 16000, opened.loop.time(), lambda event: None)
        opened.edge.open(pair, _stream(), plan, Signals(), HOST)
        assert opened.plane.has_leg("leg")


# --- ports ---------------------------------------------------------------------------------------------------------


async def test_ports_come_back_from_the_process() -> None:
    async with rig() as opened:
        await opened.edge.ready()
        free = opened.edge.ports.free
        call = opened.call()
        assert opened.edge.ports.free == free - 1
        call.leg.close()
        await until(lambda: opened.edge.ports.free == free)
        await until(lambda: opened.call("next").leg is not None)


async def test_ports_come_back_from_a_process_that_died() -> None:
    async with rig() as opened:
        await opened.edge.ready()
        free = opened.edge.ports.free
        opened.call()
        (process,) = opened.edge.processes
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda: opened.edge.ports.free == free)


async def test_what_came_before_the_answer_is_heard() -> None:
    async with rig() as opened:
        await opened.edge.ready()
        phone = Phone()
        opened.phones.append(phone)
        pair = opened.edge.reserve(HOST)
        phone.send(build(0, False, 0, 0, 77, b"\x90" * 160), pair)
        heard = bytearray()
        plan = LegPlan("leg", AudioFormat.PCM16, 16000, opened.loop.time(), lambda event: None)
        opened.edge.open(pair, _stream(), plan, Signals(), HOST)
        opened.plane.listen("leg", heard.extend, 8000)
        await until(lambda: len(heard) == 320)


async def test_a_leg_that_cannot_be_opened_is_lost(tmp_path: Path) -> None:
    async with rig() as opened:
        await opened.edge.ready()
        free = opened.edge.ports.free
        call = opened.call(codec=Codec.OPUS, recording=tmp_path / "call.wav")
        await until(lambda: call.of(LegEnded))
        assert call.names() == ["LegEnded"]
        assert call.of(LegEnded)[0].cause == "lost"
        assert "library" in call.of(LegEnded)[0].detail
        assert call.signals.hung_up
        await until(lambda: opened.edge.ports.free == free)
        assert await opened.plane.recorded("leg") is None


async def test_a_second_leg_of_the_same_name_is_refused() -> None:
    async with rig() as opened:
        await opened.edge.ready()
        opened.call()
        with pytest.raises(ValueError, match="connected"):
            opened.call()


async def test_legs_of_this_process_go_on_beside(tmp_path: Path) -> None:
    async with rig() as opened:
        events: list[object] = []
        plan = LegPlan("web", AudioFormat.PCM16, 8000, 0.0, events.append, str(tmp_path / "web.wav"))
        far = FarSide(opened.loop.time)
        far.leg = opened.plane.add_leg(plan, far)
        heard: list[bytes] = []
        opened.plane.listen("web", heard.append, 8000)
        far.leg.audio_received(square(8000, 160))
        assert opened.plane.has_leg("web")
        assert heard == [square(8000, 160)]
        assert opened.plane.recent_audio("web", 1.0)
        opened.plane.send(Play("web", 1, REPLY))
        opened.plane.send(Drop("web"))
        assert far.frames
        far.leg.disconnected("closed")
        assert await opened.plane.recorded("web") is not None


def _never(event: object) -> None:
    raise AssertionError(event)


def _stream() -> StreamPlan:
    return StreamPlan(Codec.PCMU, 0, {0: Codec.PCMU})


# --- listeners, and a person who takes over ------------------------------------------------------------------------


def loudest(pcm: bytes, side: int) -> int:
    return int(abs(shorts(pcm).reshape(-1, 2)[:, side].astype(int)).max(initial=0))


async def test_both_sides_are_listened_to_over_the_process_boundary() -> None:
    async with rig() as opened:
        await opened.edge.ready()
        call = opened.call()
        heard = bytearray()
        opened.plane.tap("leg", heard.extend)
        opened.plane.send(Play("leg", 1, REPLY))
        await call.speak(0.5)
        await until(lambda: heard and loudest(bytes(heard), 0) > 3000 and loudest(bytes(heard), 1) > 3000)
        opened.plane.tap("leg", None)
        await call.speak(0.2)
        count = len(heard)
        await call.speak(0.3)
        assert len(heard) == count


async def test_a_listener_that_fails_is_told_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: bytes) -> None:
        raise RuntimeError("deaf")

    async with rig() as opened:
        await opened.edge.ready()
        call = opened.call()
        opened.plane.tap("leg", fail)
        await until(lambda: "leg leg failed" in caplog.text)
        call.leg.take({"is": "tapped", "leg": "leg", "pcm": b"\0" * 4})
        assert caplog.text.count("leg leg failed") == 1
        await call.speak(0.1)
        assert opened.plane.has_leg("leg")


async def test_a_person_speaks_to_a_telephone_in_the_agents_place() -> None:
    async with rig() as opened:
        await opened.edge.ready()
        call = opened.call()
        opened.plane.send(TakeOver("leg"))
        for _ in range(20):
            opened.plane.send(Speak("leg", square(8000, 320)))
            await call.speak(0.02, loud=False)

        def told() -> bytes:
            return b"".join(g711.mulaw_to_pcm(packet[-1]) for packet in call.phone.heard())

        await until(lambda: loudest(told(), 0) > 3000)
        opened.plane.send(GiveBack("leg"))

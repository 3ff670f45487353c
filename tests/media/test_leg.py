"""A leg on a clock that jumps: what it hears, what it plays, when it says so, and what it does not put up with."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import numpy as np
import pytest

from aywa.core.events import (
    ClientMessageReceived,
    DtmfReceived,
    LegConnected,
    LegEnded,
    MediaWarned,
    PlayoutAdvanced,
    PlayoutDropped,
    PlayoutFinished,
    PlayoutPaused,
    PlayoutStarted,
    VoiceLevelMeasured,
    VoiceScored,
    VoiceStarted,
    VoiceStopped,
    VoiceSuspected,
)
from aywa.media.settings import MediaSettings
from aywa.ports.media import (
    Arm,
    AudioFormat,
    CloseLeg,
    Drop,
    Finish,
    LegPlan,
    Pause,
    Play,
    Resume,
    SendDtmf,
    SendText,
)
from tests.media.rig import Call, FarSide, Rig, numbers, ramp, rig, square

pytestmark = pytest.mark.virtual_time


def recorded_frames(path: str) -> int:
    """As many as the file's size allows."""
    return (Path(path).stat().st_size - 44) // 4


def warned(call: Call) -> list[str]:
    return [warning.code for warning in call.of(MediaWarned)]


def ended(call: Call) -> list[str]:
    return [end.cause for end in call.of(LegEnded)]


# --- voice -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("audio", "rate_hz"), [(AudioFormat.PCM16, 16000), (AudioFormat.MULAW, 8000)])
async def test_voice_is_dated_by_its_first_and_last_frame(audio: AudioFormat, rate_hz: int) -> None:
    async with rig() as at:
        call = at.call(audio=audio, rate_hz=rate_hz)
        await call.speak(1.0, 0)
        await call.speak(2.0)
        await call.speak(1.0, 0)
        assert call.of(LegConnected) == [LegConnected("leg", rate_hz)]
        assert [round(e.at_s, 6) for e in call.of(VoiceStarted)] == [1.02]
        assert [round(e.at_s, 6) for e in call.of(VoiceStopped)] == [3.0]


async def test_one_window_of_voice_is_a_suspicion_and_it_is_told_before_the_voice_is_found() -> None:
    async with rig() as at:
        call = at.call()
        await call.speak(1.0, 0)
        await call.speak(1.0)
        await call.speak(0.5, 0)
        assert call.names() == ["LegConnected", "VoiceSuspected", "VoiceStarted", "VoiceStopped"]
        [suspected], [started] = call.of(VoiceSuspected), call.of(VoiceStarted)
        told_s = dict(zip(call.names(()), call.times, strict=True))
        assert suspected.at_s >= started.at_s
        assert 0.0 < told_s["VoiceStarted"] - told_s["VoiceSuspected"] <= 0.04


async def test_a_click_is_suspected_once_and_found_to_be_nothing() -> None:
    async with rig() as at:
        call = at.call()
        for _ in range(3):
            # Each within one window of the detector.
            await call.speak(0.48, 0)
            await call.speak(0.02)
            await call.speak(0.14, 0)
        assert len(call.of(VoiceSuspected)) == 3
        assert not call.of(VoiceStarted)


@pytest.mark.parametrize("rate_hz", [24000, 48000])
async def test_other_rates_are_resampled_for_the_detector(rate_hz: int) -> None:
    async with rig() as at:
        call = at.call(rate_hz=rate_hz)
        await call.speak(0.5, 0)
        await call.speak(1.0)
        await call.speak(0.5, 0)
        assert [round(e.at_s, 3) for e in call.of(VoiceStarted)] == [0.52]
        # The filter's delay may carry the end into the next frame.
        assert [round(e.at_s, 3) for e in call.of(VoiceStopped)] in ([1.5], [1.52])
        assert at.vads[16000].runs
        assert not at.vads[8000].runs


async def test_probabilities_are_told_about_every_two_seconds_one_byte_a_window() -> None:
    async with rig() as at:
        call = at.call()
        await call.speak(2.0, 0)
        await call.speak(4.0)
        at.plane.send(CloseLeg("leg", "bye"))
        await asyncio.sleep(0.1)
    scored = call.of(VoiceScored)
    assert len(scored) == 3
    heard = b"".join(one.probabilities for one in scored)
    assert len(heard) == 186
    assert heard.count(0) in (62, 63)
    assert scored[0].from_s == pytest.approx(0.008)
    assert scored[0].window_s == 0.032


async def test_a_client_that_stops_sending_has_stopped_speaking() -> None:
    async with rig() as at:
        call = at.call()
        await call.speak(1.0)
        await asyncio.sleep(2)
        assert [round(e.at_s, 3) for e in call.of(VoiceStopped)] == [1.0]
        assert at.plane.last_audio_s("leg") == pytest.approx(1.0)
        assert at.plane.last_audio_s("nobody") is None


async def test_a_leg_that_ends_while_its_caller_speaks() -> None:
    async with rig() as at:
        call = at.call()
        await call.speak(0.5)
        call.leg.disconnected("lost", "reset")
        await asyncio.sleep(1)
        assert call.events[-1] == LegEnded("leg", "lost", "reset")
        assert at.vads[16000].open_rows == set()
        assert at.plane.leg_count == 0


async def test_a_detector_that_fails_is_told_once_and_the_call_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with rig() as at:
        call = at.call()
        at.vads[16000].fail = True
        with caplog.at_level(logging.CRITICAL):
            await call.speak(0.5, 0)
            await call.speak(0.5)
        assert warned(call) == ["vad_failed"]
        assert len(call.of(VoiceStarted)) == 1


# --- playout ---------------------------------------------------------------------------------------------------


async def test_a_reply_leaves_on_the_legs_own_beat() -> None:
    async with rig() as at:
        call = at.call()
        await asyncio.sleep(0.0137)
        at.plane.send(Play("leg", 1, ramp(320 * 50)))
        at.plane.send(Finish("leg", 1))
        await asyncio.sleep(2)
        assert call.far.times[:4] == [0.0137] * 4
        assert call.far.times[4:8] == [0.055, 0.055, 0.095, 0.095]
        assert np.allclose(np.diff(call.far.times[4::2]), 0.04)
        assert call.far.times[4::2] == call.far.times[5::2]
        assert numbers(call.far.audio) == numbers(ramp(320 * 50))
        assert [round(e.at_s, 6) for e in call.of(PlayoutStarted)] == [0.0137]
        assert [e.position for e in call.of(PlayoutAdvanced)] == [25 * 320, 50 * 320]
        assert [e.position for e in call.of(PlayoutFinished)] == [50 * 320]


async def test_mulaw_leaves_as_mulaw_and_its_padding_is_silence() -> None:
    async with rig() as at:
        call = at.call(audio=AudioFormat.MULAW, rate_hz=8000)
        at.plane.send(Play("leg", 1, (32124).to_bytes(2, "little") * 100 + b"\0"))
        at.plane.send(Finish("leg", 1))
        assert call.far.audio == b"\x80" * 100 + b"\xff" * 60


async def test_nothing_is_sent_while_nothing_is_played() -> None:
    async with rig() as at:
        call = at.call()
        await call.speak(2.0)
        assert call.far.frames == []


async def test_pause_resume_and_drop() -> None:
    async with rig() as at:
        call = at.call()
        at.plane.send(Play("leg", 1, ramp(320 * 50)))
        await asyncio.sleep(0.101)
        at.plane.send(Pause("leg"))
        await asyncio.sleep(1)
        position = call.of(PlayoutPaused)[0].position
        assert position == 320 * 8 == 320 * len(call.far.frames)
        at.plane.send(Resume("leg", position))
        await asyncio.sleep(0.1)
        at.plane.send(Drop("leg"))
        await asyncio.sleep(1)
        assert numbers(call.far.audio) == numbers(ramp(call.of(PlayoutDropped)[0].position))


async def test_a_full_queue_is_told() -> None:
    async with rig(queue_s=1.0) as at:
        call = at.call()
        for _ in range(3):
            at.plane.send(Play("leg", 1, bytes(32000)))
        assert warned(call) == ["playout_full"]


async def test_messages_for_nobody_do_nothing() -> None:
    async with rig() as at:
        for message in (Play("x", 1, b""), Finish("x", 1), Pause("x"), Drop("x"), CloseLeg("x", "")):
            at.plane.send(message)
        at.plane.listen("x", None, 8000)
        assert at.plane.recent_audio("x", 1) == b""


# --- the armed pause -------------------------------------------------------------------------------------------


async def armed(at: Rig, voice_s: float) -> Call:
    call = at.call()
    at.plane.send(Play("leg", 1, bytes(32000 * 5)))
    at.plane.send(Arm("leg", True, voice_s))
    await call.speak(0.5, 0)
    return call


@pytest.mark.parametrize("voice_s", [0.02, 0.06])
async def test_an_armed_pause_comes_before_the_news_of_the_voice(voice_s: float) -> None:
    async with rig() as at:
        call = await armed(at, voice_s)
        await call.speak(0.2)
        names = call.names()
        assert names[-2:] == ["PlayoutPaused", "VoiceStarted"]
        assert (
            call.times[call.events.index(call.of(PlayoutPaused)[0])]
            == call.times[call.events.index(call.of(VoiceStarted)[0])]
        )
        assert call.of(VoiceStarted)[0].at_s == pytest.approx(0.52)
        assert call.of(PlayoutPaused)[0].at_s <= 0.5 + 0.02 + 0.032 * (1 if voice_s < 0.03 else 2) + 0.03


async def test_an_armed_pause_that_wants_more_voice_comes_after_the_news() -> None:
    async with rig() as at:
        call = await armed(at, 0.2)
        await call.speak(0.15)
        assert call.names()[-1] == "VoiceStarted"
        await call.speak(0.09)
        assert call.names()[-1] == "PlayoutPaused"


async def test_quiet_voice_does_not_pause_and_what_played_on_is_not_paused_again_by_the_same_voice() -> None:
    async with rig() as at:
        call = await armed(at, 0.03)
        at.plane.send(Arm("leg", True, 0.03, least_db=0.0))
        await call.speak(0.6)
        assert call.of(PlayoutPaused) == []
        assert [round(e.level_db) for e in call.of(VoiceLevelMeasured)] == [
            round(call.of(VoiceStarted)[0].level_db or 0)
        ] * 2
        at.plane.send(Arm("leg", True, 0.03))
        await call.speak(0.1)
        assert len(call.of(PlayoutPaused)) == 1
        at.plane.send(Resume("leg", call.of(PlayoutPaused)[0].position))
        await call.speak(0.5)
        assert len(call.of(PlayoutPaused)) == 1
        await call.speak(0.3, 0)
        assert call.of(VoiceStopped)[0].level_db == pytest.approx(call.of(VoiceLevelMeasured)[0].level_db)
        await call.speak(0.3)
        assert len(call.of(PlayoutPaused)) == 2


async def test_a_cough_shorter_than_that_does_not_pause() -> None:
    async with rig() as at:
        call = await armed(at, 0.2)
        for _ in range(5):
            await call.speak(0.1)
            await call.speak(0.2, 0)
        assert call.of(PlayoutPaused) == []


async def test_voice_while_disarmed_or_while_nothing_plays_does_not_pause() -> None:
    async with rig() as at:
        call = await armed(at, 0.06)
        at.plane.send(Arm("leg", False, 0.06))
        await call.speak(0.5)
        assert call.of(PlayoutPaused) == []
        at.plane.send(Drop("leg"))
        at.plane.send(Arm("leg", True, 0.06))
        await call.speak(0.5)
        assert call.of(PlayoutPaused) == []


async def test_voice_from_before_the_reply_does_not_count() -> None:
    async with rig() as at:
        call = at.call()
        at.plane.send(Arm("leg", True, 0.2))
        await call.speak(1.0)
        at.plane.send(Play("leg", 1, bytes(32000)))
        await call.speak(0.1)
        assert call.of(PlayoutPaused) == []
        await call.speak(0.2)
        assert len(call.of(PlayoutPaused)) == 1


# --- who listens -----------------------------------------------------------------------------------------------


async def test_a_sink_gets_every_frame_as_it_comes_at_its_rate() -> None:
    async with rig() as at:
        call, same, other = at.call(), list[bytes](), list[bytes]()
        at.plane.listen("leg", same.append, 16000)
        await call.speak(0.1)
        at.plane.listen("leg", other.append, 8000)
        await call.speak(0.1)
        at.plane.listen("leg", None, 8000)
        await call.speak(0.1)
        assert [len(pcm) for pcm in same] == [640] * 5
        assert [len(pcm) for pcm in other] == [320] * 5


def fails(pcm: bytes) -> None:
    raise RuntimeError("no ears today")


async def test_a_sink_that_raises_loses_its_place_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    async with rig() as at:
        call, other, heard = at.call(), at.call("other"), list[bytes]()
        at.plane.listen("leg", fails, 16000)
        at.plane.listen("other", heard.append, 16000)
        with caplog.at_level(logging.CRITICAL):
            await asyncio.gather(call.speak(0.1), other.speak(0.1))
        assert warned(call) == ["sink_failed"]
        assert (warned(other), len(heard)) == ([], 5)


async def test_recent_audio_is_the_last_seconds_at_16_khz() -> None:
    async with rig(recent_s=1.0) as at:
        wide, narrow = at.call("wide"), at.call("narrow", AudioFormat.MULAW, 8000)
        assert at.plane.recent_audio("wide", 8) == b""
        await asyncio.gather(wide.speak(2.0), narrow.speak(2.0))
        assert at.plane.recent_audio("wide", 0.5) == square(8000, 320) * 25
        assert len(at.plane.recent_audio("wide", 8)) == 32000
        assert len(at.plane.recent_audio("narrow", 8)) == 32000
        assert at.plane.recent_audio("narrow", 0) == b""


# --- text ------------------------------------------------------------------------------------------------------


async def test_text_goes_both_ways() -> None:
    async with rig() as at:
        call = at.call()
        call.leg.text_received('{"type": "say", "content": "hi"}')
        at.plane.send(SendText("leg", "{}"))
        assert call.of(ClientMessageReceived) == [
            ClientMessageReceived("leg", {"type": "say", "content": "hi"})
        ]
        assert call.far.texts == ["{}"]


@pytest.mark.parametrize("text", ["nope", "[1]", "", '"x"', "[" * 60_000])
async def test_text_that_is_no_json_object_is_answered_and_the_leg_goes_on(text: str) -> None:
    async with rig() as at:
        call = at.call()
        call.leg.text_received(text)
        assert warned(call) == call.far.errors == ["malformed_frame"]
        assert ended(call) == []


async def test_too_many_messages_are_dropped_and_then_end_the_leg() -> None:
    async with rig(texts_per_s=10, texts_end=20) as at:
        call = at.call()
        for _ in range(40):
            call.leg.text_received("{}")
        assert len(call.of(ClientMessageReceived)) == 10
        assert warned(call) == ["text_ahead"]
        assert ended(call) == ["flooded"]
        assert call.far.closed[0][1] == 1008


async def test_keys_leave_where_the_transport_has_them() -> None:
    async with rig() as at:
        call = at.call()
        at.plane.send(SendDtmf("leg", "12"))
        assert warned(call) == ["dtmf_unsupported"]
        call.far.has_keys = True
        at.plane.send(SendDtmf("leg", "34"))
        assert call.far.keys == "34"
        assert len(warned(call)) == 1


async def test_a_connection_that_breaks_on_a_key_ends_its_leg() -> None:
    async with rig() as at:
        call = at.call()
        call.far.fail = True
        at.plane.send(SendDtmf("leg", "1"))
        await asyncio.sleep(0.1)
        assert ended(call) == ["lost"]


async def test_a_key_of_the_far_side_is_told_until_the_leg_has_ended() -> None:
    async with rig() as at:
        call = at.call()
        call.leg.dtmf_received("5")
        call.leg.disconnected("closed")
        call.leg.dtmf_received("6")
        assert [key.digit for key in call.of(DtmfReceived)] == ["5"]


async def test_a_leg_with_a_lead_of_its_own_sends_no_burst() -> None:
    async with rig() as at:
        call = at.call(lead_s=0.005)
        await asyncio.sleep(0.0137)
        at.plane.send(Play("leg", 1, ramp(320 * 50)))
        await asyncio.sleep(0.06)
        assert call.far.times == [0.0137, 0.03, 0.05, 0.07]


# --- what a leg does not put up with ---------------------------------------------------------------------------


async def test_audio_ahead_of_its_clock_is_dropped_and_real_time_goes_on() -> None:
    async with rig() as at:
        call, heard = at.call(), list[bytes]()
        at.plane.listen("leg", heard.append, 16000)
        for _ in range(200):
            call.leg.audio_received(call.frame())
        assert 99 <= len(heard) <= 100
        assert warned(call) == ["audio_ahead"]
        await call.speak(1.0)
        assert 149 <= len(heard) <= 151
        assert ended(call) == []


async def test_a_flood_ends_its_leg_and_no_other() -> None:
    async with rig() as at:
        call, other = at.call(), at.call("other")
        for _ in range(600):
            call.leg.audio_received(call.frame())
        assert ended(call) == ["flooded"]
        assert call.far.errors == ["flooded"]
        assert [code for _, code, _ in call.far.closed] == [1008]
        await other.speak(0.5)
        assert (warned(other), ended(other)) == ([], [])


@pytest.mark.parametrize(
    ("audio", "rate_hz", "frame"),
    [
        (AudioFormat.PCM16, 16000, b"\0" * 641),
        (AudioFormat.PCM16, 16000, b""),
        (AudioFormat.MULAW, 8000, b""),
    ],
)
async def test_malformed_frames_are_answered_and_too_many_end_the_leg(
    audio: AudioFormat, rate_hz: int, frame: bytes
) -> None:
    async with rig() as at:
        call = at.call(audio=audio, rate_hz=rate_hz)
        call.leg.audio_received(frame)
        assert warned(call) == call.far.errors == ["malformed_frame"]
        await call.speak(0.1)
        for _ in range(60):
            call.leg.audio_received(frame)
        assert warned(call) == ["malformed_frame"] * 50
        assert ended(call) == ["malformed"]
        assert call.far.closed[0][1] == 1007


@pytest.mark.parametrize("size", [2, 320, 642, 3200, 32000, 64000])
async def test_frames_of_any_whole_size_are_taken(size: int) -> None:
    async with rig() as at:
        call, heard = at.call(), list[bytes]()
        at.plane.listen("leg", heard.append, 16000)
        for _ in range(3):
            call.leg.audio_received(bytes(size))
            await asyncio.sleep(size / 32000)
        assert [len(pcm) for pcm in heard] == [size] * 3
        assert warned(call) == []


async def test_a_far_side_that_never_reads_is_warned_of_and_then_closed() -> None:
    async with rig() as at:
        call = at.call()
        call.far.buffered = 64_001
        await asyncio.sleep(1.5)
        assert (warned(call), ended(call)) == (["unread"], [])
        await asyncio.sleep(5)
        assert ended(call) == ["unread"]
        assert call.far.closed[0][1] == 1008


async def test_a_far_side_that_reads_slowly_is_only_warned_of() -> None:
    async with rig() as at:
        call = at.call()
        for _ in range(10):
            call.far.buffered = 64_001
            await asyncio.sleep(2)
            call.far.buffered = 64_000
            await asyncio.sleep(2)
        assert set(warned(call)) == {"unread"}
        assert ended(call) == []


# --- connections that fail, and ends ---------------------------------------------------------------------------


@pytest.mark.parametrize("message", [Play("leg", 1, bytes(6400)), SendText("leg", "{}")])
async def test_a_connection_that_raises_ends_its_leg_as_lost(
    message: Play | SendText, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig() as at:
        call, other = at.call(), at.call("other")
        call.far.fail = True
        with caplog.at_level(logging.CRITICAL):
            at.plane.send(message)
            await asyncio.sleep(0.1)
        assert ended(call) == ["lost"]
        assert ended(other) == []


async def test_a_connection_that_raises_when_asked_or_closed_ends_its_leg(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with rig() as at:
        asked, closed = at.call("asked"), at.call("closed")
        asked.far.fail = closed.far.fail = True
        with caplog.at_level(logging.CRITICAL):
            closed.leg._expel("malformed", "", 1007)
            await asyncio.sleep(1.1)
        assert ended(asked) == ["lost"]
        assert ended(closed) == ["malformed"]


async def test_an_inbox_that_raises_does_not_stop_the_media(caplog: pytest.LogCaptureFixture) -> None:
    async with rig() as at:
        far = FarSide(at.loop.time)
        with caplog.at_level(logging.ERROR):
            at.plane.add_leg(LegPlan("leg", AudioFormat.PCM16, 16000, 0.0, lambda event: [].pop()), far)
            at.plane.send(Play("leg", 1, bytes(6400)))
            await asyncio.sleep(0.5)
        assert len(far.frames) == 10
        assert "could not post" in caplog.text


async def test_closing_lets_the_far_side_hear_what_was_sent() -> None:
    async with rig() as at:
        call = at.call()
        at.plane.send(Play("leg", 1, ramp(320 * 50)))
        at.plane.send(CloseLeg("leg", "goodbye"))
        at.plane.send(Play("leg", 2, ramp(320)))
        call.leg.audio_received(call.frame())
        call.leg.text_received("{}")
        await asyncio.sleep(1)
        assert [(round(at_s, 3), code, reason) for at_s, code, reason in call.far.closed] == [
            (0.08, 1000, "goodbye")
        ]
        assert call.names() == ["LegConnected", "PlayoutStarted", "PlayoutDropped", "LegEnded"]
        assert ended(call) == ["local"]


async def test_a_far_side_that_does_not_answer_a_close_is_gone_all_the_same() -> None:
    async with rig(close_s=2.0) as at:
        call = at.call()
        call.far.answers_close = False
        at.plane.send(CloseLeg("leg", "goodbye"))
        await asyncio.sleep(1.9)
        assert ended(call) == []
        await asyncio.sleep(0.2)
        assert ended(call) == ["local"]
        call.leg.disconnected("lost")
        assert ended(call) == ["local"]


async def test_a_leg_that_is_lost_while_it_waits_to_close() -> None:
    async with rig() as at:
        call = at.call()
        at.plane.send(Play("leg", 1, ramp(320 * 50)))
        at.plane.send(CloseLeg("leg", "goodbye"))
        call.leg.disconnected("lost")
        call.leg._close_now("goodbye")
        await asyncio.sleep(1)
        assert ended(call) == ["local"]
        assert call.far.closed == []


async def test_a_reply_that_plays_when_the_far_side_hangs_up_is_dropped_where_it_was() -> None:
    async with rig() as at:
        call = at.call()
        at.plane.send(Play("leg", 1, ramp(320 * 50)))
        call.leg.disconnected("closed", "1000")
        assert call.names()[-2:] == ["PlayoutDropped", "LegEnded"]
        assert call.of(PlayoutDropped)[0].position == 320 * 4
        call.leg.audio_received(call.frame())
        call.leg.text_received("{}")
        await asyncio.sleep(1)
        assert len(call.far.frames) == 4


# --- the plane -------------------------------------------------------------------------------------------------


async def test_a_leg_has_one_connection() -> None:
    async with rig() as at:
        at.call()
        assert at.plane.has_leg("leg")
        with pytest.raises(ValueError, match="is connected"):
            at.call()


async def test_closing_the_plane_ends_every_leg() -> None:
    async with rig() as at:
        calls = [at.call(str(number)) for number in range(3)]
        await at.plane.close()
        assert [ended(call) for call in calls] == [["local"]] * 3
        assert [call.far.closed[0][1] for call in calls] == [1012] * 3
        calls[0].leg.shut(1000, "again")
        with pytest.raises(ValueError, match="closed"):
            at.call("late")


async def test_the_recording_is_complete_when_it_is_waited_for(tmp_path: Path) -> None:
    async with rig() as at:
        call = at.call(recording=tmp_path / "a.wav")
        at.plane.send(Play("leg", 1, ramp(320 * 50)))
        await call.speak(1.5)
        call.leg.disconnected("closed")
        recording = await at.plane.recorded("leg")
        assert recording is not None
        assert recording.lost == ""
        assert recording.seconds == pytest.approx(1.5)
        assert await at.plane.recorded("leg") is None
        assert recorded_frames(recording.path) == 24000


async def test_a_recording_that_is_lost_is_told_and_the_call_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with rig() as at:
        call = at.call(recording=tmp_path / "file" / "a.wav")
        await call.speak(3.0)
        assert warned(call) == ["recording_lost"]
        call.leg.disconnected("closed")
        recording = await at.plane.recorded("leg")
        assert recording is not None
        assert recording.lost


async def test_recordings_nobody_asks_for_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aywa.media.plane._MOST_RECORDINGS", 2)
    async with rig() as at:
        for number in range(3):
            at.call(str(number), recording=tmp_path / f"{number}.wav").leg.disconnected("closed")
        assert await at.plane.recorded("0") is None
        assert await at.plane.recorded("2") is not None


async def test_a_hundred_legs_share_a_few_runs_of_the_detector() -> None:
    async with rig() as at:
        calls = [at.call(str(number)) for number in range(100)]
        await asyncio.gather(*(call.speak(0.32, 0) for call in calls))
        await asyncio.sleep(0.1)
        runs = [len(run) for run in at.vads[16000].runs]
        # Ten windows of each, and what runs leave over.
        assert sum(runs) == 1000
        assert max(runs) == MediaSettings().batch_rows
        assert len(runs) <= 10 * 4


async def test_a_party_that_the_far_side_passed_on_is_given_away_and_gone(tmp_path: Path) -> None:
    async with rig() as at:
        call = at.call(recording=tmp_path / "call.wav")
        await call.speak(0.2)
        call.leg.disconnected("forwarded")
        assert ended(call) == ["forwarded", "closed"]
        assert not at.plane.has_leg("leg")
        recording = await at.plane.recorded("leg")
        assert recording is not None

"""The scripted caller against a peer written from the contract, on a clock that jumps."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from aywa.ports.media import AudioFormat
from aywa.testing import wire
from aywa.testing.caller import CallerError, NoRuntime, Placed, Refused, ScriptedCaller
from aywa.testing.script import Backchannel, BargeIn, HangUp, Pause, Say, Step, WaitReply
from aywa.testing.wire import Kind
from tests.testing.peer import ASSISTANT, KEY, Peer, serving

pytestmark = pytest.mark.virtual_time


def tone(seconds: float, rate_hz: int = 16000, level: int = 8000) -> bytes:
    wave = level * np.sin(np.arange(round(seconds * rate_hz)) * 0.5)
    return bytes(wave.astype("<i2").tobytes())


async def place(peer: Peer, *steps: Step, assistant: Any = ASSISTANT, **options: Any) -> Placed:
    async with serving(peer):
        return await ScriptedCaller(peer.url, KEY, **options).call(assistant, steps)


async def test_measures_a_delay_that_is_known() -> None:
    placed = await place(Peer(wait_frames=25), WaitReply(), Say(tone(1.0), "question"), WaitReply())
    (latency,) = wire.latencies(placed.record)
    # 25 silent frames are waited for, and the 26th lets the reply out.
    assert latency.audible_ms == pytest.approx(26 * 20, abs=0.1)
    assert latency.frame_ms == latency.audible_ms
    record = placed.record
    assert not wire.cutoffs(record)
    assert not wire.gaps(record)
    assert not wire.underruns(record)
    assert placed.ended_reason == "customer-ended-call"
    assert placed.close_code == 1000


async def test_leading_silence_is_no_reply() -> None:
    placed = await place(Peer(zero_frames=10), WaitReply(), Say(tone(1.0)), WaitReply())
    (latency,) = wire.latencies(placed.record)
    assert latency.frame_ms == pytest.approx(26 * 20, abs=0.1)
    # Three frames of lead arrive with the first one.
    assert latency.audible_ms == pytest.approx((26 + 10 - 3) * 20, abs=0.1)


async def test_frames_leave_every_20_ms_and_never_stop() -> None:
    placed = await place(Peer(), WaitReply(), Say(tone(0.5)), Pause(1.0), WaitReply())
    times = [frame.at_s for frame in placed.record.sent]
    assert np.diff(times) == pytest.approx(0.02, abs=1e-6)
    assert wire.pacing_late_ms(placed.record) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(("audio", "size", "rate"), [("pcm_s16le", 640, 16000), ("mulaw", 160, 8000)])
async def test_speaks_both_formats(audio: str, size: int, rate: int) -> None:
    peer = Peer()
    placed = await place(
        peer,
        WaitReply(),
        Say(tone(0.5, rate)),
        WaitReply(),
        assistant={"name": "A"},
        audio=AudioFormat(audio),
    )
    assert peer.frame_bytes == {size}
    assert peer.requests == [
        {
            "assistant": {"name": "A"},
            "transport": {
                "provider": "vapi.websocket",
                "audioFormat": {"format": audio, "container": "raw", "sampleRate": rate},
            },
        }
    ]
    assert all(len(frame.pcm) == 0.02 * rate * 2 and frame.audible for frame in placed.record.received)


async def test_barges_in_and_measures_the_stop() -> None:
    peer = Peer(reply_frames=200, stop_frames=5)
    placed = await place(
        peer, WaitReply(), Say(tone(0.5)), BargeIn(tone(0.6), after_s=0.5, label="stop"), WaitReply()
    )
    (stop,) = wire.barge_in_stops(placed.record)
    # Five voiced frames pass, the sixth stops: the last reply frame came with the fifth.
    assert stop.stop_ms == pytest.approx(4 * 20, abs=0.1)
    assert [said.kind for said in wire.utterances(placed.record)] == [Kind.SAY, Kind.BARGE_IN]
    assert len(wire.latencies(placed.record)) == 2


async def test_a_backchannel_does_not_ask_for_a_reply() -> None:
    peer = Peer(reply_frames=100, stop_frames=None, wait_frames=10_000)
    placed = await place(peer, Backchannel(tone(0.2), after_s=0.2, label="mhm"), WaitReply(), Pause(0.1))
    (outcome,) = wire.backchannels(placed.record)
    assert outcome.label == "mhm"
    assert wire.latencies(placed.record) == []


async def test_speaks_into_no_reply_that_is_over() -> None:
    placed = await place(Peer(greeting_frames=10), BargeIn(tone(0.2), after_s=1.0, label="late"))
    assert placed.record.missed == ["late"]
    assert wire.utterances(placed.record) == []


async def test_speaks_into_no_reply_that_never_comes() -> None:
    peer = Peer(greeting_frames=0)
    placed = await place(peer, Backchannel(tone(0.2), label="alone", timeout_s=2.0))
    assert placed.record.missed == ["alone"]
    assert len(placed.record.sent) == 100


async def test_does_not_wait_for_ever() -> None:
    placed = await place(Peer(greeting_frames=0), WaitReply(timeout_s=4.0))
    assert len(placed.record.sent) == 200
    (gap,) = wire.gaps(placed.record)
    assert gap.length_s == pytest.approx(4.0, abs=0.03)


async def test_hangs_up_by_message() -> None:
    peer = Peer()
    placed = await place(peer, WaitReply(), HangUp(by_message=True), Say(tone(1.0)))
    assert peer.controls == [{"type": "end-call"}]
    assert placed.record.spoken == []


async def test_hangs_up_at_once_when_told() -> None:
    peer = Peer()
    async with serving(peer):
        caller = ScriptedCaller(peer.url, KEY)
        asyncio.get_running_loop().call_later(0.5, caller.hang_up)
        placed = await caller.call(ASSISTANT, [Pause(60.0)])
    assert placed.record.closed_s - placed.record.opened_s == pytest.approx(0.5, abs=0.03)


async def test_ends_when_the_runtime_hangs_up() -> None:
    peer = Peer(hang_up_after=50)
    placed = await place(peer, Pause(60.0))
    assert len(placed.record.sent) <= 52
    assert placed.record.closed_s > placed.record.opened_s


async def test_tells_of_steps_and_events() -> None:
    steps: list[Step] = []
    told: list[Any] = []
    script: list[Step] = [WaitReply(), Say(tone(0.1), "x")]
    peer = Peer(texts=['{"type":"error","message":"m"}', "no json", "[1]"])
    placed = await place(
        peer, *script, on_step=steps.append, on_event=lambda event: told.append(event.message["type"])
    )
    assert steps == script
    assert told == ["status-update", "error", "malformed", "malformed"]
    assert [event.message["type"] for event in placed.record.events] == told


async def test_gives_the_last_word_on_why_it_ended_to_the_event_when_nothing_is_stored() -> None:
    peer = Peer(hang_up_after=20, ended_status="in-progress")
    placed = await place(peer, Pause(60.0))
    assert placed.call["status"] == "in-progress"
    assert placed.ended_reason == "customer-ended-call"
    without = Placed("x", placed.record, {}, None)
    assert without.ended_reason == "assistant-ended-call"
    assert Placed("x", wire.Record(8000, 0, 0), {}, None).ended_reason is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            (400, {"message": ["a must be b", "c is  missing"], "statusCode": 400}),
            "a must be b; c is missing (HTTP 400)",
        ),
        ((503, "gone\nfishing"), "gone fishing (HTTP 503)"),
        ((500, ""), "no explanation (HTTP 500)"),
        ((201, {"id": "x"}), "no id or transport.websocketCallUrl"),
        ((201, "words"), "no id or transport.websocketCallUrl"),
    ],
)
async def test_passes_on_a_refusal_in_one_line(answer: tuple[int, Any], words: str) -> None:
    with pytest.raises(Refused) as error:
        await place(Peer(answer=answer))
    assert words in str(error.value)
    assert error.value.status == answer[0]


async def test_passes_on_an_unknown_assistant() -> None:
    with pytest.raises(Refused, match=r"Couldn't Find Assistant nobody. \(HTTP 404\)"):
        await place(Peer(), assistant="nobody")


async def test_names_the_address_where_nothing_answers(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(NoRuntime, match=f"no runtime answers at {url}"):
        await ScriptedCaller(url, KEY).call(ASSISTANT, [])


async def test_names_an_address_that_makes_no_sense() -> None:
    with pytest.raises(NoRuntime, match="no runtime answers at nonsense"):
        await ScriptedCaller("nonsense", KEY).call(ASSISTANT, [])


async def test_says_when_the_media_address_is_dead(unused_tcp_port: int) -> None:
    url = f"ws://127.0.0.1:{unused_tcp_port}/x?token=secret"
    body = {"id": "x", "transport": {"websocketCallUrl": url}}
    with pytest.raises(CallerError) as error:
        await place(Peer(answer=(201, body)))
    assert "/x for the call, but" in str(error.value)
    assert "secret" not in str(error.value)

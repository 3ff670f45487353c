"""A stream: from the far side's first word to the end of its leg, whatever it does in between."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from aywa.adapters.transports.equipment.codec import AHEAD_S, Codec, Message, Overrun, Passed, Received
from aywa.adapters.transports.equipment.door import Turned
from aywa.adapters.transports.equipment.settings import StreamSettings
from aywa.adapters.transports.equipment.twilio import TWILIO, TwilioCodec
from aywa.core.audio.g711 import mulaw_to_pcm
from aywa.core.equipment.marks import TRIES
from aywa.core.events import (
    DtmfReceived,
    LegConnected,
    LegEnded,
    MediaWarned,
    PlayoutFinished,
    PlayoutPaused,
    PlayoutStarted,
)
from aywa.core.rtp.dtmf import KeyStarted
from aywa.core.rtp.tones import ToneReceiver
from aywa.ports.media import CloseLeg, Finish, Pause, Play, SendDtmf, SendText
from tests.adapters.transports.equipment.rig import START, STREAM, Desk

pytestmark = pytest.mark.virtual_time
SECOND = bytes(2) * 8000


@asynccontextmanager
async def desk(codec: Codec | None = None, settings: StreamSettings | None = None) -> AsyncIterator[Desk]:
    opened = Desk(codec, settings)
    try:
        yield opened
    finally:
        await opened.close()


def warned(here: Desk) -> list[str]:
    return [event.code for event in here.of(MediaWarned)]


# --- becoming a call -----------------------------------------------------------------------------------------------------


async def test_a_stream_becomes_a_call_with_the_format_that_it_says() -> None:
    async with desk() as here:
        assert here.streams.waiting == 1
        here.say("connected", protocol="Call", version="1.0.0")
        await here.begin()
        ((handshake, started),) = here.gate.asked
        assert handshake is here.handshake
        assert (started.call_id, dict(started.parameters)) == ("CA1", {"order": "42"})
        (connected,) = here.of(LegConnected)
        assert (connected.leg_id, connected.rate_hz) == ("call", 8000)
        assert here.streams.leg("call") is here.stream.leg is not None
        assert here.streams.waiting == 0


async def test_what_is_said_while_the_call_is_opened_is_kept_up_to_a_second() -> None:
    async with desk() as here:
        here.gate.opens.clear()
        here.speak(1)
        await here.begin()
        heard: list[bytes] = []
        for chunk in range(60):
            here.speak(chunk, value=chunk)
        here.say("dtmf", dtmf={"digit": "4"})
        assert here.stream.leg is None
        here.gate.opens.set()
        await here.settle()
        here.rig.plane.listen("call", heard.append, 8000)
        assert here.rig.plane.last_audio_s("call") is not None
        assert [event.digit for event in here.of(DtmfReceived)] == ["4"]
        # The newest second of it.
        assert here.rig.plane.recent_audio("call", 8) != b""
        assert len(here.rig.plane.recent_audio("call", 8)) // 2 == 16_000


@pytest.mark.parametrize(("later", "code"), [(False, 1008), (True, 1013)])
async def test_who_is_turned_away_is_told_why(later: bool, code: int) -> None:
    async with desk() as here:
        here.gate.answer = Turned("nothing is at this address", later)
        await here.begin()
        assert here.wire.closed == [(code, "nothing is at this address")]
        assert here.streams.waiting == 0
        here.speak(1)
        assert not here.gate.events


async def test_a_door_that_breaks_tells_nobody_how() -> None:
    async with desk() as here:
        here.gate.answer = None
        await here.begin()
        assert here.wire.closed == [(1013, "the call could not be opened")]


async def test_a_leg_that_somebody_else_has_is_not_taken_from_him() -> None:
    async with desk() as here:
        await here.begin()
        other = Desk()
        other.streams.plane = here.rig.plane
        await other.begin()
        assert other.wire.closed == [(1008, "leg call is connected")]
        assert here.stream.leg is not None
        assert not here.of(LegEnded)
        await other.close()


async def test_who_goes_before_his_call_is_opened_is_given_up() -> None:
    async with desk() as here:
        here.gate.opens.clear()
        await here.begin()
        here.stream.gone("lost", "")
        here.gate.opens.set()
        await here.settle()
        assert here.gate.given_up == ["call"]
        assert here.streams.waiting == 0


@pytest.mark.parametrize("begins", [False, True])
async def test_a_stream_that_does_not_become_a_call_in_time_is_closed(begins: bool) -> None:
    async with desk() as here:
        here.gate.opens.clear()
        if begins:
            await here.begin()
        await asyncio.sleep(16)
        assert [code for code, _ in here.wire.closed] == [1008]
        assert here.streams.waiting == 0


async def test_a_format_that_is_not_spoken_here_is_refused() -> None:
    async with desk() as here:
        here.say("start", start=START | {"mediaFormat": {"encoding": "audio/l16", "sampleRate": 8000}})
        ((code, why),) = here.wire.closed
        assert code == 1008
        assert "format" in why
        assert not here.gate.asked


# --- audio in ------------------------------------------------------------------------------------------------------------


async def test_audio_out_of_order_is_put_in_order_and_told() -> None:
    async with desk() as here:
        await here.begin()
        heard: list[bytes] = []
        here.rig.plane.listen("call", heard.append, 8000)
        for chunk in (1, 2, 4, 3, 5, 5, 2):
            await asyncio.sleep(0.02)
            here.speak(chunk, value=chunk)
        other = Desk()
        await other.begin()
        expected: list[bytes] = []
        other.rig.plane.listen("call", expected.append, 8000)
        for chunk in (1, 2, 3, 4, 5):
            other.speak(chunk, value=chunk)
        await other.close()
        assert heard == expected
        assert warned(here) == ["audio_reordered"]


async def test_audio_that_never_comes_is_waited_for_no_longer_than_two_messages() -> None:
    async with desk() as here:
        await here.begin()
        heard: list[bytes] = []
        here.rig.plane.listen("call", heard.append, 8000)
        counts = []
        for chunk in (1, 3, 4, 5, 6):
            await asyncio.sleep(0.02)
            here.speak(chunk)
            counts.append(len(heard))
        assert counts == [1, 1, 1, 4, 5]
        assert warned(here) == ["audio_missing"]


async def test_messages_without_audio_may_have_a_place_in_the_order() -> None:
    class Counting(TwilioCodec):
        def receive(self, message: Message) -> list[Received]:
            if isinstance(message, bytes):
                return [Passed(message[0])]
            return list(super().receive(message))

    async with desk(Counting()) as here:
        here.stream.received(b"\x01")
        await here.begin()
        heard: list[bytes] = []
        here.rig.plane.listen("call", heard.append, 8000)
        for step in (2, 3, 5, 6):
            here.speak(step)
        assert len(heard) == 2
        here.stream.received(b"\x04")
        assert len(heard) == 4
        here.stream.received(b"\x07")
        here.speak(8)
        assert len(heard) == 5
        assert set(warned(here)) <= {"audio_reordered"}


async def test_a_burst_is_cut_and_a_flood_ends_the_call() -> None:
    async with desk() as here:
        await here.begin()
        for chunk in range(200):
            here.speak(chunk)
        assert warned(here) == ["audio_ahead"]
        assert not here.of(LegEnded)
        for chunk in range(200, 700):
            here.speak(chunk)
        assert [event.cause for event in here.of(LegEnded)] == ["flooded"]


# --- audio out -----------------------------------------------------------------------------------------------------------


async def test_a_reply_leaves_ahead_with_marks_behind_every_100_ms() -> None:
    async with desk() as here:
        await here.begin()
        here.say("mark", mark={"name": "aywa-1"})
        here.order(Play("call", 1, SECOND))
        here.order(Finish("call", 1))
        begun = here.loop.time()
        assert len(here.wire.audio) == round((AHEAD_S + 0.02) * 8000)
        await asyncio.sleep(2)
        assert len(here.wire.audio) == 8000
        # One that measures the way when the call began; behind it none is further from the next than 100 ms and a message.
        events = [json.loads(message) for _, message in here.wire.sent]
        assert events[0]["event"] == "mark"
        since = [0]
        for event in events[1:]:
            if event["event"] == "mark":
                since.append(0)
            else:
                since[-1] += len(base64.b64decode(event["media"]["payload"]))
        assert len(since) >= 10
        assert max(since) <= 1600
        assert [event.position for event in here.of(PlayoutFinished)] == [8000]
        (started,) = here.of(PlayoutStarted)
        assert started.at_s == pytest.approx(0, abs=0.02)
        assert max(at for at, _ in here.wire.of("media")) - begun == pytest.approx(0.8, abs=0.03)


async def test_marks_that_come_back_late_move_what_counts_as_heard() -> None:
    """A far side that began a quarter of a second late."""
    async with desk() as here:
        await here.begin()
        here.say("mark", mark={"name": "aywa-1"})
        here.order(Play("call", 1, SECOND * 3))
        told = 1
        for _ in range(20):
            await asyncio.sleep(0.05)
            for at, message in here.wire.of("mark")[told:]:
                if here.loop.time() >= at + 0.35:
                    told += 1
                    here.say("mark", mark=message["mark"])
        here.order(Pause("call"))
        (paused,) = here.of(PlayoutPaused)
        sent = len(here.wire.audio)
        assert paused.position < sent - 1000
        assert len(here.wire.of("clear")) == 1


async def test_barge_in_sends_clear_at_once_and_the_echoes_that_follow_mean_nothing() -> None:
    async with desk() as here:
        await here.begin()
        here.order(Play("call", 1, SECOND))
        await asyncio.sleep(0.5)
        out = [message["mark"] for _, message in here.wire.of("mark")]
        here.order(Pause("call"))
        assert here.wire.of("clear") == [(here.loop.time(), {"event": "clear", "streamSid": STREAM})]
        (paused,) = here.of(PlayoutPaused)
        assert paused.position == pytest.approx(4000, abs=100)
        for mark in out:
            here.say("mark", mark=mark)
        assert warned(here) == []


async def test_marks_that_never_come_are_told_and_the_clock_stands_in() -> None:
    async with desk() as here:
        await here.begin()
        here.order(Play("call", 1, SECOND))
        here.order(Finish("call", 1))
        await asyncio.sleep(6)
        assert warned(here) == ["mark_missing"]
        assert len(here.wire.of("mark")) == TRIES
        (finished,) = here.of(PlayoutFinished)
        assert finished.at_s == pytest.approx(1, abs=0.03)


async def test_while_the_far_side_wants_none_audio_waits_and_too_much_of_it_is_dropped() -> None:
    class Halting(TwilioCodec):
        def receive(self, message: Message) -> list[Received]:
            if isinstance(message, bytes):
                return [Overrun(message == b"off")]
            return list(super().receive(message))

    async with desk(Halting(), StreamSettings(held_s=1.0)) as here:
        await here.begin()
        here.stream.received(b"off")
        here.order(Play("call", 1, SECOND))
        await asyncio.sleep(0.3)
        assert here.wire.audio == b""
        assert here.stream.buffered_bytes() > 0
        here.stream.received(b"on")
        here.stream.received(b"on")
        assert len(here.wire.audio) >= 2400
        assert here.stream.buffered_bytes() == 0
        assert warned(here) == ["overrun"]
        here.stream.received(b"off")
        here.order(Play("call", 1, SECOND * 4))
        await asyncio.sleep(3)
        assert "audio_held" in warned(here)


# --- keys, control, transfer ---------------------------------------------------------------------------------------------


class Keyed(TwilioCodec):
    """A protocol with keys and transfers."""

    def keys(self, digits: str) -> list[Message]:
        return [self.text("keys", digits=digits)]

    def transfer(self, to: str) -> list[Message]:
        return [self.text("transfer", to=to)]

    def hang_up(self, reason: str) -> list[Message]:
        return [self.text("bye", reason=reason)]


class Unstopped(TwilioCodec):
    """A protocol that closes when it is over."""

    def __init__(self) -> None:
        super().__init__(replace(TWILIO, stops=False))


class Beside:
    """door.Control."""

    def __init__(self) -> None:
        self.hung_up: list[str] = []
        self.keys = ""
        self.has_keys = True

    def hang_up(self, reason: str) -> None:
        self.hung_up.append(reason)

    def send_keys(self, digits: str) -> bool:
        self.keys += digits
        return self.has_keys


async def test_keys_leave_in_their_order_with_their_pauses() -> None:
    async with desk(Keyed()) as here:
        await here.begin()
        begun = here.loop.time()
        here.order(SendDtmf("call", "12wW3"))
        here.order(SendDtmf("call", "4"))
        await asyncio.sleep(5)
        keys = [(round(at - begun, 3), message["digits"]) for at, message in here.wire.of("keys")]
        assert keys == [(0.0, "12"), (2.1, "34")]


async def test_keys_go_beside_the_socket_where_it_carries_none() -> None:
    async with desk() as here:
        control = Beside()
        await here.begin()
        here.streams.govern("call", control)
        here.order(SendDtmf("call", "5w6"))
        assert control.keys == "5w6"
        assert here.wire.audio == b""
        here.streams.forget("call")
        assert here.streams.control("call") is None


def pressed(audio: bytes) -> list[tuple[str, float]]:
    """The keys that can be heard, and when."""
    receiver = ToneReceiver(8000)
    return [
        (event.key, at / 8000)
        for at in range(0, len(audio), 160)
        for event in receiver.hear(mulaw_to_pcm(audio[at : at + 160]))
        if isinstance(event, KeyStarted)
    ]


async def test_keys_that_nobody_carries_are_tones_after_what_is_being_said() -> None:
    async with desk() as here:
        await here.begin()
        here.say("mark", mark={"name": "aywa-1"})
        here.order(Play("call", 1, SECOND))
        here.order(Finish("call", 1))
        here.order(SendDtmf("call", "5#w9"))
        here.order(SendDtmf("call", "!"))
        await asyncio.sleep(4)
        keys = pressed(here.wire.audio)
        assert [key for key, _ in keys] == ["5", "#", "9"]
        # What was said comes first.
        assert keys[0][1] >= 1
        assert {round(at, 1) for at, _ in here.wire.of("media") if at > 0.9} == {1.0, 1.2, 1.9}
        assert warned(here)[0] == "dtmf_unsupported"


async def test_a_stream_that_is_no_call_yet_has_no_keys() -> None:
    async with desk() as here:
        assert not here.stream.send_dtmf("5")


async def test_a_call_that_the_brain_ends_is_hung_up_everywhere() -> None:
    async with desk(Keyed()) as here:
        control = Beside()
        await here.begin()
        here.streams.govern("call", control)
        here.order(SendText("call", "hello"))
        here.order(CloseLeg("call", "assistant-ended-call"))
        assert here.wire.closed == [(1000, "assistant-ended-call")]
        assert here.wire.of("bye")[0][1]["reason"] == "assistant-ended-call"
        assert control.hung_up == ["assistant-ended-call"]
        here.stream.gone("closed", "")
        assert [event.cause for event in here.of(LegEnded)] == ["local"]
        assert here.streams.leg("call") is None


async def test_the_far_side_passes_its_caller_on_where_it_can() -> None:
    async with desk(Keyed()) as here:
        told: list[bool] = []
        await here.begin()
        assert here.streams.transfer("call", "+4930", told.append)
        assert here.wire.of("transfer")[0][1]["to"] == "+4930"
        assert not here.streams.transfer("call", "+4931", told.append)
        assert not here.streams.transfer("other", "+4930", told.append)
        here.say("stop", stop={})
        assert told == [True]
        # Given away, and then gone: whoever waits for the connection's end is not left waiting.
        assert [event.cause for event in here.of(LegEnded)] == ["forwarded", "closed"]
        assert not here.stream.transfer("+4930", told.append)
        await asyncio.sleep(11)
        assert told == [True]


async def test_a_caller_who_is_still_here_was_not_passed_on() -> None:
    async with desk(Keyed()) as here:
        told: list[bool] = []
        await here.begin()
        assert here.streams.transfer("call", "+4930", told.append)
        await asyncio.sleep(11)
        assert told == [False]
        here.say("stop", stop={})
        assert [event.cause for event in here.of(LegEnded)] == ["closed"]
    async with desk() as here:
        await here.begin()
        assert not here.streams.transfer("call", "+4930", told.append)


# --- the end -------------------------------------------------------------------------------------------------------------


async def test_the_far_side_stops() -> None:
    async with desk() as here:
        await here.begin()
        here.say("stop", stop={"reason": "callended"})
        (ended,) = here.of(LegEnded)
        assert (ended.cause, ended.detail) == ("closed", "the far side stopped the stream callended")
        assert here.wire.closed == [(1000, "")]
        here.speak(1)
        here.order(Play("call", 1, SECOND))
        assert here.wire.audio == b""


async def test_who_closes_without_saying_that_the_stream_is_over_has_broken_it_off() -> None:
    async with desk() as here:
        await here.begin()
        here.stream.gone("closed", "1000")
        (ended,) = here.of(LegEnded)
        assert (ended.cause, ended.detail) == ("lost", "closed without the stream's end 1000")

    async with desk(Unstopped()) as here:
        await here.begin()
        here.stream.gone("closed", "1000")
        assert [event.cause for event in here.of(LegEnded)] == ["closed"]


async def test_a_connection_that_breaks_ends_the_leg_as_lost() -> None:
    async with desk() as here:
        await here.begin()
        here.order(Play("call", 1, SECOND))
        here.stream.gone("lost", "the connection broke")
        here.stream.gone("lost", "again")
        assert [(event.cause, event.detail) for event in here.of(LegEnded)] == [
            ("lost", "the connection broke")
        ]
        assert not here.wire.of("clear")


async def test_broken_messages_are_told_and_too_many_end_the_call() -> None:
    async with desk() as here:
        await here.begin()
        here.stream.received("{")
        assert warned(here) == ["malformed_message"]
        for _ in range(100):
            here.stream.received("{")
        assert [event.cause for event in here.of(LegEnded)] == ["malformed"]
        assert [code for code, _ in here.wire.closed] == [1008]


async def test_messages_that_mean_nothing_are_let_pass_and_a_flood_of_them_is_not() -> None:
    async with desk() as here:
        await here.begin()
        for _ in range(1500):
            here.say("news")
        assert [event.cause for event in here.of(LegEnded)] == ["flooded"]


async def test_keys_count_among_them() -> None:
    async with desk() as here:
        await here.begin()
        for _ in range(500):
            here.say("dtmf", dtmf={"digit": "1"})
        assert len(here.of(DtmfReceived)) == 100
        assert not here.of(LegEnded)


async def test_a_second_beginning_is_none() -> None:
    class Again(TwilioCodec):
        def receive(self, message: Message) -> list[Received]:
            self.stream_id = ""
            return list(super().receive(message))

    async with desk(Again()) as here:
        await here.begin()
        await here.begin()
        assert len(here.gate.asked) == 1
        assert warned(here) == ["malformed_message"]


async def test_too_many_that_wait_are_too_many() -> None:
    async with desk(settings=StreamSettings(waiting_most=1)) as here:
        assert here.streams.full
        await here.begin()
        assert not here.streams.full

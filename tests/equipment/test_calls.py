"""A call over every protocol: what the vendor's documentation has is exchanged both ways, and the runtime's word about what was
heard is held against the equipment's ear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from aywa.testing.equipment import check
from aywa.testing.equipment.audio_fork import AudioForkEquipment
from aywa.testing.equipment.audio_stream import AudioStreamEquipment
from aywa.testing.equipment.audiosocket import AudioSocketEquipment
from aywa.testing.equipment.base import Ask, Equipment, Facts
from aywa.testing.equipment.chan_websocket import ChanWebSocketEquipment
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.ear import EarSettings
from aywa.testing.equipment.exotel import ExotelEquipment
from aywa.testing.equipment.jambonz import JambonzEquipment
from aywa.testing.equipment.known import facts_for
from aywa.testing.equipment.plivo import PlivoEquipment
from aywa.testing.equipment.report import Measures, measure, position_bound_ms, position_off_ms
from aywa.testing.equipment.signalwire import SignalWireEquipment
from aywa.testing.equipment.telnyx import TelnyxEquipment
from aywa.testing.equipment.twilio import TwilioEquipment
from aywa.testing.equipment.vonage import VonageEquipment
from aywa.testing.sound import Sound
from aywa.testing.wire import talkspurts
from tests.equipment.runtime import PAUSE_S, MediaRuntime

PARAMETERS = {"tier": "gold"}
POSITION_MS = 20.0
RECKONED_MS = 80.0
"""Without marks what was heard is reckoned from what was sent."""
SLOW_EAR = EarSettings(delay_s=0.15, skew_ppm=300)


def facts(name: str) -> Facts:
    return facts_for(name, Facts(parameters=PARAMETERS))


EQUIPMENT: Mapping[str, Callable[[str], Equipment]] = {
    "twilio": lambda assistant: TwilioEquipment(facts("twilio")),
    "twilio, slow ear": lambda assistant: TwilioEquipment(facts("twilio"), ear=SLOW_EAR),
    "telnyx PCMU": lambda assistant: TelnyxEquipment(facts("telnyx")),
    "telnyx PCMA": lambda assistant: TelnyxEquipment(facts("telnyx"), coding=Coding.ALAW),
    "telnyx L16": lambda assistant: TelnyxEquipment(facts("telnyx"), coding=Coding.LINEAR, rate_hz=16000),
    "signalwire": lambda assistant: SignalWireEquipment(facts("signalwire")),
    "signalwire enveloped": lambda assistant: SignalWireEquipment(facts("signalwire"), enveloped=True),
    "signalwire L16": lambda assistant: SignalWireEquipment(
        facts("signalwire"), coding=Coding.LINEAR, rate_hz=24000
    ),
    "exotel": lambda assistant: ExotelEquipment(facts("exotel")),
    "exotel 16 kHz": lambda assistant: ExotelEquipment(facts("exotel"), rate_hz=16000),
    "plivo mu-law": lambda assistant: PlivoEquipment(facts("plivo")),
    "plivo L16": lambda assistant: PlivoEquipment(facts("plivo"), coding=Coding.LINEAR, rate_hz=16000, stops=True),
    "vonage 16 kHz": lambda assistant: VonageEquipment(facts("vonage")),
    "vonage 8 kHz": lambda assistant: VonageEquipment(facts("vonage"), rate_hz=8000),
    "vonage, slow ear": lambda assistant: VonageEquipment(facts("vonage"), ear=SLOW_EAR),
    "audiosocket": lambda assistant: AudioSocketEquipment(Facts(call_id=assistant)),
    "chan_websocket ulaw": lambda assistant: ChanWebSocketEquipment(facts("chan_websocket")),
    "chan_websocket JSON slin16": lambda assistant: ChanWebSocketEquipment(
        facts("chan_websocket"), coding=Coding.LINEAR, rate_hz=16000, as_json=True
    ),
    "audio_fork": lambda assistant: AudioForkEquipment(facts("audio_fork")),
    "audio_fork without marks": lambda assistant: AudioForkEquipment(facts("audio_fork"), marks=False),
    "audio_fork, files": lambda assistant: AudioForkEquipment(facts("audio_fork"), streaming=False),
    "audio_stream": lambda assistant: AudioStreamEquipment(facts("audio_stream")),
    "jambonz": lambda assistant: JambonzEquipment(facts("jambonz")),
    "jambonz 16 kHz": lambda assistant: JambonzEquipment(facts("jambonz"), rate_hz=16000),
}  # fmt: skip
HOLE_S = 0.35
TOGETHER = 6
"""So many calls at once: a two-core machine has tests beside them."""
QUICK = (
    "twilio, slow ear", "telnyx PCMU", "signalwire", "exotel", "plivo mu-law", "vonage 16 kHz", "audiosocket",
    "chan_websocket JSON slin16", "audio_fork", "audio_stream", "jambonz",
)  # fmt: skip
"""One of each protocol; the others run with --all."""


@dataclass(frozen=True, slots=True)
class Told:
    """A call that is over: as the equipment saw it, and as the runtime tells it."""

    equipment: Equipment
    measures: Measures
    off_ms: float
    call: Mapping[str, Any]
    timeline: list[dict[str, Any]]
    ended_by: str
    spurts: list[tuple[float, float]]


@pytest.fixture(scope="session")
def told(runtime: MediaRuntime, sentence: Sound, request: pytest.FixtureRequest) -> Mapping[str, Told]:
    """One call over each."""
    names = list(EQUIPMENT) if request.config.getoption("--all") else list(QUICK)

    async def one(name: str, room: asyncio.Semaphore) -> Told:
        async with room:
            equipment = EQUIPMENT[name](runtime.assistant)
            steps = check.script(sentence.pcm(equipment.rate_hz), equipment)
            called = await runtime.call(equipment, steps)
            assert called.refused is None, (name, called.refused)
            call = await runtime.document(equipment)
            timeline = await runtime.timeline(call["id"])
            spurts = [(spurt.start_s, spurt.end_s) for spurt in talkspurts(called.record)]
            off_ms = position_off_ms(called, timeline, PAUSE_S)
            return Told(
                equipment,
                measure(called),
                off_ms,
                call,
                timeline,
                called.ended_by,
                spurts,
            )

    async def every() -> Mapping[str, Told]:
        room = asyncio.Semaphore(TOGETHER)
        calls = await asyncio.gather(*(one(name, room) for name in names))
        return dict(zip(names, calls, strict=True))

    return asyncio.run(every())


@pytest.fixture(
    params=[pytest.param(name, marks=() if name in QUICK else pytest.mark.all) for name in EQUIPMENT]
)
def call(request: pytest.FixtureRequest, told: Mapping[str, Told]) -> Told:
    return told[request.param]


def test_the_vendors_documentation_is_kept_to(call: Told) -> None:
    assert call.measures.violations == ()


def test_the_caller_is_greeted_heard_and_answered(call: Told) -> None:
    assert call.measures.greeting_ms is not None
    assert call.measures.greeting_ms < 3000
    assert call.measures.replies_ms[-1] is not None
    said = [message for message in call.call["messages"] if message["role"] == "user"]
    assert len(said) >= 2


def test_marks_follow_the_sound(call: Told) -> None:
    measures = call.measures
    if call.equipment.has_marks:
        # One for every so much of what was played, not only one at the end.
        assert measures.marks >= measures.played_ms / 1000
        assert measures.marks_open == 0
    else:
        # It is asked whether there are any: a few times, and then no more.
        assert len(call.equipment.of(Ask)) <= 3
        assert measures.marks == 0


def test_a_barge_in_clears_what_waits(call: Told) -> None:
    (stop,) = call.measures.stops
    if call.equipment.has_clear:
        assert stop.clear_ms is not None
        assert stop.clear_ms <= 300
    assert stop.stop_ms <= 1000 if "files" in str(call.call) else 600


def test_the_position_told_is_what_was_heard(call: Told) -> None:
    bound_ms = POSITION_MS if call.equipment.has_marks else RECKONED_MS
    assert abs(call.off_ms) <= position_bound_ms(bound_ms, call.measures.late_ms)


def test_no_reply_has_a_hole(call: Told) -> None:
    assert [gap for gap in call.measures.gaps_ms if gap > 20 + call.measures.late_ms] == []
    assert call.measures.dropped_ms == 0
    # Nor one that was filled up with silence: the voice's own pauses are shorter, those between replies longer.
    ear = call.equipment.ear
    holes = [
        (at_s, samples) for at_s, samples in ear.silences(PAUSE_S + 0.011) if samples < HOLE_S * ear.rate_hz
    ]
    inner = [at_s for at_s, _ in holes if any(begun < at_s < ended - HOLE_S for begun, ended in call.spurts)]
    assert inner == []


def test_keys_reach_the_call(call: Told) -> None:
    pressed = [entry["details"]["digit"] for entry in call.timeline if entry["kind"] == "dtmf-received"]
    assert pressed == [check.KEY]


def test_the_call_ends_as_the_callers(call: Told) -> None:
    assert call.ended_by == "caller"
    assert call.call["endedReason"] == "customer-ended-call"


def test_the_call_is_a_phone_call_and_recorded(call: Told) -> None:
    assert call.call["type"] == "inboundPhoneCall"
    assert call.call["artifact"]["recordingUrl"]


def test_numbers_and_parameters_become_the_calls(told: Mapping[str, Told]) -> None:
    for name in (
        "telnyx PCMU",
        "exotel",
        "jambonz",
        "audio_fork",
        "audio_stream",
        "chan_websocket JSON slin16",
    ):
        assert told[name].call["customer"]["number"] == "+4930123456", name
    for name, one in told.items():
        if name != "audiosocket":
            variables = one.call["assistantOverrides"]["variableValues"]
            assert variables["tier"] == "gold", name

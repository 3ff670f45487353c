"""Listeners and those who steer, around a host that takes notes: who is let in, who speaks, and what happens to slow ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from aywa.boot.live import STEREO_BYTES_PER_S, Live, LiveSettings
from aywa.core import events as ev
from aywa.ports.calls import LiveKeys, SteeringRefused
from aywa.ports.media import AudioSink, MediaMessage, Speak

pytestmark = pytest.mark.virtual_time

CALL, ORG = "call-1", "org-1"
CONTROL_URL = f"https://here/live/{CALL}/control-key/control"
TAKE: dict[str, Any] = {"type": "take-over", "controlUrl": CONTROL_URL}
FRAME = bytes(640)


@dataclass(eq=False)
class Ear:
    """A listener that notes what it is told."""

    remote_host: str = "10.0.0.9"
    got: list[str | bytes] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)
    waiting: int = 0

    def send(self, message: str | bytes) -> None:
        self.got.append(message)

    def waiting_bytes(self) -> int:
        return self.waiting

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    @property
    def texts(self) -> list[dict[str, Any]]:
        return [json.loads(each) for each in self.got if isinstance(each, str)]

    @property
    def told(self) -> list[str]:
        return [text["type"] for text in self.texts]

    @property
    def audio(self) -> int:
        return sum(isinstance(each, bytes) for each in self.got)


def _nobody(*_: object) -> None:
    """Replaced by whom it is told to."""


@dataclass
class House:
    """A host with one call, and its media plane."""

    keys: LiveKeys | None = None
    waiting: bool = False
    events: list[ev.Event] = field(default_factory=list)
    sink: AudioSink | None = None
    taps: int = 0
    spoken: list[MediaMessage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.leg_came: Callable[[str], None] = _nobody
        self.taken_over: Callable[[str, bool], None] = _nobody
        self.over: Callable[[str, bool], None] = _nobody

    def live(self, call_id: str) -> tuple[str, LiveKeys] | None:
        return (ORG, self.keys) if self.keys is not None and call_id == CALL else None

    def is_waiting(self, call_id: str) -> bool:
        return self.waiting

    def tell(self, call_id: str, event: ev.Event) -> None:
        assert call_id == CALL
        self.events.append(event)

    def on_over(self, tell: Callable[[str, bool], None]) -> None:
        self.over = tell

    def tap(self, leg_id: str, sink: AudioSink | None) -> None:
        self.sink = sink
        self.taps += 1

    def send(self, message: MediaMessage) -> None:
        self.spoken.append(message)

    @property
    def controls(self) -> list[tuple[Any, str, str]]:
        return [
            (dict(each.message), each.source, each.who)
            for each in self.events
            if isinstance(each, ev.ControlReceived)
        ]


def around(keys: LiveKeys | None = None, **settings: Any) -> tuple[House, Live]:
    house = House(keys or LiveKeys("listen-key", "control-key"))
    return house, Live(house, house, LiveSettings(**settings))


def listener(live: Live, token: str = "") -> Ear:
    ear = Ear()
    assert live.look(CALL, "listen-key") is None
    live.came(CALL, ear, token)
    return ear


def speaker(house: House, live: Live) -> Ear:
    ear = listener(live)
    live.said(CALL, ear, json.dumps(TAKE))
    house.taken_over(CALL, True)
    return ear


# --- listening -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "control-key", "listen-keys"])
async def test_nobody_listens_with_a_wrong_key_or_to_nothing(key: str) -> None:
    _, live = around()
    refused = live.look(CALL, key)
    assert refused is not None
    assert refused.status == 404
    other = live.look("call-2", "listen-key")
    assert other is not None
    assert other.status == 404


async def test_a_call_that_is_not_to_be_listened_to_opens_with_no_key() -> None:
    _, live = around(LiveKeys("", "control-key"))
    assert live.look(CALL, "") is not None


async def test_a_listener_is_told_what_it_hears_and_hears_it() -> None:
    house, live = around()
    one, two = listener(live), listener(live)
    assert one.texts == [
        {
            "type": "start",
            "callId": CALL,
            "encoding": "linear16",
            "sampleRate": 16000,
            "channels": 2,
            "channelNames": ["customer", "assistant"],
        }
    ]
    assert house.sink is not None
    house.sink(FRAME)
    assert (one.audio, two.audio, house.taps) == (1, 1, 1)
    live.left(CALL, one)
    live.left(CALL, one)
    house.sink(FRAME)
    assert (one.audio, two.audio) == (1, 2)
    live.left(CALL, two)
    assert house.sink is None


async def test_a_leg_that_comes_later_is_tapped_then_and_only_if_somebody_listens() -> None:
    house, live = around()
    house.leg_came(CALL)
    assert house.taps == 0
    ear = listener(live)
    house.sink = None
    house.leg_came(CALL)
    assert house.sink is not None
    house.sink(FRAME)
    assert ear.audio == 1


async def test_no_more_listen_than_may() -> None:
    _, live = around(listeners=1)
    listener(live)
    refused = live.look(CALL, "listen-key")
    assert refused is not None
    assert refused.status == 503
    late = Ear()
    live.came(CALL, late, "")
    assert late.closed == [(1008, "there is no room any more")]


async def test_a_slow_listener_loses_audio_then_the_place_and_others_nothing() -> None:
    house, live = around(behind_s=1.0, behind_for_s=2.0)
    slow, quick = listener(live), listener(live)
    slow.waiting = STEREO_BYTES_PER_S + 1
    assert house.sink is not None
    for _ in range(150):
        house.sink(FRAME)
        await asyncio.sleep(0.02)
    assert (slow.audio, quick.audio) == (0, 150)
    assert slow.closed[0] == (1008, "audio was not taken in time")
    assert not quick.closed


async def test_the_end_of_the_call_is_the_end_of_listening() -> None:
    house, live = around()
    ear = listener(live)
    house.over(CALL, True)
    house.over(CALL, True)
    assert ear.closed == [(1000, "the call is over")]
    assert house.sink is None
    live.left(CALL, ear)
    house.keys = None
    late = Ear()
    live.came(CALL, late, "")
    assert late.closed == [(1000, "the call is over")]


# --- API keys --------------------------------------------------------------------------------------------------------


async def _opens(secret: str, org_id: str) -> bool:
    if secret == "broken":
        raise RuntimeError("the store is gone")
    return (secret, org_id) == ("good", ORG)


@pytest.mark.parametrize(
    ("token", "let_in"), [("good", True), ("bad", False), ("", False), ("broken", False)]
)
async def test_where_a_key_is_wanted_only_a_good_one_listens(token: str, let_in: bool) -> None:
    house, live = around(LiveKeys("listen-key", "control-key", listen_by_key=True))
    live.opens = _opens
    ear = listener(live, token)
    assert ear.got == []
    await asyncio.sleep(0.1)
    assert (ear.told == ["start"]) is let_in
    assert bool(ear.closed) is not let_in
    assert (house.sink is not None) is let_in


async def test_without_services_no_key_is_good() -> None:
    _, live = around(LiveKeys("listen-key", "control-key", listen_by_key=True))
    ear = listener(live, "good")
    await asyncio.sleep(0.1)
    assert ear.closed


@pytest.mark.parametrize(
    ("token", "given", "speaks"), [("good", None, True), ("", "good", True), ("", 5, False)]
)
async def test_where_a_key_is_wanted_only_a_good_one_speaks(token: str, given: Any, speaks: bool) -> None:
    house, live = around(LiveKeys("listen-key", "control-key", control_by_key=True))
    live.opens = _opens
    ear = listener(live, token)
    live.said(CALL, ear, json.dumps(TAKE | {"token": given}))
    await asyncio.sleep(0.1)
    assert bool(house.controls) is speaks
    assert ("error" in ear.told) is not speaks


async def test_who_left_while_the_key_was_looked_up_does_not_speak() -> None:
    house, live = around(LiveKeys("listen-key", "control-key", control_by_key=True))
    live.opens = _opens
    ear = listener(live, "good")
    live.said(CALL, ear, json.dumps(TAKE))
    live.left(CALL, ear)
    await asyncio.sleep(0.1)
    assert house.controls == []


# --- speaking --------------------------------------------------------------------------------------------------------


async def test_a_person_takes_over_is_heard_and_gives_back() -> None:
    house, live = around()
    ear = speaker(house, live)
    assert house.controls == [({"type": "take-over"}, "listener", "10.0.0.9")]
    live.spoke(CALL, ear, FRAME)
    assert house.spoken == [Speak(CALL, FRAME)]
    live.said(CALL, ear, json.dumps({"type": "give-back", "content": "Done.", "x": 1}))
    assert house.controls[1][0] == {"type": "give-back", "content": "Done."}
    house.taken_over(CALL, False)
    live.spoke(CALL, ear, FRAME)
    assert (ear.told, len(house.spoken)) == (["start", "taken-over", "given-back"], 1)


@pytest.mark.parametrize(
    "url", [None, 5, "", "http://[", "control", f"https://here/live/{CALL}/listen-key/control"]
)
async def test_nobody_takes_over_without_the_control_url(url: Any) -> None:
    house, live = around()
    ear = listener(live)
    live.said(CALL, ear, json.dumps({"type": "take-over", "controlUrl": url}))
    assert house.controls == []
    assert "controlUrl" in ear.texts[-1]["message"]


async def test_nobody_takes_over_a_call_that_is_not_to_be_controlled() -> None:
    house, live = around(LiveKeys("listen-key", ""))
    ear = listener(live)
    live.said(CALL, ear, json.dumps({"type": "take-over", "controlUrl": "https://here/live/c//control"}))
    assert house.controls == []


async def test_one_speaks_at_a_time_and_only_that_one_gives_back() -> None:
    house, live = around()
    first, second = speaker(house, live), listener(live)
    live.said(CALL, second, json.dumps(TAKE))
    live.said(CALL, second, json.dumps({"type": "give-back"}))
    live.spoke(CALL, second, FRAME)
    assert [text["message"] for text in second.texts[1:]] == [
        "a person speaks already",
        "a listener may say take-over, and then give-back",
    ]
    assert (len(house.controls), house.spoken, first.told[-1]) == (1, [], "taken-over")


async def test_a_person_who_is_gone_has_given_back() -> None:
    house, live = around()
    ear = speaker(house, live)
    live.left(CALL, ear)
    assert house.controls[-1] == ({"type": "give-back", "gone": True}, "listener", "10.0.0.9")
    house.taken_over(CALL, False)
    live.spoke(CALL, ear, FRAME)
    assert house.spoken == []


async def test_a_call_that_waits_for_its_caller_has_nobody_to_speak_to() -> None:
    house, live = around()
    house.waiting = True
    ear = listener(live)
    live.said(CALL, ear, json.dumps(TAKE))
    assert house.controls == []
    assert "not there yet" in ear.texts[-1]["message"]


async def test_a_call_that_ended_meanwhile_is_not_taken_over() -> None:
    house, live = around()
    ear = listener(live)
    house.keys = None
    live.said(CALL, ear, json.dumps(TAKE))
    assert (house.controls, ear.told) == ([], ["start"])


async def test_audio_ahead_of_its_time_is_refused_and_a_flood_is_the_end() -> None:
    house, live = around(ahead_s=1.0, ahead_end_s=5.0)
    ear = speaker(house, live)
    for _ in range(300):
        live.spoke(CALL, ear, FRAME)
    assert len(house.spoken) == pytest.approx(50, abs=2)
    assert ear.closed[0] == (1008, "audio far ahead of its time")


@pytest.mark.parametrize("text", ["", "[]", "5", "{", "[" * 100_000, '{"type": "dance"}', '{"type": ["x"]}'])
async def test_what_a_listener_says_that_is_nothing_is_answered_so(text: str) -> None:
    house, live = around()
    ear = listener(live)
    live.said(CALL, ear, text)
    assert (ear.told, house.controls) == (["start", "error"], [])


async def test_a_flood_of_texts_is_the_end() -> None:
    _, live = around(texts_per_s=3, texts_end=5)
    ear = listener(live)
    for _ in range(20):
        live.said(CALL, ear, "{}")
    assert ear.closed[0] == (1008, "too many messages")
    assert ear.told.count("error") == 3
    live.said(CALL, Ear(), "{}")
    live.said("call-2", ear, "{}")


# --- steering --------------------------------------------------------------------------------------------------------


async def test_a_control_is_told_to_the_call_with_who_asked() -> None:
    house, live = around()
    assert live.live(CALL) == (ORG, house.keys)
    live.steer(CALL, {"type": "say", "content": "Hi."}, "ops from 10.0.0.1")
    assert house.controls == [({"type": "say", "content": "Hi."}, "control", "ops from 10.0.0.1")]
    live.steer("call-2", {"type": "say", "content": "Hi."}, "")
    assert len(house.events) == 1


async def test_what_needs_a_caller_waits_for_one() -> None:
    house, live = around()
    house.waiting = True
    with pytest.raises(SteeringRefused, match="not there yet"):
        live.steer(CALL, {"type": "say", "content": "Hi."}, "")
    live.steer(CALL, {"type": "control", "control": "mute-assistant"}, "")
    assert len(house.controls) == 1


async def test_a_call_takes_so_many_controls_a_second() -> None:
    house, live = around(controls_per_s=3)
    for _ in range(3):
        live.steer(CALL, {"type": "end-call"}, "")
    with pytest.raises(SteeringRefused) as refused:
        live.steer(CALL, {"type": "end-call"}, "")
    assert refused.value.status == 429
    await asyncio.sleep(1.1)
    live.steer(CALL, {"type": "end-call"}, "")
    assert len(house.controls) == 4

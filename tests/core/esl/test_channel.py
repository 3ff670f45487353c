from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.esl.channel import (
    Answered,
    Bridged,
    Channel,
    ChannelState,
    Executed,
    HungUp,
    KeyPressed,
    News,
    Rang,
    Unbridged,
)
from aywa.core.esl.event import Event
from tests.core.feed import examples

SEQUENCE = count(1)


def event(name: str, uuid: str = "u", **fields: str) -> Event:
    named = {name.replace("__", "-"): value for name, value in fields.items()}
    return Event(
        fields={"Event-Name": name, "Unique-ID": uuid, "Event-Sequence": str(next(SEQUENCE))} | named
    )


def test_a_call_from_ringing_to_its_end() -> None:
    channel = Channel("u")
    assert channel.handle(event("CHANNEL_PROGRESS")) == [Rang()]
    assert channel.handle(event("CHANNEL_PROGRESS_MEDIA")) == [Rang(early_media=True)]
    assert channel.handle(event("CHANNEL_PROGRESS")) == []
    assert channel.handle(event("CHANNEL_ANSWER")) == [Answered()]
    assert channel.answered
    assert channel.handle(event("DTMF", DTMF__Digit="a")) == [KeyPressed("A")]
    assert channel.handle(event("DTMF", DTMF__Digit="xx")) == []
    hung_up = event("CHANNEL_HANGUP_COMPLETE", Hangup__Cause="NORMAL_CLEARING")
    assert channel.handle(hung_up) == [HungUp("NORMAL_CLEARING")]
    assert channel.over
    assert channel.handle(event("CHANNEL_ANSWER")) == []
    assert channel.found(None) == []


def test_an_event_that_is_told_twice_happened_once() -> None:
    channel = Channel("u")
    key = event("DTMF", DTMF__Digit="1")
    assert channel.handle(key) == [KeyPressed("1")]
    assert channel.handle(key) == []
    unnumbered = Event(fields={"Event-Name": "DTMF", "Unique-ID": "u", "DTMF-Digit": "1"})
    assert channel.handle(unnumbered) == channel.handle(unnumbered) == [KeyPressed("1")]


def test_events_of_others_are_none_of_it() -> None:
    channel = Channel("u")
    assert channel.handle(event("CHANNEL_ANSWER", uuid="v")) == []
    assert channel.handle(event("HEARTBEAT")) == []
    assert channel.state is ChannelState.BEGUN


def test_bridges() -> None:
    channel = Channel("u")
    assert channel.handle(event("CHANNEL_BRIDGE")) == []
    joined = event("CHANNEL_BRIDGE", **{"Other-Leg-Unique-ID": "v"})
    assert channel.handle(joined) == [Bridged("v")]
    assert channel.handle(event("CHANNEL_BRIDGE", **{"Other-Leg-Unique-ID": "v"})) == []
    assert channel.handle(event("CHANNEL_UNBRIDGE")) == [Unbridged()]
    sides = {"Bridge-A-Unique-ID": "u", "Bridge-B-Unique-ID": "w"}
    assert channel.handle(event("CHANNEL_BRIDGE", **sides)) == [Bridged("w")]


def test_applications() -> None:
    done = {"Application-UUID": "t", "Application": "playback", "Application-Response": "FILE PLAYED"}
    assert Channel("u").handle(event("CHANNEL_EXECUTE_COMPLETE", **done)) == [
        Executed("t", "playback", "FILE PLAYED")
    ]


@pytest.mark.parametrize(
    ("fields", "news"),
    [
        ({"Hangup-Cause": "USER_BUSY", "variable_sip_term_status": "486"}, HungUp("USER_BUSY", 486)),
        ({"variable_hangup_cause": "NO_ANSWER"}, HungUp("NO_ANSWER")),
        ({"variable_sip_term_status": "x"}, HungUp("")),
        ({"variable_sip_term_status": "99999"}, HungUp("")),
        ({"variable_sip_invite_failure_status": "503"}, HungUp("", 503)),
        ({"variable_sip_hangup_disposition": "send_bye"}, HungUp("", remote=False)),
    ],
)
def test_how_it_ended(fields: dict[str, str], news: HungUp) -> None:
    assert Channel("u").handle(event("CHANNEL_DESTROY", **fields)) == [news]
    assert Channel("u").handle(event("CHANNEL_HANGUP", **fields)) == [news]


def test_what_is_found_when_it_is_asked_after() -> None:
    channel = Channel("u")
    assert channel.found(event("CHANNEL_DATA", **{"Answer-State": "early"})) == [Rang(early_media=True)]
    assert channel.found(event("CHANNEL_DATA", **{"Answer-State": "answered"})) == [Answered()]
    assert channel.found(event("CHANNEL_DATA", **{"Answer-State": "answered"})) == []
    assert channel.found(event("CHANNEL_DATA")) == []
    assert channel.found(None) == [HungUp("")]


NAMES = (
    "CHANNEL_PROGRESS", "CHANNEL_PROGRESS_MEDIA", "CHANNEL_ANSWER", "DTMF", "CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE",
    "CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE", "CHANNEL_DESTROY", "CHANNEL_EXECUTE_COMPLETE", "HEARTBEAT",
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from((*NAMES, "found", "none")), st.integers(0, 9)), max_size=20)


@examples(300)
@given(STEPS)
def test_it_ends_once_and_its_state_only_grows(steps: list[tuple[str, int]]) -> None:
    channel = Channel("u")
    told: list[News] = []
    for name, number in steps:
        before = channel.state
        if name == "none":
            told += channel.found(None)
        elif name == "found":
            states = ("ringing", "early", "answered", "hangup")
            told += channel.found(event("CHANNEL_DATA", **{"Answer-State": states[number % 4]}))
        else:
            fields = {
                "Event-Sequence": str(number),
                "DTMF-Digit": str(number),
                "Other-Leg-Unique-ID": f"v{number}",
            }
            told += channel.handle(event(name, **fields))
        assert channel.state >= before
    ends = [each for each in told if isinstance(each, HungUp)]
    assert len(ends) == (1 if channel.over else 0)
    assert not ends or told[-1] is ends[0]
    assert sum(isinstance(each, Answered) for each in told) <= 1

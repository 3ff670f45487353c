"""chan_websocket's codec against messages that were written out by hand from Asterisk's documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.transports.equipment.asterisk import DIALECTS, EARLY_BYTES, FORMATS, ChanWebSocket
from aywa.adapters.transports.equipment.codec import (
    Audio,
    Broken,
    Handshake,
    Key,
    MarkPlayed,
    Message,
    Overrun,
    Received,
    Said,
    Started,
)
from aywa.ports.media import AudioFormat

PLAIN = (
    "MEDIA_START connection_id:e226e283-c90a-4ea9-9e37-389000b9ef47 channel:WebSocket/agent/0x5140001a0040"
    " channel_id:pbx1-123456789.999 format:ulaw optimal_frame_size:160 ptime:20"
)
JSON: dict[str, Any] = {
    "event": "MEDIA_START",
    "connection_id": "e226e283-c90a-4ea9-9e37-389000b9ef47",
    "channel": "WebSocket/agent/0x5140001a0040",
    "channel_id": "pbx1-123456789.999",
    "format": "slin16",
    "optimal_frame_size": 640,
    "ptime": 20,
    "channel_variables": {
        "DIALEDPEERNUMBER": "agent/c(slin16)",
        "MEDIA_WEBSOCKET_CONNECTION_ID": "agent",
        "ORDER": "4711",
    },
}


def codec(**query: str) -> ChanWebSocket:
    return ChanWebSocket(Handshake("chan_websocket", "assistant", query=query))


def started(**changed: Any) -> ChanWebSocket:
    made = codec()
    assert isinstance(made.receive(json.dumps(JSON | changed))[0], Started)
    return made


def test_a_channel_in_plain_text() -> None:
    made = codec(**{"from": "+491701234567", "to": "100", "queue": "sales"})
    assert made.receive(PLAIN) == [
        Started(
            "e226e283-c90a-4ea9-9e37-389000b9ef47",
            "pbx1-123456789.999",
            AudioFormat.MULAW,
            8000,
            caller="+491701234567",
            called="100",
            parameters={"queue": "sales"},
        )
    ]
    assert made.begin() == ("ANSWER",)
    assert made.mark("aywa-1") == "MARK_MEDIA aywa-1"
    assert made.clear() == "FLUSH_MEDIA"
    assert made.hang_up("done") == ("HANGUP",)
    assert made.receive("MEDIA_MARK_PROCESSED aywa-1") == [MarkPlayed("aywa-1")]
    assert made.receive("MEDIA_MARK_PROCESSED correlation_id:aywa-2") == [MarkPlayed("aywa-2")]
    assert made.receive("DTMF_END digit:5 channel_id:pbx1-123456789.999") == [Key("5")]
    assert made.receive("MEDIA_XOFF") == [Overrun(True)]
    assert made.receive("MEDIA_XON") == [Overrun(False)]
    assert made.receive("ERROR channel_id:a.1 error_text:Command 'X' not recognized: at all") == [
        Broken("Asterisk reports an error: Command 'X' not recognized: at all")
    ]


def test_a_channel_in_plain_text_of_the_first_releases() -> None:
    """Before channel_id and ptime were told."""
    first = "MEDIA_START connection_id:e226e283 channel:WebSocket/agent format:alaw optimal_frame_size:160"
    (begun,) = codec().receive(first)
    assert isinstance(begun, Started)
    assert (begun.call_id, begun.format, begun.rate_hz) == ("WebSocket/agent", AudioFormat.ALAW, 8000)


def test_a_channel_in_json() -> None:
    made = codec()
    (begun,) = made.receive(json.dumps(JSON, indent=2))
    assert isinstance(begun, Started)
    assert (begun.format, begun.rate_hz) == (AudioFormat.PCM16, 16_000)
    assert begun.parameters == {"ORDER": "4711"}
    assert begun.notes == ()
    written = [json.loads(each) for each in (*made.begin(), made.mark("aywa-1") or "", made.clear() or "")]
    assert written == [
        {"command": "ANSWER"},
        {"command": "MARK_MEDIA", "correlation_id": "aywa-1"},
        {"command": "FLUSH_MEDIA"},
    ]
    assert json.loads(str(made.hang_up("done")[0])) == {"command": "HANGUP"}


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"event": "DTMF_END", "channel_id": "a.1", "digit": "#"}, Key("#")),
        ({"event": "DTMF_END", "digit": "x"}, Broken("no key of a telephone")),
        ({"event": "DTMF_END"}, Broken("no key of a telephone")),
        ({"event": "MEDIA_XOFF", "channel_id": "a.1"}, Overrun(True)),
        ({"event": "MEDIA_XON", "channel_id": "a.1"}, Overrun(False)),
        ({"event": "MEDIA_MARK_PROCESSED", "correlation_id": "aywa-3"}, MarkPlayed("aywa-3")),
        ({"event": "MEDIA_MARK_PROCESSED"}, MarkPlayed("")),
        ({"event": "QUEUE_DRAINED", "channel_id": "a.1"}, Said("QUEUE_DRAINED")),
        ({"event": "STATUS", "queue_length": 43, "queue_full": False}, Said("STATUS")),
        ({"event": "MEDIA_BUFFERING_COMPLETED", "correlation_id": ""}, Said("MEDIA_BUFFERING_COMPLETED")),
        ({"event": "ERROR", "error_text": "no"}, Broken("Asterisk reports an error: no")),
        ({"event": "SOMETHING_NEW"}, Said("an event of another name")),
        ({"command": "HANGUP"}, Broken("an event without a name")),
        (JSON, Broken("a second MEDIA_START")),
    ],
)
def test_events_in_json(event: dict[str, Any], told: Received) -> None:
    assert started().receive(json.dumps(event)) == [told]


@pytest.mark.parametrize(("name", "known"), FORMATS.items())
def test_every_format(name: str, known: tuple[AudioFormat, int]) -> None:
    audio_format, rate_hz = known
    frame = rate_hz // 50 * (2 if audio_format is AudioFormat.PCM16 else 1)
    (begun,) = codec().receive(json.dumps(JSON | {"format": name, "optimal_frame_size": frame}))
    assert isinstance(begun, Started)
    assert (begun.format, begun.rate_hz) == known
    assert known in DIALECTS["chan_websocket"].traits.formats


@pytest.mark.parametrize("name", ["opus", "g722", "", None, 7])
def test_other_formats_are_refused_with_what_to_choose(name: object) -> None:
    made = codec()
    (refusal,) = made.receive(json.dumps(JSON | {"format": name}))
    assert isinstance(refusal, Broken)
    assert refusal.final
    assert "c(slin16)" in refusal.why
    assert made.receive(bytes(640)) == []
    assert made.receive(json.dumps(JSON)) == []


def test_frames_that_do_not_fit_are_refused() -> None:
    """What is left over of a message the channel driver would drop."""
    (refusal,) = codec().receive(json.dumps(JSON | {"optimal_frame_size": 960}))
    assert refusal == Broken(
        "the channel's frames are 960 bytes of slin16: they do not fit 20 ms", final=True
    )
    assert started(optimal_frame_size=320).receive(bytes(2)) == [Audio(bytes(2))]


@pytest.mark.parametrize("field", ["passthrough", "unbuffered"])
@pytest.mark.parametrize("value", [True, "true"])
def test_a_channel_that_queues_nothing_is_sent_nothing_ahead(field: str, value: object) -> None:
    made = codec()
    (begun,) = made.receive(json.dumps(JSON | {field: value}))
    assert isinstance(begun, Started)
    assert len(begun.notes) == 1
    assert (made.mark("a"), made.clear()) == (None, None)
    assert (made.traits.marks, made.traits.clears) == (False, False)
    assert made.traits.lead_s <= 0.02
    assert started(**{field: False}).traits.clears


def test_audio_both_ways_is_bare() -> None:
    made = started()
    assert made.receive(b"\1\2" * 320) == [Audio(b"\1\2" * 320)]
    assert made.receive(b"") == []
    assert made.audio(b"\1\2" * 320) == b"\1\2" * 320


def test_audio_that_comes_before_the_start_is_heard_after_it() -> None:
    made = codec()
    frames = [bytes([number]) * 640 for number in range(5)]
    assert [made.receive(frame) for frame in frames] == [[]] * 5
    begun, *heard = made.receive(json.dumps(JSON))
    assert isinstance(begun, Started)
    assert heard == [Audio(frame) for frame in frames]


def test_a_channel_that_never_starts_fills_nothing() -> None:
    made = codec()
    told = [each for _ in range(100) for each in made.receive(bytes(640))]
    assert told == [Broken("audio before MEDIA_START")] * (100 - EARLY_BYTES // 640)


@pytest.mark.parametrize("message", ["", " ", "[1]", '"MEDIA_START"', "{", "{]", "!", "\0"])
def test_what_is_no_event_is_told(message: str) -> None:
    (told,) = codec().receive(message)
    assert isinstance(told, Broken)
    assert not told.final


@given(st.lists(st.text(max_size=60) | st.binary(max_size=60), max_size=20))
def test_noise_never_raises(messages: list[Message]) -> None:
    made = codec()
    for message in [*messages, json.dumps(JSON), *messages]:
        made.receive(message)
    assert made._early_bytes <= EARLY_BYTES


_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers())
)


@given(
    st.sampled_from(["MEDIA_START", "DTMF_END", "MEDIA_MARK_PROCESSED", "ERROR", "STATUS"]),
    st.dictionaries(
        st.sampled_from(
            [
                "format",
                "optimal_frame_size",
                "channel_variables",
                "digit",
                "correlation_id",
                "error_text",
                "unbuffered",
            ]
        ),
        _VALUES | st.dictionaries(st.text(max_size=5), _VALUES),
    ),
)
def test_values_of_any_kind_never_raise(event: str, fields: dict[str, Any]) -> None:
    for made in (codec(), started()):
        for each in made.receive(json.dumps(fields | {"event": event})):
            assert not isinstance(each, Audio)

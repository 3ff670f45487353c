"""Twilio's messages, both ways; and whatever else a far side may send."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.adapters.transports.equipment.codec import (
    PARAMETERS_MOST,
    TEXT_MOST,
    Audio,
    Broken,
    Key,
    MarkPlayed,
    Received,
    Said,
    Started,
    Stopped,
)
from aywa.adapters.transports.equipment.twilio import TWILIO, TwilioCodec, Words
from aywa.ports.media import AudioFormat

STREAM = "MZ0123456789abcdef0123456789abcdef"
START = {
    "streamSid": STREAM,
    "accountSid": "AC1",
    "callSid": "CA1",
    "tracks": ["inbound"],
    "customParameters": {"order": "42", "token": "t"},
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
}


def said(event: str, **more: Any) -> str:
    return json.dumps({"event": event, "sequenceNumber": "1", "streamSid": STREAM, **more})


def begun() -> TwilioCodec:
    codec = TwilioCodec()
    assert list(codec.receive(said("connected", protocol="Call", version="1.0.0"))) == []
    assert len(codec.receive(said("start", start=START))) == 1
    return codec


def only(codec: TwilioCodec, message: str | bytes) -> Received:
    (one,) = codec.receive(message)
    return one


def test_a_stream_begins_with_what_the_call_is() -> None:
    assert only(TwilioCodec(), said("start", start=START)) == Started(
        STREAM, "CA1", AudioFormat.MULAW, 8000, parameters={"order": "42", "token": "t"}
    )


def test_audio_keys_marks_and_the_end() -> None:
    codec = begun()
    payload = base64.b64encode(b"\x7f" * 160).decode()
    media = {"track": "inbound", "chunk": "7", "timestamp": "140", "payload": payload}
    assert only(codec, said("media", media=media)) == Audio(b"\x7f" * 160, 7)
    assert only(codec, said("media", media={"payload": payload})) == Audio(b"\x7f" * 160, None)
    assert only(codec, said("dtmf", dtmf={"track": "inbound_track", "digit": "#"})) == Key("#")
    assert only(codec, said("mark", mark={"name": "aywa-3"})) == MarkPlayed("aywa-3")
    assert only(codec, said("stop", stop={"accountSid": "AC1", "callSid": "CA1"})) == Stopped()
    assert only(codec, said("something", x=1)) == Said("something")
    outbound = media | {"track": "outbound"}
    assert isinstance(only(codec, said("media", media=outbound)), Said)


def test_what_it_is_told_is_as_the_vendor_documents_it() -> None:
    codec = begun()
    audio, mark, clear = codec.audio(b"\x01\xff" * 80), codec.mark("aywa-1"), codec.clear()
    assert isinstance(audio, str)
    assert isinstance(mark, str)
    assert isinstance(clear, str)
    found = json.loads(audio)
    assert base64.b64decode(found["media"].pop("payload")) == b"\x01\xff" * 80
    assert found == {"event": "media", "streamSid": STREAM, "media": {}}
    assert json.loads(mark) == {"event": "mark", "streamSid": STREAM, "mark": {"name": "aywa-1"}}
    assert json.loads(clear) == {"event": "clear", "streamSid": STREAM}
    assert (codec.begin(), codec.keys("1"), codec.transfer("+49"), codec.hang_up("x")) == ((), (), (), ())


@pytest.mark.parametrize("stream", ['a"b', "a\\nb", "a\\", "{}", "ü"])
def test_a_strange_stream_id_stays_one_text(stream: str) -> None:
    codec = TwilioCodec()
    codec.receive(json.dumps({"event": "start", "streamSid": stream, "start": START}))
    audio = codec.audio(b"\x01" * 160)
    assert isinstance(audio, str)
    found = json.loads(audio)
    assert found["streamSid"] == stream
    assert base64.b64decode(found["media"]["payload"]) == b"\x01" * 160


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mediaFormat": {"encoding": "audio/l16", "sampleRate": 8000}}, "format"),
        ({"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 16000}}, "format"),
        ({"mediaFormat": None}, "format"),
        ({"streamSid": None}, "streamSid"),
    ],
)
def test_a_stream_of_another_kind_is_refused_for_good(change: dict[str, Any], why: str) -> None:
    found = only(TwilioCodec(), json.dumps({"event": "start", "start": START | change}))
    assert isinstance(found, Broken)
    assert found.final
    assert why in found.why


@pytest.mark.parametrize(
    "message",
    [
        b"{}",
        "",
        "[]",
        "{",
        "[" * 50_000,
        "{}",
        '{"event": 7}',
        '{"event": ["media"]}',
        said("media"),
        said("media", media=[]),
        said("media", media={"payload": 1}),
        said("media", media={"payload": "a"}),
        said("mark", mark={}),
        said("mark", mark={"name": ["x"]}),
        said("dtmf", dtmf={"digit": "12"}),
        said("dtmf", dtmf=None),
        said("start", start=START),
    ],
)
def test_what_is_broken_is_told_and_harms_nothing(message: str | bytes) -> None:
    codec = begun()
    found = only(codec, message)
    assert isinstance(found, Broken)
    assert not found.final
    assert isinstance(only(codec, said("mark", mark={"name": "aywa-1"})), MarkPlayed)


def test_audio_before_the_stream_is_no_audio() -> None:
    payload = base64.b64encode(b"\x7f" * 160).decode()
    assert isinstance(only(TwilioCodec(), said("media", media={"payload": payload})), Broken)


def test_what_a_stranger_names_is_bounded() -> None:
    many = {f"name{number}": "x" * 10_000 for number in range(500)} | {"": "x"}
    found = only(
        TwilioCodec(), said("start", start=START | {"customParameters": many, "callSid": "c\nd" * 5000})
    )
    assert isinstance(found, Started)
    assert len(found.parameters) == PARAMETERS_MOST
    assert max(map(len, found.parameters.values())) == TEXT_MOST
    assert len(found.call_id) <= TEXT_MOST
    assert "\n" not in found.call_id


def test_a_relative_may_name_things_otherwise() -> None:
    words = Words(
        stream="stream_id", call=("call_control_id",), parameters="custom_parameters", format="media_format",
        rate="sample_rate", encodings={"pcmu": AudioFormat.MULAW}, order="sequence_number", order_in_media=False,
    )  # fmt: skip
    codec = TwilioCodec(TWILIO, words)
    start = {
        "call_control_id": "v3:1", "from": "+1", "to": "+2", "custom_parameters": {"a": 1, "b": None, "c": True},
        "media_format": {"encoding": "PCMU", "sample_rate": 8000},
    }  # fmt: skip
    found = only(codec, json.dumps({"event": "start", "stream_id": "s", "start": start}))
    assert found == Started("s", "v3:1", AudioFormat.MULAW, 8000, "+1", "+2", {"a": "1", "c": "True"})
    media = {"event": "media", "sequence_number": 5, "media": {"payload": "AA=="}}
    assert only(codec, json.dumps(media)) == Audio(b"\0", 5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=6), inside, max_size=3),
    max_leaves=12,
)
EVENTS = st.sampled_from(["connected", "start", "media", "mark", "dtmf", "stop", "clear", ""])


@settings(deadline=None)
@given(st.lists(st.tuples(EVENTS, JSON, JSON), max_size=8), st.booleans())
def test_nothing_that_is_sent_raises(messages: list[tuple[str, Any, Any]], started: bool) -> None:
    codec = begun() if started else TwilioCodec()
    for event, inside, other in messages:
        for text in (
            json.dumps({"event": event, event: inside, "streamSid": other}),
            json.dumps(
                {"event": event, event: {"payload": inside, "name": inside, "digit": inside, "chunk": other}}
            ),
            json.dumps({"event": event, event: START | {"mediaFormat": inside, "customParameters": other}}),
            json.dumps(inside),
        ):
            for each in codec.receive(text):
                assert isinstance(each, Received)


@given(st.text() | st.binary())
def test_no_bytes_raise(message: str | bytes) -> None:
    assert all(isinstance(each, Received) for each in begun().receive(message))

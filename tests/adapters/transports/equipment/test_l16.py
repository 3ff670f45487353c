"""The codecs of FreeSWITCH's modules and of jambonz against messages that were written out from their documentation."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.transports.equipment import freeswitch, jambonz
from aywa.adapters.transports.equipment.codec import (
    Audio,
    Broken,
    Handshake,
    Key,
    MarkPlayed,
    Message,
    Received,
    Said,
    Started,
)
from aywa.adapters.transports.equipment.freeswitch import AudioFork, AudioStream
from aywa.adapters.transports.equipment.jambonz import Listen
from aywa.adapters.transports.equipment.l16 import L16, OWN_VOICE
from aywa.ports.media import AudioFormat

DIALECTS = freeswitch.DIALECTS | jambonz.DIALECTS
FRAME = bytes(range(160)) * 2
PREAMBLE: dict[str, Any] = {
    "callSid": "c7d4a4c2-9a3f-4f8c-8a7a-0f2f1e7d9b11",
    "direction": "inbound",
    "from": "+15083084809",
    "to": "+15083728299",
    "callId": "0b8a2d",
    "sipStatus": 100,
    "callStatus": "in-progress",
    "sampleRate": 16_000,
    "mixType": "mono",
    "order": "4711",
}


def made(kind: Callable[[Handshake], L16], **query: str) -> L16:
    return kind(Handshake("l16", "assistant", query=query))


def begin(kind: Callable[[Handshake], L16], first: Message, **query: str) -> Started:
    begun = made(kind, **query).receive(first)[0]
    assert isinstance(begun, Started)
    return begun


KINDS = [AudioFork, AudioStream, Listen]
each_kind = pytest.mark.parametrize("kind", KINDS)


# --- the beginning ---------------------------------------------------------------------------------------------------


def test_the_preamble_of_jambonz() -> None:
    begun = begin(Listen, json.dumps(PREAMBLE))
    assert (begun.call_id, begun.caller, begun.called) == (
        PREAMBLE["callSid"],
        "+15083084809",
        "+15083728299",
    )
    assert (begun.format, begun.rate_hz) == (AudioFormat.PCM16, 16_000)
    assert begun.parameters["order"] == "4711"
    assert "from" not in begun.parameters
    assert begun.notes


@each_kind
def test_metadata_may_be_of_any_kind_and_may_be_missing(kind: Callable[[Handshake], L16]) -> None:
    assert begin(kind, json.dumps({"metadata": {"from": "1", "order": 7}})).parameters == {"order": "7"}
    assert begin(kind, json.dumps({"metadata": {"from": "1"}})).caller == "1"
    assert begin(kind, "some words").parameters == {"metadata": "some words"}
    codec = made(kind)
    begun, audio = codec.receive(FRAME)
    assert isinstance(begun, Started)
    assert (begun.call_id, begun.caller, begun.rate_hz) == ("", "", 8000)
    assert audio == Audio(FRAME)
    assert codec.receive(FRAME) == [Audio(FRAME)]


@each_kind
def test_what_the_address_says(kind: Callable[[Handshake], L16]) -> None:
    query = {"rate": "16000", "uuid": "1f", "from": "100", "to": "200", "queue": "sales", "mix": "mono"}
    begun = begin(kind, FRAME, **query)
    assert (begun.rate_hz, begun.call_id, begun.caller, begun.called) == (16_000, "1f", "100", "200")
    assert begun.parameters == {"queue": "sales"}


@each_kind
def test_a_plus_that_was_written_into_a_query_as_it_is(kind: Callable[[Handshake], L16]) -> None:
    begun = begin(kind, FRAME, **{"from": " 491701234567", "to": " sip:a@b"})
    assert (begun.caller, begun.called) == ("+491701234567", "sip:a@b")


@each_kind
@pytest.mark.parametrize(
    ("said", "rate_hz"), [("8k", 8000), ("16k", 16_000), ("24k", 24_000), (48_000, 48_000), ("32000", 32_000)]
)
def test_rates(kind: Callable[[Handshake], L16], said: object, rate_hz: int) -> None:
    assert begin(kind, json.dumps({"sampleRate": said})).rate_hz == rate_hz
    assert begin(kind, json.dumps({"metadata": {"sampleRate": said}})).rate_hz == rate_hz
    assert begin(kind, "{}", rate=str(said)).rate_hz == rate_hz


@each_kind
@pytest.mark.parametrize(
    "query",
    [
        {"rate": "64000"},
        {"rate": "44100"},
        {"rate": "fast"},
        {"rate": "k"},
        {"mix": "both"},
        {"back": "nothing"},
    ],
)
def test_what_is_not_spoken_here_is_refused(kind: Callable[[Handshake], L16], query: dict[str, str]) -> None:
    codec = made(kind, **query)
    (refusal,) = codec.receive("{}")
    assert isinstance(refusal, Broken)
    assert refusal.final
    assert codec.receive(FRAME) == []


@each_kind
def test_a_stream_of_two_channels_is_heard_by_the_callers(kind: Callable[[Handshake], L16]) -> None:
    codec = made(kind, mix="stereo")
    codec.receive("{}")
    assert codec.receive(b"\1\2\7\7\3\4\7\7") == [Audio(b"\1\2\3\4")]
    assert codec.receive(b"\1\2\7") == []
    assert codec.receive(b"\7\3") == [Audio(b"\1\2")]


@each_kind
def test_a_mix_of_both_parties_is_warned_of(kind: Callable[[Handshake], L16]) -> None:
    assert OWN_VOICE in begin(kind, "{}", mix="mixed").notes
    assert OWN_VOICE not in begin(kind, "{}", mix="mono").notes


@each_kind
@given(cuts=st.lists(st.integers(1, 50), min_size=1, max_size=20), stereo=st.booleans())
def test_where_the_audio_is_cut_makes_no_difference(
    kind: Callable[[Handshake], L16], cuts: list[int], stereo: bool
) -> None:
    codec = made(kind, mix="stereo" if stereo else "mono")
    codec.receive("{}")
    stream = bytes(each % 251 for each in range(sum(cuts)))
    heard: list[Received] = []
    at = 0
    for cut in cuts:
        heard += codec.receive(stream[at : at + cut])
        at += cut
    width = 4 if stereo else 2
    whole = stream[: len(stream) // width * width]
    wanted = b"".join(whole[at : at + 2] for at in range(0, len(whole), width))
    assert b"".join(each.payload for each in heard if isinstance(each, Audio)) == wanted


# --- while it runs -----------------------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("event", [{"dtmf": "2", "duration": "1600"}, {"digit": "2"}, {"digit": 2}])
def test_keys(kind: Callable[[Handshake], L16], event: dict[str, Any]) -> None:
    codec = made(kind)
    codec.receive("{}")
    assert codec.receive(json.dumps({"event": "dtmf"} | event)) == [Key("2")]
    assert codec.receive('{"event": "dtmf", "dtmf": ""}') == [Broken("no key of a telephone")]
    assert codec.keys("1") == ()


@each_kind
def test_other_texts_are_harmless(kind: Callable[[Handshake], L16]) -> None:
    codec = made(kind)
    codec.receive("{}")
    assert codec.receive("words") == [Said("text")]
    assert codec.receive('{"type": "x"}') == [Said("JSON")]


@pytest.mark.parametrize("kind", [AudioFork, Listen])
@pytest.mark.parametrize("event", ["playout", "cleared"])
def test_marks_come_back_played_or_thrown_away(kind: Callable[[Handshake], L16], event: str) -> None:
    codec = made(kind)
    codec.receive("{}")
    assert json.loads(str(codec.mark("aywa-1"))) == {"type": "mark", "data": {"name": "aywa-1"}}
    assert json.loads(str(codec.clear())) == {"type": "killAudio"}
    answer = {"type": "mark", "data": {"name": "aywa-1", "event": event}}
    assert codec.receive(json.dumps(answer)) == [MarkPlayed("aywa-1")]
    assert codec.receive('{"type": "mark", "data": 7}') == [MarkPlayed("")]


@each_kind
def test_audio_goes_back_in_binary(kind: Callable[[Handshake], L16]) -> None:
    codec = made(kind)
    codec.receive("{}")
    assert codec.audio(FRAME) == FRAME
    assert codec.traits.chunk_s == 0.02


def test_the_end_and_a_transfer() -> None:
    assert [json.loads(str(each)) for each in made(Listen).hang_up("done")] == [{"type": "disconnect"}]
    fork = made(AudioFork)
    assert json.loads(str(fork.hang_up("done")[0])) == {"type": "disconnect", "data": {"reason": "done"}}
    assert json.loads(str(fork.transfer("100")[0])) == {"type": "transfer", "data": {"to": "100"}}
    assert (made(AudioStream).hang_up("done"), made(AudioStream).transfer("100")) == ((), ())
    assert (made(AudioStream).mark("a"), made(AudioStream).clear()) == (None, None)
    assert made(Listen).transfer("100") == ()


# --- the variants ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [AudioFork, Listen])
def test_a_module_that_streams_nothing_back_is_given_pieces(kind: Callable[[Handshake], L16]) -> None:
    codec = made(kind, back="files")
    codec.receive('{"sampleRate": 16000}')
    piece = json.loads(str(codec.audio(FRAME)))
    assert piece["type"] == "playAudio"
    assert (piece["data"]["audioContentType"], piece["data"]["sampleRate"]) == ("raw", 16_000)
    assert base64.b64decode(piece["data"]["audioContent"]) == FRAME
    assert codec.mark("a") is None
    assert codec.traits.chunk_s >= 0.5
    assert codec.traits.chunks_most == 1


def test_jambonz_says_when_a_piece_is_over() -> None:
    codec = made(Listen, back="files")
    codec.receive("{}")
    assert codec.receive('{"type": "playDone"}') == [Said("playDone")]


@pytest.mark.parametrize("back", ["json", "files"])
def test_mod_audio_stream_takes_json(back: str) -> None:
    codec = made(AudioStream, back=back)
    codec.receive("{}")
    piece = json.loads(str(codec.audio(FRAME)))
    assert piece["type"] == "streamAudio"
    assert (piece["data"]["audioDataType"], piece["data"]["sampleRate"]) == ("raw", 8000)
    assert base64.b64decode(piece["data"]["audioData"]) == FRAME
    assert (codec.traits.chunk_s >= 0.5) == (back == "files")


@each_kind
def test_each_variant_says_at_connect_what_it_is(kind: Callable[[Handshake], L16]) -> None:
    usual, pieces = begin(kind, "{}").notes, begin(kind, "{}", back="files").notes
    assert len(usual) == len(pieces) == 1
    assert usual != pieces
    assert "back=files" in usual[0] or "streaming: true" in usual[0]


@pytest.mark.parametrize("name", DIALECTS)
def test_the_dialects_make_what_they_say(name: str) -> None:
    dialect = DIALECTS[name]
    codec = dialect.make(Handshake(name))
    assert codec.traits == dialect.traits
    assert (AudioFormat.PCM16, 8000) in dialect.traits.formats
    # What cannot be taken back is not sent far ahead.
    assert dialect.traits.clears or dialect.traits.lead_s <= 0.1


_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers())
)
_OBJECTS = st.dictionaries(
    st.sampled_from(
        ["metadata", "sampleRate", "mixType", "event", "dtmf", "digit", "type", "data", "from", "callSid"]
    ),
    _VALUES | st.dictionaries(st.sampled_from(["name", "sampleRate", "mixType"]), _VALUES),
)


@each_kind
@given(
    messages=st.lists(st.text(max_size=40) | st.binary(max_size=40) | _OBJECTS.map(json.dumps), max_size=12)
)
def test_noise_never_raises(kind: Callable[[Handshake], L16], messages: list[Message]) -> None:
    codec = made(kind)
    found = [each for message in messages for each in codec.receive(message)]
    assert sum(isinstance(each, Started) for each in found) <= 1
    assert len(codec._odd) < 4

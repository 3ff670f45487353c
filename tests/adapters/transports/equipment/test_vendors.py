"""Codecs of Telnyx, SignalWire, Exotel, Plivo and Vonage: what each vendor documents is read and written so, whatever comes
otherwise is `Broken`, and nothing raises."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.transports.equipment import exotel, plivo, signalwire, telnyx, vonage
from aywa.adapters.transports.equipment.codec import (
    PARAMETERS_MOST,
    TEXT_MOST,
    Audio,
    Broken,
    Cleared,
    Codec,
    Dialect,
    Handshake,
    Key,
    Lost,
    MarkPlayed,
    Message,
    Passed,
    Received,
    Said,
    Started,
    Stopped,
)
from aywa.core.audio.g711 import mulaw_to_pcm
from aywa.ports.media import AudioFormat

ALL: Mapping[str, Dialect] = {
    **telnyx.DIALECTS,
    **signalwire.DIALECTS,
    **exotel.DIALECTS,
    **plivo.DIALECTS,
    **vonage.DIALECTS,
}
SOUND = bytes(range(160))
PAYLOAD = base64.b64encode(SOUND).decode()


def made(name: str, query: Mapping[str, str] | None = None) -> Codec:
    return ALL[name].make(Handshake(name, query=query or {}))


def told(codec: Codec, message: Any) -> list[Received]:
    return list(codec.receive(message if isinstance(message, str | bytes) else json.dumps(message)))


def written(message: Message | None) -> Any:
    assert isinstance(message, str)
    return json.loads(message)


# --- Telnyx: the messages of "Media Streaming over WebSockets" -----------------------------------------------------------

TELNYX_START = {
    "event": "start",
    "sequence_number": "1",
    "stream_id": "32DE0DEA",
    "start": {
        "user_id": "3E6F995F",
        "call_control_id": "v2:T02",
        "call_session_id": "ff55a038",
        "from": "+13122010094",
        "to": "+13122123456",
        "custom_parameters": {"customer_id": "customer_123"},
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
    },
}


def telnyx_with(encoding: str, rate_hz: int) -> dict[str, Any]:
    start = {**TELNYX_START["start"], "media_format": {"encoding": encoding, "sample_rate": rate_hz}}  # type: ignore[dict-item]
    return {**TELNYX_START, "start": start}


def test_telnyx_begins() -> None:
    codec = made("telnyx")
    assert told(codec, {"event": "connected", "version": "1.0.0"}) == []
    assert told(codec, TELNYX_START) == [
        Started(
            "32DE0DEA",
            "v2:T02",
            AudioFormat.MULAW,
            8_000,
            "+13122010094",
            "+13122123456",
            {"customer_id": "customer_123"},
        ),
        Passed(1),
    ]
    assert told(codec, TELNYX_START) == [Broken("a second start"), Passed(1)]


def test_telnyx_is_put_in_order_by_its_sequence() -> None:
    codec = made("telnyx")
    told(codec, TELNYX_START)
    media = {
        "event": "media",
        "sequence_number": "4",
        "media": {"track": "inbound", "chunk": "2", "payload": PAYLOAD},
    }
    assert told(codec, media) == [Audio(SOUND, 4)]
    outbound = {**media, "sequence_number": "5", "media": {"track": "outbound", "payload": PAYLOAD}}
    assert told(codec, outbound) == [Said("media of another track"), Passed(5)]
    key = {"event": "dtmf", "sequence_number": "6", "stream_id": "32DE0DEA", "dtmf": {"digit": "1"}}
    assert told(codec, key) == [Key("1"), Passed(6)]
    mark = {"event": "mark", "sequence_number": "7", "mark": {"name": "aywa-1"}}
    assert told(codec, mark) == [MarkPlayed("aywa-1"), Passed(7)]
    assert told(codec, {"event": "stop", "sequence_number": "8", "stop": {}}) == [Stopped(""), Passed(8)]


@pytest.mark.parametrize(
    ("encoding", "rate_hz", "audio_format"),
    [
        ("PCMA", 8_000, AudioFormat.ALAW),
        ("L16", 16_000, AudioFormat.PCM16),
        ("L16", 24_000, AudioFormat.PCM16),
    ],
)
def test_telnyx_s_other_codecs(encoding: str, rate_hz: int, audio_format: AudioFormat) -> None:
    started = told(made("telnyx"), telnyx_with(encoding, rate_hz))[0]
    assert isinstance(started, Started)
    assert (started.format, started.rate_hz) == (audio_format, rate_hz)


@pytest.mark.parametrize(("encoding", "rate_hz"), [("OPUS", 16_000), ("PCMU", 16_000), ("", 8_000)])
def test_a_codec_that_is_not_spoken_here_ends_the_stream(encoding: str, rate_hz: int) -> None:
    broken = told(made("telnyx"), telnyx_with(encoding, rate_hz))[0]
    assert isinstance(broken, Broken)
    assert broken.final


def test_telnyx_s_wideband_is_heard_as_mulaw() -> None:
    library = import_module("G722")
    codec = made("telnyx")
    started = told(codec, telnyx_with("G722", 8_000))[0]
    assert isinstance(started, Started)
    assert (started.format, started.rate_hz) == (AudioFormat.MULAW, 8_000)
    assert "G.722" in started.notes[0]
    tone = (8_000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)
    heard = b""
    encoder = library.G722(16_000, 64_000)
    for at in range(0, 16_000, 320):
        payload = base64.b64encode(encoder.encode(tone[at : at + 320])).decode()
        (audio,) = told(codec, {"event": "media", "sequence_number": "2", "media": {"payload": payload}})
        assert isinstance(audio, Audio)
        heard += audio.payload
    samples = np.frombuffer(mulaw_to_pcm(heard), "<i2").astype(np.float64)
    spectrum = np.abs(np.fft.rfft(samples[-4_000:]))
    assert abs(int(np.argmax(spectrum)) * 8_000 / 4_000 - 440) <= 2
    assert np.sqrt(np.mean(samples[-4_000:] ** 2)) == pytest.approx(8_000 / np.sqrt(2), rel=0.1)


def test_telnyx_says_what_it_did_not_take() -> None:
    codec = made("telnyx")
    told(codec, TELNYX_START)
    error = {"event": "error", "payload": {"code": 100003, "title": "malformed_frame", "detail": "x"}}
    assert told(codec, error) == [Lost("Telnyx did not take what was sent: 100003 malformed_frame")]


def test_what_telnyx_is_told() -> None:
    codec = made("telnyx")
    told(codec, TELNYX_START)
    assert written(codec.audio(SOUND)) == {"event": "media", "media": {"payload": PAYLOAD}}
    assert written(codec.mark("aywa-1")) == {"event": "mark", "mark": {"name": "aywa-1"}}
    assert written(codec.clear()) == {"event": "clear"}
    assert codec.keys("1") == ()


# --- SignalWire: the messages of "cXML: <Stream>" ------------------------------------------------------------------------

SIGNALWIRE_START = {
    "event": "start",
    "sequenceNumber": "1",
    "streamSid": "7d56cc11",
    "start": {
        "streamSid": "7d56cc11",
        "accountSid": "b08dacad",
        "callSid": "76ac3c36",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-L16", "sampleRate": 24000, "channels": 1},
        "customParameters": {"Type": "SIP"},
    },
}
# As its examples show a message: inside another.
Wrap = Callable[[dict[str, Any]], dict[str, Any]]


def bare(message: dict[str, Any]) -> dict[str, Any]:
    return message


def wrapped(message: dict[str, Any]) -> dict[str, Any]:
    return {"eventType": message["event"], "direction": "inbound", "rawEvent": message}


@pytest.mark.parametrize("wrap", [bare, wrapped])
def test_signalwire_s_messages(wrap: Wrap) -> None:
    codec = made("signalwire")
    assert told(codec, wrap({"event": "connected", "protocol": "Call", "version": "0.2.0"})) == []
    assert told(codec, wrap(SIGNALWIRE_START)) == [
        Started("7d56cc11", "76ac3c36", AudioFormat.PCM16, 24_000, "", "", {"Type": "SIP"})
    ]
    media = {"event": "media", "media": {"track": "inbound", "chunk": "2", "payload": PAYLOAD}}
    assert told(codec, wrap(media)) == [Audio(SOUND, 2)]
    assert told(codec, wrap({"event": "dtmf", "dtmf": {"duration": 2700, "digit": "8"}})) == [Key("8")]
    assert told(codec, wrap({"event": "mark", "mark": {"name": "aywa-2"}})) == [MarkPlayed("aywa-2")]
    assert told(codec, wrap({"event": "clear", "streamSid": "7d56cc11"})) == [Cleared()]
    assert told(codec, wrap({"event": "stop", "sequenceNumber": "1002"})) == [Stopped("")]


def test_what_signalwire_is_told() -> None:
    codec = made("signalwire")
    told(codec, SIGNALWIRE_START)
    assert written(codec.audio(SOUND)) == {
        "event": "media",
        "streamSid": "7d56cc11",
        "media": {"payload": PAYLOAD},
    }
    assert written(codec.clear()) == {"event": "clear", "streamSid": "7d56cc11"}


# --- Exotel: the messages of "WebSocket protocol" -------------------------------------------------------------------------


def exotel_start(form: dict[str, Any] | None) -> dict[str, Any]:
    start = {
        "stream_sid": "MZ1",
        "call_sid": "CA1",
        "account_sid": "AC1",
        "from": "+919876543210",
        "to": "+918047491899",
        "custom_parameters": {"key1": "value1"},
    }
    more = {} if form is None else {"media_format": form}
    return {"event": "start", "sequence_number": "1", "stream_sid": "MZ1", "start": start | more}


@pytest.mark.parametrize(
    ("form", "query", "audio_format", "rate_hz"),
    [
        ({"encoding": "audio/x-raw", "sample_rate": "8000", "bit_rate": "16"}, {}, AudioFormat.PCM16, 8_000),
        ({"encoding": "base64", "sample_rate": "16000"}, {}, AudioFormat.PCM16, 16_000),
        ({"encoding": "audio/x-mulaw;rate=8000"}, {}, AudioFormat.MULAW, 8_000),
        ({"encoding": "audio/L16;rate=16000"}, {}, AudioFormat.PCM16, 16_000),
        (None, {}, AudioFormat.PCM16, 8_000),
        (None, {"sample-rate": "24000"}, AudioFormat.PCM16, 24_000),
        (None, {"sample-rate": "nonsense"}, AudioFormat.PCM16, 8_000),
    ],
)
def test_exotel_begins(
    form: dict[str, Any] | None, query: dict[str, str], audio_format: AudioFormat, rate_hz: int
) -> None:
    started = told(made("exotel", query), exotel_start(form))
    parameters = {"key1": "value1"}
    assert started == [
        Started("MZ1", "CA1", audio_format, rate_hz, "+919876543210", "+918047491899", parameters)
    ]


def test_exotel_goes_on() -> None:
    codec = made("exotel")
    told(codec, exotel_start(None))
    media = {
        "event": "media",
        "stream_sid": "MZ1",
        "media": {"chunk": "2", "timestamp": "200", "payload": PAYLOAD},
    }
    assert told(codec, media) == [Audio(SOUND, 2)]
    assert told(codec, {"event": "dtmf", "dtmf": {"digit": "5", "duration": "100"}}) == [Key("5")]
    assert told(codec, {"event": "mark", "mark": {"name": "aywa-3"}}) == [MarkPlayed("aywa-3")]
    assert told(codec, {"event": "stop", "stop": {"reason": "callended"}}) == [Stopped("callended")]
    assert written(codec.audio(SOUND)) == {
        "event": "media",
        "stream_sid": "MZ1",
        "media": {"payload": PAYLOAD},
    }
    assert written(codec.clear()) == {"event": "clear", "stream_sid": "MZ1"}
    assert codec.traits.lead_s > codec.traits.chunk_s


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
def test_exotel_gets_enough_at_once(rate_hz: int) -> None:
    codec = made("exotel")
    told(codec, exotel_start({"encoding": "base64", "sample_rate": rate_hz}))
    chunk = round(codec.traits.chunk_s * rate_hz) * 2
    assert chunk >= 3_200
    assert chunk % 320 == 0


# --- Plivo: the messages of "Audio Streaming Protocol Reference" ------------------------------------------------------------


def plivo_start(form: dict[str, Any], headers: Any = "userId=12345;sessionId=abc-xyz") -> dict[str, Any]:
    start = {
        "callId": "12345678-1234",
        "streamId": "87654321-4321",
        "accountId": "MA1",
        "tracks": ["inbound"],
        "mediaFormat": form,
    }
    return {"event": "start", "sequenceNumber": 1, "start": start, "extra_headers": headers}


MULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000}


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ("userId=12345;sessionId=abc-xyz", {"userId": "12345", "sessionId": "abc-xyz"}),
        ("test1=12,test2=123", {"test1": "12", "test2": "123"}),
        ('{"a":"b"}', {"a": "b"}),
        ({"a": 1}, {"a": "1"}),
        ("{}", {}),
        ("{", {"{": ""}),
        (None, {}),
        ([1], {}),
    ],
)
def test_plivo_begins(headers: Any, parameters: dict[str, str]) -> None:
    started = told(made("plivo"), plivo_start(MULAW, headers))
    assert started == [
        Started("87654321-4321", "12345678-1234", AudioFormat.MULAW, 8_000, "", "", parameters)
    ]


def test_plivo_goes_on() -> None:
    codec = made("plivo")
    told(codec, plivo_start({"encoding": "audio/x-l16", "sampleRate": 16000}))
    media = {
        "event": "media",
        "streamId": "x",
        "media": {"track": "inbound", "chunk": 41, "payload": PAYLOAD},
    }
    assert told(codec, media) == [Audio(SOUND, 41)]
    assert told(codec, {**media, "media": {"track": "outbound", "payload": PAYLOAD}}) == [
        Said("media of another track")
    ]
    assert told(codec, {"event": "dtmf", "dtmf": {"track": "inbound", "digit": "#"}}) == [Key("#")]
    assert told(codec, {"event": "playedStream", "streamId": "x", "name": "aywa-4"}) == [MarkPlayed("aywa-4")]
    assert told(codec, {"event": "clearedAudio", "streamId": "x"}) == [Cleared()]
    assert told(codec, {"event": "stop"}) == [Stopped("")]
    assert told(codec, {"event": "of tomorrow"}) == [Said("of tomorrow")]


def test_what_plivo_is_told() -> None:
    codec = made("plivo")
    told(codec, plivo_start(MULAW))
    assert written(codec.audio(SOUND)) == {
        "event": "playAudio",
        "media": {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": PAYLOAD},
    }
    assert written(codec.mark("aywa-1")) == {
        "event": "checkpoint",
        "streamId": "87654321-4321",
        "name": "aywa-1",
    }
    assert written(codec.clear()) == {"event": "clearAudio", "streamId": "87654321-4321"}
    assert [written(each) for each in codec.keys("12#")] == [{"event": "sendDTMF", "dtmf": "12#"}]


@pytest.mark.parametrize(
    "message",
    [
        plivo_start({"encoding": "audio/opus", "sampleRate": 8000}),
        plivo_start({"encoding": "audio/x-mulaw", "sampleRate": 16000}),
        {"event": "start", "start": {"mediaFormat": MULAW}},
    ],
)
def test_plivo_s_stream_that_cannot_be(message: Any) -> None:
    (broken,) = told(made("plivo"), message)
    assert isinstance(broken, Broken)
    assert broken.final


# --- Vonage: the messages of "WebSockets" ---------------------------------------------------------------------------------

CONNECTED = {
    "event": "websocket:connected",
    "content-type": "audio/l16;rate=16000",
    "from": "+4930123",
    "to": "+15550100",
    "uuid": "u1",
    "customer": "7",
}


@pytest.mark.parametrize(
    "message",
    [
        CONNECTED,
        {
            "event": "websocket:connected",
            "content-type": "audio/l16; rate=16000",
            "headers": {name: CONNECTED[name] for name in ("from", "to", "uuid", "customer")},
        },
    ],
)
def test_vonage_begins(message: dict[str, Any]) -> None:
    codec = made("vonage")
    parameters = {"from": "+4930123", "to": "+15550100", "uuid": "u1", "customer": "7"}
    assert told(codec, SOUND) == [Broken("audio before websocket:connected")]
    assert told(codec, message) == [
        Started("u1", "u1", AudioFormat.PCM16, 16_000, "+4930123", "+15550100", parameters)
    ]
    assert told(codec, SOUND) == [Audio(SOUND)]
    assert told(codec, message) == [Broken("a second websocket:connected")]


def test_vonage_goes_on() -> None:
    codec = made("vonage")
    told(codec, CONNECTED)
    assert told(codec, {"event": "websocket:dtmf", "digit": "5", "duration": 260}) == [Key("5")]
    assert told(codec, {"event": "websocket:dtmf", "dtmf": {"digit": "*"}}) == [Key("*")]
    assert told(codec, {"dtmf": "7"}) == [Key("7")]
    assert told(codec, {"event": "websocket:notify", "payload": {"mark": "aywa-5"}}) == [MarkPlayed("aywa-5")]
    assert told(codec, {"event": "websocket:notify", "payload": {"other": 1}}) == [Said("websocket:notify")]
    assert told(codec, {"event": "websocket:cleared"}) == [Cleared()]
    assert told(codec, {"event": "websocket:hangup", "reason": "done"}) == [Stopped("done")]
    assert told(codec, {"event": "websocket:media:update"}) == [Said("websocket:media:update")]
    assert codec.audio(SOUND) == SOUND
    assert written(codec.mark("aywa-5")) == {"action": "notify", "payload": {"mark": "aywa-5"}}
    assert written(codec.clear()) == {"action": "clear"}
    assert codec.traits.chunks_most == 1


@pytest.mark.parametrize("content_type", ["audio/l16;rate=44100", "audio/l16", "audio/pcm;rate=16000", None])
def test_vonage_s_stream_that_cannot_be(content_type: str | None) -> None:
    (broken,) = told(made("vonage"), {**CONNECTED, "content-type": content_type})
    assert isinstance(broken, Broken)
    assert broken.final


# --- all of them ---------------------------------------------------------------------------------------------------------

STARTS: Mapping[str, dict[str, Any]] = {
    "telnyx": TELNYX_START,
    "signalwire": SIGNALWIRE_START,
    "exotel": exotel_start(None),
    "plivo": plivo_start(MULAW),
    "vonage": CONNECTED,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
EVENTS = st.sampled_from(
    "start media mark dtmf stop connected error clear playedStream clearedAudio websocket:connected websocket:dtmf "
    "websocket:notify websocket:cleared websocket:hangup".split()
)
NAMES = st.sampled_from(
    "start media mark dtmf stop payload name digit streamSid stream_id sequence_number rawEvent extra_headers "
    "content-type headers mediaFormat media_format".split()
)
MESSAGES = (
    st.text()
    | st.binary()
    | JSON.map(json.dumps)
    | st.builds(
        lambda event, more: json.dumps({**more, "event": event}), EVENTS, st.dictionaries(NAMES, JSON)
    )
)


@pytest.mark.parametrize("name", list(ALL))
@given(messages=st.lists(MESSAGES, max_size=6), starts=st.booleans())
def test_nothing_raises_and_nothing_is_endless(name: str, messages: list[Message], starts: bool) -> None:
    codec = made(name)
    if starts:
        told(codec, STARTS[name])
    for message in messages:
        for received in codec.receive(message):
            match received:
                case Started(parameters=parameters):
                    assert (received.format, received.rate_hz) in codec.traits.formats
                    assert len(parameters) <= PARAMETERS_MOST
                    assert all(len(key) + len(value) <= 2 * TEXT_MOST for key, value in parameters.items())
                case Said(kind=kind):
                    assert len(kind) <= 40
                case Broken(why=why):
                    assert len(why) < 300
                case MarkPlayed(name=mark):
                    assert len(mark) <= TEXT_MOST
                case _:
                    pass


@pytest.mark.parametrize("name", ["telnyx", "signalwire", "exotel", "plivo"])
@pytest.mark.parametrize("message", ["", "[]", "nonsense", "null", b"\x00\x01", "[" * 100_000])
def test_what_is_no_message_is_broken(name: str, message: Message) -> None:
    (broken,) = made(name).receive(message)
    assert isinstance(broken, Broken)
    assert not broken.final


@pytest.mark.parametrize("name", ["telnyx", "signalwire", "exotel", "plivo"])
def test_audio_before_the_start_is_broken(name: str) -> None:
    received = told(made(name), {"event": "media", "media": {"payload": PAYLOAD}})
    assert received == [Broken("audio before start")]


@pytest.mark.parametrize("name", list(ALL))
@given(sound=st.binary(min_size=1, max_size=960))
def test_audio_comes_back_as_it_went(name: str, sound: bytes) -> None:
    codec = made(name)
    told(codec, STARTS[name])
    sent = codec.audio(sound)
    if isinstance(sent, bytes):
        assert sent == sound
    else:
        assert base64.b64decode(json.loads(sent)["media"]["payload"]) == sound

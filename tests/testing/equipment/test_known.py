"""Every vendor's equipment against the examples of its own documentation: what it says, what it takes, what it does about it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from aywa.testing.equipment.audio_fork import AudioForkEquipment
from aywa.testing.equipment.audio_stream import AudioStreamEquipment
from aywa.testing.equipment.audiosocket import AudioSocketEquipment, packed
from aywa.testing.equipment.base import (
    Audio,
    Clear,
    Equipment,
    Facts,
    HangUp,
    Keys,
    Mark,
    Message,
    Transfer,
    Violation,
)
from aywa.testing.equipment.chan_websocket import ChanWebSocketEquipment, Levels
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.ear import EarSettings
from aywa.testing.equipment.exotel import ExotelEquipment
from aywa.testing.equipment.jambonz import JambonzEquipment
from aywa.testing.equipment.known import EQUIPMENT, facts_for
from aywa.testing.equipment.plivo import PlivoEquipment, signature_v3
from aywa.testing.equipment.signalwire import SignalWireEquipment
from aywa.testing.equipment.telnyx import TOKEN, TelnyxEquipment
from aywa.testing.equipment.twilio import TwilioEquipment, signature
from aywa.testing.equipment.vonage import VonageEquipment, signed_jwt

FRAME = bytes(320)
UUID = "40325ec2-5efd-4bd3-805f-53576e581d13"


def said(message: Message) -> dict[str, Any]:
    assert isinstance(message, str)
    found = json.loads(message)
    assert isinstance(found, dict)
    return found


def b64(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


def spoken(equipment: Equipment, seconds: float = 0.02) -> list[Message]:
    """What the equipment says of so much of the caller's sound, 20 ms at a time."""
    frame = bytes(round(equipment.rate_hz * 0.02) * 2)
    return [message for _ in range(round(seconds / 0.02)) for message in equipment.speak(frame)]


@pytest.mark.parametrize("name", EQUIPMENT)
def test_any_message_at_all_is_survived(name: str) -> None:
    equipment = EQUIPMENT[name](facts_for(name))
    for message in (
        "",
        "{",
        "[]",
        "null",
        '{"event":7}',
        '{"type":"mark"}',
        '{"action":{}}',
        "x" * 99,
        b"\0",
        b"\xff\0\1\0",
    ):
        equipment.receive(message, 0.0)
    equipment.wake(1.0)
    assert equipment.ear.played_samples(1.0) <= 2


@pytest.mark.parametrize("name", EQUIPMENT)
def test_secrets_are_not_in_a_repr(name: str) -> None:
    assert "s3cr3t" not in repr(Facts(secret="s3cr3t"))
    assert name in EQUIPMENT


# --- Twilio ----------------------------------------------------------------------------------------------------------


def twilio(**more: Any) -> TwilioEquipment:
    return TwilioEquipment(Facts(parameters={"FirstName": "Jane"}, **more))


def test_twilio_begins_as_its_document_shows() -> None:
    equipment = twilio()
    connected, start = map(said, equipment.opening())
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": equipment.facts.account,
            "streamSid": equipment.facts.stream_id,
            "callSid": equipment.facts.call_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"FirstName": "Jane"},
        },
        "streamSid": equipment.facts.stream_id,
    }


def test_twilio_numbers_its_sound() -> None:
    equipment = twilio()
    equipment.opening()
    first, second = map(said, spoken(equipment, 0.04))
    assert (first["sequenceNumber"], first["media"]["chunk"], first["media"]["timestamp"]) == ("2", "1", "0")
    assert (second["sequenceNumber"], second["media"]["chunk"], second["media"]["timestamp"]) == (
        "3",
        "2",
        "20",
    )
    assert base64.b64decode(first["media"]["payload"]) == b"\xff" * 160


def test_twilio_says_keys_and_the_end() -> None:
    equipment = twilio()
    assert said(equipment.press("1")[0])["dtmf"] == {"track": "inbound_track", "digit": "1"}
    assert said(equipment.hang_up()[0])["stop"] == {
        "accountSid": equipment.facts.account,
        "callSid": equipment.facts.call_id,
    }


def test_twilio_echoes_a_mark_when_it_was_played_and_all_of_them_after_a_clear() -> None:
    equipment = twilio()
    sid = equipment.facts.stream_id
    media = {"event": "media", "streamSid": sid, "media": {"payload": b64(b"\xff" * 320)}}
    for name in ("one", "two"):
        equipment.receive(json.dumps(media), 0.0)
        equipment.receive(json.dumps({"event": "mark", "streamSid": sid, "mark": {"name": name}}), 0.0)
    (echoed,) = map(said, equipment.wake(0.041))
    assert (echoed["event"], echoed["mark"], echoed["streamSid"]) == ("mark", {"name": "one"}, sid)
    (thrown,) = map(said, equipment.receive(json.dumps({"event": "clear", "streamSid": sid}), 0.05))
    assert thrown["mark"] == {"name": "two"}
    assert equipment.ear.played_samples(0.05) == 400
    assert equipment.violations == []


@pytest.mark.parametrize(
    "message",
    [
        {"event": "media", "media": {"payload": "AAAA"}},
        {"event": "media", "streamSid": "another", "media": {"payload": "AAAA"}},
        {"event": "mark", "streamSid": Facts().stream_id, "mark": {}},
        {"event": "media", "streamSid": Facts().stream_id, "media": {"payload": "RIFF"}},
        {"event": "media", "streamSid": Facts().stream_id, "media": {"payload": "%%%"}},
        {"event": "media", "streamSid": Facts().stream_id, "media": {"payload": b64(b"RIFF....WAVE")}},
        {"event": "stop", "streamSid": Facts().stream_id},
    ],
)
def test_what_twilio_does_not_take_is_a_violation(message: dict[str, Any]) -> None:
    equipment = TwilioEquipment()
    equipment.receive(json.dumps(message), 0.0)
    wrong = message.get("media", {}).get("payload") != "RIFF"
    assert bool(equipment.violations) is wrong, "four letters of base64 are three bytes of sound"


def test_twilio_signs_an_address_and_a_form() -> None:
    # "Validating requests are coming from Twilio" has these values for its example.
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature("12345", url, form) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    equipment = TwilioEquipment(Facts(secret="12345"))
    assert equipment.headers("wss://host/media") == {
        "X-Twilio-Signature": signature("12345", "wss://host/media")
    }


# --- Telnyx ----------------------------------------------------------------------------------------------------------


def test_telnyx_begins_as_its_document_shows() -> None:
    equipment = TelnyxEquipment(Facts(caller="+13122010094", called="+13122123456", secret="t0ken"))
    connected, start = map(said, equipment.opening())
    assert connected == {"event": "connected", "version": "1.0.0", TOKEN: "t0ken"}
    assert equipment.headers("") == {TOKEN: "t0ken"}
    assert (start["event"], start["sequence_number"], start["stream_id"]) == (
        "start",
        "1",
        equipment.facts.stream_id,
    )
    assert start["start"]["from"] == "+13122010094"
    assert start["start"]["call_control_id"] == equipment.facts.call_id
    assert start["start"]["media_format"] == {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}


def test_telnyx_takes_sound_between_20_ms_and_30_s_without_a_stream_id() -> None:
    equipment = TelnyxEquipment(coding=Coding.LINEAR, rate_hz=16000)
    equipment.receive(json.dumps({"event": "media", "media": {"payload": b64(bytes(640))}}), 0.0)
    assert equipment.violations == []
    equipment.receive(json.dumps({"event": "media", "media": {"payload": b64(bytes(638))}}), 0.0)
    assert equipment.violations == ["a chunk of 19.9 ms; 20 ms to 30 s are allowed"]
    assert said(spoken(equipment)[0])["media"]["chunk"] == "1"


def test_telnyx_answers_what_it_does_not_know_with_an_error() -> None:
    equipment = TelnyxEquipment()
    (error,) = map(said, equipment.receive('{"event":"stop"}', 0.0))
    assert error["event"] == "error"
    assert error["payload"]["title"] == "malformed_frame"
    assert len(equipment.violations) == 1


def test_telnyx_gives_marks_back() -> None:
    equipment = TelnyxEquipment()
    (echoed,) = map(said, equipment.receive('{"event":"mark","mark":{"name":"m"}}', 0.0))
    assert echoed["mark"] == {"name": "m"}
    equipment.receive(json.dumps({"event": "media", "media": {"payload": b64(b"\xff" * 160)}}), 0.0)
    equipment.receive('{"event":"mark","mark":{"name":"n"}}', 0.0)
    (thrown,) = map(said, equipment.receive('{"event":"clear"}', 0.001))
    assert thrown["mark"] == {"name": "n"}
    assert said(equipment.press("#")[0])["dtmf"] == {"digit": "#"}
    assert said(equipment.hang_up()[0])["stop"]["call_control_id"] == equipment.facts.call_id


# --- SignalWire ------------------------------------------------------------------------------------------------------


def test_signalwire_says_its_codec_and_parameters_only_when_there_are_any() -> None:
    equipment = SignalWireEquipment(coding=Coding.LINEAR, rate_hz=24000)
    connected, start = map(said, equipment.opening())
    assert connected == {"event": "connected", "protocol": "Call", "version": "0.2.0"}
    form = {"encoding": "audio/x-L16", "sampleRate": 24000, "channels": 1}
    assert start["start"]["mediaFormat"] == form
    assert "customParameters" not in start["start"]
    (media,) = map(said, spoken(equipment))
    assert len(base64.b64decode(media["media"]["payload"])) == 960


def test_signalwire_in_envelopes_is_its_documents_example() -> None:
    equipment = SignalWireEquipment(enveloped=True)
    equipment.opening()
    dtmf = said(equipment.press("8")[0])
    assert (dtmf["eventType"], dtmf["direction"]) == ("dtmf", "inbound")
    assert dtmf["rawEvent"] == {
        "event": "dtmf",
        "streamSid": equipment.facts.stream_id,
        "dtmf": {"duration": 100, "digit": "8"},
    }
    stop = said(equipment.hang_up()[0])
    assert stop["rawEvent"] == {"event": "stop", "sequenceNumber": stop["sequenceNumber"]}


def test_signalwire_acknowledges_a_clear_beside_its_marks() -> None:
    equipment = SignalWireEquipment(Facts(secret="b3arer"))
    sid = equipment.facts.stream_id
    equipment.receive(
        json.dumps({"event": "media", "streamSid": sid, "media": {"payload": b64(b"\xff" * 160)}}), 0.0
    )
    equipment.receive(json.dumps({"event": "mark", "streamSid": sid, "mark": {"name": "m"}}), 0.0)
    answers = [said(one) for one in equipment.receive(json.dumps({"event": "clear", "streamSid": sid}), 0.01)]
    assert [one["event"] for one in answers] == ["clear", "mark"]
    assert equipment.headers("") == {"Authorization": "Bearer b3arer"}
    equipment.receive(json.dumps({"event": "media", "streamSid": "x", "media": {"payload": ""}}), 0.0)
    equipment.receive(json.dumps({"event": "hello", "streamSid": sid}), 0.0)
    equipment.receive(
        json.dumps({"event": "media", "streamSid": sid, "media": {"payload": b64(b"RIFF")}}), 0.0
    )
    assert len(equipment.violations) == 3


# --- Exotel ----------------------------------------------------------------------------------------------------------


def test_exotel_begins_as_its_document_shows_and_speaks_every_100_ms() -> None:
    equipment = ExotelEquipment(Facts(parameters={"key1": "value1"}))
    connected, start = map(said, equipment.opening())
    assert connected == {"event": "connected"}
    assert start["sequence_number"] == "1"
    assert start["start"]["media_format"] == {
        "encoding": "audio/x-raw",
        "sample_rate": "8000",
        "bit_rate": "16",
    }
    assert start["start"]["custom_parameters"] == {"key1": "value1"}
    assert spoken(equipment, 0.08) == []
    (media,) = map(said, spoken(equipment, 0.02))
    assert (media["media"]["chunk"], len(base64.b64decode(media["media"]["payload"]))) == ("1", 1600)
    assert said(equipment.press("5")[0])["dtmf"] == {"digit": "5", "duration": "100"}
    assert said(equipment.hang_up()[0])["stop"]["reason"] == "callended"


@pytest.mark.parametrize(
    ("size", "wrong"),
    [(3200, False), (100_000 // 320 * 320, False), (1600, True), (3300, True), (100_160, True)],
)
def test_exotel_wants_chunks_of_the_right_size(size: int, wrong: bool) -> None:
    equipment = ExotelEquipment()
    media = {
        "event": "media",
        "stream_sid": equipment.facts.stream_id,
        "media": {"payload": b64(bytes(size))},
    }
    equipment.receive(json.dumps(media), 0.0)
    assert bool(equipment.violations) is wrong


def test_exotel_shows_who_it_is_and_its_rate() -> None:
    equipment = ExotelEquipment(Facts(secret="key:token", parameters={"p": "1"}), rate_hz=16000)
    assert equipment.headers("") == {"Authorization": f"Basic {b64(b'key:token')}"}
    assert equipment.query() == {"sample-rate": "16000", "p": "1"}
    sid = equipment.facts.stream_id
    equipment.receive(json.dumps({"event": "mark", "stream_sid": "other", "mark": {"name": "m"}}), 0.0)
    (echoed,) = map(
        said, equipment.receive(json.dumps({"event": "mark", "stream_sid": sid, "mark": {"name": "m"}}), 0.0)
    )
    assert (echoed["event"], echoed["mark"]["name"]) == ("mark", "m")
    equipment.receive(json.dumps({"event": "clear", "stream_sid": sid}), 0.0)
    assert len(equipment.of(Clear)) == len(equipment.violations) == 1


# --- Plivo -----------------------------------------------------------------------------------------------------------


def plivo_audio(
    equipment: PlivoEquipment, payload: bytes, kind: str = "audio/x-mulaw", rate_hz: object = 8000
) -> str:
    media = {"contentType": kind, "sampleRate": rate_hz, "payload": b64(payload)}
    return json.dumps({"event": "playAudio", "media": media})


def test_plivo_begins_as_its_document_shows() -> None:
    equipment = PlivoEquipment(Facts(parameters={"userId": "12345", "sessionId": "abc"}))
    (start,) = map(said, equipment.opening())
    assert start["event"] == "start"
    assert start["sequenceNumber"] == 1
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000}
    assert start["extra_headers"] == "userId=12345;sessionId=abc"
    assert equipment.hang_up() == []
    assert said(PlivoEquipment(stops=True).hang_up()[0])["event"] == "stop"


def test_plivo_answers_a_checkpoint_that_was_played_and_never_one_that_was_cleared() -> None:
    equipment = PlivoEquipment()
    sid = equipment.facts.stream_id
    equipment.receive(plivo_audio(equipment, b"\xff" * 160), 0.0)
    equipment.receive(json.dumps({"event": "checkpoint", "streamId": sid, "name": "greeting"}), 0.0)
    (played,) = map(said, equipment.wake(0.02))
    assert (played["event"], played["name"], played["streamId"]) == ("playedStream", "greeting", sid)
    equipment.receive(plivo_audio(equipment, b"\xff" * 160), 1.0)
    equipment.receive(json.dumps({"event": "checkpoint", "streamId": sid, "name": "never"}), 1.0)
    (cleared,) = map(said, equipment.receive(json.dumps({"event": "clearAudio", "streamId": sid}), 1.0))
    assert cleared["event"] == "clearedAudio"
    assert equipment.wake(9.0) == []


def test_plivo_takes_keys_and_refuses_another_form() -> None:
    equipment = PlivoEquipment(coding=Coding.LINEAR, rate_hz=16000)
    equipment.receive('{"event":"sendDTMF","dtmf":"12#"}', 0.0)
    assert [keys for _, keys in equipment.of(Keys)] == [Keys("12#")]
    equipment.receive(plivo_audio(equipment, bytes(640), "audio/x-l16", 16000), 0.0)
    assert equipment.violations == []
    for wrong in (
        '{"event":"sendDTMF","dtmf":"e"}',
        plivo_audio(equipment, bytes(640), "audio/x-l16", 8000),
        plivo_audio(equipment, bytes(640)),
        '{"event":"checkpoint","streamId":"x","name":"n"}',
        '{"event":"stop"}',
    ):
        equipment.receive(wrong, 0.0)
    assert len(equipment.violations) == 5
    assert said(equipment.press("7")[0])["dtmf"]["digit"] == "7"
    assert said(spoken(equipment)[0])["media"]["chunk"] == 1


def test_plivo_signs() -> None:
    equipment = PlivoEquipment(Facts(secret="token"))
    headers = equipment.headers("wss://host/x")
    assert set(headers) == {"X-Plivo-Signature-V3", "X-Plivo-Signature-V3-Nonce"}
    assert headers["X-Plivo-Signature-V3"] == signature_v3(
        "token", "wss://host/x", headers["X-Plivo-Signature-V3-Nonce"], method="GET"
    )
    assert signature_v3("a", "http://h/p", "1", {"b": "2"}) != signature_v3(
        "a", "http://h/p", "1", {"b": "3"}
    )


# --- Vonage ----------------------------------------------------------------------------------------------------------


def test_vonage_begins_as_its_document_shows_and_speaks_binary() -> None:
    equipment = VonageEquipment(Facts(parameters={"language": "en-GB", "callerID": "447700900123"}))
    (connected,) = map(said, equipment.opening())
    assert connected == {
        "event": "websocket:connected",
        "content-type": "audio/l16;rate=16000",
        "language": "en-GB",
        "callerID": "447700900123",
    }
    assert spoken(equipment) == [bytes(640)]
    assert said(equipment.press("5")[0]) == {"event": "websocket:dtmf", "digit": "5", "duration": 260}


def test_vonage_wants_messages_of_20_ms_and_holds_1024_of_them() -> None:
    equipment = VonageEquipment(rate_hz=8000)
    equipment.receive(bytes(320), 0.0)
    assert equipment.violations == []
    equipment.receive(bytes(640), 0.0)
    assert equipment.violations == ["a message of 640 bytes; each must have 320"]
    for _ in range(1024):
        equipment.receive(bytes(320), 0.0)
    assert equipment.ear.dropped_samples == 3 * 160 - 160


def test_vonage_notifies_with_the_payload_it_was_given_and_clears() -> None:
    equipment = VonageEquipment()
    equipment.receive(bytes(640), 0.0)
    equipment.receive('{"action":"notify","payload":{"mark":"aywa-1","n":[1]}}', 0.0)
    (notified,) = map(said, equipment.wake(0.02))
    assert notified == {"event": "websocket:notify", "payload": {"mark": "aywa-1", "n": [1]}}
    equipment.receive(bytes(640), 1.0)
    equipment.receive('{"action":"notify","payload":{}}', 1.0)
    (cleared,) = map(said, equipment.receive('{"action":"clear"}', 1.0))
    assert cleared == {"event": "websocket:cleared"}
    assert equipment.wake(9.0) == []
    equipment.receive('{"action":"stop"}', 9.0)
    equipment.receive('{"action":"notify"}', 9.0)
    assert len(equipment.violations) == 2


def test_vonage_shows_a_signed_token() -> None:
    equipment = VonageEquipment(Facts(secret="signature"), issued_s=1000.0)
    token = equipment.headers("")["Authorization"].removeprefix("Bearer ")
    head, claims, _ = token.split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"typ": "JWT", "alg": "HS256"}
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["iat"] == 1000
    assert "payload_hash" in json.loads(
        base64.urlsafe_b64decode(signed_jwt("s", {}, b"body").split(".")[1] + "==")
    )


# --- AudioSocket -----------------------------------------------------------------------------------------------------


def audiosocket(rate_hz: int | None = None, **more: Any) -> AudioSocketEquipment:
    return AudioSocketEquipment(Facts(call_id=UUID), rate_hz=rate_hz, **more)


def test_audiosocket_begins_with_the_calls_uuid() -> None:
    equipment = audiosocket()
    assert equipment.opening() == [bytes.fromhex("010010" + UUID.replace("-", ""))]
    assert spoken(equipment) == [b"\x10\x01\x40" + FRAME]
    assert equipment.press("5") == [b"\x03\x00\x015"]
    assert equipment.hang_up() == [b"\x00\x00\x00"]


def test_audiosocket_puts_pieces_together() -> None:
    equipment = audiosocket()
    whole = packed(0x10, FRAME) + packed(0x10, FRAME) + packed(0x00)
    for at in range(0, len(whole), 7):
        equipment.receive(whole[at : at + 7], 0.0)
    assert len(equipment.of(Audio)) == 2
    assert equipment.hung_up
    assert equipment.violations == []


def test_audiosocket_cannot_be_sent_ahead() -> None:
    equipment = audiosocket()
    for number in range(6):
        equipment.receive(packed(0x10, FRAME), number * 0.02)
    assert equipment.violations == []
    equipment.receive(packed(0x10, FRAME) * 6, 0.12)
    assert equipment.violations == ["120 ms sent ahead; only what is due may be sent"]


@pytest.mark.parametrize(
    "message", [packed(0x10, b"\1"), packed(0x10), packed(0x12, FRAME), packed(0x42), packed(0xFF, b"\1")]
)
def test_what_asterisk_does_not_take_over_audiosocket_is_a_violation(message: bytes) -> None:
    equipment = audiosocket()
    equipment.receive(message, 0.0)
    assert len(equipment.violations) == 1


def test_audiosocket_has_higher_rates() -> None:
    equipment = audiosocket(16000)
    assert spoken(equipment) == [b"\x12\x02\x80" + bytes(640)]
    equipment.receive(packed(0x12, bytes(640)), 0.0)
    assert equipment.violations == []


# --- chan_websocket --------------------------------------------------------------------------------------------------


def test_chan_websocket_begins_in_plain_text_and_in_json() -> None:
    equipment = ChanWebSocketEquipment(Facts(call_id="e226e283", stream_id="pbx1-123456789.999"))
    assert equipment.opening() == [
        (
            "MEDIA_START connection_id:e226e283 channel:WebSocket/runtime/0x5140001a0040 "
            "channel_id:pbx1-123456789.999 format:ulaw optimal_frame_size:160 ptime:20"
        )
    ]
    assert equipment.press("4") == ["DTMF_END digit:4"]
    as_json = ChanWebSocketEquipment(
        Facts(parameters={"A": "b"}), as_json=True, coding=Coding.LINEAR, rate_hz=16000
    )
    start = said(as_json.opening()[0])
    assert (start["event"], start["format"], start["optimal_frame_size"], start["ptime"]) == (
        "MEDIA_START",
        "slin16",
        640,
        20,
    )
    assert start["channel_variables"]["A"] == "b"
    assert said(as_json.press("4")[0])["digit"] == "4"
    assert as_json.query()["A"] == "b"


def test_chan_websocket_processes_marks_and_a_flush_throws_them_away() -> None:
    equipment = ChanWebSocketEquipment()
    equipment.receive(b"\xff" * 160, 0.0)
    equipment.receive("MARK_MEDIA one", 0.0)
    assert equipment.wake(0.02) == ["MEDIA_MARK_PROCESSED one"]
    assert equipment.receive("MARK_MEDIA", 0.02) == ["MEDIA_MARK_PROCESSED"]
    equipment.receive(b"\xff" * 160, 1.0)
    equipment.receive("MARK_MEDIA two", 1.0)
    assert equipment.receive("FLUSH_MEDIA", 1.0) == []
    assert equipment.wake(9.0) == []
    as_json = ChanWebSocketEquipment(as_json=True)
    (marked,) = map(said, as_json.receive('{"command":"MARK_MEDIA","correlation_id":"x"}', 0.0))
    assert (marked["event"], marked["correlation_id"]) == ("MEDIA_MARK_PROCESSED", "x")


def test_chan_websocket_says_stop_and_go_and_drops_what_is_too_much() -> None:
    equipment = ChanWebSocketEquipment(levels=Levels(xoff=9, xon=8, full=10))
    assert equipment.receive(b"\xff" * 160 * 8, 0.0) == []
    assert equipment.receive(b"\xff" * 160, 0.0) == ["MEDIA_XOFF"]
    assert equipment.receive("GET_STATUS", 0.0) == [
        (
            f"STATUS channel_id:{equipment.facts.stream_id} queue_length:9 xon_level:8 xoff_level:9 queue_full:true "
            "bulk_media:false media_paused:false"
        )
    ]
    # The frame that is being played waits no more: of three there is room for two.
    equipment.receive(b"\xff" * 160 * 3, 0.0)
    assert equipment.ear.dropped_samples == 160
    assert equipment.wake(0.065) == []
    assert equipment.wake(0.085) == ["MEDIA_XON"]
    equipment.receive("REPORT_QUEUE_DRAINED", 0.09)
    assert equipment.wake(1.0) == ["QUEUE_DRAINED"]
    assert (equipment.xoffs, equipment.wake(2.0)) == (1, [])


def test_chan_websocket_keeps_an_odd_end_only_while_buffering() -> None:
    equipment = ChanWebSocketEquipment()
    equipment.receive(b"\xff" * 170, 0.0)
    assert equipment.violations == ["10 bytes too many for a frame of 160: dropped"]
    equipment = ChanWebSocketEquipment()
    equipment.receive("START_MEDIA_BUFFERING", 0.0)
    equipment.receive(b"\xff" * 170, 0.0)
    equipment.receive(b"\xff" * 170, 0.0)
    equipment.receive("STOP_MEDIA_BUFFERING file", 0.0)
    assert equipment.ear.queued_frames(0.0) == 3
    assert equipment.wake(0.06) == ["MEDIA_BUFFERING_COMPLETED file"]
    assert equipment.violations == []


def test_chan_websocket_pauses_and_hangs_up() -> None:
    equipment = ChanWebSocketEquipment()
    equipment.receive(b"\xff" * 320, 0.0)
    equipment.receive("PAUSE_MEDIA", 0.0)
    equipment.wake(5.0)
    equipment.receive("CONTINUE_MEDIA", 5.0)
    equipment.wake(5.03)
    assert equipment.ear.played_samples(5.04) == 320
    equipment.receive("ANSWER", 5.0)
    equipment.receive("HANGUP", 5.0)
    assert equipment.hung_up
    equipment.receive("hangup", 5.0)
    equipment.receive(bytes(65_501), 5.0)
    assert len(equipment.violations) == 2
    assert len(equipment.of(HangUp)) == 2


# --- FreeSWITCH and jambonz ------------------------------------------------------------------------------------------


def test_audio_fork_begins_with_its_metadata_and_streams() -> None:
    equipment = AudioForkEquipment(Facts(parameters={"tier": "gold"}))
    metadata = said(equipment.opening()[0])
    assert (metadata["from"], metadata["tier"], metadata["sampleRate"]) == ("+4930123456", "gold", 8000)
    assert AudioForkEquipment(metadata="").opening() == []
    assert spoken(equipment) == [FRAME]
    assert said(equipment.press("2")[0]) == {"event": "dtmf", "dtmf": "2", "duration": "1600"}
    equipment.receive(FRAME, 0.0)
    equipment.receive('{"type":"killAudio"}', 0.01)
    assert equipment.ear.played_samples(0.01) == 80
    equipment.receive('{"type":"transfer","data":{"to":"100"}}', 0.0)
    equipment.receive('{"type":"disconnect"}', 0.0)
    equipment.receive('{"type":"transcription","data":{}}', 0.0)
    assert [one for _, one in equipment.of(Transfer)] == [Transfer({"to": "100"})]
    assert equipment.hung_up
    assert equipment.violations == []
    equipment.receive(b"\1", 0.0)
    equipment.receive('{"type":"mark"}', 0.0)
    assert len(equipment.violations) == 2


def test_audio_fork_has_marks_in_the_builds_that_have_them() -> None:
    mark = '{"type":"mark","data":{"name":"m"}}'
    equipment = AudioForkEquipment()
    assert said(equipment.receive(mark, 0.0)[0])["data"] == {"name": "m", "event": "playout"}
    equipment.receive(FRAME, 1.0)
    equipment.receive(mark, 1.0)
    assert said(equipment.receive('{"type":"killAudio"}', 1.0)[0])["data"]["event"] == "cleared"
    equipment.receive(FRAME, 2.0)
    equipment.receive(mark, 2.0)
    equipment.receive('{"type":"clearMarks"}', 2.0)
    assert equipment.wake(9.0) == []
    plain = AudioForkEquipment(marks=False)
    for _ in range(4):
        plain.receive(mark, 0.0)
    assert plain.violations == ["'mark' is no message to the module, 4 times"]


def file_of(pcm: bytes, rate_hz: int = 8000, kind: str = "raw") -> str:
    data = {"audioContentType": kind, "sampleRate": rate_hz, "audioContent": b64(pcm)}
    return json.dumps({"type": "playAudio", "data": data})


def test_the_upstream_module_makes_files_that_an_application_plays() -> None:
    equipment = AudioForkEquipment(streaming=False)
    assert equipment.query() == {"rate": "8000", "back": "files"}
    equipment.receive(file_of(FRAME), 0.0)
    equipment.receive(file_of(bytes(640), 16000), 0.0)
    assert equipment.ear.queued_frames(0.0) == 2
    assert [name for name, _ in equipment.events] == ["mod_audio_fork::play_audio"] * 2
    equipment.receive(file_of(FRAME, kind="wave"), 0.0)
    assert equipment.violations == []
    for wrong in (FRAME, file_of(FRAME, 11025), file_of(FRAME, kind="mp3")):
        equipment.receive(wrong, 0.0)
    assert len(equipment.violations) == 3
    nobody = AudioForkEquipment(streaming=False, application_plays=False)
    nobody.receive(file_of(FRAME), 0.0)
    assert nobody.ear.queued_frames(0.0) == 0
    streams = AudioForkEquipment()
    streams.receive(file_of(FRAME), 0.0)
    assert streams.violations == ["playAudio to a module that streams: it is ignored"]


def test_audio_stream_takes_binary_or_json_and_passes_other_text_on() -> None:
    equipment = AudioStreamEquipment()
    assert said(equipment.opening()[0])["to"] == "+4930654321"
    assert AudioStreamEquipment(metadata="").opening() == []
    equipment.receive(FRAME, 0.0)
    data = {"audioDataType": "raw", "sampleRate": 8000, "audioData": b64(FRAME)}
    equipment.receive(json.dumps({"type": "streamAudio", "data": data}), 0.0)
    equipment.receive("hello", 0.0)
    equipment.receive('{"type":"killAudio"}', 0.0)
    assert equipment.ear.queued_frames(0.0) == 2
    assert [name for name, _ in equipment.events].count("mod_audio_stream::json") == 2
    equipment.receive(json.dumps({"type": "streamAudio", "data": {**data, "audioDataType": "mp3"}}), 0.0)
    assert equipment.violations == []
    equipment.receive(json.dumps({"type": "streamAudio", "data": {**data, "audioDataType": "flac"}}), 0.0)
    equipment.receive(b"\1", 0.0)
    assert len(equipment.violations) == 2
    assert said(equipment.press("9")[0])["dtmf"] == "9"
    free = AudioStreamEquipment(playback=False)
    assert free.query()["back"] == "files"
    free.receive(FRAME, 0.0)
    free.receive(json.dumps({"type": "streamAudio", "data": data}), 0.0)
    assert (len(free.violations), free.ear.queued_frames(0.0)) == (1, 1)
    assert spoken(free) == [FRAME]


def test_jambonz_begins_with_the_calls_attributes() -> None:
    equipment = JambonzEquipment(Facts(parameters={"a": "b"}, secret="user:pass"), rate_hz=16000)
    start = said(equipment.opening()[0])
    assert (start["sampleRate"], start["mixType"], start["from"], start["a"]) == (
        16000,
        "mono",
        "+4930123456",
        "b",
    )
    assert equipment.headers("") == {"Authorization": f"Basic {b64(b'user:pass')}"}
    assert spoken(equipment) == [bytes(640)]
    assert said(equipment.press("2")[0]) == {"event": "dtmf", "dtmf": "2", "duration": "1600"}


def test_jambonz_says_whether_a_mark_was_played_cleared_or_forgets_it() -> None:
    equipment = JambonzEquipment()

    def mark(name: str) -> str:
        return json.dumps({"type": "mark", "data": {"name": name}})

    equipment.receive(FRAME, 0.0)
    equipment.receive(mark("m1"), 0.0)
    assert [said(one)["data"] for one in equipment.wake(0.02)] == [{"name": "m1", "event": "playout"}]
    equipment.receive(FRAME, 1.0)
    equipment.receive(mark("m2"), 1.0)
    answers = equipment.receive('{"type":"killAudio"}', 1.0)
    assert [said(one)["data"] for one in answers] == [{"name": "m2", "event": "cleared"}]
    equipment.receive(FRAME, 2.0)
    equipment.receive(mark("m3"), 2.0)
    equipment.receive('{"type":"clearMarks"}', 2.0)
    assert equipment.wake(9.0) == []
    equipment.receive('{"type":"disconnect"}', 9.0)
    assert equipment.hung_up
    assert equipment.violations == []


def test_jambonz_without_streaming_plays_files_and_says_when_they_are_done() -> None:
    equipment = JambonzEquipment(streaming=False)
    equipment.receive(file_of(FRAME), 0.0)
    assert equipment.wake(0.02) == ['{"type":"playDone"}']
    equipment.receive(file_of(FRAME), 1.0)
    assert equipment.receive('{"type":"killAudio"}', 1.0) == []
    equipment.receive(FRAME, 2.0)
    equipment.receive(file_of(FRAME, kind="wav"), 2.0)
    assert len(equipment.violations) == 2
    streams = JambonzEquipment(played_hz=16000)
    streams.receive(bytes(640), 0.0)
    assert streams.ear.queued_frames(0.0) == 1
    for wrong in (file_of(FRAME), b"\1", '{"type":"transfer"}'):
        streams.receive(wrong, 0.0)
    assert len(streams.violations) == 3


# --- all of them -----------------------------------------------------------------------------------------------------

PLAYED: dict[str, Callable[[Equipment, bytes], Message]] = {
    "twilio": lambda equipment, pcm: json.dumps(
        {
            "event": "media",
            "streamSid": equipment.facts.stream_id,
            "media": {"payload": b64(equipment.coding.encode(pcm))},
        }
    ),
    "telnyx": lambda equipment, pcm: json.dumps(
        {"event": "media", "media": {"payload": b64(equipment.coding.encode(pcm))}}
    ),
    "vonage": lambda equipment, pcm: pcm,
    "audiosocket": lambda equipment, pcm: packed(0x10, pcm),
    "chan_websocket": lambda equipment, pcm: equipment.coding.encode(pcm),
    "jambonz": lambda equipment, pcm: pcm,
}


@pytest.mark.parametrize("name", PLAYED)
def test_a_delay_and_a_clock_of_its_own_are_all_equipments(name: str) -> None:
    equipment = EQUIPMENT[name](facts_for(name), rate_hz=8000, ear=EarSettings(delay_s=0.04, skew_ppm=100))
    equipment.receive(PLAYED[name](equipment, FRAME), 0.0)
    assert equipment.deadline == pytest.approx(0.04)
    equipment.wake(1.0)
    assert equipment.ear.played_samples(1.0) == 160
    assert not [one for _, one in equipment.told if isinstance(one, Violation | Mark)]

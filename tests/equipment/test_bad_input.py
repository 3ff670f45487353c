"""What equipment does badly: refused at the door, or mended and told in the timeline; the call ends cleanly, and others do not
notice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aywa.testing.equipment.audiosocket import AudioSocketEquipment, packed
from aywa.testing.equipment.base import Equipment, Facts, Message
from aywa.testing.equipment.call import Called, EquipmentCaller, Faults
from aywa.testing.equipment.chan_websocket import ChanWebSocketEquipment, Levels
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.ear import EarSettings
from aywa.testing.equipment.known import EQUIPMENT, facts_for
from aywa.testing.equipment.line import Line, LineRefused, open_line
from aywa.testing.equipment.report import measure, position_bound_ms, position_off_ms
from aywa.testing.equipment.telnyx import TelnyxEquipment
from aywa.testing.equipment.twilio import TwilioEquipment
from aywa.testing.equipment.vonage import VonageEquipment
from aywa.testing.script import Pause, Say, Step, WaitReply
from aywa.testing.sound import Sound
from tests.equipment.runtime import MediaRuntime, warnings

WEB_SOCKETS = [name for name in EQUIPMENT if name != "audiosocket"]
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
GONE_S = 5.0
FRAME_MS = 20
NOBODY = "3f2a51c0-0000-4000-8000-000000000000"


def short(sentence: Sound, equipment: Equipment) -> list[Step]:
    return [WaitReply(15), Say(sentence.pcm(equipment.rate_hz)), WaitReply(15)]


@asynccontextmanager
async def connected(runtime: MediaRuntime, equipment: Equipment, *messages: Message) -> AsyncIterator[Line]:
    """A line on which the equipment's opening was said, and these messages."""
    line = await open_line(
        runtime.address(equipment.name, runtime.assistant), subprotocols=equipment.subprotocols
    )
    try:
        for message in (*equipment.opening(), *messages):
            await line.send(message)
        yield line
    finally:
        await line.close()


async def taken(line: Line) -> None:
    """Until the runtime has said something: the call is open."""
    async with asyncio.timeout(GONE_S):
        await anext(line.messages(), None)


async def gone(line: Line) -> list[Message]:
    """What came until the runtime closed: it must, in time."""
    async with asyncio.timeout(GONE_S):
        return [message async for message in line.messages()]


# --- at the door -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", WEB_SOCKETS)
@pytest.mark.parametrize("name", ["nobody", NOBODY])
async def test_an_unknown_assistant_is_refused(runtime: MediaRuntime, protocol: str, name: str) -> None:
    equipment = EQUIPMENT[protocol](facts_for(protocol))
    called = await EquipmentCaller(equipment, runtime.address(protocol, name)).call([Pause(5)])
    assert called.refused is not None
    assert called.refused.status in (401, 403, 404, 1008)
    assert not called.arrivals


@pytest.mark.parametrize("token", ["", "wrong", "aywa_wrong"])
async def test_a_wrong_token_is_refused(runtime: MediaRuntime, token: str) -> None:
    equipment = TwilioEquipment(facts_for("twilio"))
    called = await EquipmentCaller(equipment, runtime.address("twilio", runtime.assistant, token)).call(
        [Pause(5)]
    )
    assert called.refused is not None
    assert called.refused.status in (401, 403, 1008)
    assert not called.arrivals


async def test_an_unknown_protocol_is_refused(runtime: MediaRuntime) -> None:
    with pytest.raises(LineRefused) as refused:
        await open_line(runtime.address("carrierpigeon", runtime.assistant))
    assert refused.value.status == 404


async def test_an_unknown_uuid_ends_an_audiosocket(runtime: MediaRuntime) -> None:
    async with connected(runtime, AudioSocketEquipment(facts_for("audiosocket"))) as line:
        assert b"".join(message for message in await gone(line) if isinstance(message, bytes))[:1] in (
            b"",
            b"\0",
            b"\xff",
        )


@pytest.fixture(scope="module")
def number(runtime: MediaRuntime) -> Iterator[str]:
    """A number of Twilio's, whose sockets are signed."""
    body = {
        "provider": "twilio",
        "number": "+15550100",
        "twilioAccountSid": "AC00000000000000000000000000000001",
        "twilioAuthToken": AUTH_TOKEN,
        "assistantId": runtime.assistant,
    }
    status, made = runtime.dev.ask("POST", "/phone-number", body)
    assert status == 201, made
    yield made["id"]
    runtime.dev.ask("DELETE", f"/phone-number/{made['id']}")


@pytest.mark.parametrize(("secret", "let_in"), [(AUTH_TOKEN, True), ("f" * 32, False), ("", False)])
async def test_a_numbers_socket_must_be_signed(
    runtime: MediaRuntime, number: str, secret: str, let_in: bool
) -> None:
    equipment = TwilioEquipment(facts_for("twilio", Facts(secret=secret)))
    url = runtime.address("twilio", number, "")
    called = await EquipmentCaller(equipment, url).call([Pause(1)])
    assert called.connected is let_in
    if let_in:
        assert (await runtime.document(equipment))["phoneNumberId"] == number
    else:
        assert called.refused is not None
        assert called.refused.status in (401, 403, 1008)


# --- on the line -----------------------------------------------------------------------------------------------------

NONSENSE: list[Message] = [
    "",
    "{",
    "null",
    "[1,2,3]",
    '{"event":"media"}',
    '{"event":"media","media":{"payload":"%%%%"}}',
    '{"event":"media","media":{"payload":7}}',
    '{"event":"start"}',
    '{"event":"mark","mark":{"name":"never asked for"}}',
    '{"event":"dtmf","dtmf":{"digit":"99"}}',
    '{"event":"dtmf"}',
    '{"type":"mark"}',
    '{"event":"' + "x" * 5000 + '"}',
    "MEDIA_MARK_PROCESSED nobody",
    "DTMF_END",
]


@pytest.mark.parametrize("protocol", WEB_SOCKETS)
async def test_nonsense_does_not_end_the_runtime(
    runtime: MediaRuntime, protocol: str, sentence: Sound
) -> None:
    """Whether the call lives on is the codec's affair; that it ends cleanly, and the next one takes place, is not."""
    equipment = EQUIPMENT[protocol](facts_for(protocol))
    async with connected(runtime, equipment) as line:
        await taken(line)
        speech = equipment.speak(sentence.pcm(equipment.rate_hz)[: equipment.rate_hz])
        for message in (*NONSENSE, *speech, *equipment.hang_up()):
            await line.send(message)
    call = await runtime.document(equipment, recorded=False)
    assert call["endedReason"]


@pytest.mark.parametrize(
    ("protocol", "first"),
    [
        ("twilio", {"event": "connected"}),
        ("telnyx", {"event": "start", "stream_id": "x", "start": {"call_control_id": "y", "media_format": {"encoding": "MP3"}}}),
        ("vonage", {"event": "websocket:connected", "content-type": "audio/opus;rate=48000"}),
        ("plivo", {"event": "start", "start": {"callId": "x", "streamId": "y", "mediaFormat": {"encoding": "audio/mpeg"}}}),
    ],
)  # fmt: skip
async def test_a_form_that_is_not_spoken_is_refused(
    runtime: MediaRuntime, protocol: str, first: dict[str, Any]
) -> None:
    line = await open_line(runtime.address(protocol, runtime.assistant))
    await line.send(json.dumps(first))
    if protocol == "twilio":
        start = {
            "callSid": "CAx",
            "streamSid": "MZx",
            "mediaFormat": {"encoding": "audio/opus", "sampleRate": 48000},
        }
        await line.send(json.dumps({"event": "start", "streamSid": "MZx", "start": start}))
    try:
        assert await gone(line) == []
    finally:
        await line.close()


async def test_frames_of_another_size_than_announced_are_told(runtime: MediaRuntime, sentence: Sound) -> None:
    equipment = VonageEquipment(facts_for("vonage"))
    async with connected(runtime, equipment) as line:
        await taken(line)
        for message in (*(bytes(641) for _ in range(25)), *equipment.speak(sentence.pcm(16000))):
            await line.send(message)
    call = await runtime.document(equipment, recorded=False)
    assert warnings(await runtime.timeline(call["id"]))


async def test_an_audiosocket_with_other_audio_than_announced_ends_cleanly(runtime: MediaRuntime) -> None:
    equipment = AudioSocketEquipment(Facts(call_id=runtime.assistant))
    async with connected(
        runtime, equipment, packed(0x10, bytes(320)), packed(0x12, bytes(640)), packed(0x10, b"\1")
    ) as line:
        await line.send(packed(0x55, b"what is this"))
        await line.send(packed(0x00))
        await gone(line)


async def faulty(
    runtime: MediaRuntime, equipment: Equipment, steps: list[Step], faults: Faults
) -> tuple[Called, dict[str, Any], list[dict[str, Any]]]:
    called = await runtime.call(equipment, steps, faults=faults)
    call = await runtime.document(equipment)
    return called, call, await runtime.timeline(call["id"])


async def test_chunks_out_of_order_are_put_in_order(runtime: MediaRuntime, sentence: Sound) -> None:
    equipment = TelnyxEquipment(facts_for("telnyx"))
    called, call, timeline = await faulty(
        runtime, equipment, short(sentence, equipment), Faults(swap_every=5)
    )
    assert measure(called).replies_ms[-1] is not None
    assert call["endedReason"] == "customer-ended-call"
    assert [warning for warning in warnings(timeline) if "order" in warning]


async def test_bursts_are_heard_and_told(runtime: MediaRuntime, sentence: Sound) -> None:
    equipment = TwilioEquipment(facts_for("twilio"))
    called, call, timeline = await faulty(
        runtime, equipment, short(sentence, equipment), Faults(burst_frames=25)
    )
    assert measure(called).replies_ms[-1] is not None
    assert call["endedReason"] == "customer-ended-call"
    assert timeline


@pytest.mark.parametrize(
    "protocol",
    [
        "twilio",
        *(
            pytest.param(name, marks=pytest.mark.all)
            for name in ("plivo", "vonage", "chan_websocket", "jambonz")
        ),
    ],
)
async def test_marks_that_never_come_do_not_stop_the_call(
    runtime: MediaRuntime, sentence: Sound, protocol: str
) -> None:
    equipment = EQUIPMENT[protocol](facts_for(protocol))
    called, call, timeline = await faulty(runtime, equipment, short(sentence, equipment), Faults(mute=True))
    measures = measure(called)
    assert measures.marks > 0
    assert measures.replies_ms[-1] is not None
    assert call["endedReason"] == "customer-ended-call"
    assert [warning for warning in warnings(timeline) if "mark" in warning]
    assert abs(position_off_ms(called, timeline)) <= position_bound_ms(250, measures.late_ms)


@pytest.mark.parametrize("protocol", ["twilio", "vonage", "audiosocket"])
async def test_a_half_closed_socket_ends_the_call(runtime: MediaRuntime, protocol: str) -> None:
    facts = Facts(call_id=runtime.assistant) if protocol == "audiosocket" else facts_for(protocol)
    equipment = EQUIPMENT[protocol](facts)
    before = {call["id"] for call in await runtime.newest()}
    async with connected(runtime, equipment) as line:
        for message in equipment.speak(bytes(equipment.rate_hz)):
            await line.send(message)
        line.stop_sending()
        await gone(line)
    async with asyncio.timeout(GONE_S + 5):
        ended: list[dict[str, Any]] = []
        while not ended:
            ended = [
                call
                for call in await runtime.newest()
                if call["id"] not in before and call["status"] == "ended"
            ]
            await asyncio.sleep(0.05)
    assert ended[0]["endedReason"]


async def test_a_line_that_breaks_ends_the_call(runtime: MediaRuntime) -> None:
    equipment = TwilioEquipment(facts_for("twilio"))
    line = await open_line(runtime.address("twilio", runtime.assistant))
    for message in (*equipment.opening(), *equipment.speak(bytes(8000))):
        await line.send(message)
    await taken(line)
    await line.cut()
    assert (await runtime.document(equipment, recorded=False))["endedReason"]


async def test_xoff_is_obeyed_and_nothing_is_lost(runtime: MediaRuntime, sentence: Sound) -> None:
    # So little room that a runtime which did not stop would overrun it.
    equipment = ChanWebSocketEquipment(
        facts_for("chan_websocket"), levels=Levels(xoff=5, xon=3, full=14), ear=EarSettings(delay_s=0.1)
    )
    called, _, timeline = await faulty(runtime, equipment, short(sentence, equipment), Faults())
    measures = measure(called)
    assert equipment.xoffs > 0
    # What came while the equipment itself was late came all at once.
    assert measures.dropped_ms <= (measures.late_ms + FRAME_MS if measures.late_ms > FRAME_MS else 0)
    assert measures.replies_ms[-1] is not None
    assert abs(position_off_ms(called, timeline)) <= position_bound_ms(20, measures.late_ms)


async def test_an_overrun_is_told(runtime: MediaRuntime, sentence: Sound) -> None:
    equipment = ChanWebSocketEquipment(
        facts_for("chan_websocket"), coding=Coding.LINEAR, rate_hz=16000, levels=Levels(2, 1, 3)
    )
    called, call, timeline = await faulty(runtime, equipment, short(sentence, equipment), Faults())
    assert equipment.xoffs > 0
    assert call["endedReason"] == "customer-ended-call"
    assert measure(called).replies_ms[-1] is not None
    assert timeline


async def test_others_do_not_notice(runtime: MediaRuntime, sentence: Sound) -> None:
    """A good call beside one of each bad kind."""
    good = TwilioEquipment(facts_for("twilio"))

    async def disturb() -> None:
        for protocol in ("twilio", "vonage", "plivo", "jambonz"):
            equipment = EQUIPMENT[protocol](facts_for(protocol))
            async with connected(runtime, equipment) as line:
                await taken(line)
                for message in NONSENSE:
                    await line.send(message)
                for _ in range(50):
                    await line.send(bytes(9999))
        line = await open_line(runtime.address("audiosocket", ""))
        await line.send(b"GET / HTTP/1.1\r\n\r\n" * 100)
        await line.close()

    called, _ = await asyncio.gather(runtime.call(good, short(sentence, good)), disturb())
    measures = measure(called)
    assert measures.violations == ()
    assert measures.replies_ms[-1] is not None
    assert [gap for gap in measures.gaps_ms if gap > 40 + measures.late_ms] == []
    assert (await runtime.document(good))["endedReason"] == "customer-ended-call"

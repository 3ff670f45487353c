"""What leaves: chunks of the protocol's own length, and silence for who must not be left without."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from aywa.adapters.transports.equipment.codec import Message, Plain, Received, Started, Traits
from aywa.adapters.transports.equipment.outlet import Outlet
from aywa.adapters.transports.equipment.settings import StreamSettings
from aywa.ports.media import AudioFormat
from tests.adapters.transports.equipment.rig import Note

pytestmark = pytest.mark.virtual_time
STARTED = Started("s", "c", AudioFormat.MULAW, 8000)
TRAITS = Traits("raw", ((AudioFormat.MULAW, 8000),), chunks_most=1)


class Raw(Plain):
    """Audio as it is."""

    def __init__(self, traits: Traits) -> None:
        self.traits = traits

    def receive(self, message: Message) -> list[Received]:
        return []

    def audio(self, payload: bytes) -> Message:
        return payload

    def begin(self) -> list[Message]:
        return ["hello"]


def outlet(traits: Traits, warnings: list[str] | None = None) -> tuple[Outlet, Note]:
    loop = asyncio.get_running_loop()
    note = Note(loop)
    told = [] if warnings is None else warnings
    made = Outlet(loop, Raw(traits), note, STARTED, StreamSettings(), lambda code, detail: told.append(code))
    made.open()
    assert note.sent.pop(0)[1] == "hello"
    return made, note


def lengths(note: Note) -> list[int]:
    return [len(message) for _, message in note.sent]


async def test_a_message_holds_no_more_chunks_than_the_protocol_takes() -> None:
    one, note = outlet(TRAITS)
    one.audio(b"\1" * 800)
    assert lengths(note) == [160] * 5
    one.close()
    five, note = outlet(replace(TRAITS, chunks_most=5))
    five.audio(b"\1" * 960)
    assert lengths(note) == [800, 160]
    five.close()


async def test_longer_chunks_are_collected_and_the_last_is_filled_with_silence() -> None:
    made, note = outlet(replace(TRAITS, chunk_s=0.1))
    for _ in range(7):
        made.audio(b"\1" * 160)
    assert lengths(note) == [800]
    await asyncio.sleep(0.2)
    assert lengths(note) == [800, 800]
    assert note.sent[1][1] == b"\1" * 320 + b"\xff" * 480
    made.close()


async def test_a_rest_in_the_middle_of_a_reply_waits_for_more_as_long_as_there_is_something_to_play() -> None:
    made, note = outlet(replace(TRAITS, chunk_s=0.1, chunks_most=5))
    for _ in range(12):
        made.audio(b"\1" * 160)
    assert made.rest_s == pytest.approx(0.04)
    # The next clause comes 100 ms later, and the one after that while enough is held.
    await asyncio.sleep(0.1)
    for _ in range(8):
        made.audio(b"\1" * 160)
    await asyncio.sleep(0.2)
    made.audio(b"\1" * 160)
    assert made.rest_s == pytest.approx(0.02)
    assert b"\xff" not in b"".join(message for _, message in note.sent if isinstance(message, bytes))
    await asyncio.sleep(0.3)
    assert lengths(note) == [800] * 5
    assert made.rest_s == 0
    made.close()


async def test_what_was_collected_of_a_reply_that_is_broken_off_does_not_leave() -> None:
    made, note = outlet(replace(TRAITS, chunk_s=0.1))
    made.audio(b"\1" * 160)
    made.drop_rest()
    await asyncio.sleep(0.3)
    assert not note.sent
    made.close()


async def test_a_stream_that_may_not_stop_carries_silence() -> None:
    made, note = outlet(replace(TRAITS, endless=True))
    begun = asyncio.get_running_loop().time()
    await asyncio.sleep(0.101)
    assert [message for _, message in note.sent] == [b"\xff" * 160] * 6
    assert [round(at - begun, 3) for at, _ in note.sent] == [0, 0.02, 0.04, 0.06, 0.08, 0.1]
    note.sent.clear()
    for _ in range(10):
        made.audio(b"\1" * 160)
    await asyncio.sleep(0.35)
    silent = [at - begun for at, message in note.sent if message != b"\1" * 160]
    # After the ten frames and a breath, and then one every 20 ms.
    assert silent[0] == pytest.approx(0.42, abs=0.025)
    assert len(silent) in (1, 2, 3)
    note.sent.clear()
    for _ in range(2):
        made.audio(b"\1" * 160)
    begun = asyncio.get_running_loop().time()
    made.rest()
    await asyncio.sleep(0.065)
    # The reply is over: silence follows at once.
    assert note.sent[2][0] - begun == pytest.approx(0.04, abs=0.025)
    made.close()
    made.rest()
    note.sent.clear()
    await asyncio.sleep(0.2)
    made.audio(b"\1" * 160)
    made.clear()
    assert not note.sent
    assert not made.press("1")


async def test_a_protocol_without_clears_drops_what_it_has_not_sent() -> None:
    made, note = outlet(replace(TRAITS, chunk_s=0.1))
    made.audio(b"\1" * 160)
    made.clear()
    await asyncio.sleep(0.2)
    assert not note.sent
    made.close()


async def test_keys_that_nobody_carries_are_refused_and_pauses_alone_are_not() -> None:
    made, note = outlet(TRAITS)
    assert not made.press("w1")
    assert made.press("w")
    made.look()
    await asyncio.sleep(1)
    assert not note.sent
    made.close()

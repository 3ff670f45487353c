"""AudioSocket's codec against bytes that were written out by hand from Asterisk's documentation."""

from __future__ import annotations

import struct
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.transports.equipment.audiosocket import DIALECTS, NAMELESS, AudioSocket
from aywa.adapters.transports.equipment.codec import (
    Audio,
    Broken,
    Handshake,
    Key,
    Message,
    Received,
    Said,
    Started,
    Stopped,
)
from aywa.ports.media import AudioFormat

CALL = "40325ec2-5efd-4bd3-805f-53576e581d13"
HELLO = b"\x01\x00\x10" + UUID(CALL).bytes
FRAME = bytes(range(256)) + bytes(64)
SPOKEN = b"\x10\x01\x40" + FRAME


def heard(*pieces: Message) -> list[Received]:
    codec = AudioSocket()
    return [each for piece in pieces for each in codec.receive(piece)]


def begun(rate_hz: int = 8000) -> Started:
    return Started(CALL, CALL, AudioFormat.PCM16, rate_hz)


def test_a_call_begins_with_the_first_audio_which_tells_its_rate() -> None:
    assert heard(HELLO) == []
    assert heard(HELLO, SPOKEN) == [begun(), Audio(FRAME)]
    wide = b"\x12\x02\x80" + bytes(640)
    assert heard(HELLO + wide) == [begun(16_000), Audio(bytes(640))]


def test_a_caller_who_sends_nothing_is_taken_for_the_usual_rate() -> None:
    codec = AudioSocket(Handshake("audiosocket"))
    codec.hurry()
    assert codec.receive(b"") == []
    assert codec.receive(HELLO) == [begun()]
    assert codec.receive(b"") == []
    assert codec.receive(SPOKEN) == [Audio(FRAME)]
    assert codec.receive(b"\x12\x02\x80" + bytes(640)) == [Broken("audio at 16000 Hz in a stream at 8000 Hz")]


def test_hurrying_changes_nothing_where_audio_has_come() -> None:
    codec = AudioSocket()
    codec.receive(HELLO + b"\x12\x00\x02\0\0")
    codec.hurry()
    assert codec.receive(b"") == []
    over = AudioSocket()
    over.receive(HELLO + b"\x00\x00\x00")
    over.hurry()
    assert over.receive(b"") == []


@pytest.mark.parametrize("digit", "0123456789*#ABCD")
def test_keys(digit: str) -> None:
    assert heard(HELLO, SPOKEN, b"\x03\x00\x01" + digit.encode())[2:] == [Key(digit)]


@pytest.mark.parametrize("payload", [b"", b"x", b"12", b"\xff"])
def test_what_is_no_key_is_told(payload: bytes) -> None:
    frame = struct.pack("!BH", 3, len(payload)) + payload
    assert heard(HELLO, SPOKEN, frame)[2:] == [Broken("no key of a telephone")]


def test_hanging_up_ends_the_stream_and_nothing_is_heard_after_it() -> None:
    assert heard(HELLO, SPOKEN, b"\x00\x00\x00" + SPOKEN, SPOKEN)[2:] == [Stopped("hung up")]
    assert heard(b"\x00\x00\x00") == [Stopped("hung up")]


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"\x01", Stopped("the caller hung up")),
        (b"\x03", Stopped("the caller hung up")),
        (b"\x02", Broken("Asterisk reports an error: it could not pass audio on")),
        (b"\x04", Broken("Asterisk reports an error: it is out of memory")),
        (b"", Broken("Asterisk reports an error: it does not say which")),
        (b"\x01\x01", Broken("Asterisk reports an error: it does not say which")),
    ],
)
def test_errors_as_asterisk_tells_them(payload: bytes, told: Received) -> None:
    frame = struct.pack("!BH", 0xFF, len(payload)) + payload
    assert heard(HELLO, SPOKEN, frame)[2:] == [told]


@pytest.mark.parametrize("first", [SPOKEN, b"\x03\x00\x011", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01"])
def test_a_stream_that_does_not_begin_with_a_uuid_is_refused(first: bytes) -> None:
    assert heard(first) == [Broken(NAMELESS, final=True)]
    assert heard(first[:1], first[1:], HELLO) == [Broken(NAMELESS, final=True)]


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_uuid_has_sixteen_bytes(size: int) -> None:
    refusal = Broken(f"a UUID has 16 bytes, not {size}", final=True)
    assert heard(struct.pack("!BH", 1, size) + bytes(size), SPOKEN) == [refusal]


@pytest.mark.parametrize(("kind", "rate_hz"), [(0x15, 44_100), (0x17, 96_000), (0x18, 192_000)])
def test_rates_that_are_not_spoken_here_are_refused(kind: int, rate_hz: int) -> None:
    frame = struct.pack("!BH", kind, 2) + b"\0\0"
    assert heard(HELLO, frame) == [Broken(f"audio at {rate_hz} Hz is not spoken here", final=True)]


def test_what_is_odd_is_told_and_the_stream_goes_on() -> None:
    odd = b"\x10\x00\x03abc"
    assert heard(HELLO, odd, SPOKEN) == [
        begun(),
        Broken("audio of 3 bytes is not a whole number of samples"),
        Audio(FRAME),
    ]
    assert heard(HELLO, b"\x10\x00\x00", SPOKEN) == [begun(), Audio(FRAME)]
    assert heard(HELLO, SPOKEN, HELLO)[2:] == [Broken("a second UUID")]
    assert heard(HELLO, SPOKEN, b"\x42\x00\x01x")[2:] == [Said("0x42")]
    assert heard("text") == [Broken("text in a stream of bytes")]


def test_audio_goes_back_as_it_came() -> None:
    codec = AudioSocket()
    codec.receive(HELLO + b"\x12\x00\x02\0\0")
    assert codec.audio(b"\1\2") == b"\x12\x00\x02\1\2"
    assert AudioSocket().audio(FRAME) == SPOKEN
    assert codec.hang_up("done") == (b"\x00\x00\x00",)
    assert (codec.mark("a"), codec.clear(), codec.keys("1"), codec.transfer("x"), codec.begin()) == (
        None,
        None,
        (),
        (),
        (),
    )


def test_nothing_is_sent_ahead_that_could_not_be_taken_back() -> None:
    traits = DIALECTS["audiosocket"].traits
    assert traits.chunks_most == 1
    assert not traits.clears
    assert traits.lead_s <= 0.02


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 3, 0x10, 0x12, 0x20, 0xFF]), st.binary(max_size=40)), max_size=12
    ),
    st.lists(st.integers(0, 600), max_size=8),
)
def test_where_the_bytes_are_cut_makes_no_difference(
    frames: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    stream = HELLO + b"".join(struct.pack("!BH", kind, len(payload)) + payload for kind, payload in frames)
    places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    pieces = [stream[start:end] for start, end in pairwise(places)]
    assert heard(*pieces) == heard(stream)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_noise_never_raises_and_is_not_kept(pieces: list[bytes]) -> None:
    codec = AudioSocket()
    for piece in pieces:
        for each in codec.receive(piece):
            assert not isinstance(each, Audio) or len(each.payload) % 2 == 0
    # A header and the longest payload that it can promise, less a byte.
    assert len(codec._rest) < 3 + 65_535

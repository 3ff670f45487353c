from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.message import BODY_MAX_BYTES, HEAD_MAX_BYTES, Malformed, parse
from aywa.core.sip.stream import KEEP_ALIVES_MAX, PING_BYTES, PONG_BYTES, Framer, KeepAlive
from tests.core.feed import examples


def message(body: bytes = b"", *, length: str | None = None) -> bytes:
    said = str(len(body)) if length is None else length
    head = (
        "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:a@c>;tag=1\r\nTo: <sip:h>\r\n"
        f"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nl: {said}\r\n\r\n"
    )
    return head.encode() + body


PARTS = st.lists(
    st.one_of(st.binary(max_size=40).map(message), st.just(PING_BYTES)),
    max_size=8,
)


@examples(100)
@given(PARTS, st.lists(st.integers(min_value=1, max_value=60), min_size=1))
def test_however_the_stream_is_cut_the_messages_are_the_same(parts: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(parts)
    framer = Framer()
    found: list[bytes | KeepAlive] = []
    turn = 0
    while stream:
        size = sizes[turn % len(sizes)]
        turn += 1
        found += framer.receive(stream[:size])
        stream = stream[size:]
    # A ping that came in two pieces looks like a pong first.
    wanted = [KeepAlive.PING if part == PING_BYTES else part for part in parts]
    assert [each for each in found if each is not KeepAlive.PONG] == wanted
    assert framer.broken == ""


def test_a_pong_is_told_at_once() -> None:
    framer = Framer()
    assert framer.receive(PONG_BYTES) == [KeepAlive.PONG]
    assert framer.receive(message() + b"\r") == [message()]
    assert framer.receive(b"\n") == [KeepAlive.PONG]
    assert framer.receive(b"\r\n" + message()) == [KeepAlive.PING, message()]
    assert framer.receive(b"\r\n" + message()) == [message()]


def test_stray_ends_of_lines_are_passed_over() -> None:
    framer = Framer()
    assert framer.receive(b"\n\r\r" + message() + b"\n") == [message()]
    assert framer.receive(b"\r") == []
    assert framer.receive(message()) == [message()]


def test_a_flood_of_keep_alives_is_not_repeated_to_the_shell() -> None:
    framer = Framer()
    assert framer.receive(PING_BYTES * 1000 + message()) == [KeepAlive.PING] * KEEP_ALIVES_MAX + [message()]


@pytest.mark.parametrize(
    ("data", "why", "status"),
    [
        (message(length="-1"), "Content-Length", 400),
        (message(length="5\r\nContent-Length: 6"), "Content-Length", 400),
        (message().replace(b"l: 0\r\n", b""), "no Content-Length", 400),
        (message(length=str(BODY_MAX_BYTES + 1)), "too long", 513),
        (b"INVITE sip:h SIP/2.0\r\nX: " + b"x" * HEAD_MAX_BYTES, "too long", 513),
    ],
)
def test_what_cannot_be_cut_ends_the_stream_and_can_be_answered(data: bytes, why: str, status: int) -> None:
    framer = Framer()
    (last,) = framer.receive(data)
    assert framer.broken == why
    assert isinstance(last, bytes)
    with pytest.raises(Malformed) as caught:
        parse(last, stream=True)
    assert caught.value.status == status
    assert framer.receive(message()) == []


def test_a_message_in_single_bytes_is_not_searched_from_its_start_each_time() -> None:
    framer = Framer()
    data = b"OPTIONS sip:h SIP/2.0\r\nX: " + b"x" * 9000
    for octet in data:
        assert framer.receive(bytes([octet])) == []
    assert framer.receive(b"\r\nl: 0\r\n\r\n") == [data + b"\r\nl: 0\r\n\r\n"]


@examples(100)
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_are_held_within_the_bound(chunks: list[bytes]) -> None:
    framer = Framer()
    for chunk in chunks:
        for each in framer.receive(chunk):
            assert len(each) <= HEAD_MAX_BYTES + BODY_MAX_BYTES

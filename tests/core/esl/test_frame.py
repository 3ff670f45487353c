from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.esl.frame import BODY_MAX_BYTES, HEAD_MAX_BYTES, Frame, Framer, header
from tests.core.feed import examples


def frame(kind: str, body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\n" if body else ""
    return f"{length}Content-Type: {kind}\n\n".encode() + body


PARTS = st.lists(
    st.one_of(
        st.binary(max_size=60).map(lambda body: frame("text/event-plain", body)),
        st.just(frame("auth/request")),
        st.just(b"\n"),
    ),
    max_size=8,
)


@examples(150)
@given(PARTS, st.lists(st.integers(min_value=1, max_value=50), min_size=1))
def test_however_the_stream_is_cut_the_frames_are_the_same(parts: list[bytes], sizes: list[int]) -> None:
    whole, pieces = Framer(), Framer()
    stream = b"".join(parts)
    wanted = whole.receive(stream)
    found: list[Frame] = []
    turn = 0
    while stream:
        size = sizes[turn % len(sizes)]
        turn += 1
        found += pieces.receive(stream[:size])
        stream = stream[size:]
    assert found == wanted
    assert len(wanted) == sum(part != b"\n" for part in parts)
    assert whole.broken == pieces.broken == ""


@examples(150)
@given(st.lists(st.binary(max_size=200), max_size=6))
def test_whatever_comes_nothing_raises_and_nothing_grows(pieces: list[bytes]) -> None:
    framer = Framer()
    for piece in pieces:
        for each in framer.receive(piece):
            assert len(each.body) <= BODY_MAX_BYTES


def test_a_frame_as_it_comes() -> None:
    framer = Framer()
    head = b"Content-Length: 3\nContent-Type: Text/Event-JSON\nX: a:b"
    (found,) = framer.receive(head + b"\n\n{}\nContent")
    assert (found.kind, found.head, found.body) == ("text/event-json", head, b"{}\n")
    assert (found.get("x"), found.get("content-length"), found.get("none")) == ("a:b", "3", "")
    (reply,) = framer.receive(b"-Type: command/reply\n\n")
    assert (reply.kind, reply.body) == ("command/reply", b"")
    assert "Text/Event" not in repr(found)
    # One that is whole, and the beginning of the next one's body.
    (first,) = framer.receive(frame("auth/request") + frame("api/response", b"abcd")[:-2])
    (second,) = framer.receive(b"cd")
    assert (first.kind, second.kind, second.body) == ("auth/request", "api/response", b"abcd")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"Content-Length: x\n\n", "Content-Length is no number"),
        (b"Content-Length: -1\n\n", "Content-Length is no number"),
        (f"Content-Length: {BODY_MAX_BYTES + 1}\n\n".encode(), "a body is too long"),
        (b"Content-Length: 9999999999999\n\n", "a body is too long"),
        (b"a" * (HEAD_MAX_BYTES + 1), "a head is too long"),
        (b"a" * (HEAD_MAX_BYTES + 1) + b"\n\n", "a head is too long"),
    ],
)
def test_what_cannot_be_cut_ends_the_stream(data: bytes, why: str) -> None:
    framer = Framer()
    assert framer.receive(frame("auth/request") + data)[0].kind == "auth/request"
    assert framer.broken == why
    assert framer.receive(frame("auth/request")) == []


def test_a_header_without_its_mark_is_none() -> None:
    assert header(b"Content-Type\nb: 2", "content-type") == ""
    assert header(b"", "a") == ""

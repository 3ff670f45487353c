"""What the two processes say: everything comes out as it went in, however it is cut; what can be none is refused."""

from __future__ import annotations

import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import events as ev
from aywa.media.apart.messages import (
    Frames,
    Message,
    event_in,
    message_in,
    of_event,
    of_message,
    of_recording,
    pack,
    recording_in,
)
from aywa.media.recorder import Recording
from aywa.ports import media as to_media

_POST = [kind for kind in typing.get_args(ev.MediaEvent) if kind is not ev.ClientMessageReceived]
_texts = st.text(max_size=20)
_numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


def _through(message: Message) -> Message:
    (whole,) = Frames().push(pack(message))
    return whole


@given(message=st.one_of([st.from_type(kind) for kind in typing.get_args(to_media.MediaMessage)]))
def test_messages_to_media(message: to_media.MediaMessage) -> None:
    try:
        frame = pack(of_message(message))
    except (TypeError, OverflowError, ValueError):
        # Text that is no text, or a number that no machine holds.
        return
    (whole,) = Frames().push(frame)
    assert message_in(whole) == message or "nan" in repr(message)


@given(event=st.one_of([st.from_type(kind) for kind in _POST]))
def test_events_from_media(event: ev.MediaEvent) -> None:
    try:
        frame = pack(of_event(event))
    except (TypeError, OverflowError, ValueError):
        return
    (whole,) = Frames().push(frame)
    assert event_in(whole) == event or "nan" in repr(event)


@given(path=_texts, rate=st.integers(1, 96_000), seconds=_numbers, lost=_texts)
def test_recordings(path: str, rate: int, seconds: float, lost: str) -> None:
    recording = Recording(f"/folder/x{path}", rate, 0.5, seconds, lost)
    try:
        values = pack(of_recording(recording))
    except (TypeError, UnicodeEncodeError):
        return
    (whole,) = Frames().push(values)
    assert recording_in(whole) == recording


@given(
    sent=st.lists(st.dictionaries(st.sampled_from("abc"), st.binary(max_size=50), min_size=1), max_size=5),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_frames_cut_anywhere(sent: list[dict[str, Any]], cuts: list[int]) -> None:
    stream = b"".join(map(pack, sent))
    frames, came, at = Frames(), [], 0
    for cut in [*sorted(cuts), len(stream)]:
        came += frames.push(stream[at : max(at, cut)])
        at = max(at, cut)
    assert came == sent


@pytest.mark.parametrize(
    "data", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\0\0\0\xc1", b"\x01\0\0\0\x01", b"\x02\0\0\0\x81\x01"]
)
def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(ValueError):
        Frames().push(data)

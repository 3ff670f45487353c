"""What brain and media process say to each other, as plain values: frames of a length and a msgpack map, never code.

Audio of many legs travels in one frame, events one by one. Keys of SRTP travel here and nowhere else: nothing of this is
logged.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

import ormsgpack

from aywa.core import codec
from aywa.core.events import MediaEvent
from aywa.media.recorder import Recording
from aywa.ports.media import MediaMessage

Message = dict[str, Any]

LENGTH_BYTES = 4
# A reply's audio comes in clauses; a larger frame means that the two sides have lost each other.
_LARGEST = 64 << 20
_MESSAGES: Mapping[str, type[Any]] = {kind.__name__: kind for kind in typing.get_args(MediaMessage)}


def pack(message: Message) -> bytes:
    """One frame."""
    body = ormsgpack.packb(message)
    return len(body).to_bytes(LENGTH_BYTES, "little") + body


class Frames:
    """Cuts what comes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def push(self, data: bytes) -> list[Message]:
        """The messages that are whole now. Raises ValueError for what can be none."""
        buffer, at, whole = self._buffer, 0, []
        buffer += data
        while len(buffer) - at >= LENGTH_BYTES:
            size = int.from_bytes(buffer[at : at + LENGTH_BYTES], "little")
            if not 0 < size <= _LARGEST:
                raise ValueError(f"a frame of {size} bytes")
            begin = at + LENGTH_BYTES
            if len(buffer) - begin < size:
                break
            message = ormsgpack.unpackb(bytes(buffer[begin : begin + size]))
            if not isinstance(message, dict):
                raise ValueError("a frame that is not a map")
            whole.append(message)
            at = begin + size
        del buffer[:at]
        return whole


def of_message(message: MediaMessage) -> Message:
    """To media."""
    return {"do": "carry_out", "kind": type(message).__name__, "data": _fields(message)}


def message_in(frame: Message) -> MediaMessage:
    """What of_message made."""
    message: MediaMessage = _MESSAGES[frame["kind"]](**frame["data"])
    return message


def of_event(event: MediaEvent) -> Message:
    """From media."""
    return {"is": "event", "leg": event.leg_id, "kind": type(event).__name__, "data": codec.plain(event)}


def event_in(frame: Message) -> MediaEvent:
    """What of_event made. Raises codec.NotDecoded."""
    event, _ = codec.decode(frame["kind"], frame["data"])
    return typing.cast("MediaEvent", event)


def of_recording(recording: Recording) -> Message:
    """Where it lies and how long it is."""
    return _fields(recording)


def recording_in(values: Mapping[str, Any]) -> Recording:
    """What of_recording made."""
    return Recording(**values)


def _fields(value: Any) -> Message:
    return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}

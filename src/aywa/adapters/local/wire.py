"""The frames between the runtime and its child of models: a length and a msgpack map. Knows nothing of their meaning."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import ormsgpack

Message = dict[str, Any]

LENGTH_BYTES = 4
LARGEST = 64 << 20
"""Bytes of one frame; a larger one means that the two sides have lost each other."""


def pack(message: Message) -> bytes:
    """One frame."""
    body = ormsgpack.packb(message)
    return len(body).to_bytes(LENGTH_BYTES, "little") + body


def length(head: bytes) -> int:
    """The length of the body that follows. Raises ValueError for one that cannot be."""
    size = int.from_bytes(head, "little")
    if not 0 < size <= LARGEST:
        raise ValueError(f"a frame of {size} bytes")
    return size


def unpack(body: bytes) -> Message:
    """The message of a frame's body. Raises ValueError."""
    message = ormsgpack.unpackb(body)
    if not isinstance(message, dict):
        raise ValueError("a frame that is not a map")
    return message


def messages(descriptor: int) -> Iterator[Message]:
    """Reads frames, blocking, until the far side closes."""
    with os.fdopen(descriptor, "rb", closefd=False) as pipe:
        while len(head := pipe.read(LENGTH_BYTES)) == LENGTH_BYTES:
            size = length(head)
            body = pipe.read(size)
            if len(body) < size:
                return
            yield unpack(body)


def write(descriptor: int, data: bytes) -> None:
    """Writes all of it, blocking. Raises OSError when the far side is gone."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

"""A call's recording as the WAV files that the API offers, cut from the one stereo file; refuses to keep any of them.

Left is the caller, right the assistant. A file that is still being written is read up to where it is now.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import numpy.typing as npt

RECORDING = "recording.wav"
HEADER_BYTES = 44
_BLOCK_FRAMES = 1 << 15
_SAMPLE_BYTES = 2


class Side(Enum):
    """Which part of the recording."""

    STEREO = "stereo"
    MONO = "mono"
    CUSTOMER = "customer"
    ASSISTANT = "assistant"


class BadRecording(Exception):
    """The file is not the stereo PCM16 WAV that it should be."""


@dataclass(frozen=True, slots=True)
class WavView:
    """One side of a stereo file, as bytes of a WAV file of its own. offset: of the samples in the stereo file."""

    path: Path
    side: Side
    rate_hz: int
    offset: int
    frames: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame of the view."""
        return _SAMPLE_BYTES * (2 if self.side is Side.STEREO else 1)

    @property
    def size(self) -> int:
        """Bytes of the whole view."""
        return HEADER_BYTES + self.frames * self.frame_bytes

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from start up to end, in blocks. Blocks the thread."""
        if start < HEADER_BYTES:
            yield self._header()[start : min(end, HEADER_BYTES)]
        at = max(start - HEADER_BYTES, 0)
        stop = end - HEADER_BYTES
        with self.path.open("rb") as file:
            while at < stop:
                first = at // self.frame_bytes
                count = min(_BLOCK_FRAMES, -(-stop // self.frame_bytes) - first)
                file.seek(self.offset + first * 2 * _SAMPLE_BYTES)
                block = self._cut(file.read(count * 2 * _SAMPLE_BYTES))
                if not block:
                    return
                begin = first * self.frame_bytes
                piece = block[at - begin : stop - begin]
                yield piece
                at += len(piece)

    def _cut(self, stereo: bytes) -> bytes:
        if self.side is Side.STEREO:
            return stereo
        whole = len(stereo) - len(stereo) % (2 * _SAMPLE_BYTES)
        samples: npt.NDArray[np.int16] = np.frombuffer(stereo[:whole], dtype="<i2").reshape(-1, 2)
        if self.side is Side.CUSTOMER:
            return samples[:, 0].tobytes()
        if self.side is Side.ASSISTANT:
            return samples[:, 1].tobytes()
        both = samples.astype(np.int32).sum(axis=1)
        return bytes(both.clip(-32768, 32767).astype("<i2").tobytes())

    def _header(self) -> bytes:
        data = self.frames * self.frame_bytes
        channels = self.frame_bytes // _SAMPLE_BYTES
        layout = (16, 1, channels, self.rate_hz, self.rate_hz * self.frame_bytes, self.frame_bytes, 16)
        return (
            struct.pack("<4sI4s4s", b"RIFF", 36 + data, b"WAVE", b"fmt ")
            + struct.pack("<IHHIIHH", *layout)
            + struct.pack("<4sI", b"data", data)
        )


def open_recording(path: Path, side: Side) -> WavView:
    """Raises BadRecording, OSError. Blocks the thread."""
    with path.open("rb") as file:
        head = file.read(4096)
    size = path.stat().st_size
    rate_hz, offset, stated = _parse(head)
    there = max(size - offset, 0)
    # While it is written the stated length is 0 or behind; after a crash it may be either.
    length = stated if 0 < stated <= there and (there - stated) < 2 * _SAMPLE_BYTES else there
    return WavView(path, side, rate_hz, offset, length // (2 * _SAMPLE_BYTES))


def _parse(head: bytes) -> tuple[int, int, int]:
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise BadRecording("not a WAV file")
    rate_hz = 0
    at = 12
    while at + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, at)
        at += 8
        if name == b"fmt " and at + 16 <= len(head):
            kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", head, at)
            if (channels, bits) != (2, 16) or kind not in (1, 0xFFFE):
                raise BadRecording("not stereo PCM16")
        elif name == b"data":
            if not rate_hz:
                raise BadRecording("samples before their format")
            return rate_hz, at, length
        at += length + length % 2
    raise BadRecording("no samples")

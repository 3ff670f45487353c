"""A leg's stereo recording: left what came from it, right what was sent to it, on one clock that starts with the leg.

The loop collects frames, and every few seconds decodes them and lays them out: a tenth of a millisecond for two seconds of
telephone audio. A worker thread does no more than write, which gives up the interpreter: one that worked took it away from
frames that were due. The sizes in the header are set each time, so the file is valid after a crash. What cannot be written
is lost and said once; the call goes on. Right frames lie where the far side begins to play them; left ones end when they
arrived, gaps are silence, and jitter up to `recording_jitter_s` moves nothing.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np

from aywa.core.audio.frame import FRAME_S, Shorts, shorts
from aywa.media.scribe import Scribe

_LEFT, _RIGHT = 0, 1
# How long the past stays open: a frame's samples lie before its arrival, and jitter moves it further back.
_OPEN_S = 0.2
_HEADER_BYTES = 44
_MOST_BYTES = 0xFFFFFFFF - _HEADER_BYTES

# Frames among which the quickest is looked for: 2 s, in which no clock runs off by anything to speak of.
_SLACK_OF = 100
_NO_SLACK = float("inf")


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished file. path: text, since pathlib interns every part of one. started_s: the call's at_s of its first sample.
    lost: why it is not whole, or empty."""

    path: str
    rate_hz: int
    started_s: float
    seconds: float
    lost: str = ""


class Recorder:
    """decode: PCM16 of a frame in the wire's format. paced: frames come by the far side's clock. silence: one sample of it, on
    the wire. lost(detail) is called once, in the loop, when audio is lost."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        scribe: Scribe,
        path: str,
        rate_hz: int,
        width: int,
        decode: Callable[[bytes], bytes],
        lost: Callable[[str], None],
        paced: bool = False,
        silence: bytes = b"\0\0",
    ) -> None:
        self._silence = silence
        self._loop = loop
        self._scribe = scribe
        self._rate_hz = rate_hz
        self._width = width
        self._frame_samples = round(FRAME_S * rate_hz)
        self._lost = lost
        self._why_lost = ""
        self._file = _StereoFile(path, rate_hz)
        self._tape = _Tape(width, decode)
        self._began_s = loop.time()
        self._left_end = 0
        # By how much the quickest of so many frames came later than its place.
        self._paced = paced
        self._slack = _NO_SLACK
        self._slack_of = 0
        self._right_end = 0
        self._handed = 0
        self._waiting = 0

    def heard(self, frame: bytes, now: float, jitter_s: float) -> None:
        """A frame came in."""
        if self._why_lost:
            return
        samples = len(frame) // self._width
        start = self._left_end
        # Not before the frame's own beginning, of a longer one than usual: of its last 20 ms.
        arrived = (now - self._began_s) * self._rate_hz - min(samples, self._frame_samples)
        if arrived > start + jitter_s * self._rate_hz:
            start = round(arrived)
        elif self._paced:
            start += self._drifted(arrived - start)
        start = start if start > self._handed else self._handed
        self._left_end = start + samples
        self._tape.put(_LEFT, start, frame)

    def _drifted(self, slack: float) -> int:
        """The quickest frame tells the far side's clock from the network's jitter: when that clock has run off by half a
        frame, its audio is moved by as much, forward over a silence or back over what lies there."""
        if slack < self._slack:
            self._slack = slack
        self._slack_of += 1
        if self._slack_of < _SLACK_OF:
            return 0
        drift, self._slack, self._slack_of = self._slack, _NO_SLACK, 0
        return round(drift) if abs(drift) > self._frame_samples / 2 else 0

    def sent(self, frame: bytes, heard_from_s: float) -> None:
        """A frame went out, to be played from then on."""
        if self._why_lost:
            return
        start = max(self._place(heard_from_s), self._handed)
        # The same clock cut into samples twice may differ by one.
        if abs(start - self._right_end) <= 1:
            start = self._right_end
        self._right_end = start + len(frame) // self._width
        self._tape.put(_RIGHT, start, frame)

    def unheard(self, from_s: float) -> None:
        """What was to be played from then on was thrown away by the far side."""
        start = max(self._place(from_s), self._handed)
        if start < self._right_end and not self._why_lost:
            self._tape.put(_RIGHT, start, self._silence * (self._right_end - start))
            self._right_end = start

    def flush(self, now: float, queue_s: float) -> None:
        """Gives everything that is final to the worker. A worker that is too far behind loses what comes."""
        if self._why_lost:
            return
        if self._waiting > queue_s * self._rate_hz:
            self._give_up("the disk is too slow")
        else:
            self._hand_over(max(self._handed, self._place(now - _OPEN_S)))

    def close(self, now: float, epoch_s: float) -> asyncio.Future[Recording]:
        """Writes the rest; the result is there when the file is complete on disk, as far as it could be written."""
        if not self._why_lost:
            self._hand_over(max(self._place(now), self._left_end, self._right_end))
        done: asyncio.Future[Recording] = self._loop.create_future()
        self._scribe.add(self._file.close, lambda error: self._closed(error, done, epoch_s))
        return done

    def _place(self, at_s: float) -> int:
        return max(0, round((at_s - self._began_s) * self._rate_hz))

    def _hand_over(self, until: int) -> None:
        samples = until - self._handed
        self._handed = until
        try:
            data = self._tape.take(until)
        except Exception as error:  # noqa: BLE001 - they are the far side's frames: the recording ends, not the call
            self._give_up(_reason(error))
            return
        self._waiting += samples
        self._scribe.add(partial(self._file.write, data), lambda error: self._written(error, samples))

    def _written(self, error: Exception | None, samples: int) -> None:
        self._waiting -= samples
        if error is not None:
            self._give_up(_reason(error))

    def _closed(self, error: Exception | None, done: asyncio.Future[Recording], epoch_s: float) -> None:
        if error is not None:
            self._give_up(_reason(error))
        if not done.done():
            seconds = self._file.frames / self._rate_hz
            started_s = self._began_s - epoch_s
            done.set_result(Recording(self._file.path, self._rate_hz, started_s, seconds, self._why_lost))

    def _give_up(self, detail: str) -> None:
        self._tape.clear()
        if not self._why_lost:
            self._why_lost = detail
            self._lost(detail)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@dataclass(slots=True)
class _Run:
    """Frames of a channel without a gap between them, decoded and placed in one go. end: the sample after the last."""

    channel: int
    start: int
    end: int
    frames: list[bytes]


class _Tape:
    """Both channels, from what was taken last on. Frames are put in the wire's format; the later one holds."""

    def __init__(self, width: int, decode: Callable[[bytes], bytes]) -> None:
        self._width = width
        self._decode = decode
        self._runs: list[_Run] = []
        self._latest: list[_Run | None] = [None, None]
        self._taken = 0
        # What was laid out but lies after what was taken.
        self._rest: Shorts = np.zeros((0, 2), np.int16)

    def put(self, channel: int, start: int, frame: bytes) -> None:
        """A frame whose first sample lies at start."""
        run = self._latest[channel]
        if run is None or run.end != start:
            run = self._latest[channel] = _Run(channel, start, start, [])
            self._runs.append(run)
        run.frames.append(frame)
        run.end += len(frame) // self._width

    def take(self, until: int) -> bytes:
        """Everything before `until` that was not taken yet, PCM16 of both channels by turns."""
        decoded = [
            (run.channel, run.start - self._taken, shorts(self._decode(b"".join(run.frames))))
            for run in self._runs
        ]
        self.clear()
        ready = until - self._taken
        ends = (start + len(pcm) for _, start, pcm in decoded)
        laid_out: Shorts = np.zeros((max(ready, len(self._rest), *ends), 2), np.int16)
        laid_out[: len(self._rest)] = self._rest
        for channel, start, pcm in decoded:
            laid_out[start : start + len(pcm), channel] = pcm
        self._rest = laid_out[ready:].copy()
        self._taken = until
        return laid_out[:ready].astype("<i2", copy=False).tobytes()

    def clear(self) -> None:
        """Forgets what was put and not taken."""
        self._runs = []
        self._latest = [None, None]


class _StereoFile:
    """The worker's side: a WAV file that grows. `frames`: stereo samples that are safely in it."""

    def __init__(self, path: str, rate_hz: int) -> None:
        self.path = path
        self.frames = 0
        self._rate_hz = rate_hz
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        """Writes what comes next."""
        file = self._file or self._open()
        frames = self.frames + len(data) // 4
        if frames * 4 > _MOST_BYTES:
            raise OSError("a WAV file holds no more than 4 GB")
        _write_all(file, data, _HEADER_BYTES + self.frames * 4)
        self.frames = frames
        _write_all(file, _header(self._rate_hz, frames), 0)

    def close(self) -> None:
        """Cuts off what an error left behind the last whole write."""
        if self._file is None:
            return
        with self._file as file:
            self._file = None
            file.truncate(_HEADER_BYTES + self.frames * 4)

    def _open(self) -> BinaryIO:
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._file = open(self.path, "wb", buffering=0)  # noqa: SIM115 - it is open for as long as the leg
        _write_all(self._file, _header(self._rate_hz, 0), 0)
        return self._file


def _write_all(file: BinaryIO, data: bytes, at: int) -> None:
    """A file may take a part only."""
    left = memoryview(data)
    while left:
        taken = os.pwrite(file.fileno(), left, at)
        left, at = left[taken:], at + taken


def _header(rate_hz: int, frames: int) -> bytes:
    size = frames * 4
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + size, b"WAVE",
        b"fmt ", 16, 1, 2, rate_hz, rate_hz * 4, 4, 16,
        b"data", size,
    )  # fmt: skip

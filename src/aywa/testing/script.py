"""What a scripted caller does next: the pure half of ScriptedCaller, asked for one frame every 20 ms.

It is told what arrived and when, and answers with the next 20 ms to send. It refuses to know of sockets and clocks,
and never speaks into a reply that is not there: such a barge-in or backchannel is skipped and noted as missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aywa.testing.wire import (
    FRAME_S,
    QUIET_S,
    Kind,
    Playout,
    ReceivedFrame,
    SentFrame,
    Spoken,
    duration_s,
    is_audible,
    voiced_frames,
)

# How long a caller waits for a reply before going on with the script.
PATIENCE_S = 20.0
# A line that sends in real time may be late by so much, and the reply goes on all the same.
LATE_S = 0.1


@dataclass(frozen=True, slots=True)
class Say:
    """Speak: PCM16 mono at the call's rate, its inner pauses included."""

    pcm: bytes
    label: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Be silent."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WaitReply:
    """Be silent until a reply to what was said last has been heard to its end: quiet_s without audio to play. told: a runtime
    that said that it began to speak (speech-update) must have said that it is done, too; a pause after "one moment" is none."""

    timeout_s: float = PATIENCE_S
    quiet_s: float = QUIET_S
    told: bool = False


@dataclass(frozen=True, slots=True)
class BargeIn:
    """Speak after_s into the next reply, to take the floor."""

    pcm: bytes
    after_s: float = 1.0
    label: str = ""
    timeout_s: float = PATIENCE_S


@dataclass(frozen=True, slots=True)
class Backchannel:
    """Speak after_s into the next reply, not to take the floor ("mhm")."""

    pcm: bytes
    after_s: float = 1.0
    label: str = ""
    timeout_s: float = PATIENCE_S


@dataclass(frozen=True, slots=True)
class Keys:
    """Press keys, silent meanwhile, as long as a person takes for them. They ask, too. Whoever plays the script sends them."""

    keys: str
    seconds_each: float = 0.26


@dataclass(frozen=True, slots=True)
class Hold:
    """Put the far side on hold for so long. Whoever plays the script asks for it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call: by closing the connection, or by the control message end-call."""

    by_message: bool = False


Step = Say | Pause | WaitReply | BargeIn | Backchannel | Keys | Hold | HangUp


class Script:
    """Plays steps, frame by frame. When the steps are over it hangs up."""

    def __init__(self, steps: Sequence[Step], rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.frame_bytes = round(rate_hz * FRAME_S) * 2
        self.spoken: list[Spoken] = []
        self.missed: list[str] = []
        self.hang_up = HangUp()
        self.step: Step | None = None
        self._now_s = -np.inf
        self._asked_s = -np.inf
        self._ear = _Ear()
        self._spoken_to = False
        self._silence = bytes(self.frame_bytes)
        self._frames = self._play(steps)

    def heard(self, now_s: float, pcm: bytes) -> ReceivedFrame:
        """Takes audio that arrived."""
        frame = ReceivedFrame(now_s, pcm, is_audible(pcm))
        self._ear.take(frame, duration_s(pcm, self.rate_hz))
        return frame

    def told(self, message: Mapping[str, Any]) -> None:
        """Takes a text message that arrived."""
        if message.get("type") == "speech-update" and message.get("role") == "assistant":
            self._spoken_to = message.get("status") == "started"

    def next_frame(self, now_s: float) -> SentFrame | None:
        """The 20 ms to send now; None to hang up, as `hang_up` says."""
        self._now_s = now_s
        return next(self._frames, None)

    def _play(self, steps: Sequence[Step]) -> Iterator[SentFrame]:
        for step in steps:
            self.step = step
            match step:
                case Say():
                    yield from self._speak(Kind.SAY, step)
                case Pause() | Hold():
                    yield from self._pause(step.seconds)
                case Keys():
                    yield from self._pause(len(step.keys) * step.seconds_each)
                    self._asked_s = self._now_s
                case WaitReply():
                    yield from self._wait_reply(step)
                case BargeIn():
                    yield from self._speak_into_reply(Kind.BARGE_IN, step)
                case Backchannel():
                    yield from self._speak_into_reply(Kind.BACKCHANNEL, step)
                case HangUp():
                    self.hang_up = step
                    return

    def _speak(self, kind: Kind, step: Say | BargeIn | Backchannel) -> Iterator[SentFrame]:
        index = len(self.spoken)
        self.spoken.append(Spoken(kind, step.label))
        frames = self._cut(step.pcm)
        for frame, voiced in zip(frames, voiced_frames(frames), strict=True):
            if voiced and kind is not Kind.BACKCHANNEL:
                self._asked_s = self._now_s
            yield SentFrame(self._now_s, frame, voiced, index)

    def _pause(self, seconds: float) -> Iterator[SentFrame]:
        for _ in range(round(seconds / FRAME_S)):
            yield self._silent()

    def _wait_reply(self, step: WaitReply) -> Iterator[SentFrame]:
        until_s = self._now_s + step.timeout_s
        while self._now_s < until_s and not (
            self._ear.finished(self._now_s, self._asked_s, step.quiet_s)
            and not (step.told and self._spoken_to)
        ):
            yield self._silent()

    def _speak_into_reply(self, kind: Kind, step: BargeIn | Backchannel) -> Iterator[SentFrame]:
        until_s = self._now_s + step.timeout_s
        while self._ear.began(self._asked_s) is None and self._now_s < until_s:
            yield self._silent()
        begun_s = self._ear.began(self._asked_s)
        while begun_s is not None and self._now_s < begun_s + step.after_s:
            yield self._silent()
        if begun_s is not None and self._ear.end_s + LATE_S > self._now_s:
            yield from self._speak(kind, step)
        else:
            self.missed.append(step.label)

    def _cut(self, pcm: bytes) -> list[bytes]:
        size = self.frame_bytes
        return [pcm[at : at + size].ljust(size, b"\0") for at in range(0, len(pcm), size)]

    def _silent(self) -> SentFrame:
        return SentFrame(self._now_s, self._silence)


class _Ear:
    """Follows the reply that is being heard."""

    def __init__(self) -> None:
        self._playout = Playout()
        self._begun_s: float | None = None
        self._last_audible_s = -np.inf

    @property
    def end_s(self) -> float:
        """When everything that has arrived will have played."""
        return self._playout.end_s

    def take(self, frame: ReceivedFrame, length_s: float) -> None:
        if frame.at_s > self._playout.end_s + QUIET_S:
            self._begun_s = None
        plays_s = self._playout.place(frame.at_s, length_s)
        if frame.audible:
            self._last_audible_s = frame.at_s
            self._begun_s = plays_s if self._begun_s is None else self._begun_s

    def began(self, since_s: float) -> float | None:
        """When the reply that is running now, or ran last, began to be heard, if that was after since_s."""
        return self._begun_s if self._begun_s is not None and self._begun_s > since_s else None

    def finished(self, now_s: float, since_s: float, quiet_s: float) -> bool:
        """Something was heard after since_s, and nothing is left to play for quiet_s."""
        return self._last_audible_s > since_s and now_s >= self._playout.end_s + quiet_s

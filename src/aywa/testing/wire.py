"""Measures a call from what its caller sent and received: latency, barge-in, false cut-offs, gaps, underruns.

It refuses to touch a socket, a clock or a file, and to believe anything the runtime says about itself: only frames
and their times count. All times are seconds on the caller's clock; durations in results are milliseconds.

How the words are meant:

- A sent frame is *voiced* when its RMS is at most VOICED_BELOW_PEAK_DB under the loudest frame of its utterance
  (about -45 dB under the utterance's peak sample) and above VOICED_FLOOR_DBFS. Faint tails count as silence, so an
  utterance ends a little early and a latency is never flattered.
- A received frame is *audible* when its RMS is above AUDIBLE_DBFS. Leading frames of silence are no reply.
- A received frame *plays* when it arrives or when the frame before it has ended, whichever is later: a caller
  without a jitter buffer.
- A *talkspurt* ends when nothing has arrived for QUIET_S after the end of what was playing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

FRAME_S = 0.02
QUIET_S = 0.4
VOICED_BELOW_PEAK_DB = 35.0
VOICED_FLOOR_DBFS = -60.0
AUDIBLE_DBFS = -55.0
GAP_S = 3.0
# Later than this after the caller ran dry is an underrun; anything less nobody hears.
LATE_S = 0.001
# A reply that halts this shortly after the caller made a sound was held on purpose.
HOLD_S = 1.0
# A reply went on after a backchannel when at least so much of it could be heard afterwards.
KEPT_S = 0.2

Samples = npt.NDArray[np.int16]


class Kind(StrEnum):
    """Why the caller speaks."""

    SAY = "say"
    BARGE_IN = "barge-in"
    BACKCHANNEL = "backchannel"


@dataclass(frozen=True, slots=True)
class SentFrame:
    """20 ms that the caller sent, PCM16 before coding. utterance: its index in Record.spoken, None for silence."""

    at_s: float
    pcm: bytes
    voiced: bool = False
    utterance: int | None = None


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """Audio that arrived in one message, PCM16 after decoding."""

    at_s: float
    pcm: bytes
    audible: bool


@dataclass(frozen=True, slots=True)
class TextEvent:
    """A JSON message that arrived."""

    at_s: float
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an utterance was for."""

    kind: Kind
    label: str


@dataclass(slots=True)
class Record:
    """A call as its caller saw it."""

    rate_hz: int
    opened_s: float
    closed_s: float
    sent: list[SentFrame] = field(default_factory=list)
    received: list[ReceivedFrame] = field(default_factory=list)
    events: list[TextEvent] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    """Labels of barge-ins and backchannels that were not spoken because there was no reply to speak into."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """An utterance and the times at which its first and last voiced frames were sent."""

    kind: Kind
    label: str
    first_voiced_s: float
    last_voiced_s: float


@dataclass(frozen=True, slots=True)
class Talkspurt:
    """Frames that play without a pause of QUIET_S. plays_s: when each began to play; end_s: when the last had played."""

    frames: tuple[ReceivedFrame, ...]
    plays_s: tuple[float, ...]
    end_s: float

    @property
    def start_s(self) -> float:
        """The arrival of the first frame."""
        return self.frames[0].at_s

    @property
    def last_s(self) -> float:
        """The arrival of the last frame."""
        return self.frames[-1].at_s

    @property
    def audible_s(self) -> float | None:
        """The arrival of the first audible frame."""
        return next((frame.at_s for frame in self.frames if frame.audible), None)


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """From the last voiced frame sent to the first reply frame received: any frame, and an audible one."""

    label: str
    last_voiced_s: float
    frame_ms: float | None
    audible_ms: float | None


@dataclass(frozen=True, slots=True)
class BargeInStop:
    """From the first voiced frame sent to the arrival of the last frame of the reply that was spoken into."""

    label: str
    at_s: float
    stop_ms: float


@dataclass(frozen=True, slots=True)
class Cutoff:
    """The runtime began to speak while an utterance, its inner pauses included, was not over."""

    label: str
    at_s: float
    into_ms: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing could be heard for longer than GAP_S while the caller waited."""

    at_s: float
    length_s: float


@dataclass(frozen=True, slots=True)
class Underrun:
    """A frame came after the caller had run dry. held: the caller had just made a sound, so it was on purpose."""

    at_s: float
    late_ms: float
    held: bool


@dataclass(frozen=True, slots=True)
class BackchannelOutcome:
    """What became of the reply under a backchannel. after_ms: how much of it was heard afterwards."""

    label: str
    at_s: float
    after_ms: float
    floor_taken: bool

    @property
    def kept(self) -> bool:
        """The reply went on."""
        return not self.floor_taken and self.after_ms >= KEPT_S * 1000


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange as heard on the caller's side, in milliseconds since the connection opened."""

    user_end_ms: float
    reply_start_ms: float
    latency_ms: float


class Playout:
    """Places frames in time as they arrive, as a caller without a jitter buffer hears them."""

    def __init__(self) -> None:
        self.end_s = -np.inf

    def place(self, at_s: float, duration_s: float) -> float:
        """Takes a frame that arrived at at_s; returns when it begins to play."""
        starts_s = max(at_s, self.end_s)
        self.end_s = starts_s + duration_s
        return float(starts_s)


def level_dbfs(pcm: bytes) -> float:
    """RMS of PCM16 in dB under full scale; -inf for digital silence or no samples."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    power = float(np.mean(samples * samples)) if samples.size else 0.0
    return 10 * float(np.log10(power)) - 20 * float(np.log10(32768)) if power else -np.inf


def is_audible(pcm: bytes) -> bool:
    """A person would hear it."""
    return level_dbfs(pcm) > AUDIBLE_DBFS


def voiced_frames(frames: Sequence[bytes]) -> list[bool]:
    """Which frames of one utterance carry voice."""
    levels = [level_dbfs(frame) for frame in frames]
    threshold = max(max(levels, default=-np.inf) - VOICED_BELOW_PEAK_DB, VOICED_FLOOR_DBFS)
    return [level >= threshold for level in levels]


def utterances(record: Record) -> list[Utterance]:
    """The utterances that were begun, in the order in which they were spoken."""
    times: dict[int, list[float]] = {}
    for frame in record.sent:
        if frame.voiced and frame.utterance is not None:
            times.setdefault(frame.utterance, []).append(frame.at_s)
    return [
        Utterance(record.spoken[index].kind, record.spoken[index].label, at[0], at[-1])
        for index, at in sorted(times.items())
    ]


def talkspurts(record: Record) -> list[Talkspurt]:
    """What was received, cut where QUIET_S passed without sound to play."""
    spurts: list[Talkspurt] = []
    playout = Playout()
    frames: list[ReceivedFrame] = []
    plays: list[float] = []
    for frame in record.received:
        if frames and frame.at_s > playout.end_s + QUIET_S:
            spurts.append(Talkspurt(tuple(frames), tuple(plays), playout.end_s))
            frames, plays = [], []
        frames.append(frame)
        plays.append(playout.place(frame.at_s, duration_s(frame.pcm, record.rate_hz)))
    if frames:
        spurts.append(Talkspurt(tuple(frames), tuple(plays), playout.end_s))
    return spurts


def duration_s(pcm: bytes, rate_hz: int) -> float:
    """How long PCM16 mono lasts."""
    return len(pcm) / 2 / rate_hz


def latencies(record: Record) -> list[TurnLatency]:
    """One for each utterance that asks for an answer; None where none came before the caller spoke again or hung up."""
    spurts = talkspurts(record)
    found = []
    for utterance, until_s in _turns(record):
        end_s = utterance.last_voiced_s
        answer = [spurt for spurt in spurts if end_s < spurt.start_s < until_s]
        heard = (spurt.audible_s for spurt in answer)
        audible_s = next((at_s for at_s in heard if at_s is not None), None)
        first_s = answer[0].start_s if answer else None
        found.append(
            TurnLatency(
                utterance.label, end_s, _milliseconds(end_s, first_s), _milliseconds(end_s, audible_s)
            )
        )
    return found


def barge_in_stops(record: Record) -> list[BargeInStop]:
    """One for each barge-in that fell into a reply."""
    spurts = talkspurts(record)
    found = []
    for utterance in _of_kind(record, Kind.BARGE_IN):
        running = _running(spurts, utterance.first_voiced_s)
        if running:
            stop_ms = max(0.0, (running.last_s - utterance.first_voiced_s) * 1000)
            found.append(BargeInStop(utterance.label, utterance.first_voiced_s, stop_ms))
    return found


def cutoffs(record: Record) -> list[Cutoff]:
    """Talkspurts that began inside an utterance which asks for an answer."""
    spurts = talkspurts(record)
    return [
        Cutoff(said.label, at_s, (at_s - said.first_voiced_s) * 1000)
        for said, _ in _turns(record)
        for spurt in spurts
        if (at_s := spurt.audible_s) is not None and said.first_voiced_s < at_s <= said.last_voiced_s
    ]


def gaps(record: Record, *, greeting: bool = True) -> list[Gap]:
    """Silences of more than GAP_S while the caller waits: for an answer, in the middle of one, and for the greeting."""
    turns = _turns(record)
    first_s = turns[0][0].first_voiced_s if turns else record.closed_s
    waits = [(record.opened_s, first_s)] if greeting else []
    waits += [(utterance.last_voiced_s, until_s) for utterance, until_s in turns]
    spurts = talkspurts(record)
    # After an answer the floor is the caller's, so silence at the end of a wait counts only if no answer came.
    return [gap for from_s, until_s in waits for gap in _silences(spurts, from_s, until_s)]


def underruns(record: Record) -> list[Underrun]:
    """Frames that arrived after everything before them in their talkspurt had played."""
    voiced = np.array([frame.at_s for frame in record.sent if frame.voiced])
    found = []
    for spurt in talkspurts(record):
        for before, plays_s, frame in zip(spurt.frames, spurt.plays_s, spurt.frames[1:], strict=False):
            dry_s = plays_s + duration_s(before.pcm, record.rate_hz)
            if frame.at_s - dry_s > LATE_S:
                held = bool(np.any((voiced > dry_s - HOLD_S) & (voiced < frame.at_s)))
                found.append(Underrun(frame.at_s, (frame.at_s - dry_s) * 1000, held))
    return found


def backchannels(record: Record) -> list[BackchannelOutcome]:
    """One for each backchannel that fell into a reply."""
    spurts = talkspurts(record)
    turns = _turns(record)
    found = []
    for said in _of_kind(record, Kind.BACKCHANNEL):
        if not _running(spurts, said.first_voiced_s):
            continue
        later = (turn.first_voiced_s for turn, _ in turns if turn.first_voiced_s > said.last_voiced_s)
        until_s = next(later, record.closed_s)
        heard_s = sum(
            duration_s(frame.pcm, record.rate_hz)
            for frame in record.received
            if frame.audible and said.last_voiced_s < frame.at_s < until_s
        )
        taken = any(
            event.message.get("type") == "user-interrupted" and said.first_voiced_s < event.at_s < until_s
            for event in record.events
        )
        found.append(BackchannelOutcome(said.label, said.first_voiced_s, heard_s * 1000, taken))
    return found


def turns_heard(record: Record) -> list[Turn]:
    """The exchanges of a caller without a script: every talkspurt that follows voice, after the last voiced frame.

    A talkspurt without new voice before it belongs to the turn that is running, as does one before any voice
    (the greeting) to none.
    """
    voiced = np.array([frame.at_s for frame in record.sent if frame.voiced])
    found: list[Turn] = []
    previous_s = -np.inf
    for spurt in talkspurts(record):
        if (start_s := spurt.audible_s) is None:
            continue
        before = voiced[(voiced > previous_s) & (voiced < start_s)]
        if before.size:
            end_s = float(before[-1])
            found.append(
                Turn(
                    (end_s - record.opened_s) * 1000,
                    (start_s - record.opened_s) * 1000,
                    (start_s - end_s) * 1000,
                )
            )
        previous_s = start_s
    return found


def pacing_late_ms(record: Record) -> float:
    """How far the caller itself ever fell behind its own clock: a measurement taken while it did is not worth much."""
    if not record.sent:
        return 0.0
    start_s = record.sent[0].at_s
    return max((frame.at_s - start_s - i * FRAME_S) * 1000 for i, frame in enumerate(record.sent))


def stereo(record: Record) -> Samples:
    """Both sides on the caller's clock, [samples, 2]: left what was sent, right what was heard when it played."""
    if not record.sent:
        return np.zeros((0, 2), np.int16)
    left = np.frombuffer(b"".join(frame.pcm for frame in record.sent), "<i2")
    start_s = record.sent[0].at_s
    playout = Playout()
    placed = []
    for frame in record.received:
        plays_s = playout.place(frame.at_s, duration_s(frame.pcm, record.rate_hz))
        if plays_s >= start_s:
            placed.append((round((plays_s - start_s) * record.rate_hz), np.frombuffer(frame.pcm, "<i2")))
    length = max([left.size, *(at + pcm.size for at, pcm in placed)])
    both = np.zeros((length, 2), np.int16)
    both[: left.size, 0] = left
    for at, pcm in placed:
        both[at : at + pcm.size, 1] = pcm
    return both


def percentile(values: Sequence[float], share: float) -> float | None:
    """Linear between neighbours; None without values."""
    return float(np.percentile(values, share)) if values else None


def _turns(record: Record) -> list[tuple[Utterance, float]]:
    """The utterances that ask for an answer, each with the time at which waiting for it ends."""
    asking = [utterance for utterance in utterances(record) if utterance.kind is not Kind.BACKCHANNEL]
    ends = [utterance.first_voiced_s for utterance in asking[1:]] + [record.closed_s]
    return list(zip(asking, ends, strict=False))


def _of_kind(record: Record, kind: Kind) -> Iterator[Utterance]:
    return (utterance for utterance in utterances(record) if utterance.kind is kind)


def _running(spurts: Sequence[Talkspurt], at_s: float) -> Talkspurt | None:
    return next((spurt for spurt in spurts if spurt.start_s < at_s <= spurt.end_s), None)


def _silences(spurts: Sequence[Talkspurt], from_s: float, until_s: float) -> Iterator[Gap]:
    quiet_since_s, answered = from_s, False
    for spurt in spurts:
        at_s = spurt.audible_s
        if at_s is None or spurt.end_s <= from_s or at_s >= until_s:
            continue
        if at_s - quiet_since_s > GAP_S:
            yield Gap(quiet_since_s, at_s - quiet_since_s)
        # What was already being said when the wait began is no answer.
        quiet_since_s, answered = spurt.end_s, answered or spurt.start_s > from_s
    if not answered and until_s - quiet_since_s > GAP_S:
        yield Gap(quiet_since_s, until_s - quiet_since_s)


def _milliseconds(from_s: float, to_s: float | None) -> float | None:
    return None if to_s is None else (to_s - from_s) * 1000

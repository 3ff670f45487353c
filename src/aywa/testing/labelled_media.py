"""A media plane that hears recorded audio without its samples: the detector's word on each window is computed beforehand.

Plays like ScriptedMedia. Voice is found by the real VoiceDetector, at the times and in the blocks of the real leg, so a
session meets the same events as over a wire, on any clock.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aywa.core import events as ev
from aywa.core.audio.level import block_levels
from aywa.core.turns.voice import VoiceDetector, VoiceMoment, VoiceSettings
from aywa.ports.media import Arm, MediaMessage
from aywa.ports.vad import Vad
from aywa.testing.scripted_media import ScriptedLeg, ScriptedMedia

# As in the media plane: media/settings.py, media/vad_batch.py.
WINDOW_S = 0.032
FRAME_S = 0.02
BLOCKS = 8
SLOT_S = 0.005
TOLD_EVERY_S = 1.0
SILENT_DB = -100.0
RECENT_HZ = 16_000
_GRAIN_S = 1e-9


@dataclass(frozen=True, slots=True)
class Sound:
    """Caller's audio: a probability of voice per 32 ms window, the levels of its 8 blocks (dBFS), and, where a turn
    model is to hear it, the samples (PCM16 mono, 16 kHz)."""

    probabilities: npt.NDArray[np.float32]
    levels_db: npt.NDArray[np.float32]
    pcm: bytes = b""

    def __post_init__(self) -> None:
        if self.levels_db.shape != (len(self.probabilities), BLOCKS):
            raise ValueError(
                f"levels of shape {(len(self.probabilities), BLOCKS)} wanted, got {self.levels_db.shape}"
            )

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.probabilities) * WINDOW_S


def sound_of(samples: npt.NDArray[np.float32], vad: Vad, *, pcm: bytes = b"") -> Sound:
    """Runs the detector over samples (-1..1, at the detector's rate); the last window is filled up with silence."""
    size = vad.window_samples
    windows = np.zeros((math.ceil(len(samples) / size), size), dtype=np.float32)
    windows.reshape(-1)[: len(samples)] = samples
    row = vad.open()
    try:
        scores = [vad.score([row], window[None, :])[0] for window in windows]
    finally:
        vad.close(row)
    levels = np.asarray(block_levels(windows, BLOCKS), dtype=np.float32)
    return Sound(np.asarray(scores, dtype=np.float32), levels, pcm)


@dataclass(slots=True)
class _Ear:
    """What one leg hears. heard: sounds and the window that each begins with, in order; a later one covers an earlier."""

    detector: VoiceDetector
    window: int = 0
    heard: list[tuple[int, Sound]] = field(default_factory=list)
    armed_voice_s: float = 0.0
    paused_for_voice: bool = False
    least_db: float = SILENT_DB
    scores: bytearray = field(default_factory=bytearray)
    scores_from_s: float = 0.0
    told_s: float = 0.0
    timer: asyncio.TimerHandle | None = None


class LabelledMedia(ScriptedMedia):
    """`connect`, then `hear`: the sound begins with the next window. Silence goes before and after."""

    def __init__(self, voice: VoiceSettings | None = None, silent_db: float = SILENT_DB) -> None:
        super().__init__()
        self._voice = voice or VoiceSettings()
        self._silence = (0.0, [silent_db] * BLOCKS)
        self._ears: dict[str, _Ear] = {}

    # --- the script's side ---------------------------------------------------------------------------------------

    def connect(
        self, leg_id: str, rate_hz: int, epoch_s: float, post: Callable[[ev.MediaEvent], None]
    ) -> ScriptedLeg:
        """The party's audio path opens, and its audio flows from now on. Windows are counted from the call's epoch."""
        ear = self._ears[leg_id] = _Ear(VoiceDetector(WINDOW_S, self._voice))
        leg = super().connect(leg_id, rate_hz, epoch_s, post)
        ear.window = math.ceil((self._loop.time() - epoch_s) / WINDOW_S - _GRAIN_S)
        self._await_window(leg, ear)
        return leg

    def hear(self, leg_id: str, sound: Sound) -> float:
        """The caller makes this sound, from the next window on. Answers when it begins, in the call's seconds."""
        ear, leg = self._ears[leg_id], self.legs[leg_id]
        first = max(ear.window, math.ceil((self._loop.time() - leg.epoch_s) / WINDOW_S - _GRAIN_S))
        ear.heard.append((first, sound))
        return first * WINDOW_S

    def disconnect(self, leg_id: str, cause: str = "closed") -> None:
        """The far side goes away."""
        leg, ear = self.legs[leg_id], self._ears[leg_id]
        if not leg.closed:
            if ear.timer is not None:
                ear.timer.cancel()
            self._tell_scores(leg, ear)
        super().disconnect(leg_id, cause)

    # --- the brain's side ----------------------------------------------------------------------------------------

    def send(self, message: MediaMessage) -> None:
        """Carries the message out."""
        if isinstance(message, Arm) and message.leg_id in self._ears:
            self._ears[message.leg_id].armed_voice_s = 0.0
            self._ears[message.leg_id].paused_for_voice = False
            self._ears[message.leg_id].least_db = message.least_db
        super().send(message)

    def recent_audio(self, leg_id: str, seconds: float) -> bytes:
        """The last windows' samples at 16 kHz; silence where a sound has none."""
        ear = self._ears[leg_id]
        size = round(WINDOW_S * RECENT_HZ) * 2
        pieces = []
        for window in range(max(0, ear.window - round(seconds / WINDOW_S)), ear.window):
            at, sound = self._sound(ear, window)
            piece = b"" if sound is None else sound.pcm[at * size : (at + 1) * size]
            pieces.append(piece.ljust(size, b"\0"))
        return b"".join(pieces)

    # --- inside --------------------------------------------------------------------------------------------------

    def _await_window(self, leg: ScriptedLeg, ear: _Ear) -> None:
        """A window is whole when the frame with its last sample arrives, and is scored with its slot."""
        whole_s = _arrival_s((ear.window + 1) * WINDOW_S)
        ear.timer = self._loop.call_at(leg.epoch_s + whole_s + SLOT_S, self._score, leg, ear)

    def _score(self, leg: ScriptedLeg, ear: _Ear) -> None:
        probability, levels_db = self._window(ear, ear.window)
        begins_s = ear.window * WINDOW_S
        arrived_s = [_arrival_s(begins_s + (block + 1) * WINDOW_S / BLOCKS) for block in range(BLOCKS)]
        ear.window += 1
        self._await_window(leg, ear)
        if not ear.scores:
            ear.scores_from_s = arrived_s[-1] - WINDOW_S
        ear.scores.append(max(0, min(255, round(probability * 255))))
        moment = ear.detector.heard(probability, levels_db, arrived_s)
        if leg.armed:
            moment = self._watch(leg, ear, moment)
            if ear.detector.level_due and (level_db := ear.detector.level_now_db) is not None:
                leg.post(ev.VoiceLevelMeasured(leg.leg_id, arrived_s[-1], level_db))
        if moment is not None:
            ear.paused_for_voice = ear.paused_for_voice and moment.started
            kind = ev.VoiceStarted if moment.started else ev.VoiceStopped
            leg.post(kind(leg.leg_id, moment.at_s, moment.level_db))
        elif not ear.detector.active and ear.detector.voiced_windows == 1:
            leg.post(ev.VoiceSuspected(leg.leg_id, arrived_s[-1]))
        elif ear.detector.fades:
            leg.post(ev.VoiceFaded(leg.leg_id, arrived_s[-1]))
        if arrived_s[-1] - ear.told_s >= TOLD_EVERY_S:
            ear.told_s = arrived_s[-1]
            self._tell_scores(leg, ear)

    def _watch(self, leg: ScriptedLeg, ear: _Ear, moment: VoiceMoment | None) -> VoiceMoment | None:
        """As media/leg.py: counts voice during playout; pauses when there is enough, once a voice."""
        voiced = ear.detector.voiced_windows > 0 and ear.detector.quiet_windows == 0
        voiced = voiced and ear.detector.loudest_db >= ear.least_db
        playing = leg.playout is not None and leg.playout.since_s is not None
        if not playing or not voiced or ear.paused_for_voice:
            ear.armed_voice_s = 0.0
            return moment
        ear.armed_voice_s += WINDOW_S
        if ear.armed_voice_s < leg.pause_after_s:
            return moment
        ear.armed_voice_s = 0.0
        ear.paused_for_voice = True
        self._pause(leg)
        return moment if moment is not None or ear.detector.active else ear.detector.start()

    def _window(self, ear: _Ear, window: int) -> tuple[float, Sequence[float]]:
        at, sound = self._sound(ear, window)
        if sound is None:
            return self._silence
        return float(sound.probabilities[at]), sound.levels_db[at].tolist()

    def _sound(self, ear: _Ear, window: int) -> tuple[int, Sound | None]:
        for first, sound in reversed(ear.heard):
            if first <= window < first + len(sound.probabilities):
                return window - first, sound
        return 0, None

    def _tell_scores(self, leg: ScriptedLeg, ear: _Ear) -> None:
        if ear.scores:
            leg.post(ev.VoiceScored(leg.leg_id, ear.scores_from_s, WINDOW_S, bytes(ear.scores)))
            ear.scores.clear()


def _arrival_s(sample_s: float) -> float:
    """When the frame arrives that holds the sample before sample_s: at the frame's own end."""
    return math.ceil(sample_s / FRAME_S - _GRAIN_S) * FRAME_S

"""When a caller's voice began and ended, from voice probabilities and the loudness of the same audio.

A detector's probabilities say whether there is voice, 32 ms at a time and with a tail of their own; the short blocks'
levels say when exactly it began, and its frames' when it ended. So the decision comes from the first and the date from the
second.
It dates an end late rather than early: a word's soft ending is voice as long as it stands out of the noise.
Refuses to decide whose turn it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from math import log10
from operator import itemgetter


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """Probabilities 0..1, levels in dB.

    start_windows and stop_windows: consecutive windows that decide. faint_windows: so many without a loud block end the
    voice, too, if the last of them is below faint_probability: the detector's word falls later than the sound does.
    fading_windows: so many without a loud block, and the voice may be over although the detector still hears one.
    below_peak_db: quieter than the utterance's own
    level by this much is not voice. above_floor_db: nor is what rises above the noise by less. least_db: nor is what
    is quieter than this (dBFS), however silent the line. audible_below_db: a voice's end is dated by the last frame that is
    quieter than its loudest moment by no more: its last consonant may be its softest. fade_db_per_s: how fast the
    utterance's level is forgotten.
    back_s: how far before the deciding windows a beginning is looked for. pause_s: how long a quiet moment inside the
    beginning of a word may be.
    """

    start_probability: float = 0.5
    stop_probability: float = 0.35
    start_windows: int = 2
    stop_windows: int = 2
    faint_windows: int = 2
    faint_probability: float = 0.65
    fading_windows: int = 3
    below_peak_db: float = 30.0
    audible_below_db: float = 41.0
    above_floor_db: float = 6.0
    least_db: float = -62.0
    fade_db_per_s: float = 9.0
    back_s: float = 0.2
    pause_s: float = 0.024


@dataclass(frozen=True, slots=True)
class VoiceMoment:
    """Voice started or stopped; at_s is when the first or the last voiced frame arrived. level_db: how loud the voice
    was until now, see `VoiceDetector.level_db`."""

    started: bool
    at_s: float
    level_db: float | None = field(default=None, compare=False)


# The share of a new measurement in the noise level, falling and rising.
FLOOR_FALL = 0.5
FLOOR_RISE = 0.2
# How much audio is kept to date a boundary in.
KEPT_S = 1.0
# How much of a voice its level is taken from, how often it is news, and which share of its windows is quieter.
LEVEL_OF_S = 8.0
LEVEL_NOW_S = 1.0
LEVEL_EVERY_S = 0.256
_LEVEL_SHARE = 0.8
_LEAST_POWER = 1e-12


class VoiceDetector:
    """One leg's. window_s: seconds between the windows it is fed.

    active: voice has started and not stopped. voiced_windows: of the present voice, even before it counts as one.
    quiet_windows: since the last voiced one of an active voice. soft_windows: of it without a loud block, up to now."""

    def __init__(self, window_s: float, settings: VoiceSettings | None = None) -> None:
        self._settings = settings or VoiceSettings()
        self._window_s = window_s
        self._windows: deque[tuple[Sequence[float], Sequence[float]]] = deque(maxlen=round(KEPT_S / window_s))
        self._voiced_db: deque[float] = deque(maxlen=round(LEVEL_OF_S / window_s))
        self._level_now = round(LEVEL_NOW_S / window_s)
        self._level_every = round(LEVEL_EVERY_S / window_s)
        self._peak_db = self._settings.least_db
        self._floor_db: float | None = None
        self._stopped_s = float("-inf")
        self.quiet_windows = 0
        self.voiced_windows = 0
        self.soft_windows = 0
        self.active = False

    def heard(
        self, probability: float, levels_db: Sequence[float], arrived_s: Sequence[float]
    ) -> VoiceMoment | None:
        """The next window: its probability, and the level and time of arrival of each of its equal blocks."""
        self._windows.append((levels_db, arrived_s))
        if self.active:
            return self._while_active(probability, levels_db)
        return self._while_silent(probability, levels_db)

    @property
    def level_db(self) -> float | None:
        """How loud the present voice is, dBFS: of its windows, each as loud as its loudest block, a fifth is louder."""
        return usually_below(self._voiced_db)

    @property
    def level_now_db(self) -> float | None:
        """The same of its last second."""
        return usually_below(list(self._voiced_db)[-self._level_now :])

    @property
    def loudest_db(self) -> float:
        """The present voice's last window, as loud as its loudest block."""
        return self._voiced_db[-1] if self._voiced_db else self._settings.least_db

    @property
    def level_due(self) -> bool:
        """The last window was the active voice's eighth, sixteenth and so on (256 ms): its level is worth telling."""
        return self.active and self.quiet_windows == 0 and self.voiced_windows % self._level_every == 0

    @property
    def fades(self) -> bool:
        """With the last window the active voice has been without a loud block for `fading_windows`."""
        return self.active and self.soft_windows == self._settings.fading_windows

    def start(self) -> VoiceMoment:
        """Takes what was voiced so far for a beginning, before enough windows have said so."""
        self.active = True
        self.quiet_windows = 0
        self.soft_windows = 0
        return VoiceMoment(started=True, at_s=self._began_s(), level_db=self.level_db)

    def stop(self) -> VoiceMoment:
        """No more audio comes: the active voice has ended."""
        return self._ended()

    def _while_silent(self, probability: float, levels_db: Sequence[float]) -> VoiceMoment | None:
        settings = self._settings
        if probability < settings.start_probability:
            self.voiced_windows = 0
            self._voiced_db.clear()
            self._peak_db = settings.least_db
            if probability < settings.stop_probability:
                self._hear_noise(levels_db)
            return None
        self.voiced_windows += 1
        self._hear_voice(levels_db)
        return self.start() if self.voiced_windows >= settings.start_windows else None

    def _while_active(self, probability: float, levels_db: Sequence[float]) -> VoiceMoment | None:
        self.soft_windows = 0 if max(levels_db) >= self._threshold_db() else self.soft_windows + 1
        if probability >= self._settings.stop_probability:
            self.quiet_windows = 0
            self.voiced_windows += 1
            self._hear_voice(levels_db)
            if probability >= self._settings.faint_probability or not self._faint():
                return None
            self.quiet_windows = 1
            return self._ended()
        self.quiet_windows += 1
        return self._ended() if self.quiet_windows >= self._settings.stop_windows else None

    def _faint(self) -> bool:
        """Nothing in the last windows stands out as the voice's words did."""
        least = self._settings.faint_windows
        threshold = self._threshold_db()
        latest = islice(reversed(self._windows), least)
        return len(self._windows) >= least and all(
            level < threshold for levels, _ in latest for level in levels
        )

    def _hear_voice(self, levels_db: Sequence[float]) -> None:
        faded = self._peak_db - self._settings.fade_db_per_s * self._window_s
        loudest = max(levels_db)
        self._voiced_db.append(loudest)
        self._peak_db = max(faded, loudest)

    def _hear_noise(self, levels_db: Sequence[float]) -> None:
        level = _usual(levels_db)
        if self._floor_db is None:
            self._floor_db = level
        share = FLOOR_FALL if level < self._floor_db else FLOOR_RISE
        self._floor_db += (level - self._floor_db) * share

    def _threshold_db(self) -> float:
        """Louder is voice."""
        settings = self._settings
        threshold = max(self._peak_db - settings.below_peak_db, settings.least_db)
        return (
            threshold if self._floor_db is None else max(threshold, self._floor_db + settings.above_floor_db)
        )

    def _began_s(self) -> float:
        """Backwards from the voiced windows to the first loud block that no longer pause separates from them."""
        threshold = self._threshold_db()
        voiced = max(1, min(self.voiced_windows, len(self._windows)))
        began = self._windows[-voiced][1][0]
        block_s = self._window_s / len(self._windows[-1][0])
        furthest = voiced + round(self._settings.back_s / self._window_s)
        pause_s = 0.0
        for back, (level, arrived) in self._backwards(furthest):
            if level >= threshold:
                began, pause_s = arrived, 0.0
            elif back > voiced:
                pause_s += block_s
            if pause_s > self._settings.pause_s or arrived <= self._stopped_s:
                break
        return began

    def _ended(self) -> VoiceMoment:
        """The last audible frame. What follows the voice is noise by the detector's word: the nearest measure of it."""
        if self.quiet_windows:
            self._hear_noise(self._windows[-1][0])
        last_voiced = self._windows[-1 - min(self.quiet_windows, len(self._windows) - 1)]
        blocks = (block for _, block in self._backwards(len(self._windows)))
        least_db = audible_db(self._settings, self._voiced_db, self._floor_db)
        audible_s = last_audible_s(blocks, least_db)
        self._stopped_s = last_voiced[1][-1] if audible_s is None else audible_s
        level_db = self.level_db
        self._voiced_db.clear()
        self.active = False
        self.voiced_windows = 0
        self.quiet_windows = 0
        self._peak_db = self._settings.least_db
        return VoiceMoment(started=False, at_s=self._stopped_s, level_db=level_db)

    def _backwards(self, windows: int) -> Iterator[tuple[int, tuple[float, float]]]:
        """The latest blocks, newest first: how many windows back (from 1), level and time of arrival."""
        for back, (levels, arrivals) in enumerate(islice(reversed(self._windows), windows), 1):
            for block in zip(reversed(levels), reversed(arrivals), strict=True):
                yield back, block


def audible_db(settings: VoiceSettings, voiced_db: Iterable[float], floor_db: float | None) -> float:
    """How loud a frame must be to belong to the voice. voiced_db: its windows' loudest blocks; floor_db: the noise, if known."""
    least = max(max(voiced_db, default=settings.least_db) - settings.audible_below_db, settings.least_db)
    return least if floor_db is None else max(least, floor_db + settings.above_floor_db)


def last_audible_s(blocks: Iterable[tuple[float, float]], least_db: float) -> float | None:
    """When the last frame arrived whose mean power is at least so much. blocks: levels and arrivals, the newest first; a frame is
    those that arrived together."""
    for arrived_s, frame in groupby(blocks, key=itemgetter(1)):
        powers = [10 ** (level / 10) for level, _ in frame]
        if 10 * log10(max(sum(powers) / len(powers), _LEAST_POWER)) >= least_db:
            return float(arrived_s)
    return None


def usually_below(levels_db: Iterable[float]) -> float | None:
    """Four fifths are below it."""
    ordered = sorted(levels_db)
    return ordered[int(_LEVEL_SHARE * (len(ordered) - 1))] if ordered else None


def _usual(levels_db: Sequence[float]) -> float:
    """The median."""
    return sorted(levels_db)[len(levels_db) // 2]

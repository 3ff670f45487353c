"""`VoiceDetector` for many lines at once: the same windows make the same moments, to the bit, but what is the same for all lines
is done for all of them together. What happens seldom (a voice begins, ends, becomes faint) is decided line by line.
Refuses to decide whose turn it is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aywa.core.turns.voice import (
    FLOOR_FALL,
    FLOOR_RISE,
    KEPT_S,
    LEVEL_EVERY_S,
    LEVEL_NOW_S,
    LEVEL_OF_S,
    VoiceMoment,
    VoiceSettings,
    audible_db,
    last_audible_s,
    usually_below,
)

Rows = npt.NDArray[np.intp]
Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_FIRST_ROWS = 16


class VoiceRows:
    """window_s: seconds between the windows of a line; blocks: levels of a window. A line is a row's number; `open` makes it new.

    The properties of VoiceDetector are arrays here, by row: active, voiced_windows, quiet_windows, soft_windows."""

    def __init__(self, window_s: float, blocks: int, settings: VoiceSettings | None = None) -> None:
        self._settings = settings or VoiceSettings()
        self._window_s = window_s
        self._blocks = blocks
        self._kept = round(KEPT_S / window_s)
        self._level_of = round(LEVEL_OF_S / window_s)
        self._level_now = round(LEVEL_NOW_S / window_s)
        self._level_every = round(LEVEL_EVERY_S / window_s)
        self.active: Flags = np.zeros(0, np.bool_)
        self.voiced_windows = np.zeros(0, np.int64)
        self.quiet_windows = np.zeros(0, np.int64)
        self.soft_windows = np.zeros(0, np.int64)
        self._peak_db: Doubles = np.zeros(0)
        # Not a number: nothing is known of the noise.
        self._floor_db: Doubles = np.zeros(0)
        self._stopped_s: Doubles = np.zeros(0)
        # The last windows' levels and arrivals, and the last voiced ones' loudest blocks: rings, with how many were ever put in.
        self._levels: Doubles = np.zeros((0, self._kept, blocks))
        self._arrived: Doubles = np.zeros((0, self._kept, blocks))
        self._heard = np.zeros(0, np.int64)
        self._voiced_db: Doubles = np.zeros((0, self._level_of))
        self._voiced = np.zeros(0, np.int64)

    def open(self, row: int) -> None:
        """A new line of which nothing was heard."""
        while row >= len(self.active):
            self._grow()
        self.active[row] = False
        for numbers in (
            self.voiced_windows,
            self.quiet_windows,
            self.soft_windows,
            self._heard,
            self._voiced,
        ):
            numbers[row] = 0
        self._peak_db[row] = self._settings.least_db
        self._floor_db[row] = np.nan
        self._stopped_s[row] = -np.inf

    def heard(
        self, rows: Rows, probabilities: Doubles, levels_db: Doubles, arrived_s: Doubles
    ) -> dict[int, VoiceMoment]:
        """The next window of each of these rows: [n] probabilities, [n, blocks] levels and times of arrival. A row at most once.
        Answers the rows in which a voice began or ended."""
        place = self._heard[rows] % self._kept
        self._levels[rows, place] = levels_db
        self._arrived[rows, place] = arrived_s
        self._heard[rows] += 1
        loudest = levels_db.max(axis=1)
        active = self.active[rows]
        moments: dict[int, VoiceMoment] = {}
        silent = ~active
        if silent.any():
            self._while_silent(
                rows[silent], probabilities[silent], levels_db[silent], loudest[silent], moments
            )
        if active.any():
            self._while_active(rows[active], probabilities[active], loudest[active], moments)
        return moments

    def notable(self, rows: Rows) -> Flags:
        """Which of them may begin, with their last window, or fade: see `suspected` and `fades`."""
        settings, active = self._settings, self.active[rows]
        flags: Flags = np.where(
            active,
            self.soft_windows[rows] == settings.fading_windows,
            self.voiced_windows[rows] == 1,
        )
        return flags

    def level_db(self, row: int) -> float | None:
        """As VoiceDetector.level_db."""
        return usually_below(self._voices(row, self._level_of))

    def level_now_db(self, row: int) -> float | None:
        """As VoiceDetector.level_now_db."""
        return usually_below(self._voices(row, self._level_now))

    def loudest_db(self, row: int) -> float:
        """As VoiceDetector.loudest_db."""
        last = self._voices(row, 1)
        return last[0] if last else self._settings.least_db

    def level_due(self, row: int) -> bool:
        """As VoiceDetector.level_due."""
        voiced = int(self.voiced_windows[row])
        return bool(self.active[row]) and not self.quiet_windows[row] and voiced % self._level_every == 0

    def fades(self, row: int) -> bool:
        """As VoiceDetector.fades."""
        return bool(self.active[row]) and int(self.soft_windows[row]) == self._settings.fading_windows

    def start(self, row: int) -> VoiceMoment:
        """As VoiceDetector.start."""
        self.active[row] = True
        self.quiet_windows[row] = 0
        self.soft_windows[row] = 0
        return VoiceMoment(started=True, at_s=self._began_s(row), level_db=self.level_db(row))

    def stop(self, row: int) -> VoiceMoment:
        """As VoiceDetector.stop."""
        return self._ended(row)

    # --- all together ------------------------------------------------------------------------------------------

    def _while_silent(
        self,
        rows: Rows,
        probabilities: Doubles,
        levels_db: Doubles,
        loudest: Doubles,
        moments: dict[int, VoiceMoment],
    ) -> None:
        settings = self._settings
        quiet = probabilities < settings.start_probability
        hushed = rows[quiet]
        self.voiced_windows[hushed] = 0
        self._voiced[hushed] = 0
        self._peak_db[hushed] = settings.least_db
        noisy = probabilities < settings.stop_probability
        noisy &= quiet
        if noisy.any():
            self._hear_noise(rows[noisy], levels_db[noisy])
        if quiet.all():
            return
        loud = ~quiet
        voiced = rows[loud]
        self.voiced_windows[voiced] += 1
        self._hear_voice(voiced, loudest[loud])
        for row in voiced[self.voiced_windows[voiced] >= settings.start_windows].tolist():
            moments[row] = self.start(row)

    def _while_active(
        self, rows: Rows, probabilities: Doubles, loudest: Doubles, moments: dict[int, VoiceMoment]
    ) -> None:
        settings = self._settings
        soft = loudest < self._thresholds_db(rows)
        self.soft_windows[rows] = np.where(soft, self.soft_windows[rows] + 1, 0)
        voiced = probabilities >= settings.stop_probability
        sounding = rows[voiced]
        if len(sounding):
            self.quiet_windows[sounding] = 0
            self.voiced_windows[sounding] += 1
            self._hear_voice(sounding, loudest[voiced])
            for row in sounding[probabilities[voiced] < settings.faint_probability].tolist():
                if self._faint(row):
                    self.quiet_windows[row] = 1
                    moments[row] = self._ended(row)
        if len(sounding) < len(rows):
            hushed = rows[~voiced]
            self.quiet_windows[hushed] += 1
            for row in hushed[self.quiet_windows[hushed] >= settings.stop_windows].tolist():
                moments[row] = self._ended(row)

    def _hear_voice(self, rows: Rows, loudest: Doubles) -> None:
        faded = self._peak_db[rows] - self._settings.fade_db_per_s * self._window_s
        self._voiced_db[rows, self._voiced[rows] % self._level_of] = loudest
        self._voiced[rows] += 1
        self._peak_db[rows] = np.maximum(faded, loudest)

    def _hear_noise(self, rows: Rows, levels_db: Doubles) -> None:
        # The median, as VoiceDetector takes it.
        level = np.sort(levels_db, axis=1)[:, self._blocks // 2]
        floor = self._floor_db[rows]
        floor = np.where(np.isnan(floor), level, floor)
        share = np.where(level < floor, FLOOR_FALL, FLOOR_RISE)
        self._floor_db[rows] = floor + (level - floor) * share

    def _thresholds_db(self, rows: Rows) -> Doubles:
        """Louder is voice."""
        settings = self._settings
        threshold = np.maximum(self._peak_db[rows] - settings.below_peak_db, settings.least_db)
        # Nothing known of the noise raises nothing.
        return np.fmax(threshold, self._floor_db[rows] + settings.above_floor_db)

    # --- one line ----------------------------------------------------------------------------------------------

    def _threshold_db(self, row: int) -> float:
        return float(self._thresholds_db(np.array([row]))[0])

    def _voices(self, row: int, most: int) -> list[float]:
        """The last of the present voice's windows, as loud as their loudest blocks, oldest first."""
        count = int(self._voiced[row])
        kept = min(count, self._level_of, most)
        places = np.arange(count - kept, count) % self._level_of
        voices: list[float] = self._voiced_db[row, places].tolist()
        return voices

    def _latest(self, row: int, windows: int) -> tuple[list[list[float]], list[list[float]]]:
        """Levels and arrivals of so many windows at most, the newest first."""
        count = int(self._heard[row])
        kept = min(count, self._kept, windows)
        places = np.arange(count - 1, count - 1 - kept, -1) % self._kept
        return self._levels[row, places].tolist(), self._arrived[row, places].tolist()

    def _faint(self, row: int) -> bool:
        """Nothing in the last windows stands out as the voice's words did."""
        least = self._settings.faint_windows
        levels, _ = self._latest(row, least)
        threshold = self._threshold_db(row)
        held = min(int(self._heard[row]), self._kept)
        return held >= least and all(level < threshold for each in levels for level in each)

    def _began_s(self, row: int) -> float:
        """As VoiceDetector finds it: backwards to the first loud block that no longer pause separates from the voice."""
        settings, threshold = self._settings, self._threshold_db(row)
        held = min(int(self._heard[row]), self._kept)
        voiced = max(1, min(int(self.voiced_windows[row]), held))
        furthest = voiced + round(settings.back_s / self._window_s)
        levels, arrivals = self._latest(row, furthest)
        began = arrivals[voiced - 1][0]
        block_s = self._window_s / self._blocks
        stopped_s, pause_s = float(self._stopped_s[row]), 0.0
        for back, (each, times) in enumerate(zip(levels, arrivals, strict=True), 1):
            for level, arrived in zip(reversed(each), reversed(times), strict=True):
                if level >= threshold:
                    began, pause_s = arrived, 0.0
                elif back > voiced:
                    pause_s += block_s
                if pause_s > settings.pause_s or arrived <= stopped_s:
                    return began
        return began

    def _ended(self, row: int) -> VoiceMoment:
        """The last audible frame. What follows the voice is noise by the detector's word."""
        levels, arrivals = self._latest(row, self._kept)
        quiet = int(self.quiet_windows[row])
        if quiet:
            self._hear_noise(np.array([row]), np.array(levels[:1]))
        floor_db = float(self._floor_db[row])
        blocks = (
            block
            for each, times in zip(levels, arrivals, strict=True)
            for block in zip(reversed(each), reversed(times), strict=True)
        )
        voiced_db = self._voices(row, self._level_of)
        audible_s = last_audible_s(
            blocks, audible_db(self._settings, voiced_db, None if np.isnan(floor_db) else floor_db)
        )
        stopped_s = arrivals[min(quiet, len(arrivals) - 1)][-1] if audible_s is None else audible_s
        self._stopped_s[row] = stopped_s
        level_db = self.level_db(row)
        self._voiced[row] = 0
        self.active[row] = False
        self.voiced_windows[row] = 0
        self.quiet_windows[row] = 0
        self._peak_db[row] = self._settings.least_db
        return VoiceMoment(started=False, at_s=stopped_s, level_db=level_db)

    def _grow(self) -> None:
        """Twice the rows."""
        more = max(_FIRST_ROWS, len(self.active))
        for name, held in vars(self).items():
            if isinstance(held, np.ndarray):
                setattr(self, name, np.concatenate((held, np.zeros((more, *held.shape[1:]), held.dtype))))


class VoiceRow:
    """One line of VoiceRows, with VoiceDetector's face."""

    __slots__ = ("_row", "_rows")

    def __init__(self, rows: VoiceRows, row: int) -> None:
        rows.open(row)
        self._rows = rows
        self._row = row

    @property
    def active(self) -> bool:
        """Voice has started and not stopped."""
        return bool(self._rows.active[self._row])

    @property
    def voiced_windows(self) -> int:
        """Of the present voice, even before it counts as one."""
        return int(self._rows.voiced_windows[self._row])

    @property
    def quiet_windows(self) -> int:
        """Since the last voiced one of an active voice."""
        return int(self._rows.quiet_windows[self._row])

    @property
    def level_now_db(self) -> float | None:
        """How loud the voice is in its last second."""
        return self._rows.level_now_db(self._row)

    @property
    def loudest_db(self) -> float:
        """The present voice's last window, as loud as its loudest block."""
        return self._rows.loudest_db(self._row)

    @property
    def level_due(self) -> bool:
        """Its level is worth telling."""
        return self._rows.level_due(self._row)

    @property
    def fades(self) -> bool:
        """With the last window the active voice has been without a loud block for `fading_windows`."""
        return self._rows.fades(self._row)

    def start(self) -> VoiceMoment:
        """Takes what was voiced so far for a beginning."""
        return self._rows.start(self._row)

    def stop(self) -> VoiceMoment:
        """No more audio comes: the active voice has ended."""
        return self._rows.stop(self._row)

"""Many lines at once are the same as each alone: VoiceDetector, whose rules are tested in test_voice, is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.core.turns.voice import VoiceDetector, VoiceMoment, VoiceSettings
from aywa.core.turns.voice_rows import VoiceRow, VoiceRows

WINDOW_S = 0.032
BLOCKS = 8
RULES = (
    VoiceSettings(),
    VoiceSettings(start_windows=3, stop_windows=1, faint_windows=3, fading_windows=2),
    VoiceSettings(faint_windows=40),
)


def same(detector: VoiceDetector, row: VoiceRow) -> None:
    assert row.active == detector.active
    assert row.voiced_windows == detector.voiced_windows
    assert row.quiet_windows == detector.quiet_windows
    assert row.level_now_db == detector.level_now_db
    assert row.loudest_db == detector.loudest_db
    assert row.level_due == detector.level_due
    assert row.fades == detector.fades


def told(moment: VoiceMoment | None) -> tuple[bool, float, float | None] | None:
    return None if moment is None else (moment.started, moment.at_s, moment.level_db)


class Lines:
    """So many lines, heard both ways."""

    def __init__(self, count: int, rules: VoiceSettings, seed: int) -> None:
        self.chance = np.random.default_rng(seed)
        self.rows = VoiceRows(WINDOW_S, BLOCKS, rules)
        self.detectors = [VoiceDetector(WINDOW_S, rules) for _ in range(count)]
        self.faces = [VoiceRow(self.rows, row) for row in range(count)]
        self.at_s = 0.0
        self.voice = self.chance.random(count) < 0.5
        self.moments = 0

    def step(self) -> None:
        """A window of some of them: voices that come and go, and now and then something in between."""
        chance, count = self.chance, len(self.detectors)
        self.at_s += WINDOW_S
        self.voice ^= chance.random(count) < 0.08
        heard = np.flatnonzero(chance.random(count) < 0.9)
        voice = self.voice[heard]
        probabilities = np.where(
            voice, chance.uniform(0.45, 1, len(heard)), chance.uniform(0, 0.55, len(heard))
        )
        base = np.where(voice, -25.0, -58.0)[:, None]
        levels = base + chance.normal(0, 12, (len(heard), BLOCKS)).astype(np.float32)
        arrived = self.at_s + np.sort(chance.uniform(0, 0.02, (len(heard), BLOCKS)), axis=1)
        moments = self.rows.heard(heard, probabilities, levels, arrived)
        notable = self.rows.notable(heard)
        for place, row in enumerate(heard.tolist()):
            detector = self.detectors[row]
            moment = detector.heard(
                float(probabilities[place]), levels[place].tolist(), arrived[place].tolist()
            )
            assert told(moments.get(row)) == told(moment)
            assert notable[place] == (detector.fades if detector.active else detector.voiced_windows == 1)
            self.moments += moment is not None
            same(detector, self.faces[row])

    def disturb(self) -> None:
        """What a leg does of its own accord: it pauses for a voice, or hears nothing any more."""
        row = int(self.chance.integers(len(self.detectors)))
        detector, face = self.detectors[row], self.faces[row]
        if detector.active:
            assert told(face.stop()) == told(detector.stop())
        elif detector.voiced_windows:
            assert told(face.start()) == told(detector.start())
        same(detector, face)


@pytest.mark.parametrize("rules", RULES)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 20))
def test_many_lines_are_as_each_alone(rules: VoiceSettings, seed: int, count: int) -> None:
    lines = Lines(count, rules, seed)
    for step in range(120):
        lines.step()
        if step % 10 == 9:
            lines.disturb()
    assert lines.moments or count < 4


def test_a_long_voice_is_as_long_alone() -> None:
    lines = Lines(2, VoiceSettings(stop_probability=0.0), 5)
    for _ in range(600):
        lines.step()


def test_a_line_that_is_opened_again_knows_nothing() -> None:
    lines = Lines(3, VoiceSettings(), 1)
    for _ in range(100):
        lines.step()
    lines.faces[1] = VoiceRow(lines.rows, 1)
    lines.detectors[1] = VoiceDetector(WINDOW_S, VoiceSettings())
    same(lines.detectors[1], lines.faces[1])
    for _ in range(100):
        lines.step()

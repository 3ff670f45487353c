"""Windows of 32 ms in eight blocks of 4 ms, as the media plane cuts them; frames of 20 ms, five blocks each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.turns.voice import VoiceDetector, VoiceMoment, VoiceSettings

WINDOW_S = 0.032
BLOCKS = 8
BLOCK_S = WINDOW_S / BLOCKS
QUIET, LOUD = -70.0, -20.0


class Line:
    """Feeds a detector with blocks; a block arrives with the 20 ms frame it lies in."""

    def __init__(self, settings: VoiceSettings | None = None) -> None:
        # Two windows that decide: what these lines are written for; one is told of below.
        self.detector = VoiceDetector(WINDOW_S, settings or VoiceSettings(stop_windows=2))
        self.blocks = 0

    def window(self, probability: float, levels: Sequence[float] | float) -> VoiceMoment | None:
        row = [levels] * BLOCKS if isinstance(levels, float) else list(levels)
        arrived = [frame_end(self.blocks + i) for i in range(BLOCKS)]
        self.blocks += BLOCKS
        return self.detector.heard(probability, row, arrived)

    def windows(self, count: int, probability: float, level: float) -> list[VoiceMoment]:
        moments = [self.window(probability, level) for _ in range(count)]
        return [moment for moment in moments if moment is not None]


def frame_end(block: int) -> float:
    """When the block arrived: at the end of its frame of 20 ms."""
    return (block // 5 + 1) * 0.02


def started(line: Line) -> Line:
    line.windows(5, 0.01, QUIET)
    assert len(line.windows(3, 0.9, LOUD)) == 1
    return line


def test_two_voiced_windows_start_it_and_it_is_dated_by_the_first_loud_block() -> None:
    line = Line()
    assert line.windows(5, 0.01, QUIET) == []
    assert line.window(0.8, [QUIET] * 6 + [LOUD] * 2) is None
    moment = line.window(0.9, LOUD)
    assert moment == VoiceMoment(started=True, at_s=frame_end(5 * BLOCKS + 6))
    assert line.detector.active


def test_one_voiced_window_is_nothing() -> None:
    line = Line()
    for _ in range(5):
        assert line.window(0.9, LOUD) is None
        assert line.window(0.4, LOUD) is None
    assert not line.detector.active


def test_a_word_that_begins_before_the_detector_noticed() -> None:
    line = Line()
    line.windows(5, 0.01, QUIET)
    line.window(0.2, [QUIET] * 2 + [-35.0] * 6)
    line.window(0.9, LOUD)
    moment = line.window(0.9, LOUD)
    assert moment is not None
    assert moment.at_s == frame_end(5 * BLOCKS + 2)


def test_a_short_pause_inside_the_beginning_belongs_to_it_and_a_longer_one_does_not() -> None:
    for pause, first in ((6, 5 * BLOCKS), (7, 7 * BLOCKS)):
        line = Line()
        line.windows(5, 0.01, QUIET)
        sounds = [LOUD] * (16 - pause) + [QUIET] * pause
        line.window(0.2, sounds[:8])
        line.window(0.2, sounds[8:])
        line.window(0.9, LOUD)
        moment = line.window(0.9, LOUD)
        assert moment is not None
        assert moment.at_s == frame_end(first)


def test_a_beginning_is_looked_for_only_so_far_back() -> None:
    line = Line(VoiceSettings(back_s=0.032, stop_windows=2))
    line.windows(1, 0.01, QUIET)
    line.windows(10, 0.4, LOUD)
    line.window(0.9, LOUD)
    moment = line.window(0.9, LOUD)
    assert moment is not None
    assert moment.at_s == frame_end(10 * BLOCKS)


def test_voice_that_is_never_loud_is_dated_by_its_windows() -> None:
    line = Line()
    assert line.windows(2, 0.9, -90.0) == [VoiceMoment(started=True, at_s=frame_end(0))]
    assert line.windows(2, 0.1, -90.0) == [VoiceMoment(started=False, at_s=frame_end(2 * BLOCKS - 1))]


def test_two_unvoiced_windows_stop_it_and_it_is_dated_by_the_last_loud_block() -> None:
    line = started(Line())
    last = line.blocks + 2
    assert line.window(0.9, [LOUD] * 3 + [QUIET] * 5) is None
    # The detector's tail.
    assert line.windows(2, 0.7, QUIET) == []
    assert line.window(0.1, QUIET) is None
    assert line.detector.quiet_windows == 1
    assert line.window(0.1, QUIET) == VoiceMoment(started=False, at_s=frame_end(last))
    assert not line.detector.active


def test_windows_without_a_loud_block_stop_it_when_the_detector_doubts_too() -> None:
    line = started(Line())
    last = line.blocks + 2
    assert line.window(0.9, [LOUD] * 3 + [QUIET] * 5) is None
    # When it is sure it may hear what the levels do not show.
    assert line.windows(4, 0.65, QUIET) == []
    assert line.window(0.64, QUIET) == VoiceMoment(started=False, at_s=frame_end(last))
    assert not line.detector.active
    assert line.windows(3, 0.45, QUIET) == []


@pytest.mark.parametrize("loud", [0, 7])
def test_one_loud_block_in_two_windows_is_voice(loud: int) -> None:
    line = started(Line())
    levels = [LOUD if block == loud else QUIET for block in range(BLOCKS)]
    for _ in range(4):
        assert line.window(0.4, levels) is None
        assert line.windows(1, 0.4, QUIET) == []
    assert len(line.windows(1, 0.4, QUIET)) == 1


def test_a_voice_as_short_as_its_first_windows_is_not_faint_for_want_of_more() -> None:
    line = Line(VoiceSettings(faint_windows=6, least_db=-10.0))
    assert len(line.windows(2, 0.9, LOUD)) == 1
    assert line.windows(3, 0.4, LOUD) == []
    assert len(line.windows(1, 0.4, LOUD)) == 1


def test_hesitating_probabilities_do_not_stop_it() -> None:
    line = started(Line())
    for _ in range(10):
        assert line.window(0.1, LOUD) is None
        assert line.window(0.36, LOUD) is None


def test_a_soft_ending_is_voice_even_where_the_detector_has_given_up() -> None:
    line = started(Line())
    line.window(0.1, [-38.0] * 8)
    moment = line.window(0.1, [-42.0] * 4 + [QUIET] * 4)
    assert moment == VoiceMoment(started=False, at_s=frame_end(line.blocks - 5))


@pytest.mark.parametrize(("soft_db", "belongs"), [(-60.5, True), (-61.5, False)])
def test_a_last_consonant_belongs_to_the_voice_however_soft_as_long_as_it_is_audible(
    soft_db: float, belongs: bool
) -> None:
    line = started(Line())
    while line.blocks % 5:
        line.windows(1, 0.9, LOUD)
    loud_until = line.blocks
    while (line.blocks - loud_until) < 2 or line.blocks % 5:
        line.windows(1, 0.9, soft_db)
    soft_until = line.blocks
    (moment,) = line.windows(2, 0.1, QUIET)
    assert moment.at_s == frame_end((soft_until if belongs else loud_until) - 1)


def test_a_frame_is_as_loud_as_its_mean_power() -> None:
    line = started(Line())
    while line.blocks % 5:
        line.windows(1, 0.9, LOUD)
    until = line.blocks
    # A click of 4 ms in 20 ms of nothing is 7 dB less than it is.
    assert line.window(0.1, [-56.0] + [-100.0] * 7) is None
    assert line.window(0.1, QUIET) == VoiceMoment(started=False, at_s=frame_end(until - 1))


def test_noise_is_not_voice_however_long_it_goes_on() -> None:
    line = Line()
    line.windows(20, 0.01, -45.0)
    line.windows(5, 0.9, LOUD)
    last = line.blocks - 1
    assert line.windows(1, 0.5, -43.0) == []
    assert line.windows(2, 0.1, -45.0) == [VoiceMoment(started=False, at_s=frame_end(last))]


def test_noise_that_rises_during_the_voice_is_known_by_what_follows_it() -> None:
    line = started(Line(VoiceSettings(below_peak_db=60.0, stop_windows=2)))
    last = line.blocks - 1
    line.window(0.5, -48.0)
    assert line.windows(2, 0.1, -48.0)[-1].at_s >= frame_end(last)
    for _ in range(20):
        line.windows(1, 0.01, -48.0)
    assert line.windows(3, 0.9, LOUD)
    last = line.blocks - 1
    assert line.windows(2, 0.1, -48.0) == [VoiceMoment(started=False, at_s=frame_end(last))]


def test_a_shout_is_forgotten_when_the_rest_is_soft() -> None:
    line = Line()
    line.windows(5, 0.01, -80.0)
    line.windows(3, 0.9, -1.0)
    line.windows(60, 0.9, -40.0)
    last = line.blocks - 1
    assert line.windows(2, 0.1, -80.0) == [VoiceMoment(started=False, at_s=frame_end(last))]


def test_a_second_voice_never_begins_before_the_first_one_ended() -> None:
    line = started(Line())
    stopped = line.windows(2, 0.1, LOUD)[0]
    again = line.windows(2, 0.9, LOUD)
    assert again[0].at_s >= stopped.at_s


def test_it_can_be_started_before_enough_windows_have_said_so() -> None:
    line = Line()
    line.windows(5, 0.01, QUIET)
    assert line.window(0.9, LOUD) is None
    assert line.detector.voiced_windows == 1
    assert line.detector.start() == VoiceMoment(started=True, at_s=frame_end(5 * BLOCKS))
    assert line.window(0.9, LOUD) is None


def test_when_no_more_audio_comes_the_voice_has_ended() -> None:
    line = started(Line())
    assert line.detector.stop() == VoiceMoment(started=False, at_s=frame_end(line.blocks - 1))
    assert not line.detector.active


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.lists(st.floats(-100, 0), min_size=BLOCKS, max_size=BLOCKS)),
        max_size=80,
    ),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_beginnings_and_ends_alternate_in_order_and_never_lie_in_the_future(
    windows: list[tuple[float, list[float]]], start_windows: int, stop_windows: int
) -> None:
    line = Line(VoiceSettings(start_windows=start_windows, stop_windows=stop_windows))
    moments = []
    for probability, levels in windows:
        moment = line.window(probability, levels)
        if moment is not None:
            assert moment.at_s <= frame_end(line.blocks - 1)
            moments.append(moment)
    assert [moment.started for moment in moments] == [i % 2 == 0 for i in range(len(moments))]
    assert [m.at_s for m in moments] == sorted(m.at_s for m in moments)


def test_settings_are_plain_values() -> None:
    with pytest.raises(AttributeError):
        VoiceSettings().start_windows = 3  # type: ignore[misc]


def test_a_voice_is_as_loud_as_all_but_its_loudest_fifth() -> None:
    line = started(Line())
    levels = [-40.0, -38.0, -36.0, -34.0, -32.0, -10.0, -8.0]
    for level in levels:
        line.window(0.9, [level - 9] * 7 + [level])
    # Three windows of the beginning are LOUD.
    heard = sorted([LOUD] * 3 + levels)
    assert line.detector.level_db == heard[int(0.8 * (len(heard) - 1))]
    assert line.detector.loudest_db == -8.0
    moments = line.windows(5, 0.01, QUIET)
    assert [moment.level_db for moment in moments] == [heard[int(0.8 * (len(heard) - 1))]]
    assert line.detector.level_db is None
    assert line.detector.level_now_db is None
    assert line.detector.loudest_db == VoiceSettings().least_db


def test_a_beginning_tells_how_loud_it_was_and_a_false_one_is_forgotten() -> None:
    line = Line()
    line.windows(5, 0.01, QUIET)
    line.window(0.9, -10.0)
    line.window(0.01, QUIET)
    assert line.detector.level_db is None
    moments = line.windows(2, 0.9, -25.0)
    assert [moment.level_db for moment in moments] == [-25.0]


def test_how_loud_it_is_now_is_taken_from_the_last_second() -> None:
    line = started(Line())
    line.windows(40, 0.9, -20.0)
    line.windows(40, 0.9, -35.0)
    assert line.detector.level_now_db == -35.0
    assert line.detector.level_db == -20.0


def test_its_level_is_due_every_eight_voiced_windows() -> None:
    line = Line()
    line.windows(5, 0.01, QUIET)
    due = []
    for number in range(1, 18):
        line.window(0.9, LOUD)
        if line.detector.level_due:
            due.append(number)
    assert due == [8, 16]
    line.windows(1, 0.01, QUIET)
    assert not line.detector.level_due


def test_a_voice_without_a_loud_block_fades_once_until_it_is_loud_again() -> None:
    line = started(Line())
    assert line.windows(2, 0.9, QUIET) == []
    assert not line.detector.fades
    line.window(0.9, QUIET)
    assert line.detector.fades
    assert line.detector.active
    line.window(0.9, QUIET)
    assert not line.detector.fades
    line.window(0.9, [QUIET] * 7 + [LOUD])
    assert not line.detector.fades
    line.windows(3, 0.9, QUIET)
    assert line.detector.fades


def test_what_is_not_a_voice_does_not_fade() -> None:
    line = Line()
    line.windows(3, 0.01, QUIET)
    assert not line.detector.fades

from __future__ import annotations

import numpy as np

from aywa.core.audio.mix import interleave, mix


def pcm(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def test_streams_are_added_and_the_longest_counts() -> None:
    assert mix(pcm(1, 2, 3), pcm(10)) == pcm(11, 2, 3)


def test_a_sum_beyond_full_scale_is_clipped() -> None:
    assert mix(pcm(30000, -30000), pcm(30000, -30000)) == pcm(32767, -32768)


def test_channels_alternate_and_short_ones_end_in_silence() -> None:
    assert interleave(pcm(1, 2), pcm(7)) == pcm(1, 7, 2, 0)


def test_nothing_at_all() -> None:
    assert mix() == b""
    assert interleave() == b""

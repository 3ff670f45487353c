"""What stands in for an ear that is switched off. Calls through it are in tests/e2e/test_pipeline.py."""

from __future__ import annotations

import numpy as np

from aywa.boot.pipeline import DeafVad


def test_rows_that_were_given_back_are_given_again() -> None:
    """As Silero's are: the tables that are kept by them must not grow with every call there ever was."""
    vad = DeafVad(8000)
    seen = set()
    for _ in range(1000):
        rows = [vad.open() for _ in range(3)]
        assert len(set(rows)) == 3
        assert not vad.score(rows, np.ones((3, vad.window_samples), np.float32)).any()
        seen.update(rows)
        for row in rows:
            vad.close(row)
    assert seen == {0, 1, 2}

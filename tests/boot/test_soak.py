"""bench/soak.py to its end, with a few hundred calls: nothing is left open, and memory grows by no more than caches that fill.
The bound itself is measured over 20,000."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CALLS = 400
SLOPE_MOST_MB = 20.0
"""For a thousand calls. The first hundreds still fill caches: about 4 MB of 400 calls, which are 10 for a thousand."""
WITHIN_S = 600


@pytest.mark.all
def test_hundreds_of_calls_leave_nothing_open_and_each_is_told_of() -> None:
    command = (sys.executable, "bench/soak.py", "--calls", str(CALLS), "--at-once", "40", "--sample", "50")
    path = os.pathsep.join((str(REPOSITORY / "src"), str(REPOSITORY)))
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["samples"] == CALLS
    assert figures["unreported"] == figures["silent_calls"] == 0
    assert [figures[f"{name}_grown"] for name in ("files", "tasks", "threads")] == [0, 0, 0]
    assert figures["slope_mb_per_1000"] <= SLOPE_MOST_MB
    # Whole calls: tools were run, callers interrupted, and every end was come to.
    assert figures["tools_run"] > CALLS / 2
    assert figures["interrupted"] > CALLS / 4
    assert len(figures["ends"]) == 5
    assert len(figures["reasons"]) >= 3

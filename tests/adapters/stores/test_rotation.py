"""A rotation that is killed over real stores: inside of its transactions, and between them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def kills(place: str, most: int = 40) -> int:
    """How often it was killed before it was done."""
    command = (sys.executable, "-m", "tests.adapters.stores.killed_rotation", place, str(most))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_over_sqlite_it_can_be_killed(tmp_path: Path) -> None:
    assert kills(str(tmp_path / "aywa.db"), 4) == 4


@pytest.mark.all
def test_over_sqlite_it_can_be_killed_anywhere(tmp_path: Path) -> None:
    # Twelve tables with two rows each; of the records there are four.
    assert kills(str(tmp_path / "aywa.db")) >= 20


@pytest.mark.all
def test_over_postgresql_it_can_be_killed_anywhere(fresh: str) -> None:
    assert kills(fresh) >= 20

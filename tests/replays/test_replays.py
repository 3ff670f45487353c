"""Calls that were kept (`aywa replay CALL_ID --save-test NAME`) are decided as they were. One that must be decided otherwise
from now on is kept anew, and the change is told in its commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from aywa.journal.replay.identity import compare
from aywa.journal.replay.recording import read_recording
from aywa.journal.replay.saved import load, save
from tests.journal.replay.calls import called

KEPT = sorted(Path(__file__).parent.glob("*.json.gz"))


def check(path: Path) -> None:
    recording = load(path.read_bytes())
    assert recording.damage == []
    found = compare(recording)
    assert found.difference is None
    assert found.decisions > 0


@pytest.mark.parametrize("path", KEPT or [None], ids=lambda path: "none kept" if path is None else path.name)
def test_a_kept_call_is_decided_as_it_was(path: Path | None, tmp_path: Path) -> None:
    if path is None:
        path = tmp_path / "made.json.gz"
        path.write_bytes(save(read_recording("call-1", called()))[0])
    check(path)

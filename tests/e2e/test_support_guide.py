"""The guide's commands over a runtime that runs: its bundle holds no key of its own, and names no fault that is none."""

from __future__ import annotations

from pathlib import Path

from aywa.boot.support.doctor import faults_of, read
from tests.docs.test_commands import commands
from tests.e2e.dev import Dev
from tests.e2e.test_guides import GUIDES, run


def test_a_running_runtime_is_bundled_and_read(runtime: Dev, tmp_path: Path) -> None:
    preview, write, doctor = commands((GUIDES / "support.md").read_text())
    shown = run(preview, runtime, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "   missing  " not in shown
    assert "aywa-support.tar.gz: " in run(write, runtime, tmp_path)
    told = run(doctor, runtime, tmp_path)
    files = read(tmp_path / "aywa-support.tar.gz")
    assert runtime.key not in str(files)
    assert files["runtime.json"]["readiness"]["ready"] is True
    assert files["folder.json"]["lock"]["held"] is True
    assert files["store.json"]["readable"] is True
    # What depends on this machine, or on the tests before, may be seen; what would mean that nobody is there may not.
    codes = {fault.code for fault in faults_of(tmp_path / "aywa-support.tar.gz")}
    assert not codes & {
        "not_running",
        "not_answering",
        "store_locked",
        "store_too_new",
        "store_missing",
        "unknown_setting",
    }
    assert bool(codes) == ("FAIL" in told)

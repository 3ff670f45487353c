"""`aywa demo` as a person runs it: a real runtime, a real socket, a real voice; and without any network at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

KEYS = [
    "turns",
    "voice_to_voice_ms",
    "barge_in_stop_ms",
    "false_cutoffs",
    "unexplained_gaps",
    "heard_truth_errors",
    "peak_rss_mb",
    "call_ids",
]
# Only the loopback, and that up: what a machine has that is connected to nothing.
NO_ROUTE = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def demo(home: Path, *before: str) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-m", "aywa.cli", "demo", "--json", "--tiny"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AYWA_U")}
    return subprocess.run(
        command,
        env={**environment, "AYWA_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def check(ran: subprocess.CompletedProcess[str]) -> None:
    assert ran.returncode == 0, ran.stderr
    card = json.loads(ran.stdout)
    assert list(card) == KEYS
    assert card["turns"] == 6
    assert list(card["voice_to_voice_ms"]) == ["p50", "p95"]
    assert 100 < card["voice_to_voice_ms"]["p50"] <= card["voice_to_voice_ms"]["p95"] <= 1500
    assert 0 <= card["barge_in_stop_ms"] <= 400
    assert [card[key] for key in ("false_cutoffs", "unexplained_gaps", "heard_truth_errors")] == [0, 0, 0]
    assert 50 < card["peak_rss_mb"] < 1200
    assert len(card["call_ids"]) == 1
    assert "broken" not in ran.stderr
    assert "caller, under the reply: mhm" in ran.stderr


def test_keeps_every_promise_without_a_network(tmp_path: Path) -> None:
    if not _may_have_a_network_of_its_own():
        pytest.fail("this needs root, or the right to `unshare --net`, and iproute2's `ip`")
    ran = demo(tmp_path, *NO_ROUTE)
    check(ran)
    (call_id,) = json.loads(ran.stdout)["call_ids"]
    _replays(tmp_path, call_id)
    assert not _left_behind(tmp_path)


def test_says_why_it_cannot_begin(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "aywa.cli", "demo", "--tiny"],
        env={**os.environ, "AYWA_HOME": str(tmp_path), "AYWA_MODELS": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 1
    assert "aywa models pull" in ran.stderr
    assert not _left_behind(tmp_path)


def _replays(home: Path, call_id: str) -> None:
    """The call is decided the same way again, and a what-if of it begins with the call as it was."""
    command = [sys.executable, "-m", "aywa.cli", "replay", call_id, "--json"]
    change = ["--set", "startSpeakingPlan.waitSeconds=1.5"]
    ran = subprocess.run(
        [*command, *change],
        env={**os.environ, "AYWA_HOME": str(home), "AYWA_URL": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert (found["identical"], found["first_difference"], found["damage"]) == (True, None, [])
    assert found["decisions"] > 100
    assert found["what_if"]["reproduced"], found["what_if"]
    assert found["changes"][0]["reply_ms"] > 300


def _may_have_a_network_of_its_own() -> bool:
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    return subprocess.run([*NO_ROUTE, "true"], capture_output=True, check=False).returncode == 0


def _left_behind(home: Path) -> list[str]:
    """Processes that still know the home."""
    mark = f"AYWA_HOME={home}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found

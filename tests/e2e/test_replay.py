"""The guide on replay, read out over a real call: over the data of a running runtime, and over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.docs.test_commands import ROOT, commands
from tests.e2e.dev import Dev

GUIDE = ROOT / "docs" / "guides" / "replay.md"


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command.replace(".venv/bin/", f"{ROOT}/.venv/bin/")],
        cwd=folder,
        env={**os.environ, "AYWA_URL": "", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_guide_replays_a_call(runtime: Dev, tmp_path: Path) -> None:
    sounds = sorted(Path("/usr/share/asterisk/sounds").rglob("vm-enter-num-to-call.wav"))
    shutil.copy(sounds[0], tmp_path / "question.wav")
    there = {"AYWA_URL": runtime.url, "AYWA_API_KEY": runtime.key}
    here = {"AYWA_HOME": str(runtime.home)}
    talked = run(".venv/bin/aywa talk --wav question.wav --out call.wav", tmp_path, **there)
    assert talked.returncode == 0, talked.stderr
    listed = run(".venv/bin/aywa calls --json --limit 1", tmp_path, **there)
    call_id = json.loads(listed.stdout)[0]["id"]
    for command in commands(GUIDE.read_text(encoding="utf-8")):
        for place in (here, there):
            done = run(command.replace("CALL_ID", call_id), tmp_path, **place)
            # Other tests' calls on the same runtime may have been cut by them.
            fine = (0, 3) if "--all" in command else (0,)
            assert done.returncode in fine, f"{command}\n{done.stdout}\n{done.stderr}"
    found = json.loads(run(f".venv/bin/aywa replay {call_id} --json", tmp_path, **there).stdout)
    assert found == json.loads(run(f".venv/bin/aywa replay {call_id} --json", tmp_path, **here).stdout)
    assert (found["identical"], found["damage"]) == (True, [])
    assert found["decisions"] > 20

"""The guides, read out to a real runtime: each command as it is written, with this run's addresses and ids put in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.docs.test_commands import ROOT, commands
from tests.e2e.dev import Dev

GUIDES = ROOT / "docs" / "guides"
WRITTEN_URL = "http://127.0.0.1:8080"


def run(command: str, runtime: Dev, folder: Path) -> str:
    command = command.replace(".venv/bin/", f"{ROOT}/.venv/bin/").replace(WRITTEN_URL, runtime.url)
    environment = os.environ | {
        "AYWA_HOME": str(runtime.home),
        "AYWA_URL": runtime.url,
        "AYWA_API_KEY": runtime.key,
    }
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_readme_talks_with_a_recording_and_looks_at_the_call(runtime: Dev, tmp_path: Path) -> None:
    talk, calls, timeline = [
        c for c in commands((ROOT / "README.md").read_text()) if c.startswith(".venv/bin/aywa ")
    ][1:]
    sounds = sorted(Path("/usr/share/asterisk/sounds").rglob("vm-enter-num-to-call.wav"))
    shutil.copy(sounds[0], tmp_path / "question.wav")
    assert "--wav question.wav" in talk
    assert run(talk, runtime, tmp_path)
    assert (tmp_path / "call.wav").stat().st_size > 44
    newest = json.loads(run(calls + " --json --limit 1", runtime, tmp_path))[0]
    assert newest["id"][:8] in run(calls, runtime, tmp_path)
    assert "floor.turn_taken" in run(timeline.replace("CALL_ID", newest["id"]), runtime, tmp_path)


def test_the_first_steps_make_an_assistant_and_a_call(runtime: Dev, tmp_path: Path) -> None:
    assistant, call, *others = commands((GUIDES / "first-steps.md").read_text())
    made = json.loads(run(assistant, runtime, tmp_path))
    assert made["name"] == "Pat"
    begun = json.loads(run(call.replace("ASSISTANT_ID", made["id"]), runtime, tmp_path))
    assert begun["transport"]["websocketCallUrl"].startswith("ws://")
    assert [bool(run(other, runtime, tmp_path)) for other in others] == [True, True]


def test_the_models_are_listed_and_verified(runtime: Dev, tmp_path: Path) -> None:
    listed, pull, verify = commands((GUIDES / "models.md").read_text())
    assert "moonshine" in run(listed, runtime, tmp_path)
    assert run(pull, runtime, tmp_path) is not None
    assert run(verify, runtime, tmp_path)

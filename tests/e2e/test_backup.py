"""A drill that loses the machine: everything that a runtime had comes back on another, as the guide says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.docs.test_commands import ROOT, commands
from tests.e2e.dev import Dev, started, until
from tests.e2e.test_guides import question_in, run

GUIDE = ROOT / "docs" / "guides" / "backup.md"
KEY = {"RUNTIME_STORE_ENCRYPTION_KEY": "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="}


def seen(runtime: Dev, call_id: str) -> list[Any]:
    """What a customer sees of it all."""
    paths = ("/assistant", "/credential", f"/call/{call_id}", f"/call/{call_id}/timeline")
    return [runtime.ask("GET", path) for path in paths]


def test_whoever_loses_the_machine_takes_everything_back_on_another(tmp_path: Path) -> None:
    backup, check, restore = commands(GUIDE.read_text())
    lost = Dev(tmp_path / "lost", environment=KEY)
    question_in(tmp_path)
    with started(lost):
        made = {"provider": "openai", "name": "Ours", "apiKey": "sk-planted-for-the-drill"}
        assert lost.ask("POST", "/credential", made)[0] == 201
        run(".venv/bin/aywa talk --wav question.wav --out call.wav", lost, tmp_path)
        [call] = json.loads(run(".venv/bin/aywa calls --json --limit 1", lost, tmp_path))
        recording = Path("artifacts") / call["id"] / "recording.wav"
        until(lambda: (lost.home / recording).exists(), why="it was not recorded")
        until(lambda: lost.call(call["id"])["status"] == "ended", why="it did not end")
        key, before = lost.key, seen(lost, call["id"])
        heard = (lost.home / recording).read_bytes()
        # While it runs.
        assert "of them calls: 1" in run(backup, lost, tmp_path)
    shutil.rmtree(lost.home)
    assert b"sk-planted" not in (tmp_path / "backup.zip").read_bytes()
    new = new_without_key(Dev(tmp_path / "new", environment=KEY))
    assert "is whole" in run(check, new, tmp_path)
    assert "was taken back" in run(restore, new, tmp_path)
    (new.home / "dev-key").write_text(key + "\n")
    with started(new):
        assert new.key == key
        assert seen(new, call["id"]) == before
        assert (new.home / recording).read_bytes() == heard
        # The secrets open with the key that was kept elsewhere.
        assert "cannot be opened" not in new.log
        run(".venv/bin/aywa talk --wav question.wav --out call.wav", new, tmp_path)
        assert len(json.loads(run(".venv/bin/aywa calls --json", new, tmp_path))) == 2


def new_without_key(runtime: Dev) -> Dev:
    """`run` puts the runtime's API key into the environment, and there is none before it started."""
    runtime.home.mkdir()
    (runtime.home / "dev-key").write_text("none\n")
    return runtime

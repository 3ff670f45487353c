"""The guides of Asterisk, FreeSWITCH's audio modules and jambonz, read out to a real runtime with AudioSocket's port open."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aywa.testing.runtime import free_port
from tests.docs.test_commands import commands
from tests.e2e.dev import Dev, started
from tests.e2e.test_guides import ASSISTANTS, GUIDES, question_in, run

WRITTEN_AUDIOSOCKET = "tcp://127.0.0.1:9092"


@pytest.fixture(scope="module")
def equipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dev, str]]:
    port = free_port()
    home = tmp_path_factory.mktemp("equipped") / "home"
    with started(Dev(home, environment={"RUNTIME_AUDIOSOCKET_PORT": str(port)})) as dev:
        yield dev, f"tcp://127.0.0.1:{port}"


def check(command: str, runtime: Dev, folder: Path) -> None:
    """All is well, but for times to the hundredth: they are the machine's affair, and others work on it meanwhile. Those stand
    in tests/equipment, with how late both ends were."""
    words = command.replace(".venv/bin/aywa", f"{sys.executable} -m aywa.cli").split()
    environment = os.environ | {"AYWA_HOME": str(runtime.home), "AYWA_URL": runtime.url}
    environment["AYWA_API_KEY"] = runtime.key
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert "ok    protocol" in done.stdout, f"{command}\n{done.stdout}\n{done.stderr}"
    failed = re.findall(r"^FAIL +(\w+)", done.stdout, re.MULTILINE)
    assert set(failed) <= {"pace", "position"}, f"{command}\n{done.stdout}"


@pytest.mark.parametrize("guide", ["asterisk.md", "freeswitch-audio.md"])
def test_every_command_of_the_guide(equipped: tuple[Dev, str], guide: str, tmp_path: Path) -> None:
    runtime, audiosocket = equipped
    question_in(tmp_path)
    assistant = json.loads(run(ASSISTANTS, runtime, tmp_path))[0]["id"]
    for command in commands((GUIDES / guide).read_text()):
        command = command.replace("ASSISTANT_ID", assistant).replace(WRITTEN_AUDIOSOCKET, audiosocket)
        said = run(command, runtime, tmp_path) if "media check" not in command else ""
        if command.startswith("curl "):
            number = json.loads(said)
            assert number["carrier"] == {"provider": "asterisk"}
            assert runtime.ask("DELETE", f"/phone-number/{number['id']}")[0] == 200
        elif "media address" in command:
            assert assistant in said
        else:
            check(command, runtime, tmp_path)

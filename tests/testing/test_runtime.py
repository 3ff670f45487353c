"""A runtime as a process of its own: a stand-in takes the place of `aywa dev`, everything about it is real."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from aywa.testing import runtime
from aywa.testing.runtime import (
    DevRuntime,
    MemoryWatch,
    RuntimeFailed,
    free_port,
    is_ready,
    listening_pid,
    process_tree,
)

STAND_IN = """
import http.server, os, pathlib, signal, subprocess, sys

pathlib.Path(os.environ["AYWA_HOME"], "dev-key").write_text("aywa_key\\n")
mode = os.environ.get("MODE")
print("the first line\\nthe last line", flush=True)
if mode == "fail":
    sys.exit(3)
if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
# A child in a session of its own, as the local models are, that does not notice its parent's end.
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
pathlib.Path(os.environ["AYWA_HOME"], "pids").write_text(f"{os.getpid()} {child.pid}")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if mode == "busy" else 200)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `python -m aywa.cli` finds first."""
    package = tmp_path / "path" / "aywa" / "cli"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))


def alive(pid: int) -> bool:
    """Runs; a dead one that nobody has asked after, where nothing reaps orphans, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_starts_waits_measures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with DevRuntime(tmp_path / "home", "--tiny") as started:
        pids = [int(pid) for pid in (tmp_path / "home" / "pids").read_text().split()]
        assert started.key == "aywa_key"
        assert 0 < started.cold_start_s < 30
        assert await is_ready(started.url)
        assert listening_pid(started.port) == pids[0]
        assert process_tree(pids[0]) == pids
        assert started.memory is not None
        # Two interpreters, at least 5 MB each.
        assert 10 < started.memory.peak_mb() < 500
        assert all(map(alive, pids))
    assert not any(map(alive, pids))
    assert process_tree(pids[0]) == []
    assert listening_pid(started.port) is None


async def test_ends_one_that_does_not_want_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "STOP_S", 0.1)
    async with DevRuntime(tmp_path / "home", environment={**os.environ, "MODE": "deaf"}):
        pids = [int(pid) for pid in (tmp_path / "home" / "pids").read_text().split()]
    assert not any(map(alive, pids))


async def test_says_what_it_said_last_when_it_does_not_come_up(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailed, match="ended with code 3: the first line / the last line"):
        async with DevRuntime(tmp_path / "home", environment={**os.environ, "MODE": "fail"}):
            pass


async def test_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "READY_S", 0.5)
    with pytest.raises(RuntimeFailed, match="was not ready within"):
        async with DevRuntime(tmp_path / "home", environment={**os.environ, "MODE": "busy"}):
            pass


async def test_one_that_is_gone_already_needs_no_end(tmp_path: Path) -> None:
    async with DevRuntime(tmp_path / "home"):
        pids = [int(pid) for pid in (tmp_path / "home" / "pids").read_text().split()]
        os.kill(pids[0], signal.SIGKILL)
    assert not any(map(alive, pids))


async def test_memory_of_a_process_that_is_gone_is_nothing() -> None:
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await gone.wait()
    watch = MemoryWatch(gone.pid)
    assert watch.peak_mb() == 0
    watch.close()


async def test_nothing_is_ready_where_nothing_listens() -> None:
    port = free_port()
    assert not await is_ready(f"http://127.0.0.1:{port}")
    assert listening_pid(port) is None

"""The rules of tests/conftest.py, tried on files that break them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frame.programs import ROOT


@pytest.fixture
def run_tests(tmp_path: Path) -> RunTests:
    return RunTests(tmp_path)


class RunTests:
    """Runs pytest on a file of its own, under the project's conftest and settings."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "tests").mkdir()
        shutil.copy(ROOT / "pyproject.toml", root)
        shutil.copy(ROOT / "tests/conftest.py", root / "tests")

    def __call__(self, source: str, *options: str) -> subprocess.CompletedProcess[str]:
        imports = "import asyncio, socket, threading\nimport pytest\n\n"
        (self.root / "tests/test_it.py").write_text(imports + source, encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def test_a_sound_test_passes(run_tests: RunTests) -> None:
    ended = run_tests("async def test_it():\n    await asyncio.create_task(asyncio.sleep(0))\n")
    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout


def test_a_skipped_test_is_a_failure_with_its_name_and_reason(run_tests: RunTests) -> None:
    ended = run_tests("def test_it():\n    pytest.skip('no microphone')\n")
    assert ended.returncode == 1
    assert "test_it.py::test_it was skipped" in ended.stdout
    assert "no microphone" in ended.stdout
    assert "1 failed" in ended.stdout


def test_a_test_skipped_by_its_marker_is_a_failure(run_tests: RunTests) -> None:
    ended = run_tests("@pytest.mark.skipif(True, reason='not today')\ndef test_it():\n    pass\n")
    assert ended.returncode == 1
    assert "not today" in ended.stdout


def test_a_file_that_skips_itself_is_a_failure(run_tests: RunTests) -> None:
    ended = run_tests("pytest.importorskip('no_such_module')\n\ndef test_it():\n    pass\n")
    assert ended.returncode != 0
    assert "no_such_module" in ended.stdout
    assert "1 error" in ended.stdout


def test_an_expected_failure_is_not_a_skip(run_tests: RunTests) -> None:
    ended = run_tests("@pytest.mark.xfail(reason='known')\ndef test_it():\n    assert False\n")
    assert ended.returncode == 0
    assert "1 xfailed" in ended.stdout


MARKED_ALL = "@pytest.mark.all\ndef test_long():\n    pytest.skip('no weights')\n\ndef test_it():\n    pass\n"


def test_tests_marked_all_are_left_out(run_tests: RunTests) -> None:
    ended = run_tests(MARKED_ALL)
    assert ended.returncode == 0
    assert "1 passed, 1 deselected" in ended.stdout


def test_tests_marked_all_run_with_all_and_may_be_skipped(run_tests: RunTests) -> None:
    ended = run_tests(MARKED_ALL, "--all")
    assert ended.returncode == 0
    assert "1 passed, 1 skipped" in ended.stdout


def test_a_task_left_behind_is_a_failure_with_its_name(run_tests: RunTests) -> None:
    ended = run_tests(
        "tasks = []\n"
        "async def listen():\n    await asyncio.Event().wait()\n"
        "async def test_it():\n    tasks.append(asyncio.create_task(listen(), name='recogniser'))\n"
    )
    assert ended.returncode == 1
    assert "left a task behind: recogniser" in ended.stdout
    assert "listen" in ended.stdout


def test_a_task_left_behind_on_the_virtual_clock_is_a_failure_too(run_tests: RunTests) -> None:
    ended = run_tests(
        "tasks = []\n"
        "@pytest.mark.virtual_time\n"
        "async def test_it():\n    tasks.append(asyncio.create_task(asyncio.sleep(5), name='recogniser'))\n"
    )
    assert ended.returncode == 1
    assert "left a task behind: recogniser" in ended.stdout


def test_a_task_that_its_fixture_ends_is_not_left_behind(run_tests: RunTests) -> None:
    ended = run_tests(
        "@pytest.fixture\n"
        "async def server():\n"
        "    task = asyncio.create_task(asyncio.Event().wait())\n"
        "    yield task\n"
        "    task.cancel()\n"
        "async def test_it(server):\n    assert not server.done()\n"
    )
    assert ended.returncode == 0, ended.stdout


def test_a_thread_left_behind_is_a_failure_with_its_name(run_tests: RunTests) -> None:
    ended = run_tests(
        "stop = threading.Event()\n"
        "@pytest.fixture(scope='module', autouse=True)\n"
        "def ends():\n    yield\n    stop.set()\n"
        "def test_it():\n    threading.Thread(target=stop.wait, name='decoder').start()\n"
    )
    assert ended.returncode == 1
    assert "left a thread behind: decoder" in ended.stdout


def test_a_socket_left_open_is_a_failure(run_tests: RunTests) -> None:
    ended = run_tests("def test_it():\n    socket.socket()\n")
    assert ended.returncode == 1
    assert "unclosed <socket" in ended.stdout

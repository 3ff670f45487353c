"""A module of core counts as covered when its own test file reaches all of it; what others reach counts nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frame.programs import ROOT, run_script

MODULE = "def sign(x: int) -> int:\n    if x < 0:\n        return -1\n    return 1\n"
WHOLE = "from aywa.core.turns.sign import sign\n\ndef test_it():\n    assert (sign(-1), sign(1)) == (-1, 1)\n"
HALF = "from aywa.core.turns.sign import sign\n\ndef test_it():\n    assert sign(1) == 1\n"


class Project:
    """A small project with a core of one module, under the project's own conftest and settings."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT / "src/aywa/testing", root / "src/aywa/testing")
        self.write("src/aywa/__init__.py", "")
        self.write("src/aywa/core/__init__.py", '"""Nothing to test here."""\n')
        self.write("src/aywa/core/turns/__init__.py", "")
        self.write("src/aywa/core/records.py", "LIMIT = 3\n")
        self.write("src/aywa/core/turns/sign.py", MODULE)
        shutil.copy(ROOT / "pyproject.toml", root)
        (root / "tests").mkdir()
        shutil.copy(ROOT / "tests/conftest.py", root / "tests")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def check(self) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "coverage",
                "run",
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-o",
                "pythonpath=. src",
            ],
            cwd=self.root,
            env={"PYTHONPATH": "src", "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return run_script("core_coverage", cwd=self.root)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_module_covered_by_its_own_file_passes(project: Project) -> None:
    project.write("tests/core/turns/test_sign.py", WHOLE)
    ended = project.check()
    assert ended.returncode == 0, ended.stderr
    assert "1 of 1 modules" in ended.stdout


def test_lines_that_only_another_file_reaches_are_named(project: Project) -> None:
    project.write("tests/core/turns/test_sign.py", HALF)
    project.write("tests/call/test_everything.py", WHOLE)
    ended = project.check()
    assert ended.returncode == 1
    assert "src/aywa/core/turns/sign.py: tests/core/turns/test_sign.py does not reach 3, 2->3" in ended.stderr


def test_a_module_without_a_test_file_is_named(project: Project) -> None:
    project.write("tests/call/test_everything.py", WHOLE)
    ended = project.check()
    assert ended.returncode == 1
    assert "has no test file of its own; write tests/core/turns/test_sign.py" in ended.stderr


def test_without_a_run_it_says_how_to_make_one(tmp_path: Path) -> None:
    ended = run_script("core_coverage", cwd=tmp_path)
    assert ended.returncode == 1
    assert "script/test" in ended.stderr

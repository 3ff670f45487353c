"""The scripts, in a copy of the repository whose tools are stand-ins that write down what they were asked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Says who it is and with what, where the test can read it.
STAND_IN = '#!/bin/sh\necho "$(basename "$0") $*" >>"$CALLED"\n'

# Enough of Python for set-up: it is new enough, it makes a .venv of stand-ins, and its pip installs.
FAKE_PYTHON = """#!/bin/sh
echo "python $*" >>"$CALLED"
case "$*" in
*--version*) echo "Python 3.11.9" ;;
*-m\\ venv*)
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    for tool in aywa ruff mypy lint-imports uv; do cp "$STAND_IN" .venv/bin/$tool; done ;;
*--require-hashes*)
    [ -z "${FAIL_PIP:-}" ] || { echo "ERROR: no network"; exit 1; }
    echo "Collecting numpy==2.4.6 (from -r requirements.lock)" ;;
*ensurepip*) [ -z "${NO_VENV:-}" ] ;;
*--collect-only*) [ -n "${ON_A_VIRTUAL_CLOCK:-}" ] || exit 5 ;;
*--last-failed*) [ -z "${FAIL_AGAIN:-}" ] || exit 1 ;;
*"cache_dir=.pytest_cache/${FAIL_STAGE:-none} "*)
    folder=".pytest_cache/$FAIL_STAGE/v/cache"
    mkdir -p "$folder"
    for test in ${FAIL_TESTS:-one}; do echo "  \"$test\": true,"; done >"$folder/lastfailed"
    exit 1 ;;
esac
"""


ELSEWHERE = " ".join(
    f"--ignore tests/{each}" for each in ("core", "e2e", "peers", "equipment", "page/test_page.py")
)
APART = "--ignore tests/e2e/test_demo.py --ignore tests/e2e/test_talk.py"


def pytest_in(stage: str) -> str:
    return f"-m pytest -o cache_dir=.pytest_cache/{stage}"


class Clone:
    """A fresh copy of what set-up needs, and a record of what was run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "clone"
        self.called = root / "called"
        self.called.touch()
        (self.root / ".ci").mkdir(parents=True)
        for name in ["pyproject.toml", "requirements.lock", "requirements-dev.lock", ".ci/run"]:
            shutil.copy(ROOT / name, self.root / name)
        shutil.copytree(ROOT / "script", self.root / "script", ignore=shutil.ignore_patterns("__pycache__"))
        self.python = self._program(root / "python3", FAKE_PYTHON)
        self.stand_in = self._program(root / "stand-in", STAND_IN)

    @staticmethod
    def _program(path: Path, text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        bin_dir = self.root.parent / "bin"
        bin_dir.mkdir(exist_ok=True)
        # The system's packages are all there, as far as the scripts can see, unless the test says otherwise.
        installed = 'case " $MISSING " in *" $4 "*|*" $3 "*) exit 1 ;; esac; echo "install ok installed"'
        self._program(bin_dir / "dpkg-query", f"#!/bin/sh\n{installed}\n")
        self._program(
            bin_dir / "apt-get", STAND_IN + '[ -z "${FAIL_APT:-}" ] || { echo "E: no mirror"; exit 100; }\n'
        )
        self._program(bin_dir / "sudo", STAND_IN + 'exec "$@"\n')
        self._program(bin_dir / "id", '#!/bin/sh\necho "${AS_USER:-0}"\n')
        return subprocess.run(
            list(command),
            cwd=self.root,
            env={
                "PATH": f"{bin_dir}:{os.environ['PATH']}",
                "HOME": str(self.root.parent),
                "PYTHON": str(self.python),
                "CALLED": str(self.called),
                "STAND_IN": str(self.stand_in),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        """What was run since the last time of asking."""
        lines = self.called.read_text(encoding="utf-8").splitlines()
        self.called.write_text("", encoding="utf-8")
        return lines


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_set_up_makes_the_environment_from_the_lock_and_shows_progress(clone: Clone) -> None:
    ended = clone.run("script/setup")
    assert ended.returncode == 0, ended.stderr
    assert "1/3" in ended.stderr
    assert "numpy" in ended.stderr
    assert "set-up: done" in ended.stderr
    calls = clone.calls()
    assert any("--require-hashes --requirement requirements.lock" in call for call in calls)
    assert any("--no-deps --no-build-isolation" in call for call in calls)


def test_set_up_does_nothing_when_nothing_changed_and_is_quick_about_it(clone: Clone) -> None:
    clone.run("script/setup")
    clone.calls()
    started_s = time.monotonic()
    ended = clone.run("script/setup")
    assert time.monotonic() - started_s < 1
    assert (ended.returncode, ended.stderr, clone.calls()) == (0, "", [])


def test_the_development_set_up_is_enough_for_the_runtime(clone: Clone) -> None:
    clone.run("script/setup", "--dev")
    clone.calls()
    clone.run("script/setup")
    assert clone.calls() == []


def test_an_interpreter_that_makes_no_environment_is_passed_over(clone: Clone) -> None:
    bare = clone._program(clone.root.parent / "bare", '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\n')
    ended = clone.run("script/setup", PYTHON=f"{bare} {clone.python}")
    assert ended.returncode == 0, ended.stderr
    assert any("-m venv" in call for call in clone.calls())


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_set_up_runs_again_when_its_input_changed(clone: Clone, changed: str) -> None:
    clone.run("script/setup")
    clone.calls()
    with (clone.root / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    clone.run("script/setup")
    assert any("--require-hashes" in call for call in clone.calls())


def test_a_failed_set_up_says_what_to_do_and_is_tried_again(clone: Clone) -> None:
    ended = clone.run("script/setup", FAIL_PIP="1")
    assert ended.returncode == 1
    assert "ERROR: no network" in ended.stderr
    assert "check the network" in ended.stderr.splitlines()[-1]
    assert clone.run("script/setup").returncode == 0


def test_an_environment_of_another_folder_is_left_alone(clone: Clone) -> None:
    (clone.root / "elsewhere").mkdir()
    (clone.root / ".venv").symlink_to("elsewhere")
    ran = clone.run("script/setup")
    assert ran.returncode == 1
    assert ".venv is a link to elsewhere" in ran.stderr
    assert (clone.root / "elsewhere").is_dir()


def test_a_missing_python_is_named_in_one_line_with_the_way_to_get_it(clone: Clone) -> None:
    ended = clone.run("script/setup", PYTHON="no-such-python")
    assert ended.returncode == 1
    assert ended.stderr.startswith("set-up: Python >= 3.11 is missing; get it with: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_missing_venv_module_is_named_in_one_line(clone: Clone) -> None:
    ended = clone.run("script/setup", NO_VENV="1")
    assert ended.returncode == 1
    assert ended.stderr.startswith("set-up: Python's venv module is missing; get it with: ")


def test_run_sets_up_and_then_starts_the_runtime_with_its_options(clone: Clone) -> None:
    ended = clone.run("script/run", "--tiny", "--port", "9000")
    assert ended.returncode == 0, ended.stderr
    calls = clone.calls()
    assert any("requirements.lock" in call for call in calls)
    assert not any("requirements-dev.lock" in call for call in calls)
    assert calls[-2:] == ["aywa models pull --tiny", "aywa dev --tiny --port 9000"]


@pytest.mark.parametrize(
    ("options", "environment", "pulled"),
    [
        ([], {}, "aywa models pull"),
        (["--quality"], {}, "aywa models pull --quality"),
        ([], {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, "aywa models pull --tiny"),
    ],
)
def test_run_fetches_the_models_that_will_be_used(
    clone: Clone, options: list[str], environment: dict[str, str], pulled: str
) -> None:
    assert clone.run("script/run", *options, **environment).returncode == 0
    assert clone.calls()[-2].rstrip() == pulled


def test_paths_go_to_pytest_alone(clone: Clone) -> None:
    ended = clone.run("script/test", "tests/core")
    assert ended.returncode == 0, ended.stderr
    assert clone.calls()[-2:] == ["aywa models pull --tiny", "python -m pytest tests/core"]


def test_only_the_missing_system_packages_are_installed(clone: Clone) -> None:
    ended = clone.run("script/test", "tests/core", MISSING="chromium pocketsphinx-testdata")
    assert ended.returncode == 0, ended.stderr
    assert [call for call in clone.calls() if call.startswith(("apt-get", "sudo"))] == [
        "apt-get update",
        "apt-get install -y --no-install-recommends chromium pocketsphinx-testdata",
    ]


def test_an_ordinary_user_installs_through_sudo(clone: Clone) -> None:
    clone.run("script/test", "tests/core", MISSING="chromium", AS_USER="1000")
    assert [call for call in clone.calls() if call.startswith("sudo")] == [
        "sudo apt-get update",
        "sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium",
    ]


def test_system_packages_that_cannot_be_had_are_named_with_the_command(clone: Clone) -> None:
    ended = clone.run("script/test", "tests/core", MISSING="chromium", FAIL_APT="1")
    assert ended.returncode == 1
    assert "E: no mirror" in ended.stderr
    assert "apt-get install -y chromium" in ended.stderr.splitlines()[-1]


def test_ci_runs_every_check_and_sums_up(clone: Clone) -> None:
    ended = clone.run(".ci/run")
    assert ended.returncode == 0, ended.stderr
    calls = clone.calls()
    for call in [
        "ruff check --output-format concise",
        "ruff format --check",
        "mypy ",
        "python -m coverage run -m pytest tests/core",
        f"python {pytest_in('calls')} tests/e2e tests/peers {APART}",
        f"python {pytest_in('equipment')} tests/equipment",
        f"python {pytest_in('pages')} tests/page/test_page.py",
        f"python {pytest_in('talks')} tests/e2e/test_demo.py tests/e2e/test_talk.py",
        f"python {pytest_in('tests')} {ELSEWHERE}",
    ]:
        assert call in calls
    assert "== summary" in ended.stderr


def test_all_pulls_every_model_and_runs_the_long_tests(clone: Clone) -> None:
    clone.run("script/test", "--all")
    calls = clone.calls()
    assert "aywa models pull" in calls
    assert "python -m coverage run -m pytest --all tests/core" in calls
    assert f"python {pytest_in('calls')} --all tests/e2e tests/peers {APART}" in calls
    assert f"python {pytest_in('equipment')} --all tests/equipment" in calls
    assert f"python {pytest_in('tests')} --all {ELSEWHERE}" in calls


def test_what_failed_beside_others_is_measured_once_more_and_alone(clone: Clone) -> None:
    ended = clone.run("script/test", FAIL_STAGE="calls", FAIL_TESTS="one two three")
    assert ended.returncode == 0, ended.stderr
    again = f"python {pytest_in('calls')} --last-failed --last-failed-no-failures none tests/e2e tests/peers {APART}"
    assert clone.calls()[-2:] == [f"{again} --collect-only -q -m virtual_time", again]
    assert re.search(r"^  calls +FAILED", ended.stderr, re.MULTILINE)
    assert re.search(r"^  calls, alone +ok", ended.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    "why",
    [
        pytest.param({"FAIL_AGAIN": "1"}, id="fails again"),
        pytest.param({"FAIL_TESTS": "one two three four"}, id="too many"),
        pytest.param({"ON_A_VIRTUAL_CLOCK": "1"}, id="on a virtual clock"),
    ],
)
def test_what_fails_for_no_lack_of_processor_fails_the_run(clone: Clone, why: Mapping[str, str]) -> None:
    ended = clone.run("script/test", FAIL_STAGE="tests", **why)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "failed: tests"


def test_a_failing_check_fails_the_run_and_is_named(clone: Clone) -> None:
    clone.run("script/setup", "--dev")
    (clone.root / ".venv/bin/mypy").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    ended = clone.run("script/test")
    assert ended.returncode == 1
    assert "lint failed: types" in ended.stderr
    assert ended.stderr.splitlines()[-1] == "failed: lint"


def test_lint_can_mend(clone: Clone) -> None:
    assert clone.run("script/lint", "--fix").returncode == 0
    assert clone.calls()[-2:] == ["ruff check --fix", "ruff format"]


def test_lock_asks_for_hashes_and_names_no_index(clone: Clone) -> None:
    clone.run("script/setup", "--dev")
    clone.calls()
    assert clone.run("script/lock").returncode == 0
    calls = clone.calls()
    assert len(calls) == 2
    for call in calls:
        assert "--universal" in call
        assert "--generate-hashes" in call
        assert "--no-emit-index-url" in call


def test_the_commit_hooks_can_be_installed(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".pre-commit-config.yaml", tmp_path)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    hooks = [sys.executable, "-m", "pre_commit"]
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")}
    subprocess.run(
        [*hooks, "validate-config", "--", ".pre-commit-config.yaml"],
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    subprocess.run([*hooks, "install"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / ".git/hooks/pre-commit").exists()

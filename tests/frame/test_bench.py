"""A missed bound, too few samples and a figure that is not there fail the check; the figures are kept."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.frame.programs import ROOT, run_script

TARGET = """
[[target]]
name = "{name}"
command = "{program}"
figure = "{figure}"
bound = "{bound}"
unit = "ms"
samples = {samples}
issue = 2
"""

README = "# Figures\n\n<!-- tables: written by script/bench -->\n<!-- end of tables -->\n\nafter\n"


class Bench:
    """A bench folder with one program, which prints what it is given."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows = ""
        (root / "README.md").write_text(README, encoding="utf-8")

    def prints(self, last_line: str, exit_code: int = 0) -> None:
        source = f"import sys\nprint('warming up')\nprint({last_line!r})\nsys.exit({exit_code})\n"
        (self.root / "program.py").write_text(source, encoding="utf-8")

    def wants(self, figure: str, bound: str, samples: int = 1) -> None:
        program = self.root / "program.py"
        self.rows += TARGET.format(name="echo", program=program, figure=figure, bound=bound, samples=samples)
        (self.root / "targets.toml").write_text(self.rows, encoding="utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_script("bench", "--bench", self.root, *arguments)

    def kept(self) -> dict[str, object]:
        kept: dict[str, object] = json.loads((self.root / "results/echo.json").read_text(encoding="utf-8"))
        return kept


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_bound_that_is_met_passes(bench: Bench) -> None:
    bench.wants("delay_ms_p95", "<= 10")
    bench.wants("same", "== true")
    bench.prints('{"delay_ms_p95": 9.5, "same": true, "raw_ms": [9, 10]}')
    ended = bench.run("--check", "echo")
    assert ended.returncode == 0, ended.stderr
    assert "warming up" in ended.stderr
    assert [line.split()[-1] for line in ended.stdout.splitlines()] == ["verdict", "met", "met"]


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ('{"delay_ms_p95": 10.1, "samples": 40}', "MISSED"),
        ('{"delay_ms_p95": 9, "samples": 39}', "too few samples (39 of 40)"),
        ('{"delay_ms_p95": 9, "samples": {"delay_ms_p95": 3}}', "too few samples (3 of 40)"),
        ('{"other": 9, "samples": 40}', "not measured"),
    ],
)
def test_a_bound_that_is_not_met_fails_the_check_and_only_the_check(
    bench: Bench, figures: str, verdict: str
) -> None:
    bench.wants("delay_ms_p95", "<= 10", samples=40)
    bench.prints(figures)
    ended = bench.run("--check", "echo")
    assert ended.returncode == 1
    assert verdict in ended.stdout
    assert bench.run("echo").returncode == 0


def test_a_figure_may_lie_deeper(bench: Bench) -> None:
    bench.wants("voice_to_voice_ms.p50", "<= 10")
    bench.prints('{"voice_to_voice_ms": {"p50": 3}}')
    assert bench.run("--check", "echo").returncode == 0


def test_the_raw_figures_are_kept_with_machine_date_and_revision(bench: Bench) -> None:
    bench.wants("delay_ms_p95", "<= 10")
    bench.prints('{"delay_ms_p95": 3, "raw_ms": [1, 2, 3]}')
    bench.run("echo")
    kept = bench.kept()
    assert list(kept) == ["name", "date", "revision", "machine", "runs"]
    assert kept["runs"] == {str(bench.root / "program.py"): {"delay_ms_p95": 3, "raw_ms": [1, 2, 3]}}
    readme = (bench.root / "README.md").read_text(encoding="utf-8")
    assert "| delay_ms_p95 | 3 | <= 10 | ms | 1 | met |" in readme
    assert readme.endswith("\nafter\n")


def test_nothing_is_kept_when_asked_not_to(bench: Bench) -> None:
    bench.wants("delay_ms_p95", "<= 10")
    bench.prints('{"delay_ms_p95": 3}')
    ended = bench.run("--no-keep", "--json", "echo")
    assert json.loads(ended.stdout)["verdicts"]["delay_ms_p95"]["verdict"] == "met"
    assert not (bench.root / "results").exists()


@pytest.mark.parametrize(("line", "exit_code"), [("no figures", 0), ("[1]", 0), ('{"delay_ms_p95": 3}', 3)])
def test_a_program_that_fails_or_prints_no_figures_is_an_error(
    bench: Bench, line: str, exit_code: int
) -> None:
    bench.wants("delay_ms_p95", "<= 10")
    bench.prints(line, exit_code)
    ended = bench.run("--check", "echo")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("bench: ")


def test_an_unknown_benchmark_is_answered_with_the_known_ones(bench: Bench) -> None:
    bench.wants("delay_ms_p95", "<= 10")
    ended = bench.run("nope")
    assert ended.returncode == 2
    assert ended.stderr == "bench: there is no benchmark 'nope'; there are: echo\n"


def test_our_own_targets_can_be_read_and_name_their_programs() -> None:
    assert run_script("bench", "--list").returncode == 0
    targets = tomllib.loads((ROOT / "bench/targets.toml").read_text(encoding="utf-8"))["target"]
    missing = {each["command"] for each in targets if not (ROOT / each["command"].split()[0]).exists()}
    assert not missing


def test_the_tables_in_the_readme_are_those_of_the_kept_figures(tmp_path: Path) -> None:
    for name in ["README.md", "targets.toml"]:
        (tmp_path / name).write_text((ROOT / "bench" / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "results").mkdir()
    for kept in (ROOT / "bench/results").glob("*.json"):
        (tmp_path / "results" / kept.name).write_text(kept.read_text(encoding="utf-8"), encoding="utf-8")
    assert run_script("bench", "--bench", tmp_path, "--write-readme").returncode == 0
    written = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert written == (ROOT / "bench/README.md").read_text(encoding="utf-8"), (
        "run script/bench --write-readme"
    )

"""Runs a benchmark from bench/targets.toml, prints its table and keeps its raw figures.

script/bench NAME            run it and print the table
script/bench --check NAME    that, and exit 1 when a bound is missed or rests on too few samples
script/bench --list          what there is
script/bench --write-readme  write the tables of the kept figures into bench/README.md (each run does so too)
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import platform
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BEGIN = "<!-- tables: written by script/bench -->"
END = "<!-- end of tables -->"

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
}


class BenchError(Exception):
    """The benchmark could not be run, or what it printed is not what was agreed."""


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    command: str
    figure: str
    bound: str
    unit: str
    samples: int
    issue: int


@dataclass(frozen=True, slots=True)
class Row:
    target: Target
    figure: Any
    samples: int

    @property
    def verdict(self) -> str:
        """What the figure is to its bound: met, missed, too few samples, or not measured."""
        if self.figure is None:
            return "not measured"
        if not is_within(self.figure, self.target.bound):
            return "MISSED"
        if self.samples < self.target.samples:
            return f"too few samples ({self.samples} of {self.target.samples})"
        return "met"


def is_within(figure: Any, bound: str) -> bool:
    comparison, _, limit = bound.partition(" ")
    return COMPARISONS[comparison](figure, json.loads(limit))


def read_targets(path: Path) -> list[Target]:
    targets = [Target(**row) for row in tomllib.loads(path.read_text(encoding="utf-8"))["target"]]
    for target in targets:
        is_within(0, target.bound)  # a bound that cannot be read is found here, and not after a long run
    return targets


def reach(figures: Mapping[str, Any], key: str) -> Any:
    found: Any = figures
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def rows_of(targets: Sequence[Target], runs: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    rows = []
    for target in targets:
        figures = runs.get(target.command, {})
        samples = figures.get("samples", 1 if figures else 0)
        if isinstance(samples, Mapping):
            samples = samples.get(target.figure, 0)
        rows.append(Row(target, reach(figures, target.figure), int(samples)))
    return rows


# --- running ---------------------------------------------------------------------------------------------------


def run(command: str) -> dict[str, Any]:
    """The figures a program prints as the last line of its output; what it prints before is passed on."""
    words = shlex.split(command)
    if words[0].endswith(".py"):
        words.insert(0, sys.executable)
    # With the root on the path the programs may share modules of bench/.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")])),
    }
    try:
        ended = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    except OSError as error:
        raise BenchError(f"cannot run `{command}`: {error.strerror}") from error
    *before, last = ended.stdout.splitlines() or [""]
    for line in before:
        print(line, file=sys.stderr)
    if ended.returncode != 0:
        raise BenchError(f"`{command}` ended with exit code {ended.returncode}: {last}")
    try:
        figures = json.loads(last)
    except ValueError:
        figures = None
    if not isinstance(figures, dict):
        raise BenchError(f"the last line of `{command}` is not a JSON object: {last[:200]}")
    return figures


def machine() -> dict[str, Any]:
    """What the figures were measured on; no names of hosts or people."""
    cpu = platform.processor() or platform.machine()
    memory_mb = None
    try:
        found = re.search(
            r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE
        )
        cpu = found.group(1) if found else cpu
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (OSError, ValueError):
        pass  # not Linux; the rest still says enough
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": memory_mb,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def revision() -> str:
    """The commit the figures belong to, with a plus sign when the tree held more than that."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        ).stdout
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--", "src", "bench/*.py"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.strip() + ("+" if changes.strip() else "")


# --- showing ---------------------------------------------------------------------------------------------------


def show(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return "-" if value is None else str(value)


def cells(rows: Sequence[Row]) -> list[list[str]]:
    head = ["figure", "measured", "bound", "unit", "samples", "verdict"]
    return [head] + [
        [
            row.target.figure,
            show(row.figure),
            row.target.bound,
            row.target.unit,
            str(row.samples),
            row.verdict,
        ]
        for row in rows
    ]


def text_table(rows: Sequence[Row]) -> str:
    lines = cells(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(targets: Sequence[Target], results: Path) -> str:
    """The tables of all the figures that are kept, in the order of the targets."""
    parts = []
    for name in dict.fromkeys(target.name for target in targets):
        own = [target for target in targets if target.name == name]
        kept = results / f"{name}.json"
        parts.append(f"### {name}\n")
        runs: dict[str, Any] = {}
        if kept.exists():
            stored = json.loads(kept.read_text(encoding="utf-8"))
            runs = stored["runs"]
            on = stored["machine"]
            memory = f", {round(on['memory_mb'] / 1024)} GiB" if on["memory_mb"] else ""
            parts.append(
                f"{stored['date']}, revision {stored['revision']}, on {on['cores']} cores of {on['cpu']}{memory}, "
                f"{on['system']}, Python {on['python']}\n"
            )
        else:
            parts.append(f"Not measured yet: `script/bench {name}`\n")
        head, *body = cells(rows_of(own, runs))
        parts += ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
        parts += ["| " + " | ".join(line) + " |" for line in body]
        parts.append("")
    return "\n".join(parts).rstrip()


def write_readme(readme: Path, tables: str) -> None:
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"{readme} has lost its markers: {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="the benchmark to run")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bound is missed")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and their bounds")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--no-keep", action="store_true", help="leave the kept figures and the README as they are"
    )
    parser.add_argument("--write-readme", action="store_true", help="only write the tables anew")
    parser.add_argument(
        "--bench", type=Path, default=Path("bench"), help="the folder of targets, results and README"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    bench: Path = options.bench
    targets = read_targets(bench / "targets.toml")
    try:
        if options.list:
            for target in targets:
                print(f"{target.name:14s} {target.figure} {target.bound} {target.unit}".rstrip())
            return 0
        if options.write_readme:
            write_readme(bench / "README.md", markdown(targets, bench / "results"))
            return 0
        return measure(options, targets)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


def measure(options: argparse.Namespace, targets: Sequence[Target]) -> int:
    own = [target for target in targets if target.name == options.name]
    if not own:
        names = ", ".join(dict.fromkeys(target.name for target in targets))
        raise BenchError(f"there is no benchmark {options.name!r}; there are: {names}")
    runs = {command: run(command) for command in dict.fromkeys(target.command for target in own)}
    rows = rows_of(own, runs)
    kept = {
        "name": options.name,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": revision(),
        "machine": machine(),
        "runs": runs,
    }
    if not options.no_keep:
        results: Path = options.bench / "results"
        results.mkdir(exist_ok=True)
        (results / f"{options.name}.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        write_readme(options.bench / "README.md", markdown(targets, results))
    if options.json:
        verdicts = {
            row.target.figure: {"figure": row.figure, "bound": row.target.bound, "verdict": row.verdict}
            for row in rows
        }
        print(json.dumps({**kept, "verdicts": verdicts}))
    else:
        print(text_table(rows))
    return 1 if options.check and any(row.verdict != "met" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

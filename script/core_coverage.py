"""Fails when a module of core is not wholly covered, lines and branches, by its own test file.

`src/aywa/core/turns/endpointing.py` belongs to `tests/core/turns/test_endpointing.py`. It reads the last coverage run,
in which tests/conftest.py recorded the test file as the context of every line. A module without a function (records,
constants) needs no test file.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import coverage

CORE = Path("src/aywa/core")


def says_something(path: Path) -> bool:
    """Whether there is a function in it: records and constants are covered by being imported."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    return any(isinstance(node, functions) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def own_test(module: Path, core: Path) -> Path:
    inside = module.relative_to(core)
    name = inside.parent.name if inside.stem == "__init__" else inside.stem
    return Path("tests/core") / inside.parent / f"test_{name}.py"


def uncovered(data_file: Path, module: Path, test: Path) -> tuple[list[int], list[list[int]]]:
    """The lines and branches of the module that its own tests (and being imported) do not reach."""
    measured = coverage.Coverage(data_file=str(data_file))
    measured.load()
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        # The empty context is what runs while modules are imported.
        measured.json_report(
            morfs=[str(module)], contexts=[f"^{re.escape(test.as_posix())}$", "^$"], outfile=report.name
        )
        found: dict[str, Any] = json.loads(Path(report.name).read_text(encoding="utf-8"))
    file = next(iter(found["files"].values()))
    return file["missing_lines"], file["missing_branches"]


def complaint(data_file: Path, module: Path, core: Path) -> str | None:
    test = own_test(module, core)
    if not test.exists():
        return f"{module}: has no test file of its own; write {test}"
    try:
        lines, branches = uncovered(data_file, module, test)
    except coverage.exceptions.NoDataError:
        return f"{module}: was never run"
    missing = [spans(lines)] if lines else []
    missing += [f"{start}->{'exit' if end < 0 else end}" for start, end in branches if start not in lines]
    return f"{module}: {test} does not reach {', '.join(missing)}" if missing else None


def spans(lines: list[int]) -> str:
    """3, 4, 5, 9 as 3-5, 9."""
    groups: list[list[int]] = []
    for line in lines:
        if groups and groups[-1][-1] == line - 1:
            groups[-1].append(line)
        else:
            groups.append([line])
    return ", ".join(str(each[0]) if len(each) == 1 else f"{each[0]}-{each[-1]}" for each in groups)


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/core_coverage", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(".coverage"), help="the coverage data to read (.coverage)"
    )
    options = parser.parse_args()
    if not options.data.exists():
        print("core coverage: there is no coverage run to read; make one with: script/test", file=sys.stderr)
        return 1
    modules = [path for path in sorted(CORE.rglob("*.py")) if says_something(path)]
    complaints = [each for each in (complaint(options.data, module, CORE) for module in modules) if each]
    print(
        f"core coverage: {len(modules) - len(complaints)} of {len(modules)} modules are covered by their own test file"
    )
    for each in complaints:
        print(f"  {each}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

"""What must not stand in the repository, and what the locks must hold."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frame.programs import ROOT

# Put together here, so that this file does not hold what it looks for.
HOSTS = [
    ".".join(parts)
    for parts in [
        ("py" + "pi", "org"),
        ("python" + "hosted", "org"),
        ("npm" + "js", "org"),
        ("npm" + "js", "com"),
    ]
]
MACHINE_PATHS = [f"/{first}/" for first in ["ro" + "ot", "wo" + "rk"]] + ["/op" + "t/py" + "pi"]
FORBIDDEN = re.compile(
    "|".join([*map(re.escape, HOSTS), *(rf"(?<![\w.}}/-]){path}" for path in MACHINE_PATHS)])
)

LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-dev.lock"]


def repository_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_registry_host_or_a_path_of_somebodys_machine() -> None:
    found: list[str] = []
    for path in repository_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not a text
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in FORBIDDEN.finditer(text)]
    assert found == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_carries_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    requirements = [each for each in re.split(r"(?<!\\)\n", text) if each and not each.startswith("#")]
    assert len(requirements) > 20
    assert [each.split()[0] for each in requirements if "--hash=sha256:" not in each] == []


def test_the_development_lock_holds_the_runtime_at_the_same_versions() -> None:
    pins = [set(re.findall(r"^(\S+==\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)) for lock in LOCKS]
    assert pins[0] <= pins[1]


def test_the_scripts_can_be_run_and_are_posix_shell() -> None:
    scripts = [path for path in (ROOT / "script").iterdir() if path.is_file() and path.suffix != ".py"] + [
        ROOT / ".ci/run"
    ]
    assert len(scripts) >= 9
    for path in scripts:
        assert os.access(path, os.X_OK), path
        assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n"), path
        subprocess.run(["sh", "-n", str(path)], check=True)


def test_core_imports_only_the_standard_library_numpy_and_itself() -> None:
    """The contract in pyproject.toml lists what core must not touch; this says what it may, so that nothing slips through."""
    strangers: list[str] = []
    for path in sorted((ROOT / "src/aywa/core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "numpy" and not name.startswith("aywa.core"):
                    strangers.append(f"{path.relative_to(ROOT)}: {name}")
    assert strangers == []


def test_core_may_spell_a_date_but_never_asks_for_today() -> None:
    """`datetime` is allowed in core for writing times down; what reads the clock through it is not."""
    asked = re.compile(r"\b(?:datetime|date)\.(?:now|utcnow|today)\(")
    assert [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "src/aywa/core").rglob("*.py"))
        if asked.search(path.read_text(encoding="utf-8"))
    ] == []

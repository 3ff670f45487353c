"""Runs the programs under script/ as a person would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_script(name: str, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs script/NAME.py with this interpreter, without the set-up that its launcher would do first."""
    return subprocess.run(
        [sys.executable, str(ROOT / "script" / f"{name}.py"), *map(str, arguments)],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if not key.startswith("COV")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

"""schemathesis on /openapi.json: every operation, all checks, positive and negative data, and sequences of operations."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATHS = f"{ROOT / 'src'}:{ROOT}"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The API as a process: url, key, ids."""
    command = [sys.executable, "-m", "tests.schema.served", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": PATHS}, stdout=subprocess.PIPE
    ) as server:
        try:
            assert server.stdout is not None
            yield json.loads(server.stdout.readline())
        finally:
            server.terminate()


def _run(served: dict[str, Any], folder: Path, phases: str, examples: int) -> tuple[int, str]:
    environment = os.environ | {
        "PYTHONPATH": PATHS,
        "SCHEMATHESIS_HOOKS": "tests.schema.hooks",
        "AYWA_SCHEMA_IDS": json.dumps(served["ids"]),
    }
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
        *("--no-color", "run", f"{served['url']}/openapi.json"),
        *("-H", f"Authorization: Bearer {served['key']}", "--phases", phases),
        *("-n", str(examples), "--seed", "1", "--no-shrink", "--suppress-health-check", "all"),
    ]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3600, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_no_operation_breaks_its_description(served: dict[str, Any], tmp_path: Path) -> None:
    code, said = _run(served, tmp_path, "fuzzing,stateful", 2)
    assert code == 0, said[-8000:]
    assert re.search(r"(\d{3,}) generated, \1 passed", said), said[-2000:]
    assert "Stateful" in said


@pytest.mark.all
def test_no_operation_breaks_its_description_at_length(served: dict[str, Any], tmp_path: Path) -> None:
    code, said = _run(served, tmp_path, "fuzzing,stateful", 15)
    assert code == 0, said[-8000:]

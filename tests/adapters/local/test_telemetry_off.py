"""The library that runs the models is not to tell its maker, whatever it is that imports it first. The proof by packets is in
tests/e2e/test_egress.py."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import aywa
from aywa.adapters.models.cache import models_dir

SOURCE = Path(aywa.__file__).parent
OWN = SOURCE / "adapters" / "local"
OPENS = """
import os, sys
from pathlib import Path
from aywa.adapters.local.{module} import *
assert "onnxruntime" in sys.modules, "not the module that imports it"
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
from aywa.adapters.local.onnx import session
session(Path(sys.argv[1]))
"""


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_nothing_else_imports_the_library() -> None:
    importing = {file for file in SOURCE.rglob("*.py") if imports(file) & {"onnxruntime", "hibari"}}
    assert importing
    assert {file.parent for file in importing} == {OWN}


@pytest.mark.parametrize("module", ["onnx", "moonshine"])
def test_a_model_leaves_nothing_with_the_user_of_the_machine(module: str, tmp_path: Path) -> None:
    # Whoever runs the tests may have it off himself, and so has a CI.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": "0"}
    done = subprocess.run(
        [sys.executable, "-c", OPENS.format(module=module), str(models_dir() / "silero" / "silero_vad.onnx")],
        env=environment | {"PYTHONPATH": str(SOURCE.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []

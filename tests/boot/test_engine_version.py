"""The engine's version follows the code that decides."""

from __future__ import annotations

from pathlib import Path

import pytest

import aywa.core
from aywa.boot.engine_version import engine_version


def test_another_rule_is_another_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = engine_version()
    assert here.startswith(f"{aywa.__version__}+")
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr(aywa.core, "__file__", str(tmp_path / "__init__.py"))
    versions = set()
    for rule in ("WAIT_S = 0.4", "WAIT_S = 0.5", "WAIT_S = 0.4"):
        (tmp_path / "rule.py").write_text(rule)
        engine_version.cache_clear()
        versions.add(engine_version())
    monkeypatch.undo()
    engine_version.cache_clear()
    assert len(versions) == 2
    assert here not in versions
    assert engine_version() == here

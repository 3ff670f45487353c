"""What went wrong is written down, without what a secret may stand in; and never holds anything up."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from aywa.boot.log_file import BYTES_MAX, LINE_MAX, LogFile
from aywa.boot.logs import configure_logs


def lines(folder: Path, name: str = "runtime.log") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Path]:
    configure_logs(tmp_path)
    yield tmp_path
    structlog.reset_defaults()


def test_warnings_and_worse_are_kept(logs: Path) -> None:
    log = structlog.get_logger("aywa.test")
    log.info("all_is_well")
    log.warning("it_failed", code="refused", api_key="planted")
    log.error("it_broke", times=3)
    found = lines(logs)
    assert [(line["event"], line["level"]) for line in found] == [
        ("it_failed", "warning"),
        ("it_broke", "error"),
    ]
    assert found[0]["api_key"] == "[hidden]"
    assert stat.S_IMODE((logs / "runtime.log").stat().st_mode) == 0o600


def test_of_an_exception_only_where_it_came_from(logs: Path) -> None:
    try:
        raise ValueError("planted words of a caller")
    except ValueError:
        structlog.get_logger("aywa.test").exception("it_broke")
    [line] = lines(logs)
    assert line["exception"] == "ValueError"
    assert line["frames"][-1].startswith("test_log_file.py:")
    assert "planted" not in (logs / "runtime.log").read_text()


def event(**more: Any) -> dict[str, Any]:
    return {"event": "it_failed", "level": "warning", **more}


def test_two_files_of_a_bounded_size(tmp_path: Path) -> None:
    keep = LogFile(tmp_path)
    for number in range(2 * BYTES_MAX // 10_000 + 20):
        assert keep(None, "warning", event(number=number, text="x" * 10_000))
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"runtime.log", "runtime.log.1"}
    assert max(sizes.values()) <= BYTES_MAX + LINE_MAX


def test_what_cannot_be_written_is_not(tmp_path: Path) -> None:
    keep = LogFile(tmp_path / "gone")
    told = event()
    assert keep(None, "warning", told) is told
    keep = LogFile(tmp_path)
    loop: dict[str, Any] = {}
    loop["itself"] = loop
    for odd in (event(loop=loop), event(text="x" * LINE_MAX), {"event": "x", "level": "debug"}):
        assert keep(None, "warning", odd) is odd
    assert not (tmp_path / "runtime.log").exists()
    assert keep(None, "warning", event(what=object(), exc_info=True))
    assert lines(tmp_path)[0]["what"] == "object"

"""The file, and a short measurement with a real runtime."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aywa.boot import capacity
from aywa.boot.capacity_file import FILE, Capacity, capacity_in, keep, measured_calls
from aywa.cli import app
from aywa.core.capacity import Search, Trial
from tests.e2e.client import QUIET, api
from tests.e2e.dev import Dev, started


def test_what_was_measured_holds_on_this_machine_only(tmp_path: Path) -> None:
    assert measured_calls(tmp_path) is None
    kept = keep(tmp_path / "data", 40)
    assert capacity_in(tmp_path / "data") == kept
    assert (kept.calls, kept.cores) == (40, os.cpu_count())
    assert measured_calls(tmp_path / "data") == 40
    file = tmp_path / "data" / FILE
    for wrong in ('{"calls": 5}', "[]", "none", json.dumps(json.loads(file.read_text()) | {"cores": 999})):
        file.write_text(wrong)
        assert measured_calls(tmp_path / "data") is None
    file.write_text(json.dumps(json.loads('{"calls": 0, "cores": 1, "measured_at": "", "version": ""}')))
    assert measured_calls(tmp_path / "data") is None
    assert Capacity(1, 1, "", "").calls == 1


@pytest.mark.all
async def test_calls_are_measured_at_a_real_runtime() -> None:
    told: list[Trial] = []
    search = await capacity.measure(told.append, most=2, trial_s=1.0)
    assert told == search.trials
    assert told[0].calls == 2
    assert told[0].failed == 0
    assert 15 < told[0].gap_ms < 10_000
    assert 0 < told[0].cpu < 2


@pytest.mark.parametrize(
    ("carries", "code", "said"), [(20, 0, "carries 20 calls"), (0, 1, "carries no calls")]
)
def test_what_is_found_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, carries: int, code: int, said: str
) -> None:
    async def measured(tell: Callable[[Trial], None], most: int, trial_s: float) -> Search:
        search = Search(most=most)
        while (calls := search.next) is not None:
            trial = Trial(calls, 20.0 if calls <= carries else 400.0, 0.5, failed=calls > 30)
            tell(trial)
            search.take(trial)
        return search

    monkeypatch.setattr(capacity, "measure", measured)
    monkeypatch.setenv("AYWA_HOME", str(tmp_path / "home"))
    ran = CliRunner().invoke(app, ["bench", "--most", "100", "--no-keep"])
    assert (ran.exit_code, said in ran.output) == (code, True), ran.output
    assert measured_calls(tmp_path / "home") is None
    ran = CliRunner().invoke(app, ["bench"])
    assert measured_calls(tmp_path / "home") == (carries or None)
    assert "too many" in ran.output


@pytest.mark.all
async def test_beyond_it_a_call_is_refused_to_come_again(tmp_path: Path) -> None:
    dev = Dev(tmp_path / "home", environment={"RUNTIME_SIP_ENABLED": "false"})
    keep(dev.home, 1)
    with started(dev):
        async with api(dev.url, dev.key) as caller:
            await caller.place(QUIET)
            body = {"assistant": dict(QUIET), "transport": {"provider": "vapi.websocket"}}
            async with caller.http.post(f"{caller.url}/call", json=body) as answer:
                assert (answer.status, bool(answer.headers["Retry-After"])) == (503, True)
                assert "aywa bench" in (await answer.json())["message"]

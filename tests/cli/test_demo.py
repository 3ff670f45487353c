"""What `aywa demo` prints and how it exits, with the call itself made by hand. The real thing: tests/e2e/test_demo.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aywa.boot import demo as boot_demo
from aywa.boot.demo import Demo, Target
from aywa.cli import app
from aywa.ports.errors import Fault, ProviderError
from aywa.testing.caller import NoRuntime, Placed
from aywa.testing.runtime import RuntimeFailed
from aywa.testing.scorecard import score
from aywa.testing.truth import Verdict
from aywa.testing.wire import Kind, Record
from tests.testing.test_wire import Call

Made = list[tuple[Target | None, Sequence[str]]]


def made(record: Record, *verdicts: Verdict, rss_mb: float | None = 123.4) -> Demo:
    return Demo(score([record], verdicts), verdicts, Placed("call-7", record, {}, 1000), rss_mb)


def good() -> Demo:
    call = Call(closed_s=9.0).hears(0.5, 1.0).says(2.0, 3.0, label="why?").hears(3.6, 5.0)
    return made(call.says(4.9, 5.9, Kind.BARGE_IN, "stop").hears(6.5, 7.0).record, Verdict("a b", "a b", 0))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Made:
    """What would have been called; the outcome is in `outcome`."""
    for name in ("AYWA_URL", "AYWA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AYWA_HOME", str(tmp_path))
    return []


@pytest.fixture
def demo(calls: Made, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(outcome: Demo | Exception, *words: str, running: bool = False) -> Result:
        def instead(target: Target | None, options: Sequence[str], tell: Callable[[str], None]) -> Demo:
            calls.append((target, options))
            tell("calling")
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        async def is_running(_: str) -> bool:
            return running

        monkeypatch.setattr(boot_demo, "run_blocking", instead)
        monkeypatch.setattr(boot_demo, "running", is_running)
        return CliRunner().invoke(app, ["demo", *words], catch_exceptions=False)

    return run


def test_a_good_call_as_json(demo: Callable[..., Result], calls: Made) -> None:
    result = demo(good(), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "turns": 2,
        "voice_to_voice_ms": {"p50": 600, "p95": 600},
        "barge_in_stop_ms": 100,
        "false_cutoffs": 0,
        "unexplained_gaps": 0,
        "heard_truth_errors": 0,
        "peak_rss_mb": 123,
        "call_ids": ["call-7"],
    }
    assert result.stderr == "calling\n"
    assert calls == [(None, [])]


def test_a_good_call_for_people(demo: Callable[..., Result]) -> None:
    result = demo(good())
    assert result.exit_code == 0
    for words in (
        "why?",
        "2 of 2",
        "600 / 600 ms",
        "123 MB",
        "All promises were kept.",
        "aywa timeline call-7",
    ):
        assert words in result.stdout


def test_broken_promises_are_named_with_their_place(demo: Callable[..., Result]) -> None:
    call = Call(closed_s=20.0).hears(0.5, 1.0).says(2.0, 4.0, label="long").hears(3.0, 3.2)
    result = demo(made(call.record, Verdict("a b c", "a", 2), rss_mb=None), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["peak_rss_mb"] is None
    for words in (
        "broken: the caller was cut off once",
        "cut off in 'long', 1.0 s into it, at 3.0 s of the call",
        "silent for 16.0 s from 4.0 s of the call",
        "history: 'a b c'\n  heard:   'a'",
    ):
        assert words in result.stderr
    shown = demo(made(call.record))
    assert "A promise was broken." in shown.stdout


def test_the_larger_model_may_think_longer(demo: Callable[..., Result], calls: Made) -> None:
    slow = made(Call(closed_s=9.0).hears(0.5, 1.0).says(2.0, 3.0).hears(5.5, 6.0).record)
    assert demo(slow).exit_code == 1
    assert demo(slow, "--quality").exit_code == 0
    assert calls[-1] == (None, ["--quality"])


def test_calls_the_one_that_runs_unless_another_is_wanted(demo: Callable[..., Result], calls: Made) -> None:
    demo(good(), "--key", "k", running=True)
    demo(good(), "--tiny", running=True)
    demo(good(), "--url", "http://there:1/")
    here, there = "http://127.0.0.1:8080", "http://there:1"
    assert calls == [(Target(here, "k"), []), (None, ["--tiny"]), (Target(there, ""), [])]


def test_two_sizes_are_one_too_many(demo: Callable[..., Result]) -> None:
    assert demo(good(), "--tiny", "--quality").exit_code == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoRuntime("http://x", "refused"), "no runtime answers at http://x (refused); start one with script/run"),
        (RuntimeFailed("`aywa dev` ended"), "`aywa dev` ended"),
        (ProviderError("models", "model_missing", "m is missing", fault=Fault.CONFIG, retryable=False, mend="pull"),
         "m is missing (pull)"),
    ],
)  # fmt: skip
def test_a_failure_is_one_line(demo: Callable[..., Result], error: Exception, words: str) -> None:
    result = demo(error)
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()[1:]
    assert line.startswith("aywa demo: ")
    assert words in line

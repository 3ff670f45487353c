"""The figures of a process: tapped from the journal, asked of its parts, watched over the loop; and they hold up nobody."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aywa.api.settings import ApiSettings
from aywa.boot import metrics as module
from aywa.boot.metrics import CHECK_EVERY_S, FRESH_S, LAG_EVERY_S, Metrics
from aywa.boot.metrics_wiring import metrics_settings
from aywa.boot.rehearsal import RecordedJournal
from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.metrics import catalogue as the
from aywa.core.metrics.requests import ProviderRequest
from aywa.testing.virtual_time import VirtualTimeLoop


async def values(metrics: Metrics) -> dict[str, float]:
    """Those without labels by their name, the others with them behind it."""
    told: dict[str, Any] = json.loads(await metrics.json())
    return {
        " ".join((sample["name"], *map(str, sample["labels"].values()))): sample["value"]
        for metric in told["metrics"]
        for sample in metric["samples"]
    }


@pytest.fixture
async def metrics() -> AsyncIterator[Metrics]:
    made = Metrics(asyncio.get_running_loop().time)
    made.start()
    yield made
    await made.close()


@pytest.mark.virtual_time
async def test_what_is_put_down_is_counted_and_put_down(metrics: Metrics) -> None:
    kept = RecordedJournal()
    journal = metrics.tap(kept)
    journal.append("call", "org", 1, 0.0, "event", "CallStarted", ev.CallStarted("call", "org", 0))
    journal.append("call", "org", 2, 1.0, "event", "VoiceStarted", ev.VoiceStarted("leg", 1.0))
    journal.append("call", "org", 3, 2.0, "command", "RecordTurn", do.RecordTurn(1, 1, 700.0, {}, 730.0))
    assert [record.kind for record in kept.records] == ["CallStarted", "VoiceStarted", "RecordTurn"]
    told = await values(metrics)
    assert told["aywa_calls_started_total"] == 1
    assert told["aywa_turn_wire_seconds_sum"] == 0.73


@pytest.mark.virtual_time
async def test_whatever_a_record_holds_the_call_goes_on(metrics: Metrics) -> None:
    kept = RecordedJournal()
    journal = metrics.tap(kept)
    for number in range(3):
        journal.append("call", "org", number, 0.0, "command", "RecordTurn", {"latency_ms": "nonsense"})
    journal.append("call", "org", 4, 0.0, "event", "CallStarted", {})
    assert len(kept.records) == 4
    assert (await values(metrics))["aywa_calls_started_total"] == 1


@pytest.mark.virtual_time
async def test_requests_to_providers_are_told(metrics: Metrics) -> None:
    watch = metrics.watch("call")
    watch(ProviderRequest("llm", "openai/gpt-4.1", 1.0, 2.0, 0.3))
    watch(ProviderRequest("llm", "openai/gpt-4.1", 3.0, 4.0, None, "deadline"))
    told = await values(metrics)
    assert told["aywa_provider_requests_total llm openai answered"] == 1
    assert told["aywa_provider_errors_total llm openai deadline"] == 1


@pytest.mark.virtual_time
async def test_any_number_of_readers_costs_one_look_a_second(metrics: Metrics) -> None:
    asked: list[float] = []
    loop = asyncio.get_running_loop()

    def count() -> float:
        asked.append(loop.time())
        return float(len(asked))

    metrics.read(the.CALLS_MAX, count)
    pages = await asyncio.gather(*(metrics.text() for _ in range(20)))
    assert len(set(pages)) == 1
    await asyncio.sleep(FRESH_S + 0.001)
    assert await metrics.text() not in pages
    assert len(asked) == 2


@pytest.mark.virtual_time
async def test_a_part_that_breaks_hides_no_other(metrics: Metrics) -> None:
    def broken() -> float:
        raise RuntimeError("gone")

    async def unreachable() -> None:
        raise OSError("gone")

    looked: list[int] = []

    async def well() -> None:
        looked.append(1)

    metrics.read(the.CALLS_MAX, broken)
    metrics.read(the.WEBHOOK_BACKLOG, lambda: 7.0)
    metrics.look("one", unreachable)
    metrics.look("other", well)
    await asyncio.sleep(2 * CHECK_EVERY_S + 0.1)
    told = await values(metrics)
    assert "aywa_calls_max" not in told
    assert told["aywa_webhook_backlog"] == 7
    assert len(looked) == 2


@pytest.mark.virtual_time
async def test_a_loop_that_is_held_up_is_seen_late(metrics: Metrics) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    await asyncio.sleep(LAG_EVERY_S / 2)
    loop.hold_up(0.3)
    await asyncio.sleep(FRESH_S)
    told = await values(metrics)
    assert told["aywa_loop_lag_seconds_sum"] == pytest.approx(0.25)
    assert told["aywa_loop_lag_seconds_bucket 0.1"] == told["aywa_loop_lag_seconds_count"] - 1


async def test_the_collectors_pauses_are_timed_in_whatever_thread(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    await asyncio.to_thread(gc.collect)
    told: Mapping[str, float] = {}
    deadline_s = time.monotonic() + 10
    while "aywa_gc_pause_seconds_count 2" not in told:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(LAG_EVERY_S)
        told = await values(metrics)
    assert told["aywa_gc_pause_seconds_sum 2"] > 0
    assert told["aywa_tasks"] >= 3


async def test_after_its_end_nothing_is_watched() -> None:
    metrics, before = Metrics(asyncio.get_running_loop().time), list(gc.callbacks)
    metrics.start()
    assert len(gc.callbacks) == len(before) + 1
    await metrics.close()
    await metrics.close()
    assert gc.callbacks == before


async def test_the_disk_and_the_release_are_shown(metrics: Metrics, tmp_path: Path) -> None:
    metrics.disk(tmp_path)
    told = await values(metrics)
    assert told["aywa_disk_free_bytes"] > 0
    assert [name for name in told if name.startswith("aywa_build_info ")]
    assert abs(told["aywa_snapshot_timestamp_seconds"] - time.time()) < 60


@pytest.mark.parametrize(
    ("loopback", "environment", "is_open"),
    [
        (True, {}, True),
        (True, {"RUNTIME_ENV": "development"}, True),
        # There a proxy may stand before it, and whoever comes through it comes from this machine.
        (True, {"RUNTIME_ENV": "production"}, False),
        (False, {}, False),
    ],
)
def test_who_may_look_without_a_token(loopback: bool, environment: dict[str, str], is_open: bool) -> None:
    token = {"RUNTIME_METRICS_TOKEN": " token\n"}
    settings = metrics_settings(ApiSettings(), loopback=loopback, environment=environment | token)
    assert (settings.metrics_open, settings.metrics_token) == (is_open, "token")

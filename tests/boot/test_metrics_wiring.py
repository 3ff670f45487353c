"""What each part says when somebody looks is shown under its metric, and what is not configured is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aywa.api.health import Readiness
from aywa.boot.metrics import CHECK_EVERY_S, Metrics
from aywa.boot.metrics_wiring import Parts, wire_dependencies, wire_metrics, wire_readiness
from aywa.boot.node import NodeState
from aywa.call.router.board import HealthBoard
from aywa.core.leases import Standing
from aywa.core.route_health import BREAK_AFTER, Failure
from aywa.ports.analytics import Backlog as Untold
from aywa.ports.outbox import Backlog
from aywa.service.clock import now_ms
from aywa.service.shipper import Backlog as Shipments

pytestmark = pytest.mark.virtual_time
AN_HOUR_MS = 3_600_000


@dataclass
class Outbox:
    now: Backlog

    async def backlog(self) -> Backlog:
        return self.now


@dataclass
class Node:
    now: NodeState

    def state(self) -> NodeState:
        return self.now


@dataclass
class Shipping:
    now: Shipments

    def backlog(self) -> Shipments:
        return self.now


@dataclass
class Analytics:
    now: Untold
    teller: Any = field(default_factory=lambda: SimpleNamespace(told=SimpleNamespace(problem="it is gone")))

    async def backlog(self) -> Untold:
        return self.now


async def shown(metrics: Metrics) -> Mapping[str, float]:
    """Once the background has looked."""
    metrics.start()
    await asyncio.sleep(CHECK_EVERY_S / 2)
    told = json.loads(await metrics.json())
    await metrics.close()
    return {
        " ".join((sample["name"], *sample["labels"].values())): sample["value"]
        for metric in told["metrics"]
        for sample in metric["samples"]
    }


async def test_the_parts_of_a_runtime_are_asked(tmp_path: Path) -> None:
    board, metrics = HealthBoard(), Metrics(asyncio.get_running_loop().time)
    for name, adapter in (("openai/own-model", 1), ("groq/llama", 2)):
        board.of(name, adapter).begin(0.0)
    for _ in range(BREAK_AFTER):
        board.of("openai/own-model", 1).end(Failure("unavailable"), 0.0)
    parts: Any = {
        "host": SimpleNamespace(active=lambda: {"a": "in-progress", "b": "forwarding"}, calls_max=7),
        "journal": SimpleNamespace(lost_records=3),
        "projector": SimpleNamespace(waiting=4, left_out=5),
        "courier": SimpleNamespace(counts=SimpleNamespace(attempts=12, delivered=10, failed=1)),
        "outbox": Outbox(Backlog(6, now_ms() - AN_HOUR_MS)),
        "board": board,
        "data": tmp_path,
    }

    async def well() -> None:
        return None

    async def ill() -> str:
        return "it is gone"

    readiness = Readiness({"store": well, "media": ill, "analytics": ill}, shown=("analytics",))
    await readiness.look()
    wire_metrics(metrics, Parts(**parts))
    wire_readiness(metrics, readiness)
    told = await shown(metrics)
    statuses = {name: told[f"aywa_calls_active {name}"] for name in ("queued", "in-progress", "forwarding")}
    assert statuses == {"queued": 0, "in-progress": 1, "forwarding": 1}
    assert told["aywa_calls_max"] == 7
    assert told["aywa_journal_lost_records_total"] == 3
    assert (told["aywa_projection_waiting_batches"], told["aywa_projection_left_out_records_total"]) == (4, 5)
    assert (told["aywa_webhook_backlog"], told["aywa_webhook_attempts_total"]) == (6, 12)
    assert told["aywa_webhook_oldest_seconds"] == pytest.approx(3600, abs=60)
    assert told["aywa_webhook_deliveries_total delivered"] == 10
    assert (told["aywa_provider_circuit_open openai"], told["aywa_provider_circuit_open groq"]) == (1, 0)
    # What calls do not need is away, and not unready.
    assert {name: told[name] for name in told if name.startswith("aywa_ready")} == {
        "aywa_ready store": 1,
        "aywa_ready media": 0,
    }
    assert told["aywa_disk_free_bytes"] > 0


def dependencies(metrics: Metrics, node: NodeState, *, all_there: bool) -> None:
    shipments = Shipments(2, 90.0, "the secret is wrong", "wrong_secret", "", 1, 30, 4)
    wiring: Any = wire_dependencies
    wiring(
        metrics,
        Node(node),
        SimpleNamespace(since_ms=None),
        Shipping(shipments) if all_there else None,
        Analytics(Untold(8, now_ms() - AN_HOUR_MS)) if all_there else None,
    )


async def test_what_calls_do_not_need_is_shown_with_its_backlog() -> None:
    metrics = Metrics(asyncio.get_running_loop().time)
    state = NodeState("a", 3, Standing.LAPSED, {"b": 4.0, "c": 9.5}, "no answer", 7.0, 2)
    dependencies(metrics, state, all_there=True)
    told = await shown(metrics)
    assert {name: told[f"aywa_lease_standing {name}"] for name in ("held", "lapsed", "usurped")} == {
        "held": 0,
        "lapsed": 1,
        "usurped": 0,
    }
    assert (told["aywa_nodes_other"], told["aywa_node_silent_seconds"]) == (2, 9.5)
    assert (told["aywa_calls_taken_total"], told["aywa_draining"]) == (2, 0)
    assert (told["aywa_uploads_waiting"], told["aywa_uploads_oldest_seconds"]) == (2, 90.0)
    assert (told["aywa_uploads_total stored"], told["aywa_uploads_total removed"]) == (30, 4)
    assert told["aywa_analytics_waiting_calls"] == 8
    assert told["aywa_analytics_oldest_seconds"] == pytest.approx(3600, abs=60)
    away = {name: told[f"aywa_dependency_away {name}"] for name in ("leases", "artifacts", "analytics")}
    assert away == {"leases": 1, "artifacts": 1, "analytics": 1}


async def test_what_is_not_configured_is_not_shown() -> None:
    metrics = Metrics(asyncio.get_running_loop().time)
    dependencies(metrics, NodeState("a", 1, Standing.HELD), all_there=False)
    told = await shown(metrics)
    assert (told["aywa_lease_standing held"], told["aywa_dependency_away leases"]) == (1, 0)
    assert [name for name in told if name.startswith(("aywa_uploads_w", "aywa_analytics"))] == []
    assert "aywa_dependency_away artifacts" not in told

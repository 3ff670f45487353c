"""Where the figures of this process come from: what each part says when somebody looks, and who may look."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aywa.adapters.metrics.prometheus import Values
from aywa.api.health import Readiness
from aywa.api.settings import ApiSettings
from aywa.boot.analytics import Analytics
from aywa.boot.draining import Draining
from aywa.boot.host import Host
from aywa.boot.http_server import listen
from aywa.boot.metrics import Metrics
from aywa.boot.metrics_port import PORT, TOKEN, MetricsPort, metrics_port_from_environment
from aywa.boot.node import Node
from aywa.boot.shipping import Shipping
from aywa.call.router.board import HealthBoard
from aywa.core.leases import Standing
from aywa.core.metrics import catalogue as the
from aywa.core.metrics.bounded import SERIES_MAX
from aywa.core.metrics.calls import provider_of
from aywa.core.route_health import Circuit
from aywa.journal.projector import Projector
from aywa.journal.writer import JournalWriter
from aywa.ports.analytics import Backlog as Untold
from aywa.ports.outbox import Backlog, Outbox
from aywa.service.clock import now_ms
from aywa.service.courier import Courier
from aywa.service.shipper import Backlog as Shipments

PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Parts:
    """Whoever has figures of its own."""

    host: Host
    journal: JournalWriter
    projector: Projector
    courier: Courier
    outbox: Outbox
    board: HealthBoard
    data: Path


def metrics_settings(
    settings: ApiSettings, *, loopback: bool, environment: Mapping[str, str] | None = None
) -> ApiSettings:
    """RUNTIME_METRICS_TOKEN: opens /metrics. A runtime that only this machine reaches shows it to anybody, but not in production:
    there a proxy may stand before it."""
    read = os.environ if environment is None else environment
    return replace(
        settings, metrics_token=read.get(TOKEN, "").strip(), metrics_open=_is_open(read, loopback=loopback)
    )


def open_metrics_port(
    metrics: Metrics,
    host: str,
    *,
    loopback: bool,
    tls: tuple[Path, Path] | None = None,
    environment: Mapping[str, str] | None = None,
) -> MetricsPort | None:
    """RUNTIME_METRICS_PORT: where readers have a thread of their own; None: nowhere. Raises CannotStart."""
    read = os.environ if environment is None else environment
    settings = metrics_port_from_environment(read, is_open=_is_open(read, loopback=loopback))
    if settings.port is None:
        return None
    listening = listen(host, settings.port, setting=PORT)
    metrics.keep()
    return MetricsPort(metrics.taken, listening, settings.token, tls)


def _is_open(environment: Mapping[str, str], *, loopback: bool) -> bool:
    return loopback and environment.get("RUNTIME_ENV", "").strip() != PRODUCTION


def wire_metrics(metrics: Metrics, parts: Parts) -> None:
    """From now on each part is asked. The metrics are started by whoever closes them."""
    counts = parts.courier.counts
    metrics.read_all(the.CALLS_ACTIVE, lambda: _by_status(parts.host))
    metrics.read(the.CALLS_MAX, lambda: float(parts.host.calls_max))
    metrics.read(the.JOURNAL_LOST, lambda: float(parts.journal.lost_records))
    metrics.read(the.PROJECTION_WAITING, lambda: float(parts.projector.waiting))
    metrics.read(the.PROJECTION_LEFT_OUT, lambda: float(parts.projector.left_out))
    metrics.read(the.WEBHOOK_ATTEMPTS, lambda: float(counts.attempts))
    metrics.read_all(
        the.WEBHOOK_DELIVERIES,
        lambda: {("delivered",): float(counts.delivered), ("failed",): float(counts.failed)},
    )
    metrics.read_all(the.PROVIDER_OPEN, lambda: _open_circuits(parts.board))
    backlog = _Backlog(parts.outbox)
    metrics.look("backlog", backlog.look)
    metrics.read(the.WEBHOOK_BACKLOG, lambda: float(backlog.now.deliveries))
    metrics.read(the.WEBHOOK_OLDEST_SECONDS, lambda: backlog.oldest_s)
    metrics.disk(parts.data)


def wire_readiness(metrics: Metrics, readiness: Readiness) -> None:
    """What is needed to take calls; what is not is shown as away."""
    metrics.read_all(
        the.READY,
        lambda: {
            (name,): float(state.problem is None) for name, state in readiness.states.items() if state.needed
        },
    )


def wire_dependencies(
    metrics: Metrics,
    node: Node,
    draining: Draining,
    shipping: Shipping | None,
    analytics: Analytics | None,
) -> None:
    """Those that a call does not need. What is not configured is not shown."""
    metrics.read_all(
        the.LEASE, lambda: {(each.value,): float(each is node.state().standing) for each in Standing}
    )
    metrics.read(the.NODES_OTHER, lambda: float(len(node.state().silent_s)))
    metrics.read(the.NODES_SILENT, lambda: max(node.state().silent_s.values(), default=0.0))
    metrics.read(the.CALLS_TAKEN, lambda: float(node.state().taken))
    metrics.read(the.DRAINING, lambda: float(draining.since_ms is not None))
    if shipping is not None:
        metrics.read(the.UPLOADS_WAITING, lambda: float(shipping.backlog().waiting))
        metrics.read(the.UPLOADS_OLDEST_SECONDS, lambda: shipping.backlog().oldest_s)
        metrics.read_all(the.UPLOADS, lambda: _uploads(shipping.backlog()))
    if analytics is not None:
        untold = _Untold(analytics)
        metrics.look("analytics", untold.look)
        metrics.read(the.ANALYTICS_WAITING, lambda: float(untold.now.calls))
        metrics.read(the.ANALYTICS_OLDEST_SECONDS, lambda: _since_s(untold.now.since_ms))
    metrics.read_all(the.AWAY, lambda: _away(node, shipping, analytics))


def _away(node: Node, shipping: Shipping | None, analytics: Analytics | None) -> Values:
    found: dict[tuple[str, ...], float] = {("leases",): float(node.state().problem is not None)}
    if shipping is not None:
        found["artifacts",] = float(bool(shipping.backlog().problem))
    if analytics is not None:
        found["analytics",] = float(analytics.teller.told.problem is not None)
    return found


def _uploads(backlog: Shipments) -> Values:
    return {("stored",): float(backlog.stored), ("removed",): float(backlog.removed)}


class _Untold:
    """What the store said last of what analytics have yet to be told."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics
        self.now = Untold(0, None)

    async def look(self) -> None:
        self.now = await self._analytics.backlog()


def _since_s(since_ms: int | None) -> float:
    return 0.0 if since_ms is None else max(0.0, (now_ms() - since_ms) / 1000)


class _Backlog:
    """What the outbox said last."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.now = Backlog(0)

    async def look(self) -> None:
        self.now = await self._outbox.backlog()

    @property
    def oldest_s(self) -> float:
        """How long what is due has been due."""
        return _since_s(self.now.due_ms)


def _by_status(host: Host) -> Values:
    counted = Counter(host.active().values())
    return {
        (status,): float(counted[status]) for status in sorted({"queued", "ringing", "in-progress", *counted})
    }


def _open_circuits(board: HealthBoard) -> Values:
    found: dict[tuple[str, ...], float] = {}
    for status in board.statuses():
        provider = (provider_of(status.name),)
        if provider in found or len(found) < SERIES_MAX:
            found[provider] = max(found.get(provider, 0.0), float(status.circuit == Circuit.OPEN))
    return found

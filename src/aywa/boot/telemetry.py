"""Traces and logs for an operator who has a receiver (OTEL_EXPORTER_OTLP_ENDPOINT); without one none of this is imported."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

import aywa
from aywa.boot.errors import CannotStart
from aywa.core.metrics import catalogue as the
from aywa.core.metrics.requests import ProviderRequest
from aywa.core.traces import CallTraces

if TYPE_CHECKING:
    from aywa.adapters.otlp.export import OtlpExport
    from aywa.boot.metrics import Metrics

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
HTTP = "http/protobuf"


def has_receiver(environment: Mapping[str, str] | None = None) -> bool:
    """Whether one is set. Raises CannotStart."""
    read = os.environ if environment is None else environment
    endpoint = read.get(ENDPOINT, "").strip()
    if not endpoint:
        return False
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise CannotStart(f"{ENDPOINT} must be an address such as http://127.0.0.1:4318")
    protocol = read.get(PROTOCOL, "").strip() or HTTP
    if protocol != HTTP:
        raise CannotStart(f"{PROTOCOL} must be {HTTP} (port 4318 of most receivers), got {protocol[:40]!r}")
    return True


def open_telemetry(metrics: Metrics) -> Telemetry | None:
    """Sends from now on, where there is a receiver. Raises CannotStart."""
    return Telemetry(metrics) if has_receiver() else None


class Telemetry:
    """Is told what the metrics are told of calls; takes the log along. `close` in any case, when no more comes."""

    def __init__(self, metrics: Metrics) -> None:
        from aywa.adapters.otlp.export import OtlpExport

        loop = asyncio.get_running_loop()

        def dropped(what: str, count: int) -> None:
            # It may be the exporter's thread that tells.
            loop.call_soon_threadsafe(metrics.register.add, the.TELEMETRY_DROPPED, float(count), what)

        self.export = OtlpExport(aywa.__version__, dropped)
        self._traces = CallTraces(self.export.trace)
        self._epoch_s = time.time() - loop.time()
        self._processors: list[Any] | None = None
        metrics.tell(frozenset(self._traces.kinds), self._traces.take, self.request)
        self._take_lines(self.export)
        self.export.start()

    def request(self, call_id: str, request: ProviderRequest) -> None:
        """To a provider, that is over."""
        self._traces.request(call_id, request, self._epoch_s)

    async def close(self) -> None:
        """Sends what is left, for a while; the log goes its own way again."""
        if self._processors is not None:
            structlog.configure(processors=self._processors)
            self._processors = None
        await self.export.close()

    def _take_lines(self, export: OtlpExport) -> None:
        self._processors = list(structlog.get_config()["processors"])
        # Before what prints: everything that hides secrets has been at it by then.
        *before, prints = self._processors
        structlog.configure(processors=[*before, lines_to(export), prints])


def lines_to(export: OtlpExport) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    """A structlog processor that lets a line by, and sends it."""
    from aywa.adapters.otlp.export import Line

    hidden = ("event", "level", "timestamp", "exc_info")

    def send(_logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        fields = {name: value for name, value in event.items() if name not in hidden}
        level, said = str(event.get("level", method)), str(event.get("event", ""))
        export.line(Line(time.time(), level, said, fields))
        return event

    return send

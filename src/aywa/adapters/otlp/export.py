"""Sends traces and log lines over OTLP/HTTP (opentelemetry.io, OTLP Specification) with OpenTelemetry's own exporters, which read
their addresses, headers, time-outs, certificates and compression from the OTEL_EXPORTER_OTLP_* variables.

What waits is bounded: a receiver that is gone costs nothing but what is dropped, which is counted. Imported only where an
address is set. Refuses to hold anybody up: everything is sent by a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from aywa.core.traces import Span, Trace, span_id_of, trace_id_of

WAITING_MAX: Final = 20_000
"""Spans, and log lines, that wait to be sent."""
BATCH: Final = 500
EVERY_S: Final = 2.0
CLOSE_S: Final = 3.0
"""So long may it take to send what is left."""
SPANS: Final = "spans"
LINES: Final = "log lines"
_NS: Final = 1_000_000_000
_SEVERITY: Final = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log. fields: as they are printed, without time, level and event."""

    at_s: float
    level: str
    event: str
    fields: Mapping[str, Any]


class OtlpExport:
    """`trace` and `line` at any time, from any thread; `start` in a loop, `close` in any case. dropped: what was not sent."""

    def __init__(self, version: str, dropped: Callable[[str, int], None] = lambda what, count: None) -> None:
        # They tell of every failed try; ours is one count.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource = _resource(version)
        self._scope = InstrumentationScope("aywa", version)
        self._spans: deque[ReadableSpan] = deque()
        self._lines: deque[ReadableLogRecord] = deque()
        self._dropped = dropped
        self._thread = ThreadPoolExecutor(1, "otlp")
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._span_exporter = OTLPSpanExporter()
        self._line_exporter = OTLPLogExporter()
        self.sent: Counter[str] = Counter()

    def trace(self, trace: Trace) -> None:
        """A call's, when it is over."""
        self._keep(self._spans, [self._span(trace.trace_id, span) for span in trace.spans], SPANS)

    def line(self, line: Line) -> None:
        """Of the log."""
        self._keep(self._lines, [self._line(line)], LINES)

    def start(self) -> None:
        """Sends from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="otlp")

    async def close(self) -> None:
        """Sends what is left, for a while."""
        if self._closed:
            return
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            _ = await asyncio.gather(self._task, return_exceptions=True)
        loop = asyncio.get_running_loop()
        last = loop.run_in_executor(self._thread, self._send_all)
        _, late = await asyncio.wait({last}, timeout=CLOSE_S)
        # An exporter that tries again wakes up, and gives up.
        self._span_exporter.shutdown()
        self._line_exporter.shutdown()
        if late:
            _ = await asyncio.gather(last, return_exceptions=True)
        for queue, what in ((self._spans, SPANS), (self._lines, LINES)):
            if queue:
                self._dropped(what, len(queue))
        await loop.run_in_executor(None, self._thread.shutdown)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _keep(self, queue: deque[T], new: Sequence[T], what: str) -> None:
        if self._closed or len(queue) + len(new) > WAITING_MAX:
            self._dropped(what, len(new))
        else:
            queue.extend(new)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(EVERY_S)
            if self._spans or self._lines:
                await loop.run_in_executor(self._thread, self._send_all)

    def _send_all(self) -> None:
        """In the thread. What is new meanwhile waits for the next time."""
        for _ in range(-(-len(self._spans) // BATCH)):
            spans = _some(self._spans)
            well = self._span_exporter.export(spans) is SpanExportResult.SUCCESS
            self._count(SPANS, len(spans), well=well)
        for _ in range(-(-len(self._lines) // BATCH)):
            lines = _some(self._lines)
            well = self._line_exporter.export(lines) is LogRecordExportResult.SUCCESS
            self._count(LINES, len(lines), well=well)

    def _count(self, what: str, count: int, *, well: bool) -> None:
        if well:
            self.sent[what] += count
        else:
            self._dropped(what, count)

    def _span(self, trace_id: int, span: Span) -> ReadableSpan:
        parent = None if span.parent_id is None else _context(trace_id, span.parent_id)
        if span.outside:
            kind = SpanKind.CLIENT
        else:
            kind = SpanKind.SERVER if span.parent_id is None else SpanKind.INTERNAL
        return ReadableSpan(
            span.name,
            _context(trace_id, span.span_id),
            parent,
            self._resource,
            dict(span.attributes),
            [Event(name, timestamp=_ns(at_s)) for name, at_s in span.moments],
            kind=kind,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
            start_time=_ns(span.began_s),
            end_time=_ns(span.ended_s),
            instrumentation_scope=self._scope,
        )

    def _line(self, line: Line) -> ReadableLogRecord:
        call_id = line.fields.get("call_id")
        context = Context()
        if isinstance(call_id, str):
            # The line finds its call's trace.
            context = set_span_in_context(
                NonRecordingSpan(_context(trace_id_of(call_id), span_id_of(call_id, "call"))), context
            )
        record = LogRecord(
            timestamp=_ns(line.at_s),
            observed_timestamp=_ns(line.at_s),
            context=context,
            severity_text=line.level.upper(),
            severity_number=_SEVERITY.get(line.level, SeverityNumber.INFO),
            body=line.event,
            attributes={
                name: value if isinstance(value, str | bool | int | float) else repr(value)
                for name, value in line.fields.items()
            },
        )
        return ReadableLogRecord(record, self._resource, self._scope)


def _resource(version: str) -> Resource:
    """Who we are, as OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say, or by our own name."""
    made = Resource.create({"service.version": version})
    if str(made.attributes.get("service.name", "")).startswith("unknown_service"):
        made = made.merge(Resource({"service.name": "aywa"}))
    return made


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _ns(seconds: float) -> int:
    # The whole seconds by themselves: a float has no nanoseconds left there.
    whole = int(seconds)
    return whole * _NS + round((seconds - whole) * _NS)


def _some(queue: deque[T]) -> list[T]:
    return [queue.popleft() for _ in range(min(BATCH, len(queue)))]

"""Traces and lines over OTLP/HTTP: what the protocol's own messages read of them, and what becomes of them without a receiver."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import pytest

from aywa.adapters.otlp import export as module
from aywa.adapters.otlp.export import LINES, SPANS, Line, OtlpExport
from aywa.core.traces import Span, Trace, span_id_of
from tests.peers.otlp import Receiver, attributes, receiving

CALL = "4f6d6f0e-9c1b-4a57-8f39-0d8b3b1c7a11"
AT_S = 1_767_225_600.25
TRACE = Trace(
    UUID(CALL).int,
    (
        Span("call", 1, None, AT_S, AT_S + 9, {"aywa.call.id": CALL}, (("connected", AT_S + 1),)),
        Span("llm openai", 2, 1, AT_S + 1, AT_S + 2, {"aywa.turn.id": 3}, error="deadline", outside=True),
        Span("turn", 3, 1, AT_S + 1, AT_S + 2),
    ),
)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        yield made


@pytest.fixture
def dropped() -> Counter[str]:
    return Counter()


@pytest.fixture
async def export(receiver: Receiver, dropped: Counter[str]) -> AsyncIterator[OtlpExport]:
    def count(what: str, number: int) -> None:
        dropped[what] += number

    made = OtlpExport("1.2.3", count)
    made.start()
    yield made
    await made.close()


async def test_a_trace_arrives_as_it_was(receiver: Receiver, export: OtlpExport) -> None:
    export.trace(TRACE)
    await export.close()
    call, request, turn = receiver.spans
    assert {span.trace_id.hex() for span in receiver.spans} == {UUID(CALL).hex}
    assert (call.span_id.hex(), call.parent_span_id) == ("0000000000000001", b"")
    assert request.parent_span_id == turn.parent_span_id == call.span_id
    assert (call.start_time_unix_nano, call.end_time_unix_nano) == (
        1_767_225_600_250_000_000,
        1_767_225_609_250_000_000,
    )
    assert [(event.name, event.time_unix_nano) for event in call.events] == [
        ("connected", 1_767_225_601_250_000_000)
    ]
    assert attributes(request) == {"aywa.turn.id": 3}
    kinds = {"SERVER": 2, "CLIENT": 3, "INTERNAL": 1}
    assert (call.kind, request.kind, turn.kind) == (kinds["SERVER"], kinds["CLIENT"], kinds["INTERNAL"])
    assert (request.status.code, request.status.message) == (2, "deadline")
    assert call.status.code == 0
    [resource] = receiver.resources
    assert (resource["service.name"], resource["service.version"]) == ("aywa", "1.2.3")


async def test_a_line_finds_its_calls_trace(receiver: Receiver, export: OtlpExport) -> None:
    export.line(Line(AT_S, "warning", "call_failed", {"call_id": CALL, "count": 3, "list": ["a"]}))
    export.line(Line(AT_S, "odd", "started", {}))
    await export.close()
    line, other = receiver.lines
    assert (line.body.string_value, line.severity_text, line.severity_number) == (
        "call_failed",
        "WARNING",
        13,
    )
    assert attributes(line) == {"call_id": CALL, "count": 3, "list": "['a']"}
    assert line.trace_id.hex() == UUID(CALL).hex
    assert line.span_id == span_id_of(CALL, "call").to_bytes(8, "big")
    assert (other.trace_id, other.severity_number) == (b"", 9)


async def test_the_operators_own_name_and_headers_are_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "voice-berlin")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    export = OtlpExport("1.2.3")
    export.start()
    export.trace(TRACE)
    await export.close()
    assert receiver.resources[0]["service.name"] == "voice-berlin"
    assert receiver.headers[0]["authorization"] == "Bearer t0ken"
    assert "t0ken" not in repr(vars(export))


async def test_many_are_sent_in_batches(receiver: Receiver, export: OtlpExport) -> None:
    for _ in range(400):
        export.trace(TRACE)
    await export.close()
    assert len(receiver.spans) == 1200
    assert len(receiver.bodies) == -(-1200 // module.BATCH)
    assert export.sent[SPANS] == 1200


async def test_what_waits_is_bounded_and_what_is_dropped_is_counted(
    receiver: Receiver, export: OtlpExport, dropped: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 4)
    for _ in range(3):
        export.trace(TRACE)
        export.line(Line(AT_S, "info", "x", {}))
        export.line(Line(AT_S, "info", "x", {}))
    assert dropped == {SPANS: 6, LINES: 2}
    await export.close()
    assert (len(receiver.spans), len(receiver.lines)) == (3, 4)
    export.trace(TRACE)
    assert dropped[SPANS] == 9


async def test_a_receiver_that_refuses_costs_what_it_refuses(
    receiver: Receiver, export: OtlpExport, dropped: Counter[str]
) -> None:
    receiver.status = 400
    export.trace(TRACE)
    await export.close()
    assert dropped == {SPANS: 3}


async def test_a_receiver_that_is_gone_holds_up_the_end_for_a_while_only(
    dropped: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(module, "CLOSE_S", 0.2)

    def count(what: str, number: int) -> None:
        dropped[what] += number

    export = OtlpExport("1", count)
    export.start()
    export.trace(TRACE)
    began_s = time.monotonic()
    await export.close()
    assert time.monotonic() - began_s < 5
    assert dropped == {SPANS: 3}

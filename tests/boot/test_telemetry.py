"""Telemetry: only where there is a receiver, told what the metrics are told, and the log besides."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
import structlog

from aywa.boot.errors import CannotStart
from aywa.boot.logs import configure_logs
from aywa.boot.metrics import Metrics
from aywa.boot.rehearsal import RecordedJournal
from aywa.boot.telemetry import has_receiver, open_telemetry
from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.metrics.requests import ProviderRequest
from tests.peers.otlp import attributes, receiving


@pytest.mark.parametrize(
    ("environment", "has"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example.com/x",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            True,
        ),
    ],
)
def test_there_is_a_receiver_where_one_is_set(environment: dict[str, str], has: bool) -> None:
    assert has_receiver(environment) is has


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4317"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf",
        ),
    ],
)
def test_what_cannot_be_reached_is_said_at_the_start(environment: dict[str, str], named: str) -> None:
    with pytest.raises(CannotStart, match=named):
        has_receiver(environment)


def test_without_a_receiver_opentelemetry_is_not_even_imported() -> None:
    seen = "import sys, aywa.boot.telemetry as t; sys.exit(t.has_receiver({}) or 'opentelemetry.sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", seen], timeout=60, check=False).returncode == 0


async def test_calls_requests_and_lines_are_sent_and_secrets_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = asyncio.get_running_loop()
    configure_logs()
    before = structlog.get_config()["processors"]
    metrics = Metrics(asyncio.get_running_loop().time)
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        telemetry = open_telemetry(metrics)
        assert telemetry is not None
        journal = metrics.tap(RecordedJournal())
        journal.append("call", "org", 1, 0.0, "event", "CallStarted", ev.CallStarted("call", "org", 1_000))
        metrics.watch("call")(ProviderRequest("llm", "openai", loop.time(), loop.time() + 1, 0.5))
        journal.append("call", "org", 2, 9.0, "command", "EndCall", do.EndCall("customer-ended-call"))
        journal.append("call", "org", 3, 9.0, "note", "CallClosed", {})
        structlog.get_logger("t").warning("it_broke", apiKey="sk-secret", why="disk")
        await telemetry.close()
        await telemetry.close()
        await metrics.close()
        assert [span.name for span in receiver.spans] == ["call", "llm openai"]
        [line] = receiver.lines
        assert attributes(line) == {"apiKey": "[hidden]", "why": "disk"}
        assert b"sk-secret" not in b"".join(receiver.bodies)
    assert structlog.get_config()["processors"] == before
    assert "it_broke" in capsys.readouterr().out
    structlog.reset_defaults()


async def test_what_is_dropped_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics(asyncio.get_running_loop().time)
    with receiving() as receiver:
        receiver.status = 400
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        telemetry = open_telemetry(metrics)
        assert telemetry is not None
        structlog.get_logger("t").warning("it_broke")
        await telemetry.close()
        # The exporter's thread told the loop.
        await asyncio.sleep(0)
        page = await metrics.text()
        await metrics.close()
    assert b'aywa_telemetry_dropped_total{what="log lines"} 1.0' in page
    structlog.reset_defaults()

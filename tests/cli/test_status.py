"""`aywa status`: one screen, put together from what a runtime answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aywa.adapters.metrics.prometheus import PrometheusRegister, Reading
from aywa.cli import app
from aywa.core.metrics import catalogue as the

Answers = dict[str, tuple[int, Any]]
TRUNK = {"id": "t-1", "name": "Carrier", "state": "down", "reason": "403"}
ROUTE = {
    "route": "openai/gpt-4.1", "circuit": "open", "requests": 40, "failures": 4, "lastCode": "unavailable",
    "firstP50Ms": 210.0, "firstP95Ms": 412.4, "active": 0,
}  # fmt: skip


def figures() -> Any:
    register = PrometheusRegister()
    register.begin()
    register.add(the.CALLS_ENDED, 9, "customer-ended-call")
    register.add(the.CALLS_ENDED, 1, "pipeline-error-openai-llm-failed")
    for _ in range(10):
        register.observe(the.TURN_WIRE_SECONDS, 0.75)
        for stage, spent_s in (("endpointing", 0.5), ("model", 0.2), ("unattributed", 0.05)):
            register.observe(the.TURN_STAGE_SECONDS, spent_s, stage)
    register.observe(the.LOOP_LAG_SECONDS, 0.0005)
    asked = [
        Reading(the.CALLS_ACTIVE, {("in-progress",): 3.0, ("ringing",): 0.0}),
        Reading(the.CALLS_MAX, {(): 50.0}),
        Reading(the.WEBHOOK_BACKLOG, {(): 12.0}),
        Reading(the.WEBHOOK_OLDEST_SECONDS, {(): 3.04}),
        Reading(the.WEBHOOK_DELIVERIES, {("delivered",): 240.0, ("failed",): 1.0}),
        Reading(the.DISK_FREE_BYTES, {(): 81.25e9}),
    ]
    return json.loads(register.pages(asked, 1.0).json)


def answers() -> Answers:
    return {
        "/health": (200, {"status": "ok", "version": "9.9"}),
        "/readyz": (200, {"status": "ready", "checks": {"store": {"ok": True}, "journal": {"ok": True}}}),
        "/metrics.json": (200, figures()),
        "/phone-number?limit=1000": (200, [{"assistantId": "a"}, {"number": "+1"}]),
        "/trunks": (200, [TRUNK]),
        "/providers": (200, [ROUTE]),
    }


@contextmanager
def answering(told: Answers) -> Iterator[str]:
    """A runtime as far as it is asked. Without an answer: 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = told.get(self.path, (404, {"message": "not here", "statusCode": 404}))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


Ask = Callable[..., Result]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.delenv("AYWA_URL", raising=False)
    monkeypatch.setenv("AYWA_API_KEY", "aywa_key")

    def ask(told: Answers, *options: str) -> Result:
        with answering(told) as url:
            return CliRunner().invoke(app, ["status", "--url", url, *options])

    return ask


def test_one_screen_tells_all(ask: Ask) -> None:
    done = ask(answers())
    assert done.exit_code == 0, done.output
    head, *rows = done.output.splitlines()
    assert head.startswith("aywa 9.9 at http://127.0.0.1:")
    assert head.endswith(": ready")
    assert rows[:-3] == [
        "  store      ok",
        "  journal    ok",
        "  calls      3 in-progress; at most 50; 10 ended, 1 of them by an error",
        "  latency    p50 0.750 s, p95 0.795 s at the wire, of 10 turns",
        "             mean: endpointing 0.500 s, model 0.200 s, unattributed 0.050 s",
        "  webhooks   12 waiting, the longest due for 3 s; 240 delivered, 1 given up",
        "  disk       81.2 GB free",
        rows[7],
        "  numbers    2, 1 of them answered by somebody",
    ]
    assert rows[7].startswith("  process    ")
    assert rows[7].endswith(" MB, event loop late by 0.001 s (p99)")
    assert rows[-3:] == [
        "  trunks     Carrier down: 403",
        "  providers  openai/gpt-4.1 open, 40 asked, 4 failed (last: unavailable), first answer p95 412 ms",
        "  licence    none needed",
    ]


def test_as_json_it_is_the_same(ask: Ask) -> None:
    seen = json.loads(ask(answers(), "--json").output)
    assert (seen["ready"], seen["version"]) == (True, "9.9")
    assert seen["calls"] == {
        "active": {"in-progress": 3, "ringing": 0},
        "most": 50,
        "ended": 10,
        "endedByError": 1,
    }
    # The stages of the waterfall add up to the mean of the whole.
    assert sum(seen["latency"]["stagesMeanSeconds"].values()) == pytest.approx(0.75)
    assert seen["webhooks"] == {"waiting": 12, "oldestSeconds": 3.0, "delivered": 240, "failed": 1}


def test_what_is_not_well_is_said_and_the_exit_code_too(ask: Ask) -> None:
    told = answers()
    since = "2026-01-01T00:00:00.000Z"
    checks = {
        "store": {"ok": False, "problem": "gone", "since": since},
        "analytics": {"ok": False, "problem": "no answer", "needed": False},
    }
    told["/readyz"] = (503, {"status": "not ready", "checks": checks})
    done = ask(told)
    assert done.exit_code == 1
    assert done.output.splitlines()[0].endswith(": NOT READY")
    assert f"  store      NOT WELL since {since}: gone\n" in done.output
    assert "  analytics  away: no answer\n" in done.output


def test_a_key_that_may_not_see_the_figures_sees_the_rest(ask: Ask) -> None:
    told = answers()
    told["/metrics.json"] = (403, {"message": "the operator's", "statusCode": 403})
    told["/trunks"] = (200, [])
    del told["/providers"]
    done = ask(told)
    assert done.exit_code == 0, done.output
    assert "  figures    not with this key" in done.output
    assert "  trunks     none\n" in done.output
    assert "  providers  none asked yet\n" in done.output


def test_what_calls_do_not_need_has_a_line_when_it_is_worth_one(ask: Ask) -> None:
    told = answers()
    register = PrometheusRegister()
    register.begin()
    asked = [
        Reading(the.AWAY, {("artifacts",): 1.0, ("leases",): 0.0, ("analytics",): 1.0}),
        Reading(the.UPLOADS_WAITING, {(): 4.0}),
        Reading(the.ANALYTICS_WAITING, {(): 20.0}),
        Reading(the.NODES_OTHER, {(): 1.0}),
    ]
    told["/metrics.json"] = (200, json.loads(register.pages(asked, 1.0).json))
    output = ask(told).output
    assert "  nodes      this one and 1 more\n" in output
    assert "  waiting    4 uploads, 20 calls for analytics\n" in output
    assert "  away       analytics, artifacts: calls go on, and what waits goes there later\n" in output


def test_of_many_trunks_some_are_shown_and_nothing_steers_the_terminal(ask: Ask) -> None:
    told = answers()
    told["/trunks"] = (200, [TRUNK | {"id": f"t-{n}", "name": f"\x1b[2J{n}"} for n in range(11)])
    output = ask(told).output
    assert "and 3 more" in output
    assert "\x1b" not in output


def test_before_the_first_turn_there_is_no_latency(ask: Ask) -> None:
    told = answers()
    empty = PrometheusRegister()
    empty.begin()
    told["/metrics.json"] = (200, json.loads(empty.pages([], 1.0).json))
    output = ask(told).output
    assert "  latency    no turn yet" in output
    assert "  calls      none now; at most 0; 0 ended" in output
    assert "event loop late by - (p99)" in output


def test_no_runtime_is_one_line_and_a_failure() -> None:
    done = CliRunner().invoke(app, ["status", "--url", "http://127.0.0.1:9"])
    assert done.exit_code == 1
    assert len(done.output.splitlines()) == 1

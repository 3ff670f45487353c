"""Each fault of the store, the calls, the webhooks and the process: seen where it is, and not where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.core.support.call_faults import RULES
from aywa.core.support.faults import Files, named

ANSWERS: dict[str, Any] = {"runtime.json": {"health": {"answered": True}}}
SIP = "call.in-progress.error-providerfault-outbound-sip-403-forbidden"


def codes(files: Files) -> list[str]:
    return [fault.code for fault in named(files, RULES)]


def store(**more: Any) -> dict[str, Any]:
    return {"store.json": {"kind": "sqlite", **more}}


def call(**more: Any) -> dict[str, Any]:
    return {"calls.json": {"newest": [more]}}


def route(**more: Any) -> dict[str, Any]:
    return {"calls.json": {"routes": [more]}}


def server(problem: str) -> dict[str, Any]:
    return {"webhooks.json": {"servers": [{"host": "a.example", "problem": problem, "count": 3}]}}


GOOD: list[Files] = [
    {},
    store(problem="missing", readable=False),
    store(
        readable=True,
        check="ok",
        revision="0002",
        head="0002",
        sealed={"rows": 5, "opened": 5},
    ),
    store(open_calls=3) | ANSWERS,
    call(
        reason="customer-ended-call",
        loss_percent=1.0,
        mos=4.2,
        packets_received=5,
        packets_sent=5,
        wire_ms=900,
    ),
    call(packets_received=0, packets_sent=0, warnings={"shed": 3}),
    route(what="RouteSwitched", code=None, count=3),
    route(what="RouteFailed", route="openai", code="cancelled", count=3),
    route(what="ChildFailed", route="turn_model", code="shed", count=3),
    server("orphaned"),
    {"webhooks.json": {"oldest_waiting_s": 60, "waiting": 3}},
    {
        "runtime.json": {
            "readiness": {"checks": {"store": {"ok": True}}},
            "trunks": {"list": [{"state": "up"}]},
        }
    },
]
BAD: list[tuple[str, Files]] = [
    ("store_missing", store(problem="missing") | {"journal.json": {"there": True}}),
    ("store_locked", store(problem="locked")),
    ("store_failed", store(problem="failed")),
    ("store_missing", {"store.json": {"kind": "postgres", "problem": "missing"}}),
    ("store_damaged", store(check="damaged")),
    ("store_too_new", store(revision="0099", head="0002", too_new=True)),
    ("secrets_without_key", store(sealed={"without_key": 2})),
    ("secrets_altered", store(sealed={"altered": 2})),
    ("calls_left_open", store(open_calls=2)),
    ("process_died", call(reason="call.in-progress.error-vapifault-worker-died")),
    ("trunk_refuses", call(reason=SIP)),
    (
        "provider_unauthorized",
        route(what="RouteFailed", kind="llm", route="openai", code="unauthorized", count=2),
    ),
    ("provider_unavailable", route(what="ReplyFailed", kind="llm", code="unavailable", count=2)),
    ("part_failed", route(what="ChildFailed", route="reply", count=1)),
    ("one_way_audio", call(packets_received=0, packets_sent=500)),
    ("audio_lost", call(loss_percent=9.0)),
    ("audio_lost", call(mos=2.1, packets_received=7)),
    ("turns_slow", call(wire_ms=4000, model_ms=3000, voice_ms=300)),
    ("records_lost", call(warnings={"JournalLost": 1})),
    ("recording_lost", call(warnings={"recording_lost": 1})),
    ("webhook_untrusted", server("untrusted")),
    ("webhook_denied", server("status_401")),
    ("webhook_failing", server("status_503")),
    ("webhook_refused", server("status_404")),
    (
        "webhook_disabled",
        {"webhooks.json": {"disabled": [{"host": "a.example", "since": "2026-11-23T12:00:00Z"}]}},
    ),
    ("webhooks_waiting", {"webhooks.json": {"oldest_waiting_s": 4000, "waiting": 3}}),
    (
        "not_ready_store",
        {"runtime.json": {"readiness": {"checks": {"store": {"ok": False, "problem": "gone"}}}}},
    ),
    ("trunk_down", {"runtime.json": {"trunks": {"list": [{"id": "t", "state": "down"}]}}}),
]


@pytest.mark.parametrize("files", GOOD)
def test_nothing_is_found_where_nothing_is(files: Files) -> None:
    assert codes(files) == []


@pytest.mark.parametrize(("code", "files"), BAD)
def test_a_fault_is_named(code: str, files: Files) -> None:
    found = named(files, RULES)
    assert [fault.code for fault in found] == [code]
    assert found[0].mend


def test_the_slowest_part_is_named() -> None:
    [fault] = named(call(wire_ms=4000, model_ms=3000, voice_ms=300), RULES)
    assert "most of it the model (3000 ms)" in fault.told

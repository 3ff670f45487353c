"""What the timeline says of the providers' routes: one readable line for each thing that happened to them."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.core.webhooks import Cause, Delivery, Endpoint, Progress, State
from aywa.ports.journal import JournalRecord
from aywa.ports.outbox import AttemptRow, DeliveryRow
from aywa.ports.store import Document
from aywa.service.timeline import entries

CALL = Document("call-1", "org-1", 1_767_225_600_000, 1_767_225_600_000, "{}")


def told(*records: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return entries(
        CALL,
        [
            JournalRecord("call-1", "org-1", seq, seq / 10, "note", kind, data)
            for seq, (kind, data) in enumerate(records, 1)
        ],
    )


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (
            "RouteFailed",
            {"kind": "tts", "route": "elevenlabs/x", "code": "cut_short", "words_given": 3},
            ("provider", "route-failed", "cut_short", "voice elevenlabs/x failed (cut_short) after 3 words"),
        ),
        (
            "RouteFailed",
            {"kind": "tts", "route": "elevenlabs/x", "code": "deadline", "words_given": 1},
            ("provider", "route-failed", "deadline", "voice elevenlabs/x failed (deadline) after 1 word"),
        ),
        (
            "RouteSwitched",
            {"kind": "tts", "route": "cartesia/y", "before": "elevenlabs/x", "code": ""},
            ("decision", "route-switched", "", "voice elevenlabs/x failed; cartesia/y goes on"),
        ),
        (
            "RouteSwitched",
            {"kind": "stt", "route": "deepgram", "before": "custom-transcriber", "code": "closed"},
            (
                "decision",
                "route-switched",
                "closed",
                "recogniser custom-transcriber failed (closed); deepgram goes on",
            ),
        ),
        (
            "RouteSwitched",
            {"kind": "llm", "before": "openai/a", "code": "cut_short", "characters_given": 42},
            (
                "decision",
                "route-switched",
                "cut_short",
                "model openai/a failed (cut_short) after 42 characters; the next goes on",
            ),
        ),
        (
            "RouteSkipped",
            {"kind": "llm", "route": "openai/a", "code": "unavailable"},
            ("decision", "route-skipped", "unavailable", "model openai/a is left alone for now"),
        ),
        (
            "RouteRetried",
            {"kind": "llm", "route": "openai/a", "code": "unavailable"},
            (
                "decision",
                "route-retried",
                "unavailable",
                "model openai/a failed (unavailable); it is asked once more",
            ),
        ),
        (
            "RouteHedged",
            {"kind": "llm", "route": "groq/b", "beside": "openai/a"},
            (
                "decision",
                "route-hedged",
                "slow",
                "model groq/b is asked as well: openai/a is slower than usual",
            ),
        ),
        (
            "RouteHedged",
            {"kind": "llm", "route": "groq/b", "won": True},
            ("decision", "route-hedged", "won", "model groq/b answered first"),
        ),
        ("RouteFailed", {}, ("provider", "route-failed", "", "route  failed")),
    ],
)
def test_a_line_for_each(kind: str, data: dict[str, Any], expected: tuple[str, str, str, str]) -> None:
    (entry,) = told((kind, data))
    assert (entry["source"], entry["kind"], entry["reason"], entry["text"]) == expected


def test_who_takes_over_tells_how_far_the_other_came() -> None:
    failed = {"kind": "tts", "route": "elevenlabs/x", "code": "cut_short", "words_given": 3}
    switched = {"kind": "tts", "route": "cartesia/y", "before": "elevenlabs/x", "code": "cut_short"}
    _, first, second = told(("RouteFailed", failed), ("RouteSwitched", switched), ("RouteSwitched", switched))
    assert first["text"] == "voice elevenlabs/x failed (cut_short) after 3 words; cartesia/y goes on"
    assert first["details"] == {
        "kind": "tts",
        "route": "cartesia/y",
        "before": "elevenlabs/x",
        "code": "cut_short",
        "wordsGiven": 3,
    }
    # The next time it is another failure.
    assert second["text"] == "voice elevenlabs/x failed (cut_short); cartesia/y goes on"


# --- controls, turns, webhooks ---------------------------------------------------------------------------------------


def test_a_control_is_told_with_who_asked_and_what() -> None:
    message = {"type": "control", "control": "mute-assistant"}
    (entry,) = told(
        ("ControlReceived", {"message": message, "source": "control", "who": "ops from 10.0.0.1"})
    )
    assert (entry["source"], entry["kind"], entry["reason"]) == ("control", "control", "control")
    assert entry["text"] == "mute-assistant"
    assert entry["details"] == {"message": message, "source": "control", "who": "ops from 10.0.0.1"}
    (said,) = told(
        ("ControlReceived", {"message": {"type": "say", "content": "x" * 9_000}, "source": "listener"})
    )
    assert (said["kind"], len(said["text"])) == ("say", 2_000)
    (odd,) = told(("ControlReceived", {"message": {"type": ["x"]}, "source": "control"}))
    assert odd["source"] == "control"


def test_a_sip_message_is_a_rung() -> None:
    rung = {
        "direction": "sent",
        "what": "180 Ringing",
        "method": "INVITE",
        "number": 1,
        "remote": "10.0.0.1:5060",
    }
    (entry,) = told(("SipSeen", {**rung, "transport": "udp", "ago_s": 0.1}))
    assert (entry["source"], entry["kind"], entry["reason"]) == ("sip", "invite", "sent")
    assert entry["text"] == "-> 180 Ringing (10.0.0.1:5060, udp)"
    assert entry["details"]["agoS"] == 0.1


def test_a_turns_parts_add_up_to_what_was_measured_at_the_wire() -> None:
    parts = {"endpointing": 400.0, "transcriber": 20.0, "model": 100.0, "voice": 60.0, "unattributed": 20.0}
    turn = {"turn_id": 1, "reply_id": 2, "latency_ms": 600.0, "parts_ms": parts, "wire_ms": 650.5}
    (entry,) = told(("RecordTurn", turn))
    details = entry["details"]
    assert details["wireMs"] == 650.5
    assert sum(details["partsMs"].values()) == pytest.approx(650.5)
    assert (details["partsMs"]["silence"], details["unattributedMs"]) == (50.5, 20.0)
    assert entry["text"] == "650 ms from end of speech to the first sound"


def test_of_a_turn_with_parts_missing_the_rest_is_nobodys() -> None:
    (entry,) = told(("RecordTurn", {"latency_ms": 600.0, "parts_ms": {"model": 100.0}}))
    assert entry["details"]["unattributedMs"] == 500.0


def attempted(cause: Cause, **fields: Any) -> tuple[DeliveryRow, list[AttemptRow]]:
    endpoint = Endpoint("https://hooks.example:8443/a?b=1", "", 20.0)
    delivery = Delivery(
        "msg_1", "org-1", "status-update", "{}", (endpoint,), CALL.created_ms + 500, "call-1", 7
    )
    row = DeliveryRow(delivery, State.WAITING, Progress(), 1, 0, 0, 0, "the server answered 500")
    started_ms = CALL.created_ms + 600
    return row, [AttemptRow("msg_1", 1, endpoint.url, 0, started_ms, cause, **fields)]


def test_a_webhook_is_told_with_every_attempt() -> None:
    sent = attempted(
        Cause.ANSWERED,
        status=500,
        total_ms=35.4,
        ended_ms=CALL.created_ms + 640,
        next_ms=CALL.created_ms + 5_640,
    )
    delivery, attempt = entries(CALL, [], [sent])
    assert (delivery["source"], delivery["kind"], delivery["reason"]) == (
        "webhook",
        "status-update",
        "waiting",
    )
    assert (delivery["text"], delivery["atSeconds"]) == ("waiting, 1 attempt", 0.5)
    assert delivery["details"]["servers"] == ["hooks.example"]
    assert (attempt["kind"], attempt["reason"]) == ("status-update-attempt", "answered")
    assert attempt["text"] == "attempt 1 at hooks.example: answered 500 in 35 ms"
    assert attempt["details"]["nextAt"] == "2026-01-01T00:00:05.640Z"


@pytest.mark.parametrize("cause", list(Cause))
def test_whatever_became_of_an_attempt_is_told_in_words(cause: Cause) -> None:
    *_, attempt = entries(CALL, [], [attempted(cause)])
    assert attempt["reason"] == cause.value
    assert "_" not in attempt["text"]


def test_webhooks_stand_where_they_belong_in_time() -> None:
    records = [
        JournalRecord("call-1", "org-1", seq, at_s, "event", "VoiceStarted", {})
        for seq, at_s in ((1, 0.1), (2, 0.55))
    ]
    found = entries(CALL, records, [attempted(Cause.SENDING)])
    assert [entry["source"] for entry in found] == ["media", "webhook", "media", "webhook"]

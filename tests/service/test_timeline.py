"""What the timeline says of the providers' routes: one readable line for each thing that happened to them."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.ports.journal import JournalRecord
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

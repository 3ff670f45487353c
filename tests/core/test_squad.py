"""A squad's members as they answer."""

from __future__ import annotations

from typing import Any

from aywa.core.squad import with_destinations

ASSISTANT: dict[str, Any] = {"name": "Front", "model": {"provider": "openai", "tools": [{"type": "endCall"}]}}
NEWER = {"assistantName": "Booking", "contextEngineeringPlan": {"type": "none"}}
OLDER = {"type": "assistant", "assistantName": "Billing", "message": "One moment."}


def tools(assistant: dict[str, Any]) -> list[Any]:
    found: list[Any] = assistant["model"]["tools"]
    return found


def test_newer_destinations_become_a_handoff_each() -> None:
    by_id = {"type": "assistant", "assistantId": "a1", "message": ""}
    changed = with_destinations(ASSISTANT, [NEWER, by_id])
    assert tools(changed) == [
        {"type": "endCall"},
        {"type": "handoff", "destinations": [{"type": "assistant", **NEWER}]},
        {
            "type": "handoff",
            "destinations": [by_id],
            "messages": [{"type": "request-start", "content": ""}],
        },
    ]
    assert tools(ASSISTANT) == [{"type": "endCall"}]


def test_older_ones_join_the_transfer_that_is_there_or_make_one() -> None:
    assert tools(with_destinations(ASSISTANT, [OLDER]))[-1] == {
        "type": "transferCall",
        "destinations": [OLDER],
    }
    number = {"type": "number", "number": "+4930"}
    has = {
        "model": {"tools": [3, {"type": "transferCall", "destinations": [number]}, {"type": "transferCall"}]}
    }
    assert tools(with_destinations(has, [OLDER]))[1:] == [
        {"type": "transferCall", "destinations": [number, OLDER]},
        {"type": "transferCall"},
    ]


def test_without_destinations_nothing_changes() -> None:
    for destinations in (None, [], "x", [3]):
        assert with_destinations(ASSISTANT, destinations) == ASSISTANT
    assert with_destinations({"model": 3}, [OLDER])["model"]["tools"]

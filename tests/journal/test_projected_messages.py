"""What customers' servers are to be told goes into the store with the records that it was made of, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aywa.core.webhooks import Endpoint
from aywa.journal.projector import Projector
from tests.journal.stores import MemoryStore, ended, said
from tests.journal.test_projector import projecting, put

virtual_time = pytest.mark.virtual_time
WEBHOOKS = {
    "policy": "fallback",
    "messages": ["status-update", "conversation-update", "end-of-call-report"],
    "servers": [Endpoint("https://example.com/hook").document()],
}


def started(call_id: str = "call-1") -> tuple[Any, ...]:
    data = {"epoch_ms": 1_700_000_000_000, "webhooks": WEBHOOKS, "call": {"id": call_id}}
    return (call_id, "org-1", 1, 0.0, "event", "CallStarted", data)


def told(seq: int, call_id: str = "call-1") -> tuple[Any, ...]:
    return (call_id, "org-1", seq, seq / 10, "command", "TellClient", {"type": "conversation-update"})


def closed(seq: int) -> tuple[Any, ...]:
    return ("call-1", "org-1", seq, seq / 10, "note", "CallClosed", {})


def told_of(store: MemoryStore) -> list[tuple[str, str]]:
    return [(d.id, d.kind) for d in store.deliveries]


@virtual_time
async def test_messages_go_along_with_their_records(tmp_path: Path) -> None:
    store = MemoryStore(down=2)
    projector = Projector(store, tmp_path)
    async with projecting(projector):
        projector.take(put(tmp_path, started(), said(2), told(3)))
        projector.take(put(tmp_path, started("call-2"), told(2, "call-2")))
        await projector.drained()
        projector.take(put(tmp_path, ended(4), closed(5)))
        await projector.drained()
    kinds = [(d.call_id, d.kind) for d in store.deliveries]
    assert kinds == [
        ("call-1", "status-update"),
        ("call-1", "conversation-update"),
        ("call-2", "status-update"),
        ("call-2", "conversation-update"),
        ("call-1", "status-update"),
        ("call-1", "end-of-call-report"),
        ("call-1", "end-of-call-report"),
    ]
    update, report = (json.loads(store.deliveries[n].body)["message"] for n in (1, -1))
    assert [m["message"] for m in update["messages"]] == ["word 2"]
    assert report["endedReason"] == "customer-ended-call"
    assert (store.deliveries[-2].hold_s > 0, store.deliveries[-1].hold_s) == (True, 0.0)


@virtual_time
async def test_a_projection_that_begins_again_tells_the_same_again(tmp_path: Path) -> None:
    """The checkpoint is lost: the ids are the same, and the store has each once."""
    put(tmp_path, started(), said(2), told(3), ended(4))
    first, second = MemoryStore(), MemoryStore()
    await Projector(first, tmp_path).recover()
    (tmp_path / "projected.json").unlink()
    await Projector(second, tmp_path).recover()
    assert told_of(first) == told_of(second)
    assert len(told_of(first)) == 4


@virtual_time
async def test_what_was_told_before_a_crash_is_not_told_again_after_it(tmp_path: Path) -> None:
    store = MemoryStore()
    projector = Projector(store, tmp_path)
    async with projecting(projector):
        projector.take(put(tmp_path, started(), said(2), told(3)))
        await projector.drained()
    store.deliveries.clear()
    later = Projector(store, tmp_path)
    async with projecting(later):
        later.take(put(tmp_path, said(4), told(5)))
        await later.drained()
    ((_, kind),) = told_of(store)
    assert kind == "conversation-update"
    messages = json.loads(store.deliveries[0].body)["message"]["messages"]
    assert [m["message"] for m in messages] == ["word 2", "word 4"]


@virtual_time
async def test_one_call_s_trouble_does_not_keep_another_s_messages(tmp_path: Path) -> None:
    store = MemoryStore(poison="call-2")
    projector = Projector(store, tmp_path)
    async with projecting(projector):
        projector.take(put(tmp_path, started("call-2"), started()))
        await projector.drained()
    assert [d.call_id for d in store.deliveries] == ["call-1"]
    assert projector.left_out == 1


@virtual_time
async def test_a_message_that_cannot_be_written_keeps_no_other_back(tmp_path: Path) -> None:
    store = MemoryStore()
    projector = Projector(store, tmp_path)
    # JSON has no such keys.
    odd = ("call-1", "org-1", 2, 0.2, "command", "TellClient", {"type": "status-update", "body": {b"x": 1}})
    async with projecting(projector):
        projector.take(put(tmp_path, started(), odd, told(3), started("call-2"), told(2, "call-2")))
        await projector.drained()
    assert [(d.call_id, d.kind) for d in store.deliveries] == [
        ("call-1", "status-update"),
        ("call-1", "conversation-update"),
        ("call-2", "status-update"),
        ("call-2", "conversation-update"),
    ]
    assert projector.problem == "call call-1, status-update: TypeError"

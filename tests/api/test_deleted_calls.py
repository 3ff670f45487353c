"""call.deleted: told to those who want to hear it, in the transaction in which the call goes, and without what was said."""

from __future__ import annotations

import json
from typing import Any

from aywa.core.webhooks import Delivery
from aywa.ports.journal import JournalRecord, StoreUnavailable
from aywa.ports.outbox import DeliveryQuery
from tests.api.conftest import Runtime

SERVER = {"url": "https://hooks.example.com/a", "secret": "planted-secret"}
WANTED: dict[str, Any] = {"server": SERVER, "serverMessages": ["call.deleted"]}
WEBSOCKET = {"provider": "vapi.websocket"}


async def place(runtime: Runtime, assistant: dict[str, Any], **more: Any) -> str:
    body = {"assistant": assistant, "transport": WEBSOCKET} | more
    answer = await runtime.client.post("/call", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def begin(runtime: Runtime, call_id: str) -> None:
    """As the projector puts it on record."""
    plan = next(plan for plan in runtime.host.plans if plan.call_id == call_id)
    data = {
        "epoch_ms": 1_700_000_000_000,
        "assistant": {**plan.assistant, "name": "Desk"},
        "webhooks": plan.webhooks,
        "call": {"id": call_id, "type": plan.type, "customer": {"name": "Ann"}},
    }
    message = {"message": {"role": "user", "message": "something private"}}
    await runtime.store.apply(
        [
            JournalRecord(call_id, runtime.org_id, 1, 0.0, "event", "CallStarted", data),
            JournalRecord(call_id, runtime.org_id, 2, 0.1, "command", "RecordMessage", message),
        ],
        [],
    )


async def told(runtime: Runtime) -> list[Delivery]:
    return [row.delivery for row in await runtime.store.outbox.list(runtime.org_id, DeliveryQuery())]


async def test_whoever_wants_to_hear_it_is_told_that_a_call_was_deleted(runtime: Runtime) -> None:
    call_id = await place(runtime, WANTED)
    await begin(runtime, call_id)
    assert (await runtime.client.delete(f"/call/{call_id}")).status_code == 200
    (delivery,) = await told(runtime)
    assert (delivery.kind, delivery.private, delivery.call_id) == ("call.deleted", True, None)
    assert [endpoint.url for endpoint in delivery.endpoints] == [SERVER["url"]]
    assert delivery.endpoints[0].auth.startswith("sealed:")
    message = json.loads(delivery.body)["message"]
    assert (message["type"], message["call"]["id"], message["call"]["status"]) == (
        "call.deleted",
        call_id,
        "queued",
    )
    assert (message["assistant"]["name"], message["customer"]) == ("Desk", {"name": "Ann"})
    assert "something private" not in delivery.body
    assert "planted-secret" not in delivery.body


async def test_one_that_only_waited_is_told_too(runtime: Runtime) -> None:
    later = {"schedulePlan": {"earliestAt": "2099-01-01T00:00:00Z"}}
    number = await runtime.phone_number()
    calls = runtime.services.calls
    calls._clock = lambda: 4_070_000_000_000
    call_id = await place(
        runtime, WANTED, transport=None, phoneNumberId=number, customer={"number": "+493099999"}, **later
    )
    await runtime.client.delete(f"/call/{call_id}")
    (delivery,) = await told(runtime)
    assert delivery.endpoints[0].auth.startswith("sealed:")
    assert json.loads(delivery.body)["message"]["call"]["status"] == "scheduled"


async def test_several_that_are_deleted_at_once_are_told_one_by_one(runtime: Runtime) -> None:
    ids = [await place(runtime, WANTED) for _ in range(3)]
    await runtime.client.request("DELETE", f"/call/{ids[0]}", json={"ids": ids[1:]})
    assert {json.loads(each.body)["message"]["call"]["id"] for each in await told(runtime)} == set(ids)


async def test_nobody_else_is_told(runtime: Runtime) -> None:
    quiet = await place(runtime, {"server": SERVER})
    serverless = await place(runtime, {"serverMessages": ["call.deleted"]})
    for call_id in (quiet, serverless):
        await begin(runtime, call_id)
        await runtime.client.delete(f"/call/{call_id}")
    wanted = await place(runtime, WANTED)
    foreign = runtime.as_key(runtime.keys["foreign"])
    assert (await foreign.delete(f"/call/{wanted}")).status_code == 404
    assert await told(runtime) == []


async def test_without_an_assistant_any_more_the_account_s_server_is_told_if_it_wants(
    runtime: Runtime,
) -> None:
    assistant_id = await runtime.assistant(**WANTED)
    number = await runtime.phone_number()
    calls = runtime.services.calls
    calls._clock = lambda: 4_070_000_000_000
    body = {
        "assistantId": assistant_id,
        "phoneNumberId": number,
        "customer": {"number": "+493099999"},
        "schedulePlan": {"earliestAt": "2099-01-01T00:00:00Z"},
    }
    call_id = (await runtime.client.post("/call", json=body)).json()["id"]
    await runtime.client.delete(f"/assistant/{assistant_id}")
    assert (await runtime.client.delete(f"/call/{call_id}")).status_code == 200
    # Nobody says any more who wants to hear what; by default nobody hears of it.
    assert await told(runtime) == []


async def test_what_cannot_be_told_is_not_deleted(runtime: Runtime, monkeypatch: Any) -> None:
    """One transaction: neither happens without the other."""
    call_id = await place(runtime, WANTED)
    await begin(runtime, call_id)
    before = (await runtime.client.get(f"/call/{call_id}")).json()

    async def away(*_: Any) -> None:
        raise StoreUnavailable("away")

    database = runtime.store.calls._database  # type: ignore[attr-defined]
    monkeypatch.setattr(type(database), "enqueue_along", away)
    assert (await runtime.client.delete(f"/call/{call_id}")).status_code == 503
    monkeypatch.undo()
    assert (await runtime.client.get(f"/call/{call_id}")).json() == before
    assert await told(runtime) == []

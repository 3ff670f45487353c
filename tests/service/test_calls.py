"""What a client that gave up, and a store that failed, do to a call; what becomes of overrides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.ports.calls import CallPlan
from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Store
from aywa.service.assistants import Assistants
from aywa.service.brains import Brains
from aywa.service.calls import CallLimits, Calls, Creator
from aywa.service.credentials import Credentials
from aywa.service.files import Files
from aywa.service.overrides import merged
from aywa.service.resource import TOOL_KIND, Resource, squad_kind

BODY = {"assistant": {"firstMessage": "Hello"}, "transport": {"provider": "vapi.websocket"}}
CREATOR = Creator("org", "key")
LIMITS = CallLimits(undelivered_ms=1_000, undelivered_answers=2)


class Host:
    def __init__(self) -> None:
        self.plans: list[CallPlan] = []

    def full(self) -> bool:
        return False

    def prepare(self, plan: CallPlan) -> str:
        self.plans.append(plan)
        return "ws://host/x"

    def end(self, call_id: str, reason: str) -> bool:
        return False

    def active(self) -> Mapping[str, str]:
        return {}


class Clock:
    ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
    yield opened
    await opened.close()


def _calls(store: Store, host: Host, clock: Clock) -> Calls:
    vault = AesGcmVault(bytes(32))
    assistants = Assistants(store.assistants, vault, clock)
    credentials = Credentials(store.credentials, vault, {}, clock)
    tools = Resource(store.tools, TOOL_KIND, vault, clock)
    squads = Resource(store.squads, squad_kind(store.assistants), vault, clock)
    brains = Brains(assistants, tools, squads, Files(store.files, None, clock), credentials)
    return Calls(store.calls, brains, host, None, LIMITS, clock)


async def test_an_answer_nobody_waited_for_is_given_to_the_next_identical_request(store: Store) -> None:
    host, clock = Host(), Clock()
    calls = _calls(store, host, clock)
    first = await calls.create(CREATOR, BODY, web=False)
    calls.undelivered(CREATOR, BODY, first, web=False)
    assert (
        json.loads(await calls.create(Creator("org", "other"), BODY, web=False))["id"]
        != json.loads(first)["id"]
    )
    assert await calls.create(CREATOR, BODY, web=False) == first
    assert await calls.create(CREATOR, BODY, web=False) != first
    assert len(host.plans) == 3


async def test_an_answer_nobody_waited_for_is_kept_for_a_while(store: Store) -> None:
    host, clock = Host(), Clock()
    calls = _calls(store, host, clock)
    first = await calls.create(CREATOR, BODY, web=False)
    calls.undelivered(CREATOR, BODY, first, web=False)
    clock.ms += LIMITS.undelivered_ms
    assert await calls.create(CREATOR, BODY, web=False) != first


async def test_answers_nobody_waited_for_do_not_pile_up(store: Store) -> None:
    calls = _calls(store, Host(), Clock())
    for n in range(10):
        calls.undelivered(CREATOR, BODY | {"name": str(n)}, "{}", web=False)
    assert len(calls._undelivered) == LIMITS.undelivered_answers


async def test_a_store_that_fails_after_the_call_was_prepared_fails_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: Any) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(store.calls, "change", away)
    call = json.loads(await _calls(store, Host(), Clock()).create(CREATOR, BODY, web=False))
    assert call["transport"]["websocketCallUrl"] == "ws://host/x"


async def test_a_store_that_fails_before_prepares_no_call(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: Any) -> None:
        raise StoreUnavailable

    host = Host()
    monkeypatch.setattr(store.calls, "insert", away)
    with pytest.raises(StoreUnavailable):
        await _calls(store, host, Clock()).create(CREATOR, BODY, web=False)
    assert host.plans == []


async def test_idempotency_keys_are_forgotten_after_their_time_and_leave_no_locks(store: Store) -> None:
    host, clock = Host(), Clock()
    calls = _calls(store, host, clock)
    made = await asyncio.gather(*(calls.create(CREATOR, BODY, web=False, idempotency="k") for _ in range(5)))
    assert len(set(made)) == 1
    clock.ms += LIMITS.idempotency_key_ms + 1
    assert await calls.create(CREATOR, BODY, web=False, idempotency="k") != made[0]
    assert calls._locks == {}


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": None}, {}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        (
            {"voicemailDetection": {"provider": "vapi"}},
            {"voicemailDetection": None},
            {"voicemailDetection": {"provider": "vapi"}},
        ),
        (
            {"voicemailDetection": {"provider": "vapi"}},
            {"voicemailDetection": "off"},
            {"voicemailDetection": "off"},
        ),
        ({}, {"variableValues": {"a": 1}}, {}),
        ({"model": {"tools": [1]}}, {"tools:append": [2]}, {"model": {"tools": [1, 2]}}),
        ({"model": {"tools": [1]}}, {"model": {"tools:append": [2]}}, {"model": {"tools": [1, 2]}}),
        (
            {"model": {"tools": [1]}},
            {"model": {"tools": [3], "tools:append": [2]}},
            {"model": {"tools": [3, 2]}},
        ),
        ({}, {"tools:append": [2]}, {"model": {"tools": [2]}}),
    ],
)
def test_overrides(base: dict[str, Any], over: dict[str, Any], expected: dict[str, Any]) -> None:
    kept = json.dumps([base, over])
    assert merged(base, over) == expected
    assert json.dumps([base, over]) == kept

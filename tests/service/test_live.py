"""What may be asked at a controlUrl, who may, and the addresses that a call is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aywa.ports.calls import LiveKeys
from aywa.ports.store import ApiKey
from aywa.service.errors import NotAllowed, NotFound, Rejected, Unauthenticated
from aywa.service.keys import Keys
from aywa.service.live import LiveControl, Monitors, control_problems

KEYS = LiveKeys("listen-key", "control-key")


@dataclass
class Calls:
    """One running call that notes what it was asked."""

    keys: LiveKeys = KEYS
    asked: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)

    def live(self, call_id: str) -> tuple[str, LiveKeys] | None:
        return ("org-1", self.keys) if call_id == "call-1" else None

    def steer(self, call_id: str, message: Mapping[str, Any], who: str) -> None:
        self.asked.append((message, who))


class SomeKeys(Keys):
    """Keys without a store: `own` and `foreign`."""

    def __init__(self) -> None:
        pass

    async def authenticate(self, secret: str) -> ApiKey:
        if secret not in ("own", "foreign"):
            raise Unauthenticated("unknown")
        org_id = "org-1" if secret == "own" else "org-2"
        return ApiKey("k", org_id, "Operations", "public", "", "aywa_abcd", 0)


def desk(**keys: Any) -> tuple[LiveControl, Calls]:
    calls = Calls(LiveKeys("listen-key", "control-key", **keys))
    return LiveControl(calls, SomeKeys()), calls


async def steer(
    control: LiveControl,
    message: Any,
    call_id: str = "call-1",
    key: str = "control-key",
    secret: str | None = None,
) -> None:
    await control.steer(call_id, key, message, secret=secret, host="10.0.0.1")


END = {"type": "end-call"}


async def test_the_address_is_enough_and_where_it_came_from_is_noted() -> None:
    control, calls = desk()
    await steer(control, END)
    assert calls.asked == [(END, "10.0.0.1")]


@pytest.mark.parametrize(
    ("call_id", "key"), [("call-1", "listen-key"), ("call-1", ""), ("call-2", "control-key")]
)
async def test_a_wrong_address_leads_nowhere_whatever_is_asked(call_id: str, key: str) -> None:
    control, calls = desk()
    with pytest.raises(NotFound):
        await steer(control, {"type": "dance"}, call_id, key)
    assert calls.asked == []


async def test_a_call_that_is_not_to_be_controlled_has_no_address() -> None:
    control, _ = desk()
    control._calls.keys = LiveKeys("listen-key", "")  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        await steer(control, END, key="")


async def test_where_a_key_is_wanted_it_must_be_the_organisations_and_its_name_is_noted() -> None:
    control, calls = desk(control_by_key=True)
    for secret, error in ((None, Unauthenticated), ("x", Unauthenticated), ("foreign", NotAllowed)):
        with pytest.raises(error):
            await steer(control, END, secret=secret)
    await steer(control, END, secret="own")
    assert calls.asked == [(END, "Operations from 10.0.0.1")]
    assert [await control.opens(secret, "org-1") for secret in ("own", "foreign", "x")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (None, "body"),
        ([], "body"),
        ({}, "type must be one of the following values: say, add-message"),
        ({"type": "dance"}, 'got "dance"'),
        ({"type": ["say"]}, "type must be one of"),
        ({"type": "take-over"}, "type must be one of"),
        ({"type": "say"}, "content must be a text with a word in it"),
        ({"type": "say", "content": "  "}, "content must be"),
        ({"type": "say", "content": 5}, "content must be a string"),
        ({"type": "say", "content": "x" * 10_001}, "content must be shorter"),
        (
            {"type": "say", "content": "x", "endCallAfterSpoken": "yes"},
            "endCallAfterSpoken must be a boolean",
        ),
        ({"type": "add-message"}, "message"),
        (
            {"type": "add-message", "message": {"role": "judge", "content": "x"}},
            "message.role must be one of",
        ),
        ({"type": "add-message", "message": {"role": "user"}}, "message.content"),
        ({"type": "append-context", "kind": "gossip", "content": "x"}, "kind must be one of"),
        ({"type": "control", "control": "dance"}, "control must be one of"),
        ({"type": "control"}, "control"),
        ({"type": "transfer", "destination": {"type": "number", "number": "1"}}, "destination.number"),
        ({"type": "transfer"}, "destination"),
        ({"type": "handoff", "destination": {"type": "number"}}, "destination.type must be one of"),
    ],
)
async def test_what_is_wrong_is_named_with_its_path(message: Any, problem: str) -> None:
    control, calls = desk()
    with pytest.raises(Rejected) as rejected:
        await steer(control, message)
    assert problem in str(rejected.value)
    assert calls.asked == []


def test_all_problems_at_once() -> None:
    message = {"type": "say", "content": 5, "interruptionsEnabled": 1, "endCallAfterSpoken": 2}
    assert len(control_problems(message)) >= 3


@pytest.mark.parametrize(
    "message",
    [
        {"type": "say", "content": "Hello."},
        {"type": "say", "message": "Hello.", "interruptAssistantEnabled": True},
        {
            "type": "add-message",
            "message": {"role": "system", "content": "x"},
            "triggerResponseEnabled": False,
        },
        {"type": "append-context", "kind": "commentary", "content": "x"},
        {"type": "control", "control": "mute-assistant"},
        {"type": "end-call"},
        {"type": "hangup", "unknown": 1},
        {"type": "transfer", "destination": {"type": "number", "number": "+4930123456"}, "content": ""},
        {
            "type": "handoff",
            "destination": {"type": "assistant", "assistantName": "Sales"},
            "content": "Wait.",
        },
        {"type": "give-back"},
    ],
)
def test_what_the_contract_has_is_right(message: dict[str, Any]) -> None:
    assert control_problems(message) == []


# --- the addresses ---------------------------------------------------------------------------------------------------

MONITORS = Monitors(lambda: "wss://here:8081", lambda: "https://here")


def test_a_call_is_opened_by_two_keys_that_nobody_guesses() -> None:
    one, two = MONITORS.open("call-1", {}), MONITORS.open("call-1", {}, "https://asked")
    assert one.monitor["listenUrl"] == f"wss://here:8081/live/call-1/{one.keys.listen}/listen"
    assert one.monitor["controlUrl"] == f"https://here/live/call-1/{one.keys.control}/control"
    assert two.monitor["controlUrl"].startswith("https://asked/live/")
    assert len({one.keys.listen, one.keys.control, two.keys.listen, two.keys.control}) == 4
    assert min(map(len, (one.keys.listen, one.keys.control))) >= 32
    assert one.keys.listen not in repr(one.keys)


@pytest.mark.parametrize(
    "plan", [None, "x", {}, {"listenEnabled": True, "controlAuthenticationEnabled": False}]
)
def test_by_itself_a_call_is_open(plan: Any) -> None:
    opened = MONITORS.open("call-1", {"monitorPlan": plan})
    assert set(opened.monitor) == {"listenUrl", "controlUrl"}
    assert (opened.keys.listen_by_key, opened.keys.control_by_key) == (False, False)


def test_the_assistants_plan_closes_it_or_asks_for_a_key() -> None:
    closed = MONITORS.open("call-1", {"monitorPlan": {"listenEnabled": False, "controlEnabled": False}})
    assert (closed.monitor, closed.keys) == ({}, LiveKeys())
    wants = {"listenAuthenticationEnabled": True, "controlAuthenticationEnabled": True}
    keyed = MONITORS.open("call-1", {"monitorPlan": wants}).keys
    assert (keyed.listen_by_key, keyed.control_by_key) == (True, True)

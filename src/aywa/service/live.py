"""A running call's addresses for those who listen to it and steer it, and what they may ask there (contract 13.3, 15)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aywa.core import steering
from aywa.ports.calls import LiveCalls, LiveKeys
from aywa.ports.store import JsonObject
from aywa.service.errors import NotAllowed, NotFound, Rejected, Unauthenticated
from aywa.service.keys import Keys
from aywa.service.phone_rules import DESTINATION
from aywa.service.rules import Choice, Flag, Obj, OneOf, Problems, Rule, Text, check
from aywa.service.scopes import grants

TEXT_MAX = 10_000
"""Of what is said or added by one control."""
NAME_MAX = 80
_TEXT = Text(TEXT_MAX, 1)
_TYPE = {"type": Text(64, 1)}
_MESSAGE = Obj(
    {"role": Choice(("user", "assistant", "system")), "content": _TEXT},
    ("content",),
)
_ASSISTANT = Obj(
    {
        "type": Choice(("assistant", "squad"), "assistant"),
        "assistantId": Text(200),
        "assistantName": Text(200),
        "squadId": Text(200),
        "assistant": Obj(),
        "squad": Obj(),
    }
)
ADDED = Obj(_TYPE | {"message": _MESSAGE, "triggerResponseEnabled": Flag()}, ("type", "message"))
CONTROLS: Mapping[str, Rule] = {
    steering.SAY: Obj(
        _TYPE
        | {
            "content": _TEXT,
            "message": _TEXT,
            "endCallAfterSpoken": Flag(),
            "interruptionsEnabled": Flag(),
            "interruptAssistantEnabled": Flag(),
        }
    ),
    steering.ADD_MESSAGE: ADDED,
    steering.APPEND_CONTEXT: Obj(
        _TYPE | {"kind": Choice(("commentary", "thinking", "instructions")), "content": _TEXT},
        ("type", "content"),
    ),
    steering.SWITCH: Obj(_TYPE | {"control": Choice(steering.SWITCHES)}, ("type", "control")),
    steering.END_CALL: Obj(_TYPE),
    steering.HANG_UP: Obj(_TYPE),
    steering.TRANSFER: Obj(
        _TYPE | {"destination": DESTINATION, "content": OneOf((Text(TEXT_MAX),))}, ("type", "destination")
    ),
    steering.HANDOFF: Obj(
        _TYPE | {"destination": _ASSISTANT, "content": Text(TEXT_MAX)}, ("type", "destination")
    ),
    steering.GIVE_BACK: Obj(_TYPE | {"content": Text(TEXT_MAX), "triggerResponseEnabled": Flag()}),
}
"""What may be asked at a controlUrl, by type."""


def control_problems(message: Any) -> list[str]:
    """What is wrong with a control."""
    if not isinstance(message, dict):
        return check(Obj(), message) or ["body must be an object"]
    rule = CONTROLS.get(message["type"]) if isinstance(message.get("type"), str) else None
    if rule is None:
        problems = Problems()
        wanted = f"must be one of the following values: {', '.join(CONTROLS)}"
        problems.add("type", wanted, message.get("type"))
        return problems.found
    problems_found = check(rule, message)
    if message["type"] == steering.SAY and not any(_is_said(message.get(n)) for n in ("content", "message")):
        problems = Problems()
        problems.add("content", "must be a text with a word in it", message.get("content"))
        problems_found += problems.found
    return problems_found


def _is_said(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


@dataclass(frozen=True, slots=True)
class Opened:
    """What opens a call that begins. monitor: how its document shows it."""

    keys: LiveKeys
    monitor: JsonObject


class Monitors:
    """Makes the addresses. media_url, api_url: where the two ports are reached from outside, without a slash at the end."""

    def __init__(self, media_url: Callable[[], str], api_url: Callable[[], str]) -> None:
        self._media_url = media_url
        self._api_url = api_url

    def open(self, call_id: str, assistant: Mapping[str, Any], base_url: str = "") -> Opened:
        """For a call of this assistant. base_url: where the API was reached by who made the call."""
        plan = assistant.get("monitorPlan")
        wanted: Mapping[str, Any] = plan if isinstance(plan, Mapping) else {}
        keys = LiveKeys(
            listen=secrets.token_urlsafe(24) if wanted.get("listenEnabled") is not False else "",
            control=secrets.token_urlsafe(24) if wanted.get("controlEnabled") is not False else "",
            listen_by_key=wanted.get("listenAuthenticationEnabled") is True,
            control_by_key=wanted.get("controlAuthenticationEnabled") is True,
        )
        monitor: JsonObject = {}
        if keys.listen:
            monitor["listenUrl"] = f"{self._media_url()}/live/{call_id}/{keys.listen}/listen"
        if keys.control:
            monitor["controlUrl"] = f"{base_url or self._api_url()}/live/{call_id}/{keys.control}/control"
        return Opened(keys, monitor)


class LiveControl:
    """The use-case behind a controlUrl."""

    def __init__(self, calls: LiveCalls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys

    async def steer(self, call_id: str, key: str, message: Any, *, secret: str | None, host: str) -> None:
        """secret: an API key that came with it. host: where it came from. Raises NotFound, Unauthenticated, NotAllowed,
        Rejected, SteeringRefused."""
        found = self._calls.live(call_id)
        if found is None or not found[1].control or not _same(key, found[1].control):
            # Whoever guesses learns nothing, and a call that is over has no controlUrl any more.
            raise NotFound("No running call is controlled here: its controlUrl ends with the call.")
        org_id, keys = found
        who = host
        if keys.control_by_key:
            who = await self._named(org_id, secret, host)
        problems = control_problems(message)
        if problems:
            raise Rejected(problems)
        self._calls.steer(call_id, message, who)

    async def opens(self, secret: str, org_id: str) -> bool:
        """Whether it is a key of the organisation's."""
        try:
            key = await self._keys.authenticate(secret)
        except Unauthenticated:
            return False
        return key.org_id == org_id and grants(key.scopes, "calls:read")

    async def _named(self, org_id: str, secret: str | None, host: str) -> str:
        if secret is None:
            raise Unauthenticated("An API key is needed: Authorization: Bearer aywa_...")
        key = await self._keys.authenticate(secret)
        if key.org_id != org_id:
            raise NotAllowed("The key belongs to another organisation than the call.")
        if not grants(key.scopes, "calls:write"):
            raise NotAllowed("This key may not do that: it has no scope calls:write.")
        return f"{key.name[:NAME_MAX] or key.hint} from {host}" if host else key.name[:NAME_MAX]


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())

"""Hooks of a phone number (contract 12.2): before anybody answers, and when the customer's server names nobody. Decides only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aywa.core.numbers import number_key
from aywa.core.settings import PARTING
from aywa.ports.store import JsonObject

_FIRST_MESSAGE = {"firstMessageMode": "assistant-speaks-first", "backgroundSound": "off"}


def hooked(number: Mapping[str, Any], on: str, what: str) -> JsonObject | None:
    """The first action of the first hook that holds; None where none does. what: the caller's number, or why nobody answers."""
    hooks = number.get("hooks")
    for hook in hooks if isinstance(hooks, list) else ():
        if isinstance(hook, dict) and hook.get("on") == on and _holds(hook, what):
            actions = hook.get("do")
            first = actions[0] if isinstance(actions, list) and actions else None
            if isinstance(first, dict):
                return first
    return None


def _holds(hook: Mapping[str, Any], what: str) -> bool:
    filters = hook.get("filters")
    for one in filters if isinstance(filters, list) else ():
        if not isinstance(one, dict):
            continue
        if one.get("type") == "oneOf" and what not in (one.get("oneOf") or ()):
            return False
        if one.get("type") == "startsWith" and not _begins(what, one.get("startsWith")):
            return False
    return True


def _begins(number: str, prefixes: Any) -> bool:
    # As a number is looked up: without the marks that people write.
    key = number_key(number)
    wanted = (
        [number_key(each) for each in prefixes if isinstance(each, str)] if isinstance(prefixes, list) else []
    )
    return bool(key) and any(each and key.startswith(each) for each in wanted)


def parting(text: str, reason: str) -> JsonObject:
    """An assistant that says this and hangs up. reason: of PARTING."""
    assert reason in PARTING
    return {"firstMessage": text, "partingReason": reason, **_FIRST_MESSAGE}

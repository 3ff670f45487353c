"""What a hook must be (contract 12.1). The hosted platform skips one that is not, without a word; here it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aywa.core.settings import ALL_ACTIONS, ELAPSED, HOOK_ACTIONS, HOOKS, split_hook_event
from aywa.service.rules import (
    Also,
    Choice,
    Described,
    Flag,
    ListOf,
    Number,
    Obj,
    Problems,
    Rule,
    Tagged,
    Text,
    join,
)

HOOKS_MAX = 100
LOW_CONFIDENCE = "assistant.transcriber.endpointedSpeechLowConfidence"
_NEEDS_ELAPSED = "must be there: call.timeElapsed needs the seconds after the first audio, 1 to 3600"


def _check_event(value: Any, path: str, problems: Problems) -> None:
    on, band = split_hook_event(value)
    if band is not None and (on != LOW_CONFIDENCE or not band[0] <= band[1] <= 1):
        problems.add(
            path, f"may only have [confidence=least:most], both 0 to 1, after {LOW_CONFIDENCE}", value
        )
    elif on not in HOOKS:
        problems.add(path, f"must be one of the following values: {', '.join(HOOKS)}", value)


def _check_hook(value: Any, path: str, problems: Problems) -> None:
    on, _ = split_hook_event(value["on"])
    allowed = HOOK_ACTIONS.get(on, ALL_ACTIONS)
    for index, action in enumerate(value["do"]):
        if action["type"] not in allowed:
            rule = f"must be one of {', '.join(allowed)} where on is {on}"
            problems.add(f"{path}.do[{index}].type", rule, action["type"])
    options = value.get("options") or {}
    if on == ELAPSED and options.get("seconds") is None:
        problems.add(join(path, "options.seconds"), _NEEDS_ELAPSED, None)


def _check_action(value: Any, path: str, problems: Problems) -> None:
    needs = _NEEDS.get(value["type"])
    if needs is None:
        rule = f"must be one of the following values: {', '.join(_NEEDS)}"
        problems.add(join(path, "type"), rule, value["type"])
    else:
        needs(value, path, problems)


def _check_say(value: Mapping[str, Any], path: str, problems: Problems) -> None:
    exact, prompt = value.get("exact"), value.get("prompt")
    if not _is_said(exact) and not _is_prompt(prompt):
        rule = "needs exact (a text, or an array of texts) or prompt (a text, or an array of messages)"
        problems.add(path, rule, value)


def _is_said(exact: Any) -> bool:
    texts = exact if isinstance(exact, list) else [exact]
    return bool(texts) and all(isinstance(text, str) and text.strip() for text in texts)


def _is_prompt(prompt: Any) -> bool:
    if isinstance(prompt, list):
        return bool(prompt) and all(isinstance(m, dict) and isinstance(m.get("content"), str) for m in prompt)
    return isinstance(prompt, str) and bool(prompt.strip())


def _check_tool(value: Mapping[str, Any], path: str, problems: Problems) -> None:
    given = [name for name in ("tool", "toolId") if value.get(name)]
    if len(given) != 1:
        problems.add(path, "needs one of tool and toolId", value)
    elif not isinstance(value[given[0]], dict if given[0] == "tool" else str):
        problems.add(join(path, given[0]), f"must be {_KINDS[given[0]]}", value[given[0]])


def _check_message(value: Mapping[str, Any], path: str, problems: Problems) -> None:
    message = value.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, str) or not content:
        problems.add(join(path, "message.content"), "must be a text", content)


def _anything(value: Any, path: str, problems: Problems) -> None:
    """Says nothing: it only stands in a description."""


_KINDS = {"tool": "an object", "toolId": "a string"}
_NEEDS: dict[str, Callable[[Mapping[str, Any], str, Problems], None]] = {
    "say": _check_say,
    "tool": _check_tool,
    "message.add": _check_message,
}
_OPTIONS = Obj(
    {
        "timeoutSeconds": Number(1, 1000),
        "triggerMaxCount": Number(1, 10),
        "triggerResetMode": Choice(("never", "onUserSpeech")),
        "seconds": Number(1, 3600),
    }
)
_FILTER = Obj({"type": Choice(("oneOf",)), "key": Text(), "oneOf": ListOf(Text())}, ("type", "key", "oneOf"))
_ACTION = Also(Obj({"type": Text(), "triggerResponseEnabled": Flag()}, ("type",)), _check_action)
_HOOK = Also(
    Obj(
        {
            "on": Also(Text(), _check_event),
            "do": ListOf(_ACTION),
            "filters": ListOf(_FILTER),
            "name": Text(),
            "options": _OPTIONS,
        },
        ("on", "do"),
    ),
    _check_hook,
)
_ACTIONS: dict[str, Obj] = {
    "say": Obj({"exact": Also(Text(), _anything, "^[A-Za-z]")}, ("exact",)),
    "tool": Obj({"toolId": Text(shortest=1)}, ("toolId",)),
    "message.add": Obj(
        {
            "message": Obj({"role": Text(), "content": Text(shortest=1)}, ("content",)),
            "triggerResponseEnabled": Flag(),
        },
        ("message",),
    ),
}


def _described(on: str) -> Obj:
    """A hook as a description can say it: which actions may follow what (contract 12.1), in their plainest form."""
    actions = {name: _ACTIONS[name] for name in HOOK_ACTIONS.get(on, ALL_ACTIONS)}
    timed = Obj(_OPTIONS.rules, ("seconds",)) if on == ELAPSED else _OPTIONS
    rules: dict[str, Rule] = {
        "do": ListOf(Tagged("type", actions)),
        "filters": ListOf(_FILTER),
        "name": Text(),
        "options": timed,
    }
    return Obj(rules, ("do", "options") if on == ELAPSED else ("do",))


HOOK_LIST = ListOf(Described(_HOOK, Tagged("on", {on: _described(on) for on in HOOKS})), HOOKS_MAX)

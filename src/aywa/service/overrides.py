"""assistantOverrides over an assistant: objects are merged, arrays and values replaced, `tools:append` adds (contract 2.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aywa.ports.store import JsonObject

APPEND = "tools:append"


def merged(assistant: Mapping[str, Any], overrides: Mapping[str, Any]) -> JsonObject:
    """The assistant with the overrides applied, without its variableValues. Changes neither argument."""
    plain = {name: value for name, value in overrides.items() if name not in (APPEND, "variableValues")}
    if plain.get("voicemailDetection", "") is None:
        del plain["voicemailDetection"]  # null cannot switch it off; "off" can
    model = plain.get("model")
    appended = list(overrides.get(APPEND) or ())
    if isinstance(model, dict) and APPEND in model:
        appended += model[APPEND] or ()
        plain["model"] = {name: value for name, value in model.items() if name != APPEND}
    result = laid_over(assistant, plain)
    if appended:
        model = dict(result.get("model") or {})
        result["model"] = model | {"tools": [*(model.get("tools") or ()), *appended]}
    return result


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> JsonObject:
    """Objects merged deeply, the rest replaced; null takes away. Changes neither argument."""
    result = dict(base)
    for name, value in over.items():
        old = result.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            result[name] = laid_over(old, value)
        elif value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result

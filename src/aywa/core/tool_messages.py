"""What is said around a tool (contract 5): before it is run, while it is late, when it is done, when it failed.

Reads the messages and says which one fits; refuses to speak.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

START, DELAYED, COMPLETE, FAILED = (
    "request-start",
    "request-response-delayed",
    "request-complete",
    "request-failed",
)
KINDS = (START, DELAYED, COMPLETE, FAILED)
MESSAGES_MAX = 32
CONDITIONS_MAX = 16
CONTENTS_MAX = 32
TEXT_MAX = 1000
"""Characters of one message (contract 5)."""
DELAYS_MS = (100, 120_000)
_DELAY_MS = 5000


@dataclass(frozen=True, slots=True)
class Condition:
    """A message is only said when the argument `param` compares so with the value."""

    operator: str
    param: str
    value: Any = None

    def holds(self, arguments: Mapping[str, Any]) -> bool:
        """By the call's arguments. What cannot be compared does not hold; an argument that is not there is unequal to all."""
        given = arguments.get(self.param)
        if self.operator == "eq":
            return _same(given, self.value)
        if self.operator == "neq":
            return not _same(given, self.value)
        one, other = _number(given), _number(self.value)
        if one is None or other is None:
            return False
        return {"gt": one > other, "gte": one >= other, "lt": one < other, "lte": one <= other}.get(
            self.operator, False
        )


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """kind: one of KINDS. texts: (language, text), the language empty for the one that fits all; an empty text is silence on
    purpose. blocking: the tool is run when it was said. after_s: how late the tool has to be. role: whose words they are;
    the system's are a hint for the model. ends_call: when it was said."""

    kind: str
    texts: tuple[tuple[str, str], ...]
    blocking: bool = False
    after_s: float = 0.0
    role: str = "assistant"
    ends_call: bool = False
    conditions: tuple[Condition, ...] = ()

    def text(self, language: str) -> str:
        """In the language, a BCP 47 tag, if there is such a text; else the first."""
        wanted = language.lower().partition("-")[0]
        for spoken, text in self.texts:
            if spoken and spoken.lower().partition("-")[0] == wanted:
                return text
        return next((text for spoken, text in self.texts if not spoken), self.texts[0][1])

    def fits(self, arguments: Mapping[str, Any]) -> bool:
        """All its conditions hold."""
        return all(condition.holds(arguments) for condition in self.conditions)


def read_messages(written: Any) -> tuple[ToolMessage, ...]:
    """A tool's messages; what is malformed is left out."""
    found = (_message(each) for each in _list(written)[:MESSAGES_MAX])
    return tuple(message for message in found if message is not None)


def message_for(
    messages: Sequence[ToolMessage], kind: str, arguments: Mapping[str, Any]
) -> ToolMessage | None:
    """The first of the kind that fits a call with these arguments."""
    return next((each for each in messages if each.kind == kind and each.fits(arguments)), None)


def delays(messages: Sequence[ToolMessage], arguments: Mapping[str, Any]) -> tuple[ToolMessage, ...]:
    """Those that are said while the tool is late, the soonest first."""
    fitting = [each for each in messages if each.kind == DELAYED and each.fits(arguments)]
    return tuple(sorted(fitting, key=lambda each: each.after_s))


def _message(value: Any) -> ToolMessage | None:
    written = value if isinstance(value, Mapping) else {}
    kind = written.get("type")
    if kind not in KINDS:
        return None
    texts: list[tuple[str, str]] = []
    if isinstance(content := written.get("content"), str):
        texts.append(("", content[:TEXT_MAX]))
    for each in _list(written.get("contents"))[:CONTENTS_MAX]:
        if isinstance(each, Mapping) and isinstance(text := each.get("text"), str):
            language = each.get("language")
            texts.append((language if isinstance(language, str) else "", text[:TEXT_MAX]))
    least, most = DELAYS_MS
    after_ms = _number(written.get("timingMilliseconds"))
    conditions = tuple(map(_condition, _list(written.get("conditions"))[:CONDITIONS_MAX]))
    return ToolMessage(
        kind=str(kind),
        texts=tuple(texts) or (("", ""),),
        blocking=written.get("blocking") is True,
        after_s=min(max(_DELAY_MS if after_ms is None else after_ms, least), most) / 1000,
        role="system" if written.get("role") == "system" else "assistant",
        ends_call=written.get("endCallAfterSpokenEnabled") is True,
        conditions=conditions,
    )


def _condition(value: Any) -> Condition:
    """One that cannot be read holds for nothing: a message with it is not said."""
    written = value if isinstance(value, Mapping) else {}
    operator, param = written.get("operator"), written.get("param")
    known = isinstance(operator, str) and isinstance(param, str)
    return Condition(str(operator), str(param), written.get("value")) if known else Condition("", "")


def _same(given: Any, value: Any) -> bool:
    if given == value:
        return isinstance(given, bool) == isinstance(value, bool)
    one, other = _number(given), _number(value)
    if one is not None and other is not None:
        return one == other
    # Values are written as text in most assistants, whatever the argument's type is.
    return isinstance(value, str) and isinstance(given, bool) and value == str(given).lower()


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return float(value) if abs(value) < 1 << 53 else None
    if isinstance(value, float):
        return value if abs(value) < 1e300 else None
    try:
        number = float(value) if isinstance(value, str) and len(value) < 40 else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < 1e300 else None


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()

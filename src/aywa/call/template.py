"""Renders the {{variables}} of an assistant's texts (LiquidJS-compatible, contract 13.6).

Values are data: what they hold is never rendered again. An undefined name gives an empty string; a template that cannot
be read is left as it stands and named among the problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aywa.call.liquid import BadTemplate, render
from aywa.core.tool_messages import COMPLETE, FAILED

# Only these are spoken or prompted; URLs, headers and bodies are rendered where they are used.
_TEXT_FIELDS = ("firstMessage", "endCallMessage", "voicemailMessage")
_PLAN_TEXTS = {"messagePlan": ("idleMessages", "silenceTimeoutMessage"), "fillerPlan": ("messages",)}


def builtin_variables(now: datetime) -> dict[str, Any]:
    """now, date, time, month, day, year, in UTC."""
    utc = now.astimezone(UTC)
    return {
        "now": utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "date": utc.strftime("%B %d, %Y"),
        "time": utc.strftime("%I:%M %p"),
        "month": utc.strftime("%B"),
        "day": utc.strftime("%A"),
        "year": utc.strftime("%Y"),
    }


def render_text(
    template: str, variables: Mapping[str, Any], problems: list[str], where: str, now: datetime | None = None
) -> str:
    """One text; what went wrong is added to problems under its place. now: default, the clock's time."""
    if "{{" not in template and "{%" not in template:
        return template
    try:
        return render(template, variables, now or datetime.now(UTC))
    except BadTemplate as error:
        problems.append(f"{where}: {error.code}")
        return template


def render_assistant(
    document: Mapping[str, Any], variables: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The document with its spoken texts and prompts rendered, and the problems met."""
    problems: list[str] = []
    rendered = dict(document)
    for field in _TEXT_FIELDS:
        if isinstance(text := document.get(field), str):
            rendered[field] = render_text(text, variables, problems, field)
    model = document.get("model")
    if isinstance(model, Mapping):
        rendered["model"] = _render_model(model, variables, problems)
    for plan, fields in _PLAN_TEXTS.items():
        texts = document.get(plan)
        if isinstance(texts, Mapping):
            new = {
                f: _render_value(texts[f], variables, problems, f"{plan}.{f}") for f in fields if f in texts
            }
            rendered[plan] = {**texts, **new}
    hooks = document.get("hooks")
    if isinstance(hooks, list):
        rendered["hooks"] = [
            _render_hook(hook, variables, problems, f"hooks[{i}]") for i, hook in enumerate(hooks)
        ]
    return rendered, problems


def _render_hook(hook: Any, variables: Mapping[str, Any], problems: list[str], where: str) -> Any:
    if not isinstance(hook, Mapping) or not isinstance(hook.get("do"), list):
        return hook
    done = [
        _render_action(action, variables, problems, f"{where}.do[{i}]") for i, action in enumerate(hook["do"])
    ]
    return {**hook, "do": done}


def _render_action(action: Any, variables: Mapping[str, Any], problems: list[str], where: str) -> Any:
    if not isinstance(action, Mapping):
        return action
    said = {
        name: _render_value(action[name], variables, problems, f"{where}.{name}")
        for name in ("exact", "prompt", "message")
        if name in action
    }
    return {**action, **said}


def _render_value(value: Any, variables: Mapping[str, Any], problems: list[str], where: str) -> Any:
    """A text, the texts of an array, or the content of a message."""
    if isinstance(value, str):
        return render_text(value, variables, problems, where)
    if isinstance(value, list):
        return [_render_value(item, variables, problems, f"{where}[{i}]") for i, item in enumerate(value)]
    return _render_message(value, variables, problems, f"{where}.content")


def _render_model(
    model: Mapping[str, Any], variables: Mapping[str, Any], problems: list[str]
) -> dict[str, Any]:
    rendered = dict(model)
    if isinstance(old := model.get("systemPrompt"), str):
        rendered["systemPrompt"] = render_text(old, variables, problems, "model.systemPrompt")
    messages = model.get("messages")
    if isinstance(messages, list):
        rendered["messages"] = [
            _render_message(m, variables, problems, f"model.messages[{i}].content")
            for i, m in enumerate(messages)
        ]
    tools = model.get("tools")
    if isinstance(tools, list):
        rendered["tools"] = [
            _render_tool(tool, variables, problems, f"model.tools[{i}]") for i, tool in enumerate(tools)
        ]
    return rendered


def _render_tool(tool: Any, variables: Mapping[str, Any], problems: list[str], where: str) -> Any:
    """What is said around it; what is filled in is filled in when it is run."""
    if not isinstance(tool, Mapping) or not isinstance(tool.get("messages"), list):
        return tool
    messages = [
        message
        if _comes_after(message)
        else _render_said(message, variables, problems, f"{where}.messages[{i}]")
        for i, message in enumerate(tool["messages"])
    ]
    return {**tool, "messages": messages}


def _comes_after(message: Any) -> bool:
    """It may say what the tool has told, and is rendered when that is known."""
    return (
        isinstance(message, Mapping)
        and message.get("type") in (COMPLETE, FAILED)
        and message.get("role") != "system"
    )


def _render_said(message: Any, variables: Mapping[str, Any], problems: list[str], where: str) -> Any:
    rendered = _render_message(message, variables, problems, f"{where}.content")
    if not isinstance(message, Mapping) or not isinstance(message.get("contents"), list):
        return rendered
    contents = [
        {**each, "text": render_text(each["text"], variables, problems, f"{where}.contents[{i}].text")}
        if isinstance(each, Mapping) and isinstance(each.get("text"), str)
        else each
        for i, each in enumerate(message["contents"])
    ]
    return {**rendered, "contents": contents}


def _render_message(message: Any, variables: Mapping[str, Any], problems: list[str], where: str) -> Any:
    if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
        return message
    return {**message, "content": render_text(message["content"], variables, problems, where)}

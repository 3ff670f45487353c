"""What a sipRequest tool sends, filled in: headers and body as templates, or as schemas whose open parts the model says
(contract 5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aywa.call.tools.templates import Templates, filled
from aywa.core.sip.in_dialog import request_parts
from aywa.core.tool_answers import text_of
from aywa.ports.tools import ToolSipRequest

TEXT, JSON = "text/plain", "application/json"


def sip_request(
    tool: Mapping[str, Any], arguments: Mapping[str, Any], templates: Templates
) -> ToolSipRequest:
    """As it leaves. Raises core.sip.in_dialog.Unsendable."""
    verb = str(tool.get("verb"))
    headers = {
        str(name): value if isinstance(value, str) else text_of(value)
        for name, value in _headers(tool.get("headers"), arguments, templates).items()
        if value is not None
    }
    body = _body(tool.get("body"), arguments, templates)
    kind = TEXT if isinstance(body, str) else JSON
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    fields, data = request_parts(verb, headers, text, kind)
    return ToolSipRequest(verb, fields, data)


def _headers(written: Any, arguments: Mapping[str, Any], templates: Templates) -> Mapping[str, Any]:
    schema = written if isinstance(written, Mapping) else {}
    named = schema.get("properties")
    if isinstance(named, Mapping):
        made = filled(schema, _named(named, arguments), templates, "headers")
    else:
        # Not a schema: each name with its value.
        made = {} if schema.get("type") == "object" else templates.value(schema, "headers")
    return made if isinstance(made, Mapping) else {}


def _body(written: Any, arguments: Mapping[str, Any], templates: Templates) -> Any:
    """Text, or what goes as JSON."""
    if isinstance(written, str):
        return templates.text(written, "body")
    if not isinstance(written, Mapping) or not written:
        return ""
    named = written.get("properties")
    given: Any = _named(named, arguments) if isinstance(named, Mapping) else arguments.get("body")
    made = filled(written, given, templates, "body")
    return "" if made is None else made


def _named(names: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are of this part: its others go elsewhere."""
    return {name: value for name, value in arguments.items() if name in names}

"""What in a tool is filled in when it is run: static parameters, addresses, headers, bodies, and the variables of its answer
(contract 5, 13.6). Values are data: what an argument holds is never read as a template."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aywa.call.liquid import BadTemplate, render
from aywa.call.template import builtin_variables
from aywa.core.extraction import KEY_MAX, VARIABLES_MAX, clean, extracted, fits
from aywa.core.tools import is_constant, static_parameters

DEPTH_MAX = 16
ANSWER = "answer_of_the_tool"
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.S)
# LiquidJS takes $ for a name; python-liquid has no such name.
_ROOT = re.compile(r"(?<![\w$\"'.])\$(?=[.\[\s|}%])")


class Templates:
    """Renders with the call's variables and, over them, the arguments. problems: of templates that could not be read, which are
    left out."""

    def __init__(self, variables: Mapping[str, Any], now: datetime | None = None) -> None:
        self._now = now or datetime.now(UTC)
        self._variables = {**builtin_variables(self._now), **variables}
        self.problems: list[str] = []

    def beneath(self, more: Mapping[str, Any]) -> Templates:
        """With further variables over these, and the same problems."""
        other = Templates({**self._variables, **more}, self._now)
        other.problems = self.problems
        return other

    def text(self, template: str, where: str) -> str:
        """One text; empty where it cannot be rendered."""
        if "{{" not in template and "{%" not in template:
            return template
        try:
            return render(template, self._variables, self._now)
        except BadTemplate as error:
            self.problems.append(f"{where}: {error.code}")
            return ""

    def address(self, template: str) -> str:
        """A URL: what is put into it cannot leave its place in it, unless the URL is nothing else, or begins with it."""
        first = template.lstrip().startswith("{{")
        return self._escaped().text(template, "url") if not first else self.text(template, "url")

    def value(self, value: Any, where: str, depth: int = 0) -> Any:
        """All texts in a JSON value."""
        if isinstance(value, str):
            return self.text(value, where)
        if depth > DEPTH_MAX:
            return None
        if isinstance(value, Mapping):
            return {name: self.value(each, f"{where}.{name}", depth + 1) for name, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, f"{where}[{n}]", depth + 1) for n, each in enumerate(value)]
        return value

    def _escaped(self) -> Templates:
        return Templates(_mapped(self._variables, lambda text: quote(text, safe="")), self._now)._told(self)

    def _told(self, other: Templates) -> Templates:
        self.problems = other.problems
        return self


def with_static(
    tool: Mapping[str, Any], arguments: Mapping[str, Any], templates: Templates
) -> dict[str, Any]:
    """The model's arguments, and over them those that are set."""
    fixed = {
        each["key"]: templates.value(each.get("value"), f"parameters.{each['key']}")
        for each in static_parameters(tool)
    }
    return {**arguments, **fixed}


def filled(schema: Any, arguments: Mapping[str, Any], templates: Templates, where: str) -> Any:
    """What an apiRequest's headers or body are: constants as they are set, the rest from the arguments; what is neither is left
    out."""
    return _fill(schema, arguments, templates, where, 0)


def _fill(schema: Any, given: Any, templates: Templates, where: str, depth: int) -> Any:
    written = schema if isinstance(schema, Mapping) else {}
    if is_constant(written):
        return templates.value(written.get("value", written.get("const")), where)
    properties = written.get("properties")
    if not isinstance(properties, Mapping) or depth > DEPTH_MAX:
        return written.get("default") if given is None else given
    own = given if isinstance(given, Mapping) else {}
    made = {
        name: _fill(part, own.get(name), templates, f"{where}.{name}", depth + 1)
        for name, part in properties.items()
    }
    # What the model adds of its own accord is kept where the schema allows it.
    more = {} if written.get("additionalProperties") is False else own
    return {**more, **{name: value for name, value in made.items() if value is not None}}


def variables_of(plan: Any, answer: Any, templates: Templates) -> dict[str, Any]:
    """What a variableExtractionPlan takes out of an answer: what its schema names, and its aliases."""
    written = plan if isinstance(plan, Mapping) else {}
    found = extracted(written.get("schema"), answer)
    inner = templates.beneath({**found, ANSWER: answer})
    aliases = written.get("aliases")
    for each in (aliases if isinstance(aliases, list) else [])[:VARIABLES_MAX]:
        key, value = (each.get("key"), each.get("value")) if isinstance(each, Mapping) else (None, None)
        if isinstance(key, str) and 0 < len(key) <= KEY_MAX and isinstance(value, str):
            rooted = _TAG.sub(lambda match: _ROOT.sub(ANSWER, match[0]), value)
            text = clean(inner.text(rooted, f"aliases.{key}"))
            if fits(text):
                found[key] = text
    return found


def _mapped(value: Any, change: Callable[[str], str], depth: int = 0) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping) and depth <= DEPTH_MAX:
        return {name: _mapped(each, change, depth + 1) for name, each in value.items()}
    if isinstance(value, list) and depth <= DEPTH_MAX:
        return [_mapped(each, change, depth + 1) for each in value]
    return value

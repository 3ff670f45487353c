"""A small language for what a JSON document may hold, from which the checks and the OpenAPI schemas are both made.

Checking finds all problems at once. Each begins with the property's path, then says the rule and the value that broke it.
Properties without a rule are accepted as they are: documents keep what we do not know. null is always accepted: it clears.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aywa.service.secret_fields import is_secret

PROBLEMS_MAX = 100
_SHOWN_MAX = 80
# A user name and a password may stand before the host of a URL.
_WITH_USER = re.compile(r"://[^/\s]*@")
_SECRET_WORDS = ("secret", "token", "password", "apikey", "authorization", "credential")


@dataclass(slots=True)
class Problems:
    """What was found. More than PROBLEMS_MAX are not listed."""

    found: list[str] = field(default_factory=list)

    def add(self, path: str, rule: str, value: Any, more: str = "") -> None:
        """Notes that the value at the path breaks the rule. more: what there is to say after the value."""
        if len(self.found) < PROBLEMS_MAX:
            self.found.append(f"{path or 'body'} {rule}, got {shown(path, value)}{more}")


class Rule(Protocol):
    """One rule."""

    def check(self, value: Any, path: str, problems: Problems) -> None:
        """Notes what is wrong with the value, which is not None."""

    def schema(self) -> dict[str, Any]:
        """The rule as JSON Schema."""


def shown(path: str, value: Any) -> str:
    """The value as a person may see it: short, and never a secret."""
    name = path.rpartition(".")[2]
    # Of a credential a bare `key` would be one; of the other documents it is a name or a pattern.
    if (is_secret(name) and name != "key") or any(word in name.lower() for word in _SECRET_WORDS):
        return "a hidden value"
    if isinstance(value, str) and _WITH_USER.search(value):
        return "a hidden value"
    if isinstance(value, dict | list):
        return f"an {'object' if isinstance(value, dict) else 'array'} of {len(value)}"
    if isinstance(value, str) and len(value) > _SHOWN_MAX:
        return f"{json.dumps(value[:_SHOWN_MAX])}... ({len(value)} characters)"
    return json.dumps(value)


def join(path: str, name: str) -> str:
    """A property's path."""
    return f"{path}.{name}" if path else name


@dataclass(frozen=True, slots=True)
class Text:
    """A string, with bounds on its length in characters."""

    longest: int | None = None
    shortest: int = 0
    example: str | None = None

    def check(self, value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, str):
            problems.add(path, "must be a string", value)
        elif self.longest is not None and len(value) > self.longest:
            problems.add(path, f"must be shorter than or equal to {self.longest} characters", value)
        elif len(value) < self.shortest:
            problems.add(path, f"must be longer than or equal to {self.shortest} characters", value)

    def schema(self) -> dict[str, Any]:
        limits = {"minLength": self.shortest or None, "maxLength": self.longest, "example": self.example}
        return {"type": "string"} | {key: value for key, value in limits.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Number:
    """A number between two bounds, both included. whole: without a fraction."""

    least: float | None = None
    most: float | None = None
    whole: bool = False
    default: float | None = None

    def check(self, value: Any, path: str, problems: Problems) -> None:
        kind = "an integer number" if self.whole else "a number"
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or math.isnan(value)
            or (self.whole and isinstance(value, float) and not value.is_integer())
        ):
            problems.add(path, f"must be {kind}", value)
        elif self.least is not None and value < self.least:
            problems.add(path, f"must not be less than {self.least:g}", value, self._range)
        elif self.most is not None and value > self.most:
            problems.add(path, f"must not be greater than {self.most:g}", value, self._range)

    def schema(self) -> dict[str, Any]:
        limits = {"minimum": self.least, "maximum": self.most, "default": self.default}
        kind = "integer" if self.whole else "number"
        return {"type": kind} | {key: value for key, value in limits.items() if value is not None}

    @property
    def _range(self) -> str:
        both = self.least is not None and self.most is not None
        return f" (range {self.least:.10g} to {self.most:.10g})" if both else ""


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def check(self, value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, bool):
            problems.add(path, "must be a boolean value", value)

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these strings."""

    values: tuple[str, ...]
    default: str | None = None

    def check(self, value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, str) or value not in self.values:
            problems.add(path, f"must be one of the following values: {', '.join(self.values)}", value)

    def schema(self) -> dict[str, Any]:
        default = {} if self.default is None else {"default": self.default}
        return {"type": "string", "enum": list(self.values)} | default


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array of such values."""

    item: Rule
    longest: int | None = None
    shortest: int = 0

    def check(self, value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, list):
            problems.add(path, "must be an array", value)
            return
        if self.longest is not None and len(value) > self.longest:
            problems.add(path, f"must contain no more than {self.longest} elements", value)
            return
        if len(value) < self.shortest:
            problems.add(path, f"must contain at least {self.shortest} elements", value)
            return
        for index, item in enumerate(value):
            self.item.check(item, f"{path}[{index}]" if path else f"[{index}]", problems)

    def schema(self) -> dict[str, Any]:
        limits = {"minItems": self.shortest or None, "maxItems": self.longest}
        bounds = {key: value for key, value in limits.items() if value is not None}
        return {"type": "array", "items": self.item.schema()} | bounds


@dataclass(frozen=True, slots=True)
class Obj:
    """An object. required: properties that must be there, unless only changes are given (`partial`)."""

    rules: Mapping[str, Rule] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    example: Mapping[str, Any] | None = None

    def check(self, value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problems.add(path, "must be an object", value)
            return
        for name in self.required:
            if value.get(name) is None:
                problems.add(join(path, name), "is required", value.get(name))
        self.check_present(value, path, problems)

    def check_present(self, value: Mapping[str, Any], path: str, problems: Problems) -> None:
        """Checks what is there, and asks for nothing more."""
        for name, item in value.items():
            rule = self.rules.get(name)
            if rule is not None and item is not None:
                rule.check(item, join(path, name), problems)

    def schema(self) -> dict[str, Any]:
        properties = {name: nullable(rule.schema()) for name, rule in self.rules.items()}
        for name in self.required:
            properties[name] = self.rules[name].schema()
        extra: dict[str, Any] = {"required": list(self.required)} if self.required else {}
        if self.example is not None:
            extra["example"] = dict(self.example)
        return {"type": "object", "properties": properties, "additionalProperties": True} | extra


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value of any of several JSON types, each with its rule: text, Number, Obj ... told apart by type."""

    rules: tuple[Rule, ...]

    def check(self, value: Any, path: str, problems: Problems) -> None:
        attempts: list[Problems] = []
        for rule in self.rules:
            attempt = Problems()
            rule.check(value, path, attempt)
            if not attempt.found:
                return
            attempts.append(attempt)
        # Of a rule that the value's type fits, the problems are worth telling; else those of the first.
        best = next((one for one in attempts if not _is_about_type(one, path)), attempts[0])
        problems.found.extend(best.found)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [rule.schema() for rule in self.rules]}


@dataclass(frozen=True, slots=True)
class Also:
    """A rule, and what only code can say of a value that keeps it: `test` adds its problems. pattern: what a description can say
    of it all the same, as a regular expression; what it lets through, the test lets through."""

    rule: Rule
    test: Callable[[Any, str, Problems], None]
    pattern: str = ""

    def check(self, value: Any, path: str, problems: Problems) -> None:
        attempt = Problems()
        self.rule.check(value, path, attempt)
        if not attempt.found:
            self.test(value, path, attempt)
        problems.found.extend(attempt.found[: PROBLEMS_MAX - len(problems.found)])

    def schema(self) -> dict[str, Any]:
        return self.rule.schema() | ({"pattern": self.pattern} if self.pattern else {})


@dataclass(frozen=True, slots=True)
class Described:
    """A rule whose description is another's: narrower, where only code can say all that is taken."""

    rule: Rule
    described: Rule

    def check(self, value: Any, path: str, problems: Problems) -> None:
        self.rule.check(value, path, problems)

    def schema(self) -> dict[str, Any]:
        return self.described.schema()


@dataclass(frozen=True, slots=True)
class Needs:
    """An object that has exactly one of these properties, or at least one of them."""

    rule: Obj
    names: tuple[str, ...]
    exactly: bool = True

    def check(self, value: Any, path: str, problems: Problems) -> None:
        self.rule.check(value, path, problems)
        if not isinstance(value, dict):
            return
        given = [name for name in self.names if value.get(name) is not None]
        if not given or (self.exactly and len(given) > 1):
            number = "exactly one" if self.exactly else "one"
            problems.add(path, f"needs {number} of {', '.join(self.names)}", value)

    def schema(self) -> dict[str, Any]:
        given = {"not": {"type": "null"}}
        each = [{"required": [name], "properties": {name: given}} for name in self.names]
        return self.rule.schema() | {"oneOf" if self.exactly else "anyOf": each}


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object whose property `tag` says which of the rules is for it."""

    tag: str
    rules: Mapping[str, Obj | Needs]

    def check(self, value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problems.add(path, "must be an object", value)
            return
        kind = value.get(self.tag)
        rule = self.rules.get(kind) if isinstance(kind, str) else None
        if kind is None:
            problems.add(join(path, self.tag), "is required", None)
        elif rule is None:
            Choice(tuple(self.rules)).check(kind, join(path, self.tag), problems)
        else:
            rule.check(value, path, problems)

    def schema(self) -> dict[str, Any]:
        # Those of one rule are one choice: whoever reads the description, or makes data by it, has fewer to go through.
        kinds: dict[int, list[str]] = {}
        for kind, rule in self.rules.items():
            kinds.setdefault(id(rule), []).append(kind)
        return {"anyOf": [self._tagged(same, self.rules[same[0]].schema()) for same in kinds.values()]}

    def _tagged(self, kinds: list[str], schema: dict[str, Any]) -> dict[str, Any]:
        properties = {self.tag: {"type": "string", "enum": kinds}, **schema["properties"]}
        required = [self.tag, *(name for name in schema.get("required", ()) if name != self.tag)]
        return schema | {"properties": properties, "required": required}


@dataclass(frozen=True, slots=True)
class Ref:
    """A rule that is named in the description instead of repeated. about: where it would come to itself again, the description
    says this in words: few readers of one follow a circle."""

    name: str
    find: Callable[[], Rule]
    about: str = ""

    def check(self, value: Any, path: str, problems: Problems) -> None:
        self.find().check(value, path, problems)

    def schema(self) -> dict[str, Any]:
        if self.about:
            return {"type": "object", "description": self.about}
        return {"$ref": f"#/components/schemas/{self.name}"}


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value."""

    def check(self, value: Any, path: str, problems: Problems) -> None:
        return None

    def schema(self) -> dict[str, Any]:
        return {}


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or null."""
    if not schema:
        return schema
    if "enum" in schema:
        return schema | {"type": [schema["type"], "null"], "enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return schema | {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def check(rule: Rule, value: Any, path: str = "") -> list[str]:
    """All problems of the value."""
    problems = Problems()
    rule.check(value, path, problems)
    return problems.found


def _is_about_type(problems: Problems, path: str) -> bool:
    prefix = f"{path or 'body'} must be a"
    return any(problem.startswith(prefix) for problem in problems.found)

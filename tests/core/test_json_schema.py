"""A value against a JSON Schema, and schemas that mean harm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.json_schema import PROBLEMS_MAX, problems_in

BOOKING = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 20},
        "guests": {"type": "integer", "minimum": 1, "maximum": 8},
        "table": {"enum": ["window", "garden", 1]},
        "dishes": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        "paid": {"type": ["boolean", "null"]},
        "kind": {"const": "booking"},
    },
    "required": ["name", 7],
    "additionalProperties": False,
}
GOOD = {"name": "Ann", "guests": 2, "table": "garden", "dishes": ["soup"], "paid": None, "kind": "booking"}


def test_what_fits() -> None:
    assert problems_in(GOOD, BOOKING) == []
    assert problems_in({"name": "Ann", "guests": 2.0}, BOOKING) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": 7}, "$.name must be of type string"),
        ({"name": ""}, "the length of $.name must be at least 1"),
        ({"name": "x" * 21}, "the length of $.name must be at most 20"),
        ({"guests": 0}, "$.guests must be at least 1"),
        ({"guests": 9}, "$.guests must be at most 8"),
        ({"guests": 1.5}, "$.guests must be of type integer"),
        ({"guests": True}, "$.guests must be of type integer"),
        ({"table": "roof"}, "$.table must be one of the schema's enum"),
        ({"table": True}, "$.table must be one of the schema's enum"),
        ({"dishes": []}, "the length of $.dishes must be at least 1"),
        ({"dishes": ["a", "b", "c"]}, "the length of $.dishes must be at most 2"),
        ({"dishes": ["a", 1]}, "$.dishes[1] must be of type string"),
        ({"paid": "yes"}, "$.paid must be of type boolean or null"),
        ({"kind": "order"}, "$.kind must be the schema's const"),
        ({"more": 1}, "$.more is not known"),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(change: dict[str, Any], problem: str) -> None:
    assert problems_in({**GOOD, **change}, BOOKING) == [problem]


def test_what_is_missing() -> None:
    assert problems_in({}, BOOKING) == ["$.name is missing"]
    assert problems_in([], BOOKING) == ["$ must be of type object"]


def test_several_schemas_together() -> None:
    either = {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 3}]}
    assert problems_in("a", either) == problems_in(4, either) == []
    assert problems_in(2, either) == ["$ is none of what anyOf allows"]
    assert problems_in(2, {"oneOf": [{"type": "null"}]}) == ["$ is none of what oneOf allows"]
    both = {"allOf": [{"minimum": 3}, {"maximum": 5}]}
    assert problems_in(4, both) == []
    assert problems_in(9, both) == ["$ must be at most 5"]


def test_properties_that_are_not_named_may_have_a_schema() -> None:
    assert problems_in({"a": 1}, {"additionalProperties": {"type": "string"}}) == [
        "$.a must be of type string"
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "something", "minimum": "3", "properties": 7, "required": "name", "items": None, "enum": 1},
        {"type": [1, "object"]},
        {"anyOf": "x", "allOf": {}},
    ],
)
def test_what_is_not_understood_is_not_held_against_a_value(schema: dict[str, Any]) -> None:
    assert problems_in({"name": [1, "a"]}, schema) == []


def test_a_schema_that_branches_at_every_level_takes_no_time() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(40):
        schema = {"anyOf": [schema, schema], "allOf": [schema, schema]}
    assert len(problems_in(1, schema)) <= PROBLEMS_MAX


def test_only_so_many_problems_are_named() -> None:
    assert len(problems_in([1] * 100, {"items": {"type": "string"}})) == PROBLEMS_MAX


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
_WORDS = st.sampled_from(
    "type enum const properties required additionalProperties items minimum maximum minLength maxItems anyOf allOf".split()
)
_SCHEMA = st.dictionaries(
    _WORDS, _JSON | st.sampled_from(["string", "object", "array", "integer"]), max_size=6
)


@given(_JSON, _SCHEMA)
def test_no_schema_makes_it_raise(value: Any, schema: dict[str, Any]) -> None:
    assert all(isinstance(problem, str) for problem in problems_in(value, schema))


@given(_JSON)
def test_a_value_is_what_its_own_const_says(value: Any) -> None:
    assert problems_in(value, {"const": value, "enum": [value]}) == []

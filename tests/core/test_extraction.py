"""Variables out of a tool's answer: what the schema names, and no more than a call can carry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.extraction import ITEMS_MAX, SIZE_MAX, VARIABLES_MAX, extracted
from tests.core.feed import examples

TEXT = {"type": "string"}


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("wanted", "answer", "found"),
    [
        (schema(name=TEXT), {"name": "Ann", "age": 3}, {"name": "Ann"}),
        (schema(name=TEXT), {"age": 3}, {}),
        (schema(name=TEXT), ["Ann"], {}),
        (schema(who=schema(first=TEXT)), {"who": {"first": "Ann", "last": "Lee"}}, {"who": {"first": "Ann"}}),
        (schema(who=schema(first=TEXT)), {"who": "Ann"}, {}),
        (
            schema(list={"type": "array", "items": schema(n=TEXT)}),
            {"list": [{"n": 1, "m": 2}, 5]},
            {"list": [{"n": 1}]},
        ),
        (schema(list={"type": "array"}), {"list": [1, {"a": 2}]}, {"list": [1, {"a": 2}]}),
        (schema(list={"type": "array"}), {"list": "x"}, {}),
        (schema(whole={}), {"whole": {"a": [1, None]}}, {"whole": {"a": [1, None]}}),
        (schema(name=TEXT), {"name": None}, {}),
        ("junk", {"name": "Ann"}, {}),
        (TEXT, "Ann", {}),
    ],
)
def test_what_the_schema_names_is_taken(wanted: Any, answer: Any, found: Any) -> None:
    assert extracted(wanted, answer) == found


def test_there_is_a_limit_to_everything() -> None:
    many = {f"v{n}": n for n in range(ITEMS_MAX * 2)}
    assert len(extracted(schema(**{name: {} for name in many}), many)) == VARIABLES_MAX
    assert extracted(schema(big=TEXT, small=TEXT), {"big": "x" * SIZE_MAX, "small": "y"}) == {"small": "y"}
    assert len(extracted(schema(l={"type": "array"}), {"l": list(range(ITEMS_MAX * 2))})["l"]) == ITEMS_MAX
    deep: Any = "end"
    deep_schema: Any = TEXT
    for _ in range(50):
        deep, deep_schema = {"a": deep}, schema(a=deep_schema)
    assert "end" not in json.dumps(extracted(deep_schema, deep))
    assert "end" not in json.dumps(extracted(schema(a={}), deep))


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (True, True),
        (2**53 - 1, 2**53 - 1),
        (10**30, 1e30),
        (10**400, None),
        (float("inf"), None),
        (1.5, 1.5),
        ("a\ud83d", "a?"),
        ({"\ud83d": 1}, {"?": 1}),
    ],
)
def test_what_no_record_could_hold_is_not_kept(value: Any, kept: Any) -> None:
    found = extracted(schema(a={}), {"a": value})
    assert found == ({} if kept is None else {"a": kept})
    assert kept is None or type(found["a"]) is type(kept)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=20,
)
schemas = st.recursive(
    st.sampled_from([{}, TEXT, {"type": "array"}]) | values,
    lambda inner: st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3)})
    | st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
    max_leaves=8,
)  # fmt: skip


@examples(200)
@given(schemas, values)
def test_whatever_is_asked_for_of_whatever_answer(wanted: Any, answer: Any) -> None:
    found = extracted(wanted, answer)
    assert json.dumps(found)
    assert not found or set(found) <= set(answer)

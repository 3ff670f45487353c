from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.wire.json_text import read_json

values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values, st.booleans())
def test_it_reads_what_the_library_writes(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert read_json(text) == value
    assert read_json(bytearray(text.encode())) == value


@given(st.binary() | st.text())
def test_anything_else_is_a_value_error(junk: bytes | str) -> None:
    try:
        expected = json.loads(junk)
    except ValueError:
        with pytest.raises(ValueError):
            read_json(junk)
    else:
        assert (
            read_json(junk) == pytest.approx(expected, nan_ok=True) if isinstance(expected, float) else True
        )


def test_half_a_surrogate_pair_is_kept() -> None:
    assert read_json('{"content": "\\ud83d"}') == {"content": "\ud83d"}


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 5000, "", b"\xff\xfe\xfa", "{'a': 1}"])
def test_hostile_text_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        read_json(text)

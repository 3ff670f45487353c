"""Where a turn's time went."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.latency import turn_parts, waterfall
from aywa.core.reply import Marks
from tests.core.feed import examples


def test_every_wait_is_named_in_the_order_of_the_waiting() -> None:
    marks = Marks(asked_s=10.5, token_s=10.9, clause_s=11.0)
    assert turn_parts(10.0, 10.5, 10.6, marks, 11.02) == {
        "endpointing": 500.0,
        "transcriber": 100.0,
        "model": 300.0,
        "voice": 100.0,
        "unattributed": 20.0,
    }


def test_work_done_during_another_wait_counts_nothing() -> None:
    marks = Marks(asked_s=10.2, token_s=10.3, clause_s=10.4)
    assert turn_parts(10.0, 10.5, 10.1, marks, 10.5) == {
        "endpointing": 500.0,
        "transcriber": 0.0,
        "model": 0.0,
        "voice": 0.0,
        "unattributed": 0.0,
    }


def test_what_never_happened_counts_nothing() -> None:
    parts = turn_parts(10.0, 10.5, None, Marks(asked_s=10.5), 10.7)
    assert parts == {
        "endpointing": 500.0,
        "transcriber": 0.0,
        "model": 0.0,
        "voice": 0.0,
        "unattributed": 200.0,
    }


times = st.floats(0, 100, allow_nan=False)


@examples(150)
@given(times, times, st.none() | times, st.none() | times, st.none() | times, times)
def test_the_parts_add_up_to_the_whole(
    end_s: float,
    taken_s: float,
    confirmed_s: float | None,
    token_s: float | None,
    clause_s: float | None,
    wait_s: float,
) -> None:
    parts = turn_parts(end_s, taken_s, confirmed_s, Marks(0.0, token_s, clause_s), end_s + wait_s)
    assert all(part >= 0 for part in parts.values())
    assert sum(parts.values()) == pytest.approx(wait_s * 1000, abs=0.5)


def test_the_silence_that_a_reply_begins_with_is_a_part_and_what_is_left_another() -> None:
    parts = waterfall(600.0, 650.5, {"endpointing": 400.0, "model": 180.0, "unattributed": 1.0})
    assert parts == {"endpointing": 400.0, "model": 180.0, "silence": 50.5, "unattributed": 20.0}
    assert waterfall(600.0, None, {}) == {"silence": 0.0, "unattributed": 600.0}


@examples(200)
@given(
    st.floats(0, 10_000),
    st.none() | st.floats(0, 12_000),
    st.dictionaries(st.sampled_from(["endpointing", "transcriber", "model", "voice"]), st.floats(0, 5000)),
)
def test_a_waterfall_always_closes(latency_ms: float, wire_ms: float | None, parts: dict[str, float]) -> None:
    closed = waterfall(latency_ms, wire_ms, parts)
    assert sum(closed.values()) == pytest.approx(latency_ms if wire_ms is None else wire_ms, abs=0.06)

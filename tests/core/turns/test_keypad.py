"""Entries on the keypad: what ends one, and that nothing that was pressed is lost or told twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.settings import KeypadPlan
from aywa.core.turns.keypad import LONGEST_WAIT_S, MOST_KEYS, Keypad, entry_text
from tests.core.feed import examples

HASH = KeypadPlan(enabled=True, timeout_s=2.0, delimiters=frozenset("#"))


def pressed(pad: Keypad, keys: str, at_s: float = 1.0) -> list[str | None]:
    return [pad.press(key, at_s + number / 10) for number, key in enumerate(keys)]


def test_the_history_has_it_in_the_contracts_words() -> None:
    assert entry_text("1234") == "User's Keypad Entry: 1234"


def test_a_delimiter_ends_an_entry_and_is_no_part_of_it() -> None:
    pad = Keypad(HASH)
    assert pressed(pad, "12*4#") == [None, None, None, None, "12*4"]
    assert pad.deadline is None
    assert pad.finish() == ""


def test_a_delimiter_alone_is_what_was_to_be_pressed() -> None:
    assert Keypad(HASH).press("#", 1.0) == "#"


def test_an_entry_is_whole_when_no_key_came_for_a_while() -> None:
    pad = Keypad(HASH)
    assert pressed(pad, "12") == [None, None]
    assert pad.deadline == 3.1
    assert pad.wake(3.0) is None
    assert pad.wake(3.1) == "12"
    assert pad.wake(99.0) is None


@pytest.mark.parametrize(
    ("plan", "wait_s"),
    [
        (KeypadPlan(enabled=True, timeout_s=0.0, delimiters=frozenset("#*")), LONGEST_WAIT_S),
        (KeypadPlan(enabled=True, timeout_s=0.0), 2.0),
        (KeypadPlan(enabled=True, timeout_s=0.5), 0.5),
    ],
)
def test_without_a_timeout_the_delimiter_is_waited_for_but_not_for_ever(
    plan: KeypadPlan, wait_s: float
) -> None:
    pad = Keypad(plan)
    assert pad.press("7", 1.0) is None
    assert pad.deadline == 1.0 + wait_s


def test_whoever_leans_on_a_key_ends_the_entry() -> None:
    assert pressed(Keypad(HASH), "5" * MOST_KEYS)[-1] == "5" * MOST_KEYS


@pytest.mark.parametrize(("plan", "key", "taken"), [
    (HASH, "5", True), (HASH, "D", True), (HASH, "!", False), (HASH, "12", False), (HASH, "", False),
    (KeypadPlan(), "5", False), (None, "5", False),
])  # fmt: skip
def test_what_is_a_key_of_an_entry(plan: KeypadPlan | None, key: str, taken: bool) -> None:
    assert Keypad(plan).takes(key) is taken


@examples(200)
@given(
    st.sampled_from(["", "#", "*", "#*"]),
    st.floats(0, 10),
    st.lists(st.tuples(st.floats(0, 12), st.sampled_from("0123456789*#ABCD")), max_size=150),
)
def test_every_key_is_in_one_entry_in_order(
    delimiters: str, timeout_s: float, keys: list[tuple[float, str]]
) -> None:
    pad = Keypad(KeypadPlan(True, timeout_s, frozenset(delimiters)))
    now, entries = 0.0, list[str]()
    for wait_s, key in keys:
        now += wait_s
        due_s = pad.deadline
        if due_s is not None and due_s <= now:
            # It never waits beyond its own deadline.
            whole = pad.wake(due_s)
            assert whole
            entries.append(whole)
        entry = pad.press(key, now)
        assert entry is None or (entry and pad.deadline is None)
        entries += [entry] if entry else []
        assert pad.deadline is None or pad.deadline > now or timeout_s == 0 or timeout_s < 1e-9
    entries.append(pad.finish())
    assert all(len(entry) <= MOST_KEYS for entry in entries)
    told = "".join(each for entry in entries for each in entry if each not in delimiters)
    assert told == "".join(key for _, key in keys if key not in delimiters)

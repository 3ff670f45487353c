"""Every state with every input: the next state, or an error that names both and changes nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.lifecycle import LEG_REASONS, CallInput, CallInputError, CallState, Lifecycle
from tests.core.feed import examples

Q, R, P, E, X = CallState
RANG, CONNECTED, END_ASKED, GONE = CallInput

NEXT: dict[CallState, dict[CallInput, CallState]] = {
    Q: {RANG: R, CONNECTED: P, END_ASKED: X, GONE: X},
    R: {RANG: R, CONNECTED: P, END_ASKED: X, GONE: X},
    P: {END_ASKED: E, GONE: X},
    E: {END_ASKED: E, GONE: X},
    X: {END_ASKED: X, GONE: X},
}


def in_state(state: CallState) -> Lifecycle:
    way = {Q: (), R: (RANG,), P: (CONNECTED,), E: (CONNECTED, END_ASKED), X: (GONE,)}[state]
    life = Lifecycle()
    for each in way:
        life.apply(each, f"reason of {each.value}", "first")
    assert life.state is state
    return life


@pytest.mark.parametrize(("state", "given_input"), list(itertools.product(CallState, CallInput)))
def test_every_pair_moves_on_or_is_refused(state: CallState, given_input: CallInput) -> None:
    life = in_state(state)
    before = (life.state, life.reason, life.message)
    after = NEXT[state].get(given_input)
    if after is None:
        with pytest.raises(CallInputError, match=f"{state.value} cannot take {given_input.value}"):
            life.apply(given_input, "another", "another")
        assert (life.state, life.reason, life.message) == before
    else:
        assert life.apply(given_input, "another", "another") is after
        assert life.state is after
        assert life.over == (after in (E, X))
        assert life.waiting == (after in (Q, R))


def test_the_first_reason_stands() -> None:
    life = in_state(P)
    assert (life.reason, life.over) == (None, False)
    life.apply(END_ASKED, "silence-timed-out", "")
    life.apply(END_ASKED, "manually-canceled", "later")
    life.apply(GONE, "customer-ended-call", "later still")
    assert (life.reason, life.message) == ("silence-timed-out", "")


def test_every_cause_of_a_leg_has_a_reason() -> None:
    causes = {"closed", "lost", "flooded", "malformed", "unread", "local", "no_media", "forwarded"}
    assert set(LEG_REASONS) == causes


@examples(150)
@given(st.lists(st.sampled_from(CallInput), max_size=12))
def test_an_ended_call_stays_ended_and_keeps_its_reason(inputs: list[CallInput]) -> None:
    life = Lifecycle()
    ended_by: str | None = None
    for number, each in enumerate(inputs):
        was = life.state
        try:
            life.apply(each, str(number))
        except CallInputError:
            assert life.state is was
        else:
            if life.over and ended_by is None:
                ended_by = str(number)
        assert life.reason == ended_by
        assert not (was is X and life.state is not X)

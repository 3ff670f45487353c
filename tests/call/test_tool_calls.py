"""Tool calls from the pieces in which models write them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aywa.call.tool_calls import ToolCalls
from aywa.core.events import ToolCall
from aywa.core.tool_round import CALLS_MAX
from aywa.core.tools import ARGUMENTS_MAX, arguments_in
from aywa.ports.llm import ToolCallDelta
from tests.core.feed import examples


def taken(*deltas: ToolCallDelta) -> tuple[ToolCall, ...]:
    calls = ToolCalls()
    for delta in deltas:
        calls.take(delta)
    return calls.whole


def test_pieces_are_put_together_by_their_index() -> None:
    assert taken(
        ToolCallDelta(1, "b", "dtmf", '{"dt'),
        ToolCallDelta(0, "a", "endCall", ""),
        ToolCallDelta(1, "", "", 'mf": "1"}'),
    ) == (ToolCall("a", "endCall", ""), ToolCall("b", "dtmf", '{"dtmf": "1"}'))


def test_a_call_without_a_name_is_none_and_one_without_an_id_is_given_one() -> None:
    (call,) = taken(ToolCallDelta(0, "a", "", "{}"), ToolCallDelta(1, "", "endCall", "{}"))
    assert call.id.startswith("call_")


def test_too_many_and_too_long() -> None:
    assert len(taken(*[ToolCallDelta(n, f"c{n}", "x", "") for n in range(CALLS_MAX + 5)])) == CALLS_MAX
    piece = ToolCallDelta(0, "a", "x", '"' + "y" * 9_999)
    (call,) = taken(*[piece] * 50)
    assert ARGUMENTS_MAX < len(call.arguments) <= 2 * ARGUMENTS_MAX
    assert arguments_in(call.arguments) is None


@examples(100)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.text(max_size=3), st.text(max_size=3), st.text(max_size=5)),
        max_size=60,
    )
)
def test_every_piece_is_in_its_call_in_order(pieces: list[tuple[int, str, str, str]]) -> None:
    whole = taken(*[ToolCallDelta(*each) for each in pieces])
    kept = list(dict.fromkeys(index for index, *_ in pieces))[:CALLS_MAX]
    named = [index for index in sorted(kept) if any(name for at, _, name, _ in pieces if at == index)]
    assert [call.arguments for call in whole] == [
        "".join(text for at, _, _, text in pieces if at == index) for index in named
    ]
    assert all(call.id and call.name for call in whole)

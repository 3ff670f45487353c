"""The conversation as the model, the transcript and the webhooks get it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aywa.core.handoff import Context, ContextPlan
from aywa.core.history import MAX_MESSAGES, History
from tests.core.feed import examples

PROMPT = ({"role": "system", "content": "Be brief."},)


def test_entries_have_the_fields_that_the_contract_requires() -> None:
    history = History(epoch_ms=1_000_000)
    assert history.user_said("hello", 1.25, 2.5) == {
        "role": "user",
        "message": "hello",
        "time": 1_001_250,
        "endTime": 1_002_500,
        "secondsFromStart": 1.25,
        "duration": 1250,
    }
    assert history.assistant_heard("good day", 3.0, 4.0, cut=False) == {
        "role": "bot",
        "message": "good day",
        "time": 1_003_000,
        "endTime": 1_004_000,
        "secondsFromStart": 3.0,
        "duration": 1000,
        "source": "",
    }
    assert [m["message"] for m in history.messages] == ["hello", "good day"]


def test_a_message_put_in_from_outside_has_its_roles_fields_too() -> None:
    # Contract 6.4: user and bot entries need an endTime, bot ones a source; a system entry has neither.
    history = History()
    system = {"role": "system", "message": "be kind", "time": 1500, "secondsFromStart": 1.5}
    assert history.note("system", "be kind", 1.5) == system
    spoken = {"message": "hi", "time": 2000, "endTime": 2000, "secondsFromStart": 2.0, "duration": 0}
    assert history.note("user", "hi", 2.0) == spoken | {"role": "user"}
    assert history.note("assistant", "hi", 2.0) == spoken | {"role": "bot", "source": ""}
    assert [m["role"] for m in history.chat()] == ["system", "user", "assistant"]


def test_the_model_gets_the_prompt_then_the_conversation() -> None:
    history = History(PROMPT)
    history.assistant_heard("hello", 0.0, 1.0, cut=False)
    history.user_said("hi", 1.0, 2.0)
    assert history.chat() == (
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "hi"},
    )


def test_the_model_is_told_where_a_reply_was_cut_and_nobody_else_is() -> None:
    history = History()
    entry = history.assistant_heard("we are open", 0.0, 1.0, cut=True)
    assert entry["message"] == "we are open"
    assert history.chat() == ({"role": "assistant", "content": "we are open —"},)


def test_two_turns_without_a_reply_between_them_are_one_to_the_model() -> None:
    history = History()
    history.user_said("I want", 0.0, 1.0)
    assert history.chat("a pizza") == ({"role": "user", "content": "I want a pizza"},)
    history.user_said("a pizza", 2.0, 3.0)
    assert history.chat() == ({"role": "user", "content": "I want a pizza"},)
    assert [m["message"] for m in history.messages] == ["I want", "a pizza"]


def test_words_that_are_not_history_yet_are_only_shown() -> None:
    history = History(PROMPT)
    assert history.chat("hello")[-1] == {"role": "user", "content": "hello"}
    assert history.chat() == PROMPT
    assert history.messages == ()


def test_the_model_gets_at_most_so_many_messages_and_always_the_prompt() -> None:
    history = History(PROMPT)
    for number in range(MAX_MESSAGES + 5):
        history.note("system", str(number), 0.0)
    chat = history.chat("now")
    assert len(chat) == MAX_MESSAGES + 2
    assert (chat[0], chat[1]["content"], chat[-1]["content"]) == (PROMPT[0], "5", "now")


@examples(150)
@given(st.lists(st.tuples(st.sampled_from(["user", "bot", "system"]), st.text(min_size=1)), max_size=20))
def test_nothing_is_lost_and_no_two_user_messages_meet(said: list[tuple[str, str]]) -> None:
    history = History()
    for who, text in said:
        if who == "user":
            history.user_said(text, 0.0, 1.0)
        elif who == "bot":
            history.assistant_heard(text, 0.0, 1.0, cut=False)
        else:
            history.note("system", text, 0.0)
    assert [(m["role"], m["message"]) for m in history.messages] == said
    chat = history.chat("pending")
    roles = [m["role"] for m in chat]
    assert ("user", "user") not in list(pairwise(roles))
    assert " ".join(m["content"] for m in chat) == " ".join([*(text for _, text in said), "pending"])


def test_a_turn_that_is_not_taken_yet_can_be_shown_with_the_rest() -> None:
    history = History(epoch_ms=1_000_000)
    assert history.last_heard == ""
    history.assistant_heard("good day", 0.5, 1.0, cut=False)
    history.user_said("hello", 1.25, 2.5)
    shown = history.messages_with("is anybody there", 3.0, 3.5)
    assert [m["message"] for m in shown] == ["good day", "hello", "is anybody there"]
    assert (shown[-1]["role"], shown[-1]["duration"]) == ("user", 500)
    assert [m["message"] for m in history.messages] == ["good day", "hello"]
    assert history.last_heard == "good day"


def test_tool_calls_and_their_results_stand_in_both_forms() -> None:
    history = History(epoch_ms=1_000_000)
    function = {"name": "dtmf", "arguments": '{"dtmf": "1"}'}
    called = history.tools_called([("c1", "dtmf", '{"dtmf": "1"}')], 2.0)
    assert called == {
        "role": "tool_calls",
        "toolCalls": [{"id": "c1", "type": "function", "function": function}],
        "message": "",
        "time": 1_002_000,
        "secondsFromStart": 2.0,
    }
    returned = history.tool_returned("c1", "dtmf", "Pressed.", 2.5)
    assert (returned["toolCallId"], returned["result"], returned["time"]) == ("c1", "Pressed.", 1_002_500)
    assert history.chat() == (
        {"role": "assistant", "content": "", "tool_calls": called["toolCalls"]},
        {"role": "tool", "content": "Pressed.", "tool_call_id": "c1"},
    )
    assert [m["role"] for m in history.messages] == ["tool_calls", "tool_call_result"]


def test_a_result_whose_call_is_forgotten_is_forgotten_too() -> None:
    history = History()
    history.tools_called([("c1", "dtmf", "{}")], 0.0)
    history.tool_returned("c1", "dtmf", "Pressed.", 0.0)
    for number in range(MAX_MESSAGES - 1):
        history.assistant_heard(f"m{number}", 0.0, 0.0, cut=False)
    assert {m["role"] for m in history.chat()} == {"assistant"}
    assert len(history.chat()) == MAX_MESSAGES - 1


# --- another assistant takes over ----------------------------------------------------------------------------------

NEXT = ({"role": "system", "content": "You book."},)


def talked() -> History:
    """Two assistants so far: what the first said, then a handoff, then what the second did."""
    history = History(PROMPT)
    history.assistant_heard("hello", 0.0, 1.0, cut=False)
    history.user_said("book me in", 1.0, 2.0)
    history.hand_over(NEXT, ContextPlan(), "h0")
    history.note("system", "a note", 2.5)
    history.user_said("my card is one two", 3.0, 4.0)
    history.tools_called([("t1", "pay", "{}"), ("h1", "handoff_to_x", "{}")], 4.0)
    history.tool_returned("t1", "pay", "paid", 4.5)
    history.tool_returned("h1", "handoff_to_x", "handed over", 5.0)
    return history


def seen(context: Context, most: int = 0) -> list[str]:
    history = talked()
    before = history.messages
    history.hand_over(PROMPT, ContextPlan(context, most), "h1")
    # The transcript is whole, whatever the next model sees.
    assert history.messages == before
    return [m["content"] or "+".join(call["id"] for call in m["tool_calls"]) for m in history.chat()]


def test_what_the_next_assistants_model_sees_of_the_conversation() -> None:
    whole = ["hello", "book me in", "a note", "my card is one two", "t1+h1", "paid", "handed over"]
    assert seen(Context.ALL) == ["Be brief.", *whole]
    assert seen(Context.NONE) == ["Be brief."]
    assert seen(Context.EARLIER) == ["Be brief.", "hello", "book me in"]
    assert seen(Context.SPOKEN) == ["Be brief.", "hello", "book me in", "my card is one two"]
    assert seen(Context.ROLLING) == ["You book.", "Be brief.", *whole]
    assert seen(Context.UNTRACED) == ["Be brief.", *whole[:4], "t1", "paid"]
    # A result whose call is gone is no use to a model.
    assert seen(Context.LAST, 1) == ["Be brief."]
    assert seen(Context.LAST, 3) == ["Be brief.", "my card is one two", "t1", "paid"]
    assert seen(Context.LAST, 0) == ["Be brief."]
    assert seen(Context.LAST, 99) == ["Be brief.", *whole[:4], "t1", "paid"]


def test_a_handoff_that_is_the_only_tool_call_leaves_no_trace() -> None:
    history = History(PROMPT)
    history.tools_called([("h1", "handoff_to_x", "{}")], 1.0)
    history.tool_returned("h1", "handoff_to_x", "handed over", 2.0)
    history.hand_over(NEXT, ContextPlan(Context.UNTRACED), "h1")
    assert history.chat() == NEXT


def test_instructions_of_one_who_has_the_call_again_stand_once() -> None:
    history = History(PROMPT)
    for prompt in (NEXT, PROMPT, NEXT):
        history.hand_over(prompt, ContextPlan(Context.ROLLING), "h")
    assert history.chat() == (*PROMPT, *NEXT)


def test_messages_name_their_speaker_where_there_have_been_several() -> None:
    history = History(speaker={"assistantName": "Front"})
    assert history.assistant_heard("hi", 0.0, 1.0, cut=False)["assistantName"] == "Front"
    assert "assistantName" not in history.user_said("hi", 1.0, 2.0)


@examples(100)
@given(st.lists(st.tuples(st.sampled_from(list(Context)), st.integers(0, 5)), max_size=6), st.data())
def test_whatever_goes_along_every_result_has_its_call(
    plans: list[tuple[Context, int]], data: st.DataObject
) -> None:
    history = History(PROMPT)
    for number, (context, most) in enumerate(plans):
        for turn in range(data.draw(st.integers(0, 3))):
            history.user_said(f"u{number}{turn}", 0.0, 1.0)
            history.assistant_heard(f"a{number}{turn}", 1.0, 2.0, cut=False)
        history.tools_called([(f"h{number}", "handoff", "{}")], 2.0)
        history.tool_returned(f"h{number}", "handoff", "done", 2.0)
        history.hand_over(NEXT, ContextPlan(context, most), f"h{number}")
        open_calls: set[str] = set()
        for message in history.chat():
            open_calls |= {call["id"] for call in message.get("tool_calls", ())}
            assert message["role"] != "tool" or message["tool_call_id"] in open_calls
        assert NEXT[0] in history.chat()

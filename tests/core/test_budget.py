"""When a call has cost all that it may."""

from __future__ import annotations

import pytest

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.budget import Budget
from aywa.core.cost import CHARACTER, COMPLETION, LLM, PROMPT, SECOND, STT, TTS, Price
from tests.core.feed import LEG

ASSISTANT = {
    "model": {"provider": "m", "model": "m"},
    "voice": {"provider": "v"},
    "transcriber": {"provider": "t"},
}
TOKENS = [Price(LLM, "m", "m", PROMPT, 0.01), Price(LLM, "m", "m", COMPLETION, 0.02)]
LETTERS = [Price(TTS, "v", "*", CHARACTER, 0.001)]
SPEECH = [Price(TTS, "v", "*", SECOND, 0.5)]
TIME = [Price(STT, "t", "*", SECOND, 0.1)]
CONNECTED = ev.LegConnected(LEG, 8000)


def test_without_a_limit_nothing_is_counted() -> None:
    budget = Budget(None, ASSISTANT, [*TOKENS, *TIME])
    budget.happened(CONNECTED, 0.0)
    budget.commanded([do.CancelReply(1)])
    assert (budget.spent(1e9), budget.due_s) == (None, None)


def test_time_alone_spends_it() -> None:
    budget = Budget(1.0, ASSISTANT, TIME)
    assert (budget.spent(100.0), budget.due_s) == (None, None)
    budget.happened(CONNECTED, 5.0)
    assert budget.due_s == pytest.approx(15.0)
    assert budget.spent(14.9) is None
    assert budget.spent(budget.due_s or 0.0) == 1.0
    assert budget.spent(25.0) == pytest.approx(2.0)


def test_where_time_costs_nothing_there_is_nothing_to_wait_for() -> None:
    budget = Budget(1.0, ASSISTANT, TOKENS)
    budget.happened(CONNECTED, 0.0)
    assert budget.due_s is None


def test_tokens_and_letters_spend_it_sooner() -> None:
    budget = Budget(1.0, ASSISTANT, [*TOKENS, *LETTERS, *TIME])
    budget.happened(CONNECTED, 0.0)
    budget.commanded(
        [do.StartReply(1, 1, ({"role": "user", "content": "x" * 40},)), do.FinalizeTranscript(LEG)]
    )
    budget.happened(ev.ReplyTextReceived(1, "Hi"), 1.0)
    budget.happened(ev.ClauseSynthesized(1, 0, "x" * 100, 8000), 1.0)
    assert budget.due_s == pytest.approx(9.0)
    budget.happened(ev.ReplyCompleted(1, "Hi", 1, prompt_tokens=40, completion_tokens=5), 1.0)
    assert budget.due_s == pytest.approx(4.0)
    budget.happened(ev.ReplyCompleted(2, "Hi", 1, prompt_tokens=90), 2.0)
    assert budget.due_s == 0.0
    assert budget.spent(2.0) == pytest.approx(1.7)


@pytest.mark.parametrize("end", [do.CancelReply(1), ev.ReplyFailed(1, "llm", "x")])
def test_a_reply_that_was_cut_counts_as_estimated(end: do.CancelReply | ev.ReplyFailed) -> None:
    budget = Budget(0.05, ASSISTANT, TOKENS)
    budget.commanded([do.StartReply(1, 1, ({"role": "user", "content": "x" * 16},))])
    budget.happened(ev.ReplyTextReceived(1, "Hi"), 1.0)
    assert budget.spent(1.0) is None
    if isinstance(end, do.CancelReply):
        budget.commanded([end])
    else:
        budget.happened(end, 1.0)
    assert budget.spent(1.0) == pytest.approx(0.06)


def test_who_did_the_work_counts() -> None:
    budget = Budget(1.0, ASSISTANT, [*TOKENS, *LETTERS])
    budget.happened(ev.ReplyCompleted(1, "", 1, prompt_tokens=1000, route="local-rules"), 1.0)
    budget.happened(ev.ClauseSynthesized(1, 0, "x" * 2000, 8000, route="other/voice"), 1.0)
    assert budget.spent(1.0) is None
    budget.happened(ev.ReplyCompleted(2, "", 1, prompt_tokens=100, route="m/m"), 1.0)
    assert budget.spent(1.0) == pytest.approx(1.0)


def test_speech_is_counted_by_the_leg_s_rate() -> None:
    budget = Budget(0.5, ASSISTANT, SPEECH)
    budget.happened(ev.ClauseSynthesized(1, 0, "x", 8000), 1.0)
    assert budget.spent(1.0) is None
    budget.happened(CONNECTED, 1.0)
    budget.happened(ev.LegConnected("other", 16000), 1.0)
    budget.happened(ev.ClauseSynthesized(1, 0, "x", 8000), 1.0)
    budget.happened(ev.VoiceSuspected(LEG, 1.0), 1.0)
    assert budget.spent(1.0) == 0.5


# --- another assistant ---------------------------------------------------------------------------------------------

DEARER = {
    "model": {"provider": "m", "model": "n"},
    "voice": {"provider": "v"},
    "transcriber": {"provider": "u"},
}
DEARER_TIME = Price(STT, "u", "*", SECOND, 0.4)


def test_time_costs_from_then_on_what_the_next_recogniser_asks() -> None:
    budget = Budget(5.0, ASSISTANT, TIME)
    budget.happened(CONNECTED, 10.0)
    budget.adopt(None, DEARER, [DEARER_TIME], 20.0)
    # One dollar is spent by then, and four are left at 0.4 a second.
    assert budget.due_s == pytest.approx(30.0)
    assert budget.spent(29.0) is None
    assert budget.spent(31.0) == pytest.approx(5.4)


def test_a_limit_of_its_own_counts_for_the_whole_call() -> None:
    budget = Budget(None, ASSISTANT, TIME)
    budget.happened(CONNECTED, 0.0)
    budget.adopt(3.0, ASSISTANT, TIME, 10.0)
    assert budget.spent(29.0) is None
    assert budget.spent(30.5) == pytest.approx(3.05)
    budget.adopt(None, ASSISTANT, (), 31.0)
    assert budget.limit == 3.0


def test_a_call_may_change_hands_before_anybody_is_there() -> None:
    budget = Budget(3.0, ASSISTANT, TIME)
    budget.adopt(None, DEARER, [DEARER_TIME], 1.0)
    budget.happened(CONNECTED, 2.0)
    assert budget.due_s == pytest.approx(2.0 + 3.0 / 0.4)

"""What the agent does of its own accord: when it is due, how often, and which of the words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.initiative import CALL_ENDING, INTERRUPTED, SLOW_MODEL, TALKED_OVER, Due, Initiative
from aywa.core.settings import SAY, AssistantSettings, HookAction, Idle, read_settings
from tests.core.feed import examples

QUIET: dict[str, Any] = {"messagePlan": {"idleMessages": []}}


def initiative(**document: Any) -> Initiative:
    return Initiative(read_settings(document))


def hooked(on: str, *actions: dict[str, Any], **hook: Any) -> Initiative:
    does = actions or ({"type": "say", "exact": "Hm?"},)
    return initiative(**QUIET, hooks=[{"on": on, "do": list(does), **hook}])


def said(due: list[Due]) -> list[str]:
    return [each.text for each in due]


# --- what the recogniser is not sure of ---------------------------------------------------------------------------------

DOUBTED = "assistant.transcriber.endpointedSpeechLowConfidence"


@pytest.mark.parametrize(
    ("on", "threshold", "fires"),
    [
        (DOUBTED, {}, [0.25, 0.4]),
        (DOUBTED, {"transcriber": {"confidenceThreshold": 0.9}}, [0.75, 0.9]),
        (f"{DOUBTED}[confidence=0.5:0.6]", {}, [0.5, 0.6]),
        ("customer.speech.interrupted", {}, []),
    ],
)
def test_words_that_are_doubtful_are_told_to_the_hooks_of_their_band(
    on: str, threshold: dict[str, Any], fires: list[float]
) -> None:
    hook = {"on": on, "do": [{"type": "say", "exact": ["Pardon?", "Again?"]}]}
    made = initiative(**QUIET, **threshold, hooks=[hook])
    told = [sure for sure in (0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0) if made.understood(sure, 1.0)]
    assert told == fires


# --- prompts ---------------------------------------------------------------------------------------------------------


def test_a_caller_who_says_nothing_is_asked_after_the_idle_time() -> None:
    made = initiative()
    assert made.deadline(5.0, None) == 15.0
    assert made.wake(14.9, 5.0, None) == []
    [due] = made.wake(15.0, 5.0, None)
    assert due == Due("idle", HookAction(SAY, ("Are you still there?",)), 0)


def test_prompts_are_said_in_turn_and_so_often_and_no_more() -> None:
    plan = {"idleMessages": ["One?", "Two?"], "idleTimeoutSeconds": 5, "idleMessageMaxSpokenCount": 3}
    made = initiative(messagePlan=plan)
    texts, now = list[str](), 0.0
    while (due_s := made.deadline(0.0, None)) is not None:
        now = due_s
        texts += said(made.wake(now, 0.0, None))
    assert (texts, now) == (["One?", "Two?", "One?"], 15.0)
    assert made.wake(99.0, 0.0, None) == []


def test_while_no_answer_is_awaited_nothing_is_due() -> None:
    made = initiative()
    assert (made.deadline(None, None), made.wake(99.0, None, None)) == (None, [])


def test_the_idle_time_counts_anew_from_the_last_prompt_or_the_last_word() -> None:
    made = initiative()
    made.wake(10.0, 0.0, None)
    assert made.deadline(0.0, None) == 20.0
    assert made.deadline(13.0, None) == 23.0


@pytest.mark.parametrize(("reset", "again"), [(True, ["Hm?"]), (False, [])])
def test_who_has_spoken_may_be_asked_as_often_again(reset: bool, again: list[str]) -> None:
    plan = {"idleMessages": ["Hm?"], "idleMessageMaxSpokenCount": 1}
    made = initiative(messagePlan=plan | {"idleMessageResetCountOnUserSpeechEnabled": reset})
    assert said(made.wake(10.0, 0.0, None)) == ["Hm?"]
    made.caller_spoke()
    assert said(made.wake(99.0, 20.0, None)) == again


@pytest.mark.parametrize("idle", [Idle(), Idle(messages=("Hm?",), max_count=0)])
def test_an_assistant_may_wish_no_prompts(idle: Idle) -> None:
    made = Initiative(AssistantSettings(idle=idle))
    assert (list(made.texts), made.deadline(0.0, 0.0)) == ([], None)


# --- hooks -----------------------------------------------------------------------------------------------------------


def test_a_hook_of_silence_takes_the_place_of_the_prompts() -> None:
    # Contract 12.1.
    hook = {"on": "customer.speech.timeout", "do": [{"type": "say", "exact": ["A?", "B?"]}], "name": "there"}
    made = initiative(hooks=[hook | {"options": {"timeoutSeconds": 2, "triggerMaxCount": 2}}])
    assert list(made.texts) == ["A?", "B?"]
    first, second = made.wake(2.0, 0.0, None), made.wake(4.0, 0.0, None)
    assert [(d.hook, d.text, d.count) for d in (*first, *second)] == [("there", "A?", 0), ("there", "B?", 1)]
    assert made.deadline(0.0, None) is None


def test_the_time_that_has_elapsed_counts_from_the_first_audio_and_once() -> None:
    # Contract 12.1.
    made = hooked("call.timeElapsed", options={"seconds": 60})
    assert made.deadline(None, None) is None
    assert made.deadline(None, 2.0) == 62.0
    assert made.wake(61.9, None, 2.0) == []
    assert said(made.wake(62.0, None, 2.0)) == ["Hm?"]
    assert (made.wake(99.0, None, 2.0), made.deadline(None, 2.0)) == ([], None)


@pytest.mark.parametrize("on", [INTERRUPTED, TALKED_OVER, SLOW_MODEL])
def test_what_happens_is_answered_whenever_it_happens(on: str) -> None:
    made = hooked(on)
    assert [d.count for d in made.happened(on, 1.0) + made.happened(on, 2.0)] == [0, 1]
    assert made.happened("something.else", 3.0) == []
    assert made.deadline(0.0, 0.0) is None


def test_every_action_of_a_hook_is_due_and_its_name_is_what_it_waits_for_if_it_has_none() -> None:
    add = {"type": "message.add", "message": {"role": "system", "content": "x"}}
    made = hooked(INTERRUPTED, {"type": "say", "prompt": "Ask."}, add)
    due = made.happened(INTERRUPTED, 1.0)
    assert [(d.hook, d.action.kind, d.text) for d in due] == [
        (INTERRUPTED, "say", ""),
        (INTERRUPTED, "message.add", ""),
    ]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [([], 1), (["silence", "pipeline"], 1), (["silence-timed-out"], 1), (["pipeline"], 0)],
)
def test_an_ending_is_told_to_those_who_wait_for_its_reason(wanted: list[str], count: int) -> None:
    add = {"type": "message.add", "message": {"role": "system", "content": "x"}}
    filters = [{"type": "oneOf", "key": "call.endedReason", "oneOf": wanted}] if wanted else []
    made = hooked(CALL_ENDING, add, filters=filters)
    assert len(made.happened(CALL_ENDING, 9.0, "silence-timed-out")) == count


@examples(100)
@given(st.lists(st.tuples(st.floats(0.01, 30), st.booleans()), max_size=60))
def test_at_its_deadline_something_is_due_and_never_more_than_was_allowed(
    steps: list[tuple[float, bool]],
) -> None:
    made = initiative(
        hooks=[
            {"on": "call.timeElapsed", "options": {"seconds": 7}, "do": [{"type": "say", "exact": "Seven."}]}
        ],
        messagePlan={"idleMessages": ["Hm?"], "idleMessageMaxSpokenCount": 4},
    )
    now, texts = 0.0, list[str]()
    for after_s, awaited in steps:
        now += after_s
        due_s = made.deadline(0.0 if awaited else None, 1.0)
        if due_s is not None:
            now = max(now, due_s)
            due = made.wake(now, 0.0 if awaited else None, 1.0)
            assert due
            texts += said(due)
    assert texts.count("Hm?") <= 4
    assert texts.count("Seven.") <= 1


def test_what_was_due_before_its_assistant_took_over_is_not_made_up_for() -> None:
    hooks = [
        {"on": "call.timeElapsed", "options": {"seconds": s}, "do": [{"type": "say", "exact": f"{s}."}]}
        for s in (5, 20)
    ]
    initiative = Initiative(read_settings({"hooks": hooks, "messagePlan": {"idleMessages": ["Hello?"]}}))
    initiative.passed(1.0, 10.0)
    assert initiative.wake(10.0, None, 1.0) == []
    assert [due.text for due in initiative.wake(21.0, None, 1.0)] == ["20."]
    unheard = Initiative(read_settings({"hooks": hooks}))
    unheard.passed(None, 10.0)
    assert [due.text for due in unheard.wake(30.0, None, 1.0)] == ["5.", "20."]

"""A what-if: without a change it gives the recorded call again, with one it says what the change would have done."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import pytest

from aywa.boot.rehearsal import Utterance
from aywa.core import events as ev
from aywa.core.settings import EndpointingRule, Pattern
from aywa.journal.replay.identity import Identity, compare
from aywa.journal.replay.material import gather
from aywa.journal.replay.outcome import outcome_of
from aywa.journal.replay.recording import Recording, read_recording
from aywa.journal.replay.rules import first_match
from aywa.journal.replay.what_if import WhatIf, simulate, what_if
from aywa.ports.llm import LlmRequest
from aywa.service.overrides import merged
from bench.replay import read, take
from tests.journal.replay.calls import ANSWER, TALK, called


def recorded(assistant: Mapping[str, Any] | None = None, **more: Any) -> tuple[Recording, Identity]:
    recording = read_recording("call-1", called(assistant, **more))
    return recording, compare(recording)


def tried(over: Mapping[str, Any], assistant: Mapping[str, Any] | None = None, **more: Any) -> WhatIf:
    recording, identity = recorded(assistant, **more)
    assert recording.started is not None
    return what_if(recording, identity, merged(recording.started.assistant, over))


@pytest.mark.parametrize("number", range(25))
def test_without_a_change_the_recorded_call_comes_out(number: int) -> None:
    recording = read(take(number))
    assert recording.started is not None
    identity = compare(recording)
    assert identity.identical
    found = what_if(recording, identity, recording.started.assistant)
    assert (found.reproduced, list(found.changes)) == (True, [])
    assert found.before == found.after == outcome_of(identity.told).sums()
    assert found.before["turns"] > 0


def test_a_longer_wait_makes_replies_later_by_so_much() -> None:
    found = tried({"startSpeakingPlan": {"waitSeconds": 1.0}})
    assert found.reproduced
    shifts = [change["reply_ms"] for change in found.changes if change["reply_ms"] is not None]
    assert shifts
    assert all(shift > 0 for shift in shifts)
    assert f"reply {shifts[0]:.0f} ms later" in found.changes[0]["what"]
    assert not found.changes[0]["estimated"]


def test_more_words_to_interrupt_let_the_reply_go_on_and_what_follows_is_estimated() -> None:
    found = tried({"stopSpeakingPlan": {"numWords": 9, "interruptionPhrases": []}})
    assert found.before["interruptions"] == 2
    assert found.after["interruptions"] == 0
    assert found.after["words_heard"] > found.before["words_heard"]
    assert any("the reply no longer is interrupted" in change["what"] for change in found.changes)


def test_what_the_model_says_is_what_really_would_have_happened() -> None:
    over = {"stopSpeakingPlan": {"numWords": 3}}
    recording, identity = recorded()
    assert recording.started is not None
    predicted = outcome_of(simulate(recording, identity, merged(recording.started.assistant, over)).told)
    _, really = recorded(over)
    assert [(t.end_s, t.heard) for t in predicted.turns] == [
        (t.end_s, t.heard) for t in outcome_of(really.told).turns
    ]
    assert predicted.sums() == outcome_of(really.told).sums()


def test_an_answer_to_a_request_nobody_made_is_estimated_from_the_call() -> None:
    script = (
        Utterance(2.5, ("I", "want", 0.6, "to", "book")),
        Utterance(9.0, ("how", "much", "is", "a", "cleaning")),
    )
    waits = {"onPunctuationSeconds": 0.3, "onNoPunctuationSeconds": 0.3, "onNumberSeconds": 0.3}
    found = tried({"startSpeakingPlan": {"transcriptionEndpointingPlan": waits}}, script=script)
    assert found.estimated_from_s is not None
    assert found.after["cut_offs"] + found.after["interruptions"] + found.after["replies_discarded"] > 0
    late = [change for change in found.changes if change["at_s"] > found.estimated_from_s]
    assert late
    assert all(change["estimated"] for change in late)


def test_another_first_message_is_spoken_at_the_calls_own_pace() -> None:
    found = tried(
        {"firstMessage": "Good morning, this is the practice of Doctor Miller. What may I do for you?"}
    )
    assert found.estimated_from_s is not None
    first = found.changes[0]
    assert first["estimated"]
    assert first["new"]["words_heard"] > first["recorded"]["words_heard"]


ENDS = (Utterance(2.5, ("what", "are", "your", "opening", "hours")),)


def test_a_call_that_would_not_have_ended_says_so() -> None:
    ends = {"endCallPhrases": ["anything else"]}
    found = tried({"endCallPhrases": []}, ends, script=ENDS, until_s=40.0)
    assert found.before["turns"] == 1
    assert found.open_end
    assert "the call ends by no end within the recorded call" in found.changes[-1]["what"][0]


def test_voice_that_no_pause_was_armed_for_is_found_in_the_recorded_probabilities() -> None:
    windows = bytes([0] * 20 + [255] * 6 + [0] * 20)
    scored = ev.VoiceScored("caller", 1.0, 0.032, windows)
    recording, identity = recorded()
    told = [dataclasses.replace(identity.told[0], at_s=1.0, item=scored), *identity.told]
    material = gather(told, recording.leg_id)
    voiced = [at_s for at_s, is_voiced in material.voiced if is_voiced]
    assert len(voiced) == 6
    assert voiced[0] == pytest.approx(1.0 + 21 * 0.032)
    assert material.voice_s == pytest.approx(0.1, abs=0.01)
    assert len(ANSWER) * material.samples_per_letter > 8000


RULE = {"type": "customer", "regex": "opening hours?$", "timeoutSeconds": 1.5}


def test_a_rule_of_the_customers_own_is_tried_on_what_was_said() -> None:
    found = tried({"startSpeakingPlan": {"customEndpointingRules": [RULE]}}, script=ENDS, until_s=14.0)
    assert found.reproduced
    [later] = found.changes[0]["what"]
    assert re.fullmatch(r"reply \d+ ms later", later)
    without = tried(
        {"startSpeakingPlan": {"customEndpointingRules": []}},
        {"startSpeakingPlan": {"customEndpointingRules": [RULE]}},
        script=ENDS,
        until_s=14.0,
    )
    assert without.reproduced
    [earlier] = without.changes[0]["what"]
    assert re.fullmatch(r"reply \d+ ms earlier", earlier)


@pytest.mark.parametrize("pattern", ["(", "(o+)+$"])
def test_a_rule_that_cannot_be_used_matches_nothing(pattern: str) -> None:
    rule = EndpointingRule(1.0, Pattern(pattern), None)
    assert first_match([rule, EndpointingRule(2.0, None, Pattern("^a"))], "o" * 40 + "!", "b") == (None, None)
    assert first_match([rule, EndpointingRule(2.0, None, Pattern("^a"))], "x", "abc") == (1, 2.0)


HANGS_UP = {"endCallFunctionEnabled": True}


def hanging_up(**more: Any) -> dict[str, Any]:
    """A call that the model ends after its second answer."""

    def calls(request: LlmRequest) -> list[tuple[str, str]]:
        asked = [m.content for m in request.messages if m.role == "user"]
        return [("endCall", "{}")] if any("cleaning" in text for text in asked) else []

    return {"script": TALK[:3], "until_s": 30.0, "calls": calls} | more


def test_tools_that_were_run_are_decided_and_run_again() -> None:
    recording, identity = recorded(HANGS_UP, **hanging_up())
    assert identity.identical
    assert recording.started is not None
    found = what_if(recording, identity, recording.started.assistant)
    assert (found.reproduced, list(found.changes)) == (True, [])
    assert outcome_of(identity.told).ended_reason == "assistant-ended-call"


def test_a_guess_runs_no_tools() -> None:
    over = {"model": {"messages": [{"role": "system", "content": "Be brief."}]}}
    found = tried(over, HANGS_UP, **hanging_up())
    assert not any("assistant-ended-call instead" in str(change["what"]) for change in found.changes)
    assert any("instead of assistant-ended-call" in str(change["what"]) for change in found.changes)

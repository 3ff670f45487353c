"""The customer's rules, formula and model through the real session, on virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from aywa.boot.rehearsal import Rehearsal, Utterance
from aywa.call.replies import ReplyRoutes
from aywa.call.session import Routes, Session, SessionPlan
from aywa.core import events as ev
from aywa.core.turns.endpointing import SETTLED_TEXT_S
from aywa.ports.endpointing import EndpointingRequest
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.tts import TtsOptions
from aywa.testing.scripted_media import ScriptedMedia
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts

pytestmark = pytest.mark.virtual_time

ASKED = [Utterance(2.0, ["please", "book", "a", "table"])]
CUSTOM = {"smartEndpointingPlan": {"provider": "custom-endpointing-model"}}


def assistant(**plan: Any) -> dict[str, Any]:
    return {"firstMessage": "What can I do?", "startSpeakingPlan": plan}


def taken(call: Rehearsal) -> list[tuple[str, Any]]:
    """Why each turn was taken, and how long after the last voice."""
    reasons = [reason for decision, reason in call.journal.decisions() if decision == "turn_taken"]
    latencies = [turn["latencyMs"] / 1000 for turn in call.told("turn-latency")]
    return list(zip(reasons, latencies, strict=True))


@dataclass
class Model:
    """Answers with a wait, after a time; None: with a failure."""

    wait: float | None
    after_s: float = 0.1
    name: str = "scripted"
    asked: list[EndpointingRequest] = field(default_factory=list)

    async def wait_s(self, request: EndpointingRequest) -> float:
        self.asked.append(request)
        await asyncio.sleep(self.after_s)
        if self.wait is None:
            raise ProviderError(self.name, "unavailable", "is down", fault=Fault.PROVIDER, retryable=True)
        return self.wait


async def test_a_rule_on_what_the_caller_said_decides() -> None:
    rule = {
        "type": "customer",
        "regex": "TABLE$",
        "regexOptions": [{"type": "ignore-case"}],
        "timeoutSeconds": 2,
    }
    call = Rehearsal(assistant(customEndpointingRules=[rule], waitSeconds=0.4))
    await call.run(ASKED, 9.0)
    assert taken(call) == [("custom_rule", pytest.approx(2.0, abs=0.005))]
    [matched, *_] = [r for r in call.journal.of("RulesMatched") if r.data["rule"] is not None]
    assert matched.data["wait_s"] == 2.0


async def test_a_rule_on_what_the_assistant_said_decides() -> None:
    rule = {"type": "assistant", "regex": "can I do", "timeoutSeconds": 1.5}
    call = Rehearsal(assistant(customEndpointingRules=[rule]))
    await call.run(ASKED, 9.0)
    assert taken(call) == [("custom_rule", pytest.approx(1.5, abs=0.005))]


async def test_rules_that_do_not_match_leave_it_to_the_rest() -> None:
    call = Rehearsal(
        assistant(customEndpointingRules=[{"type": "customer", "regex": "^table", "timeoutSeconds": 9}])
    )
    await call.run(ASKED, 9.0)
    assert taken(call) == [("settled_text", pytest.approx(SETTLED_TEXT_S, abs=0.005))]


async def test_a_hopeless_rule_costs_no_time_and_is_a_warning_of_the_call() -> None:
    # Its thread takes real time, in which the call's own clock stands: the wait stays what it was.
    rule = {"type": "customer", "regex": "(a|aa)+$", "timeoutSeconds": 9}
    call = Rehearsal(assistant(customEndpointingRules=[rule]))
    await call.run([Utterance(2.0, ["a" * 60, "is my code"])], 9.0)
    assert [reason for reason, _ in taken(call)] == ["settled_text"]
    [warning] = call.journal.of("SettingsWarned")
    assert warning.data["code"] == "endpointing_rule"
    assert "customEndpointingRules[0]" in warning.data["detail"]


async def test_the_wait_function_goes_by_the_acoustic_models_word() -> None:
    plan = {"provider": "livekit", "waitFunction": "200 + 2000 * x"}
    call = Rehearsal(assistant(smartEndpointingPlan=plan), turn_score=lambda at_s: 0.25)
    await call.run(ASKED, 9.0)
    # x = 1 - 0.25, the probability that the caller is still speaking.
    assert taken(call) == [("wait_function", pytest.approx(1.7, abs=0.005))]


async def test_the_customers_model_decides() -> None:
    model = Model(1.25)
    call = Rehearsal(assistant(**CUSTOM), endpointing=model)
    await call.run(ASKED, 9.0)
    assert taken(call) == [("endpointing_model", pytest.approx(1.25, abs=0.005))]
    [request] = model.asked
    assert [m["message"] for m in request.messages] == ["What can I do?", "please book a table"]
    assert request.chat[-1] == {"role": "user", "content": "please book a table"}
    [command] = call.journal.of("AskEndpointing")
    assert (command.data["said"], command.data["deadline_s"]) == ("please book a table", 1.0)


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Model(None), "unavailable"),
        (Model(0.1, after_s=30.0), "deadline"),
        (None, "no_server"),
    ],
)
async def test_a_model_that_does_not_answer_leaves_the_wait_to_us(model: Model | None, problem: str) -> None:
    call = Rehearsal(assistant(**CUSTOM), endpointing=model)
    await call.run(ASKED, 9.0)
    assert ("endpointing_model_failed", problem) in call.journal.decisions()
    [(reason, latency_s)] = taken(call)
    assert reason == "settled_text"
    assert latency_s < 1.5


async def test_a_model_that_breaks_in_a_way_of_its_own_is_a_failure_too() -> None:
    model = Model(1.0)

    async def wait_s(request: EndpointingRequest) -> float:
        raise KeyError("odd")

    model.wait_s = wait_s  # type: ignore[method-assign]
    call = Rehearsal(assistant(**CUSTOM), endpointing=model)
    await call.run(ASKED, 9.0)
    assert ("endpointing_model_failed", "KeyError") in call.journal.decisions()


async def test_warnings_of_the_settings_are_on_record() -> None:
    call = Rehearsal()
    plan = SessionPlan(ev.CallStarted("c", "o", 0), join_timeout_s=1.0, warnings=("a beside b",))
    routes = Routes(ScriptedStt(), ReplyRoutes(ScriptedLlm(), ScriptedTts(), TtsOptions(8000)))
    await Session(plan, routes, ScriptedMedia(), call.journal).run()
    [warning] = call.journal.of("SettingsWarned")
    assert warning.data == {"code": "contradiction", "detail": "a beside b"}

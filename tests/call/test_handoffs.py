"""Conversations that change hands: who speaks, with what voice and memory, and what is on record of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aywa.boot.rehearsal import Rehearsal, Utterance
from aywa.call.session import Routes
from aywa.core.record import CallRecord
from aywa.journal.replay.identity import compare
from aywa.journal.replay.recording import read_recording
from aywa.journal.replay.what_if import what_if
from aywa.ports.calls import Member
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.handoffs import Handed, HandoffRefused
from aywa.ports.llm import LlmRequest
from aywa.ports.server_questions import Question, ServerAnswer, ServerChain
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedTts

pytestmark = pytest.mark.virtual_time

BOOKING = {"type": "assistant", "assistantName": "Booking", "description": "the caller wants an appointment"}
BILLING = {"type": "assistant", "assistantName": "Billing"}


def member(name: str, *destinations: Mapping[str, Any], **more: Any) -> Member:
    model = {"messages": [{"role": "system", "content": f"You are {name}."}], **more.pop("model", {})}
    assistant = {"name": name, "id": f"id-{name}", "model": model, **more}
    return Member(name, assistant, f"id-{name}", destinations=tuple(destinations))


@dataclass
class Models:
    """Whose instructions are in a request says who is asked. plans: what each says, or which tool it wants, one by one."""

    plans: Mapping[str, Sequence[str | tuple[str, dict[str, Any]]]]
    asked: list[tuple[str, LlmRequest]] = field(default_factory=list)
    extracted: str = "{}"

    def _next(self, request: LlmRequest) -> str | tuple[str, dict[str, Any]]:
        system = request.messages[0].content
        if system.startswith("You read values"):
            return self.extracted
        # The last instructions are whose the call is.
        own = [m.content for m in request.messages if m.role == "system" and m.content.startswith("You are ")]
        name = own[-1].removeprefix("You are ").partition(".")[0]
        turns = sum(1 for who, earlier in self.asked if who == name and earlier is not request)
        if not any(earlier is request for _, earlier in self.asked):
            self.asked.append((name, request))
        else:
            turns = [e for who, e in self.asked if who == name].index(request)
        plan = self.plans[name]
        return plan[min(turns, len(plan) - 1)]

    def llm(self) -> ScriptedLlm:
        def reply(request: LlmRequest) -> str:
            said = self._next(request)
            return said if isinstance(said, str) else ""

        def calls(request: LlmRequest) -> Sequence[tuple[str, str]]:
            said = self._next(request)
            return () if isinstance(said, str) else [(said[0], json.dumps(said[1]))]

        return ScriptedLlm(reply=reply, calls=calls)

    def of(self, name: str) -> list[LlmRequest]:
        return [request for who, request in self.asked if who == name]


def texts(request: LlmRequest) -> list[tuple[str, str]]:
    return [(m.role, m.content) for m in request.messages]


def squad_of_two(
    plans: Mapping[str, Any], destination: Mapping[str, Any] = BOOKING, **booking: Any
) -> tuple[Models, Rehearsal]:
    models = Models(plans)
    front = member("Front", destination, firstMessage="Hello, front desk.")
    rehearsal = Rehearsal(
        llm=models.llm(), members=[front, member("Booking", FRONT_AGAIN, **booking), member("Billing")]
    )
    return models, rehearsal


FRONT_AGAIN = {"type": "assistant", "assistantName": "Front", "contextEngineeringPlan": {"type": "all"}}
ASKS = [Utterance(4.0, ["I", "want", "an", "appointment", "please"])]
NEWER = BOOKING | {"contextEngineeringPlan": {"type": "all"}}


async def test_a_squad_hands_the_caller_over_with_greeting_history_and_tools() -> None:
    plans = {"Front": [("handoff_to_Booking", {})], "Booking": ["Tuesday is free."]}
    models, rehearsal = squad_of_two(plans, NEWER, firstMessage="This is booking. Which day?")
    later = Utterance(12.0, ["on", "Tuesday", "please"])
    await rehearsal.run([*ASKS, later], 20.0)
    assert rehearsal.messages == [
        ("bot", "Hello, front desk."),
        ("user", "I want an appointment please"),
        ("bot", "This is booking. Which day?"),
        ("user", "on Tuesday please"),
        ("bot", "Tuesday is free."),
    ]
    (asked,) = models.of("Booking")
    assert texts(asked)[:3] == [
        ("system", "You are Booking."),
        ("assistant", "Hello, front desk."),
        ("user", "I want an appointment please"),
    ]
    assert [tool["function"]["name"] for tool in models.of("Front")[0].tools] == ["handoff_to_Booking"]
    assert [tool["function"]["name"] for tool in asked.tools] == ["handoff_to_Front"]


async def test_what_the_record_says_of_it_and_it_is_decided_again_bit_for_bit() -> None:
    plans = {"Front": [("handoff_to_Booking", {})], "Booking": ["Tuesday is free."]}
    _, rehearsal = squad_of_two(plans, NEWER, firstMessage="This is booking.")
    await rehearsal.run(ASKS, 14.0)
    record = CallRecord("call-1", "org-1")
    for each in rehearsal.journal.records:
        record.apply(each.seq, each.at_s, each.kind, _plain(each.data))
    artifact = record.document()["artifact"]
    assert artifact["assistantActivations"] == [
        {"assistantName": "Front", "assistantId": "id-Front"},
        {"assistantName": "Booking", "assistantId": "id-Booking"},
    ]
    bots = [m["assistantName"] for m in artifact["messages"] if m["role"] == "bot"]
    assert bots == ["Front", "Booking"]
    results = [m["result"] for m in artifact["messages"] if m["role"] == "tool_call_result"]
    assert results == ["The conversation was handed over."]
    (told,) = rehearsal.told("transfer-update")
    assert (told["fromAssistant"]["name"], told["toAssistant"]["name"]) == ("Front", "Booking")
    started = [each["newAssistant"]["name"] for each in rehearsal.told("assistant.started")]
    assert started == ["Front", "Booking"]
    identity = compare(read_recording("call-1", _recorded(rehearsal)))
    assert identity.difference is None
    assert identity.decisions > 20


def _plain(data: Any) -> Any:
    from aywa.core.codec import plain

    return plain(data)


def _recorded(rehearsal: Rehearsal) -> list[Any]:
    return [replace(each, data=_plain(each.data)) for each in rehearsal.journal.records]


async def test_a_member_who_speaks_first_by_its_model_is_asked_with_the_history() -> None:
    plans = {"Front": [("handoff_to_Booking", {})], "Booking": ["Which day would you like?"]}
    mode = "assistant-speaks-first-with-model-generated-message"
    models, rehearsal = squad_of_two(plans, NEWER, firstMessage="", firstMessageMode=mode)
    await rehearsal.run(ASKS, 12.0)
    assert rehearsal.messages[-1] == ("bot", "Which day would you like?")
    (asked,) = models.of("Booking")
    assert asked.messages[-1].content == "The conversation was handed over."


async def test_the_greeting_is_said_at_every_reentry() -> None:
    plans = {
        "Front": [("handoff_to_Booking", {}), "What else?"],
        "Booking": [("handoff_to_Front", {})],
    }
    _, rehearsal = squad_of_two(plans, NEWER, firstMessage="Booking here.")
    back = Utterance(10.0, ["no", "back", "to", "the", "desk"])
    await rehearsal.run([*ASKS, back], 20.0)
    said = [text for role, text in rehearsal.messages if role == "bot"]
    assert said == ["Hello, front desk.", "Booking here.", "Hello, front desk."]


@pytest.mark.parametrize(
    ("plan", "seen"),
    [
        ({"type": "none"}, []),
        ({"type": "lastNMessages", "maxMessages": 1}, [("user", "I want an appointment please")]),
        (
            {"type": "userAndAssistantMessages"},
            [("assistant", "Hello, front desk."), ("user", "I want an appointment please")],
        ),
        ({"type": "previousAssistantMessages"}, []),
    ],
)
async def test_what_the_next_assistant_sees(plan: dict[str, Any], seen: list[tuple[str, str]]) -> None:
    plans = {"Front": [("handoff_to_Booking", {})], "Booking": ["Yes?"]}
    destination = BOOKING | {"contextEngineeringPlan": plan}
    models, rehearsal = squad_of_two(plans, destination)
    await rehearsal.run(ASKS, 12.0)
    assert texts(models.of("Booking")[0]) == [("system", "You are Booking."), *seen]
    # The transcript is whole in any case.
    assert ("user", "I want an appointment please") in rehearsal.messages


async def test_the_older_kind_of_destination_is_a_transfer_with_its_message() -> None:
    plans = {
        "Front": [("transferCall", {"destination": "Booking"})],
        "Booking": ["Which day?"],
    }
    older = BOOKING | {"message": "I put you through to booking."}
    models, rehearsal = squad_of_two(plans, older)
    await rehearsal.run(ASKS, 14.0)
    said = [text for role, text in rehearsal.messages if role == "bot"]
    assert said == ["Hello, front desk.", "I put you through to booking.", "Which day?"]
    # Rolling history: what the last one was told stays.
    assert texts(models.of("Booking")[0])[:2] == [
        ("system", "You are Front."),
        ("system", "You are Booking."),
    ]


async def test_the_next_assistant_has_its_own_voice() -> None:
    voices = {"Front": ScriptedTts(name="voice-front"), "Booking": ScriptedTts(name="voice-booking")}

    def work_for(assistant: Mapping[str, Any], routes: Routes) -> Routes:
        voice = voices.get(str(assistant["name"]))
        return routes if voice is None else replace(routes, reply=replace(routes.reply, tts=voice))

    plans = {"Front": [("handoff_to_Booking", {})], "Booking": ["Fine."]}
    _, rehearsal = squad_of_two(plans, NEWER, firstMessage="Booking here.")
    rehearsal.work_for = work_for
    await rehearsal.run(ASKS, 12.0)
    assert "Hello, front desk." in voices["Front"].spoken
    assert "Booking here." in voices["Booking"].spoken
    assert "Booking here." not in voices["Front"].spoken


async def test_variables_from_arguments_extraction_and_aliases_reach_the_next_prompt() -> None:
    plan = {
        "schema": {"type": "object", "properties": {"day": {"type": "string"}}},
        "aliases": [{"key": "summary", "value": "{{who}} on {{day}}"}, {"key": "not a name", "value": "x"}],
    }
    tool = {
        "type": "handoff",
        "destinations": [BOOKING | {"variableExtractionPlan": plan}],
        "function": {
            "name": "to_booking",
            "parameters": {"type": "object", "properties": {"who": {"type": "string"}}},
        },
    }
    models = Models({"Front": [("to_booking", {"who": "Ann", "destination": "Booking"})], "Booking": ["So."]})
    models.extracted = 'Here: {"day": "Tuesday", "shoe": 44}'
    front = member("Front", model={"tools": [tool]})
    booking = member("Booking", firstMessage="Hello {{who}}: {{summary}}, {{place}}.")
    rehearsal = Rehearsal(llm=models.llm(), members=[front, booking], variables={"place": "Bonn"})
    await rehearsal.run([Utterance(1.0, ["book", "me", "for", "Tuesday"])], 12.0)
    assert rehearsal.messages[-1] == ("bot", "Hello Ann: Ann on Tuesday, Bonn.")
    (prepared,) = rehearsal.journal.of("HandoffPrepared")
    assert prepared.data["variables"] == {"who": "Ann", "day": "Tuesday", "summary": "Ann on Tuesday"}
    assert rehearsal.journal.of("VariablesRead")[0].data["names"] == ["day"]


async def test_a_wrong_name_is_told_to_the_model_which_goes_on() -> None:
    tool = {"type": "handoff", "destinations": [BOOKING, BILLING]}
    models = Models({"Front": [("handoff_to_group_0", {"destination": "xyz"}), "Sorry, nobody is there."]})
    rehearsal = Rehearsal(
        llm=models.llm(), members=[member("Front", model={"tools": [tool]}), member("Booking")]
    )
    await rehearsal.run([Utterance(1.0, ["let", "me", "speak", "to", "xyz"])], 12.0)
    assert rehearsal.messages[-1] == ("bot", "Sorry, nobody is there.")
    assert not rehearsal.journal.of("StartHandoff")


async def test_a_handoff_to_nobody_is_refused_and_the_call_goes_on() -> None:
    destination = {"type": "assistant", "assistantName": "Ghost"}
    tool = {"type": "handoff", "destinations": [destination]}
    models = Models({"Front": [("handoff_to_Ghost", {}), "I will help you myself."]})
    rehearsal = Rehearsal(llm=models.llm(), assistant=member("Front", model={"tools": [tool]}).assistant)
    await rehearsal.run([Utterance(1.0, ["let", "me", "speak", "to", "ghost"])], 12.0)
    assert rehearsal.messages[-1] == ("bot", "I will help you myself.")
    assert ("refused", 'there is no assistant "Ghost" here') in rehearsal.journal.decisions()


@dataclass
class Desk:
    """Knows a few."""

    known: Mapping[str, Member]
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    async def hand(self, org_id: str, destination: Mapping[str, Any]) -> Handed:
        self.asked.append(destination)
        if destination.get("type") == "squad":
            return Handed(tuple(self.known.values()), ("a problem",))
        found = self.known.get(str(destination.get("assistantId")))
        if found is None:
            raise HandoffRefused("there is no such assistant")
        return Handed((found,))

    def heard_by(
        self, org_id: str, member: Member, before: ServerChain
    ) -> tuple[ServerChain, Mapping[str, Any]]:
        return before, {}

    async def overridden(self, org_id: str, member: Member, overrides: Mapping[str, Any]) -> Member:
        return replace(member, assistant={**member.assistant, **overrides})


async def test_an_assistant_that_the_squad_does_not_have_comes_from_the_desk() -> None:
    desk = Desk({"outside": member("Outside", firstMessage="From outside.")})
    tool = {"type": "handoff", "destinations": [{"type": "assistant", "assistantId": "outside"}]}
    models = Models({"Front": [("handoff_to_outside", {})], "Outside": ["Yes."]})
    rehearsal = Rehearsal(
        llm=models.llm(), assistant=member("Front", model={"tools": [tool]}).assistant, desk=desk
    )
    await rehearsal.run([Utterance(1.0, ["somebody", "else", "please", "now"])], 12.0)
    assert rehearsal.messages[-1] == ("bot", "From outside.")


async def test_a_whole_squad_takes_over_from_its_named_entry() -> None:
    desk = Desk({"a": member("Alpha"), "b": member("Beta", firstMessage="Beta here.")})
    destination = {"type": "squad", "squadId": "s1", "entryAssistantName": "beta"}
    tool = {"type": "handoff", "destinations": [destination]}
    models = Models({"Front": [("handoff_to_beta", {})], "Beta": ["Yes."]})
    rehearsal = Rehearsal(
        llm=models.llm(), assistant=member("Front", model={"tools": [tool]}).assistant, desk=desk
    )
    await rehearsal.run([Utterance(1.0, ["the", "other", "team", "please"])], 12.0)
    assert rehearsal.messages[-1] == ("bot", "Beta here.")
    assert any(each.data["detail"] == "a problem" for each in rehearsal.journal.of("SettingsWarned"))


@dataclass
class Server:
    """Answers handoff-destination-request."""

    body: Mapping[str, Any] | ProviderError
    questions: list[Question] = field(default_factory=list)

    async def ask(self, question: Question, note: Any = None) -> ServerAnswer:
        self.questions.append(question)
        if isinstance(self.body, ProviderError):
            raise self.body
        return ServerAnswer(self.body, 200, "tool")


DYNAMIC = {
    "type": "handoff",
    "destinations": [{"type": "dynamic", "server": {"url": "https://where.example"}}],
    "function": {
        "name": "somewhere",
        "parameters": {"type": "object", "properties": {"intent": {"type": "string"}}},
    },
}


def dynamic(body: Mapping[str, Any] | ProviderError) -> tuple[Server, Rehearsal]:
    server = Server(body)
    models = Models(
        {
            "Front": [("somewhere", {"destination": "dynamic", "intent": "book"}), "I stay with you."],
            "Booking": ["Yes."],
        }
    )
    front = member("Front", model={"tools": [DYNAMIC]})
    rehearsal = Rehearsal(
        llm=models.llm(),
        members=[front, member("Booking", firstMessage="Booking here.")],
        questions=server,
    )
    return server, rehearsal


async def test_a_server_says_where_to_and_its_answer_says_what_goes_along() -> None:
    plan = {"type": "none"}
    server, rehearsal = dynamic(
        {"destination": BOOKING | {"contextEngineeringPlan": plan}, "result": "Sent."}
    )
    await rehearsal.run([Utterance(1.0, ["book", "me", "in", "please"])], 12.0)
    assert rehearsal.messages[-1] == ("bot", "Booking here.")
    (question,) = server.questions
    assert (question.kind, question.fields) == (
        "handoff-destination-request",
        {"parameters": {"intent": "book"}},
    )
    assert question.server == {"url": "https://where.example"}
    results = [r.data["message"].get("result") for r in rehearsal.journal.of("RecordMessage")]
    assert "Sent." in results
    (taken,) = [r for r in rehearsal.journal.of("RecordDecision") if r.data["decision"] == "taken_over"]
    assert taken.data["details"]["context"] == "none"


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Nobody is in."},
        {"destination": {}},
        {"destination": None, "result": "Nobody is in."},
        {"destination": {"type": "number", "number": "+4930"}},
        {"destination": {"type": "assistant", "assistantName": "Ghost"}},
        {},
        ProviderError("server", "deadline", "late", fault=Fault.PROVIDER, retryable=False),
    ],
)
async def test_a_server_that_names_nobody_leaves_the_call_where_it_is(body: Any) -> None:
    _, rehearsal = dynamic(body)
    await rehearsal.run([Utterance(1.0, ["book", "me", "in", "please"])], 12.0)
    assert rehearsal.messages[-1] == ("bot", "I stay with you.")


async def test_assistants_that_hand_over_for_ever_are_stopped_with_a_word() -> None:
    mode = "assistant-speaks-first-with-model-generated-message"
    there = BOOKING | {"contextEngineeringPlan": {"type": "all"}}
    models = Models({"Front": [("handoff_to_Booking", {})], "Booking": [("handoff_to_Front", {})]})
    front = member("Front", there, firstMessageMode=mode)
    rehearsal = Rehearsal(
        llm=models.llm(), members=[front, member("Booking", FRONT_AGAIN, firstMessageMode=mode)]
    )
    await rehearsal.run([Utterance(2.0, ["hello", "is", "anybody", "there"])], 20.0)
    assert len(rehearsal.journal.of("ChangeAssistant")) < 20
    assert any(role == "bot" for role, _ in rehearsal.messages)


async def test_a_client_may_ask_for_a_member_and_for_nobody_else() -> None:
    desk = Desk({"outside": member("Outside", firstMessage="From outside.")})
    models = Models({"Front": ["Yes."], "Booking": ["Yes."]})
    rehearsal = Rehearsal(
        llm=models.llm(),
        members=[member("Front"), member("Booking", firstMessage="Booking here.")],
        desk=desk,
    )

    def ask(destination: Mapping[str, Any]) -> None:
        from aywa.core.events import ClientMessageReceived

        assert rehearsal.session is not None
        rehearsal.session.post(
            ClientMessageReceived("caller", {"type": "handoff", "destination": destination})
        )

    async def steer() -> None:
        import asyncio

        await asyncio.sleep(1.0)
        ask({"type": "assistant", "assistantId": "outside"})
        await asyncio.sleep(1.0)
        ask({"assistantName": "booking", "contextEngineeringPlan": "none"})

    from aywa.testing.scripted_media import ScriptedMedia

    await rehearsal.perform(ScriptedMedia(), steer, 8.0)
    assert not desk.asked
    assert rehearsal.messages == [("bot", "Booking here.")]


async def test_overrides_of_a_destination_count_for_a_member_too() -> None:
    overrides = {"firstMessage": "Night desk, {{who}}.", "variableValues": {"who": "Ann"}}
    plans = {"Front": [("handoff_to_Booking", {})], "Booking": ["Yes."]}
    _, rehearsal = squad_of_two(plans, NEWER | {"assistantOverrides": overrides})
    rehearsal.desk = Desk({})
    await rehearsal.run(ASKS, 12.0)
    assert rehearsal.messages[-1] == ("bot", "Night desk, Ann.")
    (prepared,) = rehearsal.journal.of("HandoffPrepared")
    assert prepared.data["variables"] == {"who": "Ann"}
    assert prepared.data["destination"] == NEWER | {"assistantOverrides": overrides}


async def test_an_assistants_own_values_yield_to_the_calls_and_not_to_another_assistants() -> None:
    models = Models({"Front": [("handoff_to_Booking", {})], "Booking": ["Yes."]})
    front = replace(member("Front", NEWER), variables={"place": "Bonn", "unit": "front", "who": "nobody"})
    booking = member("Booking", firstMessage="{{unit}} in {{place}} for {{who}}, {{only}}.")
    booking = replace(booking, variables={"place": "Rome", "unit": "booking", "only": "here", "who": "x"})
    # The call's own values lie over its first assistant's.
    known = {"place": "Bonn", "unit": "front", "who": "Ann"}
    rehearsal = Rehearsal(llm=models.llm(), members=[front, booking], variables=known)
    await rehearsal.run([Utterance(1.0, ["book", "me", "in", "please"])], 12.0)
    assert rehearsal.messages[-1] == ("bot", "booking in Rome for Ann, here.")


async def test_a_template_that_cannot_be_read_is_told_and_the_call_goes_on() -> None:
    plan = {"aliases": [{"key": "x", "value": "{{ broken | }}"}, "junk"]}
    plans = {"Front": [("handoff_to_Booking", {})], "Booking": ["Yes."]}
    _, rehearsal = squad_of_two(plans, NEWER | {"variableExtractionPlan": plan}, firstMessage="{% nothing %}")
    await rehearsal.run(ASKS, 12.0)
    assert len(rehearsal.journal.of("ChangeAssistant")) == 1
    assert len(rehearsal.journal.of("TemplateProblem")) >= 1


async def test_a_squad_without_the_entry_that_is_named_takes_nothing_over() -> None:
    tool = {
        "type": "handoff",
        "destinations": [{"type": "squad", "squadId": "s1", "entryAssistantName": "Gamma"}],
    }
    models = Models({"Front": [("handoff_to_Gamma", {}), "I stay."]})
    rehearsal = Rehearsal(
        llm=models.llm(),
        assistant=member("Front", model={"tools": [tool]}).assistant,
        desk=Desk({"a": member("Alpha")}),
    )
    await rehearsal.run([Utterance(1.0, ["the", "other", "team", "please"])], 12.0)
    assert rehearsal.messages[-1] == ("bot", "I stay.")
    empty = replace(rehearsal, llm=Models(models.plans).llm(), desk=Desk({}), leg=None, session=None)
    await empty.run([Utterance(1.0, ["the", "other", "team", "please"])], 12.0)
    assert empty.messages[-1] == ("bot", "I stay.")


async def test_the_record_of_a_recorded_handoff_is_played_again_with_other_settings() -> None:
    plans = {"Front": [("handoff_to_Booking", {})], "Booking": ["Tuesday is free."]}
    _, rehearsal = squad_of_two(plans, NEWER, firstMessage="This is booking.")
    await rehearsal.run(ASKS, 14.0)
    recording = read_recording("call-1", _recorded(rehearsal))
    identity = compare(recording)
    assert recording.started is not None
    same = what_if(recording, identity, recording.started.assistant)
    assert (same.reproduced, same.estimated_from_s) == (True, None)
    patient = {**recording.started.assistant, "startSpeakingPlan": {"waitSeconds": 2.0}}
    later = what_if(recording, identity, patient)
    assert later.changes
    assert not later.open_end
    # Whoever the model wants instead, nobody knows.
    tools = {
        "tools": [{"type": "handoff", "destinations": [BILLING], "function": {"name": "handoff_to_Booking"}}]
    }
    other = {**recording.started.assistant, "model": {**recording.started.assistant["model"], **tools}}
    assert what_if(recording, identity, other).estimated_from_s is not None

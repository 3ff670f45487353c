"""A call's questions: its envelope, the conversation so far, and the tool's own server before all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aywa.boot.questions import PlanQuestions, call_of
from aywa.ports.calls import CallPlan, ProviderKey
from aywa.ports.media import AudioFormat
from aywa.ports.server_questions import Note, Question, Server, ServerAnswer, ServerChain

PLAN = CallPlan(
    call_id="c1",
    org_id="o1",
    type="webCall",
    assistant={"name": "Anna", "server": {"url": "https://a/", "secret": "planted"}},
    format=AudioFormat.PCM16,
    rate_hz=16_000,
    created_ms=0,
    call={
        "customer": {"number": "+1555"},
        "messages": [],
        "assistant": {"name": "as it was sent"},
        "artifactBaseUrl": "https://h/planted",
        "monitor": {"controlUrl": "https://h/c"},
    },
    keys={"secrets:3": ProviderKey("", extra={"secret": "tool-planted"})},
    servers=ServerChain((Server("https://a/", timeout_s=11.0),)),
)


@dataclass
class Requests:
    asked: list[tuple[Mapping[str, Any], ServerChain, float, str]] = field(default_factory=list)

    async def ask(
        self,
        message: Mapping[str, Any],
        chain: ServerChain,
        *,
        deadline_s: float,
        note: Note | None = None,
        message_id: str = "",
    ) -> ServerAnswer:
        self.asked.append((message, chain, deadline_s, message_id))
        return ServerAnswer({}, 200, "tool")


async def test_a_tool_s_own_server_goes_first_with_its_secret() -> None:
    requests = Requests()
    entry = {"role": "user", "message": "Hi."}
    question = Question(
        "tool-calls",
        {"toolCallList": []},
        (entry,),
        ({"role": "user", "content": "Hi."},),
        {"url": "https://t/", "secretsId": "secrets:3", "timeoutSeconds": 3},
        id="msg_1",
    )
    await PlanQuestions(PLAN, requests, lambda: 1_700_000_000.5).ask(question)
    ((message, chain, deadline_s, message_id),) = requests.asked
    assert [(s.level, s.url) for s in chain.servers] == [("tool", "https://t/"), ("assistant", "https://a/")]
    assert chain.servers[0].opened == {"secret": "tool-planted"}
    assert (deadline_s, message_id) == (3.0, "msg_1")
    assert (message["type"], message["timestamp"]) == ("tool-calls", 1_700_000_000_500)
    assert message["toolCallList"] == []
    assert message["call"]["status"] == "in-progress"
    assert message["call"]["monitor"] == {"controlUrl": "https://h/c"}
    assert message["call"]["assistant"]["name"] == message["assistant"]["name"] == "Anna"
    assert message["customer"] == {"number": "+1555"}
    assert message["artifact"]["messages"] == (entry,)
    assert "planted" not in str(message)


async def test_the_deadline_is_the_first_server_s_unless_it_is_said() -> None:
    requests = Requests()
    questions = PlanQuestions(PLAN, requests)
    await questions.ask(Question("handoff-destination-request"))
    await questions.ask(Question("handoff-destination-request", deadline_s=2.0))
    alone = PlanQuestions(CallPlan("c", "o", "webCall", {}, AudioFormat.PCM16, 16_000, 0), requests)
    await alone.ask(Question("handoff-destination-request"))
    assert [deadline_s for _, _, deadline_s, _ in requests.asked] == [11.0, 2.0, 20.0]


def test_a_call_as_it_is_told() -> None:
    assert call_of(PLAN) == {
        "customer": {"number": "+1555"},
        "assistant": {},
        "monitor": {"controlUrl": "https://h/c"},
        "id": "c1",
        "orgId": "o1",
        "type": "webCall",
    }

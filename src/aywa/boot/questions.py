"""The questions of one call: its envelope and its servers, and the conversation so far, put into each message."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aywa.core.server_messages import enveloped, told_call, without_secrets
from aywa.ports.calls import CallPlan
from aywa.ports.server_questions import TIMEOUT_S, TOOL, Note, Question, ServerAnswer, ServerQuestions
from aywa.service.customer_servers import server_of


class PlanQuestions:
    """ports.server_questions.CallQuestions of a planned call."""

    def __init__(
        self, plan: CallPlan, requests: ServerQuestions, clock: Callable[[], float] = time.time
    ) -> None:
        self._plan = plan
        self._requests = requests
        self._clock = clock
        self._call = call_of(plan) | {"status": "in-progress"}
        self._assistant = without_secrets(plan.assistant)

    async def ask(self, question: Question, note: Note | None = None) -> ServerAnswer:
        """As the port says."""
        plan = self._plan
        chain = plan.servers.led_by(server_of(question.server, plan.keys, TOOL))
        first_s = chain.asked[0].timeout_s if chain.asked else TIMEOUT_S
        envelope = enveloped(question.kind, round(self._clock() * 1000), self._call, self._assistant)
        artifact = {"messages": question.messages, "messagesOpenAIFormatted": question.chat}
        return await self._requests.ask(
            {**envelope, "artifact": artifact, **question.fields},
            chain,
            deadline_s=first_s if question.deadline_s is None else question.deadline_s,
            note=note,
            message_id=question.id,
        )


def call_of(plan: CallPlan) -> dict[str, Any]:
    """The call's document as its servers are told of it."""
    return told_call(plan.call, plan.call_id, plan.org_id, plan.type)

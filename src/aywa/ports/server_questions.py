"""Asks a customer's servers what only they know: who answers, what a tool found, where a call goes on (contract 7.1, 7.4).

A question goes to the first server of its chain; when that one fails, and only then, to the next, all within one deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

ASSISTANT_REQUEST_S = 7.5
"""End to end, whatever server.timeoutSeconds says: so long a telephone may ring (contract 7.1)."""
TIMEOUT_S = 20.0
"""server.timeoutSeconds where nobody says."""

ASSISTANT_REQUEST = "assistant-request"
TOOL_CALLS = "tool-calls"
TRANSFER_DESTINATION = "transfer-destination-request"
HANDOFF_DESTINATION = "handoff-destination-request"
ANSWERED = (ASSISTANT_REQUEST, TOOL_CALLS, TRANSFER_DESTINATION, HANDOFF_DESTINATION)
"""The messages that this port asks."""

FALLBACK, PRECEDENCE, FAN_OUT = "fallback", "precedence", "fan-out"
POLICIES = (FALLBACK, PRECEDENCE, FAN_OUT)
"""What an organisation may want of several servers: the next one when one fails; the first one alone; all of them. A question
is never asked of all: it would be answered twice."""

TOOL, ASSISTANT, PHONE_NUMBER, ACCOUNT = "tool", "assistant", "phone-number", "account"
LEVELS = (TOOL, ASSISTANT, PHONE_NUMBER, ACCOUNT)
"""Whose server it is, the first to be asked first (contract 7.1)."""

Note = Callable[[str, Mapping[str, Any]], None]
"""Puts something on record: kind (ServerAsked, ServerAnswered), data. Nothing of it is secret."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is. level: whose. opened: its secret, headers and authenticationPlan, never on record. backoff: its backoffPlan,
    for what needs no answer. credential: the id that its plan came from."""

    url: str
    level: str = ASSISTANT
    timeout_s: float = TIMEOUT_S
    opened: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    backoff: Mapping[str, Any] | None = field(default=None, hash=False)
    credential: str = ""


@dataclass(frozen=True, slots=True)
class ServerChain:
    """The servers of a call, the first to be told first."""

    servers: tuple[Server, ...] = ()
    policy: str = FALLBACK

    def led_by(self, server: Server | None) -> ServerChain:
        """With one before all others: a tool's own."""
        return self if server is None else replace(self, servers=(server, *self.servers))

    @property
    def asked(self) -> tuple[Server, ...]:
        """Those that a question may go to."""
        return self.servers[:1] if self.policy == PRECEDENCE else self.servers


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What a server said: a JSON object. level: whose server it was. An answer that was refused (status 400-499) is one too where
    it holds results: a tool's errors come so (contract 7.1)."""

    body: Mapping[str, Any] = field(repr=False)
    status: int
    level: str


class ServerQuestions(Protocol):
    """Over the network."""

    async def ask(
        self,
        message: Mapping[str, Any],
        chain: ServerChain,
        *,
        deadline_s: float,
        note: Note | None = None,
        message_id: str = "",
    ) -> ServerAnswer:
        """Sends {"message": message}, which has a type. note: told of each attempt before its request leaves, and of its end.
        message_id: the same for one that is asked again. Raises ProviderError: nobody answered (code: deadline, unreachable,
        refused, unavailable, malformed, overlong, bad_url, bad_request; not_found where there is no server)."""


@dataclass(frozen=True, slots=True)
class Question:
    """One of a call's. fields: of its message, beside the envelope. messages, chat: the conversation so far, in the contract's
    form and in OpenAI's. server: of the tool or the destination itself, as its document has it; goes first. deadline_s: None
    for the first server's timeoutSeconds. id: the message's; the same for one that is asked again."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    messages: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    chat: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    server: Mapping[str, Any] | None = field(default=None, repr=False)
    deadline_s: float | None = None
    id: str = ""


class CallQuestions(Protocol):
    """The questions of one call: its servers and its envelope (contract 7.3) are known."""

    async def ask(self, question: Question, note: Note | None = None) -> ServerAnswer:
        """Raises ProviderError, as ServerQuestions does. It may be cancelled."""

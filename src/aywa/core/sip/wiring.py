"""What one call, trunk or ping has of the agent that carries it: the agent's own hands, and a word to it after each answer, since
its deadline may be another then. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aywa.core.sip.asking import Asking
from aywa.core.sip.events import Event, Fields
from aywa.core.sip.flow import Flow
from aywa.core.sip.line import Ask, Hop
from aywa.core.sip.message import Request, Response


class Carrier(Protocol):
    """The agent, as far as a wire leads to it."""

    now: float
    asking: Asking

    def ask(self, ask: Ask) -> int:
        """Sends a request, with whatever credentials there are for it."""

    def respond(self, key: str, response: Response) -> None:
        """Answers a request."""

    def contact(self, flow: Flow) -> str:
        """Our Contact over that flow."""

    def tell(self, event: Event) -> None:
        """To the shell."""

    def word(self) -> str:
        """One that nobody can guess."""


class Wiring:
    """core.sip.line.Wire. touched: told that its owner may have another deadline. token(count): bytes that nobody can guess."""

    def __init__(
        self, carrier: Carrier, token: Callable[[int], bytes], touched: Callable[[], None] = lambda: None
    ) -> None:
        self._carrier = carrier
        self._token = token
        self._touched = touched

    @property
    def now(self) -> float:
        return self._carrier.now

    def token(self, size: int) -> bytes:
        return self._token(size)

    def word(self) -> str:
        return self._carrier.word()

    def ask(self, ask: Ask) -> int:
        answered, failed = ask.answered, ask.failed

        def touched_answered(response: Response, flow: Flow) -> None:
            answered(response, flow)
            self._touched()

        def touched_failed(why: str) -> None:
            failed(why)
            self._touched()

        ask.answered, ask.failed = touched_answered, touched_failed
        return self._carrier.ask(ask)

    def cancel(self, ticket: int, headers: Fields) -> None:
        self._carrier.asking.cancel(ticket, headers, self.now)

    def pass_on(self, request: Request, hop: Hop) -> None:
        self._carrier.asking.pass_on(request, hop, self.now)

    def respond(self, key: str, response: Response) -> None:
        self._carrier.respond(key, response)

    def contact(self, flow: Flow) -> str:
        return self._carrier.contact(flow)

    def tell(self, event: Event) -> None:
        self._carrier.tell(event)

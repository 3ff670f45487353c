"""A wire that writes down what is asked of it, for the parts of a call by themselves."""

from __future__ import annotations

from aywa.core.sip.events import Event, Fields
from aywa.core.sip.flow import Flow
from aywa.core.sip.line import Ask, Hop
from aywa.core.sip.message import Request, Response, respond_to
from tests.core.sip.network import tokens

FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060))


class StubWire:
    """Remembers; answers are given by the test through `answer`."""

    def __init__(self) -> None:
        self.time = 0.0
        self.token = tokens(5)
        self.asked: list[Ask] = []
        self.passed: list[tuple[Request, Hop]] = []
        self.responded: list[tuple[str, int]] = []
        self.events: list[Event] = []
        self.cancelled: list[int] = []

    @property
    def now(self) -> float:
        return self.time

    def word(self) -> str:
        return self.token(4).hex()

    def ask(self, ask: Ask) -> int:
        self.asked.append(ask)
        return len(self.asked)

    def cancel(self, ticket: int, headers: Fields) -> None:
        self.cancelled.append(ticket)

    def pass_on(self, request: Request, hop: Hop) -> None:
        self.passed.append((request, hop))

    def respond(self, key: str, response: Response) -> None:
        self.responded.append((key, response.status))

    def contact(self, flow: Flow) -> str:
        return f"sip:aywa@{flow.local[0]}:{flow.local[1]}"

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def answer(self, status: int, *fields: tuple[str, str], flow: Flow = FLOW) -> None:
        """To the last request."""
        ask = self.asked[-1]
        request = ask.request.copy()
        request.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
        ask.answered(respond_to(request, status, tag="far", headers=fields), flow)

    def fail(self, why: str) -> None:
        """Of the last request."""
        self.asked[-1].failed(why)


def asked(method: str, *fields: tuple[str, str]) -> Request:
    """A request as it comes in."""
    return Request(
        method,
        "sip:demo@192.0.2.1",
        (
            ("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"),
            ("From", "<sip:peer@192.0.2.9>;tag=f1"),
            ("To", "<sip:demo@192.0.2.1>"),
            ("Call-ID", "c1"),
            ("CSeq", f"1 {method}"),
            *fields,
        ),
    )

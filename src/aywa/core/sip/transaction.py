"""The four transaction machines of RFC 3261 17 with the accepted states of RFC 6026, each with its timers A to M.

A machine knows one transaction: it sends again, acknowledges, absorbs what comes twice, and gives up in time. Which message
belongs to which transaction the endpoint decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from aywa.core.sip.flow import Action, Flow, Key, ResponseReceived, Send, TransactionFailed
from aywa.core.sip.headers import Headers
from aywa.core.sip.message import MAX_FORWARDS, Request, Response, respond_to
from aywa.core.sip.uri import DEFAULT_PORT, DEFAULT_PORT_TLS


@dataclass(frozen=True, slots=True)
class Timers:
    """RFC 3261 17.1.1.1 and table 4. t1_s: the round trip assumed. t2_s: the longest pause between two sendings. t4_s: how long
    a message may be on its way. trying_s: after so long without an answer the INVITE gets its 100 (17.2.1). proceeding_s: how
    long an INVITE may wait for its final answer before it is forgotten."""

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0
    trying_s: float = 0.2
    proceeding_s: float = 3600.0

    @property
    def timeout_s(self) -> float:
        """Timers B, F, H, J, L and M."""
        return 64 * self.t1_s

    @property
    def linger_s(self) -> float:
        """Timer D: at least 32 s."""
        return max(32.0, self.timeout_s)


class State(StrEnum):
    """CALLING: nothing came yet (Trying of a non-INVITE as well). PROCEEDING: a provisional answer. ACCEPTED: a 2xx to an INVITE.
    COMPLETED: another final answer. CONFIRMED: it was acknowledged. TERMINATED: to be forgotten."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Transaction:
    """What the four have in common: a state, and two timers, one to send again and one that ends the state."""

    __slots__ = ("_data", "_end_at", "_resend_at", "_resend_s", "flow", "key", "scheduled", "state", "timers")

    def __init__(self, key: Key, flow: Flow, timers: Timers) -> None:
        self.key = key
        self.flow = flow
        self.timers = timers
        self.state = State.CALLING
        # For the endpoint: the deadline it has noted.
        self.scheduled: float | None = None
        self._data = b""
        self._resend_at: float | None = None
        self._resend_s = 0.0
        self._end_at: float | None = None

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        if self._resend_at is None or self._end_at is None:
            return self._end_at if self._resend_at is None else self._resend_at
        return min(self._resend_at, self._end_at)

    def _send(self) -> Send:
        return Send(self.flow, self._data)

    def _resend_after(self, seconds: float, now: float) -> None:
        self._resend_s = seconds
        self._resend_at = now + seconds

    def _enter(self, state: State, for_s: float, now: float) -> None:
        """The state holds for so long at most; at 0 it is over at once, as over a reliable transport."""
        self.state = state if for_s > 0 else State.TERMINATED
        self._resend_at = None
        self._end_at = now + for_s if for_s > 0 else None

    def _terminate(self) -> None:
        self.state = State.TERMINATED
        self._resend_at = self._end_at = None


class ClientTransaction(Transaction):
    """What both kinds of request of ours have in common."""

    __slots__ = ("request",)

    def __init__(self, key: Key, request: Request, flow: Flow, timers: Timers, now: float) -> None:
        super().__init__(key, flow, timers)
        self.request = request
        self._data = request.encode()
        if not flow.reliable:
            # Timers A and E.
            self._resend_after(timers.t1_s, now)
        # Timers B and F.
        self._end_at = now + timers.timeout_s

    def begin(self) -> list[Action]:
        """The first sending."""
        return [self._send()]

    def broke(self, detail: str = "") -> list[Action]:
        """The transport says that nothing gets through (RFC 3261 17.1.4)."""
        waiting = self.state in (State.CALLING, State.PROCEEDING)
        if self.state is State.ACCEPTED:
            # Another 2xx may come by another way.
            return []
        self._terminate()
        return [TransactionFailed(self.key, "transport", detail)] if waiting else []

    def _told(self, response: Response, flow: Flow) -> ResponseReceived:
        if flow.reliable:
            # What follows goes where the answer came from: the connection may have been opened for this request.
            self.flow = flow
        return ResponseReceived(self.key, response, flow)


class InviteClient(ClientTransaction):
    """RFC 3261 17.1.1 as amended by RFC 6026 7.2."""

    __slots__ = ("_ack", "_cancel_headers", "cancel_sent")

    def __init__(self, key: Key, request: Request, flow: Flow, timers: Timers, now: float) -> None:
        super().__init__(key, request, flow, timers, now)
        self._ack = b""
        self._cancel_headers: tuple[tuple[str, str], ...] | None = None
        self.cancel_sent = False

    def receive(self, response: Response, flow: Flow, now: float) -> list[Action]:
        if self.state is State.TERMINATED:
            return []
        waiting = self.state in (State.CALLING, State.PROCEEDING)
        if response.status < 200:
            if not waiting:
                return []
            if self.state is State.CALLING:
                self.state = State.PROCEEDING
                self._resend_at = self._end_at = None
            return [self._told(response, flow)]
        if response.status < 300:
            if waiting:
                self._enter(State.ACCEPTED, self.timers.timeout_s, now)
            # After another final answer as well: a fork that answered late is to be acknowledged and hung up, not left ringing
            # at the far end.
            return [self._told(response, flow)]
        if waiting:
            told = self._told(response, flow)
            self._ack = ack_for(self.request, response).encode()
            self._enter(State.COMPLETED, 0.0 if self.flow.reliable else self.timers.linger_s, now)
            return [Send(self.flow, self._ack), told]
        return [Send(self.flow, self._ack)] if self.state is State.COMPLETED else []

    def cancel(self, headers: Iterable[tuple[str, str]]) -> None:
        """It is not wanted any more."""
        if self.state in (State.CALLING, State.PROCEEDING) and self._cancel_headers is None:
            self._cancel_headers = tuple(headers)

    def due_cancel(self, now: float) -> Request | None:
        """The CANCEL to send now: not before a provisional answer, and once (RFC 3261 9.1)."""
        if self._cancel_headers is None or self.state is not State.PROCEEDING or self.cancel_sent:
            return None
        self.cancel_sent = True
        # A peer that never answers the INVITE after its CANCEL is given up (9.1).
        self._end_at = now + self.timers.timeout_s
        return cancel_for(self.request, self._cancel_headers)

    def wake(self, now: float) -> list[Action]:
        if self._end_at is not None and now >= self._end_at:
            waiting = self.state in (State.CALLING, State.PROCEEDING)
            self._terminate()
            return [TransactionFailed(self.key, "timeout")] if waiting else []
        if self._resend_at is not None and now >= self._resend_at:
            # Timer A doubles without a bound (17.1.1.2).
            self._resend_after(2 * self._resend_s, now)
            return [self._send()]
        return []


class RequestClient(ClientTransaction):
    """Any request but INVITE and ACK: RFC 3261 17.1.2."""

    __slots__ = ()

    def receive(self, response: Response, flow: Flow, now: float) -> list[Action]:
        if self.state not in (State.CALLING, State.PROCEEDING):
            return []
        told = self._told(response, flow)
        if response.status >= 200:
            # Timer K.
            self._enter(State.COMPLETED, 0.0 if self.flow.reliable else self.timers.t4_s, now)
        elif self.state is State.CALLING:
            # Timer F runs on; timer E goes on in steps of T2 (17.1.2.2).
            self.state = State.PROCEEDING
            if self._resend_at is not None:
                self._resend_s = self.timers.t2_s
        return [told]

    def wake(self, now: float) -> list[Action]:
        if self._end_at is not None and now >= self._end_at:
            waiting = self.state is not State.COMPLETED
            self._terminate()
            return [TransactionFailed(self.key, "timeout")] if waiting else []
        if self._resend_at is not None and now >= self._resend_at:
            self._resend_after(min(2 * self._resend_s, self.timers.t2_s), now)
            return [self._send()]
        return []


class ServerTransaction(Transaction):
    """What both kinds of request to us have in common. request: until its final answer, None after it."""

    __slots__ = ("held_bytes", "last_status", "reply_flow", "request")

    def __init__(
        self, key: Key, request: Request, flow: Flow, reply_flow: Flow, timers: Timers, held_bytes: int
    ) -> None:
        super().__init__(key, flow, timers)
        self.request: Request | None = request
        # Where the answers go, which over UDP need not be where the request came from (RFC 3261 18.2.2).
        self.reply_flow = reply_flow
        self.last_status = 0
        self.held_bytes = held_bytes

    def broke(self) -> None:
        """The connection is gone; what is still to be said goes to the address in the Via (RFC 3261 18.2.2). What was sent
        already is not sent again: who closes after the answer has read it."""
        if self.request is not None:
            via = self.request.via
            port = via.port or (DEFAULT_PORT_TLS if self.flow.transport == "tls" else DEFAULT_PORT)
            self.reply_flow = replace(self.flow, remote=(self.flow.remote[0], port), connection_id=None)

    def repeated(self) -> list[Action]:
        """The request came again."""
        if self._data and self.state in (State.PROCEEDING, State.COMPLETED):
            return [self._answer()]
        return []

    def _answer(self) -> Send:
        return Send(self.reply_flow, self._data)

    def _remember(self, response: Response) -> None:
        self._data = response.encode()
        self.last_status = response.status


class InviteServer(ServerTransaction):
    """RFC 3261 17.2.1 as amended by RFC 6026 7.1."""

    __slots__ = ("cancelled",)

    def __init__(
        self,
        key: Key,
        request: Request,
        flow: Flow,
        reply_flow: Flow,
        timers: Timers,
        held_bytes: int,
        now: float,
    ) -> None:
        super().__init__(key, request, flow, reply_flow, timers, held_bytes)
        self.state = State.PROCEEDING
        self.cancelled = False
        self._resend_at = now + timers.trying_s
        self._end_at = now + timers.proceeding_s

    def respond(self, response: Response, now: float) -> list[Action]:
        if self.state is State.ACCEPTED and response.successful:
            # The dialog sends its 2xx again until the ACK comes (RFC 6026 7.1).
            self._remember(response)
            return [self._answer()]
        if self.state is not State.PROCEEDING:
            return []
        self._remember(response)
        self._resend_at = None
        if response.successful:
            # Timer L.
            self._enter(State.ACCEPTED, self.timers.timeout_s, now)
        elif response.status >= 300:
            # Timer H, and over UDP timer G.
            self._enter(State.COMPLETED, self.timers.timeout_s, now)
            if not self.reply_flow.reliable:
                self._resend_after(self.timers.t1_s, now)
        if response.status >= 200:
            self.request = None
        return [self._answer()]

    def acknowledged(self, now: float) -> bool:
        """An ACK came; whether it is the transaction's own and goes no further."""
        if self.state is State.COMPLETED:
            # Timer I.
            self._enter(State.CONFIRMED, 0.0 if self.reply_flow.reliable else self.timers.t4_s, now)
        return self.state is not State.ACCEPTED

    def wake(self, now: float) -> list[Action]:
        if self._end_at is not None and now >= self._end_at:
            unanswered = self.state is State.PROCEEDING
            unacknowledged = self.state is State.COMPLETED
            self._terminate()
            if unacknowledged:
                return [TransactionFailed(self.key, "no ack")]
            return [TransactionFailed(self.key, "timeout")] if unanswered else []
        if self._resend_at is None or now < self._resend_at:
            return []
        if self.state is State.COMPLETED:
            self._resend_after(min(2 * self._resend_s, self.timers.t2_s), now)
            return [self._answer()]
        # Nobody has said anything yet: the 100 keeps the caller from sending again.
        self._resend_at = None
        assert self.request is not None, "it is kept until the final answer"
        self._remember(respond_to(self.request, 100))
        return [self._answer()]


class RequestServer(ServerTransaction):
    """Any request but INVITE, ACK and CANCEL: RFC 3261 17.2.2."""

    __slots__ = ()

    def __init__(
        self,
        key: Key,
        request: Request,
        flow: Flow,
        reply_flow: Flow,
        timers: Timers,
        held_bytes: int,
        now: float,
    ) -> None:
        super().__init__(key, request, flow, reply_flow, timers, held_bytes)
        # After this time the peer has given up, and an answer would be noise (RFC 4320 4.1, 4.2).
        self._end_at = now + timers.timeout_s

    def respond(self, response: Response, now: float) -> list[Action]:
        if self.state not in (State.CALLING, State.PROCEEDING):
            return []
        self._remember(response)
        if response.status < 200:
            self.state = State.PROCEEDING
        else:
            # Timer J.
            self._enter(State.COMPLETED, 0.0 if self.reply_flow.reliable else self.timers.timeout_s, now)
            self.request = None
        return [self._answer()]

    def wake(self, now: float) -> list[Action]:
        if self._end_at is None or now < self._end_at:
            return []
        unanswered = self.state is not State.COMPLETED
        self._terminate()
        return [TransactionFailed(self.key, "timeout")] if unanswered else []


def ack_for(request: Request, response: Response) -> Request:
    """The ACK of a final answer that is no 2xx: part of the INVITE's own transaction (RFC 3261 17.1.1.3)."""
    made = _companion(request, "ACK", response.headers.get("to") or "")
    return Request("ACK", request.uri, made)


def cancel_for(request: Request, headers: Iterable[tuple[str, str]] = ()) -> Request:
    """RFC 3261 9.1. headers: what is to be said besides, as a Reason."""
    made = _companion(request, "CANCEL", request.headers.get("to") or "")
    for name, value in headers:
        made.add(name, value)
    return Request("CANCEL", request.uri, made)


def _companion(request: Request, method: str, to: str) -> Headers:
    made = Headers([("Via", request.top_via)])
    for route in request.headers.get_all("route"):
        made.add("Route", route)
    made.add("Max-Forwards", str(MAX_FORWARDS))
    made.add("From", request.headers.get("from") or "")
    made.add("To", to)
    made.add("Call-ID", request.call_id)
    made.add("CSeq", f"{request.cseq.number} {method}")
    return made

"""An outbound call until it is answered or not (RFC 3261 13.2): provisional answers, early media, forks, CANCEL.

The first 2xx wins; every other one is acknowledged and hung up (13.2.2.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from aywa.core.sip import reason
from aywa.core.sip.dialog import Dialog
from aywa.core.sip.events import Answered, Fields, Progress, Redirected
from aywa.core.sip.flow import Flow
from aywa.core.sip.headers import Headers
from aywa.core.sip.line import ALLOW, SDP, SUPPORTED, Hop, Line, fields_of, has_sdp, unconcerned
from aywa.core.sip.message import REASONS, Request, Response
from aywa.core.sip.offer import Negotiation, NotAcceptable
from aywa.core.sip.redirect import MOST_REDIRECTS, REDIRECTS, targets
from aywa.core.sip.uri import Unreadable, read_number

# Early dialogs of one INVITE; a network that forks more widely wins with its first 2xx all the same.
MOST_FORKS = 16
# How often a 422 is answered by trying with a longer interval.
MOST_INTERVALS = 2
RSEQ_MAX = 2**32 - 1


class Stage(Enum):
    """CALLING: it may still be answered. SENT_ON: so it may, if somebody says where else to ask. LEAVING: not wanted any more,
    and the far side may not know. DONE: it was answered, refused, or lost."""

    CALLING = auto()
    SENT_ON = auto()
    LEAVING = auto()
    DONE = auto()


@dataclass(slots=True)
class _Fork:
    """One early dialog. rseq: of the last reliable answer that was taken."""

    dialog: Dialog
    rseq: int | None = None


class Caller:
    """The calling side of a line. hop: where the INVITE goes."""

    def __init__(self, line: Line, uri: str, hop: Hop, headers: Fields, ring_s: float) -> None:
        self._line = line
        self._hop = hop
        self._uri = uri
        self._head: Fields = ()
        self._fields = headers
        self._cseq = 0
        self._ticket = 0
        self._intervals = 0
        self._request: Request | None = None
        self._forks: dict[str, _Fork] = {}
        # The ACK of each 2xx by its tag: the same 2xx gets the same again.
        self._acks: dict[str, tuple[Request, Hop]] = {}
        # Where it was sent on to and may still go, how often it went, and where it has been.
        self._targets: tuple[str, ...] = ()
        self._sent = 0
        self._tried = {uri}
        self._secure = uri.lower().startswith("sips:")
        # How the call ends when it goes nowhere else.
        self._refusal: Response | None = None
        self.stage = Stage.CALLING
        self.ring_until: float | None = line.wire.now + ring_s

    # --- what this side does -----------------------------------------------------------------------------------------

    def invite(self, local: str, remote: str, call_id: str) -> None:
        """Sends the INVITE; local and remote: From, with its tag, and To."""
        self._head = (("From", local), ("To", remote), ("Call-ID", call_id))
        self._send()

    def _send(self) -> None:
        line = self._line
        assert line.negotiation is not None
        made = Headers(self._head)
        self._cseq += 1
        made.add("CSeq", f"{self._cseq} INVITE")
        made.add("Allow", ALLOW)
        made.add("Supported", SUPPORTED)
        if (asked := line.timer.asked) is not None:
            made.add("Session-Expires", str(asked))
            made.add("Min-SE", str(line.timer.least_s))
        for name, value in self._fields:
            made.add(name, value)
        made.add("Content-Type", SDP)
        self._request = Request("INVITE", self._uri, made, line.negotiation.offer())
        self._ticket = line.ask(self._request, self.answered, self.failed, self._hop, self._next_cseq)

    def _next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    def leave(self, headers: Fields) -> None:
        """Not wanted any more: CANCEL now, or BYE if the 2xx was faster (RFC 3261 9.1, 15)."""
        asked = self.stage is Stage.CALLING
        self.stage = Stage.LEAVING if asked else Stage.DONE
        self.ring_until = None
        if asked:
            self._line.wire.cancel(self._ticket, headers)

    @property
    def waiting(self) -> bool:
        """It may still be answered, and is wanted."""
        return self.stage in (Stage.CALLING, Stage.SENT_ON)

    def follow(self, target: str, uri: str, hop: Hop) -> None:
        """Goes on to one of the places that it was sent on to: another request of the same call (RFC 3261 8.1.3.4), with an offer
        whose keys the place before has not seen. uri: where that place is asked for."""
        line = self._line
        if self.stage is not Stage.SENT_ON or target not in self._targets or line.negotiation is None:
            return
        self._targets = self._targets[self._targets.index(target) + 1 :]
        self._tried |= {target, uri}
        self._sent += 1
        self._uri, self._hop = uri, hop
        self._forks.clear()
        line.dialog = None
        line.negotiation = Negotiation(line.negotiation.local, line.wire.token)
        self.stage = Stage.CALLING
        self._send()

    def stay(self) -> None:
        """It goes nowhere else: it was refused."""
        if self.stage is Stage.SENT_ON:
            self._targets = ()
            self._over()

    def fork(self, tag: str) -> Dialog | None:
        """The early dialog with that tag of the far side."""
        fork = self._forks.get(tag)
        return fork.dialog if fork is not None else None

    # --- what comes ----------------------------------------------------------------------------------------------------

    def answered(self, response: Response, flow: Flow) -> None:
        """A response to the INVITE."""
        if response.status == 100:
            return
        if response.provisional:
            if self.stage is Stage.CALLING:
                self._progress(response, flow)
        elif response.successful:
            self._accepted(response, flow)
        elif self.stage is not Stage.DONE:
            self._refused(response)

    def failed(self, why: str) -> None:
        """No answer will come."""
        if self.stage not in (Stage.CALLING, Stage.LEAVING):
            return
        if self._targets and self.stage is Stage.CALLING:
            # Where it was sent on to nobody answers; there are other places.
            self._sent_on()
            return
        self.stage = Stage.DONE
        self.ring_until = None
        # RFC 3261 8.1.3.1: as if a 408 or a 503 had come.
        status = 408 if why == "timeout" else 487 if why == "cancelled" else 503
        self._line.end("network", status, why)

    def _progress(self, response: Response, flow: Flow) -> None:
        line = self._line
        fork = self._fork(response, flow)
        plan = None
        reliable = fork is not None and "100rel" in response.headers.tokens("require")
        if fork is not None and reliable and not self._confirm(response, fork):
            return
        if has_sdp(response) and line.negotiation is not None and line.negotiation.pending:
            try:
                # Only what is sent reliably is an answer; anything else may come again otherwise (RFC 3262 5).
                (line.negotiation.accept if reliable else line.negotiation.preview)(response.body)
                plan = line.plan
            except NotAcceptable:
                # What it says early is not binding; the answer with the 2xx decides.
                plan = None
        line.wire.tell(Progress(line.key, response.status, response.reason, plan))

    def _fork(self, response: Response, flow: Flow) -> _Fork | None:
        line, tag = self._line, response.to_address.tag
        if tag is None or self._request is None:
            return None
        fork = self._forks.get(tag)
        if fork is None and len(self._forks) < MOST_FORKS:
            made = Dialog.of_caller(self._request, response)
            made.local_cseq = self._cseq
            fork = self._forks[tag] = _Fork(made)
        if fork is not None:
            fork.dialog.refresh(response)
            line.dialog = fork.dialog
            line.learn(response, flow)
        return fork

    def _confirm(self, response: Response, fork: _Fork) -> bool:
        """Acknowledges a reliable answer; false for one that came before, or out of order (RFC 3262 4)."""
        try:
            rseq = read_number(response.headers.get("rseq") or "", RSEQ_MAX)
        except Unreadable:
            return False
        if fork.rseq is not None and rseq != fork.rseq + 1:
            return False
        fork.rseq = rseq
        line = self._line
        rack = ("RAck", f"{rseq} {response.headers.get('cseq')}")
        line.ask(
            fork.dialog.request("PRACK", (rack,)), unconcerned, unconcerned, next_cseq=fork.dialog.next_cseq
        )
        return True

    def _accepted(self, response: Response, flow: Flow) -> None:
        line, tag = self._line, response.to_address.tag or ""
        again = self._acks.get(tag)
        if again is not None:
            line.wire.pass_on(*again)
            return
        assert self._request is not None
        # A fork of the place before, which sent it on, is too late.
        wins = self.stage is Stage.CALLING and response.cseq.number == self._cseq
        fork = self._forks.get(tag)
        made = Dialog.of_caller(self._request, response)
        made.local_cseq = max(self._cseq, fork.dialog.local_cseq if fork else 0)
        if wins:
            self.stage = Stage.DONE
            self.ring_until = None
            line.dialog = made
            line.learn(response, flow)
            self._acknowledge(made, line.hop, response, tag)
            self._up(response)
            return
        # Somebody else was faster, or nobody wants to call any more.
        hop = Hop((made.next_hop,), flow if flow.reliable else None)
        self._acknowledge(made, hop, response, tag)
        if self.stage is Stage.LEAVING:
            self.stage = Stage.DONE
        line.ask(made.request("BYE"), unconcerned, unconcerned, hop, made.next_cseq)

    def _acknowledge(self, dialog: Dialog, hop: Hop, response: Response, tag: str) -> None:
        ack = dialog.ack(response.cseq.number)
        if len(self._acks) < MOST_FORKS:
            self._acks[tag] = (ack, hop)
        self._line.wire.pass_on(ack, hop)

    def _up(self, response: Response) -> None:
        line = self._line
        negotiation = line.negotiation
        assert negotiation is not None
        line.timer.granted(response.headers.get("session-expires"), line.wire.now)
        try:
            if has_sdp(response) and negotiation.pending:
                negotiation.accept(response.body)
            elif negotiation.plan is None:
                raise NotAcceptable("no answer to the offer")
            negotiation.rollback()
        except NotAcceptable as refusal:
            line.hang_up_for(488, str(refusal))
            return
        assert negotiation.plan is not None
        line.answered = True
        line.wire.tell(Answered(line.key, negotiation.plan, fields_of(response)))

    def _refused(self, response: Response) -> None:
        line = self._line
        again = response.status == 422 and self.stage is Stage.CALLING and self._intervals < MOST_INTERVALS
        if again and line.timer.too_small(response.headers.get("min-se")):
            self._intervals += 1
            self._send()
            return
        self._refusal = response
        if self.stage is Stage.CALLING:
            if response.status in REDIRECTS and self._sent < MOST_REDIRECTS:
                new = targets(response, self._tried, secure=self._secure)
                self._targets = tuple(dict.fromkeys((*new, *self._targets)))[:MOST_REDIRECTS]
            if self._targets and response.status < 600:
                # RFC 3261 21.6: nobody else will take it either.
                self._sent_on()
                return
        self._over()

    def _sent_on(self) -> None:
        """Asks whether it may go on to where it was sent."""
        self.stage = Stage.SENT_ON
        line, refusal = self._line, self._refusal
        assert refusal is not None, "somebody sent it on"
        line.wire.tell(Redirected(line.key, refusal.status, _phrase(refusal), self._targets))

    def _over(self) -> None:
        """As it was refused last."""
        response = self._refusal
        assert response is not None, "it was refused"
        left = self.stage is Stage.LEAVING
        self.stage = Stage.DONE
        self.ring_until = None
        self._line.end(
            "local" if left else "remote",
            response.status,
            _phrase(response),
            reason.read(response.headers),
            fields_of(response),
        )


def _phrase(response: Response) -> str:
    return response.reason or REASONS.get(response.status, "")

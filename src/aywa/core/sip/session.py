"""One call from its INVITE to its end: what the shell wants of it, and what the far side says within its dialog.

The parts do the work: caller or callee until it is answered, changes, transfers. Here it is decided who gets what, and when
the call is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aywa.core.sip import info, reason
from aywa.core.sip.accepting import Accepting
from aywa.core.sip.callee import Callee
from aywa.core.sip.caller import Caller
from aywa.core.sip.change import Change
from aywa.core.sip.dialog import Dialog
from aywa.core.sip.events import DigitReceived, Fields, InfoReceived, InfoSent, Reason, RequestAnswered
from aywa.core.sip.flow import Flow
from aywa.core.sip.line import ALLOW, GIVE_UP_S, SUPPORTED, Hop, Line, Wire, unconcerned
from aywa.core.sip.message import Request, Response
from aywa.core.sip.offer import LocalMedia, Negotiation
from aywa.core.sip.refer import Referral, Replaces
from aywa.core.sip.session_timer import SessionTimer

NO_ANSWER = (408, "no answer")
NO_DIALOG = "no dialog"
"""A request within the dialog of a call that is not up."""


class Session:
    """A line with its parts. find: the call that a Replaces means, or empty."""

    def __init__(self, line: Line, find: Callable[[Replaces], str], *, owns: bool) -> None:
        self.line = line
        self.owns = owns
        self.replaces = ""
        # Call-ID and our tag: how what comes is found to be this call's.
        self.place = ("", "")
        self.caller: Caller | None = None
        self.callee: Callee | None = None
        self._accepting = Accepting(line, self._never_acknowledged)
        self._change = Change(line, self._accepting, self._gone, owns=owns)
        self._referral = Referral(line, find)
        self._bye: Fields | None = None
        self.forget_at: float | None = None

    # --- beginnings ----------------------------------------------------------------------------------------------------

    def call(self, uri: str, hop: Hop, headers: Fields, ring_s: float) -> Caller:
        """Makes it an outbound call."""
        self.caller = Caller(self.line, uri, hop, headers, ring_s)
        return self.caller

    def called(self, key: str, request: Request, flow: Flow) -> None:
        """Makes it an inbound call."""
        line = self.line
        line.dialog = Dialog.of_callee(request, line.wire.word())
        self.place = (line.dialog.call_id, line.dialog.local_tag)
        line.learn(request, flow)
        self.callee = Callee(line, key, request, self._accepting)
        if "100rel" not in request.headers.tokens("require"):
            # RFC 3261 13.3.1.1 would wait 200 ms; whoever decides may take longer, and the caller waits to know.
            line.answer(key, request, 100)

    # --- what the shell wants --------------------------------------------------------------------------------------------

    def ring(self, media: LocalMedia | None, headers: Fields) -> None:
        if self.callee is not None:
            self.callee.ring(media, headers)

    def answer(self, media: LocalMedia, headers: Fields) -> None:
        if self.callee is not None:
            self.callee.answer(media, headers)

    def reject(self, status: int, why: str, headers: Fields) -> None:
        if self.callee is not None and 300 <= status < 700:
            self.callee.refuse(status, why, headers)

    def hang_up(self, cause: Reason | None, headers: Fields) -> None:
        """Ends the call, in whatever way it can be ended now."""
        line = self.line
        if line.ended:
            return
        fields = (("Reason", str(cause)), *headers) if cause else headers
        if self.caller is not None and self.caller.waiting:
            self.caller.leave(fields)
            line.end("local", 487, "cancelled", cause)
        elif self.callee is not None and self.callee.open:
            self.callee.refuse(603, "", fields)
        else:
            self._end_dialog(fields)
            line.end("local", 200, "hung up", cause)

    def _end_dialog(self, fields: Fields) -> None:
        line = self.line
        assert line.dialog is not None, "what has no dialog yet is cancelled or refused"
        if self._accepting.pending:
            # RFC 3261 15: not before the ACK.
            self._bye = fields
            return
        line.ask(line.dialog.request("BYE", fields), unconcerned, unconcerned)

    def follow(self, target: str, uri: str, hop: Hop, *, known: bool) -> None:
        if self.caller is not None and not self.line.ended:
            if not known:
                # Its password is for nobody else.
                self.line.account, self.line.credentials = "", None
            self.caller.follow(target, uri, hop)

    def refuse_redirect(self) -> None:
        if self.caller is not None:
            self.caller.stay()

    def hold(self, held: bool) -> None:
        if self._is_up:
            self._change.want(None, held=held)

    def renegotiate(self, media: LocalMedia) -> None:
        if self._is_up:
            self._change.want(media, held=None)

    def send_info(self, content_type: str, body: bytes) -> None:
        line = self.line
        if line.dialog is None or line.ended:
            return
        request = line.dialog.request("INFO", (("Content-Type", content_type),), body)

        def answered(response: Response, flow: Flow) -> None:
            if not response.provisional:
                line.wire.tell(InfoSent(line.key, response.status))

        def failed(why: str) -> None:
            line.wire.tell(InfoSent(line.key, 408))

        line.ask(request, answered, failed)

    def send(self, key: str, method: str, fields: Fields, body: bytes) -> None:
        line = self.line
        if line.dialog is None or not self._is_up:
            line.wire.tell(RequestAnswered(line.key, key, 0, NO_DIALOG))
            return

        def answered(response: Response, flow: Flow) -> None:
            if not response.provisional:
                line.wire.tell(RequestAnswered(line.key, key, response.status, response.reason))

        def failed(why: str) -> None:
            line.wire.tell(RequestAnswered(line.key, key, 0, why))

        line.ask(line.dialog.request(method, fields, body), answered, failed)

    def refer(self, target: str, other: Dialog | None, headers: Fields) -> None:
        if self._is_up:
            self._referral.ask(target, other, headers)

    def accept_refer(self) -> None:
        self._referral.accept()

    def refuse_refer(self, status: int) -> None:
        self._referral.refuse(status)

    def refer_status(self, status: int, why: str) -> None:
        self._referral.tell(status, why)

    @property
    def _is_up(self) -> bool:
        return self.line.answered and not self.line.ended

    # --- what comes ------------------------------------------------------------------------------------------------------

    def cancelled(self, cancel: Request) -> None:
        """The caller does not want to wait any longer (RFC 3261 9.2)."""
        if self.callee is not None and self.callee.open:
            line = self.line
            self.callee.withdraw()
            line.end("remote", 487, "cancelled", reason.read(cancel.headers))

    def acknowledged(self, ack: Request) -> None:
        """An ACK of a 2xx."""
        self._accepting.acknowledged(ack)
        if not self._accepting.pending and self._bye is not None:
            fields, self._bye = self._bye, None
            self._end_dialog(fields)

    def received(self, key: str, request: Request, flow: Flow) -> None:
        """A request within the dialog."""
        line = self.line
        dialog = self._dialog_of(request)
        if dialog is None or (line.ended and request.method != "BYE"):
            line.answer(key, request, 481)
            return
        if not dialog.takes(request):
            line.answer(key, request, 500)
            return
        match request.method:
            case "BYE":
                self._bye_received(key, request)
            case "INVITE":
                self._reinvited(key, request, flow)
            case "UPDATE":
                unanswered = self.callee is not None and self.callee.offered
                self._change.updated(key, request, flow, unanswered=unanswered)
            case "PRACK":
                self._pracked(key, request)
            case "INFO":
                self._informed(key, request)
            case "OPTIONS":
                line.answer(key, request, 200, ("Allow", ALLOW), ("Supported", SUPPORTED), ("Accept", ACCEPT))
            case "REFER":
                self._referral.received(key, request)
            case "NOTIFY":
                self._referral.notified(key, request)
            case _:
                line.answer(key, request, 405, ("Allow", ALLOW))

    def _dialog_of(self, request: Request) -> Dialog | None:
        dialog, tag = self.line.dialog, request.from_address.tag or ""
        if dialog is not None and dialog.remote_tag == tag:
            return dialog
        return self.caller.fork(tag) if self.caller is not None else None

    def _bye_received(self, key: str, request: Request) -> None:
        line = self.line
        line.answer(key, request, 200)
        if self.callee is not None and self.callee.open:
            # RFC 3261 15.1.2: the INVITE is answered too.
            self.callee.withdraw()
        line.end("remote", 200, "hung up", reason.read(request.headers))

    def _reinvited(self, key: str, request: Request, flow: Flow) -> None:
        if self.callee is not None and self.callee.open:
            # RFC 3261 14.2: the first one is not answered yet.
            self.line.answer(key, request, 500, ("Retry-After", "5"))
            return
        self._change.reinvited(key, request, flow)

    def _pracked(self, key: str, request: Request) -> None:
        if self.callee is None:
            self.line.answer(key, request, 481)
            return
        self.callee.acknowledged_early(key, request)

    def _informed(self, key: str, request: Request) -> None:
        line = self.line
        package = request.headers.get("info-package")
        if package is not None and package.strip().lower() != "dtmf":
            # RFC 6086 4.2.2: we asked for none.
            line.answer(key, request, 469, ("Recv-Info", ""))
            return
        line.answer(key, request, 200)
        found = info.read(request.content_type, request.body)
        if found is not None:
            line.wire.tell(DigitReceived(line.key, found[0], found[1]))
        elif request.body:
            line.wire.tell(InfoReceived(line.key, request.content_type, request.body))

    def _never_acknowledged(self) -> None:
        self._bye = None
        self._end_dialog((("Reason", str(Reason("SIP", 408, "no ACK"))),))
        self.line.end("network", 408, "no ACK")

    def _gone(self, status: int, why: str) -> None:
        """The far side does not know the call, or does not answer within it."""
        self._end_dialog(())
        self.line.end("network", status, why)

    # --- time ------------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        line, accepting = self.line, self._accepting.deadline
        if line.ended:
            return min((each for each in (self.forget_at, accepting) if each is not None), default=None)
        due = [accepting, self._change.deadline, self._referral.deadline, line.timer.gone_at]
        if self.caller is not None:
            due.append(self.caller.ring_until)
        if self.callee is not None:
            due.append(self.callee.deadline)
        return min((each for each in due if each is not None), default=None)

    def wake(self) -> None:
        """Does what is due."""
        line, now = self.line, self.line.wire.now
        self._accepting.wake()
        if line.ended:
            return
        if self.caller is not None and self.caller.ring_until is not None and now >= self.caller.ring_until:
            self.caller.leave(())
            line.end("local", *NO_ANSWER)
            return
        if self.callee is not None:
            self.callee.wake()
        if line.timer.gone_at is not None and now >= line.timer.gone_at:
            self._end_dialog((("Reason", str(Reason("SIP", 408, "session expired"))),))
            line.end("network", 408, "session expired")
            return
        self._change.wake()
        self._referral.wake()

    @property
    def forgotten(self) -> bool:
        """Whether nothing more can come of it."""
        return (
            self.forget_at is not None
            and self.line.wire.now >= self.forget_at
            and not self._accepting.pending
        )

    def let_go(self) -> None:
        """It is forgotten: its parts let go of it, and its memory is free at once. A circle would wait for the collector,
        which does not look through what is older than half a minute for hours."""
        self._accepting.let_go()
        self._change.let_go()

    def note_end(self) -> None:
        """Once the call is over it is kept for what still comes."""
        if self.line.ended and self.forget_at is None:
            self.forget_at = self.line.wire.now + GIVE_UP_S

    # --- in another process ----------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any] | None:
        """Plain values of a call that is up, with its SRTP keys; None of one that is not. A change under way is not in it:
        it is answered by nobody, and the session timer or the next change mends that."""
        line = self.line
        if not self._is_up or line.dialog is None or line.negotiation is None or line.flow is None:
            return None
        flow = line.flow
        return {
            "version": 1,
            "key": line.key,
            "account": line.account,
            "credentials": list(line.credentials) if line.credentials else None,
            "owns": self.owns,
            "dialog": line.dialog.to_dict(),
            "negotiation": line.negotiation.to_dict(),
            "timer": line.timer.to_dict(line.wire.now),
            "flow": [flow.transport, list(flow.local), list(flow.remote), flow.connection_id],
            "natted": line.natted,
            "allowed": sorted(line.allowed),
            "supported": sorted(line.supported),
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any], wire: Wire, find: Callable[[Replaces], str]) -> Session:
        """What to_dict gave."""
        line = Line(values["key"], wire, SessionTimer.from_dict(values["timer"], wire.now), values["account"])
        credentials = values["credentials"]
        line.credentials = (credentials[0], credentials[1]) if credentials else None
        line.dialog = Dialog.from_dict(values["dialog"])
        line.negotiation = Negotiation.from_dict(values["negotiation"], wire.token)
        transport, local, remote, connection_id = values["flow"]
        line.flow = Flow(transport, tuple(local), tuple(remote), connection_id)
        line.natted = values["natted"]
        line.allowed, line.supported = frozenset(values["allowed"]), frozenset(values["supported"])
        line.answered = True
        made = Session(line, find, owns=values["owns"])
        made.place = (line.dialog.call_id, line.dialog.local_tag)
        return made


ACCEPT = "application/sdp, application/dtmf-relay, message/sipfrag"
UNDERSTOOD = frozenset(("100rel", "timer", "replaces", "norefersub"))

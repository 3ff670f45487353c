"""An inbound call until it is answered or not (RFC 3261 13.3): ringing, early media, reliable answers (RFC 3262), CANCEL.

The far side's offer is answered once, with the first response that carries a description; the 2xx repeats it.
"""

from __future__ import annotations

from collections.abc import Callable

from aywa.core.sip.accepting import Accepting
from aywa.core.sip.again import Again
from aywa.core.sip.events import Confirmed, Fields
from aywa.core.sip.line import ALLOW, SUPPORTED, Line, has_sdp
from aywa.core.sip.message import Request
from aywa.core.sip.offer import LocalMedia, Negotiation, NotAcceptable
from aywa.core.sip.uri import Unreadable, read_number

# RFC 3262 3: the first number is anything below 2**31; then they count.
RSEQ_FIRST_MAX = 2**31 - 1


class Callee:
    """The answering side of a line, for the INVITE that came with this key."""

    def __init__(self, line: Line, key: str, request: Request, accepting: Accepting) -> None:
        self._line = line
        self._key = key
        self._request = request
        self._accepting = accepting
        self.open = True
        self._answer_body = b""
        self._reliable: Again | None = None
        self._rseq = int.from_bytes(line.wire.token(3), "big") + 1
        # The 2xx waits until the reliable answer before it was acknowledged (RFC 3262 3).
        self._held: Callable[[], None] | None = None

    @property
    def offered(self) -> bool:
        """Whether an offer came that has not been answered."""
        return self.open and has_sdp(self._request) and not self._answer_body

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        return self._reliable.deadline if self._reliable else None

    # --- what this side does -----------------------------------------------------------------------------------------

    def ring(self, media: LocalMedia | None, headers: Fields) -> None:
        """180, or 183 with an answer when there is media to be heard already."""
        if not self.open or self._held is not None:
            return
        body = b""
        if media is not None and has_sdp(self._request):
            first = not self._answer_body
            try:
                body = self._answer(media)
            except NotAcceptable as refusal:
                self.refuse(488, "", (_warning(str(refusal)),))
                return
            if first:
                self._line.media_changed()
        self._provisional(183 if body else 180, headers, body)

    def _provisional(self, status: int, headers: Fields, body: bytes) -> None:
        line, tokens = self._line, self._request.headers.tokens
        fields = [line.contact_field(), ("Allow", ALLOW), *headers]
        required = "100rel" in tokens("require")
        reliable = required or (bool(body) and "100rel" in tokens("supported"))
        if not reliable:
            line.answer(self._key, self._request, status, *fields, body=body)
            return
        if self._reliable is not None:
            # RFC 3262 3: one at a time. Ringing more than once tells nothing new.
            return
        fields += [("Require", "100rel"), ("RSeq", str(self._rseq))]
        response = line.answer(self._key, self._request, status, *fields, body=body)
        self._reliable = Again(self._key, response, line.wire.now, None)

    def answer(self, media: LocalMedia, headers: Fields) -> None:
        """200, as soon as it may be."""
        if not self.open or self._held is not None:
            return
        line = self._line
        first = not self._answer_body
        try:
            body = self._answer(media)
        except NotAcceptable as refusal:
            self.refuse(488, "", (_warning(str(refusal)),))
            return
        if self._reliable is not None and self._reliable.response.body:
            self._held = lambda: self._accept(headers, body)
        else:
            self._accept(headers, body)
        if first:
            line.media_changed()

    def _answer(self, media: LocalMedia) -> bytes:
        line = self._line
        if line.negotiation is None:
            line.negotiation = Negotiation(media, line.wire.token)
        if not has_sdp(self._request):
            return line.negotiation.offer()
        if not self._answer_body:
            line.negotiation.local = media
            self._answer_body = line.negotiation.answer(self._request.body)
        return self._answer_body

    def _accept(self, headers: Fields, body: bytes) -> None:
        line, request = self._line, self._request
        self.open = False
        self._reliable = None
        line.answered = True
        fields = [line.contact_field(), ("Allow", ALLOW), ("Supported", SUPPORTED)]
        supported = "timer" in request.headers.tokens("supported")
        granted = line.timer.grant(
            request.headers.get("session-expires"), supported=supported, now=line.wire.now
        )
        if granted is not None:
            fields.append(("Session-Expires", str(granted)))
            if supported:
                # RFC 4028 9: who must refresh has to understand that.
                fields.append(("Require", "timer"))
        self._accepting.send(self._key, request, (*fields, *headers), body, self._acked)

    def refuse(self, status: int, reason: str, headers: Fields, by: str = "local") -> None:
        """Any other final answer; the call is over."""
        if not self.open:
            return
        self.open = False
        self._reliable = None
        line = self._line
        response = line.answer(self._key, self._request, status, *headers)
        line.end(by, status, reason or response.reason)

    def withdraw(self) -> None:
        """The caller gave up first: 487 (RFC 3261 9.2)."""
        self.open = False
        self._reliable = None
        self._held = None
        self._line.answer(self._key, self._request, 487)

    # --- what comes --------------------------------------------------------------------------------------------------

    def _acked(self, ack: Request) -> None:
        line = self._line
        if line.negotiation is not None and line.negotiation.pending:
            try:
                line.negotiation.accept(ack.body)
            except NotAcceptable as refusal:
                line.hang_up_for(488, str(refusal))
                return
            line.media_changed()
        if line.plan is not None and not line.ended:
            line.wire.tell(Confirmed(line.key, line.plan))

    def acknowledged_early(self, key: str, request: Request) -> None:
        """A PRACK (RFC 3262 3)."""
        line, reliable = self._line, self._reliable
        if reliable is None or not self._is_of(request):
            line.answer(key, request, 481)
            return
        self._reliable = None
        self._rseq += 1
        body = b""
        if has_sdp(request) and line.negotiation is not None:
            try:
                body = line.negotiation.answer(request.body)
            except NotAcceptable:
                line.answer(key, request, 488)
                return
            line.media_changed()
        line.answer(key, request, 200, body=body)
        held, self._held = self._held, None
        if held is not None:
            held()

    def _is_of(self, prack: Request) -> bool:
        words = (prack.headers.get("rack") or "").split()
        try:
            numbers = [read_number(word, 2**32 - 1) for word in words[:2]]
        except Unreadable:
            return False
        return numbers == [self._rseq, self._request.cseq.number] and words[2:] == ["INVITE"]

    def wake(self) -> None:
        """Sends a reliable answer again, or gives up (RFC 3262 3)."""
        now, reliable = self._line.wire.now, self._reliable
        if reliable is None:
            return
        if reliable.lost(now):
            self.refuse(504, "no PRACK", (), "network")
        elif reliable.due(now):
            self._line.wire.respond(reliable.key, reliable.response)


def _warning(why: str) -> tuple[str, str]:
    """RFC 3261 20.43: 399 is for people."""
    return ("Warning", f'399 aywa "{why}"')

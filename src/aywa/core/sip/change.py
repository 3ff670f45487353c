"""Changes of a call that is up: re-INVITE and UPDATE, of ours and of the far side (RFC 3261 14, RFC 3311), refreshes of the
session timer among them (RFC 4028).

One change at a time in each direction; where both sides begin one at once, both step back for a while (491).
"""

from __future__ import annotations

from collections.abc import Callable

from aywa.core.sip.accepting import Accepting
from aywa.core.sip.dialog import Dialog
from aywa.core.sip.events import MediaRefused
from aywa.core.sip.flow import Flow
from aywa.core.sip.line import ALLOW, SDP, SUPPORTED, Hop, Line, has_sdp
from aywa.core.sip.message import Request, Response
from aywa.core.sip.offer import LocalMedia, Negotiation, NotAcceptable

# RFC 3261 14.1: how long to stay back after a 491, in steps of 10 ms: the caller for longer than the callee.
STEP_S = 0.01
CALLER_STEPS = (210, 400)
CALLEE_STEPS = (0, 200)
# After so many of them in a row the far side does not want it.
MOST_GLARES = 5
# The far side is told to come again.
RETRY_AFTER_S = 2


class Change:
    """The changes of one line. owns: whether the Call-ID is ours, that is whether we called. lost: called when the far side
    does not know the call any more."""

    def __init__(
        self, line: Line, accepting: Accepting, lost: Callable[[int, str], None], *, owns: bool
    ) -> None:
        self._line = line
        self._accepting = accepting
        self._lost = lost
        self._owns = owns
        self._wanted = False
        self._refreshing = False
        self._asking = False
        self._before: tuple[LocalMedia, bool] | None = None
        self._again_at: float | None = None
        self._glares = 0
        self._acked: tuple[int, Request, Hop] | None = None

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        line = self._line
        due = [self._again_at, line.timer.refresh_at if not self._busy else None]
        return min((each for each in due if each is not None), default=None)

    def wake(self) -> None:
        """Tries again, or refreshes."""
        line, now = self._line, self._line.wire.now
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
            self._go()
        refresh_at = line.timer.refresh_at
        if refresh_at is not None and now >= refresh_at and not self._busy:
            self._refreshing = True
            self._go()

    @property
    def _dialog(self) -> Dialog:
        dialog = self._line.dialog
        assert dialog is not None, "only a call with a dialog is changed"
        return dialog

    @property
    def _negotiation(self) -> Negotiation:
        negotiation = self._line.negotiation
        assert negotiation is not None, "only a call with media is changed"
        return negotiation

    # --- ours ----------------------------------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return self._asking or self._again_at is not None or self._accepting.pending

    def want(self, media: LocalMedia | None, *, held: bool | None) -> None:
        """Another place or kind of media, or hold; done as soon as it can be."""
        negotiation = self._negotiation
        if self._before is None:
            self._before = (negotiation.local, negotiation.held)
        negotiation.local = media or negotiation.local
        negotiation.held = negotiation.held if held is None else held
        self._wanted = True
        if not self._busy:
            self._go()

    def settled(self) -> None:
        """Something that stood in the way is over."""
        if (self._wanted or self._refreshing) and not self._busy:
            self._go()

    def _go(self) -> None:
        line = self._line
        if line.ended:
            return
        self._asking = True
        fields = [("Allow", ALLOW), ("Supported", SUPPORTED)]
        if (asked := line.timer.asked) is not None:
            fields += [("Session-Expires", str(asked)), ("Min-SE", str(line.timer.least_s))]
        if self._refreshing and not self._wanted and "update" in line.allowed:
            # RFC 4028 7.4: it needs no description, and no ACK.
            line.ask(self._dialog.request("UPDATE", fields), self._updated, self._failed)
            return
        self._wanted = False
        fields.append(("Content-Type", SDP))
        request = self._dialog.request("INVITE", fields, self._negotiation.offer())
        line.ask(request, self._answered, self._failed)

    def _answered(self, response: Response, flow: Flow) -> None:
        line, dialog = self._line, self._dialog
        if response.provisional:
            return
        if not response.successful:
            self._refused(response)
            return
        number = response.cseq.number
        if self._acked is not None and self._acked[0] == number:
            line.wire.pass_on(self._acked[1], self._acked[2])
            return
        dialog.refresh(response)
        line.learn(response, flow)
        ack, hop = dialog.ack(number), line.hop
        self._acked = (number, ack, hop)
        line.wire.pass_on(ack, hop)
        line.timer.granted(response.headers.get("session-expires"), line.wire.now)
        before = line.plan
        try:
            self._negotiation.accept(response.body)
        except NotAcceptable as refusal:
            self._done(488, str(refusal))
            return
        self._done()
        if line.plan != before:
            line.media_changed()

    def _updated(self, response: Response, flow: Flow) -> None:
        line = self._line
        if response.provisional:
            return
        if not response.successful:
            self._refused(response)
            return
        self._dialog.refresh(response)
        line.learn(response, flow)
        line.timer.granted(response.headers.get("session-expires"), line.wire.now)
        self._done()

    def _refused(self, response: Response) -> None:
        line = self._line
        self._negotiation.rollback()
        if response.status in (408, 481):
            # RFC 3261 12.2.1.2: the dialog is gone.
            self._asking = False
            self._lost(response.status, response.reason)
        elif response.status in (491, 500) and self._glares < MOST_GLARES:
            self._glares += 1
            self._asking = False
            self._wanted = self._before is not None
            least, most = CALLER_STEPS if self._owns else CALLEE_STEPS
            chance = int.from_bytes(line.wire.token(2), "big") % (most - least + 1)
            self._again_at = line.wire.now + (least + chance) * STEP_S
        elif response.status == 422 and line.timer.too_small(response.headers.get("min-se")):
            self._asking = False
            self._wanted = self._before is not None
            self._go()
        else:
            self._done(response.status, response.reason)

    def _failed(self, why: str) -> None:
        self._asking = False
        self._negotiation.rollback()
        self._lost(408 if why == "timeout" else 503, why)

    def _done(self, status: int = 0, why: str = "") -> None:
        """The change was taken, or refused with that status; then what was there before holds."""
        line, before = self._line, self._before
        refreshed, self._refreshing = self._refreshing, False
        self._asking, self._glares = False, 0
        if self._wanted:
            self._go()
            return
        self._before = None
        if not status:
            return
        if refreshed and before is None:
            # The far side knows the call, and does not want to be asked like this: it is asked again at half the rest.
            line.timer.postpone(line.wire.now)
        if before is not None:
            self._negotiation.local, self._negotiation.held = before
            line.wire.tell(MediaRefused(line.key, status, why))

    # --- the far side's --------------------------------------------------------------------------------------------------

    def reinvited(self, key: str, request: Request, flow: Flow) -> None:
        """A later INVITE."""
        line, negotiation = self._line, self._negotiation
        if self._asking or negotiation.pending:
            line.answer(key, request, 491)
            return
        if self._accepting.pending:
            line.answer(key, request, 500, ("Retry-After", str(RETRY_AFTER_S)))
            return
        fields = self._granted(key, request)
        if fields is None:
            return
        before = negotiation.plan
        try:
            body = negotiation.answer(request.body) if has_sdp(request) else negotiation.offer()
        except NotAcceptable as refusal:
            line.answer(key, request, 488, ("Warning", f'399 aywa "{refusal}"'))
            return
        self._moved(request, flow)
        fields = [line.contact_field(), *fields]
        self._accepting.send(key, request, tuple(fields), body, self._acknowledged)
        if negotiation.plan != before:
            line.media_changed()

    def _acknowledged(self, ack: Request) -> None:
        line, negotiation = self._line, self._negotiation
        if negotiation.pending:
            before = negotiation.plan
            try:
                negotiation.accept(ack.body)
            except NotAcceptable as refusal:
                line.hang_up_for(488, str(refusal))
                return
            if negotiation.plan != before:
                line.media_changed()
        self.settled()

    def updated(self, key: str, request: Request, flow: Flow, *, unanswered: bool) -> None:
        """An UPDATE (RFC 3311 5.2). unanswered: the INVITE's own offer still waits for our answer."""
        line, negotiation = self._line, self._line.negotiation
        body = b""
        if has_sdp(request):
            if unanswered or negotiation is None:
                line.answer(key, request, 500, ("Retry-After", str(RETRY_AFTER_S)))
                return
            if negotiation.pending:
                line.answer(key, request, 491)
                return
        fields = self._granted(key, request)
        if fields is None:
            return
        changed = False
        if has_sdp(request) and isinstance(negotiation, Negotiation):
            before = negotiation.plan
            try:
                body = negotiation.answer(request.body)
            except NotAcceptable as refusal:
                line.answer(key, request, 488, ("Warning", f'399 aywa "{refusal}"'))
                return
            changed = negotiation.plan != before
        self._moved(request, flow)
        line.answer(key, request, 200, line.contact_field(), *fields, body=body)
        if changed:
            line.media_changed()

    def _granted(self, key: str, request: Request) -> list[tuple[str, str]] | None:
        """The fields of the 2xx; None: it was refused for its session timer."""
        line = self._line
        asked = request.headers.get("session-expires")
        supported = "timer" in request.headers.tokens("supported")
        if line.timer.refuses(asked, supported=supported):
            line.answer(key, request, 422, ("Min-SE", str(line.timer.least_s)))
            return None
        fields = [("Allow", ALLOW), ("Supported", SUPPORTED)]
        granted = line.timer.grant(asked, supported=supported, now=line.wire.now)
        if granted is not None:
            fields.append(("Session-Expires", str(granted)))
            if supported:
                fields.append(("Require", "timer"))
        return fields

    def _moved(self, request: Request, flow: Flow) -> None:
        self._dialog.refresh(request)
        self._line.learn(request, flow)

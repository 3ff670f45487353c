"""Two lines that have to do with each other: a caller who is forwarded, one who is transferred, and a call that goes on with
somebody else.

Each of these follows its lines from the first ring to the last hang-up. Refuses to decide who may be called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
import structlog

from aywa.adapters.transports.sip.port import SipPort
from aywa.boot.phone_line import Line
from aywa.core import ended_reasons
from aywa.core.audio.frame import silence, to_pcm
from aywa.core.rtp.plan import StreamPlan
from aywa.core.sip import events as sip
from aywa.core.sip.offer import LocalMedia
from aywa.media.rtp.ports import PortPair
from aywa.ports.calls import CallRefused
from aywa.ports.media import HandOver, Hold, Join, MediaPlane, Part
from aywa.ports.telephony import OutboundCall, Transfer, TransferNews, TransferStatus

_log = structlog.get_logger("aywa.boot.phone")

Tell = Callable[[TransferNews], None]
FAILED = 480
# A ringing tone as most of Europe has it (ETSI TR 101 041): 425 Hz, 1 s in 5.
TONE_HZ, TONE_RATE_HZ, TONE_LEVEL = 425, 8000, 0.1


class Lines(Protocol):
    """What couplings need of the phone."""

    plane: MediaPlane
    port: SipPort

    def place(self, call: OutboundCall, line: Line, shared: PortPair | None = None) -> None: ...

    def media_for(self, line: Line, shared: PortPair | None = None) -> LocalMedia | None: ...

    def open_leg(self, line: Line, plan: StreamPlan) -> bool: ...

    def send_digits(self, line: Line) -> None: ...

    def hang_up(self, line: Line) -> None: ...


def ringing() -> bytes:
    """A ringing tone, to be played over and over: PCM16 at TONE_RATE_HZ."""
    at = np.arange(TONE_RATE_HZ) / TONE_RATE_HZ
    return to_pcm((TONE_LEVEL * np.sin(2 * np.pi * TONE_HZ * at)).astype(np.float32)) + silence(
        4 * TONE_RATE_HZ
    )


class _Pair:
    """A caller, and whom we call for him."""

    def __init__(self, lines: Lines, caller: Line) -> None:
        self._lines = lines
        self._caller = caller
        self._callee = Line("")
        self._answered = False
        self._dialled = False
        self._over = False

    def _place(self, call: OutboundCall) -> None:
        """Raises CallRefused, and then nobody is coupled."""
        self._caller.coupling = self._callee.coupling = self
        try:
            self._lines.place(call, self._callee)
        except CallRefused:
            self._caller.coupling = None
            raise

    def progress(self, line: Line, event: sip.Progress) -> None:
        """As the protocol says."""
        raise NotImplementedError

    def media(self, line: Line, plan: StreamPlan, *, answered: bool) -> bool:
        """As the protocol says."""
        raise NotImplementedError

    def ended(self, line: Line, event: sip.Ended) -> None:
        """As the protocol says."""
        raise NotImplementedError

    def _heard(self, line: Line, plan: StreamPlan) -> bool:
        """The line's leg is there, as agreed on last."""
        line.beside = self._other(line).leg_id
        if line.rtp is not None:
            line.rtp.change(plan)
            return True
        return self._lines.open_leg(line, plan)

    def _join(self) -> None:
        if self._caller.rtp is not None and self._callee.rtp is not None:
            self._lines.plane.send(Join(self._caller.leg_id, self._callee.leg_id))
            if self._answered and not self._dialled:
                self._dialled = True
                self._lines.send_digits(self._callee)

    def _other(self, line: Line) -> Line:
        return self._caller if line is self._callee else self._callee


class Forwarding(_Pair):
    """A caller for whom nobody answers here: whom he is forwarded to rings, is heard before he answers, answers, and either
    of them hangs up."""

    def begin(self, call: OutboundCall) -> None:
        """Calls."""
        try:
            self._place(call)
        except CallRefused as refusal:
            _log.warning("not_forwarded", error=str(refusal))
            self._reject(503, "")

    def progress(self, line: Line, event: sip.Progress) -> None:
        """As the protocol says."""
        agent, now = self._lines.port.agent, self._lines.port.now()
        if event.plan is None:
            if event.status != 100:
                self._lines.port.carry_out(agent.ring(self._caller.call, now))
        elif self._heard(line, event.plan):
            media = self._lines.media_for(self._caller)
            if media is not None:
                self._lines.port.carry_out(agent.ring(self._caller.call, now, media))

    def media(self, line: Line, plan: StreamPlan, *, answered: bool) -> bool:
        """As the protocol says."""
        if not self._heard(line, plan):
            return True
        if answered and not self._answered:
            self._answered = True
            media = self._lines.media_for(self._caller)
            if media is not None:
                agent, now = self._lines.port.agent, self._lines.port.now()
                self._lines.port.carry_out(agent.answer(self._caller.call, media, now))
        self._join()
        return True

    def ended(self, line: Line, event: sip.Ended) -> None:
        """As the protocol says."""
        if self._over:
            return
        self._over = True
        if line is self._callee and not self._answered:
            self._reject(event.status if 400 <= event.status < 700 else FAILED, event.reason)
        else:
            self._lines.hang_up(self._other(line))

    def _reject(self, status: int, reason: str) -> None:
        port = self._lines.port
        # What was wrong with our own password is nothing to the caller.
        status = FAILED if status in (401, 407, 487) else status
        port.carry_out(port.agent.reject(self._caller.call, status, port.now(), reason))


class Transferring(_Pair):
    """The caller of a live call waits, with music, until somebody else answers; then the assistant is gone. If nobody does, the
    call is as it was."""

    def __init__(self, lines: Lines, caller: Line, transfer: Transfer, tell: Tell) -> None:
        super().__init__(lines, caller)
        self._transfer = transfer
        self._tell = tell

    def begin(self) -> None:
        """Calls. Raises CallRefused."""
        self._place(self._transfer.call)
        self._lines.plane.send(on_hold(self._caller.leg_id, self._transfer))

    def progress(self, line: Line, event: sip.Progress) -> None:
        """As the protocol says."""
        if event.plan is not None and self._heard(line, event.plan):
            self._join()

    def media(self, line: Line, plan: StreamPlan, *, answered: bool) -> bool:
        """As the protocol says."""
        if line is self._caller:
            return False
        if not self._heard(line, plan):
            return True
        if answered and not self._answered:
            self._answered = True
            self._join()
            give_away(self._lines.plane, self._caller)
            self._tell(TransferNews(TransferStatus.CONNECTED, 200))
        return True

    def ended(self, line: Line, event: sip.Ended) -> None:
        """As the protocol says."""
        if self._over:
            return
        self._over = True
        if line is self._callee and not self._answered:
            self._caller.coupling = None
            self._lines.plane.send(Part(self._caller.leg_id))
            self._tell(_news(event))
            return
        self._lines.hang_up(self._other(line))
        status = TransferStatus.COMPLETED if self._answered else TransferStatus.CANCELLED
        self._tell(TransferNews(status, event.status, event.reason))


class Referral:
    """The caller's own side is asked to call somebody else (RFC 3515); the call goes on when that fails."""

    def __init__(self, lines: Lines, line: Line, transfer: Transfer, tell: Tell) -> None:
        self._lines = lines
        self._line = line
        self._transfer = transfer
        self._tell = tell
        self._taken = False

    def begin(self, target: str) -> None:
        """Asks."""
        line, port = self._line, self._lines.port
        line.coupling = self
        self._lines.plane.send(on_hold(line.leg_id, self._transfer))
        port.carry_out(port.agent.refer(line.call, target, port.now(), headers=self._transfer.call.headers))

    def news(self, event: sip.ReferProgress) -> None:
        """What the far side tells of it."""
        self._taken = True
        if not event.final:
            return
        line = self._line
        line.coupling = None
        if 200 <= event.status < 300:
            give_away(self._lines.plane, line)
            self._lines.hang_up(line)
            self._tell(TransferNews(TransferStatus.COMPLETED, event.status, event.reason))
            return
        self._lines.plane.send(Part(line.leg_id))
        self._tell(TransferNews(_status(event.status, None), event.status, event.reason, event.refused))

    def progress(self, line: Line, event: sip.Progress) -> None:
        """The line is up already."""

    def media(self, line: Line, plan: StreamPlan, *, answered: bool) -> bool:
        """It may put us on hold meanwhile, like any other."""
        return False

    def ended(self, line: Line, event: sip.Ended) -> None:
        """Many hang up as soon as they have taken it: then it went as well as anybody knows."""
        line.coupling = None
        if self._taken and event.by == "remote":
            give_away(self._lines.plane, line)
            self._tell(TransferNews(TransferStatus.COMPLETED, event.status, event.reason))
        else:
            self._tell(TransferNews(TransferStatus.CANCELLED, event.status, event.reason))


class TakeOver:
    """A call goes on with somebody else in the place of its far side, with the same leg: by its REFER, or by an INVITE of the
    other that says so (Replaces, RFC 3891)."""

    def __init__(self, lines: Lines, old: Line, new: Line) -> None:
        self._lines = lines
        self._old = old
        self._new = new
        self._referred = False
        old.coupling = new.coupling = self

    def dial(self, call: OutboundCall, event: sip.ReferReceived) -> None:
        """By REFER, which has been taken."""
        self._referred = True
        call = replace(call, headers=(*call.headers, *event.headers))
        try:
            self._lines.place(call, self._new, self._old.ports)
        except CallRefused as refusal:
            self._old.coupling = None
            self._told(503, str(refusal))

    def answer(self) -> None:
        """By Replaces."""
        media = self._lines.media_for(self._new, self._old.ports)
        port = self._lines.port
        if media is not None:
            port.carry_out(port.agent.answer(self._new.call, media, port.now()))

    def progress(self, line: Line, event: sip.Progress) -> None:
        """As the protocol says."""
        self._told(event.status, event.reason)

    def media(self, line: Line, plan: StreamPlan, *, answered: bool) -> bool:
        """The new one's stream takes the leg."""
        old, new = self._old, self._new
        if line is old or old.rtp is None:
            return False
        old.rtp.change(plan)
        new.rtp, old.rtp = old.rtp, None
        new.signals, old.signals = old.signals, None
        if new.signals is not None:
            new.signals.line = new
        new.call_id, old.call_id = old.call_id, ""
        new.org_id, new.leg_id, new.ports = old.org_id, old.leg_id, old.ports
        old.coupling = new.coupling = None
        self._told(200, "OK")
        self._lines.hang_up(old)
        return True

    def ended(self, line: Line, event: sip.Ended) -> None:
        """Before the new one was there."""
        self._old.coupling = self._new.coupling = None
        if line is self._old:
            self._lines.hang_up(self._new)
        else:
            self._told(event.status if event.status >= 300 else FAILED, event.reason)

    def _told(self, status: int, reason: str) -> None:
        port = self._lines.port
        if self._referred:
            port.carry_out(port.agent.refer_status(self._old.call, status, reason, port.now()))


def on_hold(leg_id: str, transfer: Transfer) -> Hold:
    """What the caller hears while he waits."""
    if transfer.music:
        return Hold(leg_id, transfer.music, transfer.music_hz)
    return Hold(leg_id, ringing(), TONE_RATE_HZ)


def give_away(plane: MediaPlane, line: Line) -> None:
    """The line's leg is no assistant's any more: its call is over, as one that was forwarded."""
    leg_id = f"line {line.call}"
    plane.send(HandOver(line.leg_id, leg_id))
    line.leg_id, line.call_id = leg_id, ""


def _news(event: sip.Ended) -> TransferNews:
    known = event.cause is not None and event.cause.protocol.upper() == "Q.850"
    cause = event.cause.cause if event.cause is not None and known else None
    return TransferNews(_status(event.status, cause), event.status, event.reason)


def _status(status: int, cause: int | None) -> TransferStatus:
    reason = ended_reasons.of_dial(status, cause)
    if reason == ended_reasons.BUSY:
        return TransferStatus.BUSY
    if reason == ended_reasons.ANSWERED_NOT or status in (408, 480, 487):
        return TransferStatus.NO_ANSWER
    return TransferStatus.FAILED

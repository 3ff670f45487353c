"""A caller of FreeSWITCH who is passed on: handed over at once, or bridged with somebody whom we call first."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from aywa.boot.freeswitch_line import SwitchLine, Way
from aywa.boot.phone_coupling import on_hold
from aywa.core import ended_reasons
from aywa.core.esl import causes
from aywa.core.esl.channel import Answered, Channel, HungUp, News
from aywa.core.esl.link import Replied
from aywa.ports.calls import CallRefused
from aywa.ports.media import MediaPlane, Part
from aywa.ports.telephony import OutboundCall, Transfer, TransferNews, TransferStatus

Tell = Callable[[TransferNews], None]


class Lines(Protocol):
    """What couplings need of FreeSWITCH."""

    plane: MediaPlane

    def place(self, call: OutboundCall, line: SwitchLine) -> None: ...

    def way(self, line: SwitchLine) -> Way: ...

    def give_away(self, line: SwitchLine) -> None: ...

    def unmark(self, line: SwitchLine) -> None: ...

    def hang_up(self, line: SwitchLine) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None: ...


class Handing:
    """FreeSWITCH calls somebody in our place: a blind transfer through its own dialplan applications (mod_dptools: inline
    dialplan, bridge). From then on it is none of ours, whatever becomes of it."""

    def __init__(self, lines: Lines, line: SwitchLine, tell: Tell) -> None:
        self._lines = lines
        self._line = line
        self._tell = tell

    def begin(self, target: str) -> None:
        """Asks."""
        self._line.coupling = self
        self._lines.spawn(self._hand(target), f"freeswitch: transfer {self._line.uuid}")

    async def _hand(self, target: str) -> None:
        line = self._line
        # m:^: the separator between the applications, for dial strings have commas.
        steps = f"m:^:set:hangup_after_bridge=true^bridge:{target}"
        reply = await self._lines.way(line).api("uuid_transfer", f"{line.uuid} '{steps}' inline")
        line.coupling = None
        if not reply.good:
            if not line.channel.over:
                self._tell(TransferNews(TransferStatus.FAILED, 0, reply.text[:100].strip()))
            return
        self._lines.give_away(line)
        self._tell(TransferNews(TransferStatus.COMPLETED))

    def told(self, line: SwitchLine, news: News) -> None:
        """The caller may hang up meanwhile."""
        if isinstance(news, HungUp):
            self._tell(TransferNews(TransferStatus.CANCELLED, 0, news.cause))


class Bridging:
    """The caller of a live call waits, with music, until somebody else answers; then the assistant is gone. If nobody does, the
    call is as it was."""

    def __init__(self, lines: Lines, caller: SwitchLine, transfer: Transfer, tell: Tell) -> None:
        self._lines = lines
        self._caller = caller
        self._callee = SwitchLine(Channel(""), org_id=caller.org_id, outbound=transfer.call)
        self._transfer = transfer
        self._tell = tell
        self._answered = False
        self._over = False

    def begin(self, uuid: str) -> None:
        """Calls. Raises CallRefused."""
        self._callee.channel = Channel(uuid)
        self._caller.coupling = self._callee.coupling = self
        try:
            self._lines.place(self._transfer.call, self._callee)
        except CallRefused:
            self._caller.coupling = None
            raise
        self._lines.plane.send(on_hold(self._caller.call_id, self._transfer))

    def told(self, line: SwitchLine, news: News) -> None:
        """Something happened to either."""
        if isinstance(news, Answered) and line is self._callee and not self._answered and not self._over:
            self._answered = True
            self._lines.spawn(self._join(), f"freeswitch: bridge {self._caller.uuid}")
        elif isinstance(news, HungUp) and not self._over:
            self._over = True
            self._ended(line, news)

    async def _join(self) -> None:
        caller, callee = self._caller, self._callee
        way = self._lines.way(caller)
        for line in (caller, callee):
            # Also when this process is not there any more.
            _ = await way.api("uuid_setvar", f"{line.uuid} hangup_after_bridge true")
        reply = await way.api("uuid_bridge", f"{caller.uuid} {callee.uuid}")
        if self._over:
            return
        if not reply.good:
            self._over = True
            self._back(TransferNews(TransferStatus.FAILED, 0, _short(reply)))
            self._lines.hang_up(callee)
            return
        self._lines.give_away(caller)
        self._lines.unmark(callee)
        self._tell(TransferNews(TransferStatus.CONNECTED, 200))

    def _ended(self, line: SwitchLine, news: HungUp) -> None:
        if line is self._callee and not self._answered:
            self._back(TransferNews(_status(news), news.sip_status, news.cause))
            return
        self._lines.hang_up(self._caller if line is self._callee else self._callee)
        status = TransferStatus.COMPLETED if self._answered else TransferStatus.CANCELLED
        self._tell(TransferNews(status, news.sip_status, news.cause))

    def _back(self, news: TransferNews) -> None:
        """To the assistant."""
        self._caller.coupling = None
        self._lines.plane.send(Part(self._caller.call_id))
        self._tell(news)


def _status(news: HungUp) -> TransferStatus:
    reason = causes.ended_reason(news.cause, outbound=True, answered=False, sip_status=news.sip_status)
    if reason == ended_reasons.BUSY:
        return TransferStatus.BUSY
    if reason == ended_reasons.ANSWERED_NOT or news.sip_status in (408, 480, 487):
        return TransferStatus.NO_ANSWER
    return TransferStatus.FAILED


def _short(reply: Replied) -> str:
    return reply.text[:100].strip()

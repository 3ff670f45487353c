"""One leg on the SIP port, as the modules that join phone calls share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aywa.boot.layout import PhoneLeg
from aywa.core.rtp.plan import StreamPlan
from aywa.core.sip import events as sip
from aywa.media.rtp.ports import PortPair
from aywa.ports.telephony import OutboundCall


class Coupling(Protocol):
    """What two lines have to do with each other. Whatever happens to either is told."""

    def progress(self, line: Line, event: sip.Progress) -> None:
        """A line that is being called goes on."""

    def media(self, line: Line, plan: StreamPlan, *, answered: bool) -> bool:
        """A line's stream is known, or another; False: as if there were no coupling."""

    def ended(self, line: Line, event: sip.Ended) -> None:
        """A line is over, and its leg with it."""


@dataclass(slots=True, eq=False)
class Line:
    """call: the agent's key. call_id: the call that it belongs to, when that is known; empty for a leg that no assistant has.
    refused: why it was not let go where it was sent on to. leg_id: what the media plane calls its leg; ports: those of the leg,
    which is not the line's to release; beside: the leg that it will be joined with."""

    call: str
    call_id: str = ""
    host: str = ""
    pair: PortPair | None = None
    rtp: PhoneLeg | None = None
    outbound: OutboundCall | None = None
    over: bool = False
    refused: str = ""
    org_id: str = ""
    leg_id: str = ""
    ports: PortPair | None = None
    beside: str = ""
    coupling: Coupling | None = None
    signals: LineSignals | None = None


class Owner(Protocol):
    """Who carries out what a leg asks of its line."""

    def hang_up(self, line: Line) -> None: ...

    def media_lost(self, line: Line, detail: str) -> None: ...

    def send_keys(self, line: Line, digits: str) -> bool: ...


class LineSignals:
    """media.rtp.leg.LegSignals of one line, which may become another."""

    def __init__(self, owner: Owner, line: Line) -> None:
        self._owner = owner
        self.line = line

    def hang_up(self, reason: str) -> None:
        """As the protocol says."""
        self._owner.hang_up(self.line)

    def media_lost(self, detail: str) -> None:
        """As the protocol says."""
        self._owner.media_lost(self.line, detail)

    def send_keys(self, digits: str) -> bool:
        """As the protocol says."""
        return self._owner.send_keys(self.line, digits)

"""One channel of FreeSWITCH, as the modules that join its calls share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aywa.adapters.transports.freeswitch.socket import EventSocket
from aywa.core.esl.audio import AudioModule
from aywa.core.esl.channel import Channel, News
from aywa.core.esl.event import Event
from aywa.core.esl.link import Replied
from aywa.ports.telephony import OutboundCall


class Way(Protocol):
    """Over which a channel is told what to do: its own connection, or the one to FreeSWITCH."""

    async def api(self, command: str, argument: str = "") -> Replied:
        """An API command that is done at once."""

    async def job(self, command: str, argument: str) -> Replied:
        """One that takes a while."""


class Coupling(Protocol):
    """What a line has to do with another one."""

    def told(self, line: SwitchLine, news: News) -> None:
        """Something happened to one of them."""


@dataclass(slots=True, eq=False)
class SwitchLine:
    """call_id: the call that it belongs to, when that is known; empty for one that no assistant has (any more). socket: its own
    connection, while there is one; without it the channel is watched over the connection to FreeSWITCH. module: that carries its
    audio, once it was started. closing: we hang up. settled: what became of it is told."""

    channel: Channel
    call_id: str = ""
    org_id: str = ""
    socket: EventSocket | None = None
    outbound: OutboundCall | None = None
    module: AudioModule | None = None
    core: str = ""
    starting: bool = False
    closing: bool = False
    settled: bool = False
    coupling: Coupling | None = None

    @property
    def uuid(self) -> str:
        """Of the channel."""
        return self.channel.uuid


class LineSocket:
    """adapters.transports.freeswitch.server.CallSocket of one line."""

    def __init__(
        self,
        line: SwitchLine,
        take: Callable[[SwitchLine, Event], None],
        lost: Callable[[SwitchLine, str], None],
    ) -> None:
        self._line = line
        self._take = take
        self._lost = lost

    def happened(self, event: Event) -> None:
        """As the protocol says."""
        self._take(self._line, event)

    def lost(self, why: str) -> None:
        """As the protocol says."""
        self._lost(self._line, why)


class LineControl:
    """What a call's media socket asks of the call beside it: adapters.transports.equipment.stream.Control."""

    def __init__(
        self, line: SwitchLine, hang_up: Callable[[SwitchLine], None], keys: Callable[[SwitchLine, str], bool]
    ) -> None:
        self._line = line
        self._hang_up = hang_up
        self._keys = keys

    def hang_up(self, reason: str) -> None:
        """The call is over."""
        self._hang_up(self._line)

    def send_keys(self, digits: str) -> bool:
        """Presses keys for the far side."""
        return self._keys(self._line, digits)

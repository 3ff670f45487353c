"""Where FreeSWITCH comes to with a call (`socket` in its dialplan): one connection each, for as long as the call lasts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Protocol

from aywa.adapters.transports.freeswitch.client import EVENTS, SUBCLASSES
from aywa.adapters.transports.freeswitch.settings import ServerSettings
from aywa.adapters.transports.freeswitch.socket import EventSocket, new_uuid
from aywa.core.esl import commands
from aywa.core.esl.event import Event
from aywa.core.esl.link import Link

log = logging.getLogger(__name__)

FULL = "; its dialplan must say: socket ADDRESS async full"


class CallSocket(Protocol):
    """Who hears of one call's connection."""

    def happened(self, event: Event) -> None:
        """An event of its channel."""

    def lost(self, why: str) -> None:
        """The connection is gone: with the channel, or without it."""


Arrived = Callable[[EventSocket, Event], CallSocket]


class FreeSwitchServer:
    """arrived(socket, channel): a call came; answers who hears of it."""

    def __init__(self, settings: ServerSettings, arrived: Arrived) -> None:
        self.settings = settings
        self._arrived = arrived
        self._networks = [ip_network(one, strict=False) for one in settings.networks]
        self._sockets: dict[EventSocket, CallSocket | None] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens; answers the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._socket, self.settings.host, self.settings.port)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Takes no more, and leaves those that are left: their calls are FreeSWITCH's again."""
        if self._server is None:
            return
        self._server.close()
        await asyncio.gather(*(socket.close() for socket in list(self._sockets)))
        await self._server.wait_closed()

    # --- socket.Told ------------------------------------------------------------------------------------------------

    def opened(self, socket: EventSocket, channel: Event | None) -> None:
        """As the protocol says."""
        if channel is not None and socket in self._sockets:
            self._sockets[socket] = self._arrived(socket, channel)

    def happened(self, socket: EventSocket, event: Event) -> None:
        """As the protocol says."""
        call = self._sockets.get(socket)
        if call is not None:
            call.happened(event)

    def over(self, socket: EventSocket, why: str, refused: bool) -> None:
        """As the protocol says."""
        call = self._sockets.pop(socket, None)
        if call is not None:
            call.lost(why)
        elif refused:
            log.warning("a call of FreeSWITCH at %s cannot be taken: %s%s", socket.peer, why, FULL)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _socket(self) -> asyncio.Protocol:
        settings = self.settings
        link = Link(
            settings.link,
            new_uuid,
            first=(
                commands.linger(settings.linger_s),
                commands.my_events(commands.PLAIN),
                commands.events(commands.PLAIN, EVENTS[:-2], SUBCLASSES),
            ),
            # The only command that changes nothing and is always answered.
            ping=commands.linger(settings.linger_s),
        )
        made = EventSocket(
            link, self, settings.unsent_max_bytes, admits=lambda peer: self._admits(made, peer)
        )
        return made

    def _admits(self, socket: EventSocket, peer: str) -> bool:
        if not self._is_allowed(peer):
            log.warning("somebody at %s is no FreeSWITCH of ours (RUNTIME_FREESWITCH_NETWORKS)", peer)
            return False
        if len(self._sockets) >= self.settings.connections_max:
            log.warning("a call of FreeSWITCH cannot be taken: %d are connected", len(self._sockets))
            return False
        self._sockets[socket] = None
        return True

    def _is_allowed(self, peer: str) -> bool:
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        # A dual-stack socket shows IPv4 as IPv6.
        known = getattr(address, "ipv4_mapped", None) or address
        return any(known in network for network in self._networks if network.version == known.version)

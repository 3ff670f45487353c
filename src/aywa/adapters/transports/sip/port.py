"""The SIP port: one agent with its sockets, its timer and its names. Carries out what the agent says, in order, and hands its
events on.

Whatever is asked of the agent is carried out to its end before the next thing is (core.sip.agent). Refuses to know what a
call is for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import cast

from aywa.adapters.transports.sip.names import Names
from aywa.adapters.transports.sip.settings import PORT, TLS_PORT, SipSettings
from aywa.adapters.transports.sip.sockets import Bound, Place, Sockets, any_free_port
from aywa.core.nat import is_private
from aywa.core.sip.admission import AgentSettings
from aywa.core.sip.agent import Action, Agent
from aywa.core.sip.events import Banned, Event, Lookup
from aywa.core.sip.flow import Flow, Send, Transport

log = logging.getLogger(__name__)

_MOST_ROUTES = 1_024


class SipPort:
    """on_event gets the agent's events, in order, and must return at once; it may command the agent. trace: is shown every
    message, sent or received; it may hold credentials."""

    def __init__(
        self,
        settings: SipSettings,
        agent: AgentSettings,
        on_event: Callable[[Event], None],
        names: Names | None = None,
        trace: Callable[[str, bytes, Flow], None] | None = None,
    ) -> None:
        self.settings = settings
        self.public_host = settings.public_host
        """What is written towards public addresses; it may become known later."""
        self._on_event = on_event
        self._names = names or Names()
        self._trace = trace
        self._sockets = Sockets(self._heard, self._flow_lost, settings.limits, self._shuns)
        self.agent = Agent(agent, self, os.urandom)
        self._pending: deque[Action] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = float("inf")
        self._lookups: set[asyncio.Task[None]] = set()
        self._local_hosts: dict[str, str] = {}
        self._closed = False
        self._loop: asyncio.AbstractEventLoop

    async def start(self, server: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None) -> None:
        """Opens the ports. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._sockets.trust(client)
        settings = self.settings
        # Asked for a free one, all hosts and transports share it.
        port = settings.port or any_free_port(settings.hosts)
        for host in settings.hosts:
            for transport in settings.transports:
                await self._sockets.open(transport, host, port)
            if settings.tls_port is not None and server is not None:
                await self._sockets.open("tls", host, settings.tls_port, server)

    async def close(self) -> None:
        """Nothing is received or sent any more; end the calls first."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._lookups):
            task.cancel()
        await asyncio.gather(*self._lookups, return_exceptions=True)
        await self._sockets.close()

    @property
    def bound(self) -> list[Bound]:
        """The ports that are open."""
        return self._sockets.bound

    def now(self) -> float:
        """The agent's time."""
        return self._loop.time()

    def carry_out(self, actions: Iterable[Action]) -> None:
        """What a command of the agent answered."""
        self._pending += actions
        if self._busy:
            return
        self._busy = True
        try:
            while self._pending:
                self._do(self._pending.popleft())
        finally:
            self._busy = False
        self._arm()

    # --- core.sip.agent.Paths --------------------------------------------------------------------------------------

    def flow_to(self, transport: str, remote: Place, name: str) -> Flow | None:
        """As the agent asks."""
        if transport not in ("udp", "tcp", "tls"):
            return None
        return self._sockets.flow_to(cast(Transport, transport), remote, name)

    def address_of(self, flow: Flow) -> Place:
        """What Via and Contact say: where the far side reaches us."""
        host, port = flow.local
        listening = self._sockets.listening(flow.transport, flow.remote)
        if listening is not None:
            port = listening[1]
        if self.public_host and not is_private(flow.remote[0]):
            return self.public_host, port
        if not port:
            # Nobody can call back over it; what comes back uses the connection.
            port = TLS_PORT if flow.transport == "tls" else PORT
        if host in ("", "0.0.0.0", "::"):  # noqa: S104 - recognised, not bound
            host = self._local_host(flow.remote[0])
        return host, port

    # --- inside ------------------------------------------------------------------------------------------------------

    def _heard(self, data: bytes, flow: Flow) -> None:
        if self._trace is not None:
            self._trace("received", data, flow)
        if not self._closed:
            self.carry_out(self.agent.receive(data, flow, self._loop.time()))

    def _flow_lost(self, flow: Flow, why: str) -> None:
        log.debug("a SIP connection with %s is gone: %s", flow.remote, why)
        if not self._closed:
            self.carry_out(self.agent.flow_lost(flow, self._loop.time(), why))

    def _do(self, action: Action) -> None:
        match action:
            case Send(flow=flow, data=data):
                if self._trace is not None:
                    self._trace("sent", data, flow)
                self._sockets.send(flow, data)
            case Lookup():
                task = self._loop.create_task(self._look_up(action), name=f"sip: {action.kind} {action.name}")
                self._lookups.add(task)
                task.add_done_callback(self._lookups.discard)
            case Banned(address=address):
                if self._shuns(address):
                    self._sockets.cut_off(address)
                self._tell(action)
            case _:
                self._tell(action)

    def _shuns(self, host: str) -> bool:
        return self.agent.shuns(host, self._loop.time())

    def _tell(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:
            log.exception("a SIP event could not be handled: %s", type(event).__name__)

    async def _look_up(self, lookup: Lookup) -> None:
        records = await self._names.look_up(lookup.kind, lookup.name)
        self.carry_out(self.agent.looked_up(lookup.kind, lookup.name, records, self._loop.time()))

    def _arm(self) -> None:
        """One timer of the loop, for the agent's next deadline."""
        deadline = None if self._closed else self.agent.deadline
        if deadline == self._timer_s:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_s = float("inf") if deadline is None else deadline
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer, self._timer_s = None, float("inf")
        # A loop may call a little early; the agent must not be asked before its time for ever.
        self.carry_out(self.agent.wake(max(self._loop.time(), self.agent.deadline or 0.0)))

    def _local_host(self, remote: str) -> str:
        """The address from which the system reaches that one."""
        known = self._local_hosts.get(remote)
        if known is not None:
            return known
        family = socket.AF_INET6 if ":" in remote else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                # Sends nothing: it only asks for the way.
                probe.connect((remote, 9))
                found = str(probe.getsockname()[0])
            except OSError:
                found = "127.0.0.1"
        if len(self._local_hosts) >= _MOST_ROUTES:
            self._local_hosts.clear()
        self._local_hosts[remote] = found
        return found

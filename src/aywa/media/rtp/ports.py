"""The UDP ports of RTP legs: a small range, each pair used again only when nothing for its last leg is under way.

A pair is an even port for audio and the next one for reports (RFC 3550 11). What arrives after a leg's end is read and
thrown away. Refuses to send.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aywa.media.rtp.poller import Poller
from aywa.media.rtp.settings import RtpSettings

MOST_BYTES = 2048


class NoPorts(RuntimeError):
    """Every pair of the range is taken, by our legs or by other programs."""


@dataclass(eq=False)
class PortPair:
    """Two bound sockets, of one leg until `release`. late: datagrams that came after that."""

    host: str
    port: int
    audio: socket.socket
    reports: socket.socket
    _owner: RtpPorts
    late: int = 0
    # Of a pair that another process has lent: told when it is closed.
    returned: Callable[[int], None] | None = None

    @property
    def rtcp_port(self) -> int:
        """Where reports are received."""
        return self.port + 1

    def release(self) -> None:
        """The leg is gone, or never came to be. Twice does nothing."""
        self._owner.released(self)


class RtpPorts:
    """The range of one process. chance(n): a number in 0..n-1, so that ports cannot be foretold."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        poller: Poller,
        settings: RtpSettings,
        chance: Callable[[int], int],
    ) -> None:
        first = settings.first_port + settings.first_port % 2
        pairs = list(range(first, settings.last_port, 2))
        if not pairs or first < 1 or settings.last_port > 65_535:
            raise ValueError(f"no pair of ports in {settings.first_port} to {settings.last_port}")
        turn = chance(len(pairs))
        self._loop = loop
        self._poller = poller
        self._settings = settings
        # Longest unused first.
        self._free = deque(pairs[turn:] + pairs[:turn])
        self._used: set[PortPair] = set()
        self._draining: dict[PortPair, asyncio.TimerHandle] = {}
        self._resting: dict[int, asyncio.TimerHandle] = {}
        self._lent: set[int] = set()

    @property
    def free(self) -> int:
        """Pairs that may be reserved, as far as other programs leave them."""
        return len(self._free)

    def reserve(self, host: str, port: int = 0) -> PortPair:
        """Binds a pair on the host's address; a certain one when a leg is taken up again. Raises NoPorts, OSError (the
        host is not ours)."""
        if port:
            if port in self._free:
                self._free.remove(port)
            return self._bind(host, port)
        for _ in range(len(self._free)):
            candidate = self._free.popleft()
            try:
                return self._bind(host, candidate)
            except OSError as error:
                self._free.append(candidate)
                if not _taken(error):
                    raise
        raise NoPorts(
            f"no pair of ports is free in {self._settings.first_port} to {self._settings.last_port}"
            f" ({len(self._used) + len(self._lent)} in use, {len(self._draining) + len(self._resting)} at rest)"
        )

    def released(self, pair: PortPair) -> None:
        """Drains the pair, closes it, lets it rest."""
        if pair not in self._used:
            return
        self._used.remove(pair)
        for opened in (pair.audio, pair.reports):
            self._poller.remove(opened)
            self._poller.add(opened, _swallowing(pair, opened))
        self._draining[pair] = self._loop.call_later(self._settings.drain_s, self._drained, pair)

    def lend(self, pair: PortPair) -> None:
        """Another process has the pair's sockets now; ours are closed, and the ports stay taken until `take_back`."""
        self._used.discard(pair)
        self._lent.add(pair.port)
        self._shut(pair)

    def take_back(self, port: int) -> None:
        """The other process has drained and closed a lent pair, or has ended."""
        if port in self._lent:
            self._lent.remove(port)
            self._rest(port)

    def adopt(
        self,
        host: str,
        port: int,
        audio: socket.socket,
        reports: socket.socket,
        returned: Callable[[int], None],
    ) -> PortPair:
        """A pair that another process has lent to this one. returned(port): called when it has been drained and closed."""
        for opened in (audio, reports):
            opened.setblocking(False)
        pair = PortPair(host, port, audio, reports, self, returned=returned)
        self._used.add(pair)
        return pair

    def close(self) -> None:
        """Closes every socket at once."""
        for pair in [*self._used, *self._draining]:
            self._shut(pair)
        for timer in [*self._draining.values(), *self._resting.values()]:
            timer.cancel()
        self._used.clear()
        self._draining.clear()
        self._resting.clear()

    def _drained(self, pair: PortPair) -> None:
        del self._draining[pair]
        self._shut(pair)
        if pair.returned is None:
            self._rest(pair.port)
        else:
            pair.returned(pair.port)

    def _rest(self, port: int) -> None:
        self._resting[port] = self._loop.call_later(self._settings.rest_s, self._rested, port)

    def _rested(self, port: int) -> None:
        del self._resting[port]
        self._free.append(port)

    def _shut(self, pair: PortPair) -> None:
        for opened in (pair.audio, pair.reports):
            self._poller.remove(opened)
            opened.close()

    def _bind(self, host: str, port: int) -> PortPair:
        audio = self._open(host, port)
        try:
            reports = self._open(host, port + 1)
        except OSError:
            audio.close()
            raise
        pair = PortPair(host, port, audio, reports, self)
        self._used.add(pair)
        return pair

    def _open(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, self._settings.tos)
            else:
                opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self._settings.tos)
            opened.bind((host, port))
        except OSError:
            opened.close()
            raise
        return opened


def _taken(error: OSError) -> bool:
    """Somebody else has the port; anything else would be so with every port."""
    return error.errno in (errno.EADDRINUSE, errno.EACCES)


def _swallowing(pair: PortPair, opened: socket.socket) -> Callable[[float], None]:
    def swallow(now: float) -> None:
        try:
            opened.recv(MOST_BYTES)
        except OSError:
            return
        pair.late += 1

    return swallow

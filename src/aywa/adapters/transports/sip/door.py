"""The door of a TLS port: counts a connection from the moment that it is accepted, so that one whose handshake never ends is one
of its address's, too. Refuses, without a word, whom its owner does not admit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable

log = logging.getLogger(__name__)

BACKLOG = 512
# After an accept that failed for lack of descriptors or memory: others end meanwhile.
ACCEPT_AGAIN_S = 0.1


class TlsDoor:
    """Like asyncio's server, of one listening socket. admits(host): asked before a byte is read. protocol: makes the stream's;
    it is connected when the handshake has ended well. shaking: handshakes under way, by address."""

    def __init__(
        self,
        listening: socket.socket,
        tls: ssl.SSLContext,
        handshake_s: float,
        protocol: Callable[[], asyncio.BaseProtocol],
        admits: Callable[[str], bool],
    ) -> None:
        self.shaking: Counter[str] = Counter()
        self.refused = 0
        self._listening = listening
        self._tls = tls
        self._handshake_s = handshake_s
        self._protocol = protocol
        self._admits = admits
        self._loop = asyncio.get_running_loop()
        self._shakes: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept(), name="sip: TLS door")

    def close(self) -> None:
        """Accepts nobody any more, and gives up on whoever is not in yet."""
        for task in (self._accepting, *self._shakes):
            task.cancel()

    async def wait_closed(self) -> None:
        """Until that is so."""
        await asyncio.gather(self._accepting, *self._shakes, return_exceptions=True)
        self._listening.close()

    async def _accept(self) -> None:
        while True:
            try:
                connection, place = await self._loop.sock_accept(self._listening)
            except OSError as error:
                log.warning("a SIP connection could not be accepted: %s", error.strerror or error)
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            host = str(place[0])
            if not self._admits(host):
                self.refused += 1
                connection.close()
                continue
            self.shaking[host] += 1
            task = self._loop.create_task(self._shake(connection, host), name="sip: TLS handshake")
            self._shakes.add(task)
            task.add_done_callback(self._shakes.discard)

    async def _shake(self, connection: socket.socket, host: str) -> None:
        try:
            # Whoever breaks off, is no TLS, or takes too long: the loop closes the connection.
            with contextlib.suppress(OSError):
                await self._loop.connect_accepted_socket(
                    self._protocol, connection, ssl=self._tls, ssl_handshake_timeout=self._handshake_s
                )
        finally:
            self.shaking[host] -= 1
            if not self.shaking[host]:
                del self.shaking[host]

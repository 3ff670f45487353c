"""Reads the sockets of all legs: one system call asks which have something, and under load it is asked every few
milliseconds instead of once a packet. Refuses to read: a socket's owner does, one datagram at a time.

One descriptor (epoll) stands for all sockets in the loop. Where there is none, the loop watches each socket itself.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import sys
from collections.abc import Callable
from math import floor

from aywa.media.rtp.settings import RtpSettings
from aywa.media.wheel import EARLY_S

log = logging.getLogger(__name__)

# Descriptors that one question may answer with; the rest is asked for at once.
_MOST_EVENTS = 1024
# Rounds in a row: a flood on some sockets must not keep the timers waiting.
_MOST_ROUNDS = 2

# Takes one datagram from its socket; is given the loop's time.
Readable = Callable[[float], None]


class Poller:
    """Asks as often as the settings say, at whole multiples on the loop's clock, as the wheel's slots are due: the process wakes
    once for both."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: RtpSettings) -> None:
        self._loop = loop
        self._settings = settings
        self._poll_s = settings.poll_few_s
        self._owners: dict[int, Readable] = {}
        self._epoll = select.epoll() if sys.platform == "linux" else None
        self._watched = False
        self._timer: asyncio.TimerHandle | None = None

    def add(self, opened: socket.socket, readable: Readable) -> None:
        """readable(now) is called when the socket holds a datagram."""
        number = opened.fileno()
        self._owners[number] = readable
        if self._epoll is None:
            self._loop.add_reader(number, self._read_one, number)
            return
        self._epoll.register(number, select.EPOLLIN)
        self._settle()

    def remove(self, opened: socket.socket) -> None:
        """Before the socket is closed."""
        number = opened.fileno()
        if self._owners.pop(number, None) is None:
            return
        if self._epoll is None:
            self._loop.remove_reader(number)
            return
        self._epoll.unregister(number)
        self._settle()

    def close(self) -> None:
        """All sockets are gone."""
        self._owners.clear()
        if self._epoll is not None and not self._epoll.closed:
            self._settle()
            self._epoll.close()

    def _settle(self) -> None:
        """Chooses how to learn of packets by the number of sockets."""
        assert self._epoll is not None
        settings, count = self._settings, len(self._owners)
        self._poll_s = settings.poll_few_s if count <= settings.few_most else settings.poll_s
        eager = 0 < count <= settings.eager_most
        if eager != self._watched:
            self._watched = eager
            if eager:
                self._loop.add_reader(self._epoll.fileno(), self._read)
            else:
                self._loop.remove_reader(self._epoll.fileno())
        if count > settings.eager_most:
            if self._timer is None:
                self._arm()
        elif self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        next_one = floor((self._loop.time() + EARLY_S) / self._poll_s) + 1
        self._timer = self._loop.call_at(next_one * self._poll_s, self._tick)

    def _tick(self) -> None:
        self._arm()
        self._read()

    def _read(self) -> None:
        """A datagram of each socket a round, until there is none or it is somebody else's turn."""
        assert self._epoll is not None
        owners, now = self._owners, self._loop.time()
        for _ in range(_MOST_ROUNDS):
            ready = self._epoll.poll(0, _MOST_EVENTS)
            if not ready:
                return
            for number, _events in ready:
                # One that was read a moment ago may have closed another.
                readable = owners.get(number)
                if readable is None:
                    continue
                try:
                    readable(now)
                except Exception:
                    log.exception("reading a media socket failed")

    def _read_one(self, number: int) -> None:
        readable = self._owners.get(number)
        if readable is None:
            return
        try:
            readable(self._loop.time())
        except Exception:
            log.exception("reading a media socket failed")

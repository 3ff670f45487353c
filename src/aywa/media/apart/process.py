"""The brain's handle on one media process: starts it, watches it, starts it again when it is gone. Knows no leg.

A process that has ended is noticed at once, one that hangs after some missing beats: it is ended then, for its legs can be
helped by nobody. Refuses to wait in any call but `ready` and `close`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence

from aywa.media.apart.messages import Message
from aywa.media.apart.pipe import Pipe, open_pipe
from aywa.media.apart.serving import PORT_BYTES
from aywa.media.apart.settings import ApartSettings
from aywa.media.rtp.ports import NoPorts

log = logging.getLogger(__name__)

# One thread of arithmetic: more would take the cores from the other processes.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

# Loops of one machine share a clock (CLOCK_MONOTONIC); this much may pass until the greeting has been read.
_SAME_CLOCK_S = 5.0


class MediaUnavailable(NoPorts, LookupError):
    """No media process is there: none takes a leg."""


class MediaProcess:
    """command: what runs it; the numbers of two sockets are put behind it. take(self, message): what it says.
    fell(self, detail): it is gone, and with it all of its legs."""

    def __init__(
        self,
        command: Sequence[str],
        settings: ApartSettings,
        take: Callable[[MediaProcess, Message], None],
        fell: Callable[[MediaProcess, str], None],
    ) -> None:
        self.deaths = 0
        """Times that it ended without being asked to."""
        self.up = False
        """It takes legs."""
        self.hello: Message = {}
        """What it said when it was ready."""
        self._command = tuple(command)
        self._settings = settings
        self._take = take
        self._fell = fell
        self._loop = asyncio.get_running_loop()
        self._process: asyncio.subprocess.Process | None = None
        self._pipe: Pipe | None = None
        self._handles: socket.socket | None = None
        self._beaten = False
        self._beats: deque[tuple[float, float]] = deque(maxlen=settings.busy_beats + 1)
        self._began = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def pid(self) -> int | None:
        """While it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def busy(self) -> bool:
        """It has no time left for another leg."""
        if len(self._beats) <= self._settings.busy_beats:
            return False
        (from_s, before_s), (until_s, after_s) = self._beats[0], self._beats[-1]
        return after_s - before_s > self._settings.cpu_most * (until_s - from_s)

    def start(self) -> None:
        """Starts it; it gets ready while the caller goes on."""
        self._runner = self._loop.create_task(self._run(), name="media process")

    async def ready(self) -> None:
        """Waits until it takes legs. Raises MediaUnavailable: it could not be started."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.start_s):
                await self._began.wait()
        if not self.up:
            raise MediaUnavailable("the media process cannot be started: see what it said on standard error")

    def send(self, message: Message) -> None:
        """To one that is gone it does nothing. One that does not read is ended."""
        pipe = self._pipe
        if pipe is None:
            return
        if pipe.waiting_bytes > self._settings.stuck_bytes:
            self._end("it does not read what it is told")
            return
        pipe.send(message)

    def lend(self, port: int, audio: socket.socket, reports: socket.socket) -> None:
        """Hands over a pair of sockets. Raises MediaUnavailable."""
        if not self.up or self._handles is None:
            raise MediaUnavailable("the media process is gone")
        try:
            socket.send_fds(self._handles, [port.to_bytes(PORT_BYTES)], [audio.fileno(), reports.fileno()])
        except OSError as error:
            raise MediaUnavailable(f"the media process takes no sockets: {error}") from error

    async def close(self) -> None:
        """Lets it finish its recordings, then ends it in any case."""
        self._closing = True
        if self._runner is None:
            return
        if self._pipe is not None and self.up:
            self._pipe.send({"do": "close"})
            await asyncio.wait([self._pipe.lost], timeout=self._settings.stop_s)
        if self._process is not None and self.pid is not None:
            self._process.kill()
        self._runner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._runner

    # --- its lives -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while not self._closing:
            served = await self._live()
            if self._closing:
                return
            self.deaths += 1
            failures = 1 if served else failures + 1
            if failures >= self._settings.starts and not served:
                # Whoever waits must learn of it; it may still come up later.
                self._began.set()
            waits = self._settings.back_off_s
            await asyncio.sleep(waits[min(failures, len(waits)) - 1])

    async def _live(self) -> bool:
        """One life. Whether it ever took legs."""
        stream, theirs = socket.socketpair()
        handles, their_handles = socket.socketpair()
        handles.setblocking(False)
        passed = (theirs.fileno(), their_handles.fileno())
        self._handles = handles
        process: asyncio.subprocess.Process | None = None
        watching: asyncio.Task[None] | None = None
        served = False
        try:
            self._pipe = pipe = await open_pipe(self._loop, stream, self._taken)
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command,
                *map(str, passed),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=passed,
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,  # Ctrl-C is for the parent, which lets the calls end first
            )
            theirs.close()
            their_handles.close()
            watching = self._loop.create_task(self._watch(), name="media process: watch")
            await pipe.lost
        except OSError as error:
            log.error("the media process cannot be started: %s", error)
        finally:
            served, self.up = self.up, False
            self._beats.clear()
            for opened in (theirs, their_handles, handles):
                opened.close()
            self._handles = None
            if watching is not None:
                watching.cancel()
            if self._pipe is not None:
                self._pipe.close(at_once=True)
                self._pipe = None
            if not self._closing:
                log.error("the media process %s has ended", "" if process is None else process.pid)
            self._fell(self, "its media process ended")
            if process is not None:
                await _reap(process, self._settings.stop_s)
        return served

    def _taken(self, message: Message) -> None:
        self._beaten = True
        match message["is"]:
            case "beat":
                self._beats.append((message["at_s"], message["cpu_s"]))
            case "ready" if abs(self._loop.time() - message["now_s"]) > _SAME_CLOCK_S:
                self._end("its clock is not ours")
            case "ready":
                self.up = True
                self.hello = message
                self._began.set()
            case _:
                self._take(self, message)

    async def _watch(self) -> None:
        """Counts beats that did not come, not seconds: after a delay of our own, what has come is read first."""
        missed, patience = 0, round(self._settings.start_s / self._settings.beat_s)
        while True:
            await asyncio.sleep(self._settings.beat_s)
            missed = 0 if self._beaten else missed + 1
            self._beaten = False
            if missed >= (self._settings.beats_missed if self.up else patience):
                self._end("it has said nothing for too long")

    def _end(self, why: str) -> None:
        if self.pid is not None and self._process is not None:
            log.error("the media process %d is ended: %s", self.pid, why)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


async def _reap(process: asyncio.subprocess.Process, stop_s: float) -> None:
    """Sees it gone."""
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(stop_s):
                await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

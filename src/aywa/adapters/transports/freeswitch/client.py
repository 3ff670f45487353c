"""Keeps a connection to a FreeSWITCH: signs in, asks for the events of the channels that are watched, and comes back when it was
lost, with the same wishes. What happened meanwhile it does not know: `up` is told, so that somebody asks.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from aywa.adapters.transports.freeswitch.settings import ClientSettings
from aywa.adapters.transports.freeswitch.socket import LOST, EventSocket, new_uuid
from aywa.core.esl import commands
from aywa.core.esl.event import Event
from aywa.core.esl.link import Link, Replied

log = logging.getLogger(__name__)

EVENTS = (
    "CHANNEL_PROGRESS",
    "CHANNEL_PROGRESS_MEDIA",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_EXECUTE_COMPLETE",
    "CHANNEL_HANGUP",
    "CHANNEL_HANGUP_COMPLETE",
    "CHANNEL_DESTROY",
    "DTMF",
    "BACKGROUND_JOB",
    "HEARTBEAT",
)
SUBCLASSES = tuple(
    f"mod_{module}::{what}"
    for module, kinds in (
        ("audio_fork", ("play_audio", "kill_audio", "error", "connect_failed", "disconnect")),
        ("audio_stream", ("play", "error", "disconnect")),
    )
    for what in kinds
)


class FreeSwitchClient:
    """happened: takes the events of watched channels. up: it is connected, anew perhaps. down(why, refused): it is not, or could
    not be. chance: 0 to 1."""

    def __init__(
        self,
        settings: ClientSettings,
        happened: Callable[[Event], None],
        up: Callable[[], None],
        down: Callable[[str, bool], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._happened = happened
        self._up = up
        self._down = down
        self._chance = chance
        self._watched: dict[str, None] = {}
        self._socket: EventSocket | None = None
        self._task: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self._refused = False
        self._failures = 0

    @property
    def connected(self) -> bool:
        """It can be used."""
        return self._socket is not None and self._socket.open

    def start(self) -> None:
        """Connects, and stays so."""
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="freeswitch")

    async def close(self) -> None:
        """Leaves."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    # --- for who uses it --------------------------------------------------------------------------------------------

    async def api(self, command: str, argument: str = "") -> Replied:
        """An API command that is done at once. Raises Unsendable."""
        return LOST if self._socket is None else await self._socket.api(command, argument)

    async def job(self, command: str, argument: str) -> Replied:
        """One that takes a while. Raises Unsendable."""
        return LOST if self._socket is None else await self._socket.job(command, argument)

    def say(self, command: bytes) -> None:
        """Whose answer nobody waits for."""
        if self._socket is not None:
            self._socket.say(command)

    def watch(self, uuid: str) -> None:
        """The channel's events are told from now on. Raises Unsendable."""
        self._watched[commands.checked(uuid, commands.UUID)] = None
        self.say(commands.add_filter("Unique-ID", uuid))

    def unwatch(self, uuid: str) -> None:
        """Not any more."""
        if uuid in self._watched:
            del self._watched[uuid]
            self.say(commands.remove_filter("Unique-ID", uuid))

    # --- socket.Told ------------------------------------------------------------------------------------------------

    def opened(self, socket: EventSocket, channel: Event | None) -> None:
        """As the protocol says."""
        self._failures = 0
        self._up()

    def happened(self, socket: EventSocket, event: Event) -> None:
        """As the protocol says."""
        if event.uuid:
            self._happened(event)

    def over(self, socket: EventSocket, why: str, refused: bool) -> None:
        """As the protocol says."""
        self._refused = refused
        self._gone.set()
        self._down(why, refused)

    # --- inside -------------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        settings = self.settings
        while True:
            self._gone.clear()
            self._refused = False
            self._socket = EventSocket(self._link(), self, settings.unsent_max_bytes)
            try:
                async with asyncio.timeout(settings.connect_s):
                    await loop.create_connection(self._made, settings.host, settings.port)
            except (OSError, TimeoutError) as error:
                self._down(f"nothing answers at {settings.host} port {settings.port}: {_why(error)}", False)
            else:
                await self._gone.wait()
            await asyncio.sleep(self._pause_s())

    def _made(self) -> EventSocket:
        assert self._socket is not None
        return self._socket

    def _link(self) -> Link:
        return Link(
            self.settings.link,
            new_uuid,
            password=self.settings.password,
            user=self.settings.user,
            first=tuple(self._wishes()),
        )

    def _wishes(self) -> Sequence[bytes]:
        return [
            commands.events(commands.PLAIN, EVENTS, SUBCLASSES),
            # A busy switch has a thousand events for each that is meant for us.
            commands.add_filter("Event-Name", "BACKGROUND_JOB"),
            commands.add_filter("Event-Name", "HEARTBEAT"),
            *(commands.add_filter("Unique-ID", uuid) for uuid in self._watched),
        ]

    def _pause_s(self) -> float:
        settings = self.settings
        self._failures += 1
        if self._refused:
            return settings.refused_s
        pause_s = min(settings.retry_s * 2.0 ** min(self._failures - 1, 10), settings.retry_max_s)
        # Not all runtimes at the same moment when FreeSWITCH is back.
        return pause_s * (0.75 + self._chance() / 2)


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or type(error).__name__

"""Plays a script as a caller behind one vendor's equipment, in real time, and records what he said and what he truly heard.

The equipment has its own clock: it speaks every 20 ms against one absolute schedule, plays what comes through the
ear, and answers marks and clears at the moment at which they come true. It refuses to judge: aywa.testing.equipment.report
does.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aywa.testing.equipment.base import Equipment, Message
from aywa.testing.equipment.line import CLOSE_S, Line, LineRefused, open_line, with_query
from aywa.testing.script import Keys, Script, Step
from aywa.testing.wire import FRAME_S, QUIET_S, Record, SentFrame, is_audible

POLICY = 1008
"""The close code of a WebSocket that is not wanted (RFC 6455, 7.4.1)."""
LAST_WORD_S = 1.0
"""How long the equipment waits after its stop for the runtime to close, before it closes itself."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What the equipment does badly. swap_every: of so many messages of sound two change places. burst_frames: so many
    frames are held back and then sent at once. mute: marks, clears and the rest are never answered. Zero, False: it does
    not."""

    swap_every: int = 0
    burst_frames: int = 0
    mute: bool = False


@dataclass(slots=True)
class Called:
    """A call that is over. record: received is what was heard, when it was heard, without
    the silence that fills a line. refused: why there was no call."""

    equipment: Equipment
    record: Record
    url: str
    refused: LineRefused | None = None
    close_code: int | None = None
    close_reason: str = ""
    ended_by: str = ""
    """Who ended it: "caller" (the script was over), "runtime" (it asked for the end, or closed), "" (no call)."""
    connected_s: float = 0.0
    """From the beginning of the handshake to its end."""
    closed_after_s: float | None = None
    """From the caller's hanging up to the runtime's closing; None when the equipment had to close."""
    arrivals: list[float] = field(default_factory=list)
    """When messages with sound came."""

    @property
    def connected(self) -> bool:
        """There was a call."""
        return self.refused is None


class EquipmentCaller:
    """One vendor's equipment on a line. on_step is told of each step as it begins; it must return at once."""

    def __init__(
        self,
        equipment: Equipment,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        faults: Faults | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        self.equipment = equipment
        self.url = with_query(url, equipment.query())
        self._headers = dict(headers or {})
        self._faults = faults or Faults()
        self._on_step = on_step
        self._hanging_up = False
        self._line: Line
        self._script: Script
        self._called: Called
        self._heard = 0
        self._audible_s = float("-inf")
        self._held: list[Message] = []
        self._counted = 0
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._alarm: asyncio.TimerHandle | None = None
        self._over = False
        # When this equipment is to do something by itself again: what is seen later, it saw late.
        self._due_s = float("inf")

    async def call(self, steps: Sequence[Step]) -> Called:
        """Connects, plays the steps, and hangs up. What cannot be is in the answer, not an exception."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        self._script = Script(steps, self.equipment.rate_hz)
        spoken, missed = self._script.spoken, self._script.missed
        record = Record(self.equipment.rate_hz, began_s, began_s, spoken=spoken, missed=missed)
        self._called = Called(self.equipment, record, self.url)
        try:
            headers = {**self.equipment.headers(self.url), **self._headers}
            self._line = await open_line(self.url, headers, self.equipment.subprotocols)
        except LineRefused as error:
            self._called.refused = error
            return self._called
        record.opened_s = loop.time()
        self._called.connected_s = record.opened_s - began_s
        await self._talk()
        return self._called

    def hang_up(self) -> None:
        """Ends the running call at the next frame."""
        self._hanging_up = True

    async def _talk(self) -> None:
        called, record, loop = self._called, self._called.record, asyncio.get_running_loop()
        self._send(self.equipment.opening())
        listening = asyncio.create_task(self._listen(), name="equipment: listens")
        carrying = asyncio.create_task(self._carry(), name="equipment: speaks")
        try:
            await self._speak(listening)
            self._due_s = float("inf")
            record.closed_s = loop.time()
            called.ended_by = "runtime" if listening.done() or self.equipment.hung_up else "caller"
            await self._end(listening)
        finally:
            self._over = True
            if self._alarm is not None:
                self._alarm.cancel()
            carrying.cancel()
            await self._line.close()
            for task in (carrying, listening):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            called.close_code, called.close_reason = self._line.close_code, self._line.close_reason
            if called.close_code == POLICY and not called.arrivals:
                # A door that lets in before it asks: the call never was one.
                called.refused = LineRefused(POLICY, called.close_reason or "closed without a word")

    async def _end(self, listening: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        self._send(self.equipment.hang_up())
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._outbox.join()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_S if self._called.ended_by == "caller" else CLOSE_S):
                await asyncio.shield(listening)
            self._called.closed_after_s = loop.time() - asked_s

    async def _speak(self, listening: asyncio.Task[None]) -> None:
        """A frame every 20 ms until the script or the call is over."""
        loop = asyncio.get_running_loop()
        record, start_s, step = self._called.record, loop.time(), None
        for number in itertools.count():
            self._due_s = start_s + number * FRAME_S
            await asyncio.sleep(max(0.0, self._due_s - loop.time()))
            self._note_lateness(loop.time())
            self._wake()
            gone = self._hanging_up or listening.done() or self.equipment.hung_up
            frame = None if gone else self._script.next_frame(loop.time())
            if frame is None:
                return
            if self._script.step is not step:
                step = self._script.step
                self._stepped(step)
            record.sent.append(frame)
            self._say(frame)

    def _note_lateness(self, now_s: float) -> None:
        self.equipment.late_s = max(self.equipment.late_s, now_s - self._due_s)

    def _stepped(self, step: Step | None) -> None:
        if isinstance(step, Keys):
            for key in step.keys:
                self._send(self.equipment.press(key))
        if step is not None and self._on_step is not None:
            self._on_step(step)

    def _say(self, frame: SentFrame) -> None:
        messages = self.equipment.speak(frame.pcm)
        faults = self._faults
        if faults.swap_every or faults.burst_frames:
            messages = self._spoilt(messages)
        self._send(messages)

    def _spoilt(self, messages: list[Message]) -> list[Message]:
        """Held back, or changed in order, as the faults say."""
        self._held += messages
        if self._faults.burst_frames:
            if len(self._held) < self._faults.burst_frames:
                return []
        elif len(self._held) == 1:
            self._counted += 1
            if self._counted % self._faults.swap_every == 0:
                # It goes out behind the next one.
                return []
        ready, self._held = self._held, []
        return ready if self._faults.burst_frames else ready[::-1]

    async def _listen(self) -> None:
        """Takes what arrives until the connection is closed, by either end."""
        loop = asyncio.get_running_loop()
        async for message in self._line.messages():
            now_s = loop.time()
            self._note_lateness(now_s)
            before = self.equipment.ear.queued_s(now_s)
            self._post(self.equipment.receive(message, now_s))
            if self.equipment.ear.queued_s(now_s) > before:
                self._called.arrivals.append(now_s)
            self._ring_later()

    async def _carry(self) -> None:
        """Sends everything in the order in which it was said."""
        while True:
            await self._line.send(await self._outbox.get())
            self._outbox.task_done()

    def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._outbox.put_nowait(message)

    def _wake(self) -> None:
        self._alarm = None
        now_s = asyncio.get_running_loop().time()
        self._post(self.equipment.wake(now_s))
        self._hear(now_s)
        self._ring_later()

    def _hear(self, now_s: float) -> None:
        """Everything that has begun to play since the last time is heard by the caller."""
        for frame in self.equipment.ear.heard[self._heard :]:
            if is_audible(frame.pcm):
                self._audible_s = frame.at_s
            if frame.at_s - self._audible_s <= QUIET_S / 2:
                self._called.record.received.append(self._script.heard(frame.at_s, frame.pcm))
            # The silence that fills a line is no reply that is still being heard.
        self._heard = len(self.equipment.ear.heard)

    def _post(self, answers: list[Message]) -> None:
        if not self._faults.mute:
            self._send(answers)

    def _ring_later(self) -> None:
        """Wakes when the next frame begins or the next mark is reached: marks are answered then and not at the next frame."""
        deadline = self.equipment.deadline
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if deadline is not None and not self._over:
            self._alarm = asyncio.get_running_loop().call_at(deadline, self._wake)

"""Plays a script over a telephone, frame by frame, and records both sides; says as JSON what was heard and when.

The telephone has its own clock: a frame every 20 ms against one absolute schedule. It refuses to judge what it heard.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aywa.testing.script import Hold, Keys, Script, Step
from aywa.testing.softphone.lines import Place
from aywa.testing.softphone.message import NAMES
from aywa.testing.softphone.phone import Phone, Setup
from aywa.testing.softphone.rtp import RATE_HZ
from aywa.testing.softphone.transactions import NoAnswer
from aywa.testing.wire import (
    FRAME_S,
    QUIET_S,
    ReceivedFrame,
    Record,
    Talkspurt,
    is_audible,
    level_dbfs,
    talkspurts,
    turns_heard,
)


@dataclass(frozen=True, slots=True)
class Dial:
    """Whom to call. headers: more of them for the INVITE. cancel_s: give up after so long."""

    uri: str
    headers: Sequence[tuple[str, str]] = ()
    ring_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Wait so long to be called, and ring before answering; or refuse with a status."""

    within_s: float = 60.0
    ring_s: float = 0.2
    refuse: int = 0


@dataclass(slots=True)
class Talked:
    """A call that is over, as its softphone saw it. error: why there was none."""

    record: Record
    phone: Phone
    error: str = ""
    keys: list[tuple[str, float]] = field(default_factory=list)

    @property
    def connected(self) -> bool:
        """It was answered."""
        return 200 <= self.phone.status < 300


class Softphone:
    """on_step is told of each step as it begins; it must return at once. on_quiet: of a place where nothing answers yet."""

    def __init__(
        self,
        setup: Setup,
        *,
        on_step: Callable[[Step], None] | None = None,
        on_ready: Callable[[str], None] | None = None,
        on_quiet: Callable[[Place], None] = lambda place: None,
    ) -> None:
        self.setup = setup
        self._on_step = on_step
        self._on_ready = on_ready
        self._on_quiet = on_quiet
        self._hanging_up = False
        self._audible_s = float("-inf")
        self._script: Script
        self._record: Record
        self._asking: set[asyncio.Task[Any]] = set()

    async def call(self, begin: Dial | Answer, steps: Sequence[Step]) -> Talked:
        """One call from its beginning to its end. Raises OSError when the line cannot be opened."""
        self._hanging_up = False
        self._script = Script(steps, RATE_HZ)
        now_s = asyncio.get_running_loop().time()
        script = self._script
        self._record = Record(RATE_HZ, now_s, now_s, spoken=script.spoken, missed=script.missed)
        async with Phone(self.setup, lambda pcm: self._heard(phone, pcm), self._on_quiet) as phone:
            if self._on_ready is not None:
                self._on_ready(phone.uri)
            talked = Talked(self._record, phone)
            try:
                if await self._begin(phone, begin):
                    await self._talk(phone)
                elif not phone.status:
                    talked.error = "nobody called" if isinstance(begin, Answer) else ""
            except NoAnswer as error:
                talked.error = str(error)
            self._record.closed_s = asyncio.get_running_loop().time()
            return talked

    def hang_up(self) -> None:
        """Ends the running call at the next frame."""
        self._hanging_up = True

    async def _begin(self, phone: Phone, begin: Dial | Answer) -> bool:
        if isinstance(begin, Dial):
            return await phone.dial(begin.uri, begin.headers, begin.ring_s)
        if not await phone.wait_for_call(begin.within_s):
            return False
        await phone.ring()
        await asyncio.sleep(begin.ring_s)
        if begin.refuse:
            await phone.reject(begin.refuse, "Refused")
            return False
        return await phone.accept()

    def _heard(self, phone: Phone, pcm: bytes) -> None:
        now_s = phone.audio.arrivals.last_s
        assert now_s is not None
        if is_audible(pcm):
            self._audible_s = now_s
        if now_s - self._audible_s <= QUIET_S / 2:
            self._record.received.append(self._script.heard(now_s, pcm))
        else:
            # The silence that fills a line is no reply that is still being heard.
            self._record.received.append(ReceivedFrame(now_s, pcm, False))

    async def _talk(self, phone: Phone) -> None:
        """A frame every 20 ms until the script or the call is over; then hangs up."""
        loop = asyncio.get_running_loop()
        record, start_s = self._record, loop.time()
        record.opened_s = start_s
        step: Step | None = None
        for number in itertools.count():
            await asyncio.sleep(max(0.0, start_s + number * FRAME_S - loop.time()))
            frame = None if self._hanging_up or phone.ended.is_set() else self._script.next_frame(loop.time())
            if frame is None:
                break
            if self._script.step is not step:
                self._stepped(phone, step, self._script.step)
                step = self._script.step
            record.sent.append(frame)
            phone.audio.send_frame(frame.pcm)
        record.closed_s = loop.time()
        for task in list(self._asking):
            with suppress(NoAnswer):
                await task
        await phone.hang_up()

    def _stepped(self, phone: Phone, before: Step | None, after: Step | None) -> None:
        if isinstance(before, Hold):
            self._ask(phone.hold(False))
        match after:
            case Keys(keys=keys):
                phone.audio.press(keys)
            case Hold():
                self._ask(phone.hold(True))
            case _:
                pass
        if self._on_step is not None and after is not None:
            self._on_step(after)

    def _ask(self, request: Coroutine[Any, Any, int]) -> None:
        task = asyncio.get_running_loop().create_task(request, name="softphone: asks")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)


def report(talked: Talked) -> dict[str, Any]:
    """What the softphone heard and when, in milliseconds since it dialled or began to wait."""
    phone, record = talked.phone, talked.record
    began_s = phone.log.began_s

    def ms(at_s: float | None) -> int | None:
        return None if at_s is None else round((at_s - began_s) * 1000)

    far, arrivals = phone.audio.far, phone.audio.arrivals
    signalling = phone.log.rows()
    return {
        "answered": talked.connected,
        "status": phone.status,
        "reason": phone.reason,
        "error": talked.error or None,
        "sip_call_id": phone.dialog.call_id if phone.dialog else None,
        "ended_by": phone.ended_by or None,
        "codec": NAMES[far.payload] if far else None,
        "opened_ms": ms(record.opened_s) if talked.connected else None,
        "closed_ms": ms(record.closed_s),
        "signalling": signalling,
        "heard": [
            {
                "start_ms": ms(spurt.audible_s),
                "end_ms": ms(_ended_s(spurt)),
                "level_dbfs": _level(spurt.frames),
            }
            for spurt in talkspurts(audible(record))
        ],
        "turns": [
            {
                "user_end_ms": ms(turn.user_end_ms / 1000 + record.opened_s),
                "reply_start_ms": ms(turn.reply_start_ms / 1000 + record.opened_s),
                "latency_ms": round(turn.latency_ms),
            }
            for turn in turns_heard(audible(record))
        ],
        "keys_heard": [{"key": key.key, "at_ms": ms(key.at_s)} for key in phone.audio.keys],
        "missed": list(record.missed),
        "rtp": {
            "sent": phone.audio.sent,
            "received": arrivals.packets,
            "lost": arrivals.lost,
            "duplicates": arrivals.duplicates,
            "reordered": arrivals.reordered,
            "streams": arrivals.streams,
            "first_ms": ms(arrivals.first_s),
            "longest_gap_ms": round(arrivals.longest_gap_s * 1000),
            "jitter_ms": round(arrivals.jitter_s * 1000, 1),
        },
    }


def audible(record: Record) -> Record:
    """The record without the silence that a trunk fills pauses with: what a person hears as pauses."""
    kept = Record(record.rate_hz, record.opened_s, record.closed_s, record.sent, spoken=record.spoken)
    last_s = float("-inf")
    for frame in record.received:
        if frame.audible:
            last_s = frame.at_s
        # The quiet inside of speech belongs to it.
        if frame.at_s - last_s <= QUIET_S / 2:
            kept.received.append(frame)
    return kept


def _ended_s(spurt: Talkspurt) -> float:
    """When its last audible frame had played."""
    played = zip(spurt.frames, spurt.plays_s, strict=True)
    return max(plays_s for frame, plays_s in played if frame.audible) + FRAME_S


def _level(frames: Sequence[ReceivedFrame]) -> float:
    return round(level_dbfs(b"".join(frame.pcm for frame in frames if frame.audible)), 1)

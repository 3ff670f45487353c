"""The call's recogniser: feeds it, posts what it heard, and opens it or another anew when it breaks. Never raises into the call.

What was said and not told for good is kept, and whoever takes over hears it again: no word is lost, and none comes twice.
One that cannot be asked for all words (`finalize`) is not asked; a final that it gives after the voice counts as its answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from aywa.call.router.attempt import aside
from aywa.call.router.board import HealthBoard, Tell, failure_of, silent
from aywa.core import events as ev
from aywa.core.audio.frame import SAMPLE_BYTES
from aywa.core.ended_reasons import STT, of_failure
from aywa.core.route_health import Failure
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import Stt, SttOptions, SttResult, SttStream

# Breaks in a row after which the call is given up; one that came after HEALTHY_S of work counts as the first.
REOPEN_LIMIT = 5
REOPEN_WAIT_S = 0.25
HEALTHY_S = 30.0
OPEN_S = 3.0
# An answer to finalize that takes longer is not coming; two in a row, and another recogniser is opened.
ANSWER_S = 2.0
UNANSWERED_LIMIT = 2
CLOSE_S = 2.0
# Audio that waits while the recogniser is being opened, and is heard again by another: 3 s of 20 ms frames where nobody speaks,
# and 20 s of what was said and not told for good. The last 0.2 s before that may hold the beginning of a word. What was said
# and not told at all is waited for so long after the voice: a recogniser that hangs is found out sooner.
WAITING_FRAMES = 150
KEPT_FRAMES = 1000
SPARE_FRAMES = 10
OWED_FRAMES = 500
_TURNED = "other_recogniser"


@dataclass(frozen=True, slots=True)
class EarRoute:
    """A recogniser and how it is asked."""

    stt: Stt
    language: str = "en"
    keyterms: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """What record and metrics call it."""
        return self.stt.name

    def options(self, rate_hz: int) -> SttOptions:
        """What it is opened with."""
        return SttOptions(rate_hz, self.language, self.keyterms, self.extra)


class _Turned(Exception):
    """Others listen from now on, and nobody has broken."""


class _Kept:
    """The audio since what was told for good: whoever takes over hears it again. Counts samples since the call's first."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._first = 0
        self.samples = 0
        self.whole = True

    def add(self, pcm: bytes, most: int, *, spoken: bool) -> None:
        self._frames.append(pcm)
        self.samples += len(pcm) // SAMPLE_BYTES
        while len(self._frames) > most:
            self._drop()
            self.whole = self.whole and not spoken

    def settle(self, until: int, spare: int = 0) -> None:
        """What ends before that sample is not needed any more; the last so many frames stay."""
        while len(self._frames) > spare and self._first + len(self._frames[0]) // SAMPLE_BYTES <= until:
            self._drop()
        self.whole = True

    def all(self) -> tuple[int, list[bytes]]:
        """The first one's sample, and the frames."""
        return self._first, list(self._frames)

    def _drop(self) -> None:
        self._first += len(self._frames.popleft()) // SAMPLE_BYTES


class Recogniser:
    """rate_hz: what it wants to be fed: the leg's own rate where all its routes take it, else another that all take, else the
    first one's; a route that does not take that is not asked."""

    def __init__(
        self,
        routes: Sequence[EarRoute],
        leg_id: str,
        leg_rate_hz: int,
        post: Callable[[ev.Event], None],
        board: HealthBoard | None = None,
        tell: Tell = silent,
    ) -> None:
        mine = routes[0].stt.capabilities.rates_hz
        rates = [rate for rate in (leg_rate_hz, *mine) if rate in mine]
        of_all = [rate for rate in rates if all(rate in r.stt.capabilities.rates_hz for r in routes)]
        self.rate_hz = (of_all or rates)[0]
        self._routes = [r for r in routes if self.rate_hz in r.stt.capabilities.rates_hz]
        self._current = 0
        self._leg_id = leg_id
        self._post = post
        self._board = board or HealthBoard()
        self._tell_record = tell
        self._stream: SttStream | None = None
        self._kept = _Kept()
        self._stream_from = 0
        self._pending = False
        self._voiced = False
        self._owed = 0
        self._wanted = False
        self._closed = False
        self._broken: Exception | None = None
        self._reading: asyncio.Timeout | None = None
        self._asked_s: float | None = None
        self._unanswered = 0

    async def run(self) -> None:
        """Until cancelled or closed, or until its routes have broken too often."""
        waits = 0
        broken: set[int] = set()
        refused: set[int] = set()
        loop = asyncio.get_running_loop()
        while not self._closed:
            began_s = loop.time()
            code, retryable = await self._broke()
            if self._closed:
                return
            if code == _TURNED:
                waits = 0
                broken.clear()
                refused.clear()
                if not self._kept.whole:
                    self._post(ev.ChildFailed("stt", code, repeats=False))
                    self._kept.settle(self._kept.samples)
                continue
            repeats = self._kept.whole
            self._post(ev.ChildFailed("stt", code, repeats=repeats))
            if not repeats:
                self._kept.settle(self._kept.samples)
            if loop.time() - began_s >= HEALTHY_S:
                waits = 0
                broken.clear()
                refused.clear()
            broken.add(self._current)
            if not retryable:
                refused.add(self._current)
            follows = self._follows(refused)
            # A route that has not broken yet has done nothing to be left alone for.
            again = follows in broken
            if follows is None or (again and waits >= REOPEN_LIMIT):
                self._post(ev.EndRequested(of_failure(STT, self._routes[self._current].name), code))
                return
            self._take_over(follows, code)
            if again:
                await asyncio.sleep(REOPEN_WAIT_S * 2**waits)
                waits += 1

    def turn_to(self, routes: Sequence[EarRoute]) -> bool:
        """These listen from now on, and hear what was not told for good; False, and nothing is changed: none of them takes what
        it is fed."""
        usable = [route for route in routes if self.rate_hz in route.stt.capabilities.rates_hz]
        if not usable:
            return False
        same = usable[0] == self._routes[self._current]
        self._routes, self._current = usable, 0
        if not same:
            self._give_up(_Turned())
        return True

    def feed(self, pcm: bytes) -> None:
        """The leg's audio at rate_hz."""
        spoken = self._voiced or self._pending
        self._owed = self._owed if spoken else max(0, self._owed - 1)
        self._kept.add(pcm, KEPT_FRAMES if spoken or self._owed else WAITING_FRAMES, spoken=spoken)
        stream = self._stream
        if stream is not None:
            try:
                stream.feed(pcm)
            except Exception as error:  # noqa: BLE001 - as in `_tell`, without a function for every frame
                self._give_up(error)

    def voice(self, active: bool) -> None:
        """What the voice detector found."""
        self._voiced = active
        self._owed = OWED_FRAMES
        if (stream := self._stream) is not None:
            self._tell(lambda: stream.voice(active))

    def finalize(self) -> None:
        """Asks for all words so far."""
        stream = self._stream
        if stream is None:
            # Whoever takes over is asked.
            self._wanted = True
            return
        if not self._can_finalize:
            return
        now = asyncio.get_running_loop().time()
        if self._asked_s is None:
            self._asked_s = now
        elif now > self._asked_s + ANSWER_S:
            self._unanswered += 1
            self._asked_s = now
        if self._unanswered >= UNANSWERED_LIMIT:
            told = "finalize is not answered"
            self._give_up(
                ProviderError(
                    self._routes[self._current].name, "unanswered", told, fault=Fault.PROVIDER, retryable=True
                )
            )
        else:
            self._tell(stream.finalize)

    def commit(self) -> None:
        """The turn was taken."""
        self._pending = self._wanted = False
        self._owed = 0
        self._kept.settle(self._kept.samples, spare=SPARE_FRAMES)
        if self._stream is not None:
            self._tell(self._stream.commit)

    async def close(self) -> None:
        """Ends the stream."""
        self._closed = True
        stream, self._stream = self._stream, None
        if stream is not None:
            await _close(stream)

    @property
    def _can_finalize(self) -> bool:
        return self._routes[self._current].stt.capabilities.finalize

    # --- inside --------------------------------------------------------------------------------------------------

    async def _broke(self) -> tuple[str, bool]:
        """Runs a stream to its end; answers why it ended, and whether another may be tried."""
        error: Exception | None = None
        try:
            await self._run_once()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody stopped this call: something inside the recogniser was cancelled.
            return "cancelled", True
        except Exception as raised:  # noqa: BLE001 - a recogniser may break in any way, and the call goes on
            error = raised
        told, self._broken = self._broken, None
        match told or error:
            case None:
                return "closed", True
            case _Turned():
                return _TURNED, True
            case ProviderError() as known:
                return known.code, known.retryable
            case TimeoutError():
                return "deadline", True
            case other:
                return other.__class__.__name__, True

    def _follows(self, refused: Collection[int]) -> int | None:
        """Which route listens from now on: another one, if there is one, and one that is well, if there is one."""
        now = asyncio.get_running_loop().time()
        places = [(self._current + step) % len(self._routes) for step in range(1, len(self._routes))]
        left = [place for place in places if place not in refused]
        well = [
            place
            for place in left
            if not self._board.of(self._routes[place].name, self._routes[place].stt).refuses(now)
        ]
        if not left:
            return None if self._current in refused else self._current
        return (well or left)[0]

    def _take_over(self, place: int, code: str) -> None:
        """The call stays with it."""
        if place == self._current:
            return
        before, self._current = self._routes[self._current].name, place
        fields = {"route": self._routes[self._current].name, "before": before, "code": code}
        self._tell_record("RouteSwitched", {"kind": "stt", **fields})

    async def _run_once(self) -> None:
        if isinstance(self._broken, _Turned):
            # Nobody was listening when it was said, and these are they.
            self._broken = None
        route = self._routes[self._current]
        health = self._board.of(route.name, route.stt)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        health.begin(began_s)
        failure: Failure | None = None
        opened_s: float | None = None
        try:
            async with asyncio.timeout(OPEN_S):
                stream = await route.stt.open(route.options(self.rate_hz))
            opened_s = loop.time() - began_s
            health.answered(opened_s, loop.time())
            await self._listen(stream)
        except Exception as error:
            failure = failure_of(error)
            raise
        finally:
            if isinstance(self._broken, _Turned):
                failure = None
            elif self._broken is not None:
                failure = failure_of(self._broken)
            health.end(failure, loop.time(), answered=opened_s is not None)
            over = self._board.over("stt", route.name)
            over(began_s, loop.time(), opened_s, "" if failure is None else failure.code)

    async def _listen(self, stream: SttStream) -> None:
        try:
            self._stream_from, kept = self._kept.all()
            spoken = self._voiced or self._pending or self._owed > 0
            if spoken:
                # A recogniser that goes by voice must not take it for what was before.
                stream.voice(True)
            for pcm in kept:
                stream.feed(pcm)
            if spoken and not self._voiced:
                stream.voice(False)
            if self._closed:
                return
            self._stream = stream
            wanted = self._wanted or self._asked_s is not None
            self._asked_s, self._unanswered, self._wanted = None, 0, False
            if wanted and kept:
                self.finalize()
            async with asyncio.timeout(None) as self._reading:
                if self._broken is not None:
                    raise self._broken
                async for result in stream.results():
                    if result.from_finalize:
                        self._asked_s, self._unanswered = None, 0
                    self._heard(result)
        finally:
            self._stream = self._reading = None
            await _close(stream)

    def _heard(self, result: SttResult) -> None:
        from_s = self._stream_from / self.rate_hz
        self._pending = bool(result.text.strip()) and not result.is_final
        if (result.is_final or result.from_finalize) and not self._voiced:
            self._owed = 0
        if result.is_final:
            ends_s = max((w.end_s for w in result.words if isfinite(w.end_s)), default=None)
            until = self._kept.samples if ends_s is None else round((from_s + ends_s) * self.rate_hz)
            self._kept.settle(until, spare=SPARE_FRAMES if ends_s is None else 0)
        words = tuple((w.text, from_s + w.start_s, from_s + w.end_s) for w in result.words)
        complete = result.from_finalize
        if not self._can_finalize and result.is_final and result.text and not self._voiced:
            complete = True
        self._post(
            ev.TranscriptReceived(
                self._leg_id, result.text, result.is_final, complete, words, result.confidence
            )
        )

    def _tell(self, say: Callable[[], None]) -> None:
        """Whoever feeds the recogniser, the media plane among them, must not be hit by its failure."""
        try:
            say()
        except Exception as error:  # noqa: BLE001 - a recogniser may break in any way, and the call goes on
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Stops reading the stream; `run` opens another."""
        self._stream, self._broken = None, error
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())


async def _close(stream: SttStream) -> None:
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await aside(stream.close(), 0.0)

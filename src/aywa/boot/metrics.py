"""The figures of this process: taps the journal for what the calls do, is told of every request to a provider, watches the event
loop and the garbage collector, and asks the other parts when somebody looks.

Entering a measurement costs a call a microsecond or two, a few times a turn; a page is made in a thread, at most once in FRESH_S
whoever asks, and another thread may ask, too (boot/metrics_port). Refuses to hold up a call: what goes wrong here is counted as
missing and forgotten.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import structlog

import aywa
from aywa.adapters.metrics.prometheus import Pages, PrometheusRegister, Reading, Values
from aywa.core.metrics import catalogue as the
from aywa.core.metrics.calls import CallMetrics
from aywa.core.metrics.catalogue import Metric
from aywa.core.metrics.requests import ProviderRequest, count_request
from aywa.ports.journal import Journal

_log = structlog.get_logger("aywa.boot.metrics")

FRESH_S = 1.0
"""A page that is younger is answered again: any number of readers costs no more than one a second."""
LAG_EVERY_S = 0.1
PAUSES_MAX = 1000
"""Of the garbage collector, until they are entered."""
CHECK_EVERY_S = 5.0
CHECK_TIMEOUT_S = 2.0

Read = Callable[[], Values]
"""What a metric says just now, in the loop's thread: quick, and never waits."""


class RequestTold(Protocol):
    """Is told of a request to a provider that is over."""

    def __call__(self, call_id: str, request: ProviderRequest) -> None: ...


class RecordTold(Protocol):
    """Is told of a record that was put down. Never raises."""

    def __call__(self, call_id: str, at_s: float, kind: str, data: object) -> None: ...


class TappedJournal:
    """ports.journal.Journal that lets others see what is put down, once it is. told: by the kind of record that they look at."""

    def __init__(self, journal: Journal, told: Mapping[str, Sequence[RecordTold]]) -> None:
        self._append = journal.append
        self._told = told

    def append(
        self, call_id: str, org_id: str, seq: int, at_s: float, role: str, kind: str, data: object
    ) -> None:
        """As the port says."""
        self._append(call_id, org_id, seq, at_s, role, kind, data)
        if kind in self._told:
            for told in self._told[kind]:
                told(call_id, at_s, kind, data)


class Metrics:
    """ports.metrics.MetricPages. `start` in the loop that is watched; `close` in any case. clock: in seconds, for any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.register = PrometheusRegister()
        self._told: dict[str, list[RecordTold]] = {}
        self._asked: list[RequestTold] = []
        calls = CallMetrics(self.register)
        self.tell(frozenset(calls.kinds), calls.take, self._request)
        self._reads: dict[str, tuple[Metric, Read]] = {}
        self._looks: dict[str, Callable[[], Awaitable[None]]] = {}
        self._pages: Pages | None = None
        self._taken_s = float("-inf")
        self._making = threading.Lock()
        # What the parts said last, and when; when the loop last came by.
        self._kept: list[Reading] = []
        self._read_s = float("-inf")
        self._keeps = False
        self._turned_s = clock()
        self._tasks: list[asyncio.Task[None]] = []
        # Its own: the loop's may all be at work, and then is when somebody looks.
        self._thread = ThreadPoolExecutor(1, "metrics")
        self._gc_began_s = 0.0
        self._pauses: deque[tuple[str, float]] = deque(maxlen=PAUSES_MAX)
        self._broken: Counter[str] = Counter()

    # --- where it comes from -----------------------------------------------------------------------------------------

    def tap(self, journal: Journal) -> Journal:
        """The same journal; what is put down is counted."""
        return TappedJournal(journal, self._told)

    def tell(self, kinds: frozenset[str], record: RecordTold, request: RequestTold) -> None:
        """Somebody else is told of the same: of records of these kinds, and of every request."""
        told = self._guarded(record)
        for kind in kinds:
            self._told.setdefault(kind, []).append(told)
        self._asked.append(request)

    def watch(self, call_id: str) -> Callable[[ProviderRequest], None]:
        """Who is told of a call's requests to providers."""

        def over(request: ProviderRequest) -> None:
            for told in self._asked:
                try:
                    told(call_id, request)
                except Exception as error:  # noqa: BLE001 - a call is not held up by whoever counts
                    self._break("request", error)

        return over

    def read(self, metric: Metric, what: Callable[[], float]) -> None:
        """A metric without labels that is asked for when somebody looks."""
        self.read_all(metric, lambda: {(): what()})

    def read_all(self, metric: Metric, what: Read) -> None:
        """A metric with labels that is asked for when somebody looks."""
        self._reads[metric.name] = metric, what

    def look(self, name: str, what: Callable[[], Awaitable[None]]) -> None:
        """Something that must wait for its figures: it is let look every CHECK_EVERY_S, and keeps them for a reader."""
        self._looks[name] = what

    def disk(self, folder: Path) -> None:
        """Shows the room left there."""
        self.read(the.DISK_FREE_BYTES, lambda: float(shutil.disk_usage(folder).free))

    # --- from begin to end -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Watches the running loop from now on."""
        loop = asyncio.get_running_loop()
        self.register.begin()
        self.read(the.TASKS, lambda: float(len(asyncio.all_tasks(loop))))
        self.read_all(the.BUILD, lambda: {(aywa.__version__,): 1.0})
        self._tasks = [
            loop.create_task(self._watch_loop(), name="loop lag"),
            loop.create_task(self._look_around(), name="metrics"),
        ]
        gc.callbacks.append(self._collecting)

    async def close(self) -> None:
        """Watches nothing any more."""
        with suppress(ValueError):
            gc.callbacks.remove(self._collecting)
        for task in self._tasks:
            task.cancel()
        _ = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._thread.shutdown(wait=True)

    # --- ports.metrics.MetricPages -----------------------------------------------------------------------------------

    async def text(self) -> bytes:
        """As the port says."""
        return await self._shown(lambda pages: pages.text)

    async def json(self) -> bytes:
        """As the port says."""
        return await self._shown(lambda pages: pages.json)

    async def _shown(self, form: Callable[[Pages], bytes]) -> bytes:
        if self._clock() - self._read_s >= FRESH_S:
            self._read()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: form(self.taken()))

    # --- in other threads --------------------------------------------------------------------------------------------

    def keep(self) -> None:
        """From now on the parts are asked each FRESH_S, whoever looks, for those who cannot ask them."""
        self._keeps = True
        self._read()

    def taken(self) -> Pages:
        """The figures: what the parts said last, all others as they are. In any thread."""
        with self._making:
            now_s = self._clock()
            if self._pages is None or now_s - self._taken_s >= FRESH_S:
                at_s = time.time()
                own = [
                    Reading(the.LOOP_SILENT_SECONDS, {(): max(0.0, now_s - self._turned_s)}),
                    Reading(the.SNAPSHOT_SECONDS, {(): at_s}),
                ]
                self._pages = self.register.pages([*self._kept, *own], at_s)
                self._taken_s = now_s
            return self._pages

    def _read(self) -> None:
        self._kept = [self._reading(metric, read) for metric, read in self._reads.values()]
        self._read_s = self._clock()

    def _reading(self, metric: Metric, read: Read) -> Reading:
        try:
            return Reading(metric, read())
        except Exception as error:  # noqa: BLE001 - one part that cannot say must not hide all others
            self._break(metric.name, error)
            return Reading(metric, {})

    # --- inside ------------------------------------------------------------------------------------------------------

    def _guarded(self, told: RecordTold) -> RecordTold:
        def guarded(call_id: str, at_s: float, kind: str, data: object) -> None:
            try:
                told(call_id, at_s, kind, data)
            except Exception as error:  # noqa: BLE001 - a call is not held up by whoever counts
                self._break(kind, error)

        return guarded

    def _request(self, call_id: str, request: ProviderRequest) -> None:
        count_request(self.register, request)

    def _break(self, what: str, error: Exception) -> None:
        self._broken[what] += 1
        if self._broken[what] == 1:
            _log.warning("metric_broke", metric=what, error=type(error).__name__)

    async def _watch_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._turned_s = self._clock()
            self.register.observe(the.LOOP_LAG_SECONDS, max(0.0, loop.time() - due_s))
            if self._keeps and self._clock() - self._read_s >= FRESH_S:
                self._read()
            while self._pauses:
                generation, pause_s = self._pauses.popleft()
                self.register.observe(the.GC_PAUSE_SECONDS, pause_s, generation)

    async def _look_around(self) -> None:
        while True:
            for name, look in list(self._looks.items()):
                try:
                    async with asyncio.timeout(CHECK_TIMEOUT_S):
                        await look()
                except Exception as error:  # noqa: BLE001 - what cannot be seen now is looked for again
                    self._break(name, error)
            await asyncio.sleep(CHECK_EVERY_S)

    def _collecting(self, phase: str, info: Mapping[str, Any]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._gc_began_s = now
        else:
            # It may have come in the middle of an entry, in whatever thread: nothing is entered here.
            self._pauses.append((str(info.get("generation", "")), now - self._gc_began_s))

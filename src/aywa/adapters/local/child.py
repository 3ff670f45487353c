"""The child process of models: takes requests as frames on standard input, answers on what was standard output.

Three threads: `ears` (recognition and the turn model, by rank), `voice`, `mind`. It ends when its parent does.
It opens no socket, writes no file, and keeps nothing between requests but the language model's prompt cache.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aywa.adapters.local.wire import Message, messages, pack, write

_RANKS = {"transcribe": 0, "complete": 0, "speak": 0, "partial": 1, "warm": 1, "turn": 2}
_SWITCH_S = 0.001
"""How long a thread may hold the interpreter while another waits: recognition waits for a token's callback."""


class Out:
    """The way to the parent, shared by all threads. Ends the process when the parent is gone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        data = pack(message)
        with self._lock:
            try:
                write(self._descriptor, data)
            except OSError:
                os._exit(0)


@dataclass(order=True)
class Job:
    """One request. Ordered by rank, then by arrival."""

    rank: int
    number: int
    request: Mapping[str, Any] = field(compare=False)
    out: Out = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def piece(self, content: Mapping[str, Any]) -> None:
        self.out.send({"id": self.number, "is": "piece", **content})

    def end(self, **content: Any) -> None:
        self.out.send({"id": self.number, "is": "end", **content})

    def fail(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"[:500]
        self.out.send({"id": self.number, "is": "error", "message": text})


Work = Callable[[Job], None]


def _give_back() -> None:
    """What loading needed and nothing uses any more (50 MB of parsed word lists) goes back to the system, with glibc."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Worker:
    """A thread that loads its models, says that they are ready, and does its jobs one at a time, by rank."""

    def __init__(
        self, name: str, loads: Mapping[str, Callable[[Worker], Mapping[str, Work]]], out: Out
    ) -> None:
        self._loads = loads
        self._out = out
        self._jobs: queue.PriorityQueue[Job] = queue.PriorityQueue()
        self._work: dict[str, Work] = {}
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def put(self, job: Job) -> None:
        self._jobs.put(job)

    @property
    def urgent(self) -> bool:
        """Whether a job of the first rank waits."""
        waiting = self._jobs.queue
        return bool(waiting) and waiting[0].rank == 0

    def _run(self) -> None:
        for role, load in self._loads.items():
            begun = time.monotonic()
            try:
                self._work.update(load(self))
            except Exception as error:  # noqa: BLE001  # a model that cannot be loaded is reported, the others serve
                self._out.send(
                    {"is": "broken", "role": role, "message": f"{type(error).__name__}: {error}"[:500]}
                )
            else:
                self._out.send({"is": "ready", "role": role, "ms": round(1000 * (time.monotonic() - begun))})
        _give_back()
        while True:
            self._do(self._jobs.get())

    def _do(self, job: Job) -> None:
        work = self._work.get(job.request["do"])
        try:
            if work is None:
                raise LookupError(f"no model is loaded for {job.request['do']!r}")
            if not job.cancelled:
                work(job)
            job.end()
        except Exception as error:  # noqa: BLE001  # whatever a model raises is the answer to its request
            job.fail(error)


def _ears(folder: Path) -> Callable[[Worker], Mapping[str, Work]]:
    def load(worker: Worker) -> Mapping[str, Work]:
        from aywa.adapters.local.moonshine import RATE_HZ, Abandoned, Moonshine
        from aywa.adapters.local.resample import from_pcm16, resample

        model = Moonshine(folder)

        def transcribe(job: Job) -> None:
            urgent = job.rank == 0

            def abandoned() -> bool:
                return job.cancelled or (not urgent and worker.urgent)

            audio = resample(from_pcm16(job.request["pcm"]), job.request["rate"], RATE_HZ)
            try:
                job.piece({"text": model.transcribe(audio, abandoned)})
            except Abandoned:
                return

        return {"transcribe": transcribe, "partial": transcribe}

    return load


def _turn(model_file: Path) -> Callable[[Worker], Mapping[str, Work]]:
    def load(_worker: Worker) -> Mapping[str, Work]:
        from aywa.adapters.local.resample import from_pcm16
        from aywa.adapters.local.smart_turn import SmartTurn

        model = SmartTurn(model_file)
        return {"turn": lambda job: job.piece({"score": model.score(from_pcm16(job.request["pcm"]))})}

    return load


def _voice(_worker: Worker) -> Mapping[str, Work]:
    from aywa.adapters.local.hibari import RATE_HZ, HibariVoice
    from aywa.adapters.local.resample import resample, to_pcm16

    voice = HibariVoice()

    def speak(job: Job) -> None:
        rate = int(job.request["rate"])
        for spoken in voice.speak(job.request["text"], float(job.request["speed"])):
            if job.cancelled:
                return
            pcm = to_pcm16(resample(spoken.audio, RATE_HZ, rate))
            job.piece({"pcm": pcm, "words": [list(word) for word in spoken.words]})

    return {"speak": speak}


def _mind(model_file: Path, threads: int) -> Callable[[Worker], Mapping[str, Work]]:
    def load(worker: Worker) -> Mapping[str, Work]:
        from aywa.adapters.local.qwen import Qwen

        model = Qwen(model_file, threads)

        def complete(job: Job) -> None:
            model.complete(job.request, job.piece, lambda: job.cancelled)

        def warm(job: Job) -> None:
            # what has been read stays in the cache, so an answer that is wanted now loses nothing by stopping it
            request = {**job.request, "max_tokens": 1}
            model.complete(request, lambda _piece: None, lambda: job.cancelled or worker.urgent)

        return {"complete": complete, "warm": warm}

    return load


def _workers(plan: Mapping[str, Any], out: Out) -> dict[str, Worker]:
    """plan: what to load, by role. Answers who does what."""
    ears: dict[str, Callable[[Worker], Mapping[str, Work]]] = {}
    if "stt" in plan:
        ears["stt"] = _ears(Path(plan["stt"]))
    if "turn" in plan:
        ears["turn"] = _turn(Path(plan["turn"]))
    doing: dict[str, Worker] = {}
    if "llm" in plan:
        mind = Worker("mind", {"llm": _mind(Path(plan["llm"]), int(plan.get("threads", 2)))}, out)
        doing.update(complete=mind, warm=mind)
    if ears:
        worker = Worker("ears", ears, out)
        doing.update(transcribe=worker, partial=worker, turn=worker)
    if "tts" in plan:
        doing["speak"] = Worker("voice", {"tts": _voice}, out)
    return doing


def serve(inp: int, out: Out) -> None:
    """Takes requests until the parent closes its end. The first message is the plan."""
    stream = messages(inp)
    doing = _workers(next(stream, {}), out)
    jobs: dict[int, Job] = {}
    for message in stream:
        number, do = message["id"], message["do"]
        if do == "cancel":
            if job := jobs.pop(number, None):
                job.cancelled = True
            continue
        job = jobs[number] = Job(_RANKS.get(do, 0), number, message, out)
        if worker := doing.get(do):
            worker.put(job)
        else:
            job.fail(LookupError(f"no model is loaded for {do!r}"))
        while len(jobs) > 1000:  # the parent forgets those that ended; so do we
            jobs.pop(next(iter(jobs)))


def main() -> None:
    """Moves the frames away from standard output, which native libraries write to, and serves."""
    frames = os.dup(1)
    os.dup2(2, 1)
    sys.setswitchinterval(_SWITCH_S)
    try:
        serve(0, Out(frames))
    finally:
        os._exit(0)  # threads may be inside a model; there is nothing to save


if __name__ == "__main__":
    main()

"""The parent's side of the child of models: starts it, asks it, starts it again when it dies. Knows no model."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from aywa.adapters.local.wire import LENGTH_BYTES, Message, length, pack, unpack
from aywa.ports.errors import Fault, ProviderError

_BACK_OFF_S = (0.0, 0.5, 2.0, 5.0, 10.0)
"""Wait before the first, second ... restart in a row; a child that answered a request begins the row anew."""
_MOST_QUEUED = 16 << 20
"""Bytes that may wait for a child that does not read."""
_LAST_LINES = 20
_STOP_S = 1.0
_READY_S = 30.0

_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""One thread of arithmetic in each of the child's threads: more would take the cores from one another."""
_COMMAND = (sys.executable, "-m", "aywa.adapters.local.child")


class ChildProcess:
    """One child, asked by role. plan: what it loads, by role; `roles` are those that it will say are ready."""

    def __init__(
        self,
        plan: Mapping[str, Any],
        roles: Sequence[str],
        *,
        command: Sequence[str] = _COMMAND,
        back_off_s: Sequence[float] = _BACK_OFF_S,
    ) -> None:
        self._plan = dict(plan)
        self._command = tuple(command)
        self._back_off_s = tuple(back_off_s)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[Message | ProviderError]] = {}
        self._ready = {role: asyncio.Event() for role in roles}
        self._broken: dict[str, str] = {}
        self._load_ms: dict[str, int] = {}
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._runner: asyncio.Task[None] | None = None
        self._gone = ""
        self._closing = False
        self.deaths = 0
        """Times that the child ended without being asked to."""

    @property
    def pid(self) -> int | None:
        """The child's process id, while it runs."""
        process = self._process
        return process.pid if process and process.returncode is None else None

    @property
    def load_ms(self) -> Mapping[str, int]:
        """How long each role took to load, since the child started it."""
        return self._load_ms

    @property
    def last_lines(self) -> tuple[str, ...]:
        """What the child last wrote on standard error."""
        return tuple(self._lines)

    def start(self) -> None:
        """Starts the child; it loads while the caller goes on. Needs a running loop."""
        self._runner = asyncio.get_running_loop().create_task(self._run(), name="local-models")

    async def ready(self, role: str | None = None) -> None:
        """Waits until the role, or every role, is loaded. Raises ProviderError when it cannot be, or not within 30 s."""
        for name in self._ready if role is None else (role,):
            if name not in self._ready:
                raise self._error("not_loaded", f"no model was loaded for {name}", retryable=False)
            try:
                async with asyncio.timeout(_READY_S):
                    await self._ready[name].wait()
            except TimeoutError:
                raise self._error("engine_slow", f"{name} was not loaded within {_READY_S:.0f} s") from None
            if self._gone or self._closing:
                raise self._error("engine_died", self._gone or "it was closed", retryable=False)
            if problem := self._broken.get(name):
                raise self._error("model_broken", f"{name} cannot be loaded: {problem}", retryable=False)

    async def stream(self, role: str, do: str, **content: Any) -> AsyncGenerator[Message]:
        """The pieces of one request's answer. Closing the generator cancels it. Raises ProviderError."""
        await self.ready(role)
        number = next(self._numbers)
        answers = self._waiting[number] = asyncio.Queue()
        try:
            self._send({"id": number, "do": do, **content})
            while True:
                answer = await answers.get()
                if isinstance(answer, ProviderError):
                    raise answer
                if answer["is"] == "end":
                    return
                if answer["is"] == "error":
                    raise self._error("engine_failed", f"{do}: {answer['message']}")
                yield answer
        finally:
            if self._waiting.pop(number, None) is not None:
                with contextlib.suppress(ProviderError):
                    self._send({"id": number, "do": "cancel"})

    async def ask(self, role: str, do: str, **content: Any) -> Message:
        """The only piece of an answer; an empty map when the child dropped the request as stale."""
        last: Message = {}
        async with contextlib.aclosing(self.stream(role, do, **content)) as pieces:
            async for piece in pieces:
                last = piece
        return last

    def rss_mb(self) -> float:
        """Resident memory of the child in MB (10^6 bytes); 0 where it cannot be told."""
        try:
            with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        except (OSError, IndexError, ValueError):
            return 0.0

    async def close(self) -> None:
        """Ends the child and everything that waits for it, within 2 s."""
        self._closing = True
        if self._runner:
            self._runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._runner
        self._fail_all(self._error("engine_closed", "it was closed", retryable=False))
        for event in self._ready.values():
            event.set()

    async def _run(self) -> None:
        """Keeps a child running until it is closed or has died too often."""
        failures = 0
        while True:
            served = await self._live()
            self.deaths += 1
            failures = 1 if served else failures + 1
            said = f" ({self._lines[-1]})" if self._lines else ""
            self._fail_all(self._error("engine_died", f"the child ended{said}"))
            for event in self._ready.values():
                event.clear()
            if failures > len(self._back_off_s):
                self._give_up(f"the child ended {failures} times in a row{said}")
                return
            await asyncio.sleep(self._back_off_s[failures - 1])

    async def _live(self) -> bool:
        """One life of the child. Answers whether it has answered a request."""
        self._broken.clear()
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,  # Ctrl-C is for the parent, which then ends the child in its own time
        )
        errors = asyncio.get_running_loop().create_task(self._listen(process), name="local-models-stderr")
        try:
            self._send(self._plan)
            return await self._read(process)
        finally:
            await _end(process)
            await errors

    async def _read(self, process: asyncio.subprocess.Process) -> bool:
        assert process.stdout is not None
        served = False
        try:
            while True:
                size = length(await process.stdout.readexactly(LENGTH_BYTES))
                message = unpack(await process.stdout.readexactly(size))
                served = self._take(message) or served
        except asyncio.IncompleteReadError:
            return served
        except ValueError as error:
            self._lines.append(f"the child sent {error}")
            return served

    def _take(self, message: Message) -> bool:
        """Answers whether the message answers a request."""
        match message["is"]:
            case "ready" | "broken" as state:
                role = message["role"]
                if state == "broken":
                    self._broken[role] = message["message"]
                else:
                    self._load_ms[role] = message["ms"]
                if role in self._ready:
                    self._ready[role].set()
                return False
            case state:
                number = message["id"]
                answers = self._waiting.get(number)
                if answers is not None:
                    answers.put_nowait(message)
                    if state != "piece":
                        del self._waiting[number]
                return True

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Keeps what native libraries write away from the terminal, and the last of it for the error."""
        assert process.stderr is not None
        rest = b""
        while block := await process.stderr.read(4096):
            *lines, rest = (rest + block)[-65536:].split(b"\n")
            self._lines.extend(line.decode(errors="replace").strip() for line in lines if line.strip())

    def _send(self, message: Message) -> None:
        pipe = self._process.stdin if self._process else None
        if pipe is None or pipe.is_closing() or self.pid is None:
            raise self._error("engine_died", "the child is not running")
        if pipe.transport.get_write_buffer_size() > _MOST_QUEUED:
            raise self._error("engine_busy", "the child does not read its requests")
        pipe.write(pack(message))

    def _fail_all(self, error: ProviderError) -> None:
        waiting, self._waiting = self._waiting, {}
        for answers in waiting.values():
            answers.put_nowait(error)

    def _give_up(self, why: str) -> None:
        self._gone = why
        for event in self._ready.values():
            event.set()

    def _error(self, code: str, message: str, *, retryable: bool = True) -> ProviderError:
        return ProviderError("local", code, message, fault=Fault.RUNTIME, retryable=retryable)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Closes the child's input, which ends it; kills it if that does not. Reaps it."""
    if process.stdin:
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise

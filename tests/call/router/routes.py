"""Models and voices that do what a list says, and tell how they were let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aywa.ports.llm import LlmDelta, LlmRequest, TextDelta
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions


class Told:
    """What was put on the call's record."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.notes.append((kind, dict(fields)))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.notes]


@dataclass
class Scripted:
    """Every request takes the next script, the last one again and again: a number is a pause, an exception breaks it, "stuck"
    hangs and does not let itself be cancelled until `free` is set. closed: how many ended, of their own or let go."""

    scripts: list[list[Any]] = field(default_factory=lambda: [["Hello."]])
    name: str = "one"
    asked: list[Any] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    closed: int = 0
    cancelled: int = 0
    warmed: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self, what: Any) -> AsyncIterator[Any]:
        self.asked.append(what)
        self.asked_at.append(now())
        script = self.scripts[min(len(self.asked), len(self.scripts)) - 1]
        try:
            for item in script:
                if isinstance(item, BaseException):
                    raise item
                if item == "stuck":
                    await self.hang()
                elif isinstance(item, int | float):
                    await asyncio.sleep(item)
                else:
                    yield item
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.closed += 1

    async def hang(self) -> None:
        while not self.free.is_set():
            try:
                await self.free.wait()
            except asyncio.CancelledError:
                self.cancelled += 1

    async def close(self) -> None: ...


@dataclass
class Model(Scripted):
    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        async for item in self.play(request):
            yield TextDelta(item) if isinstance(item, str) else item

    async def warm(self, request: LlmRequest) -> None:
        self.warmed += 1


@dataclass
class Voice(Scripted):
    capabilities: TtsCapabilities = field(default_factory=lambda: TtsCapabilities((8000,), True))

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        async for item in self.play(text):
            yield item

    async def warm(self, options: TtsOptions) -> None:
        self.warmed += 1


def about(value: float) -> Any:
    """Equal to it but for rounding, also within a tuple."""
    return pytest.approx(value)


def now() -> float:
    return asyncio.get_running_loop().time()


def others() -> set[asyncio.Task[Any]]:
    """The tasks beside this one."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}

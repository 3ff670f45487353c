"""Requests that tools send within the dialogs of phone calls: each waits here for its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Protocol

from aywa.core.sip.events import RequestAnswered
from aywa.core.sip.session import NO_DIALOG
from aywa.ports.tools import ToolSipAnswer, ToolSipRequest


class PhoneRequests:
    """begin(call, key, request): sends it; `take` is told of its answer."""

    def __init__(self, begin: Callable[[str, str, ToolSipRequest], None]) -> None:
        self._begin = begin
        self._waiting: dict[str, asyncio.Future[ToolSipAnswer]] = {}
        self._keys = count(1)

    async def send(self, call: str, request: ToolSipRequest) -> ToolSipAnswer:
        """To the far side of the agent's call."""
        key = str(next(self._keys))
        waiting: asyncio.Future[ToolSipAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiting
        try:
            self._begin(call, key, request)
            return await waiting
        finally:
            del self._waiting[key]

    def take(self, event: RequestAnswered) -> None:
        """The answer; of one that nobody waits for any more, nothing."""
        waiting = self._waiting.get(event.key)
        if waiting is not None and not waiting.done():
            waiting.set_result(ToolSipAnswer(event.status, event.reason))


class Lines(Protocol):
    """Who has phone calls."""

    def has_dialog(self, call_id: str) -> bool:
        """Whether the call is one of ours, and up."""

    async def ask(self, call_id: str, request: ToolSipRequest) -> ToolSipAnswer:
        """Within the call's dialog."""


class CallDialog:
    """ports.tools.SipDialog of one call, wherever it is by then. lines: None where there is no SIP port."""

    def __init__(self, call_id: str, lines: Lines | None) -> None:
        self._call_id = call_id
        self._lines = lines

    @property
    def up(self) -> bool:
        """As the port says."""
        return self._lines is not None and self._lines.has_dialog(self._call_id)

    async def send(self, request: ToolSipRequest) -> ToolSipAnswer:
        """As the port says."""
        if self._lines is None:
            return ToolSipAnswer(0, NO_DIALOG)
        return await self._lines.ask(self._call_id, request)

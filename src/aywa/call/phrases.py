"""The call's stock phrases: synthesised one after the other when the call begins, kept until it ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from aywa.call.replies import ReplyRoutes
from aywa.core import events as ev
from aywa.core.audio.frame import SAMPLE_BYTES
from aywa.core.commands import PreparePhrase


class PhraseMaker:
    """audio: (phrase number, source) -> PCM16 at the voice's rate. Never raises: a phrase without a voice is not prepared."""

    def __init__(self, routes: ReplyRoutes, post: Callable[[ev.Event], None]) -> None:
        self._routes = routes
        self._post = post
        self._wanted: deque[PreparePhrase] = deque()
        self.audio: dict[tuple[int, str], bytes] = {}

    def want(self, command: PreparePhrase) -> bool:
        """Takes it up; True when `run` must be called for it. The runtime's own voice stands in until it is made."""
        stock = self._routes.stock_pcm(command.text)
        if stock:
            self._made(command, stock, (), "stock")
        self._wanted.append(command)
        return len(self._wanted) == 1

    async def run(self) -> None:
        """Until all that is wanted is there."""
        while self._wanted:
            await self._prepare(self._wanted[0])
            self._wanted.popleft()

    async def _prepare(self, command: PreparePhrase) -> None:
        try:
            pcm, words = await self._routes.phrases.phrase(self._routes, command.text)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return
        except Exception:  # noqa: BLE001 - a voice may fail in any way, and the phrase is for exactly that case
            return
        if pcm:
            self._made(command, pcm, words, "voice")

    def _made(self, command: PreparePhrase, pcm: bytes, words: tuple[ev.HeardWord, ...], source: str) -> None:
        self.audio[command.phrase_id, source] = pcm
        samples = len(pcm) // SAMPLE_BYTES
        self._post(ev.PhrasePrepared(command.phrase_id, command.text, samples, words, source))

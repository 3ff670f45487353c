"""A customer's own recogniser, simulated: WebSocket at /custom-transcriber, protocol of contract 4.5.

Plan: custom-transcriber; what it may hold is in aywa.testing.vendors.hearing. A key in X-Vapi-Secret or as Bearer must be a
right one if there is any.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from aywa.ports.stt import Word
from aywa.testing.vendors.hearing import SENTENCE, Ear, Recognition, scripted
from aywa.testing.vendors.world import Messages, World, bearer, html_page, refusal

ROUTE = "custom-transcriber"
START_S = 5.0


def routes(world: World) -> list[web.RouteDef]:
    """GET /custom-transcriber, upgraded."""

    async def transcribe(request: web.Request) -> web.StreamResponse:
        return await _serve(world, request)

    return [web.get("/custom-transcriber", transcribe)]


async def _serve(world: World, request: web.Request) -> web.StreamResponse:
    plan = world.plans.take(ROUTE)
    key = request.headers.get("X-Vapi-Secret") or bearer(request)
    asked = world.note(ROUTE, request, key)
    if key and not asked.key_right:
        return web.Response(status=401)
    if (trouble := refusal(plan)) is not None:
        return web.Response(status=trouble.status)
    if (page := html_page(plan)) is not None:
        return page
    socket = web.WebSocketResponse()
    out = Messages(world, asked, plan, request, socket)
    await out.strike(None)
    await socket.prepare(request)
    begun = await socket.receive(START_S)
    start = _start(begun.data) if begun.type is WSMsgType.TEXT else None
    asked.messages.append(start)
    if start is None:
        await socket.close(code=1008, message=b"the first message must be start")
        return socket
    rate_hz = int(start["sampleRate"])
    stt = None if scripted(plan) or world.stt is None else world.stt
    ear = Ear.of(rate_hz, plan, world.plans.text(ROUTE, plan, start, SENTENCE))
    await CustomRecognition(world, plan, ear, out, rate_hz, stt).run(socket)
    return socket


def _start(text: str) -> dict[str, Any] | None:
    try:
        start = json.loads(text)
        right = (start["type"], start["encoding"], start["container"], start["channels"])
        if right != ("start", "linear16", "raw", 2) or not 8000 <= int(start["sampleRate"]) <= 48000:
            return None
    except (ValueError, KeyError, TypeError):
        return None
    return dict(start)


class CustomRecognition(Recognition):
    """One call's."""

    def decoded(self, data: bytes) -> bytes:
        """The caller's channel."""
        return np.frombuffer(data, "<i2").reshape(-1, 2)[:, 0].tobytes()

    async def ordered(self, text: str) -> bool:
        return False

    def partial(self, words: Sequence[Word]) -> None:
        self._respond(words, "partial")

    def final(self, words: Sequence[Word], *, asked: bool) -> None:
        self._respond(words, "final")

    def _respond(self, words: Sequence[Word], kind: str) -> None:
        response = {
            "type": "transcriber-response",
            "transcription": " ".join(word.text for word in words),
            "channel": "customer",
            "transcriptType": kind,
        }
        self.tell(json.dumps(response))

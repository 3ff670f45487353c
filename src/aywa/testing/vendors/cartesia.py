"""Cartesia: contexts over a WebSocket (route cartesia.websocket), bytes over HTTP (cartesia.bytes), and the list of voices.

Wire: https://docs.cartesia.ai/api-reference/tts/websocket and what it links to. As the real one: a context goes on until an
input without `continue`, or expires one second after its last audio; times count from the context's beginning; some audio may
still come after `cancel`. A plan is for one context; one for cartesia.connect is for a handshake.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from aywa.testing.vendors.plan import Plan
from aywa.testing.vendors.voice import Piece, exists, speak
from aywa.testing.vendors.world import Body, Messages, World, bearer, html_page, is_right, refusal

STREAM, CONNECT, BYTES, ACCOUNT = (
    "cartesia.websocket",
    "cartesia.connect",
    "cartesia.bytes",
    "cartesia.account",
)
EXPIRES_S = 1.0
"""After the last audio of a context that goes on."""

_REQUEST_ID = "550e8400-e29b-41d4-a716-446655440000"
_ENCODINGS = {"pcm_mulaw": True, "pcm_s16le": False}
_RATES_HZ = (8000, 16000, 22050, 24000, 44100, 48000)
_TITLES = {
    "unauthorized": "Unauthorized",
    "voice_not_found": "Voice not found",
    "model_not_found": "Invalid model",
    "quota_exceeded": "Credits exhausted",
    "concurrency_limited": "Too many concurrent requests",
}
_BY_STATUS = {
    401: "unauthorized",
    402: "quota_exceeded",
    404: "voice_not_found",
    429: "concurrency_limited",
}


def routes(world: World) -> list[web.RouteDef]:
    """Of the vendor's API."""
    vendor = _Vendor(world)
    return [
        web.get("/tts/websocket", vendor.socket),
        web.post("/tts/bytes", vendor.bytes),
        web.get("/voices", vendor.voices),
        web.get("/voices/", vendor.voices),
    ]


class _Vendor:
    def __init__(self, world: World) -> None:
        self._world = world

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """Until either side closes."""
        plan = self._world.plans.take(CONNECT)
        key = _key(request)
        connected = self._world.note(CONNECT, request, key)
        if (page := html_page(plan)) is not None:
            return page
        if (trouble := refusal(plan)) is not None:
            return _refused(trouble.status, trouble.code)
        if not is_right(key):
            return _refused(401, "unauthorized")
        socket = web.WebSocketResponse(autoping=True, compress=False)
        await Messages(self._world, connected, plan, request, socket).strike(None)
        await socket.prepare(request)
        talk = _Talk(self._world, request, socket)
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                await talk.take(json.loads(message.data))
        finally:
            await talk.close()
        return socket

    async def bytes(self, request: web.Request) -> web.StreamResponse:
        """A text at once."""
        body: dict[str, Any] = {}
        with suppress(ValueError):
            body = await request.json()
        plan = self._world.plans.take(BYTES)
        key = _key(request)
        asked = self._world.note(BYTES, request, key, body)
        if (trouble := refusal(plan)) is not None:
            return _refused(trouble.status, trouble.code)
        if not is_right(key):
            return _refused(401, "unauthorized")
        if code := _wrong(body):
            return _refused(404 if code.endswith("not_found") else 400, code)
        form = body["output_format"]
        rate_hz, mulaw = form["sample_rate"], _ENCODINGS[form["encoding"]]
        out = Body(self._world, asked, plan, request, content_type="audio/pcm")
        await out.start()
        async for piece in speak(
            self._world.tts, str(body.get("transcript")), rate_hz, _speed(body), mulaw=mulaw
        ):
            await out.send(piece.audio, _lasts_s(plan, piece))
        return await out.end()

    async def voices(self, request: web.Request) -> web.StreamResponse:
        """One."""
        key = _key(request)
        self._world.note(ACCOUNT, request, key)
        plan = self._world.plans.take(ACCOUNT)
        if (page := html_page(plan)) is not None:
            return page
        if (trouble := refusal(plan)) is not None:
            return _refused(trouble.status, trouble.code)
        if not is_right(key):
            return _refused(401, "unauthorized")
        voice = {
            "id": "sim-voice",
            "name": "Sim",
            "description": "A tone for each word",
            "created_at": "2026-01-01T00:00:00Z",
            "is_owner": False,
            "is_public": True,
            "language": "en",
        }
        # The client asks on until there are none.
        there = [] if "starting_after" in request.query else [voice]
        return web.json_response({"data": there, "has_more": False, "next_page": None})


class _Talk:
    """One WebSocket."""

    def __init__(self, world: World, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.world = world
        self.request = request
        self.socket = socket
        self.contexts: dict[str, _Context] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self._ended: set[str] = set()

    async def take(self, message: Mapping[str, Any]) -> None:
        """A message of the client's."""
        context_id = str(message.get("context_id") or "")
        context = self.contexts.get(context_id)
        if message.get("cancel"):
            if context is not None:
                context.cancel()
            return
        if context is None:
            code = _wrong(message)
            if context_id in self._ended:
                await self.fail(context_id, 400, "", "The context has ended.")
                return
            if code:
                self.world.note(STREAM, self.request, _key(self.request), message).ended = "refused"
                await self.fail(context_id, 404 if code.endswith("not_found") else 400, code)
                return
            context = self.contexts[context_id] = _Context(self, context_id, message)
        context.take(message)

    async def fail(self, context_id: str, status: int, code: str, message: str = "") -> None:
        """The vendor's error event."""
        code = code or _BY_STATUS.get(status, "")
        await self.socket.send_json(
            {
                "type": "error",
                "done": True,
                "status_code": status,
                "error_code": code or None,
                "title": _TITLES.get(code, "Error"),
                "message": message or "The request could not be carried out.",
                "request_id": f"{_REQUEST_ID}:{context_id}",
                "context_id": context_id,
            }
        )

    def forget(self, context_id: str) -> None:
        """The context is over."""
        self.contexts.pop(context_id, None)
        self._ended.add(context_id)

    async def close(self) -> None:
        """Stops everything."""
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)


class _Context:
    """One context: what it is sent, and the task that speaks it."""

    def __init__(self, talk: _Talk, context_id: str, first: Mapping[str, Any]) -> None:
        self._talk = talk
        self._id = context_id
        form = first["output_format"]
        self._rate_hz: int = form["sample_rate"]
        self._mulaw = _ENCODINGS[form["encoding"]]
        self._speed = _speed(first)
        self._times = bool(first.get("add_timestamps"))
        self._flushes = 1
        self._said_s = 0.0
        self._late: Piece | None = None
        self._work: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        world = talk.world
        self._plan: Plan = world.plans.take(STREAM)
        self._asked = world.note(STREAM, talk.request, _key(talk.request), dict(first))
        self._out = Messages(world, self._asked, self._plan, talk.request, talk.socket)
        self._task = asyncio.create_task(self._run(), name=f"cartesia {context_id}")
        talk.tasks.add(self._task)
        self._task.add_done_callback(talk.tasks.discard)

    def take(self, message: Mapping[str, Any]) -> None:
        """Another input."""
        self._asked.messages.append(dict(message))
        self._work.put_nowait(message)

    def cancel(self) -> None:
        """Stops. What is on its way still comes."""
        self._asked.messages.append({"cancel": True})
        self._asked.ended = "left"
        self._talk.forget(self._id)
        self._task.cancel()

    async def _run(self) -> None:
        try:
            with suppress(ConnectionError):
                await self._speak()
        except asyncio.CancelledError:
            self._asked.ended = "left"
            if self._late is not None and not self._talk.socket.closed:
                with suppress(ConnectionError):
                    await self._talk.socket.send_json(self._chunk(self._late))
        finally:
            self._talk.forget(self._id)

    async def _speak(self) -> None:
        trouble = refusal(self._plan)
        if trouble is None:
            await self._out.strike(None)
        while True:
            try:
                async with asyncio.timeout(EXPIRES_S if self._said_s else None):
                    message = await self._work.get()
            except TimeoutError:
                break
            if trouble is not None:
                self._asked.ended = "refused"
                await self._talk.fail(self._id, trouble.status, trouble.code)
                return
            if str(message.get("transcript") or "").strip():
                await self._say(str(message["transcript"]))
            if message.get("flush"):
                done = {"type": "flush_done", "done": False, "flush_done": True, "data": ""}
                await self._tell(done | {"flush_id": self._flushes})
                self._flushes += 1
            if not message.get("continue"):
                break
        await self._tell({"type": "done", "done": True})
        self._asked.ended = "whole"

    async def _say(self, text: str) -> None:
        self._out.pace.restart()
        start_s = self._said_s
        async for piece in speak(self._talk.world.tts, text, self._rate_hz, self._speed, mulaw=self._mulaw):
            self._late = piece
            if piece.words and self._times:
                times = {
                    "words": [word.text for word in piece.words],
                    "start": [round(start_s + word.start_s, 6) for word in piece.words],
                    "end": [round(start_s + word.end_s, 6) for word in piece.words],
                }
                await self._out.pace.wait()
                await self._tell({"type": "timestamps", "done": False, "word_timestamps": times})
            await self._out.send(json.dumps(self._chunk(piece)), _lasts_s(self._plan, piece))
            self._said_s += piece.length_s

    async def _tell(self, message: dict[str, Any]) -> None:
        await self._out.send(json.dumps(message | {"status_code": 206, "context_id": self._id}), pace=False)

    def _chunk(self, piece: Piece) -> dict[str, Any]:
        return {
            "type": "chunk",
            "data": piece.base64,
            "done": False,
            "status_code": 206,
            "step_time": 12.5,
            "flush_id": self._flushes,
            "context_id": self._id,
        }


def _key(request: web.Request) -> str:
    """Of the header that the vendor wants, of the older one, or of the query."""
    return bearer(request) or request.headers.get("X-API-Key", "") or request.query.get("api_key", "")


def _wrong(message: Mapping[str, Any]) -> str:
    """The vendor's code for what is wrong with a request."""
    voice = message.get("voice")
    voice_id = voice.get("id") if isinstance(voice, Mapping) else voice
    form = message.get("output_format")
    if not exists(str(message.get("model_id") or "")):
        return "model_not_found"
    if not exists(str(voice_id or "")):
        return "voice_not_found"
    usual = (
        isinstance(form, Mapping)
        and form.get("container") == "raw"
        and form.get("encoding") in _ENCODINGS
        and form.get("sample_rate") in _RATES_HZ
    )
    return "" if usual else "invalid_request"


def _speed(message: Mapping[str, Any]) -> float:
    config = message.get("generation_config")
    speed = config.get("speed") if isinstance(config, Mapping) else None
    return float(speed) if isinstance(speed, int | float) else 1.0


def _lasts_s(plan: Plan, piece: Piece) -> float:
    return piece.length_s / plan.realtime if plan.realtime else 0.0


def _refused(status: int, code: str) -> web.Response:
    code = code or _BY_STATUS.get(status, "")
    body = {
        "error_code": code or None,
        "title": _TITLES.get(code, "Error"),
        "message": "The request could not be carried out.",
        "request_id": _REQUEST_ID,
    }
    return web.json_response(body, status=status)

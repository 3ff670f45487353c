"""ElevenLabs: text over WebSockets with many contexts (route elevenlabs.stream) or with one, over HTTP (elevenlabs.speech),
and what a key check asks for.

Wire: https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input. As the real one,
the handshake takes any key and any voice, and an error is a message before a close with 1008; an answered flush is silent, and
`isFinal` comes after `close_context`. A plan is for one context; one for elevenlabs.connect is for a handshake.
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
from aywa.testing.vendors.world import Body, Messages, World, html_page, is_right, refusal

MOST_CONTEXTS = 5
STREAM, CONNECT, SPEECH, ACCOUNT = (
    "elevenlabs.stream",
    "elevenlabs.connect",
    "elevenlabs.speech",
    "elevenlabs.account",
)

_POLICY = 1008
_MOST_REASON_BYTES = 120
_FORMATS = {
    "ulaw_8000": (8000, True),
    **{f"pcm_{rate}": (rate, False) for rate in (8000, 16000, 22050, 24000, 44100)},
}
_DEFAULT_SCHEDULE = 120
_DEFAULT_INACTIVITY_S = 20.0
_SENTENCE_ENDS = (".", "!", "?")
_BY_STATUS = {
    400: "bad_request",
    401: "invalid_api_key",
    402: "insufficient_credits",
    403: "missing_permissions",
    404: "voice_id_does_not_exist",
    429: "too_many_concurrent_requests",
}
_MESSAGES = {
    "invalid_api_key": "Invalid API key",
    "quota_exceeded": "This request exceeds your quota of 10000. You have 0 credits remaining, while 91 credits are "
    "required for this request.",
    "too_many_concurrent_requests": "Too many concurrent requests. Your current subscription is associated with a maximum "
    "of 5 concurrent requests (running in parallel).",
    "max_active_conversations": "Maximum simultaneous contexts per WebSocket connection exceeded (5). Please close an "
    "existing context before opening a new one.",
    "input_timeout_exceeded": "Have not received a new text input within the timeout. Streaming input terminated.",
    "missing_permissions": "The API key you used is missing the permission text_to_speech to execute this operation.",
}


def routes(world: World) -> list[web.RouteDef]:
    """Of the vendor's API."""
    vendor = _Vendor(world)
    return [
        web.get("/v1/text-to-speech/{voice}/multi-stream-input", vendor.many),
        web.get("/v1/text-to-speech/{voice}/stream-input", vendor.one),
        web.post("/v1/text-to-speech/{voice}/stream", vendor.speech),
        web.post("/v1/text-to-speech/{voice}", vendor.speech),
        # Not /v1/models: behind this port that is OpenAI's.
        web.get("/v1/voices", vendor.voices),
        web.get("/v1/user", vendor.user),
        web.get("/v1/user/subscription", vendor.subscription),
    ]


class _Vendor:
    def __init__(self, world: World) -> None:
        self._world = world

    async def many(self, request: web.Request) -> web.StreamResponse:
        """With contexts."""
        return await self._socket(request, many=True)

    async def one(self, request: web.Request) -> web.StreamResponse:
        """With one stream of text, which an empty text ends."""
        return await self._socket(request, many=False)

    async def speech(self, request: web.Request) -> web.StreamResponse:
        """A text at once, its audio streamed."""
        body = await _json(request)
        plan = self._world.plans.take(SPEECH)
        key = request.headers.get("xi-api-key", "")
        asked = self._world.note(SPEECH, request, key, body)
        code = self._wrong(key, request.match_info["voice"], str(body.get("model_id") or "eleven_flash_v2_5"))
        if (trouble := refusal(plan)) is not None:
            return _refused(
                trouble.status, trouble.code or _BY_STATUS.get(trouble.status, "internal_server_error")
            )
        if code:
            return _refused(401 if code == "invalid_api_key" else 400, code)
        text, name = body.get("text"), request.query.get("output_format", "mp3_44100_128")
        if not isinstance(text, str):
            missing = {"type": "missing", "loc": ["body", "text"], "msg": "Field required", "input": body}
            return web.json_response({"detail": [missing]}, status=422)
        if name not in _FORMATS:
            return _refused(400, "invalid_output_format")
        rate_hz, mulaw = _FORMATS[name]
        out = Body(
            self._world,
            asked,
            plan,
            request,
            content_type="audio/basic" if mulaw else "audio/pcm",
            headers={"request-id": "sim", "character-cost": str(len(text))},
        )
        await out.start()
        speed = _speed(body.get("voice_settings"))
        async for piece in speak(self._world.tts, text, rate_hz, speed, mulaw=mulaw):
            await out.send(piece.audio, _lasts_s(plan, piece))
        return await out.end()

    async def voices(self, request: web.Request) -> web.StreamResponse:
        """One."""
        voice = {"voice_id": "sim-voice", "name": "Sim", "category": "premade", "labels": {}}
        return self._account(request, {"voices": [voice]})

    async def user(self, request: web.Request) -> web.StreamResponse:
        """Whose key it is."""
        subscription = _SUBSCRIPTION
        user = {
            "user_id": "sim",
            "workspace_id": "sim",
            "subscription": subscription,
            "is_new_user": False,
            "can_use_delayed_payment_methods": False,
            "is_onboarding_completed": True,
            "is_onboarding_checklist_completed": True,
            "created_at": 1_700_000_000,
            "seat_type": "workspace_admin",
        }
        return self._account(request, user)

    async def subscription(self, request: web.Request) -> web.StreamResponse:
        """And what is left."""
        return self._account(request, _SUBSCRIPTION)

    def _account(self, request: web.Request, answer: Any) -> web.Response:
        key = request.headers.get("xi-api-key", "")
        self._world.note(ACCOUNT, request, key)
        plan = self._world.plans.take(ACCOUNT)
        if (page := html_page(plan)) is not None:
            return page
        if (trouble := refusal(plan)) is not None:
            return _refused(
                trouble.status, trouble.code or _BY_STATUS.get(trouble.status, "internal_server_error")
            )
        if not is_right(key):
            return _refused(401, "invalid_api_key")
        return web.json_response(answer)

    async def _socket(self, request: web.Request, *, many: bool) -> web.StreamResponse:
        plan = self._world.plans.take(CONNECT)
        if (page := html_page(plan)) is not None:
            return page
        if (trouble := refusal(plan)) is not None:
            return _refused(
                trouble.status, trouble.code or _BY_STATUS.get(trouble.status, "internal_server_error")
            )
        key = request.headers.get("xi-api-key", "")
        connected = self._world.note(CONNECT, request, key)
        model = request.query.get("model_id", "eleven_flash_v2_5")
        if many and model == "eleven_v3":
            return _refused(400, "unsupported_model")
        socket = web.WebSocketResponse(autoping=True, compress=False)
        talk = _Talk(self._world, request, socket, many=many)
        await Messages(self._world, connected, plan, request, socket).strike(None)
        await socket.prepare(request)
        await talk.run(self._wrong(key, request.match_info["voice"], model))
        return socket

    def _wrong(self, key: str, voice: str, model: str) -> str:
        """The vendor's code for what is wrong with the request."""
        if not is_right(key):
            return "invalid_api_key"
        if not exists(voice):
            return "voice_id_does_not_exist"
        return "" if exists(model) else "model_not_found"


class _Talk:
    """One WebSocket."""

    def __init__(
        self, world: World, request: web.Request, socket: web.WebSocketResponse, *, many: bool
    ) -> None:
        self.world = world
        self.request = request
        self.socket = socket
        self.many = many
        self.rate_hz, self.mulaw = _FORMATS.get(request.query.get("output_format", ""), (44100, False))
        self.auto = request.query.get("auto_mode") == "true"
        self.voice = request.match_info["voice"]
        self.tasks: set[asyncio.Task[None]] = set()
        self.contexts: dict[str, _Context] = {}

    async def run(self, wrong: str) -> None:
        """Until either side closes."""
        inactivity_s = float(self.request.query.get("inactivity_timeout", _DEFAULT_INACTIVITY_S))
        try:
            if wrong == "invalid_api_key":
                await self.fail(wrong)
                return
            while True:
                try:
                    async with asyncio.timeout(inactivity_s):
                        message = await self.socket.receive()
                except TimeoutError:
                    await self.fail("input_timeout_exceeded")
                    return
                if message.type is not WSMsgType.TEXT:
                    return
                if wrong:
                    await self.fail(wrong)
                    return
                if not await self._take(json.loads(message.data)):
                    return
        finally:
            for task in self.tasks:
                task.cancel()
            if self.tasks:
                await asyncio.wait(self.tasks)

    async def fail(self, code: str) -> None:
        """The vendor's error, and the close that follows."""
        message = _MESSAGES.get(code, f"A voice with voice_id {self.voice} does not exist.")
        with suppress(ConnectionError):
            await self.socket.send_str(json.dumps({"message": message, "error": code, "code": _POLICY}))
            await self.socket.close(code=_POLICY, message=message.encode()[:_MOST_REASON_BYTES])

    async def _take(self, message: Mapping[str, Any]) -> bool:
        if message.get("close_socket"):
            left = list(self.contexts.values())
            for each in left:
                each.take({"flush": True, "close_context": True})
            await asyncio.gather(*(each.task for each in left))
            return False
        context_id = str(message.get("context_id") or message.get("contextId") or "default")
        context = self.contexts.get(context_id)
        if context is None:
            if len(self.contexts) >= MOST_CONTEXTS:
                await self.fail("max_active_conversations")
                return False
            context = self.contexts[context_id] = _Context(self, context_id)
        context.take(message)
        if not self.many and message.get("text") == "":
            await context.task
            await self.socket.close()
            return False
        return True


class _Context:
    """One context: what it is sent, and the task that speaks it."""

    def __init__(self, talk: _Talk, context_id: str) -> None:
        self._talk = talk
        self._id = context_id
        self._text = ""
        self._schedule = _DEFAULT_SCHEDULE
        self._speed = 1.0
        self._work: asyncio.Queue[str | None] = asyncio.Queue()
        world = talk.world
        self._plan: Plan = world.plans.take(STREAM)
        self._asked = world.note(STREAM, talk.request, talk.request.headers.get("xi-api-key", ""))
        self._out = Messages(world, self._asked, self._plan, talk.request, talk.socket)
        self.task = asyncio.create_task(self._run(), name=f"elevenlabs {context_id}")
        talk.tasks.add(self.task)
        self.task.add_done_callback(talk.tasks.discard)

    def take(self, message: Mapping[str, Any]) -> None:
        """A message to it."""
        self._asked.messages.append(message)
        if "voice_settings" in message:
            self._speed = _speed(message["voice_settings"])
        schedule = (message.get("generation_config") or {}).get("chunk_length_schedule")
        if schedule:
            self._schedule = int(schedule[0])
        text = str(message.get("text") or "")
        self._text += text
        ripe = len(self._text) >= self._schedule
        ripe |= self._talk.auto and self._text.rstrip().endswith(_SENTENCE_ENDS)
        ended = not self._talk.many and message.get("text") == ""
        if (message.get("flush") or ripe or ended) and self._text.strip():
            self._work.put_nowait(self._text)
            self._text = ""
        if message.get("close_context") or ended:
            self._work.put_nowait(None)

    async def _run(self) -> None:
        try:
            with suppress(ConnectionError):
                await self._speak()
        except asyncio.CancelledError:
            self._asked.ended = self._asked.ended or "left"
            raise
        finally:
            self._talk.contexts.pop(self._id, None)

    async def _speak(self) -> None:
        trouble = refusal(self._plan)
        first = True
        while (text := await self._work.get()) is not None:
            if trouble is not None:
                self._asked.ended = "refused"
                await self._talk.fail(trouble.code or _BY_STATUS.get(trouble.status, "internal_server_error"))
                return
            self._out.pace.restart()
            if first:
                await self._out.strike(None)
                first = False
            talk = self._talk
            said = speak(talk.world.tts, text, talk.rate_hz, self._speed, mulaw=talk.mulaw)
            async for piece in said:
                characters = _spelled(piece)
                message: dict[str, Any] = {
                    "audio": piece.base64,
                    "isFinal": None,
                    "normalizedAlignment": characters,
                    "alignment": characters,
                }
                if talk.many:
                    message["contextId"] = self._id
                await self._out.send(json.dumps(message), _lasts_s(self._plan, piece))
        final: dict[str, Any] = {"isFinal": True}
        final |= {"contextId": self._id} if self._talk.many else {"audio": ""}
        await self._out.send(json.dumps(final), pace=False)
        self._asked.ended = "whole"


def _spelled(piece: Piece) -> dict[str, list[Any]] | None:
    """The characters that begin in it, in milliseconds since its first sample. A word's characters share its time."""
    characters: list[tuple[str, float, float]] = []
    for word in piece.words:
        share_s = (word.end_s - word.start_s) / max(1, len(word.text))
        characters += [
            (character, word.start_s + n * share_s, share_s) for n, character in enumerate(word.text)
        ]
        characters.append((" ", word.end_s, 0.0))
    if not characters:
        return None
    return {
        "chars": [character for character, _, _ in characters],
        "charStartTimesMs": [round((at_s - piece.start_s) * 1000) for _, at_s, _ in characters],
        "charDurationsMs": [round(length_s * 1000) for _, _, length_s in characters],
    }


def _lasts_s(plan: Plan, piece: Piece) -> float:
    return piece.length_s / plan.realtime if plan.realtime else 0.0


def _speed(settings: Any) -> float:
    speed = settings.get("speed") if isinstance(settings, Mapping) else None
    return float(speed) if isinstance(speed, int | float) else 1.0


def _refused(status: int, code: str) -> web.Response:
    message = _MESSAGES.get(code, "The request could not be carried out.")
    return web.json_response({"detail": {"status": code, "message": message}}, status=status)


async def _json(request: web.Request) -> dict[str, Any]:
    with suppress(ValueError):
        body = await request.json()
        if isinstance(body, dict):
            return body
    return {}


_SUBSCRIPTION = {
    "tier": "creator",
    "character_count": 100,
    "character_limit": 100_000,
    "max_credit_limit_extension": 0,
    "can_extend_character_limit": False,
    "allowed_to_extend_character_limit": False,
    "voice_slots_used": 0,
    "professional_voice_slots_used": 0,
    "professional_voice_slots_used_in_workspace": 0,
    "voice_limit": 30,
    "voice_add_edit_counter": 0,
    "professional_voice_limit": 1,
    "can_extend_voice_limit": False,
    "can_use_instant_voice_cloning": True,
    "can_use_professional_voice_cloning": True,
    "currency": "usd",
    "current_overage": {"amount": "0", "currency": "usd"},
    "status": "active",
}

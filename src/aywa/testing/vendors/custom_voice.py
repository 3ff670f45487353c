"""A customer's own voice (route custom-voice): a `voice-request` in, raw PCM16 back (contract 4.4 and 7.4).

A plan's extra may say {"wav": true} for a server that gives a file by mistake, {"odd": true} for a byte too many, {"type": ...}
for another content type.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from aiohttp import web

from aywa.testing.vendors.openai_speech import wav_head
from aywa.testing.vendors.voice import speak
from aywa.testing.vendors.world import Body, World, bearer, is_right, refusal

ROUTE = "custom-voice"


def routes(world: World) -> list[web.RouteDef]:
    """POST /custom-voice."""

    async def voice(request: web.Request) -> web.StreamResponse:
        body: Any = None
        with suppress(ValueError):
            body = await request.json()
        plan = world.plans.take(ROUTE)
        key = bearer(request) or request.headers.get("X-Vapi-Secret", "")
        asked = world.note(ROUTE, request, key, body)
        if (trouble := refusal(plan)) is not None:
            return web.json_response({"error": trouble.code or "refused"}, status=trouble.status)
        # A server without a secret takes everybody's requests.
        if key and not is_right(key):
            return web.json_response({"error": "unauthorized"}, status=401)
        try:
            message = body["message"]
            text, rate_hz = message["text"], message["sampleRate"]
            if (
                message["type"] != "voice-request"
                or not isinstance(text, str)
                or not isinstance(rate_hz, int)
            ):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            return web.json_response({"error": "this takes voice-request messages"}, status=400)
        content_type = str(plan.extra.get("type") or "application/octet-stream")
        out = Body(world, asked, plan, request, content_type=content_type)
        await out.start()
        if plan.extra.get("wav"):
            await out.send(wav_head(rate_hz, 0xFFFFFFFF), pace=False)
        async for piece in speak(world.tts, text, rate_hz):
            await out.send(piece.audio, piece.length_s / plan.realtime if plan.realtime else 0.0)
        if plan.extra.get("odd"):
            await out.send(b"\0", pace=False)
        return await out.end()

    return [web.post("/custom-voice", voice)]

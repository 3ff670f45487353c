"""OpenAI's speech (route openai.speech): a text in, its audio streamed. Gives PCM and WAV, no compressed formats.

Wire: https://platform.openai.com/docs/api-reference/audio/createSpeech.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

from aiohttp import web

from aywa.testing.vendors.plan import Plan
from aywa.testing.vendors.voice import Piece, exists, speak
from aywa.testing.vendors.world import Body, World, bearer, is_right, refusal

SPEECH = "openai.speech"
RATE_HZ = 24_000
VOICES = frozenset("alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split())

_MOST_CHARACTERS = 4096
_TYPES = {"pcm": "audio/pcm", "wav": "audio/wav"}
_BY_STATUS = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def routes(world: World) -> list[web.RouteDef]:
    """POST /v1/audio/speech."""

    async def speech(request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = {}
        with suppress(ValueError):
            body = await request.json()
        plan = world.plans.take(SPEECH)
        key = bearer(request)
        asked = world.note(SPEECH, request, key, body)
        if (trouble := refusal(plan)) is not None:
            headers = {} if trouble.retry_after_s is None else {"Retry-After": f"{trouble.retry_after_s:g}"}
            return _refused(trouble.status, trouble.code, headers=headers)
        if not is_right(key):
            return _refused(401, "invalid_api_key", f"Incorrect API key provided: {key[:3]}***.")
        if wrong := _wrong(body):
            return _refused(*wrong)
        name = str(body.get("response_format") or "mp3")
        speed = body.get("speed")
        out = Body(
            world, asked, plan, request, content_type=_TYPES[name], headers={"x-request-id": "req_sim"}
        )
        await out.start()
        if name == "wav":
            # Its length is not known yet.
            await out.send(wav_head(RATE_HZ, 0xFFFFFFFF), pace=False)
        text = str(body["input"])
        async for piece in speak(world.tts, text, RATE_HZ, speed if isinstance(speed, int | float) else 1.0):
            await out.send(piece.audio, _lasts_s(plan, piece))
        return await out.end()

    return [web.post("/v1/audio/speech", speech)]


def wav_head(rate_hz: int, size: int) -> bytes:
    """Of a file with PCM16 mono. size: of the audio, in bytes; at most what 32 bits hold."""
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    whole = min(size + 36, 0xFFFFFFFF)
    return (
        b"RIFF"
        + struct.pack("<I", whole)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", size)
    )


def _wrong(body: dict[str, Any]) -> tuple[int, str, str] | None:
    text, model, voice = body.get("input"), str(body.get("model") or ""), body.get("voice")
    if not exists(model):
        return 404, "model_not_found", f"The model `{model}` does not exist or you do not have access to it."
    if not isinstance(text, str) or not text:
        return 400, "", "Invalid 'input': expected a string with minimum length 1."
    if len(text) > _MOST_CHARACTERS:
        return 400, "string_too_long", "Invalid 'input': string too long."
    if voice not in VOICES and not (isinstance(voice, dict) and exists(str(voice.get("id") or ""))):
        return 400, "invalid_value", f"Invalid value: '{voice}'. Supported values are: 'alloy', 'ash'."
    if str(body.get("response_format") or "mp3") not in _TYPES:
        return 400, "invalid_value", "This simulator gives pcm and wav."
    return None


def _lasts_s(plan: Plan, piece: Piece) -> float:
    return piece.length_s / plan.realtime if plan.realtime else 0.0


def _refused(
    status: int, code: str = "", message: str = "", headers: dict[str, str] | None = None
) -> web.Response:
    kind, usual = _BY_STATUS.get(status, ("server_error" if status >= 500 else "invalid_request_error", ""))
    error = {
        "message": message or "The request could not be carried out.",
        "type": "insufficient_quota" if code == "insufficient_quota" else kind,
        "param": "voice" if message.startswith("Invalid value") else None,
        "code": code or usual or None,
    }
    return web.json_response({"error": error}, status=status, headers=headers)

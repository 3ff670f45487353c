"""OpenAI's transcription of a file, simulated: POST /v1/audio/transcriptions.

Wire: https://platform.openai.com/docs/api-reference/audio/createTranscription; openai 3.54 reads what is answered. Plan:
openai.transcriptions. A plan's text is what was heard; without one a real recogniser is asked, if there is one.
"""

from __future__ import annotations

import asyncio
import io
import wave
from typing import Any

from aiohttp import web

from aywa.core.audio.resample import resample_pcm
from aywa.ports.stt import Stt, SttOptions
from aywa.testing.vendors.hearing import SENTENCE
from aywa.testing.vendors.world import Body, World, bearer, html_page, refusal

ROUTE = "openai.transcriptions"
MODELS = frozenset(
    "whisper-1 gpt-4o-transcribe gpt-4o-mini-transcribe gpt-4o-transcribe-diarize gpt-transcribe".split()
)
PIECE_S = 0.1
ANSWER_S = 30.0
_REFUSALS = {
    400: ("invalid_request_error", None, "The request could not be understood."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
}


def routes(world: World) -> list[web.RouteDef]:
    """POST /v1/audio/transcriptions."""

    async def transcribe(request: web.Request) -> web.StreamResponse:
        return await _serve(world, request)

    return [web.post("/v1/audio/transcriptions", transcribe)]


async def _serve(world: World, request: web.Request) -> web.StreamResponse:
    plan = world.plans.take(ROUTE)
    fields: dict[str, Any] = {}
    audio: bytes | None = None
    if request.content_type == "multipart/form-data":
        form = await request.post()
        for name, value in form.items():
            if isinstance(value, web.FileField):
                audio = value.file.read() if name == "file" else audio
            else:
                fields[name] = str(value)
    asked = world.note(ROUTE, request, bearer(request), fields)
    if not asked.key_right:
        return _refuse(401)
    if (trouble := refusal(plan)) is not None:
        return _refuse(trouble.status, trouble.code, trouble.retry_after_s)
    if (page := html_page(plan)) is not None:
        return page
    if audio is None or "model" not in fields:
        return _refuse(400)
    if fields["model"] not in MODELS:
        return _refuse(404)
    seconds = 0.0
    try:
        with wave.open(io.BytesIO(audio)) as file:
            rate_hz, pcm = file.getframerate(), file.readframes(file.getnframes())
            seconds = file.getnframes() / rate_hz
    except (wave.Error, EOFError):
        rate_hz, pcm = 0, b""
    if plan.text is None and world.stt is not None and pcm:
        text = await transcribed(world.stt, pcm, rate_hz)
    else:
        text = world.plans.text(ROUTE, plan, fields, SENTENCE if pcm else "")
    if fields.get("response_format") == "text":
        body, content_type = text + "\n", "text/plain; charset=utf-8"
    else:
        usage = {"type": "duration", "seconds": max(1, round(seconds))}
        answer: dict[str, Any] = {"text": text, "usage": usage}
        if fields.get("response_format") == "verbose_json":
            answer |= {"language": "english", "duration": seconds}
        body, content_type = web.json_response(answer).text or "", "application/json"
    out = Body(world, asked, plan, request, content_type=content_type)
    await out.pace.wait()
    await out.start()
    await out.send(body)
    return await out.end()


async def transcribed(stt: Stt, pcm: bytes, rate_hz: int) -> str:
    """The whole of some mono PCM16, by a recogniser of streams."""
    rates = stt.capabilities.rates_hz
    if rate_hz not in rates:
        pcm, rate_hz = resample_pcm(pcm, rate_hz, rates[0]), rates[0]
    stream = await stt.open(SttOptions(rate_hz))
    texts: list[str] = []
    try:
        stream.voice(True)
        step = round(rate_hz * PIECE_S) * 2
        for at in range(0, len(pcm), step):
            stream.feed(pcm[at : at + step])
        stream.voice(False)
        stream.finalize()
        async with asyncio.timeout(ANSWER_S):
            async for result in stream.results():
                if result.is_final or result.from_finalize:
                    texts.append(result.text)
                if result.from_finalize:
                    break
    finally:
        await stream.close()
    return " ".join(text for text in texts if text)


def _refuse(status: int, code: str = "", retry_after_s: float | None = None) -> web.Response:
    kind, usual, message = _REFUSALS.get(status, ("server_error", None, "The server had an error."))
    error = {"message": message, "type": kind, "param": None, "code": code or usual}
    headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
    return web.json_response({"error": error}, status=status, headers=headers)

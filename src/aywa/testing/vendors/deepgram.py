"""Deepgram's live recognition, simulated: /v1/listen (Nova) and /v2/listen (Flux).

Messages as deepgram-sdk 7.17 types them (listen.v1, listen.v2), errors as https://developers.deepgram.com/docs/errors lists
them. Plans: deepgram.listen, deepgram.flux; what they may hold is in aywa.testing.vendors.hearing (text, extra).
extra["finalize_empty"] = "silent": a Finalize with nothing new is not answered, as the vendor sometimes does.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from aywa.core.audio.g711 import alaw_to_pcm, mulaw_to_pcm
from aywa.ports.stt import Word
from aywa.testing.vendors.hearing import SENTENCE, Ear, Recognition, scripted
from aywa.testing.vendors.world import Messages, World, bearer, html_page, refusal

NOVA, FLUX = "deepgram.listen", "deepgram.flux"
IDLE_S = 10.0
UPDATE_S = 0.25
EOT_QUIET_S = 0.26
EAGER_QUIET_S = 0.12
EOT_THRESHOLD, EOT_TIMEOUT_MS = 0.7, 5000.0
CONFIDENCE = 0.98
_GRAIN_S = 1e-6
_DECODERS = {"mulaw": mulaw_to_pcm, "alaw": alaw_to_pcm, "linear16": bytes}
_V1_MODELS = ("nova", "enhanced", "base", "whisper", "custom")
_REFUSALS = {
    400: ("Bad Request", "Bad Request: failed to process the request"),
    401: ("INVALID_AUTH", "Invalid credentials."),
    402: ("ASR_PAYMENT_REQUIRED", "Project does not have enough credits for an ASR request."),
    403: ("INSUFFICIENT_PERMISSIONS", "User does not have sufficient permissions."),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later."),
}
_NO_SUCH_MODEL = ("Bad Request", "Bad Request: No such model/language/tier combination found.")


def routes(world: World) -> list[web.RouteDef]:
    """GET /v1/listen and /v2/listen, upgraded."""

    async def nova(request: web.Request) -> web.StreamResponse:
        return await _serve(world, request, NOVA, NovaRecognition)

    async def flux(request: web.Request) -> web.StreamResponse:
        return await _serve(world, request, FLUX, FluxRecognition)

    return [web.get("/v1/listen", nova), web.get("/v2/listen", flux)]


async def _serve(
    world: World, request: web.Request, route: str, recognition: type[_Deepgram]
) -> web.StreamResponse:
    plan = world.plans.take(route)
    key = bearer(request)
    asked = world.note(route, request, key)
    if not asked.key_right:
        return _refuse(401)
    if (trouble := refusal(plan)) is not None:
        return _refuse(trouble.status, trouble.code, retry_after_s=trouble.retry_after_s)
    if (page := html_page(plan)) is not None:
        return page
    model = request.query.get("model", "")
    decoder = _DECODERS.get(request.query.get("encoding", ""))
    try:
        rate_hz = int(request.query.get("sample_rate", ""))
    except ValueError:
        rate_hz = 0
    if not model.startswith("flux" if route == FLUX else _V1_MODELS):
        return _refuse(400, *_NO_SUCH_MODEL)
    if decoder is None or not 8000 <= rate_hz <= 48000:
        return _refuse(400)
    socket = web.WebSocketResponse()
    out = Messages(world, asked, plan, request, socket)
    await out.strike(None)
    await socket.prepare(request)
    stt = None if scripted(plan) or world.stt is None else world.stt
    ear = Ear.of(rate_hz, plan, world.plans.text(route, plan, dict(request.query), SENTENCE))
    heard = recognition(world, plan, ear, out, rate_hz, stt)
    heard.prepare(request.query, decoder, socket)
    await heard.run(socket)
    return socket


def _refuse(
    status: int, code: str = "", message: str = "", *, retry_after_s: float | None = None
) -> web.Response:
    usual_code, usual_message = _REFUSALS.get(status, ("INTERNAL_SERVER_ERROR", "An error occurred."))
    body = {
        "err_code": code or usual_code,
        "err_msg": message or usual_message,
        "request_id": str(uuid.uuid4()),
    }
    headers = {"dg-error": body["err_msg"], "dg-request-id": body["request_id"]}
    if retry_after_s is not None:
        headers["Retry-After"] = f"{retry_after_s:g}"
    return web.json_response(body, status=status, headers=headers)


class _Deepgram(Recognition):
    """What both protocols share: the audio's encoding, and the end of a connection that nothing comes over."""

    def prepare(self, query: Mapping[str, str], decode: Any, socket: web.WebSocketResponse) -> None:
        """With the request's fields."""
        self.query = query
        self.request_id = str(uuid.uuid4())
        self._decode = decode
        self._socket = socket
        self._signs = self._signs_before = 0
        self._idle_s = float(self.plan.extra.get("idle_s", IDLE_S))
        self.later(self._idle_s, self._look)

    def decoded(self, data: bytes) -> bytes:
        self._signs += 1
        return bytes(self._decode(data))

    def _look(self) -> None:
        if self._signs == self._signs_before:
            self._start(self._time_out())
        self._signs_before = self._signs
        self.later(self._idle_s, self._look)

    async def _time_out(self) -> None:
        await self._socket.close(
            code=1011,
            message=b"Deepgram did not receive audio data or a text message within the timeout window."
            b" See https://dpgr.am/net0001",
        )

    def order(self, text: str) -> dict[str, Any]:
        """What was ordered; an empty one if it cannot be read."""
        self._signs += 1
        try:
            order = json.loads(text)
        except ValueError:
            return {}
        return order if isinstance(order, dict) else {}


class NovaRecognition(_Deepgram):
    """/v1/listen."""

    def prepare(self, query: Mapping[str, str], decode: Any, socket: web.WebSocketResponse) -> None:
        super().prepare(query, decode, socket)
        self._since_s = 0.0
        self._voice_told_s = -1.0
        self._utterance_ended = True
        self._formatted = "true" in (query.get("punctuate"), query.get("smart_format"))
        self._interims = query.get("interim_results") == "true"

    async def ordered(self, text: str) -> bool:
        order = self.order(text)
        match order.get("type"):
            case "Finalize":
                nothing = self.ear.said() <= self.settled
                if not (nothing and self.plan.extra.get("finalize_empty") == "silent"):
                    self.finalize()
            case "KeepAlive":
                pass
            case "Configure":
                self.tell(json.dumps({"type": "ConfigureSuccess", "request_id": self.request_id}))
            case "CloseStream":
                if self.ear.said() > self.settled:
                    self.settle(self.ear.said(), asked=False)
                self.tell(json.dumps(self._metadata()))
                return True
            case _:
                described = "Could not deserialize last text message"
                error = {"type": "Error", "variant": "SchemaError", "description": described, "message": text}
                self.tell(json.dumps(error))
        return False

    def listened(self) -> None:
        ear = self.ear
        if ear.voiced and ear.voice_began_s != self._voice_told_s:
            self._voice_told_s, self._utterance_ended = ear.voice_began_s, False
            if self.query.get("vad_events") == "true":
                started = {"type": "SpeechStarted", "channel": [0], "timestamp": round(ear.voice_began_s, 3)}
                self.tell(json.dumps(started))
        if self.query.get("endpointing") != "false":
            super().listened()
        after_ms = self.query.get("utterance_end_ms")
        if after_ms and not self._utterance_ended and ear.quiet_s * 1000 >= float(after_ms):
            self._utterance_ended = True
            ended = {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": round(ear.last_voice_s, 3)}
            self.tell(json.dumps(ended))

    def partial(self, words: Sequence[Word]) -> None:
        if self._interims:
            self._results(words, is_final=False, asked=False)

    def final(self, words: Sequence[Word], *, asked: bool) -> None:
        self._results(words, is_final=True, asked=asked)
        self._since_s = self.ear.heard_s

    def _results(self, words: Sequence[Word], *, is_final: bool, asked: bool) -> None:
        bare = [word.text.strip(".,!?;:").lower() for word in words]
        shown = [word.text for word in words] if self._formatted else bare
        listed = [
            {
                "word": plain,
                "start": round(word.start_s, 3),
                "end": round(word.end_s, 3),
                "confidence": CONFIDENCE,
                **({"punctuated_word": text} if self._formatted else {}),
            }
            for word, plain, text in zip(words, bare, shown, strict=True)
        ]
        said = {
            "transcript": " ".join(shown),
            "confidence": float(self.plan.extra.get("confidence", CONFIDENCE)) if words else 0.0,
            "words": listed,
        }
        message = {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": round(self.ear.heard_s - self._since_s, 3),
            "start": round(self._since_s, 3),
            "is_final": is_final,
            "speech_final": is_final and not asked,
            "channel": {"alternatives": [said]},
            "metadata": {
                "request_id": self.request_id,
                "model_info": {"name": self.query.get("model"), "version": "2026-01-01.0", "arch": "nova-3"},
                "model_uuid": str(uuid.UUID(int=3)),
            },
            "from_finalize": asked,
        }
        self.tell(json.dumps(message))

    def _metadata(self) -> dict[str, Any]:
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self.request_id,
            "sha256": "0" * 64,
            "created": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "duration": round(self.ear.heard_s, 3),
            "channels": 1,
        }


class FluxRecognition(_Deepgram):
    """/v2/listen. A turn begins with its first word; it ends when the quiet after it is long enough for its thresholds.
    What was transcribed lags behind what came by lag_s, and the window that it reports with it."""

    def prepare(self, query: Mapping[str, str], decode: Any, socket: web.WebSocketResponse) -> None:
        super().prepare(query, decode, socket)
        self._sequence = 0
        self._turn = 0
        self._began_s = 0.0
        self._eager = False
        self._threshold = float(query.get("eot_threshold", EOT_THRESHOLD))
        self._eager_threshold = float(query.get("eager_eot_threshold", 2))
        self._timeout_s = float(query.get("eot_timeout_ms", EOT_TIMEOUT_MS)) / 1000
        self._numbered({"type": "Connected"})

    async def ordered(self, text: str) -> bool:
        order = self.order(text)
        match order.get("type"):
            case "CloseStream":
                return True
            case "ForceEndTurn":
                if self.ear.said() > self.settled:
                    self._end("manual")
            case "Configure":
                self._configure(order)
            case _:
                described = "Could not deserialize last text message"
                self._numbered(
                    {"type": "Error", "code": "UNPARSABLE_CLIENT_MESSAGE", "description": described}
                )
                # It is fatal.
                return True
        return False

    def listened(self) -> None:
        ear = self.ear
        if not self._window_over(self.told):
            return
        if self._eager and ear.voiced:
            self._eager = False
            self._info("TurnResumed", self._spoken(), 0.1)
        if self.told <= self.settled:
            return
        if ear.quiet_s >= max(EOT_QUIET_S, self.pace.lag_s) - _GRAIN_S and self._threshold < 1:
            self._end("model")
        elif ear.quiet_s >= self._timeout_s:
            self._end("timeout")
        elif self._eager_threshold <= 1 and not self._eager and ear.quiet_s >= EAGER_QUIET_S - _GRAIN_S:
            self._eager = True
            self._info("EagerEndOfTurn", self._spoken(), max(self._eager_threshold, 0.5))

    def partial(self, words: Sequence[Word]) -> None:
        """Only a real recogniser comes here; `_tick` tells of the others."""
        self._info("Update", words, 0.1)

    def final(self, words: Sequence[Word], *, asked: bool) -> None:
        self._ended(words, "manual" if asked else "model")

    async def _tick(self) -> None:
        """An update every quarter of a second, whether anything was said or not."""
        updated_s = 0.0
        while True:
            await asyncio.sleep(UPDATE_S / 10)
            if self.ear.heard_s < updated_s + UPDATE_S - _GRAIN_S:
                continue
            updated_s = self.ear.heard_s
            shown = self.ear.shown(self.pace.lag_s)
            begins = self.told <= self.settled < shown
            self.told = max(self.told, shown)
            self._info("StartOfTurn" if begins else "Update", self._spoken(), 0.1)

    def _window_over(self, told: int) -> bool:
        """Every word that was said has been told."""
        shown = self.ear.shown(self.pace.lag_s)
        if shown > told:
            if told <= self.settled:
                self.told = shown
                self._info("StartOfTurn", self._spoken(), 0.1)
            self.told = shown
        return self.ear.said() <= self.told

    def _spoken(self) -> list[Word]:
        return self.ear.words[self.settled : self.told]

    def _end(self, trigger: str) -> None:
        until = max(self.told, self.ear.said()) if trigger == "manual" else self.told
        words = self.ear.words[self.settled : until]
        self.settled = self.told = until
        self._ended(words, trigger)

    def _ended(self, words: Sequence[Word], trigger: str) -> None:
        self._info("EndOfTurn", words, 0.9, trigger=trigger)
        self._turn += 1
        self._eager = False
        self._began_s = self.ear.heard_s

    def _configure(self, order: Mapping[str, Any]) -> None:
        wanted = order.get("thresholds") or {}
        self._threshold = float(wanted.get("eot_threshold", self._threshold))
        self._timeout_s = float(wanted.get("eot_timeout_ms", self._timeout_s * 1000)) / 1000
        self._numbered(
            {
                "type": "ConfigureSuccess",
                "thresholds": {
                    "eot_threshold": self._threshold,
                    "eot_timeout_ms": round(self._timeout_s * 1000),
                },
                "keyterms": order.get("keyterms") or [],
            }
        )

    def _info(self, event: str, words: Sequence[Word], confidence: float, *, trigger: str = "") -> None:
        listed = [
            {
                "word": word.text,
                "confidence": CONFIDENCE,
                "start": round(word.start_s, 3),
                "end": round(word.end_s, 3),
            }
            for word in words
        ]
        until_s = self.ear.heard_s if trigger else max(0.0, self.ear.heard_s - self.pace.lag_s)
        message = {
            "type": "TurnInfo",
            "event": event,
            "turn_index": self._turn,
            "audio_window_start": round(min(self._began_s, until_s), 3),
            "audio_window_end": round(until_s, 3),
            "transcript": " ".join(word.text for word in words),
            "words": listed,
            "end_of_turn_confidence": confidence,
            **({"trigger": trigger} if trigger else {}),
        }
        self._numbered(message)

    def _numbered(self, message: dict[str, Any]) -> None:
        # An error has no request's id.
        request = {} if message["type"] == "Error" else {"request_id": self.request_id}
        self.tell(json.dumps({**request, "sequence_id": self._sequence, **message}))
        self._sequence += 1

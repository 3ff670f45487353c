"""Cartesia's voices over one WebSocket with many contexts: JSON both ways, base64 audio, word times (sonic-3).

Wire: https://docs.cartesia.ai/api-reference/tts/websocket, .../use-the-api/tts-websocket/contexts and
.../context-flushing-and-flush-i-ds; errors: .../use-the-api/api-errors; message types as in the vendor's SDK 4.2.

The clauses of a reply continue one context: `continue` carries the melody on, and a manual flush after each but the last
gives it an end of its own (`flush_done`). The vendor lets a context expire one second after its last audio, so a clause
that comes too late for that begins another. Cancelling is the vendor's `cancel`. Retries and deadlines are the router's.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from aywa.adapters.tts import fields
from aywa.adapters.tts.contexts import Clause, Context, Contexts, JsonObject, Wire
from aywa.adapters.tts.sound import Sound, speakable, telephone
from aywa.adapters.wire.guard import Guard
from aywa.adapters.wire.websocket import Address, Refused, WebSocketSettings, websocket_url
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import Word
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions

BASE_URL = "https://api.cartesia.ai"
MODEL = "sonic-3"
VERSION = "2026-03-01"
"""Of the API: from this one on errors are objects with a code."""
CONTINUE_WITHIN_S = 0.7
"""After the last message of a context: it expires after one second, and the next text has to get there."""
MOST_CONTEXTS = 20
"""On one connection; the vendor speaks of dozens."""

_RATES_HZ = (8000, 16000, 22050, 24000, 44100, 48000)
_SPEEDS = (0.6, 1.5)
_VOLUMES = (0.5, 2.0)
_TIMES_TOLERANCE_S = 0.05
_KEY_MEND = "check CARTESIA_API_KEY or the cartesia credential"
_URL_MEND = "check CARTESIA_BASE_URL"
_VOICE_MEND = "check the voice's `voiceId`"
_MODEL_MEND = "check the voice's `model`"
_QUOTA_MEND = "raise the account's plan at Cartesia, or wait"


class CartesiaTts:
    """One route. base_url: with https, http, wss or ws. voice: for requests that name none."""

    capabilities = TtsCapabilities(rates_hz=_RATES_HZ, word_times=True)

    def __init__(
        self,
        key: str,
        base_url: str = BASE_URL,
        model: str = MODEL,
        voice: str = "",
        name: str = "cartesia",
        settings: WebSocketSettings | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._name = name
        self._model = model
        self._voice = voice
        self._address = Address(
            name,
            websocket_url(base_url, "/tts/websocket"),
            {"Authorization": f"Bearer {key}", "Cartesia-Version": VERSION},
            key_mend=_KEY_MEND,
            url_mend=_URL_MEND,
            guard=guard,
        )
        wire = Wire(
            MOST_CONTEXTS,
            context_of=_context_of,
            ends_clause=lambda message: message.get("type") in ("flush_done", "done"),
            ends_context=lambda message: message.get("type") == "done",
            failure=self._failure,
            cancel=lambda context_id: {"context_id": context_id, "cancel": True},
            keeps_place=False,
            refine=self._refined,
            audio_bytes=_audio_bytes,
        )
        self._contexts = Contexts(wire, settings)
        self._replies: dict[str, _Reply] = {}

    @property
    def name(self) -> str:
        """The route's name."""
        return self._name

    @property
    def connections(self) -> int:
        """How many were ever made."""
        return self._contexts.connections

    @property
    def waited(self) -> int:
        """How many texts waited for one."""
        return self._contexts.waited

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncGenerator[TtsChunk]:
        """As the port says."""
        if not speakable(text):
            return
        request = self._request(options)
        again = fresh = False
        while True:
            reply = await self._reply(request, options, fresh=fresh)
            sound = Sound(options.rate_hz, self._address.error, mulaw=telephone(options.rate_hz))
            clause = reply.say(text, more=bool(options.context and options.more))
            try:
                while (message := await clause.next()) is not None:
                    if chunk := self._chunk(message, sound, clause):
                        yield chunk
                if chunk := sound.end():
                    yield chunk
                return
            except ProviderError:
                # The connection had died, or the context expired while the text was on its way: once more, afresh.
                if again or sound.samples or not (clause.stale or reply.expired()):
                    raise
                again, fresh = True, clause.stale
            finally:
                reply.context.drop(clause)

    async def warm(self, options: TtsOptions) -> None:
        """As the port says: dials."""
        await self._contexts.warm(self._address)

    async def close(self) -> None:
        """As the port says."""
        self._replies.clear()
        await self._contexts.close()

    def _request(self, options: TtsOptions) -> JsonObject:
        """What all texts of a context must have in common."""
        document = options.extra
        voice = options.voice or fields.text(document, "voiceId") or self._voice
        if not voice:
            raise self._address.error("unknown_voice", "it has no voice to speak with", mend=_VOICE_MEND)
        if options.rate_hz not in _RATES_HZ:
            raise self._address.error(
                "bad_request",
                f"it cannot speak at {options.rate_hz} Hz",
                Fault.RUNTIME,
                mend="ask for another rate",
            )
        request: JsonObject = {
            "model_id": fields.text(document, "model") or self._model,
            "voice": {"mode": "id", "id": voice},
            "output_format": {
                "container": "raw",
                "encoding": "pcm_mulaw" if telephone(options.rate_hz) else "pcm_s16le",
                "sample_rate": options.rate_hz,
            },
            "add_timestamps": True,
            # Words as they were written, not as they are spoken.
            "use_normalized_timestamps": False,
            # Whole clauses come: nothing is to be waited for.
            "max_buffer_delay_ms": 0,
        }
        if language := fields.language(fields.text(document, "language") or options.language):
            request["language"] = language
        if generation := _generation(options.speed, document):
            request["generation_config"] = generation
        if dictionary := fields.text(document, "pronunciationDictId"):
            request["pronunciation_dict_id"] = dictionary
        return request

    async def _reply(self, request: JsonObject, options: TtsOptions, *, fresh: bool) -> _Reply:
        """The context of the reply, if it can be continued, or a fresh one."""
        key = f"{options.context} {json.dumps(request, sort_keys=True)}" if options.context else ""
        for there, each in list(self._replies.items()):
            if not each.open:
                del self._replies[there]
                if not each.context.busy:
                    each.context.give_up()
        if (reply := self._replies.get(key)) is not None:
            return reply
        reply = _Reply(await self._contexts.open(self._address, fresh=fresh), request)
        if key:
            self._replies[key] = reply
        return reply

    def _chunk(self, message: JsonObject, sound: Sound, clause: Clause) -> TtsChunk | None:
        match message.get("type"):
            case "chunk":
                return sound.audio(self._audio(message))
            case "timestamps":
                start = clause.start_bytes // (1 if telephone(sound.rate_hz) else 2)
                sound.words(self._words(message, start / sound.rate_hz))
            case _:
                # The end of the clause, or what is of no use here.
                pass
        return None

    def _audio(self, message: JsonObject) -> bytes:
        try:
            return base64.b64decode(message["data"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise self._malformed() from None

    def _words(self, message: JsonObject, start_s: float) -> list[Word]:
        """Times are of the context; should they begin at 0 with each flush (the vendor does not say), of the clause."""
        times = message.get("word_timestamps")
        if times is None:
            return []
        try:
            words = [
                (str(word), float(start), float(end))
                for word, start, end in zip(times["words"], times["start"], times["end"], strict=True)
            ]
        except (KeyError, TypeError, ValueError):
            raise self._malformed() from None
        if words and words[0][1] < start_s - _TIMES_TOLERANCE_S:
            start_s = 0.0
        return [Word(word, max(0.0, start - start_s), max(0.0, end - start_s)) for word, start, end in words]

    def _malformed(self) -> ProviderError:
        return self._address.error("malformed", "a message has another shape", Fault.PROVIDER, retryable=True)

    def _failure(self, message: JsonObject) -> ProviderError | None:
        """The vendor's error event, by its code, then by its status."""
        if message.get("type") != "error":
            return None
        status = message.get("status_code")
        told = _CODES.get(str(message.get("error_code"))) or _STATUSES.get(
            status if isinstance(status, int) else 500
        )
        return self._told(told or ("failed", "it could not speak", Fault.PROVIDER, True, ""))

    def _refined(self, refused: Refused) -> ProviderError | None:
        """A handshake's refusal, by the vendor's code."""
        try:
            code = json.loads(refused.body)["error_code"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        told = _CODES.get(str(code))
        return self._told(told) if told else None

    def _told(self, told: _Told) -> ProviderError:
        code, reason, fault, retryable, mend = told
        return self._address.error(code, reason, fault, retryable=retryable, mend=mend)


class _Reply:
    """The clauses of one reply, in one context."""

    def __init__(self, context: Context, request: JsonObject) -> None:
        self.context = context
        self._request = request
        self._finished = False
        self._said = 0

    @property
    def open(self) -> bool:
        """The context is there to be continued. Once it is not, it never will be."""
        if self._finished or not self.context.usable:
            return False
        return self.context.busy or self.context.silent_s < CONTINUE_WITHIN_S

    def say(self, text: str, *, more: bool) -> Clause:
        """Sends a clause. more: another will follow, so this one needs an end of its own."""
        clause = self.context.clause()
        self._said += 1
        # Texts of a context are put together as they are.
        self._send(text.rstrip() + " " if more else text, more=more)
        if more:
            self._send("", more=True, flush=True)
        self._finished = not more
        return clause

    def expired(self) -> bool:
        """The vendor ended the context, which was to be continued."""
        return self._said > 1 and self.context.ended

    def _send(self, transcript: str, *, more: bool, flush: bool = False) -> None:
        message = {**self._request, "context_id": self.context.id, "transcript": transcript, "continue": more}
        self.context.send({**message, "flush": True} if flush else message)


def _context_of(message: JsonObject) -> str | None:
    context_id = message.get("context_id")
    return context_id if isinstance(context_id, str) else None


def _audio_bytes(message: JsonObject) -> int:
    data = message.get("data")
    return len(data) // 4 * 3 - data.count("=", -2) if isinstance(data, str) and data else 0


def _generation(speed: float, document: Mapping[str, Any]) -> JsonObject:
    """Speed, volume and emotion: of the document's `generationConfig` (contract 4.4), the first also of the options."""
    given = document.get("generationConfig")
    given = given if isinstance(given, Mapping) else {}
    said = fields.number(given, "speed", *_SPEEDS)
    if said is None and speed != 1.0:
        said = min(max(speed, _SPEEDS[0]), _SPEEDS[1])
    wanted = {
        "speed": said,
        "volume": fields.number(given, "volume", *_VOLUMES),
        "emotion": fields.text(given, "emotion") or None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


_Told = tuple[str, str, Fault, bool, str]
_CODES: dict[str, _Told] = {
    "voice_not_found": ("unknown_voice", "it does not know the voice", Fault.CONFIG, False, _VOICE_MEND),
    "model_not_found": ("unknown_model", "it does not know the model", Fault.CONFIG, False, _MODEL_MEND),
    "quota_exceeded": ("quota", "the account's credits are used up", Fault.CONFIG, False, _QUOTA_MEND),
    "concurrency_limited": (
        "rate_limited",
        "the account's limit of simultaneous requests is reached",
        Fault.CONFIG,
        True,
        _QUOTA_MEND,
    ),
}
_STATUSES: dict[int, _Told] = {
    400: ("bad_request", "it does not take the request", Fault.CONFIG, False, "check the voice's settings"),
    401: ("unauthorized", "it does not take the key", Fault.CONFIG, False, _KEY_MEND),
    402: ("quota", "the account's credits are used up", Fault.CONFIG, False, _QUOTA_MEND),
    403: ("forbidden", "the key may not do this", Fault.CONFIG, False, _KEY_MEND),
    404: ("unknown_voice", "it does not know the voice", Fault.CONFIG, False, _VOICE_MEND),
    429: ("rate_limited", "the account's limit is reached", Fault.CONFIG, True, _QUOTA_MEND),
}

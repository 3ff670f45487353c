"""ElevenLabs' voices over a WebSocket with contexts: JSON both ways, base64 audio with the time of every character.

Wire: https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input and the guide
.../docs/eleven-api/guides/how-to/websockets/multi-context-web-socket; message types as in the vendor's SDK 2.78.

A clause is a context, and not a reply, although texts of one context are spoken with one melody: a flush has no answer of
its own. The vendor says `isFinal` only once for a context, after `close_context` (elevenlabs-docs issue 405, bolna pull
request 790), and the alignment does not tell the end either: it may be absent, and cross the border of two texts
(elevenlabs-python issue 689). So `close_context` follows each text at once: what was flushed is still spoken, then comes
`isFinal`. With it the wire has no way to stop a text that was sent: what is given up is thrown away, and its place, one of
five on a connection, is not used before the vendor says that it is free; more clauses at once take more connections.

The address of a connection names voice, model and format, so calls with the same ones share it. Retries and deadlines are
the router's.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import quote, urlencode

from aywa.adapters.tts import fields
from aywa.adapters.tts.contexts import Contexts, JsonObject, Wire
from aywa.adapters.tts.sound import Sound, speakable, telephone
from aywa.adapters.wire.guard import Guard
from aywa.adapters.wire.websocket import Address, Ending, Refused, WebSocketSettings, websocket_url
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import Word
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions

BASE_URL = "https://api.elevenlabs.io"
MODEL = "eleven_flash_v2_5"
MOST_CONTEXTS = 5
"""On one connection: the vendor's limit."""
INACTIVITY_S = 180
"""After which the vendor closes a connection without a text: the most it allows."""

_RATES_HZ = (8000, 16000, 22050, 24000, 44100)
_SPEEDS = (0.7, 1.2)
_IN_STEP_S = 0.3
"""Audio and characters that differ by no more belong to the same piece: a character may last that long."""
_KEY_MEND = "check ELEVENLABS_API_KEY or the 11labs credential"
_URL_MEND = "check ELEVENLABS_BASE_URL"
_VOICE_MEND = "check the voice's `voiceId`"
_MODEL_MEND = "check the voice's `model`"
_QUOTA_MEND = "raise the account's plan at ElevenLabs, or wait"


class ElevenLabsTts:
    """One route. base_url: with https, http, wss or ws. voice: for requests that name none."""

    capabilities = TtsCapabilities(rates_hz=_RATES_HZ, word_times=True)

    def __init__(
        self,
        key: str,
        base_url: str = BASE_URL,
        model: str = MODEL,
        voice: str = "",
        name: str = "elevenlabs",
        settings: WebSocketSettings | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._name = name
        self._guard = guard
        self._model = model
        self._voice = voice
        self._base_url = base_url
        self._headers = {"xi-api-key": key}
        wire = Wire(
            MOST_CONTEXTS,
            context_of=_context_of,
            ends_clause=_is_final,
            ends_context=_is_final,
            failure=self._failure,
            cancel=lambda context_id: None,
            keeps_place=True,
            refine=self._refined,
            ending=self._ending,
        )
        self._contexts = Contexts(wire, settings)

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
        address = self._address(options)
        again = False
        while True:
            context = await self._contexts.open(address, fresh=again)
            clause = context.clause()
            begin: JsonObject = {"text": " ", "context_id": context.id}
            if settings := _voice_settings(options):
                begin["voice_settings"] = settings
            context.send(begin)
            # The vendor wants texts to end with a space.
            context.send({"text": text.strip() + " ", "context_id": context.id, "flush": True})
            context.send({"context_id": context.id, "close_context": True})
            sound = Sound(options.rate_hz, address.error, mulaw=telephone(options.rate_hz))
            characters = _Characters(address)
            try:
                while (message := await clause.next()) is not None:
                    sound.words(characters.words(message, sound.length_s))
                    if chunk := sound.audio(_audio(message, address)):
                        yield chunk
                sound.words(characters.last())
                if chunk := sound.end():
                    yield chunk
                return
            except ProviderError:
                # The connection had died unnoticed: once more, afresh.
                if not clause.stale:
                    raise
                again = True
            finally:
                context.drop(clause)

    async def warm(self, options: TtsOptions) -> None:
        """As the port says: dials."""
        try:
            address = self._address(options)
        except ProviderError:
            # Whoever speaks in earnest is told.
            return
        await self._contexts.warm(address)

    async def close(self) -> None:
        """As the port says."""
        await self._contexts.close()

    def _address(self, options: TtsOptions) -> Address:
        document = options.extra
        voice = options.voice or fields.text(document, "voiceId") or self._voice
        if not voice:
            raise self._error("unknown_voice", "it has no voice to speak with", mend=_VOICE_MEND)
        if options.rate_hz not in _RATES_HZ:
            raise self._error(
                "bad_request",
                f"it cannot speak at {options.rate_hz} Hz",
                Fault.RUNTIME,
                mend="ask for another rate",
            )
        model = fields.text(document, "model") or self._model
        query = {
            "model_id": model,
            "output_format": "ulaw_8000" if telephone(options.rate_hz) else f"pcm_{options.rate_hz}",
            "auto_mode": "false" if fields.flag(document, "autoMode") is False else "true",
            "sync_alignment": "true",
            "inactivity_timeout": str(INACTIVITY_S),
        }
        language = fields.language(fields.text(document, "language") or options.language)
        # Other models refuse to be told.
        if len(language) == 2 and model.endswith("v2_5"):
            query["language_code"] = language
        if fields.flag(document, "enableSsmlParsing"):
            query["enable_ssml_parsing"] = "true"
        path = f"/v1/text-to-speech/{quote(voice, safe='')}/multi-stream-input?{urlencode(query)}"
        return Address(
            self._name,
            websocket_url(self._base_url, path),
            self._headers,
            key_mend=_KEY_MEND,
            url_mend=_URL_MEND,
            guard=self._guard,
        )

    def _failure(self, message: JsonObject) -> ProviderError | None:
        """An error event: {"message", "error", "code": 1008}; the connection is closed after it."""
        code = message.get("error")
        if not isinstance(code, str) or not code:
            return None
        return self._told(_CODES.get(code) or ("failed", "it could not speak", Fault.PROVIDER, True, ""))

    def _refined(self, refused: Refused) -> ProviderError | None:
        """A handshake's refusal, by the vendor's code: {"detail": {"status" or "code"}}."""
        try:
            detail = json.loads(refused.body)["detail"]
            codes = (detail.get("code"), detail.get("status"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return next((self._told(_CODES[code]) for code in codes if code in _CODES), None)

    def _ending(self, ending: Ending) -> ProviderError | None:
        """A close without an error event before it, by the words that the vendor is known to use."""
        if ending.cause != "closed":
            return None
        reason = ending.reason.lower()
        return next((self._told(_CODES[code]) for words, code in _REASONS.items() if words in reason), None)

    def _told(self, told: _Told) -> ProviderError:
        code, reason, fault, retryable, mend = told
        return self._error(code, reason, fault, retryable=retryable, mend=mend)

    def _error(
        self,
        code: str,
        message: str,
        fault: Fault = Fault.CONFIG,
        *,
        retryable: bool = False,
        mend: str = "",
    ) -> ProviderError:
        return ProviderError(self._name, code, message, fault=fault, retryable=retryable, mend=mend)


class _Characters:
    """Makes words of the characters' times, which count from the piece of audio that they belong to. That is the message's;
    but where the characters run ahead of the audio (they may come for all that is being made, with the first of it), the
    pieces follow each other by their own times."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._piece_s = 0.0
        self._word = ""
        self._start_s = self._end_s = 0.0

    def words(self, message: JsonObject, before_s: float) -> list[Word]:
        """Those that the message completes. before_s: the audio that came before it."""
        # As it was written; the normalized one has numbers and the like as they are spoken.
        alignment = message.get("alignment") or message.get("normalizedAlignment")
        if not alignment:
            return []
        try:
            characters = [
                (str(character), float(start) / 1000, float(length) / 1000)
                for character, start, length in zip(
                    alignment["chars"],
                    alignment["charStartTimesMs"],
                    alignment["charDurationsMs"],
                    strict=True,
                )
            ]
        except (KeyError, TypeError, ValueError):
            raise self._address.error(
                "malformed", "an alignment has another shape", Fault.PROVIDER, retryable=True
            ) from None
        if abs(before_s - self._piece_s) <= _IN_STEP_S:
            self._piece_s = before_s
        words: list[Word] = []
        until_s = 0.0
        for character, start_s, length_s in characters:
            if character.isspace():
                words += self.last()
            else:
                if not self._word:
                    self._start_s = self._piece_s + start_s
                self._word += character
                self._end_s = self._piece_s + start_s + length_s
            until_s = max(until_s, start_s + length_s)
        self._piece_s += until_s
        return words

    def last(self) -> list[Word]:
        """The word that is being spelled, if any: nothing more belongs to it."""
        word, self._word = self._word, ""
        return [Word(word, self._start_s, self._end_s)] if word else []


def _audio(message: JsonObject, address: Address) -> bytes:
    data = message.get("audio")
    if data is None:
        return b""
    try:
        return base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise address.error(
            "malformed", "a message has another shape", Fault.PROVIDER, retryable=True
        ) from None


def _context_of(message: JsonObject) -> str | None:
    context_id = message.get("contextId") or message.get("context_id")
    return context_id if isinstance(context_id, str) else None


def _is_final(message: JsonObject) -> bool:
    return (message.get("isFinal") or message.get("is_final")) is True


def _voice_settings(options: TtsOptions) -> JsonObject:
    """What the assistant's document says (contract 4.4), as the vendor calls it."""
    document: Mapping[str, object] = options.extra
    speed = fields.number(document, "speed", *_SPEEDS)
    if speed is None and options.speed != 1.0:
        speed = min(max(options.speed, _SPEEDS[0]), _SPEEDS[1])
    wanted = {
        "stability": fields.number(document, "stability", 0.0, 1.0),
        "similarity_boost": fields.number(document, "similarityBoost", 0.0, 1.0),
        "style": fields.number(document, "style", 0.0, 1.0),
        "use_speaker_boost": fields.flag(document, "useSpeakerBoost"),
        "speed": speed,
    }
    return {name: value for name, value in wanted.items() if value is not None}


_Told = tuple[str, str, Fault, bool, str]
_UNAUTHORIZED: _Told = ("unauthorized", "it does not take the key", Fault.CONFIG, False, _KEY_MEND)
_UNKNOWN_VOICE: _Told = ("unknown_voice", "it does not know the voice", Fault.CONFIG, False, _VOICE_MEND)
_UNKNOWN_MODEL: _Told = (
    "unknown_model",
    "it does not speak with the model",
    Fault.CONFIG,
    False,
    _MODEL_MEND,
)
_QUOTA: _Told = ("quota", "the account's credits are used up", Fault.CONFIG, False, _QUOTA_MEND)
_RATE_LIMITED: _Told = (
    "rate_limited",
    "the account's limit of simultaneous requests is reached",
    Fault.CONFIG,
    True,
    _QUOTA_MEND,
)
_BUSY: _Told = ("busy", "it has no place for another context", Fault.PROVIDER, True, "")
_IDLE: _Told = ("closed", "it waited too long for a text", Fault.PROVIDER, True, "")
_TOO_LONG: _Told = ("bad_request", "the text is too long for it", Fault.CONFIG, False, "shorten the text")

_CODES: dict[str, _Told] = {
    "invalid_api_key": _UNAUTHORIZED,
    "needs_authorization": _UNAUTHORIZED,
    "authentication_required": _UNAUTHORIZED,
    "missing_permissions": ("forbidden", "the key may not do this", Fault.CONFIG, False, _KEY_MEND),
    "voice_id_does_not_exist": _UNKNOWN_VOICE,
    "voice_not_found": _UNKNOWN_VOICE,
    "invalid_voice_id": _UNKNOWN_VOICE,
    "model_not_found": _UNKNOWN_MODEL,
    "invalid_model_id": _UNKNOWN_MODEL,
    "unsupported_model": _UNKNOWN_MODEL,
    "model_can_not_do_text_to_speech": _UNKNOWN_MODEL,
    "quota_exceeded": _QUOTA,
    "insufficient_credits": _QUOTA,
    "too_many_concurrent_requests": _RATE_LIMITED,
    "concurrent_limit_exceeded": _RATE_LIMITED,
    "rate_limit_exceeded": _RATE_LIMITED,
    "system_busy": ("unavailable", "it is overloaded", Fault.PROVIDER, True, ""),
    "max_active_conversations": _BUSY,
    "input_timeout_exceeded": _IDLE,
    "max_character_limit_exceeded": _TOO_LONG,
    "text_too_long": _TOO_LONG,
}
_REASONS = {
    "quota": "quota_exceeded",
    "api key": "invalid_api_key",
    "voice_id": "voice_id_does_not_exist",
    "simultaneous contexts": "max_active_conversations",
    "have not received a new text": "input_timeout_exceeded",
}

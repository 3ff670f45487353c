"""Deepgram's live recognition: Nova and its elders at /v1/listen, Flux at /v2/listen, told apart by the model's name.

Wire: https://developers.deepgram.com/reference/speech-to-text/listen-streaming, .../docs/flux, deepgram-sdk 7.17 (listen.v1,
listen.v2). 8 kHz is sent as mu-law, other rates as linear16, so nothing is resampled. Retries and deadlines are the router's.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from aywa.adapters.stt.socket_stream import MOST_MESSAGE_BYTES, SocketStream
from aywa.adapters.wire.guard import Guard
from aywa.adapters.wire.websocket import (
    Address,
    Ending,
    Refused,
    WebSocket,
    WebSocketSettings,
    connect,
    websocket_url,
)
from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import SttCapabilities, SttOptions, SttResult, Word

BASE_URL = "https://api.deepgram.com"
MODEL = "nova-3"
ENDPOINTING_MS = 300
"""Silence after which it makes a final by itself, where the assistant says nothing else. Ours usually asks before."""
CONFIDENCE_THRESHOLD = 0.4
KEEP_ALIVE_S = 4.0
"""It closes with NET-0001 what it has heard nothing from for 10 s."""
WARM_S = 45.0
"""How long a stream that was opened ahead is kept: as long as a phone may ring."""
MOST_WARM = 32
MOST_KEYTERMS = 100
_RATES_HZ = (16000, 8000)
# Of finals that end with the audio that was asked about; of partials, well after it: they hold back the last word.
_COVERS_S, _PARTIAL_COVERS_S = 0.02, 0.5

_SETTINGS = WebSocketSettings(most_message_bytes=MOST_MESSAGE_BYTES)
_FINALIZE = json.dumps({"type": "Finalize"})
_KEEP_ALIVE = json.dumps({"type": "KeepAlive"})
_CLOSE = json.dumps({"type": "CloseStream"})
# In prose as NET-0001, in the links that its reasons end with as net0001.
_KNOWN_CODE = re.compile(r"\b(net|data)-?(\d{4})\b", re.IGNORECASE)
_ERROR_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,60}")

# The assistant's `transcriber` (contract 4.5) and what Deepgram calls it.
_V1_FIELDS = {
    "smartFormat": "smart_format",
    "punctuate": "punctuate",
    "numerals": "numerals",
    "mipOptOut": "mip_opt_out",
    "profanityFilter": "profanity_filter",
    "endpointing": "endpointing",
    "utteranceEndMs": "utterance_end_ms",
    "vadEvents": "vad_events",
}
_FLUX_FIELDS = {
    "eotThreshold": "eot_threshold",
    "eotTimeoutMs": "eot_timeout_ms",
    "eagerEotThreshold": "eager_eot_threshold",
    "mipOptOut": "mip_opt_out",
    "numerals": "numerals",
    "profanityFilter": "profanity_filter",
}


class DeepgramStt:
    """One route. The stream's fields come from the assistant's `transcriber`; its `model` takes the place of this one.
    tls: instead of the system's trust."""

    capabilities = SttCapabilities(_RATES_HZ, interims=True, finalize=True, word_times=True)

    def __init__(
        self,
        key: str,
        model: str = MODEL,
        base_url: str = BASE_URL,
        name: str = "deepgram",
        *,
        tls: ssl.SSLContext | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._key = key
        self._model = model
        self._base_url = base_url
        self._name = name
        self._tls = tls
        self._guard = guard
        self._warm: dict[tuple[str, float], deque[_DeepgramStream]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.connections = 0
        """How many were ever made."""
        self.waited = 0
        """For how many of them a call waited."""

    @property
    def name(self) -> str:
        """The route's name."""
        return self._name

    async def open(self, options: SttOptions) -> _DeepgramStream:
        """As the port says."""
        address = self._address(options)
        waiting = self._warm.get(_key(address, options))
        while waiting:
            stream = waiting.pop()
            if stream.is_open:
                return stream
        self.waited += 1
        return await self._opened(address, options)

    async def warm(self, options: SttOptions) -> None:
        """As the port says: a stream that is kept alive until a call takes it."""
        try:
            address = self._address(options)
            if sum(map(len, self._warm.values())) >= MOST_WARM:
                return
            stream = await self._opened(address, options)
        except ProviderError:
            # Whoever opens is told.
            return
        waiting = self._warm.setdefault(_key(address, options), deque())
        waiting.append(stream)
        asyncio.get_running_loop().call_later(WARM_S, self._expire, waiting, stream)

    async def close(self) -> None:
        """As the port says."""
        for waiting in self._warm.values():
            while waiting:
                self._expire(waiting, waiting[0])
        if self._closing:
            await asyncio.wait(list(self._closing))

    def _expire(self, waiting: deque[_DeepgramStream], stream: _DeepgramStream) -> None:
        if stream in waiting:
            waiting.remove(stream)
            task = asyncio.get_running_loop().create_task(stream.close(), name="close a warm stream")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _opened(self, address: Address, options: SttOptions) -> _DeepgramStream:
        self.connections += 1
        socket = await connect(address, _SETTINGS, lambda refused: _refined(address, refused))
        made = FluxStream if _is_flux(self._model_of(options)) else NovaStream
        return made(socket, options)

    def _model_of(self, options: SttOptions) -> str:
        return str(options.extra.get("model") or self._model)

    def _address(self, options: SttOptions) -> Address:
        model = self._model_of(options)
        path, query = (
            ("/v2/listen", _flux_query(model, options))
            if _is_flux(model)
            else ("/v1/listen", _nova_query(model, options))
        )
        address = Address(
            self._name,
            websocket_url(self._base_url, f"{path}?{urlencode(query)}"),
            {"Authorization": f"Token {self._key}"},
            key_mend="check DEEPGRAM_API_KEY",
            url_mend="check DEEPGRAM_BASE_URL",
            tls=self._tls,
            guard=self._guard,
        )
        if options.rate_hz not in _RATES_HZ:
            rates = ", ".join(map(str, _RATES_HZ))
            raise address.error("bad_request", f"{options.rate_hz} Hz is not among {rates}")
        return address


class _DeepgramStream(SocketStream):
    """What both protocols share: who was told what, and when."""

    def __init__(self, socket: WebSocket, options: SttOptions) -> None:
        super().__init__(socket, options.rate_hz, pcm_to_mulaw if options.rate_hz == 8000 else _as_it_is)
        self._threshold = _threshold(options)
        # Where in the audio somebody asked for all words, oldest first.
        self._asked_s: deque[float] = deque()
        self._told_s = 0.0
        self._settled_s = 0.0
        # The same as counts of words, for results without times.
        self._told_words = self._settled_words = 0
        self._partial = False
        self._sent_before = 0
        self._timer = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._keep_alive)
        socket.receive(self)

    @property
    def is_open(self) -> bool:
        """Nothing is wrong with it yet."""
        return self._error is None and not self._closed and self._socket.is_open

    def commit(self) -> None:
        """As the port says. It goes on with its own segment, so words that were told are left out of it from now on."""
        self._settled_s = max(self._settled_s, self._told_s)
        self._settled_words = self._told_words
        self._partial = False

    def leave(self) -> None:
        self._timer.cancel()
        self._socket.send_text(_CLOSE)

    def ended(self, ending: Ending) -> None:
        self._timer.cancel()
        super().ended(ending)

    def translated(self, ending: Ending) -> ProviderError | None:
        known = _KNOWN_CODE.search(ending.reason)
        if ending.cause != "closed" or known is None:
            return super().translated(ending)
        code = f"{known[1].upper()}-{known[2]}"
        address = self._socket.address
        if code.startswith("DATA"):
            return address.error(
                "bad_request", f"it could not read the audio ({code})", Fault.RUNTIME, mend="report this"
            )
        if code == "NET-0001":
            return address.error(
                "closed", f"it heard nothing in time ({code})", Fault.NETWORK, retryable=True
            )
        return address.error("failed", f"it closed with {code}", Fault.PROVIDER, retryable=True)

    def nothing_to_send(self) -> None:
        """Keeps the connection alive."""
        self._socket.send_text(_KEEP_ALIVE)

    def _keep_alive(self) -> None:
        self.flush()
        if self._sent_bytes == self._sent_before:
            self.nothing_to_send()
        self._sent_before = self._sent_bytes
        self._timer = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._keep_alive)

    def _tell(
        self,
        text: str,
        words: tuple[Word, ...],
        confidence: float | None,
        until_s: float,
        *,
        is_final: bool,
        answers: bool,
        turn_ended: bool | None = None,
    ) -> None:
        """Leaves out what is settled or doubtful, and what says nothing. That something was doubtful is told."""
        if not text:
            # Of nothing the vendor is sure of nothing.
            confidence = None
        if text and not words:
            self._told_words = len(text.split())
            text = " ".join(text.split()[self._settled_words :])
        kept = tuple(word for word in words if word.start_s + word.end_s > 2 * self._settled_s)
        if len(kept) < len(words):
            words, text = kept, " ".join(word.text for word in kept)
        doubtful = bool(text) and confidence is not None and confidence < self._threshold
        if doubtful:
            words, text = (), ""
        if words:
            self._told_s = words[-1].end_s
        if text or answers or turn_ended or (is_final and (self._partial or doubtful)):
            self.tell(SttResult(text, is_final, answers, words, confidence, until_s, turn_ended))
        self._partial = bool(text) and not is_final
        if is_final:
            self._told_words = self._settled_words = 0

    def _malformed(self) -> ProviderError:
        return self.failed("malformed", "a message has another shape")

    def _reported(self, message: Mapping[str, Any]) -> ProviderError:
        code = str(message.get("code") or message.get("variant") or "")
        # Prose may quote the caller; codes do not.
        named = f" ({code})" if _ERROR_CODE.fullmatch(code) else ""
        return self.failed("failed", f"it reported an error{named}")


class NovaStream(_DeepgramStream):
    """/v1/listen."""

    def finalize(self) -> None:
        """As the port says."""
        self.flush()
        self._asked_s.append(self.sent_s)
        self._socket.send_text(_FINALIZE)

    def heard(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "Error":
            raise self._reported(message)
        if kind != "Results":
            # Metadata, SpeechStarted, UtteranceEnd, and what may be added.
            return
        try:
            heard = message["channel"]["alternatives"][0]
            text = str(heard["transcript"])
            words = tuple(_words(heard.get("words") or ()))
            confidence = float(heard.get("confidence") or 0.0)
            until_s = float(message["start"]) + float(message["duration"])
            is_final = bool(message.get("is_final"))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise self._malformed() from None
        answers = self._answers(until_s, is_final=is_final, said=bool(message.get("from_finalize")))
        self._tell(text, words, confidence, until_s, is_final=is_final, answers=answers)

    def _answers(self, until_s: float, *, is_final: bool, said: bool) -> bool:
        """Whether a result answers what was asked. With little audio waiting it does not say so (docs/finalize): then the
        first result does that cannot lack a word of it."""
        covers_s = until_s + _COVERS_S if is_final else until_s - _PARTIAL_COVERS_S
        if said and self._asked_s:
            self._asked_s.popleft()
        while self._asked_s and self._asked_s[0] <= covers_s:
            self._asked_s.popleft()
            said = True
        return said


class FluxStream(_DeepgramStream):
    """/v2/listen. It needs not be asked for words: every quarter of a second it tells all until then. So `finalize` is
    answered by the first message whose window ends after the audio that was asked about; the turn goes on."""

    def finalize(self) -> None:
        """As the port says."""
        self.flush()
        self._asked_s.append(self.sent_s)

    def nothing_to_send(self) -> None:
        # It knows no KeepAlive; silence does the same.
        self.feed(bytes(self._message_bytes))

    def heard(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "Error":
            raise self._reported(message)
        if kind != "TurnInfo":
            # Connected, ConfigureSuccess, Warning, and what may be added.
            return
        try:
            event = str(message["event"])
            text = str(message["transcript"])
            until_s = float(message["audio_window_end"])
            words = tuple(_words(message.get("words") or ()))
            spoken = [float(word["confidence"]) for word in message.get("words") or ()]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._malformed() from None
        answers = False
        while self._asked_s and self._asked_s[0] <= until_s + _COVERS_S:
            self._asked_s.popleft()
            answers = True
        over = {"EndOfTurn": True, "StartOfTurn": False, "TurnResumed": False}.get(event)
        confidence = sum(spoken) / len(spoken) if spoken else None
        self._tell(text, words, confidence, until_s, is_final=over is True, answers=answers, turn_ended=over)


def _as_it_is(pcm: bytes) -> bytes:
    return pcm


def _is_flux(model: str) -> bool:
    return model.startswith("flux")


def _audio_query(options: SttOptions) -> list[tuple[str, str]]:
    encoding = "mulaw" if options.rate_hz == 8000 else "linear16"
    return [("encoding", encoding), ("sample_rate", str(options.rate_hz))]


def _nova_query(model: str, options: SttOptions) -> list[tuple[str, str]]:
    extra = options.extra
    query = [("model", model), *_audio_query(options), ("channels", "1"), ("interim_results", "true")]
    query.append(("language", str(extra.get("language") or options.language)))
    fields = {"punctuate": True, "endpointing": ENDPOINTING_MS, **extra}
    query += _fields(fields, _V1_FIELDS)
    terms = [*options.keyterms, *_strings(extra.get("keyterm"))]
    boosted = _strings(extra.get("keywords"))
    if model.startswith("nova-3"):
        # It knows no keywords with a boost, only terms.
        terms += [word.partition(":")[0] for word in boosted]
        return query + [("keyterm", term) for term in _few(terms)]
    return query + [("keywords", word) for word in _few(terms + boosted)]


def _flux_query(model: str, options: SttOptions) -> list[tuple[str, str]]:
    extra = options.extra
    query = [("model", model), *_audio_query(options), *_fields(extra, _FLUX_FIELDS)]
    if model == "flux-general-multi":
        hints = _strings(extra.get("languageHint")) or [options.language]
        query += [("language_hint", hint) for hint in hints if hint != "multi"]
    terms = [*options.keyterms, *_strings(extra.get("keyterm"))]
    return query + [("keyterm", term) for term in _few(terms)]


def _fields(extra: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Only what was said, written as the vendor's SDK does."""
    found = ((name, extra.get(field)) for field, name in names.items())
    return [
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in found
        if isinstance(value, bool | int | float | str)
    ]


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []


def _few(terms: Iterable[str]) -> list[str]:
    """Without those that come twice, and no more than it takes."""
    return list(dict.fromkeys(term for term in terms if term))[:MOST_KEYTERMS]


def _words(found: Iterable[Mapping[str, Any]]) -> Iterable[Word]:
    for word in found:
        # Flux may leave the times out.
        start_s, end_s = word.get("start"), word.get("end")
        if start_s is not None and end_s is not None:
            yield Word(str(word.get("punctuated_word") or word["word"]), float(start_s), float(end_s))


def _threshold(options: SttOptions) -> float:
    said = options.extra.get("confidenceThreshold")
    return float(said) if isinstance(said, int | float) else CONFIDENCE_THRESHOLD


def _key(address: Address, options: SttOptions) -> tuple[str, float]:
    """What a stream that was opened ahead must have been opened for."""
    return address.url, _threshold(options)


def _refined(address: Address, refused: Refused) -> ProviderError | None:
    """Its answers' bodies: {"err_code": ..., "err_msg": ..., "request_id": ...}; the same is in the header dg-error."""
    told = refused.headers.get("dg-error", "") + refused.body.decode("utf-8", "replace")
    if refused.status == 400 and "model" in told.lower():
        return address.error("unknown_model", "it knows no such model", mend="check the transcriber's model")
    if refused.status == 402:
        return address.error("quota", "the project has no credit left", mend="add credit at Deepgram")
    return None

"""The routes of a call, read from its assistant: which adapter, with which key, and who is asked instead.

Adapters are shared by all calls of the process that use the same address, key and model, and keep their connections. A
provider without an adapter or without a key is named in a warning, and what runs on this machine does its work.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from aywa.adapters.llm.anthropic import AnthropicLlm
from aywa.adapters.llm.compatible import COMPATIBLE, compatible_llm
from aywa.adapters.llm.custom_llm import CustomLlm
from aywa.adapters.llm.openai import OpenAiLlm
from aywa.adapters.stt.custom_transcriber import CustomTranscriberStt
from aywa.adapters.stt.deepgram import DeepgramStt
from aywa.adapters.tts.cartesia import CartesiaTts
from aywa.adapters.tts.custom_voice import CustomVoice
from aywa.adapters.tts.elevenlabs import ElevenLabsTts
from aywa.adapters.tts.openai import OpenAiTts
from aywa.adapters.wire.guard import Guard
from aywa.boot.known_providers import MODEL, TRANSCRIBER, VOICE, known
from aywa.boot.settings import PROVIDER_VARIABLES
from aywa.call.recogniser import EarRoute
from aywa.call.router.models import ModelRoute
from aywa.call.router.voices import VoiceRoute
from aywa.ports.calls import CallPlan, ProviderKey
from aywa.ports.llm import Llm
from aywa.ports.stt import Stt
from aywa.ports.tts import Tts, TtsOptions

# An assistant names what runs here by the contract's own words for somebody else's server, at this address.
LOCAL_URL = "http://localhost/local"
OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"
OPENAI_MODEL = "gpt-4.1"
ANTHROPIC_MODEL = "claude-sonnet-4-5"
# Adapters kept; of the others the one unused the longest is closed, as soon as its last call has ended.
MAX_ADAPTERS = 500
# A document's number that is none, or beyond any sense.
NUMBER_MAX = 1e12
# A model of the customer's own may take its time: as long as its `timeoutSeconds`, and no longer than the caller waits.
CUSTOM_FIRST_S = 20.0
CUSTOM_FIRST_MAX_S = 60.0

JsonObject = Mapping[str, Any]


class _Adapter(Protocol):
    @property
    def connections(self) -> int: ...

    @property
    def waited(self) -> int: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LocalRoutes:
    """What runs on this machine, or whatever else stands in when an assistant names nobody."""

    llm: Llm
    tts: Tts
    stt: Stt
    llm_model: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """Somebody whom an assistant names and who cannot be asked. part: model, voice or transcriber."""

    part: str
    provider: str
    why: str
    mend: str = ""

    def __str__(self) -> str:
        mend = f": {self.mend}" if self.mend else ""
        return (
            f"{self.part}.provider {self.provider} {self.why}{mend}; what runs on this machine does its work"
        )


@dataclass(slots=True)
class CallRoutes:
    """A call's routes, in the order in which they are asked; the first of each is there in any case. problems: who was named
    and cannot be asked, and why."""

    models: list[ModelRoute] = field(default_factory=list)
    voices: list[VoiceRoute] = field(default_factory=list)
    ears: list[EarRoute] = field(default_factory=list)
    problems: list[Missing] = field(default_factory=list)


class Providers:
    """Makes adapters and keeps them. guard: where a customer says where a request goes. trusted: addresses that the operator
    has named himself."""

    def __init__(self, guard: Guard | None = None, trusted: Collection[str] = ()) -> None:
        self._guard = guard
        self._trusted = frozenset(trusted)
        self._kept: OrderedDict[str, _Adapter] = OrderedDict()
        # Call -> the adapters that it may use; adapter -> how many calls may; and those that are not kept any more.
        self._calls: dict[str, set[_Adapter]] = {}
        self._users: Counter[_Adapter] = Counter()
        self._evicted: set[_Adapter] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    def routes(self, plan: CallPlan, local: LocalRoutes) -> CallRoutes:
        """Who works for the call, until it has `ended`."""
        found = CallRoutes()
        for document in chain(plan.assistant, MODEL):
            self._model(document, plan, local, found)
        for document in chain(plan.assistant, VOICE):
            self._voice(document, plan, local, found)
        for document in chain(plan.assistant, TRANSCRIBER):
            self._ear(document, plan, local, found)
        return found

    def ended(self, call_id: str) -> None:
        """The call uses nobody any more."""
        for adapter in self._calls.pop(call_id, ()):
            self._users[adapter] -= 1
            if not self._users[adapter]:
                del self._users[adapter]
                if adapter in self._evicted:
                    self._let_go(adapter)

    @property
    def connections(self) -> tuple[int, int]:
        """How many the adapters that are kept have made, and for how many of them somebody waited."""
        adapters = self._kept.values()
        return sum(each.connections for each in adapters), sum(each.waited for each in adapters)

    async def close(self) -> None:
        """Closes every adapter."""
        adapters = [*self._kept.values(), *self._evicted]
        self._kept, self._evicted = OrderedDict(), set()
        closing = (adapter.close() for adapter in adapters)
        _ = await asyncio.gather(*closing, *self._leaving, return_exceptions=True)

    # --- kinds -------------------------------------------------------------------------------------------------------

    def _model(self, document: JsonObject, plan: CallPlan, local: LocalRoutes, found: CallRoutes) -> None:
        provider, model = _text(document.get("provider")), _text(document.get("model"))
        key = _key(plan, provider, document)
        more: dict[str, Any] = {
            "temperature": _number(document.get("temperature"), 0.5),
            "max_tokens": int(_number(document.get("maxTokens"), 250)),
        }
        llm: Llm
        match provider:
            case "custom-llm" if _text(document.get("url")) == LOCAL_URL:
                llm, model = local.llm, local.llm_model
            case "openai" if key is not None and (key.key or key.base_url):
                url, model = key.base_url or OPENAI_URL, model or OPENAI_MODEL
                llm = self._adapter(
                    plan.call_id, OpenAiLlm, (url, key.key, model), **self._guarded(key.base_url)
                )
            case "anthropic" if key is not None and key.key:
                url, model = key.base_url or ANTHROPIC_URL, model or ANTHROPIC_MODEL
                llm = self._adapter(
                    plan.call_id, AnthropicLlm, (url, key.key, model), **self._guarded(key.base_url)
                )
            case "custom-llm" if _text(document.get("url")):
                llm = self._adapter(
                    plan.call_id,
                    CustomLlm,
                    (_text(document["url"]), model),
                    key="" if key is None else key.key,
                    headers=_texts(document.get("headers")),
                    metadata_send_mode=_text(document.get("metadataSendMode")) or "variable",
                    **self._guarded(_text(document["url"])),
                )
                wait_s = _number(document.get("timeoutSeconds"), CUSTOM_FIRST_S) or CUSTOM_FIRST_S
                more |= {"first_s": min(wait_s, CUSTOM_FIRST_MAX_S), "next_s": min(wait_s, CUSTOM_FIRST_S)}
                if "timeoutSeconds" in document:
                    # What the customer gives his own model holds, also where another could be asked.
                    more["first_of_many_s"] = more["first_s"]
            case _ if key is not None and provider in COMPATIBLE and _reachable(provider, key):
                llm = self._adapter(
                    plan.call_id,
                    compatible_llm,
                    (provider, key.key, model),
                    base_url=key.base_url,
                    **self._guarded(key.base_url),
                )
            case _ if key is not None and key.base_url and known(MODEL, provider) is None:
                # Whoever has an address of his own speaks what nearly all speak.
                llm = self._adapter(
                    plan.call_id,
                    OpenAiLlm,
                    (key.base_url, key.key, model, provider),
                    compatible=True,
                    **self._guarded(key.base_url),
                )
            case _:
                if provider:
                    found.problems.append(_missing(MODEL, provider))
                llm, model = local.llm, local.llm_model
        found.models.append(ModelRoute(llm, model, **more))

    def _voice(self, document: JsonObject, plan: CallPlan, local: LocalRoutes, found: CallRoutes) -> None:
        provider, voice = _text(document.get("provider")), _text(document.get("voiceId"))
        key = _key(plan, provider, document)
        model = _text(document.get("model"))
        options = TtsOptions(
            plan.rate_hz,
            voice,
            _text(document.get("language")) or "en",
            _number(document.get("speed"), 1.0),
            extra=dict(document),
        )
        tts: Tts
        match provider:
            case "custom-voice" if _text(_mapping(document.get("server")).get("url")) == LOCAL_URL:
                tts, options = local.tts, TtsOptions(plan.rate_hz)
            case "11labs" if key is not None and key.key:
                tts = self._adapter(
                    plan.call_id,
                    ElevenLabsTts,
                    (key.key,),
                    **_given(base_url=key.base_url, model=model),
                    **self._guarded(key.base_url),
                )
            case "cartesia" if key is not None and key.key:
                tts = self._adapter(
                    plan.call_id,
                    CartesiaTts,
                    (key.key,),
                    **_given(base_url=key.base_url, model=model),
                    **self._guarded(key.base_url),
                )
            case "openai" if key is not None and key.key:
                tts = self._adapter(
                    plan.call_id,
                    OpenAiTts,
                    (key.key,),
                    **_given(base_url=key.base_url, model=model),
                    **self._guarded(key.base_url),
                )
            case "custom-voice" if _text(_mapping(document.get("server")).get("url")):
                server = _mapping(document["server"])
                tts = self._adapter(
                    plan.call_id,
                    CustomVoice,
                    (_text(server["url"]),),
                    headers=_headers(server),
                    **self._guarded(_text(server["url"])),
                )
            case _:
                if provider:
                    found.problems.append(_missing(VOICE, provider))
                tts, options = local.tts, TtsOptions(plan.rate_hz)
        found.voices.append(VoiceRoute(tts, options))

    def _ear(self, document: JsonObject, plan: CallPlan, local: LocalRoutes, found: CallRoutes) -> None:
        provider = _text(document.get("provider"))
        key = _key(plan, provider, document)
        language = _text(document.get("language")) or "en"
        keyterms = tuple(term for term in _list(document.get("keyterm")) if isinstance(term, str))
        stt: Stt
        match provider:
            case "custom-transcriber" if _text(_mapping(document.get("server")).get("url")) == LOCAL_URL:
                stt, document = local.stt, {}
            case "deepgram" if key is not None and key.key:
                model = _text(document.get("model"))
                stt = self._adapter(
                    plan.call_id,
                    DeepgramStt,
                    (key.key,),
                    **_given(base_url=key.base_url, model=model),
                    **self._guarded(key.base_url),
                )
            case "custom-transcriber" if _text(_mapping(document.get("server")).get("url")):
                server = _mapping(document["server"])
                stt = self._adapter(
                    plan.call_id,
                    CustomTranscriberStt,
                    (_text(server["url"]),),
                    headers=_headers(server),
                    secret=_text(server.get("secret")),
                    **self._guarded(_text(server["url"])),
                )
            case _:
                if provider:
                    found.problems.append(_missing(TRANSCRIBER, provider))
                stt, document = local.stt, {}
        found.ears.append(EarRoute(stt, language, keyterms, dict(document)))

    def _guarded(self, url: str) -> dict[str, Any]:
        """The vendor's own address, and the operator's, need no guard."""
        return {} if self._guard is None or not url or url in self._trusted else {"guard": self._guard}

    # --- adapters ----------------------------------------------------------------------------------------------------

    def _adapter(self, call_id: str, make: Callable[..., Any], arguments: Sequence[Any], **named: Any) -> Any:
        """The one of the process, for the call. Known by a digest: what makes it holds secrets."""
        told = json.dumps([make.__name__, list(arguments), named], sort_keys=True, default=repr)
        name = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
        adapter = self._kept.get(name)
        if adapter is None:
            adapter = self._kept[name] = make(*arguments, **named)
            if len(self._kept) > MAX_ADAPTERS:
                _, oldest = self._kept.popitem(last=False)
                self._evicted.add(oldest)
                if not self._users[oldest]:
                    self._let_go(oldest)
        self._kept.move_to_end(name)
        used = self._calls.setdefault(call_id, set())
        if adapter not in used:
            used.add(adapter)
            self._users[adapter] += 1
        return adapter

    def _let_go(self, adapter: _Adapter) -> None:
        self._evicted.discard(adapter)

        async def close() -> None:
            with suppress(Exception):
                await adapter.close()

        task = asyncio.get_running_loop().create_task(close(), name="closing an adapter")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def chain(assistant: JsonObject, part: str) -> Iterator[JsonObject]:
    """The part's document, and those that are asked instead, each whole (contract 4.3-4.5)."""
    first = _mapping(assistant.get(part))
    yield first
    if part == MODEL:
        for other in _list(first.get("fallbackModels")):
            if isinstance(other, str):
                yield {**first, "model": other}
            elif isinstance(other, Mapping):
                yield {**{n: first[n] for n in ("temperature", "maxTokens") if n in first}, **other}
        return
    plan = _mapping(first.get("fallbackPlan"))
    yield from (each for each in _list(plan.get(f"{part}s")) if isinstance(each, Mapping))
    if _mapping(plan.get("autoFallback")).get("enabled") is True:
        yield {}


def _key(plan: CallPlan, provider: str, document: JsonObject) -> ProviderKey | None:
    """The credential that the document names goes first."""
    if not provider:
        return None
    named = _text(document.get("credentialId"))
    # The environment's keys stand under their providers' names: whoever names one must not be able to send it elsewhere.
    found = None if named in PROVIDER_VARIABLES else plan.keys.get(named)
    return found or plan.keys.get(provider)


def _reachable(provider: str, key: ProviderKey) -> bool:
    """It has an address, and a key unless the address is the customer's own."""
    return bool(key.base_url or (key.key and COMPATIBLE[provider].base_url))


def _missing(part: str, provider: str) -> Missing:
    one = known(part, provider)
    why, mend = ("has no adapter in this release", "") if one is None else one.lacking
    return Missing(part, provider[:60], why, mend)


def _headers(server: JsonObject) -> dict[str, str]:
    """Contract 7.2: a legacy secret is sent as it is."""
    headers = _texts(server.get("headers"))
    secret = _text(server.get("secret"))
    return {"X-Vapi-Secret": secret, **headers} if secret else headers


def _given(**named: str) -> dict[str, str]:
    return {name: value for name, value in named.items() if value}


def _mapping(value: Any) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> dict[str, str]:
    return {str(name): item for name, item in _mapping(value).items() if isinstance(item, str)}


def _number(value: Any, default: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not -NUMBER_MAX < value < NUMBER_MAX:
        return default
    return float(value)

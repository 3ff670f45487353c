"""Who works for a call, read from its assistant: adapters, chains, keys that are missing, and what is shared between calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from aywa.adapters.llm.anthropic import AnthropicLlm
from aywa.adapters.llm.compatible import COMPATIBLE
from aywa.adapters.llm.openai import OpenAiLlm
from aywa.adapters.stt.deepgram import DeepgramStt
from aywa.adapters.tts.cartesia import CartesiaTts
from aywa.adapters.tts.elevenlabs import ElevenLabsTts
from aywa.adapters.tts.openai import OpenAiTts
from aywa.boot import providers as boot
from aywa.boot import receptionist
from aywa.boot.known_providers import KNOWN_PROVIDERS, MODEL, TRANSCRIBER, VOICE, KnownProvider, known
from aywa.boot.providers import CallRoutes, LocalRoutes, Providers
from aywa.boot.settings import PROVIDER_VARIABLES
from aywa.ports.calls import CallPlan, ProviderKey
from aywa.ports.llm import ChatMessage, LlmRequest
from aywa.ports.media import AudioFormat
from aywa.service.validate import MODEL_PROVIDERS, TRANSCRIBER_PROVIDERS, VOICE_PROVIDERS
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts
from aywa.testing.vendors.plan import Plan
from aywa.testing.vendors.server import SimulatedVendors

SECRET = "sim-planted"
HERE = LocalRoutes(ScriptedLlm(), ScriptedTts(), ScriptedStt(), "here")
KEYS = {one.provider: ProviderKey(SECRET, f"http://127.0.0.1:1/{one.provider}") for one in KNOWN_PROVIDERS}


@pytest.fixture
async def providers() -> AsyncIterator[Providers]:
    made = Providers()
    yield made
    await made.close()


def plan(
    assistant: Mapping[str, Any], keys: Mapping[str, ProviderKey] = KEYS, call_id: str = "call-1"
) -> CallPlan:
    return CallPlan(call_id, "org-1", "webCall", assistant, AudioFormat.PCM16, 8000, 0, keys=keys)


def named(one: KnownProvider) -> dict[str, Any]:
    """The part of an assistant that names it."""
    document: dict[str, Any] = {"provider": one.provider, "voiceId": "v", "model": "m"}
    return document | {"url": "http://127.0.0.1:1/v1", "server": {"url": "ws://127.0.0.1:1/"}}


def worker(found: CallRoutes, part: str) -> Any:
    return {MODEL: found.models[0].llm, VOICE: found.voices[0].tts, TRANSCRIBER: found.ears[0].stt}[part]


@pytest.mark.parametrize("one", KNOWN_PROVIDERS, ids=lambda one: f"{one.part}-{one.provider}")
async def test_every_known_provider_gets_its_adapter(one: KnownProvider, providers: Providers) -> None:
    found = providers.routes(plan({one.part: named(one)}), HERE)
    assert type(worker(found, one.part)) is one.adapter
    assert not found.problems
    assert one.check_with or one.wants or one.needs_address


@pytest.mark.parametrize("one", KNOWN_PROVIDERS, ids=lambda one: f"{one.part}-{one.provider}")
async def test_whoever_cannot_be_asked_is_named_with_the_mend(
    one: KnownProvider, providers: Providers
) -> None:
    found = providers.routes(plan({one.part: {"provider": one.provider}}, {}), HERE)
    assert worker(found, one.part) in (HERE.llm, HERE.tts, HERE.stt)
    (problem,) = found.problems
    assert (problem.part, problem.provider) == (one.part, one.provider)
    told = str(problem)
    assert told.startswith(f"{one.part}.provider {one.provider} has no ")
    assert told.endswith("; what runs on this machine does its work")
    variable = one.url_variable if one.needs_address else one.key_variable
    assert (variable or f"set {one.part}.{one.wants}") in told


def test_the_tables_agree() -> None:
    prefixes = {name: vendor.prefix for name, vendor in COMPATIBLE.items()}
    assert prefixes.items() <= PROVIDER_VARIABLES.items()
    assert {one.provider for one in KNOWN_PROVIDERS if not one.wants} == set(PROVIDER_VARIABLES)
    contract = {
        MODEL: (*MODEL_PROVIDERS, "mistral"),
        VOICE: VOICE_PROVIDERS,
        TRANSCRIBER: TRANSCRIBER_PROVIDERS,
    }
    assert [one for one in KNOWN_PROVIDERS if one.provider not in contract[one.part]] == []
    assert known(MODEL, "deepgram") is None


@pytest.mark.parametrize(
    ("part", "provider"), [(MODEL, "vapi"), (MODEL, ""), (VOICE, "hume"), (TRANSCRIBER, "gladia")]
)
async def test_a_stranger_is_done_without(part: str, provider: str, providers: Providers) -> None:
    document = {"provider": provider, "voiceId": "v"}
    found = providers.routes(plan({part: document}), HERE)
    assert worker(found, part) in (HERE.llm, HERE.tts, HERE.stt)
    assert [str(each) for each in found.problems] == [
        f"{part}.provider {provider} has no adapter in this release; what runs on this machine does its work"
    ][: bool(provider)]


@pytest.mark.parametrize("assistant", [{}, {"model": None, "voice": 7, "transcriber": []}])
async def test_who_names_nobody_gets_what_runs_here(
    assistant: Mapping[str, Any], providers: Providers
) -> None:
    found = providers.routes(plan(assistant), HERE)
    assert [worker(found, part) for part in (MODEL, VOICE, TRANSCRIBER)] == [HERE.llm, HERE.tts, HERE.stt]
    assert (found.models[0].model, found.problems) == ("here", [])


async def test_what_runs_here_has_an_address_that_is_never_asked(providers: Providers) -> None:
    address = {"url": boot.LOCAL_URL, "server": {"url": boot.LOCAL_URL}}
    for part, provider in (
        (MODEL, "custom-llm"),
        (VOICE, "custom-voice"),
        (TRANSCRIBER, "custom-transcriber"),
    ):
        found = providers.routes(plan({part: {"provider": provider, **address}}), HERE)
        assert worker(found, part) in (HERE.llm, HERE.tts, HERE.stt)
        assert found.problems == []


async def test_the_first_assistant_names_what_runs_here_and_nobody_has_to_be_warned(
    providers: Providers,
) -> None:
    found = providers.routes(plan(receptionist.DOCUMENT), HERE)
    assert [worker(found, part) for part in (MODEL, VOICE, TRANSCRIBER)] == [HERE.llm, HERE.tts, HERE.stt]
    assert found.problems == []


async def test_half_a_key_is_not_enough(providers: Providers) -> None:
    """An address without a key serves where servers want none; a key without an address where the vendor has one."""
    address, key = ProviderKey("", "http://127.0.0.1:1/v1"), ProviderKey(SECRET)
    cases: list[tuple[str, str, ProviderKey, bool]] = [
        (MODEL, "openai", address, True),
        (MODEL, "openai", key, True),
        (MODEL, "groq", address, True),
        (MODEL, "groq", key, True),
        (MODEL, "anyscale", key, False),
        (MODEL, "anyscale", address, True),
        (MODEL, "anthropic", address, False),
        (MODEL, "runpod", address, True),
        (VOICE, "11labs", address, False),
        (VOICE, "cartesia", address, False),
        (VOICE, "openai", address, False),
        (TRANSCRIBER, "deepgram", address, False),
    ]
    for part, provider, given, works in cases:
        document = {"provider": provider, "voiceId": "v", "model": "m"}
        found = providers.routes(plan({part: document}, {provider: given}), HERE)
        is_local = worker(found, part) in (HERE.llm, HERE.tts, HERE.stt)
        assert (not is_local, not found.problems) == (works, works), (part, provider)


# --- chains --------------------------------------------------------------------------------------------------------


async def test_models_are_asked_in_the_order_that_the_assistant_names(providers: Providers) -> None:
    model = {
        "provider": "openai",
        "model": "gpt-4.1",
        "temperature": 0.2,
        "maxTokens": 90,
        "fallbackModels": [
            "gpt-4.1-mini",
            {"provider": "anthropic", "model": "claude-haiku-4-5"},
            {"provider": "groq", "model": "llama", "temperature": 0},
            7,
        ],
    }
    found = providers.routes(plan({MODEL: model}), HERE)
    assert [route.name for route in found.models] == [
        "openai/gpt-4.1",
        "openai/gpt-4.1-mini",
        "anthropic/claude-haiku-4-5",
        "groq/llama",
    ]
    assert [type(route.llm) for route in found.models] == [OpenAiLlm, OpenAiLlm, AnthropicLlm, OpenAiLlm]
    assert [route.temperature for route in found.models] == [0.2, 0.2, 0.2, 0.0]
    assert {route.max_tokens for route in found.models} == {90}


async def test_voices_and_recognisers_are_those_of_the_fallback_plan(providers: Providers) -> None:
    voice = {
        "provider": "11labs",
        "voiceId": "a",
        "fallbackPlan": {
            "voices": [
                {"provider": "cartesia", "voiceId": "b", "speed": 1.2},
                {"provider": "openai", "voiceId": "c"},
                "nonsense",
            ],
            "autoFallback": {"enabled": True},
        },
    }
    transcriber = {
        "provider": "deepgram",
        "model": "nova-3",
        "language": "de",
        "keyterm": ["Aywa", 7],
        "fallbackPlan": {"transcribers": [{"provider": "deepgram", "model": "nova-2"}]},
    }
    found = providers.routes(plan({VOICE: voice, TRANSCRIBER: transcriber}), HERE)
    assert [route.name for route in found.voices[:3]] == [
        "elevenlabs/a",
        "cartesia/b",
        "openai-speech/c",
    ]
    kinds: list[type] = [type(route.tts) for route in found.voices]
    assert kinds == [ElevenLabsTts, CartesiaTts, OpenAiTts, ScriptedTts]
    assert found.voices[1].options.speed == 1.2
    assert [type(route.stt) for route in found.ears] == [DeepgramStt, DeepgramStt]
    assert found.ears[0].stt is not found.ears[1].stt
    assert (found.ears[0].language, found.ears[0].keyterms, found.ears[1].language) == ("de", ("Aywa",), "en")
    assert not found.problems


async def test_one_of_a_chain_without_a_key_is_named_and_the_rest_stands(providers: Providers) -> None:
    voice = {
        "provider": "11labs",
        "voiceId": "a",
        "fallbackPlan": {"voices": [{"provider": "cartesia", "voiceId": "b"}, {"provider": "openai"}]},
    }
    keys = {name: KEYS[name] for name in ("11labs", "openai")}
    found = providers.routes(plan({VOICE: voice}, keys), HERE)
    assert [type(route.tts).__name__ for route in found.voices] == [
        "ElevenLabsTts",
        "ScriptedTts",
        "OpenAiTts",
    ]
    assert [each.provider for each in found.problems] == ["cartesia"]


# --- keys and adapters -----------------------------------------------------------------------------------------------


async def test_the_key_that_a_document_names_goes_first(providers: Providers) -> None:
    async with SimulatedVendors() as vendors:
        url = f"{vendors.url}/v1"
        keys = {"openai": ProviderKey("wrong", url), "ours": ProviderKey("sim-ours", url)}
        document = {"provider": "openai", "model": "gpt-4.1", "credentialId": "ours"}
        found = providers.routes(plan({MODEL: document}, keys), HERE)
        request = LlmRequest((ChatMessage("user", "Hello"),))
        assert [delta async for delta in found.models[0].llm.stream(request)]
        await providers.close()


async def test_adapters_are_shared_between_calls_of_the_same_key_and_no_others(providers: Providers) -> None:
    def llm(keys: Mapping[str, ProviderKey], model: str = "m") -> Any:
        return worker(
            providers.routes(plan({MODEL: {"provider": "openai", "model": model}}, keys), HERE), MODEL
        )

    first = llm(KEYS)
    assert llm(KEYS) is first
    assert llm(KEYS, "another") is not first
    assert llm({"openai": ProviderKey("sim-other", KEYS["openai"].base_url)}) is not first
    assert llm({"openai": ProviderKey(SECRET, "http://127.0.0.1:1/other")}) is not first


async def test_of_too_many_the_longest_unused_is_closed_as_soon_as_its_last_call_has_ended(
    providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "MAX_ADAPTERS", 2)
    closed: list[str] = []

    async def close(self: OpenAiLlm) -> None:
        closed.append(self._model)

    monkeypatch.setattr(OpenAiLlm, "close", close)

    async def after(*ended: str) -> list[str]:
        for call_id in ended:
            providers.ended(call_id)
        await asyncio.sleep(0)
        return closed

    for call_id, model in (("1", "a"), ("2", "b"), ("3", "a"), ("4", "b")):
        _ = providers.routes(plan({MODEL: {"provider": "openai", "model": model}}, call_id=call_id), HERE)
    assert await after("3", "3", "nobody") == []
    # Nobody needs it any more, and it is kept: another call may come.
    assert await after("1") == []
    for model in ("c", "d"):
        _ = providers.routes(plan({MODEL: {"provider": "openai", "model": model}}, call_id=model), HERE)
    assert await after() == ["a"]
    assert await after("2") == ["a"]
    assert await after("4") == ["a", "b"]
    # One that came back into use is another one.
    _ = providers.routes(plan({MODEL: {"provider": "openai", "model": "b"}}, call_id="5"), HERE)
    assert await after() == ["a", "b"]
    await providers.close()
    assert sorted(closed) == ["a", "b", "b", "c", "d"]


async def test_closing_ends_the_connections(providers: Providers) -> None:
    async with SimulatedVendors() as vendors:
        keys = {"openai": ProviderKey(SECRET, f"{vendors.url}/v1")}
        vendors.plans.set("openai.chat", Plan(text="Hello."))
        found = providers.routes(plan({MODEL: {"provider": "openai", "model": "gpt-4.1"}}, keys), HERE)
        request = LlmRequest((ChatMessage("user", "Hello"),))
        assert [delta async for delta in found.models[0].llm.stream(request)]
        assert vendors.open_connections
        await providers.close()
        async with asyncio.timeout(2):
            while vendors.open_connections:  # noqa: ASYNC110 - the far side notices when it does
                await asyncio.sleep(0.01)


async def test_no_secret_is_shown(providers: Providers) -> None:
    assistant = {one.part: named(one) for one in KNOWN_PROVIDERS}
    shown = ""
    for one in KNOWN_PROVIDERS:
        found = providers.routes(plan({**assistant, one.part: named(one)}), HERE)
        shown += repr(found) + repr(found.problems)
    shown += repr(providers) + repr(providers._kept) + repr(plan(assistant))
    assert SECRET not in shown

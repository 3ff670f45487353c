"""Which adapters a call's assistant makes: with whose key, shared with whom, and whatever its documents hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aywa.adapters.llm.custom_llm import CustomLlm
from aywa.boot import providers as module
from aywa.boot.providers import LocalRoutes, Providers
from aywa.ports.calls import CallPlan, ProviderKey
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts
from aywa.testing.virtual_time import run_virtual

LOCAL = LocalRoutes(ScriptedLlm(), ScriptedTts(), ScriptedStt())
OPERATORS = {
    "openai": ProviderKey("sk-operators", "", source="OPENAI_API_KEY"),
    "deepgram": ProviderKey("dg-operators", "", source="DEEPGRAM_API_KEY"),
    "11labs": ProviderKey("el-operators", "", source="ELEVENLABS_API_KEY"),
}


def plan(assistant: Mapping[str, Any], keys: Mapping[str, ProviderKey] = OPERATORS) -> CallPlan:
    return CallPlan("call-1", "org-1", "webCall", assistant, "pcm16", 16000, 0, keys=keys)  # type: ignore[arg-type]


def credential(key: str, base_url: str = "") -> ProviderKey:
    return ProviderKey(key, base_url, source="credential 1")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What adapters were made of."""
    found: list[tuple[Any, ...]] = []
    adapter = Providers._adapter

    def note(self: Providers, call_id: str, make: Any, arguments: Any, **named: Any) -> Any:
        found.append((make.__name__, *arguments, named))
        return adapter(self, call_id, make, arguments, **named)

    monkeypatch.setattr(Providers, "_adapter", note)
    return found


@pytest_asyncio.fixture
async def providers() -> AsyncIterator[Providers]:
    providers = Providers()
    yield providers
    await providers.close()


@pytest.mark.parametrize("name", sorted(OPERATORS))
async def test_the_environments_key_is_not_sent_to_an_address_that_the_assistant_names(
    name: str, providers: Providers, made: list[tuple[Any, ...]]
) -> None:
    """It stands among the call's keys under its provider's name, and a credential may be named by anything."""
    model = {"provider": "custom-llm", "url": "https://llm.example/v1", "model": "m", "credentialId": name}
    _ = providers.routes(plan({"model": model}), LOCAL)
    [(kind, url, _, named)] = made
    assert (kind, url, named["key"]) == ("CustomLlm", "https://llm.example/v1", "")
    assert "operators" not in str(made)


async def test_a_credential_that_the_assistant_names_goes_first(
    providers: Providers, made: list[tuple[Any, ...]]
) -> None:
    keys = {**OPERATORS, "mine": credential("sk-mine")}
    for named in ("mine", "openai", "gone", ""):
        _ = providers.routes(plan({"model": {"provider": "openai", "credentialId": named}}, keys), LOCAL)
    assert [each[2] for each in made] == ["sk-mine", *["sk-operators"] * 3]


async def test_calls_share_an_adapter_only_if_all_that_makes_it_is_the_same(providers: Providers) -> None:
    def model(key: str = "a", url: str = "", name: str = "gpt-4.1") -> Any:
        document = {"model": {"provider": "openai", "model": name}}
        return providers.routes(plan(document, {"openai": credential(key, url)}), LOCAL).models[0].llm

    one = model()
    assert model() is one
    assert len({id(each) for each in (one, model("b"), model(url="http://x"), model(name="gpt-5"))}) == 4


async def test_more_adapters_than_are_kept_let_the_oldest_go(
    providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ADAPTERS", 3)

    def llm(key: str) -> Any:
        document = {"model": {"provider": "openai"}}
        return providers.routes(plan(document, {"openai": credential(key)}), LOCAL).models[0].llm

    first = llm("0")
    for key in ("1", "2", "0", "3", "4"):
        _ = llm(key)
    assert llm("0") is first
    assert len(providers._kept) == 3


def test_secrets_are_not_in_what_adapters_are_known_by() -> None:
    async def run() -> None:
        providers = Providers()
        _ = providers.routes(plan({"model": {"provider": "openai"}}), LOCAL)
        assert "operators" not in str(list(providers._kept))
        await providers.close()

    run_virtual(run())


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**400), 10**400),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(
            ["openai", "custom-llm", "11labs", "deepgram", "http://[", "https://x.example", "\ud800"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = (
    "provider model voiceId url temperature maxTokens timeoutSeconds headers metadataSendMode credentialId speed language"
    " keyterm server fallbackModels fallbackPlan"
).split()
PROVIDERS = (
    "openai anthropic custom-llm 11labs cartesia custom-voice deepgram custom-transcriber groq".split()
)
DOCUMENT = st.fixed_dictionaries(
    {"provider": st.sampled_from(PROVIDERS)},
    optional={name: VALUES for name in NAMES if name != "provider"},
)
PART = st.one_of(
    DOCUMENT,
    st.builds(
        lambda first, others: {
            **first,
            "fallbackModels": others,
            "fallbackPlan": {"voices": others, "transcribers": others, "autoFallback": {"enabled": True}},
        },
        DOCUMENT,
        st.lists(DOCUMENT, max_size=2),
    ),
    VALUES,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(assistant=st.fixed_dictionaries({"model": PART, "voice": PART, "transcriber": PART}))
def test_whatever_the_documents_hold_a_call_has_its_routes(assistant: dict[str, Any]) -> None:
    async def run() -> None:
        providers = Providers()
        try:
            found = providers.routes(plan(assistant), LOCAL)
            assert found.models
            assert found.voices
            assert found.ears
            names = (
                [r.name for r in found.models] + [r.name for r in found.voices] + [r.name for r in found.ears]
            )
            assert "operators" not in str((names, found.problems))
        finally:
            await providers.close()

    run_virtual(run())


async def test_a_custom_model_of_another_key_is_another_one(providers: Providers) -> None:
    def llm(key: str) -> Any:
        keys = {"custom-llm": credential(key)}
        document = {"model": {"provider": "custom-llm", "url": "https://x.example"}}
        return providers.routes(plan(document, keys), LOCAL).models[0].llm

    assert isinstance(llm("a"), CustomLlm)
    assert llm("a") is llm("a")
    assert llm("a") is not llm("b")

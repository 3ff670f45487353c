"""Usage to costs: the contract's shapes, numbers in every field, and what has no price named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.cost import (
    BYTE,
    CACHED,
    CHARACTER,
    COMPLETION,
    LLM,
    PROMPT,
    SECOND,
    STORAGE,
    STT,
    TRANSPORT,
    TTS,
    Meter,
    Price,
    Prices,
    Source,
    Usage,
    all_sources,
    bill,
    characters_of,
    meter_of,
    source_of,
    sources_of,
)
from tests.core.feed import examples

GPT = Source(LLM, "openai", "gpt-4.1")
NOVA = Source(STT, "deepgram", "nova-3")
FLASH = Source(TTS, "11labs", "eleven_flash_v2_5")
SOURCES = {LLM: GPT, STT: NOVA, TTS: FLASH}
PRICES = Prices(
    [
        Price(LLM, "openai", "gpt-4.1", PROMPT, 2e-6),
        Price(LLM, "openai", "gpt-4.1", CACHED, 0.5e-6),
        Price(LLM, "openai", "gpt-4.1", COMPLETION, 8e-6),
        Price(STT, "deepgram", "nova-3", SECOND, 0.0048 / 60),
        Price(STT, "deepgram", "nova-3:multi", SECOND, 0.0058 / 60),
        Price(TTS, "11labs", "*", CHARACTER, 0.05 / 1000),
        Price(TTS, "openai", "gpt-4o-mini-tts", SECOND, 0.015 / 60),
        Price(STORAGE, "local", "*", BYTE, 1e-9),
        Price(TRANSPORT, "twilio", "*", SECOND, 0.014 / 60),
    ]
)


def full_call() -> Meter:
    meter = Meter(SOURCES)
    meter.connected(1.0)
    meter.connected(2.0)
    meter.asked(1, 4000)
    meter.answered(1, 1000, 400, 50)
    meter.spoke("a" * 200, 12.0)
    meter.ended(91.0)
    meter.ended(95.0)
    return meter


def test_a_call_s_costs_in_the_contract_s_shapes() -> None:
    made = bill(full_call(), PRICES)
    llm, stt, tts = 600 * 2e-6 + 400 * 0.5e-6 + 50 * 8e-6, 1.5 * 0.0048, 200 * 0.05 / 1000
    assert made.costs == [
        {"type": "transport", "minutes": 1.5, "cost": 0},
        {
            "type": "transcriber",
            "transcriber": {"provider": "deepgram", "model": "nova-3"},
            "minutes": 1.5,
            "cost": pytest.approx(stt),
        },
        {
            "type": "model",
            "model": {"provider": "openai", "model": "gpt-4.1"},
            "promptTokens": 1000,
            "completionTokens": 50,
            "cachedPromptTokens": 400,
            "cost": pytest.approx(llm),
        },
        {
            "type": "voice",
            "voice": {"provider": "11labs", "model": "eleven_flash_v2_5"},
            "characters": 200,
            "cost": pytest.approx(tts),
        },
    ]
    assert made.total == pytest.approx(llm + stt + tts)
    assert made.breakdown == {
        "transport": 0,
        "stt": pytest.approx(stt),
        "llm": pytest.approx(llm),
        "tts": pytest.approx(tts),
        "vapi": 0,
        "chat": 0,
        "total": made.total,
        "llmPromptTokens": 1000,
        "llmCompletionTokens": 50,
        "llmCachedPromptTokens": 400,
        "ttsCharacters": 200,
        "storage": 0,
        "storedBytes": 0,
        "estimatedPromptTokens": 0,
        "estimatedCompletionTokens": 0,
        "unpriced": [{"type": "transport", "provider": "local", "model": ""}],
    }


def test_where_nothing_was_used_there_is_an_entry_of_each_kind_all_the_same() -> None:
    made = bill(Meter(), Prices())
    assert [entry["type"] for entry in made.costs] == ["transport", "transcriber", "model", "voice"]
    assert all(entry["cost"] == 0 for entry in made.costs)
    assert (made.total, made.breakdown["unpriced"]) == (0, [])


def test_several_who_did_the_same_work_are_told_apart() -> None:
    meter = full_call()
    stand_in = Source(TTS, "openai", "gpt-4o-mini-tts")
    meter.spoke("Hello.", 60.0, stand_in)
    meter.asked(2, 10, Source(LLM, "nobody", "x"))
    meter.answered(2, 7, 9, 1)
    made = bill(meter, PRICES)
    voices = [entry for entry in made.costs if entry["type"] == "voice"]
    assert [(entry["voice"]["provider"], entry["cost"]) for entry in voices] == [
        ("11labs", 0.01),
        ("openai", 0.015),
    ]
    assert {"type": "llm", "provider": "nobody", "model": "x"} in made.breakdown["unpriced"]
    # More cached than asked is no vendor's meaning: it is bounded.
    assert made.breakdown["llmCachedPromptTokens"] == 407


def test_what_was_asked_about_the_call_is_shown_apart() -> None:
    meter, plain = full_call(), bill(full_call(), PRICES)
    model = Source(LLM, "openai", "gpt-4.1")
    meter.analysed_by("summary", model, 1000, 400, 50)
    meter.analysed_by("structuredData", model, 10, 0, 5)
    meter.analysed_by("structuredData", Source(LLM, "nobody", "x"), 20, 30, 5)
    made = bill(meter, PRICES)
    summary = 600 * 2e-6 + 400 * 0.5e-6 + 50 * 8e-6
    assert made.costs[:4] == plain.costs
    assert made.costs[4] == {
        "type": "analysis",
        "analysisType": "summary",
        "model": {"provider": "openai", "model": "gpt-4.1"},
        "promptTokens": 1000,
        "completionTokens": 50,
        "cachedPromptTokens": 400,
        "cost": pytest.approx(summary),
    }
    assert [entry["analysisType"] for entry in made.costs[5:]] == ["structuredData"] * 2
    data = 10 * 2e-6 + 5 * 8e-6
    assert made.total == pytest.approx(plain.total + summary + data)
    assert made.breakdown["analysisCostBreakdown"] == {
        "summary": pytest.approx(summary),
        "summaryPromptTokens": 1000,
        "summaryCompletionTokens": 50,
        "summaryCachedPromptTokens": 400,
        "structuredData": pytest.approx(data),
        "structuredDataPromptTokens": 30,
        "structuredDataCompletionTokens": 10,
        "structuredDataCachedPromptTokens": 20,
    }
    assert made.breakdown["llm"] == plain.breakdown["llm"]
    assert {"type": "llm", "provider": "nobody", "model": "x"} in made.breakdown["unpriced"]


def test_a_line_of_a_carrier_and_stored_bytes_cost_too() -> None:
    meter = Meter({TRANSPORT: Source(TRANSPORT, "twilio")})
    meter.connected(0.0)
    meter.ended(60.0)
    meter.add(Usage(Source(STORAGE), BYTE, 2_000_000_000))
    made = bill(meter, PRICES)
    assert made.costs[0] == {"type": "transport", "provider": "twilio", "minutes": 1.0, "cost": 0.014}
    assert (made.breakdown["storage"], made.breakdown["storedBytes"], made.total) == (
        2.0,
        2_000_000_000,
        2.014,
    )


def test_a_request_that_was_cut_is_estimated_and_said_to_be() -> None:
    meter = Meter(SOURCES)
    meter.asked(1, 401)
    for _ in range(5):
        meter.wrote(1)
    meter.wrote(9)
    meter.cut(1)
    meter.cut(1)
    meter.answered(1, 0, 0, 0)
    meter.asked(2, 8)
    meter.ended(5.0)
    breakdown = bill(meter, PRICES).breakdown
    assert (breakdown["llmPromptTokens"], breakdown["llmCompletionTokens"]) == (103, 5)
    assert (breakdown["estimatedPromptTokens"], breakdown["estimatedCompletionTokens"]) == (103, 5)


def test_without_a_price_of_their_own_cached_tokens_cost_what_others_do() -> None:
    prices = Prices([Price(LLM, "x", "*", PROMPT, 1.0), Price(LLM, "x", "*", COMPLETION, 2.0)])
    meter = Meter({LLM: Source(LLM, "x")})
    meter.answered(1, 10, 4, 1)
    assert meter.dollars(prices, 0.0) == 12.0


@pytest.mark.parametrize(
    ("kind", "provider", "model", "usd"),
    [
        (STT, "deepgram", "nova-3", 0.0048),
        (STT, "deepgram", "nova-3:multi", 0.0058),
        (STT, "deepgram", "nova-3:other", 0.0048),
        (STT, "deepgram", "nova-3-2026-01-31", 0.0048),
        (STT, "deepgram", "nova-3-20260131", 0.0048),
        (STT, "deepgram", "nova-3-latest", 0.0048),
        (STT, "deepgram", "nova-3-medical", None),
        (STT, "deepgram", "", None),
        (STT, "nobody", "nova-3", None),
        (LLM, "deepgram", "nova-3", None),
    ],
)
def test_a_model_is_found_by_its_name_dated_or_not(
    kind: str, provider: str, model: str, usd: float | None
) -> None:
    row = PRICES.of(Source(kind, provider, model))
    assert (None if row is None else pytest.approx(row[SECOND] * 60)) == usd


def test_only_the_rows_that_are_needed_go_with_a_call() -> None:
    rows = PRICES.rows([Source(LLM, "openai", "gpt-4.1-2025-04-14"), FLASH, GPT, Source(STT, "nobody")])
    assert {(row.provider, row.model, row.unit) for row in rows} == {
        ("openai", "gpt-4.1", PROMPT),
        ("openai", "gpt-4.1", CACHED),
        ("openai", "gpt-4.1", COMPLETION),
        ("11labs", "*", CHARACTER),
    }
    assert Prices(rows).of(FLASH) == PRICES.of(FLASH)


def test_time_is_counted_until_now_while_the_call_lasts() -> None:
    meter = Meter(SOURCES)
    assert meter.minutes(50.0) == 0
    meter.connected(10.0)
    assert meter.minutes() == 0
    assert meter.minutes(70.0) == 1
    assert meter.minutes(5.0) == 0
    assert meter.dollars(PRICES, 70.0) == pytest.approx(0.0048)
    assert meter.dollars_a_second(PRICES) == pytest.approx(0.0048 / 60)


def test_who_works_for_an_assistant() -> None:
    assistant = {
        "model": {
            "provider": "openai",
            "model": "gpt-4.1",
            "fallbackModels": ["gpt-4.1-mini", {"provider": "x"}],
        },
        "voice": {
            "provider": "11labs",
            "model": "eleven_flash_v2_5",
            "fallbackPlan": {"voices": [{"provider": "cartesia", "model": "sonic-3"}]},
        },
        "transcriber": {
            "provider": "deepgram",
            "model": "nova-3",
            "language": "multi",
            "fallbackPlan": {"transcribers": [{"provider": "custom-transcriber"}]},
        },
    }
    assert sources_of(assistant) == {
        LLM: GPT,
        TTS: FLASH,
        STT: Source(STT, "deepgram", "nova-3:multi"),
        TRANSPORT: Source(TRANSPORT),
        STORAGE: Source(STORAGE),
    }
    others = set(all_sources(assistant)) - set(sources_of(assistant).values())
    assert others == {
        Source(LLM, "openai", "gpt-4.1-mini"),
        Source(LLM, "x"),
        Source(TTS, "cartesia", "sonic-3"),
        Source(STT, "custom-transcriber"),
        Source(LLM),
        Source(TTS),
        Source(STT),
    }


@pytest.mark.parametrize(
    "junk",
    [{}, {"model": "x", "voice": None, "transcriber": []}, {"model": {"provider": 5, "fallbackModels": 1}}],
)
def test_an_assistant_that_names_nobody_has_its_work_done_here(junk: dict[str, Any]) -> None:
    assert {source.provider for source in all_sources(junk)} == {"local"}
    assert source_of(STT, {"provider": "deepgram", "language": "multi"}) == Source(STT, "deepgram")


@pytest.mark.parametrize(
    ("kind", "route", "source"),
    [
        (LLM, "", GPT),
        (LLM, "openai/gpt-4.1-mini", Source(LLM, "openai", "gpt-4.1-mini")),
        (LLM, "openai", GPT),
        (LLM, "anthropic", Source(LLM, "anthropic")),
        (LLM, "local-qwen-0.5b", Source(LLM)),
        (TTS, "elevenlabs/voice-1", FLASH),
        (TTS, "11labs/voice-1", FLASH),
        (TTS, "cartesia/voice-2", Source(TTS, "cartesia")),
        (TTS, "local-hibari", Source(TTS)),
    ],
)
def test_who_a_route_is(kind: str, route: str, source: Source) -> None:
    meter = Meter(SOURCES, tuple(SOURCES.values()))
    assert meter.by_route(kind, route) == source
    meter.asked(1, 5)
    meter.answered(1, 3, 0, 0, meter.by_route(LLM, "anthropic/x"))
    assert Usage(Source(LLM, "anthropic", "x"), PROMPT, 3) in meter.usages()


def test_an_assistant_s_meter_knows_who_stands_in() -> None:
    voices = [{"provider": "11labs", "model": "eleven_v3"}]
    meter = meter_of({"voice": {"provider": "cartesia", "fallbackPlan": {"voices": voices}}})
    assert meter.by_route(TTS, "") == Source(TTS, "cartesia")
    assert meter.by_route(TTS, "elevenlabs/x") == Source(TTS, "11labs", "eleven_v3")


def test_the_length_of_a_request() -> None:
    assert characters_of([{"role": "user", "content": "four"}, {"content": None}, "junk"]) == 4
    assert characters_of(None) == 0


amounts = st.integers(0, 10_000)


@examples(200)
@given(
    st.lists(
        st.tuples(st.sampled_from(["asked", "wrote", "answered", "cut", "spoke"]), st.integers(1, 3), amounts)
    )
)
def test_whatever_happens_the_parts_add_up_and_nothing_is_null(steps: list[tuple[str, int, int]]) -> None:
    meter = Meter(SOURCES)
    meter.connected(0.0)
    for kind, number, amount in steps:
        match kind:
            case "asked":
                meter.asked(number, amount)
            case "wrote":
                meter.wrote(number)
            case "answered":
                meter.answered(number, amount, amount // 2, amount)
            case "cut":
                meter.cut(number)
            case _:
                meter.spoke("x" * (amount % 50), amount / 100)
    meter.ended(30.0)
    made = bill(meter, PRICES)
    parts = [made.breakdown[name] for name in ("transport", "stt", "llm", "tts", "vapi", "chat", "storage")]
    assert made.total == pytest.approx(sum(parts))
    assert made.total == pytest.approx(sum(entry["cost"] for entry in made.costs))
    assert made.total == pytest.approx(meter.dollars(PRICES, 30.0), abs=1e-6)
    for entry in made.costs:
        assert all(value is not None for value in entry.values())
        assert entry["cost"] >= 0


def test_each_recogniser_is_paid_for_the_time_it_listened() -> None:
    first = {"transcriber": {"provider": "deepgram", "model": "nova-3"}}
    second = {"transcriber": {"provider": "gladia"}}
    meter = meter_of(first)
    meter.connected(10.0)
    meter.changed(second, 40.0)
    meter.changed(first, 50.0)
    # A clock that goes back takes nothing away.
    meter.changed(first, 45.0)
    meter.ended(60.0)
    seconds: dict[str, float] = {}
    for usage in meter.usages():
        if usage.source.kind == STT:
            seconds[usage.source.provider] = seconds.get(usage.source.provider, 0.0) + usage.amount
    assert seconds == {"deepgram": 40.0, "gladia": 10.0}
    assert sum(usage.amount for usage in meter.usages() if usage.source.kind == TRANSPORT) == 50.0
    assert {source.provider for source in meter.known if source.kind == STT} >= {"deepgram", "gladia"}


def test_who_takes_over_before_anybody_is_there_is_paid_from_then_on() -> None:
    meter = meter_of({"transcriber": {"provider": "deepgram", "model": "nova-3"}})
    meter.changed({"transcriber": {"provider": "gladia"}}, 5.0)
    meter.connected(10.0)
    meter.ended(30.0)
    assert [
        (usage.source.provider, usage.amount) for usage in meter.usages() if usage.source.kind == STT
    ] == [("gladia", 20.0)]

"""The price table that ships, and an operator's own over it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aywa.boot.errors import CannotStart
from aywa.boot.prices import SETTING, SHIPPED, load_prices, read_prices
from aywa.cli import app
from aywa.core.cost import CHARACTER, COMPLETION, LLM, PROMPT, SECOND, STT, TRANSPORT, TTS, Source


def own(tmp_path: Path, text: str | bytes) -> dict[str, str]:
    file = tmp_path / "prices.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return {SETTING: str(file)}


@pytest.mark.parametrize(
    ("source", "unit", "usd"),
    [
        (Source(LLM, "openai", "gpt-4.1"), PROMPT, 2e-6),
        (Source(LLM, "openai", "gpt-4.1-mini-2025-04-14"), COMPLETION, 1.6e-6),
        (Source(LLM, "anthropic", "claude-haiku-4-5-20251001"), PROMPT, 1e-6),
        (Source(STT, "deepgram", "nova-3"), SECOND, 0.0048 / 60),
        (Source(STT, "deepgram"), SECOND, 0.0048 / 60),
        (Source(TTS, "11labs", "eleven_flash_v2_5"), CHARACTER, 0.05 / 1000),
        (Source(TTS, "cartesia", "sonic-3"), CHARACTER, 50e-6),
        (Source(TTS, "openai", "gpt-4o-mini-tts"), SECOND, 0.015 / 60),
        (Source(LLM), PROMPT, 0.0),
        (Source(TRANSPORT), SECOND, 0.0),
        (Source(LLM, "custom-llm", "mine"), COMPLETION, 0.0),
    ],
)
def test_the_named_vendors_have_prices(source: Source, unit: str, usd: float) -> None:
    row = load_prices({}).prices.of(source)
    assert row is not None
    assert row[unit] == pytest.approx(usd)


def test_every_shipped_price_says_where_it_is_from_and_of_when() -> None:
    rows = list(read_prices(SHIPPED, own=False))
    assert len(rows) > 60
    assert all(row.source and len(row.date) == 10 and not row.own for row in rows)


def test_an_own_price_goes_before_and_brings_no_mixture(tmp_path: Path) -> None:
    text = '[[price]]\nprovider = "openai"\nmodel = "gpt-4o-mini-tts"\nusd = { "1K characters" = 0.02 }\n'
    text += (
        '[[price]]\nprovider = "11labs"\nmodel = "*"\nusd = { "1K characters" = 0.03 }\ndate = 2026-11-01\n'
    )
    table = load_prices(own(tmp_path, text))
    assert table.prices.of(Source(TTS, "openai", "gpt-4o-mini-tts")) == {CHARACTER: 0.02 / 1000}
    assert table.prices.of(Source(TTS, "11labs", "new")) == {CHARACTER: 0.03 / 1000}
    assert table.prices.of(Source(TTS, "11labs", "eleven_v3")) == {CHARACTER: 0.1 / 1000}
    assert [(row.provider, row.date) for row in table.rows if row.own] == [
        ("11labs", "2026-11-01"),
        ("openai", ""),
    ]


BAD: list[tuple[str | bytes, str]] = [
    (b"\xff", "is not UTF-8"),
    ("x = [", r"is not TOML: .*line 1"),
    ("price = 5", r"must hold nothing but \[\[price\]\]"),
    ("[prices]\na = 1", r"must hold nothing but .*prices"),
    ("price = [5]", "line 1: price must be a table"),
    (
        '[[price]]\nprovider = "a"\nmodel = "b"\nusd = {"1K characters" = 1}\n\n[[price]]\nmodel = "b"',
        "line 6: provider must",
    ),
    ('\n [[ price ]]\nprovider = "a"\nusd = {"1K characters" = 1}', "line 2: model must be a text"),
    ('[[price]]\nprovider = "a"\nmodel = "b"\nusd = {"hour" = 1}', "line 1: 'hour' is not a unit: 1M prompt"),
    (
        '[[price]]\nprovider = "a"\nmodel = "b"\nusd = {"1K characters" = -1}',
        "the price of 1K characters must be",
    ),
    (
        '[[price]]\nprovider = "a"\nmodel = "b"\nusd = {"1K characters" = nan}',
        "the price of 1K characters must be",
    ),
    (
        '[[price]]\nprovider = "a"\nmodel = "b"\nusd = {"1K characters" = true}',
        "the price of 1K characters must be",
    ),
    ('[[price]]\nprovider = "a"\nmodel = "b"\nusd = 5', "usd must be a table"),
    (
        '[[price]]\nprovider = "a"\nmodel = "b"\nusd = {"GB stored" = 1}\ncurrency = "EUR"',
        "currency is not known",
    ),
    ('[[price]]\nprovider = "a"\nmodel = "b"\nusd = {"GB stored" = 1}\nsource = 5', "source must be a text"),
    ('[[price]]\nprovider = "a"\nmodel = "b"\nusd = {"GB stored" = 1}\ndate = "soon"', "date must be a date"),
    (
        '[[price]]\nprovider = "a"\nmodel = "b"\nusd = {"1K characters" = 1, "1M characters" = 2}',
        "line 1: a b has a price for this already",
    ),
]


@pytest.mark.parametrize(("text", "problem"), BAD)
def test_a_bad_file_says_what_and_where(tmp_path: Path, text: str | bytes, problem: str) -> None:
    with pytest.raises(CannotStart, match=f"{SETTING} .*{problem}"):
        load_prices(own(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=f"{SETTING} .*gone.toml.*cannot be read: No such file"):
        load_prices({SETTING: str(tmp_path / "gone.toml")})


def test_the_command_shows_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[[price]]\nprovider = "11labs"\nmodel = "*"\nusd = { "1K characters" = 0.03 }\n'
    monkeypatch.setenv(SETTING, own(tmp_path, text)[SETTING])
    shown = CliRunner().invoke(app, ["prices"])
    assert shown.exit_code == 0
    assert [line.split()[:4] for line in shown.output.splitlines() if line.startswith("*")] == [
        ["*", "11labs", "*", "0.03"]
    ]
    rows = json.loads(CliRunner().invoke(app, ["prices", "--json"]).output)
    assert [row["usd"] for row in rows if row["overridden"]] == [0.03]
    monkeypatch.setenv(SETTING, own(tmp_path, "x")[SETTING])
    bad = CliRunner().invoke(app, ["prices"])
    assert (bad.exit_code, "line 1" in bad.output) == (1, True)

"""The tables, and a tally as their rows.

ReplacingMergeTree keeps of the rows with one sorting key the one with the highest version, when it merges and for whoever reads
with FINAL (ClickHouse's documentation of the engine): so a batch may be written twice, and an older one late. A call that was
deleted leaves one row that says so and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

from aywa.core.tally import CallFigures, Tally
from aywa.ports.analytics import AnalyticsRefused

SCHEMA: Final = 1
"""Grows with each change of the tables; a release leaves alone what a later one has made."""

FIGURES: Final = {
    "cost": "cost",
    "costBreakdown.llm": "cost_llm",
    "costBreakdown.stt": "cost_stt",
    "costBreakdown.tts": "cost_tts",
    "costBreakdown.vapi": "cost_vapi",
    "costBreakdown.transport": "cost_transport",
    "costBreakdown.analysisBreakdown.summary": "cost_summary",
    "costBreakdown.ttsCharacters": "tts_characters",
    "costBreakdown.llmPromptTokens": "llm_prompt_tokens",
    "costBreakdown.llmCompletionTokens": "llm_completion_tokens",
    "costBreakdown.llmCachedPromptTokens": "llm_cached_prompt_tokens",
}
"""The contract's column -> the table's."""

COUNTED: Final = frozenset(
    ("tts_characters", "llm_prompt_tokens", "llm_completion_tokens", "llm_cached_prompt_tokens")
)

_KEY: Final = {
    "org_id": "LowCardinality(String)",
    "created_ms": "Int64",
    "call_id": "String",
    "version": "UInt64",
}
_OPTIONAL: Final = "LowCardinality(Nullable(String))"


@dataclass(frozen=True, slots=True)
class Table:
    """columns: name -> type. order: after the key that all have, what tells one call's rows apart."""

    name: str
    columns: dict[str, str]
    order: tuple[str, ...] = ()
    deletes: bool = False

    def statement(self) -> str:
        """Makes it where there is none."""
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        engine = "version, deleted" if self.deletes else "version"
        order = ", ".join(("org_id", "created_ms", "call_id", *self.order))
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} ({columns}) ENGINE = ReplacingMergeTree({engine})"
            f" PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(created_ms)) ORDER BY ({order})"
        )


CALLS: Final = Table(
    "calls",
    {
        **_KEY,
        "deleted": "UInt8",
        "type": _OPTIONAL,
        "status": _OPTIONAL,
        "assistant_id": "Nullable(String)",
        "phone_number_id": "Nullable(String)",
        "ended_reason": _OPTIONAL,
        "success": "Nullable(String)",
        "started_ms": "Nullable(Int64)",
        "ended_ms": "Nullable(Int64)",
        "minutes": "Nullable(Float64)",
        "turns": "UInt32",
        "interruptions": "UInt32",
        **{name: "Nullable(Int64)" if name in COUNTED else "Nullable(Float64)" for name in FIGURES.values()},
        "variables": "String",
    },
    deletes=True,
)
TURNS: Final = Table(
    "turns",
    {
        **_KEY,
        "seq": "UInt32",
        "at_ms": "Int64",
        "turn_id": "Int64",
        "reply_id": "Int64",
        **dict.fromkeys(
            (
                "latency_ms",
                "wire_ms",
                "endpointing_ms",
                "transcriber_ms",
                "model_ms",
                "voice_ms",
                "unattributed_ms",
            ),
            "Float64",
        ),
    },
    ("seq",),
)
TIMINGS: Final = Table(
    "provider_timings",
    {
        **_KEY,
        "seq": "UInt32",
        "at_ms": "Int64",
        **dict.fromkeys(("kind", "route", "provider", "model", "outcome", "code"), "LowCardinality(String)"),
        "first_ms": "Nullable(Float64)",
        "total_ms": "Nullable(Float64)",
        **dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "characters"), "Int64"),
        "audio_ms": "Float64",
    },
    ("seq", "kind"),
)
COSTS: Final = Table(
    "costs",
    {
        **_KEY,
        **dict.fromkeys(("type", "provider", "model", "analysis"), "LowCardinality(String)"),
        "cost": "Float64",
        "minutes": "Float64",
        **dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "characters"), "Int64"),
    },
    ("type", "provider", "model", "analysis"),
)
CHILDREN: Final = (TURNS, TIMINGS, COSTS)
TABLES: Final = (*CHILDREN, CALLS)
"""A call is written after what belongs to it: who finds it finds all of it."""

SCHEMA_MADE: Final = "INSERT INTO aywa_schemas SELECT {schema:UInt32}"
SCHEMAS: Final = (
    "CREATE TABLE IF NOT EXISTS aywa_schemas (schema UInt32) ENGINE = ReplacingMergeTree ORDER BY schema"
)


def rows(table: Table, tallies: Sequence[Tally]) -> list[list[Any]]:
    """What the table holds of them, in the order of its columns, which is that of the figures' own fields. Raises
    AnalyticsRefused: to the client a wrong value would look as if the server had gone."""
    if table is CALLS:
        found = [_call(each) for each in tallies]
    else:
        children = _CHILDREN_OF[table.name]
        found = [[*_key(each), *astuple(figures)] for each in tallies for figures in children(each)]
    for (name, kind), values in zip(table.columns.items(), zip(*found, strict=True), strict=False):
        fits = _FITS[kind.removeprefix("LowCardinality(").removeprefix("Nullable(").rstrip(")")]
        if not all(fits(value) or (value is None and "Nullable" in kind) for value in values):
            raise AnalyticsRefused(f"{table.name}.{name}: not {kind}")
    return found


def _is_int(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and least <= value <= most


_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "String": lambda value: isinstance(value, str),
    "Float64": lambda value: isinstance(value, float | int),
    "Int64": _is_int(-(2**63), 2**63 - 1),
    "UInt64": _is_int(0, 2**64 - 1),
    "UInt32": _is_int(0, 2**32 - 1),
    "UInt8": _is_int(0, 255),
}


_CHILDREN_OF: Final[Mapping[str, Callable[[Tally], Sequence[Any]]]] = {
    TURNS.name: lambda tally: tally.turns,
    TIMINGS.name: lambda tally: tally.timings,
    COSTS.name: lambda tally: tally.costs,
}


def _key(tally: Tally) -> list[Any]:
    return [tally.org_id, tally.created_ms, tally.call_id, tally.version]


def _call(tally: Tally) -> list[Any]:
    call = tally.call or CallFigures()
    figures = (call.figures.get(name) for name in FIGURES)
    return [
        *_key(tally),
        int(tally.call is None),
        call.type,
        call.status,
        call.assistant_id,
        call.phone_number_id,
        call.ended_reason,
        call.success,
        call.started_ms,
        call.ended_ms,
        call.minutes,
        call.turns,
        call.interruptions,
        *(
            None if value is None else round(value) if name in COUNTED else float(value)
            for name, value in zip(FIGURES.values(), figures, strict=True)
        ),
        call.variables if tally.call is not None else "",
    ]

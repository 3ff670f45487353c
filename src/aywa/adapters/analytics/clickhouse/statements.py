"""The questions, as ClickHouse's SQL. Values go along as parameters; what stands in a text is ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from aywa.adapters.analytics.clickhouse.tables import FIGURES
from aywa.core.sums import Gathering, Held, SumsQuery
from aywa.ports.analytics import HistoryQuery, HistoryStep, ProviderStep

HISTORY_MAX: Final = 200_000
"""Calls whose values a `history` lists, the oldest first."""

_GROUPS: Final = {
    "type": "type",
    "assistantId": "assistant_id",
    "endedReason": "ended_reason",
    "analysis.successEvaluation": "success",
    "status": "status",
}
_COLUMNS: Final = {
    **FIGURES,
    "costBreakdown.transcriber": FIGURES["costBreakdown.stt"],
    "duration": "minutes",
    "minutesUsed": "minutes",
}

_BUCKETS_MS: Final = {"second": 1000, "minute": 60_000}
_BUCKET_MS: Final = 15 * 60_000
"""Every zone's offset is a multiple of this, so that whatever a calendar calls a step is made of whole ones."""

Row = Sequence[Any]
Parameters = dict[str, Any]


def sums(query: SumsQuery) -> tuple[str, Parameters]:
    """The statement whose rows `gathered` reads."""
    parameters: Parameters = {"org": query.org_id, "start": query.start_ms, "end": query.end_ms}
    keys = [_GROUPS[name] for name in query.groups]
    for index, name in enumerate(query.variables):
        keys.append(f"JSONExtractRaw(variables, {{variable{index}:String}})")
        parameters[f"variable{index}"] = name
    figures = [part for column in query.columns for part in _figures(column, _histories(query))]
    grouped = [f"k{index}" for index in range(len(keys))]
    chosen = [f"{key} AS {name}" for key, name in zip(keys, grouped, strict=True)]
    if query.step is not None:
        grouped.append("bucket")
        chosen.append(f"intDiv(created_ms, {_BUCKETS_MS.get(query.step, _BUCKET_MS)}) AS bucket")
    text = [
        "SELECT min(created_ms)",
        *(f", {name}" for name in grouped),
        *(f", {part}" for part in figures),
        "FROM (SELECT",
        ", ".join(["created_ms", "call_id", *_needed(query), *chosen]),
        "FROM calls FINAL WHERE org_id = {org:String} AND created_ms BETWEEN {start:Int64} AND {end:Int64}",
    ]
    if _histories(query):
        text.append(f"ORDER BY created_ms, call_id LIMIT {HISTORY_MAX}")
    text.append(")")
    if grouped:
        text.append(f"GROUP BY {', '.join(grouped)}")
    return " ".join(text), parameters


def gathered(query: SumsQuery, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The answer that the statement's rows are."""
    gathering = Gathering(query)
    parts, histories = len(query.groups), _histories(query)
    for row in rows:
        values = iter(row)
        first_ms = next(values)
        key = [next(values) for _ in range(parts)]
        key += [_value(next(values)) for _ in query.variables]
        if query.step is not None:
            _ = next(values)
        held = {column: _held(values, history=column in histories) for column in query.columns}
        # Without groups there is a row also where there is no call.
        if any(each.told or each.history for each in held.values()) or key or query.step is not None:
            gathering.join(first_ms, key, held)
    return gathering.rows()


def _needed(query: SumsQuery) -> list[str]:
    return list(dict.fromkeys(_COLUMNS[column] for column in query.columns if column in _COLUMNS))


def _histories(query: SumsQuery) -> frozenset[str]:
    return frozenset(each.column for each in query.sums if each.operation == "history")


def _figures(column: str, histories: frozenset[str]) -> list[str]:
    """How many say something, how many a number, sum, least, most; and every value where they are asked for."""
    name = _COLUMNS.get(column)
    if name is not None:
        parts = [f"count({name})", f"count({name})", f"sumKahan({name})", f"min({name})", f"max({name})"]
    else:
        parts = ["count()" if column == "id" else "0", "0", "NULL", "NULL", "NULL"]
    if column in histories:
        parts.append(
            f"groupArray((created_ms, call_id, {name or ('call_id' if column == 'id' else 'NULL')}))"
        )
    return parts


def _held(values: Any, *, history: bool) -> Held:
    told, numbers, total, least, most = (next(values) for _ in range(5))
    held = Held(told, numbers, [] if total is None else [total], least, most)
    if history:
        held.history = [(created_ms, call_id, value) for created_ms, call_id, value in next(values)]
    return held


def _value(raw: str) -> Any:
    """Of a variable, in JSON; empty where the call has none."""
    return json.loads(raw) if raw else None


# --- the past in steps of time -----------------------------------------------------------------------------------

_BOUNDS: Final = "{start:Int64} AND {at} < {end:Int64}"
DAY_MS: Final = 86_400_000

HISTORY_CALLS: Final = (
    "SELECT intDiv(created_ms - {start:Int64}, {step:Int64}) AS n, ended_reason, count(), sum(minutes), sum(cost)"
    " FROM calls FINAL WHERE created_ms >= {start:Int64} AND created_ms < {end:Int64} GROUP BY n, ended_reason"
    " ORDER BY n, ended_reason"
)
HISTORY_TURNS: Final = (
    "SELECT intDiv(created_ms - {start:Int64}, {step:Int64}) AS n, count(), quantilesExactInclusive(0.5, 0.95)(wire_ms)"
    " FROM turns FINAL WHERE created_ms >= {start:Int64} AND created_ms < {end:Int64} GROUP BY n ORDER BY n"
)
HISTORY_PROVIDERS: Final = (
    "SELECT intDiv(created_ms - {start:Int64}, {step:Int64}) AS n, kind, provider, count(), countIf(outcome = 'failed'),"
    " quantilesExactInclusiveIf(0.5, 0.95)(ifNull(first_ms, 0), first_ms IS NOT NULL), count(first_ms)"
    " FROM provider_timings FINAL WHERE created_ms >= {start:Int64} AND created_ms < {end:Int64}"
    " GROUP BY n, kind, provider ORDER BY n, kind, provider"
)
VERSIONS: Final = (
    "SELECT call_id, max(version) FROM calls WHERE call_id IN {ids:Array(String)} GROUP BY call_id"
)
FORGET: Final = (
    "DELETE FROM {table} WHERE call_id IN {{ids:Array(String)}} AND created_ms IN {{made:Array(Int64)}}"
)
"""A deleted call's rows in a table, and what the table of calls had of it before."""
EARLIER: Final = " AND deleted = 0"


def history_parameters(query: HistoryQuery) -> Parameters:
    """Of the three statements above."""
    return {"start": query.start_ms, "end": query.end_ms, "step": query.step_s * 1000}


def history_steps(
    query: HistoryQuery, calls: Iterable[Row], turns: Iterable[Row], providers: Iterable[Row]
) -> list[HistoryStep]:
    """Every step, also those that the rows say nothing of."""
    step_ms = query.step_s * 1000
    called = _by_step(calls)
    spoken = _by_step(turns)
    provided = _by_step(providers)
    found = []
    for n in range(-(-(query.end_ms - query.start_ms) // step_ms)):
        of_calls = called.get(n, [])
        _, count, (p50, p95) = spoken.get(n, [(n, 0, (None, None))])[0]
        found.append(
            HistoryStep(
                query.start_ms + n * step_ms,
                sum(row[2] for row in of_calls),
                {row[1]: row[2] for row in of_calls if row[1] is not None},
                sum(row[3] or 0.0 for row in of_calls),
                sum(row[4] or 0.0 for row in of_calls),
                count,
                p50,
                p95,
                tuple(_provider(row) for row in provided.get(n, [])),
            )
        )
    return found


def _provider(row: Row) -> ProviderStep:
    _, kind, provider, requests, failures, first, told = row
    p50, p95 = first if told else (None, None)
    return ProviderStep(kind, provider, requests, failures, p50, p95)


def _by_step(rows: Iterable[Row]) -> dict[int, list[Row]]:
    return {n: list(same) for n, same in groupby(rows, key=lambda row: int(row[0]))}

"""What a call costs: usage in, the contract's `costs` and `costBreakdown` out (6.3). Refuses to know any price: they are given.

An event that names its route says who did the work (`by_route`); for the others `sources_of` reads it from the assistant. A
request that was cut off reports nothing, though the vendor bills what it read and wrote until then: it is estimated from its
length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LLM, TTS, STT, TRANSPORT, STORAGE = "llm", "tts", "stt", "transport", "storage"
KINDS: Final = (TRANSPORT, STT, LLM, TTS, STORAGE)
PROMPT, CACHED, COMPLETION = "prompt token", "cached token", "completion token"
CHARACTER, SECOND, BYTE = "character", "second", "byte"
UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    LLM: (PROMPT, CACHED, COMPLETION),
    TTS: (CHARACTER, SECOND),
    STT: (SECOND,),
    TRANSPORT: (SECOND,),
    STORAGE: (BYTE,),
}
"""What is counted of each kind."""

SOURCES_MAX: Final = 500
"""Who may work for one call."""

LOCAL: Final = "local"
ANY_MODEL: Final = "*"
CHARACTERS_A_TOKEN: Final = 4
"""Of a prompt whose tokens nobody told: the vendors' own rule of thumb for English."""

DIGITS: Final = 8
"""Of a dollar: one token of the cheapest model still shows."""

# What routes are called, where that is not the contract's name of the provider.
_PROVIDERS: Final = {"elevenlabs": "11labs"}
_LOCAL_ROUTE: Final = "local-"
_PARTS = {TRANSPORT: "transport", STT: "stt", LLM: "llm", TTS: "tts"}
# gpt-4.1-2025-04-14, claude-haiku-4-5-20251001, sonic-3-latest: one price with the model that is dated.
_DATED = re.compile(r"(?P<model>.+?)-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest|preview)\Z")


@dataclass(frozen=True, slots=True)
class Source:
    """Who does a kind of work. model: empty where only the provider is known."""

    kind: str
    provider: str = LOCAL
    model: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """So much of a unit was used."""

    source: Source
    unit: str
    amount: float


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for one unit. model: `*` for all of the provider that have no price of their own."""

    kind: str
    provider: str
    model: str
    unit: str
    usd: float


class Prices:
    """A price table, to be asked."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._rows: dict[tuple[str, str, str], dict[str, float]] = {}
        for price in prices:
            self._rows.setdefault((price.kind, price.provider, price.model), {})[price.unit] = price.usd

    def of(self, source: Source) -> Mapping[str, float] | None:
        """unit -> dollars; None when nobody knows."""
        for model in _names(source.model):
            row = self._rows.get((source.kind, source.provider, model))
            if row is not None:
                return row
        return None

    def rows(self, sources: Iterable[Source]) -> tuple[Price, ...]:
        """The rows that these need, and no others."""
        found: dict[Price, None] = {}
        for source in sources:
            for model in _names(source.model):
                row = self._rows.get((source.kind, source.provider, model))
                if row is not None:
                    found |= {
                        Price(source.kind, source.provider, model, unit, usd): None
                        for unit, usd in row.items()
                    }
                    break
        return tuple(found)


def _names(model: str) -> Iterator[str]:
    """What a model may stand under in a price table, the most exact first."""
    if model:
        yield model
    plain = model.partition(":")[0]
    if plain != model:
        yield plain
    dated = _DATED.match(plain)
    if dated is not None:
        yield dated["model"]
    yield ANY_MODEL


@dataclass(slots=True)
class _Request:
    """A request to a model that is not over."""

    source: Source
    characters: int
    pieces: int = 0


@dataclass(slots=True)
class Meter:
    """Counts what a call uses. Tell it what happens; `usages` answers the sum, each with who it was. at_s: the call's second.
    sources: who does each kind of work if nobody says otherwise. known: who else may."""

    sources: Mapping[str, Source] = field(default_factory=dict)
    known: tuple[Source, ...] = ()
    connected_s: float | None = None
    ended_s: float | None = None
    estimated_prompt_tokens: int = 0
    estimated_completion_tokens: int = 0
    # Since when the present recogniser listens, where it is not the call's first.
    listening_s: float | None = None
    _used: dict[tuple[Source, str], float] = field(default_factory=dict)
    # What was asked about the call when it was over: the contract shows it apart, by the kind of question.
    analysed: dict[str, dict[tuple[Source, str], float]] = field(default_factory=dict)
    _open: dict[int, _Request] = field(default_factory=dict)

    def changed(self, assistant: Mapping[str, Any], at_s: float) -> None:
        """Another assistant has the call, with others who work for it."""
        if self.connected_s is not None:
            heard_s = max(0.0, at_s - self.since_s)
            self.add(Usage(self.source(STT), SECOND, heard_s))
            self.listening_s = max(at_s, self.since_s)
        self.sources = sources_of(assistant)
        self.known = tuple(dict.fromkeys([*all_sources(assistant), *self.known]))[:SOURCES_MAX]

    @property
    def since_s(self) -> float:
        """Since when time costs what it costs now."""
        return max(self.connected_s or 0.0, self.listening_s or 0.0)

    def source(self, kind: str) -> Source:
        """Who does this kind of work as far as the assistant says."""
        return self.sources.get(kind) or Source(kind)

    def by_route(self, kind: str, route: str) -> Source:
        """Who a route is: `provider/model`, `provider/voice` or `provider`, or empty where an event names none."""
        return source_of_route(kind, route, self.known) if route else self.source(kind)

    def add(self, usage: Usage) -> None:
        """A usage that somebody reports."""
        key = (usage.source, usage.unit)
        self._used[key] = self._used.get(key, 0.0) + usage.amount

    def connected(self, at_s: float) -> None:
        """The party is there: its line and its recogniser are paid for from now on."""
        if self.connected_s is None:
            self.connected_s = at_s

    def ended(self, at_s: float) -> None:
        """The call is over, and every request with it."""
        if self.ended_s is None:
            self.ended_s = at_s
        for request_id in list(self._open):
            self.cut(request_id)

    def asked(self, request_id: int, characters: int, source: Source | None = None) -> None:
        """A request left for the model, so long."""
        self._open[request_id] = _Request(source or self.source(LLM), characters)

    def wrote(self, request_id: int, pieces: int = 1) -> None:
        """So many pieces of the answer, each about a token, came back."""
        request = self._open.get(request_id)
        if request is not None:
            request.pieces += pieces

    def answered(
        self, request_id: int, prompt: int, cached: int, completion: int, source: Source | None = None
    ) -> None:
        """The answer is whole; the vendor's own count (cached: of the prompt). A text that nobody thought up has none."""
        request = self._open.pop(request_id, None)
        source = source or (self.source(LLM) if request is None else request.source)
        cached = min(cached, prompt)
        for unit, amount in ((PROMPT, prompt - cached), (CACHED, cached), (COMPLETION, completion)):
            self.add(Usage(source, unit, amount))

    def analysed_by(self, step: str, source: Source, prompt: int, cached: int, completion: int) -> None:
        """A question about the call was answered. step: its analysisType (contract 6.3)."""
        used = self.analysed.setdefault(step, {})
        cached = min(cached, prompt)
        for unit, amount in ((PROMPT, prompt - cached), (CACHED, cached), (COMPLETION, completion)):
            used[source, unit] = used.get((source, unit), 0.0) + amount

    def cut(self, request_id: int) -> None:
        """The request was given up, or broke."""
        request = self._open.pop(request_id, None)
        if request is None:
            return
        prompt = -(-request.characters // CHARACTERS_A_TOKEN)
        self.estimated_prompt_tokens += prompt
        self.estimated_completion_tokens += request.pieces
        self.add(Usage(request.source, PROMPT, prompt))
        self.add(Usage(request.source, COMPLETION, request.pieces))

    def spoke(self, text: str, seconds: float, source: Source | None = None) -> None:
        """A text was synthesised."""
        source = source or self.source(TTS)
        self.add(Usage(source, CHARACTER, len(text)))
        self.add(Usage(source, SECOND, seconds))

    def minutes(self, now: float | None = None) -> float:
        """How long the party was there; while it is, until now."""
        until = self.ended_s if self.ended_s is not None else now
        if self.connected_s is None or until is None:
            return 0.0
        return max(until - self.connected_s, 0.0) / 60

    def usages(self, now: float | None = None) -> list[Usage]:
        """Everything so far."""
        seconds = self.minutes(now) * 60
        heard_s = max(0.0, seconds - (self.since_s - (self.connected_s or 0.0)))
        timed = [Usage(self.source(TRANSPORT), SECOND, seconds), Usage(self.source(STT), SECOND, heard_s)]
        return [*timed, *(Usage(source, unit, amount) for (source, unit), amount in self._used.items())]

    def dollars(self, prices: Prices, now: float) -> float:
        """What it has cost by now; what has no price costs nothing."""
        return sum(_cost(usage, prices) for usage in self.usages(now))

    def dollars_a_second(self, prices: Prices) -> float:
        """What the mere passing of time costs."""
        return sum(_cost(Usage(self.source(kind), SECOND, 1.0), prices) for kind in (TRANSPORT, STT))


def _cost(usage: Usage, prices: Prices) -> float:
    row = prices.of(usage.source) or {}
    # Where no price of cached tokens is known they cost what the others do.
    unit = PROMPT if usage.unit == CACHED and CACHED not in row else usage.unit
    return usage.amount * row.get(unit, 0.0)


@dataclass(frozen=True, slots=True)
class Bill:
    """A call's costs in the contract's shapes. total: dollars."""

    total: float
    costs: list[dict[str, Any]]
    breakdown: dict[str, Any]


def bill(meter: Meter, prices: Prices) -> Bill:
    """What the call has cost. Of each kind there is at least one entry, also where nothing was used."""
    lines: dict[Source, dict[str, float]] = {meter.source(kind): {} for kind in (TRANSPORT, STT, LLM, TTS)}
    dollars: dict[Source, float] = {}
    for usage in meter.usages():
        amounts = lines.setdefault(usage.source, {})
        amounts[usage.unit] = amounts.get(usage.unit, 0.0) + usage.amount
        dollars[usage.source] = dollars.get(usage.source, 0.0) + _cost(usage, prices)
    ordered = sorted(lines, key=lambda source: KINDS.index(source.kind))
    rounded = {source: _round(dollars.get(source, 0.0)) for source in ordered}
    costs = [_entry(source, lines[source], rounded[source]) for source in ordered if source.kind != STORAGE]
    sums = {
        kind: _round(sum(cost for source, cost in rounded.items() if source.kind == kind)) for kind in KINDS
    }
    analyses, analysed = _analyses(meter, prices)
    costs += analyses
    total = _round(sum(sums.values()) + sum(entry["cost"] for entry in analyses))

    def counted(kind: str, *units: str) -> int:
        found = (lines[source].get(unit, 0.0) for source in ordered if source.kind == kind for unit in units)
        return round(sum(found))

    asked = {source: used for step in meter.analysed.values() for (source, _), used in step.items() if used}
    used_by = [source for source in ordered if any(lines[source].values())]
    unpriced = [
        {"type": source.kind, "provider": source.provider, "model": source.model}
        for source in dict.fromkeys([*used_by, *asked])
        if prices.of(source) is None
    ]
    breakdown = {
        **{part: sums[kind] for kind, part in _PARTS.items()},
        "vapi": 0,
        "chat": 0,
        "total": total,
        "llmPromptTokens": counted(LLM, PROMPT, CACHED),
        "llmCompletionTokens": counted(LLM, COMPLETION),
        "llmCachedPromptTokens": counted(LLM, CACHED),
        "ttsCharacters": counted(TTS, CHARACTER),
        **({"analysisCostBreakdown": analysed} if analysed else {}),
        # Ours.
        "storage": sums[STORAGE],
        "storedBytes": counted(STORAGE, BYTE),
        "estimatedPromptTokens": meter.estimated_prompt_tokens,
        "estimatedCompletionTokens": meter.estimated_completion_tokens,
        "unpriced": unpriced,
    }
    return Bill(total, costs, breakdown)


def _analyses(meter: Meter, prices: Prices) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """An entry for each kind of question and each model, and the sums of each kind."""
    entries: list[dict[str, Any]] = []
    sums: dict[str, Any] = {}
    for step, used in meter.analysed.items():
        of_step = []
        for source in dict.fromkeys(source for source, _ in used):
            amounts = {unit: amount for (who, unit), amount in used.items() if who == source}
            cost = _round(sum(_cost(Usage(source, unit, amount), prices) for unit, amount in amounts.items()))
            of_step.append(_entry(source, amounts, cost) | {"type": "analysis", "analysisType": step})
        entries += of_step
        sums[step] = _round(sum(entry["cost"] for entry in of_step))
        for name in ("promptTokens", "completionTokens", "cachedPromptTokens"):
            sums[f"{step}{name[0].upper()}{name[1:]}"] = sum(entry[name] for entry in of_step)
    return entries, sums


def _entry(source: Source, amounts: Mapping[str, float], cost: float) -> dict[str, Any]:
    """One entry of `costs`, with every field that the contract requires of its type."""
    who = {"provider": source.provider} | ({"model": source.model} if source.model else {})
    minutes = round(amounts.get(SECOND, 0.0) / 60, 4)
    match source.kind:
        case "transport":
            # The contract's list of transports has no name for our own.
            named = {} if source.provider == LOCAL else {"provider": source.provider}
            return {"type": "transport", **named, "minutes": minutes, "cost": cost}
        case "stt":
            return {"type": "transcriber", "transcriber": who, "minutes": minutes, "cost": cost}
        case "llm":
            prompt = round(amounts.get(PROMPT, 0.0) + amounts.get(CACHED, 0.0))
            return {
                "type": "model",
                "model": who,
                "promptTokens": prompt,
                "completionTokens": round(amounts.get(COMPLETION, 0.0)),
                "cachedPromptTokens": round(amounts.get(CACHED, 0.0)),
                "cost": cost,
            }
        case _:
            return {
                "type": "voice",
                "voice": who,
                "characters": round(amounts.get(CHARACTER, 0.0)),
                "cost": cost,
            }


def _round(dollars: float) -> float:
    return round(dollars, DIGITS)


def characters_of(messages: Any) -> int:
    """How long a request's messages are."""
    return sum(len(_text(_mapping(message).get("content"))) for message in _list(messages))


# --- who does the work, until whoever does it says so ------------------------------------------------------------


def sources_of(assistant: Mapping[str, Any]) -> dict[str, Source]:
    """Who works for an assistant, by kind, as its document says."""
    transcriber = _mapping(assistant.get("transcriber"))
    return {
        LLM: source_of(LLM, assistant.get("model")),
        TTS: source_of(TTS, assistant.get("voice")),
        STT: source_of(STT, transcriber),
        TRANSPORT: Source(TRANSPORT),
        STORAGE: Source(STORAGE),
    }


def meter_of(assistant: Mapping[str, Any]) -> Meter:
    """A meter for a call of this assistant."""
    return Meter(sources_of(assistant), tuple(all_sources(assistant)))


def source_of_route(kind: str, route: str, known: Iterable[Source] = ()) -> Source:
    """Who a route's name means. A voice's route names the voice and not its model, which the assistant says."""
    name, _, rest = route.partition("/")
    if name.startswith(_LOCAL_ROUTE):
        return Source(kind)
    provider = _PROVIDERS.get(name, name)
    if kind == LLM and rest:
        return Source(kind, provider, rest)
    same = (source for source in known if source.kind == kind and source.provider == provider)
    return next(same, Source(kind, provider))


def all_sources(assistant: Mapping[str, Any]) -> list[Source]:
    """Those, and everybody who may have to stand in for one of them."""
    found = list(sources_of(assistant).values())
    for kind, name, plural in ((TTS, "voice", "voices"), (STT, "transcriber", "transcribers")):
        plan = _mapping(_mapping(assistant.get(name)).get("fallbackPlan"))
        found += [source_of(kind, each) for each in _list(plan.get(plural))]
    model = _mapping(assistant.get("model"))
    for other in _list(model.get("fallbackModels")):
        found.append(source_of(LLM, other if isinstance(other, Mapping) else {**model, "model": other}))
    return list(dict.fromkeys([*found, *map(Source, KINDS)]))


def source_of(kind: str, section: Any) -> Source:
    """Who a section of an assistant (model, voice, transcriber) names."""
    section = _mapping(section)
    provider, model = _text(section.get("provider")) or LOCAL, _text(section.get("model"))
    # Vendors ask more for a recogniser that follows several languages.
    several = kind == STT and section.get("language") == "multi" and bool(model)
    return Source(kind, provider, f"{model}:multi" if several else model)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

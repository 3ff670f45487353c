"""Gets another assistant ready to take a call over: who it is, what it is to know of the call, and who works for it.

Refuses to decide that it takes over: that is the conversation's. Until then nothing of the call is changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aywa.call.extraction import extract
from aywa.call.template import builtin_variables, render_assistant, render_text
from aywa.core import events as ev
from aywa.core.commands import StartHandoff
from aywa.core.cost import Price
from aywa.core.handoff import ASSISTANT, DYNAMIC, SQUAD, VARIABLES_MAX, choose_name, variables_in
from aywa.core.squad import with_destinations
from aywa.ports.calls import CallPlan, Member, opened
from aywa.ports.errors import ProviderError
from aywa.ports.handoffs import HandoffDesk, HandoffRefused
from aywa.ports.server_questions import HANDOFF_DESTINATION, CallQuestions, Question

if TYPE_CHECKING:
    from aywa.call.session import Routes

Document = Mapping[str, Any]
Note = Callable[[str, Mapping[str, Any]], None]
REASON_MAX = 500
"""Characters of what a customer's server says of itself."""
ALIASES_MAX = 50
DURATION_S = 600
"""Of an assistant that says nothing of it (contract 4.1)."""
_KEY_MAX = 40


@dataclass(frozen=True, slots=True)
class Situation:
    """The call at the moment of the handoff. variables: all that is known by now. routes: of the assistant that has the call."""

    messages: tuple[Mapping[str, Any], ...] = field(repr=False)
    chat: tuple[Mapping[str, Any], ...] = field(repr=False)
    variables: Mapping[str, Any] = field(repr=False)
    routes: Routes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Successor:
    """Who takes the call over. prepared: what the conversation is told. plan: the call's, as it is then. problems: met while its
    texts were rendered; warnings: what is odd about it; both go on record."""

    prepared: ev.HandoffPrepared
    routes: Routes = field(repr=False)
    plan: CallPlan = field(repr=False)
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class CallHandoffs:
    """The handoffs of one call. plan: the call's, as it stands; it is another one after `taken`. routes: who works for a plan's
    assistant. prices: what they ask. warn: what is odd about an assistant. desk: finds those
    whom the call does not know; None where nobody does."""

    plan: CallPlan
    routes: Callable[[CallPlan], Routes]
    prices: Callable[[Document, Routes], tuple[Price, ...]]
    warn: Callable[[Document], Sequence[str]]
    desk: HandoffDesk | None = None
    quiet: bool = False
    """Nobody on the line takes messages: none are made."""
    first: Member | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.first = self.plan.members[0] if self.plan.members else None

    async def prepare(self, command: StartHandoff, now: Situation, note: Note) -> Successor:
        """Raises HandoffRefused."""
        destination, result = dict(command.destination), ""
        if destination.get("type") == DYNAMIC:
            destination, result = await self._asked(command, now, note)
        members, member, warnings = await self._found(destination, command)
        overrides = _mapping(destination.get("assistantOverrides"))
        found = {**_mapping(overrides.get("variableValues")), **variables_in(command.variables)}
        found |= await self._extracted(destination, {**now.variables, **found}, now, note)
        values = builtin_variables(datetime.now(UTC)) | self._known(member, now.variables) | found
        rendered, problems = render_assistant(member.assistant, values)
        if self.quiet:
            rendered = {**rendered, "clientMessages": []}
        plan, told = headed(self.plan, member, members), dict[str, Any]()
        if self.desk is not None:
            chain, record = self.desk.heard_by(plan.org_id, member, plan.servers)
            plan, told = replace(plan, servers=chain, webhooks=record), dict(record)
        routes = self.routes(plan)
        prices = self.prices(rendered, routes)
        prepared = ev.HandoffPrepared(
            command.call_id, rendered, found, _brief(destination), prices, result, told
        )
        warnings = (*warnings, *self.warn(rendered))
        return Successor(prepared, replace(routes, handoffs=self), plan, tuple(problems), warnings)

    def taken(self, successor: Successor) -> None:
        """The call is theirs now."""
        self.plan = successor.plan

    # --- who -----------------------------------------------------------------------------------------------------

    async def _asked(self, command: StartHandoff, now: Situation, note: Note) -> tuple[dict[str, Any], str]:
        """Where the customer's server wants the call to go, and what the model is told of it."""
        questions: CallQuestions | None = now.routes.questions
        if questions is None:
            raise HandoffRefused("no server could be asked where to")
        server = command.destination.get("server")
        fields = {"parameters": dict(command.variables)}
        question = Question(
            HANDOFF_DESTINATION,
            fields,
            now.messages,
            now.chat,
            server=server if isinstance(server, Mapping) else None,
            id=f"{self.plan.call_id}-{command.call_id}",
        )
        try:
            body = (await questions.ask(question, note)).body
        except ProviderError as error:
            raise HandoffRefused(f"the server that knows where to did not answer ({error.code})") from None
        result, error_text = _text(body.get("result")), _text(body.get("error"))
        if error_text:
            raise HandoffRefused("the server refused it", error_text)
        destination = body.get("destination")
        if not isinstance(destination, Mapping) or not destination:
            raise HandoffRefused("the server named nobody", result)
        whole = {"type": ASSISTANT, **destination}
        if whole["type"] not in (ASSISTANT, SQUAD):
            raise HandoffRefused("the server named nobody who can take it over", result)
        return whole, result

    async def _found(
        self, destination: Mapping[str, Any], command: StartHandoff
    ) -> tuple[tuple[Member, ...], Member, tuple[str, ...]]:
        """Who is in the call from then on, who of them is meant, and what is odd about it."""
        member = self._member(destination)
        whole = opened(self.plan.keys, destination)
        if member is not None:
            overrides = {
                n: v for n, v in (whole.get("assistantOverrides") or {}).items() if n != "variableValues"
            }
            if overrides and self.desk is not None and command.trusted:
                member = await self.desk.overridden(self.plan.org_id, member, overrides)
            return self.plan.members, member, ()
        outside = any(destination.get(name) for name in ("assistantId", "assistant", "squadId", "squad"))
        if self.desk is None or not outside or not command.trusted:
            raise HandoffRefused(f"there is no {_named(destination)} here")
        handed = await self.desk.hand(self.plan.org_id, whole)
        members = ready(handed.members)
        if not members:
            raise HandoffRefused(f"there is no {_named(destination)} here")
        if destination.get("type") != SQUAD:
            # The squad stays, so that whoever comes in may lead back to it.
            return self.plan.members, members[0], handed.problems
        entry = _text(destination.get("entryAssistantName"))
        names = [each.name for each in members]
        chosen = choose_name(names, entry) if entry else names[0]
        if chosen is None:
            raise HandoffRefused(f"the squad has no {entry[:80]}")
        return members, members[names.index(chosen)], handed.problems

    def _known(self, member: Member, known: Mapping[str, Any]) -> dict[str, Any]:
        """What the call knows, and of what only its first assistant said, this one's own word."""
        first = self.first.variables if self.first is not None else {}
        firm = {name for name, value in known.items() if name not in first or first[name] != value}
        own = {name: value for name, value in member.variables.items() if name not in firm}
        return {**known, **own}

    def _member(self, destination: Mapping[str, Any]) -> Member | None:
        if destination.get("type") != ASSISTANT or destination.get("assistant"):
            return None
        members = self.plan.members
        wanted, wanted_id = _text(destination.get("assistantName")), _text(destination.get("assistantId"))
        name = choose_name([each.name for each in members], wanted)
        named = (each for each in members if each.name == name)
        by_id = (each for each in members if each.assistant_id and each.assistant_id in (wanted_id, wanted))
        return next(named if name else by_id, None)

    # --- what is known -------------------------------------------------------------------------------------------

    async def _extracted(
        self, destination: Mapping[str, Any], known: Mapping[str, Any], now: Situation, note: Note
    ) -> dict[str, Any]:
        plan = _mapping(destination.get("variableExtractionPlan"))
        schema, found = _mapping(plan.get("schema")), dict[str, Any]()
        if schema:
            extracted = await extract(now.routes.reply, schema, now.chat)
            found |= extracted.values
            counted = ("code", "route", "prompt_tokens", "cached_tokens", "completion_tokens")
            names = sorted(extracted.values)
            note("VariablesRead", {"names": names, **{name: getattr(extracted, name) for name in counted}})
        problems: list[str] = []
        for alias in map(_mapping, _list(plan.get("aliases"))[:ALIASES_MAX]):
            key, value = _text(alias.get("key")), _text(alias.get("value"))
            if key.isidentifier() and len(key) <= _KEY_MAX and len(found) < VARIABLES_MAX:
                found[key] = render_text(value, {**known, **found}, problems, f"aliases.{key}")
        for problem in problems:
            note("TemplateProblem", {"detail": problem})
        return found


def ready(members: Sequence[Member]) -> tuple[Member, ...]:
    """The members of a squad as they answer: with tools that lead to each other, in a call that lasts as long as the most
    patient of them lets it (the official tooling's notes on a call's duration)."""
    longest_s = max((_duration_s(each.assistant) for each in members), default=0.0)
    return tuple(
        replace(
            each,
            assistant={
                **with_destinations(each.assistant, each.destinations),
                **({"maxDurationSeconds": longest_s} if len(members) > 1 else {}),
            },
        )
        for each in members
    )


def headed(plan: CallPlan, member: Member, members: tuple[Member, ...]) -> CallPlan:
    """The plan with this one of them at its head."""
    return replace(
        plan,
        assistant=member.assistant,
        assistant_id=member.assistant_id,
        keys=member.keys,
        files=member.files,
        members=members,
    )


def _duration_s(assistant: Mapping[str, Any]) -> float:
    given = assistant.get("maxDurationSeconds")
    return given if isinstance(given, int | float) and not isinstance(given, bool) else DURATION_S


def _brief(destination: Mapping[str, Any]) -> dict[str, Any]:
    """A destination for the record: an assistant or a squad that stands in it is on record already, by its name."""
    short = {name: value for name, value in destination.items() if name not in (ASSISTANT, SQUAD, "server")}
    for kind in (ASSISTANT, SQUAD):
        inline = destination.get(kind)
        if isinstance(inline, Mapping):
            short[kind] = {"name": _text(inline.get("name"))}
    return short


def _named(destination: Mapping[str, Any]) -> str:
    for name in ("assistantName", "assistantId", "squadId", "entryAssistantName"):
        if text := _text(destination.get(name)):
            return f"{destination.get('type')} {json.dumps(text[:80])}"
    return "such assistant"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

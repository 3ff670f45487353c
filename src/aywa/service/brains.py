"""Who thinks in a call: an assistant or a squad, with overrides merged, tools and files looked up, keys found, secrets put aside.

A call never awaits a database (design): all of this happens before it is prepared, and travels with its plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aywa.ports.calls import FileText, Member, ProviderKey
from aywa.ports.store import JsonObject
from aywa.service.assistants import INLINE, Assistants, Resolved, inline_of, split_inline
from aywa.service.brain_secrets import hidden
from aywa.service.credentials import Credentials
from aywa.service.documents import OWN_FIELDS
from aywa.service.errors import NotFound, Rejected
from aywa.service.files import Files
from aywa.service.overrides import merged
from aywa.service.resource import Resource
from aywa.service.rules import shown
from aywa.service.squad_rules import duplicate

_NOT_TOLD = frozenset(OWN_FIELDS) - {"id"}


@dataclass(frozen=True, slots=True)
class Settled:
    """Ready for a call's plan. assistant: without secrets. problems: for a person; the call goes on."""

    assistant: JsonObject
    keys: Mapping[str, ProviderKey] = field(repr=False)
    files: Mapping[str, FileText] = field(repr=False)
    problems: tuple[str, ...] = ()


class Brains:
    """For calls, whoever places them."""

    def __init__(
        self,
        assistants: Assistants,
        tools: Resource,
        squads: Resource,
        files: Files,
        credentials: Credentials,
    ) -> None:
        self._assistants = assistants
        self._tools = tools
        self._squads = squads
        self._files = files
        self._credentials = credentials

    async def stored(self, org_id: str, assistant_id: str) -> Resolved:
        """Raises NotFound."""
        return await self._assistants.resolve(org_id, assistant_id)

    async def squad(self, org_id: str, squad_id: str) -> Resolved:
        """A stored squad. Raises NotFound."""
        found, problems = await self._squads.opened(org_id, [squad_id])
        if squad_id not in found:
            raise self._squads.missing(squad_id)
        return Resolved({}, problems=tuple(problems), squad=found[squad_id])

    async def settle(
        self,
        org_id: str,
        brain: Resolved,
        overrides: Sequence[Mapping[str, Any]],
        inline: Sequence[JsonObject] | None = None,
    ) -> Settled:
        """An assistant with these overrides, the first merged first. inline: credentials in place of its own.
        Raises Rejected (a tool that is not there: contract 5), StoreUnavailable."""
        assistant = dict(brain.body)
        for each in overrides:
            assistant = merged(assistant, each)
        problems = list(brain.problems)
        assistant = await self._with_tools(org_id, assistant, problems)
        own = brain.inline if inline is None else inline
        found = await self._credentials.keys(org_id, assistant, own)
        keys = dict(found.keys)
        assistant = hidden(assistant, keys)
        files = await self._files.texts(org_id, _file_ids(assistant))
        missing = [name for name in _file_ids(assistant) if name not in files]
        problems += [
            f"file {shown('', name)} cannot be searched: it is not there, or no text" for name in missing
        ]
        return Settled(assistant, keys, files, (*problems, *found.problems))

    async def member(
        self,
        org_id: str,
        brain: str | Mapping[str, Any],
        *overrides: Mapping[str, Any],
        destinations: Sequence[Mapping[str, Any]] = (),
    ) -> tuple[Member, tuple[str, ...]]:
        """An assistant, by its id or as it is written, with these overrides; and what a person should know.
        Raises NotFound, Rejected, StoreUnavailable."""
        assistant_id = brain if isinstance(brain, str) else None
        if isinstance(brain, str):
            resolved = await self.stored(org_id, brain)
        else:
            given = {name: value for name, value in brain.items() if value is not None}
            resolved = Resolved(split_inline(given)[0], inline_of(given))
        own = [each for over in overrides if INLINE in over for each in inline_of(over)]
        public = [split_inline(over)[0] for over in overrides]
        settled = await self.settle(org_id, resolved, public, own or None)
        variables: JsonObject = {}
        for over in overrides:
            variables |= over.get("variableValues") or {}
        member = Member(
            str(settled.assistant.get("name") or ""),
            settled.assistant,
            assistant_id,
            variables,
            tuple(destinations),
            settled.keys,
            settled.files,
        )
        return member, settled.problems

    async def squad_members(
        self, org_id: str, squad: Mapping[str, Any], overrides: Mapping[str, Any]
    ) -> tuple[tuple[Member, ...], tuple[str, ...]]:
        """A squad's members, merged in this order: base, the member's overrides, the squad's, the call's (contract 8).
        Raises Rejected, StoreUnavailable."""
        members: list[Member] = []
        remarks: list[str] = []
        problems: list[str] = []
        names: set[str] = set()
        for index, written in enumerate(squad["members"]):
            brain = written.get("assistantId") or written.get("assistant") or {}
            over = (written.get("assistantOverrides") or {}, squad.get("membersOverrides") or {}, overrides)
            to = written.get("assistantDestinations") or ()
            try:
                member, found = await self.member(org_id, brain, *over, destinations=to)
            except NotFound:
                value = shown("assistantId", brain)
                problems.append(
                    f"members[{index}].assistantId must be the id of an existing assistant, got {value}"
                )
                continue
            except Rejected as rejection:
                problems += [f"members[{index}].{problem}" for problem in rejection.problems]
                continue
            if member.name and member.name in names:
                problems.append(duplicate(index, member.name))
            names.add(member.name)
            members.append(member)
            remarks += [f"{member.name or f'member {index}'}: {problem}" for problem in found]
        if problems:
            raise Rejected([f"squad.{problem}" for problem in problems])
        return tuple(members), tuple(dict.fromkeys(remarks))

    async def _with_tools(self, org_id: str, assistant: JsonObject, problems: list[str]) -> JsonObject:
        """Inline tools first, then those that are named by id; a hook's tool that is not there is only worth a warning."""
        model = assistant.get("model")
        ids = _tool_ids(model) if isinstance(model, dict) else []
        actions = list(_hook_actions(assistant))
        wanted = {*ids, *(action["toolId"] for action in actions)}
        if not wanted:
            return assistant
        found, remarks = await self._tools.opened(org_id, sorted(wanted))
        problems += remarks
        missing = [
            f"assistant.model.toolIds[{index}] must be the id of an existing tool, got {shown('', name)}"
            for index, name in enumerate(ids)
            if name not in found
        ]
        if missing:
            raise Rejected(missing)
        tools = {name: _told(body) for name, body in found.items()}
        if ids and isinstance(model, dict):
            rest = {name: value for name, value in model.items() if name not in ("toolIds", "toolRefs")}
            named = [tools[name] for name in dict.fromkeys(ids)]
            assistant = assistant | {"model": rest | {"tools": [*(model.get("tools") or ()), *named]}}
        if actions:
            assistant = assistant | {"hooks": [_with_tool(hook, tools) for hook in assistant["hooks"]]}
        lost = {action["toolId"] for action in actions} - found.keys()
        problems += [
            f"the tool {shown('', name)} of a hook does not exist; it is not run" for name in sorted(lost)
        ]
        return assistant


def _told(tool: JsonObject) -> JsonObject:
    return {name: value for name, value in tool.items() if name not in _NOT_TOLD}


def _tool_ids(model: Mapping[str, Any]) -> list[str]:
    ids = model.get("toolIds")
    refs = model.get("toolRefs")
    named = [*(ids if isinstance(ids, list) else ())]
    named += [ref.get("toolId") for ref in (refs if isinstance(refs, list) else ()) if isinstance(ref, dict)]
    return [name for name in named if isinstance(name, str)]


def _hook_actions(assistant: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    hooks = assistant.get("hooks")
    for hook in hooks if isinstance(hooks, list) else ():
        for action in (hook.get("do") or ()) if isinstance(hook, dict) else ():
            if isinstance(action, dict) and isinstance(action.get("toolId"), str) and action["toolId"]:
                yield action


def _with_tool(hook: Any, tools: Mapping[str, JsonObject]) -> Any:
    if not isinstance(hook, dict) or not isinstance(hook.get("do"), list):
        return hook
    return hook | {"do": [_resolved(action, tools) for action in hook["do"]]}


def _resolved(action: Any, tools: Mapping[str, JsonObject]) -> Any:
    tool = tools.get(str(action.get("toolId"))) if isinstance(action, dict) else None
    if tool is None:
        return action
    return {name: value for name, value in action.items() if name != "toolId"} | {"tool": tool}


def _file_ids(assistant: Mapping[str, Any]) -> list[str]:
    """Of the query tools' knowledge bases."""
    model = assistant.get("model")
    tools = model.get("tools") if isinstance(model, dict) else None
    found: list[str] = []
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and tool.get("type") == "query":
            for base in tool.get("knowledgeBases") or ():
                found += [name for name in base.get("fileIds") or () if isinstance(name, str)]
    return list(dict.fromkeys(found))

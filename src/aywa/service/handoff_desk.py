"""Finds, while a call runs, the assistants and squads that it is handed to and does not know: port `HandoffDesk`.

What is asked for is checked as a request for a call is: it may come from a customer's server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aywa.core.handoff import SQUAD
from aywa.ports.calls import Member, opened
from aywa.ports.handoffs import Handed, HandoffRefused
from aywa.ports.journal import StoreUnavailable
from aywa.ports.server_questions import ASSISTANT, ServerChain
from aywa.service.assistants import INLINE, Resolved, inline_of, split_inline
from aywa.service.brains import Brains
from aywa.service.customer_servers import CustomerServers, assistant_server, server_of
from aywa.service.errors import NotFound, Rejected
from aywa.service.squad_rules import squad_problems
from aywa.service.validate import assistant_problems, call_problems

PROBLEMS_MAX = 3
"""That the model, and whoever looks at the call, are told of."""


class Desk:
    """ports.handoffs.HandoffDesk over the use-cases."""

    def __init__(self, brains: Brains, servers: CustomerServers) -> None:
        self._brains = brains
        self._servers = servers

    async def hand(self, org_id: str, destination: Mapping[str, Any]) -> Handed:
        """As the port says."""
        try:
            if destination.get("type") == SQUAD:
                return await self._squad(org_id, destination)
            return await self._assistant(org_id, destination)
        except NotFound as missing:
            raise HandoffRefused(str(missing)) from None
        except Rejected as rejection:
            raise _refused(rejection.problems) from None
        except StoreUnavailable:
            raise HandoffRefused("the store does not answer") from None

    def heard_by(
        self, org_id: str, member: Member, before: ServerChain
    ) -> tuple[ServerChain, Mapping[str, Any]]:
        """As the port says."""
        chain = before
        own = server_of(assistant_server(member.assistant), member.keys, ASSISTANT)
        if own is not None:
            others = (each for each in before.servers if each.level != ASSISTANT and each.url != own.url)
            chain = replace(before, servers=(own, *others))
        return chain, self._servers.on_record(org_id, chain, member.assistant.get("serverMessages"))

    async def overridden(self, org_id: str, member: Member, overrides: Mapping[str, Any]) -> Member:
        """As the port says."""
        if problems := call_problems({"assistantOverrides": dict(overrides)}):
            raise _refused(problems)
        # Secrets are put aside under new names, for those of the overrides may be called alike.
        whole = Resolved(opened(member.keys, member.assistant))
        inline = inline_of(overrides) if INLINE in overrides else None
        try:
            settled = await self._brains.settle(org_id, whole, [split_inline(overrides)[0]], inline)
        except Rejected as rejection:
            raise _refused(rejection.problems) from None
        except StoreUnavailable:
            raise HandoffRefused("the store does not answer") from None
        return replace(
            member,
            assistant=settled.assistant,
            keys={**member.keys, **settled.keys},
            files={**member.files, **settled.files},
        )

    async def _assistant(self, org_id: str, destination: Mapping[str, Any]) -> Handed:
        overrides = destination.get("assistantOverrides") or {}
        problems = call_problems({"assistantOverrides": overrides})
        brain = destination.get("assistantId") or destination.get("assistant")
        if not isinstance(brain, str):
            problems += [f"assistant.{problem}" for problem in assistant_problems(brain)]
        if problems:
            raise Rejected(problems)
        assert isinstance(brain, str | Mapping)
        member, found = await self._brains.member(org_id, brain, overrides)
        return Handed((member,), found)

    async def _squad(self, org_id: str, destination: Mapping[str, Any]) -> Handed:
        overrides = destination.get("squadOverrides") or {}
        problems = call_problems({"assistantOverrides": overrides})
        squad, known = destination.get("squad"), tuple[str, ...]()
        if squad is not None:
            problems += [f"squad.{problem}" for problem in squad_problems(squad)]
        if problems:
            raise Rejected(problems)
        if squad is None:
            resolved = await self._brains.squad(org_id, str(destination.get("squadId")))
            squad, known = resolved.squad or {}, resolved.problems
        members, found = await self._brains.squad_members(org_id, squad, overrides)
        return Handed(members, (*known, *found))


def _refused(problems: list[str]) -> HandoffRefused:
    return HandoffRefused("; ".join(problems[:PROBLEMS_MAX]))

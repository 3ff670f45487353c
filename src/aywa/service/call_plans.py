"""What a call begins with: who thinks in it, what it may ask of whom, who may listen. Looked up before it is prepared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aywa.ports.calls import CallPlan, Member, ProviderKey
from aywa.ports.server_questions import ServerChain
from aywa.ports.store import Document, JsonObject
from aywa.service.assistants import Resolved
from aywa.service.brains import Brains, Settled
from aywa.service.call_bodies import about_phone
from aywa.service.call_request import INBOUND_CALL, CallRequest, join_timeout_s
from aywa.service.customer_servers import CustomerServers
from aywa.service.documents import dump, load
from aywa.service.errors import NotFound, Rejected
from aywa.service.inert import inert_warnings
from aywa.service.live import Monitors
from aywa.service.phone_numbers import NumberInUse, shown_number
from aywa.service.rules import shown


class CallPlans:
    """The use-case. servers: None where no customer's servers are told. monitors: makes the addresses of those who listen and
    steer; None: there are none."""

    def __init__(
        self, brains: Brains, servers: CustomerServers | None = None, monitors: Monitors | None = None
    ) -> None:
        self._brains = brains
        self._servers = servers
        self._monitors = monitors

    def opened(self, document: Document, plan: CallPlan, base_url: str = "") -> tuple[Document, CallPlan]:
        """The same with the addresses of those who listen and steer."""
        if self._monitors is None:
            return document, plan
        opened = self._monitors.open(document.id, plan.assistant, base_url)
        shown: JsonObject = {"monitor": opened.monitor} if opened.monitor else {}
        told = replace(document, text=dump(load(document) | shown))
        return told, replace(plan, call={**plan.call, **shown}, live=opened.keys)

    async def plan(
        self, request: CallRequest, brain: Resolved, document: Document, number: NumberInUse | None
    ) -> CallPlan:
        """The call that may begin. Raises Rejected, StoreUnavailable."""
        settled, members = await self.settled(document.org_id, brain, request)
        assistant = settled.assistant
        body = load(document)
        variables = (dict(members[0].variables) if members else {}) | request.variables
        if number is not None:
            body |= {"phoneNumber": shown_number(number.body)}
        if number is not None or request.type == INBOUND_CALL:
            variables = about_phone(body) | variables
        chain, webhooks = await self.chain(document.org_id, assistant, settled.keys, number)
        return CallPlan(
            call_id=document.id,
            org_id=document.org_id,
            type=request.type,
            assistant=assistant,
            format=request.format,
            rate_hz=request.rate_hz,
            created_ms=document.created_ms,
            assistant_id=request.assistant_id,
            variables=variables,
            call=body,
            join_timeout_s=join_timeout_s(assistant, request.phone),
            keys=settled.keys,
            warnings=(*settled.problems, *inert_warnings(assistant)),
            members=members,
            files=settled.files,
            servers=chain,
            webhooks=webhooks,
        )

    async def chain(
        self,
        org_id: str,
        assistant: Mapping[str, Any],
        keys: Mapping[str, ProviderKey],
        number: NumberInUse | None,
    ) -> tuple[ServerChain, JsonObject]:
        """Whose servers hear of the call, and what its record says of them."""
        if self._servers is None:
            return ServerChain(), {}
        chain = await self._servers.chain(org_id, assistant, keys, None if number is None else number.server)
        return chain, self._servers.on_record(org_id, chain, assistant.get("serverMessages"))

    async def settled(
        self, org_id: str, brain: Resolved, request: CallRequest
    ) -> tuple[Settled, tuple[Member, ...]]:
        """Who thinks in the call; of a squad the first member, and all. Raises Rejected."""
        if brain.squad is None:
            return await self._brains.settle(org_id, brain, [request.overrides], request.inline), ()
        members, problems = await self._brains.squad_members(org_id, brain.squad, request.squad_overrides)
        first = members[0]
        return Settled(dict(first.assistant), first.keys, first.files, (*brain.problems, *problems)), members

    async def brain(self, org_id: str, request: CallRequest) -> Resolved:
        """Who thinks in the call, as it is stored or was brought along. Raises Rejected."""
        try:
            if request.squad_id is not None:
                return await self._brains.squad(org_id, request.squad_id)
            if request.assistant_id is not None:
                return await self._brains.stored(org_id, request.assistant_id)
        except NotFound:
            name = "squadId" if request.squad_id is not None else "assistantId"
            value = shown(name, request.squad_id or request.assistant_id)
            raise Rejected([f"{name} must be the id of an existing {name[:-2]}, got {value}"]) from None
        if request.squad is not None:
            return Resolved({}, squad=request.squad)
        given = request.assistant or {}
        return Resolved({name: value for name, value in given.items() if value is not None})

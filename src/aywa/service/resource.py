"""One kind of configured document: create, list, read, change, delete. What is secret in it is sealed, and never answered."""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from aywa.ports.secrets import CannotOpen, Sealed, Vault
from aywa.ports.store import Document, Documents, JsonObject
from aywa.service.brain_secrets import kept_brain, split_brain
from aywa.service.clock import Clock, now_ms
from aywa.service.documents import json_list, list_query, load, new_document, without_own
from aywa.service.errors import NotFound, Rejected
from aywa.service.once import Asked, made_once
from aywa.service.rules import shown
from aywa.service.sealing import Seal
from aywa.service.secret_fields import joined
from aywa.service.squad_rules import squad_problems
from aywa.service.tool_rules import tool_problems

_log = structlog.get_logger("aywa.service.resource")

Check = Callable[[Any], list[str]]
CheckOthers = Callable[[str, JsonObject], Awaitable[list[str]]]
"""(org id, what was submitted) -> what is wrong with what it refers to."""


async def _nothing(_org_id: str, _body: JsonObject) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Kind:
    """name: what its secrets are bound to, never to be renamed. noun: for a person. fixed: the field that stays as it is.
    tagged: sub-objects that `provider` tells apart; a change without it is merged into what is stored (contract 18).
    checks_all: after a change the whole is checked, and not only what was changed."""

    name: str
    noun: str
    check: Check
    fixed: str | None = None
    check_others: CheckOthers = _nothing
    tagged: Collection[str] = ()
    checks_all: bool = True


class Resource:
    """The use-cases. Documents leave as JSON text."""

    def __init__(self, documents: Documents, kind: Kind, vault: Vault, clock: Clock = now_ms) -> None:
        self._documents = documents
        self._kind = kind
        self._seal = Seal(vault, kind.name)
        self._clock = clock

    async def create(self, org_id: str, body: Any, request: Asked | None = None) -> str:
        """Stores a new one, once. Raises Rejected."""
        if problems := self._kind.check(body):
            raise Rejected(problems)
        if problems := await self._kind.check_others(org_id, body):
            raise Rejected(problems)
        public, secrets = split_brain(without_own(body))
        document = new_document(org_id, self._clock(), public)
        sealed = self._seal.close(org_id, document.id, secrets)
        return (await made_once(self._documents, replace(document, sealed=sealed), request)).text

    async def list(self, org_id: str, parameters: Mapping[str, str]) -> str:
        """A JSON array, newest first. Raises Rejected."""
        return json_list(await self._documents.list(org_id, list_query(parameters)))

    async def get(self, org_id: str, document_id: str) -> str:
        """Raises NotFound."""
        document = await self._documents.get(org_id, document_id)
        if document is None:
            raise self.missing(document_id)
        return document.text

    async def change(self, org_id: str, document_id: str, change: Any) -> str:
        """Replaces each supplied top-level field whole; null clears it; a secret that is not sent stays. Raises NotFound,
        Rejected."""
        if not isinstance(change, dict):
            raise Rejected(self._kind.check(change))
        given = without_own(change)
        if problems := await self._kind.check_others(org_id, given):
            raise Rejected(problems)

        def changed(body: JsonObject, sealed: Sealed | None) -> tuple[JsonObject, Sealed | None]:
            new = self._changed(org_id, document_id, body, sealed, given)
            public, secrets = split_brain(new)
            return public, self._seal.close(org_id, document_id, secrets)

        document = await self._documents.change_sealed(org_id, document_id, self._clock(), changed)
        if document is None:
            raise self.missing(document_id)
        return document.text

    async def delete(self, org_id: str, document_id: str) -> str:
        """Answers what was deleted. Raises NotFound."""
        document = await self._documents.delete(org_id, document_id)
        if document is None:
            raise self.missing(document_id)
        return document.text

    def missing(self, document_id: str) -> NotFound:
        """No such one here."""
        return NotFound(f"{self._kind.noun} {document_id[:80]} does not exist.")

    # --- for calls -------------------------------------------------------------------------------------------------

    async def opened(
        self, org_id: str, ids: Collection[str]
    ) -> tuple[dict[str, JsonObject], builtins.list[str]]:
        """Those of these ids that are there, whole, by id; and what a person should know of them."""
        found: dict[str, JsonObject] = {}
        problems: builtins.list[str] = []
        for document in await self._documents.of_ids(org_id, ids) if ids else ():
            found[document.id] = self._whole(document, problems)
        return found, problems

    # --- inside ------------------------------------------------------------------------------------------------------

    def _whole(self, document: Document, problems: builtins.list[str]) -> JsonObject:
        body = load(document)
        try:
            whole: JsonObject = joined(body, self._seal.open(document.org_id, document.id, document.sealed))
        except CannotOpen as reason:
            _log.warning(
                "document_cannot_be_opened", kind=self._kind.name, id=document.id, reason=str(reason)
            )
            noun = self._kind.noun.lower()
            problems.append(
                f"the secrets of {noun} {document.id} cannot be opened: {reason}; the call goes on without"
            )
            return body
        return whole

    def _changed(
        self, org_id: str, document_id: str, body: JsonObject, sealed: Sealed | None, change: JsonObject
    ) -> JsonObject:
        fixed = self._kind.fixed
        if fixed is not None and change.get(fixed, body.get(fixed)) != body.get(fixed):
            noun = self._kind.noun.lower()
            value = shown(fixed, change[fixed])
            raise Rejected([f"{fixed} must not be changed: make a new {noun}, got {value}"])
        try:
            old: JsonObject = joined(body, self._seal.open(org_id, document_id, sealed))
        except CannotOpen:
            old = body  # they are lost, and must be entered again
        new = dict(old)
        for name, value in kept_brain(change, old).items():
            if value is None:
                new.pop(name, None)
            elif name in self._kind.tagged and isinstance(value, dict) and "provider" not in value:
                stored = old.get(name)
                new[name] = (stored if isinstance(stored, dict) else {}) | value
            else:
                new[name] = value
        checked = new if self._kind.checks_all else {name: new[name] for name in change if name in new}
        if problems := self._kind.check(checked):
            raise Rejected(problems)
        return new


TOOL_KIND = Kind("tool", "Tool", tool_problems, "type")


def squad_kind(assistants: Documents) -> Kind:
    """Squads, whose members are assistants of the same organisation."""

    async def check_members(org_id: str, body: JsonObject) -> list[str]:
        members = body.get("members")
        named = [
            (index, member["assistantId"])
            for index, member in enumerate(members if isinstance(members, list) else ())
            if isinstance(member, dict) and isinstance(member.get("assistantId"), str)
        ]
        found = await assistants.of_ids(org_id, {name for _, name in named}) if named else ()
        there = {document.id for document in found}
        return [
            f"members[{index}].assistantId must be the id of an existing assistant, got {shown('', name)}"
            for index, name in named
            if name not in there
        ]

    return Kind("squad", "Squad", squad_problems, check_others=check_members)

"""Assistants: create, list, read, change, delete. Keeps what it does not know; refuses what breaks a documented rule.

The secrets of `credentials` are sealed beside the document and never leave it but to a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from aywa.ports.secrets import CannotOpen, Sealed, Vault
from aywa.ports.store import Documents, JsonObject
from aywa.service.clock import Clock, now_ms
from aywa.service.documents import json_list, list_query, load, new_document, without_own
from aywa.service.errors import NotFound, Rejected
from aywa.service.sealing import Seal
from aywa.service.secret_fields import Secrets, joined, kept_in_list, split
from aywa.service.validate import assistant_problems

_log = structlog.get_logger("aywa.service.assistants")

TAGGED = ("model", "voice", "transcriber")
"""Sub-objects that `provider` tells apart; a change without it is merged into what is stored (contract 18)."""


INLINE = "credentials"
KIND = "assistant"


@dataclass(frozen=True, slots=True)
class Resolved:
    """An assistant for a call. body: without secrets. inline: its own credentials, with theirs. problems: for a person."""

    body: JsonObject
    inline: Sequence[JsonObject] = field(default=(), repr=False)
    problems: tuple[str, ...] = ()


class Assistants:
    """The use-cases. Documents leave as JSON text."""

    def __init__(self, documents: Documents, vault: Vault, clock: Clock = now_ms) -> None:
        self._documents = documents
        self._seal = Seal(vault, KIND)
        self._clock = clock

    async def create(self, org_id: str, body: Any) -> str:
        """Stores a new assistant. Raises Rejected."""
        if problems := assistant_problems(body):
            raise Rejected(problems)
        public, secrets = split_inline(body)
        document = new_document(org_id, self._clock(), public)
        sealed = self._seal.close(org_id, document.id, secrets)
        await self._documents.insert(replace(document, sealed=sealed))
        return document.text

    async def list(self, org_id: str, parameters: Mapping[str, str]) -> str:
        """A JSON array, newest first. Raises Rejected."""
        return json_list(await self._documents.list(org_id, list_query(parameters)))

    async def get(self, org_id: str, assistant_id: str) -> str:
        """Raises NotFound."""
        document = await self._documents.get(org_id, assistant_id)
        if document is None:
            raise missing(assistant_id)
        return document.text

    async def owner(self, assistant_id: str) -> str | None:
        """The organisation whose it is: for equipment, which knows none."""
        document = await self._documents.of_id(assistant_id)
        return None if document is None else document.org_id

    async def resolve(self, org_id: str, assistant_id: str) -> Resolved:
        """The assistant for a call. Raises NotFound."""
        document = await self._documents.get(org_id, assistant_id)
        if document is None:
            raise missing(assistant_id)
        # Those of a document that an earlier release stored are still in it.
        body, loose = split_inline(load(document))
        try:
            secrets = self._seal.open(org_id, assistant_id, document.sealed)
        except CannotOpen as reason:
            _log.warning("assistant_cannot_be_opened", assistant_id=assistant_id, reason=str(reason))
            problem = f"the credentials of assistant {assistant_id} cannot be opened: {reason}; the call goes on without them"
            return Resolved(body, [], (problem,))
        return Resolved(body, inline_of(joined(body, [*loose, *secrets])))

    async def change(self, org_id: str, assistant_id: str, change: Any) -> str:
        """Replaces each supplied top-level field whole; null clears it. Raises NotFound, Rejected."""
        if not isinstance(change, dict):
            raise Rejected(assistant_problems(change))

        def apply(body: JsonObject, sealed: Sealed | None) -> tuple[JsonObject, Sealed | None]:
            if INLINE not in change:
                return changed(body, change), sealed
            old = self._inline(org_id, assistant_id, body, sealed)
            given = change[INLINE]
            whole = change | {INLINE: kept_in_list(given, old) if isinstance(given, list) else given}
            public, secrets = split_inline(changed(body, whole))
            return public, self._seal.close(org_id, assistant_id, secrets)

        document = await self._documents.change_sealed(org_id, assistant_id, self._clock(), apply)
        if document is None:
            raise missing(assistant_id)
        return document.text

    async def delete(self, org_id: str, assistant_id: str) -> str:
        """Answers what was deleted. Raises NotFound."""
        document = await self._documents.delete(org_id, assistant_id)
        if document is None:
            raise missing(assistant_id)
        return document.text

    def _inline(
        self, org_id: str, assistant_id: str, body: JsonObject, sealed: Sealed | None
    ) -> Sequence[JsonObject]:
        try:
            return inline_of(joined(body, self._seal.open(org_id, assistant_id, sealed)))
        except CannotOpen:
            return []  # they are lost, and must be entered again


def split_inline(body: Mapping[str, Any]) -> tuple[JsonObject, Secrets]:
    """The assistant without the secrets of its own credentials, and they."""
    public, secrets = split(body.get(INLINE))
    return dict(body) | ({INLINE: public} if INLINE in body else {}), [
        ([INLINE, *path], secret) for path, secret in secrets
    ]


def inline_of(body: Mapping[str, Any]) -> list[JsonObject]:
    """The assistant's own credentials."""
    given = body.get(INLINE)
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def changed(body: JsonObject, change: Mapping[str, Any]) -> JsonObject:
    """The body after the change. Raises Rejected with what is wrong in the changed fields."""
    new = dict(body)
    change = without_own(change)
    for name, value in change.items():
        if value is None:
            new.pop(name, None)
        elif name in TAGGED and isinstance(value, dict) and "provider" not in value:
            stored = body.get(name)
            new[name] = (stored if isinstance(stored, dict) else {}) | value
        else:
            new[name] = value
    if problems := assistant_problems({name: new[name] for name in change if name in new}):
        raise Rejected(problems)
    return new


def missing(assistant_id: str) -> NotFound:
    """No such assistant here."""
    return NotFound(f"Assistant {assistant_id[:80]} does not exist.")

"""Assistants: create, list, read, change, delete. Keeps what it does not know; refuses what breaks a documented rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aywa.ports.store import Documents, JsonObject
from aywa.service.clock import Clock, now_ms
from aywa.service.documents import json_list, list_query, load, new_document, without_own
from aywa.service.errors import NotFound, Rejected
from aywa.service.validate import assistant_problems

TAGGED = ("model", "voice", "transcriber")
"""Sub-objects that `provider` tells apart; a change without it is merged into what is stored (contract 18)."""


class Assistants:
    """The use-cases. Documents leave as JSON text."""

    def __init__(self, documents: Documents, clock: Clock = now_ms) -> None:
        self._documents = documents
        self._clock = clock

    async def create(self, org_id: str, body: Any) -> str:
        """Stores a new assistant. Raises Rejected."""
        if problems := assistant_problems(body):
            raise Rejected(problems)
        document = new_document(org_id, self._clock(), body)
        await self._documents.insert(document)
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

    async def resolve(self, org_id: str, assistant_id: str) -> JsonObject:
        """The assistant's body. Raises NotFound."""
        document = await self._documents.get(org_id, assistant_id)
        if document is None:
            raise missing(assistant_id)
        return load(document)

    async def change(self, org_id: str, assistant_id: str, change: Any) -> str:
        """Replaces each supplied top-level field whole; null clears it. Raises NotFound, Rejected."""
        if not isinstance(change, dict):
            raise Rejected(assistant_problems(change))
        document = await self._documents.change(
            org_id, assistant_id, self._clock(), lambda body: changed(body, change)
        )
        if document is None:
            raise missing(assistant_id)
        return document.text

    async def delete(self, org_id: str, assistant_id: str) -> str:
        """Answers what was deleted. Raises NotFound."""
        document = await self._documents.delete(org_id, assistant_id)
        if document is None:
            raise missing(assistant_id)
        return document.text


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

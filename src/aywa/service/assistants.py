"""Assistants: a kind of configured document, and what a call takes of one.

The secrets of `credentials` are sealed beside the document and never leave it but to a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from aywa.ports.secrets import CannotOpen, Vault
from aywa.ports.store import Documents, JsonObject
from aywa.service.brain_secrets import split_brain
from aywa.service.clock import Clock, now_ms
from aywa.service.documents import load
from aywa.service.resource import Kind, Resource
from aywa.service.secret_fields import Secrets, joined, split
from aywa.service.validate import assistant_problems

_log = structlog.get_logger("aywa.service.assistants")

INLINE = "credentials"
ASSISTANT_KIND = Kind(
    "assistant",
    "Assistant",
    assistant_problems,
    tagged=("model", "voice", "transcriber"),
    # An earlier release took what this one would refuse: it stays, until it is changed.
    checks_all=False,
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Who thinks in a call, as it was found. body: an assistant, its servers with their secrets. inline: its own credentials,
    with theirs. problems: for a person. squad: a squad in the assistant's place, whole."""

    body: JsonObject = field(repr=False)
    inline: Sequence[JsonObject] = field(default=(), repr=False)
    problems: tuple[str, ...] = ()
    squad: JsonObject | None = field(default=None, repr=False)


class Assistants(Resource):
    """The use-cases. Documents leave as JSON text."""

    def __init__(self, documents: Documents, vault: Vault, clock: Clock = now_ms) -> None:
        super().__init__(documents, ASSISTANT_KIND, vault, clock)

    async def owner(self, assistant_id: str) -> str | None:
        """The organisation whose it is: for equipment, which knows none."""
        document = await self._documents.of_id(assistant_id)
        return None if document is None else document.org_id

    async def resolve(self, org_id: str, assistant_id: str) -> Resolved:
        """The assistant for a call. Raises NotFound."""
        document = await self._documents.get(org_id, assistant_id)
        if document is None:
            raise self.missing(assistant_id)
        # Those of a document that an earlier release stored are still in it.
        body, loose = split_brain(load(document))
        try:
            secrets = self._seal.open(org_id, assistant_id, document.sealed)
        except CannotOpen as reason:
            _log.warning("assistant_cannot_be_opened", assistant_id=assistant_id, reason=str(reason))
            problem = f"the credentials of assistant {assistant_id} cannot be opened: {reason}; the call goes on without them"
            return Resolved(body, [], (problem,))
        whole = joined(body, [*loose, *secrets])
        return Resolved(split_inline(whole)[0], inline_of(whole))


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

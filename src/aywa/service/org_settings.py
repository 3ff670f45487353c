"""What holds for a whole organisation: its account webhook, and what becomes of a message when a server fails.

The operator's own account webhook serves every organisation that has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from aywa.ports.secrets import CannotOpen, Sealed, Vault
from aywa.ports.server_questions import FALLBACK, POLICIES
from aywa.ports.store import Conflict, Documents, JsonObject, Organisation, Organisations
from aywa.service.clock import Clock, iso, now_ms
from aywa.service.documents import dump, load, new_document, without_own
from aywa.service.errors import NotFound, Rejected
from aywa.service.rules import Choice, Obj, check
from aywa.service.sealing import Seal
from aywa.service.secret_fields import joined, kept, split
from aywa.service.server_rules import SERVER

_log = structlog.get_logger("aywa.service.org_settings")

KIND = "org"
SERVER_FIELD, POLICY_FIELD = "server", "webhookPolicy"
_MINE = ("name",)

ORG_CHANGE = Obj(
    {
        SERVER_FIELD: SERVER,
        POLICY_FIELD: Choice(POLICIES),
    },
    example={"server": {"url": "https://example.com/webhooks"}, POLICY_FIELD: FALLBACK},
)


@dataclass(frozen=True, slots=True)
class AccountWebhook:
    """server: as its document has it, secrets included; None without one. policy: of ports.server_questions."""

    server: Mapping[str, Any] | None = field(default=None, repr=False)
    policy: str = FALLBACK


class OrgSettings:
    """The use-cases. Documents leave as JSON text, without secrets. account: the operator's own webhook, from the environment."""

    def __init__(
        self,
        organisations: Organisations,
        documents: Documents,
        vault: Vault,
        account: Mapping[str, Any] | None = None,
        clock: Clock = now_ms,
    ) -> None:
        self._organisations = organisations
        self._documents = documents
        self._seal = Seal(vault, KIND)
        self._account = account
        self._clock = clock

    async def get(self, org_id: str, wanted: str | None = None) -> str:
        """The organisation and its settings. wanted: the id that was asked for. Raises NotFound, for any other's too."""
        organisation = await self._own(org_id, wanted)
        document = await self._documents.get(org_id, org_id)
        return self._shown(organisation, {} if document is None else load(document))

    async def change(self, org_id: str, wanted: str, change: Any) -> str:
        """Replaces each supplied field whole; null clears it; a secret that is not sent stays. Raises NotFound, Rejected."""
        organisation = await self._own(org_id, wanted)
        problems = check(ORG_CHANGE, change)
        if problems or not isinstance(change, dict):
            raise Rejected(problems)
        problems = _url_problems(change.get(SERVER_FIELD))
        if problems:
            raise Rejected(problems)
        change = {name: value for name, value in without_own(change).items() if name not in _MINE}
        now = self._clock()

        def changed(body: JsonObject, sealed: Sealed | None) -> tuple[JsonObject, Sealed | None]:
            old = self._opened(org_id, body, sealed)
            merged = old | kept(change, {name: old[name] for name in change if name in old})
            new = {name: value for name, value in merged.items() if value is not None}
            public, secrets = split(new)
            return public, self._seal.close(org_id, org_id, secrets)

        document = await self._documents.change_sealed(org_id, org_id, now, changed)
        if document is None:
            body, sealed = changed({}, None)
            try:
                document = replace(new_document(org_id, now, body, org_id), sealed=sealed)
                await self._documents.insert(document)
            except Conflict:  # another request was quicker
                document = await self._documents.change_sealed(org_id, org_id, now, changed)
                assert document is not None
        return self._shown(organisation, load(document))

    async def account(self, org_id: str) -> AccountWebhook:
        """For a call. Raises StoreUnavailable."""
        document = await self._documents.get(org_id, org_id)
        if document is None:
            return AccountWebhook(self._account)
        body = self._opened(org_id, load(document), document.sealed)
        server = body.get(SERVER_FIELD)
        own = server if isinstance(server, Mapping) and server.get("url") else None
        return AccountWebhook(own or self._account, str(body.get(POLICY_FIELD) or FALLBACK))

    async def _own(self, org_id: str, wanted: str | None) -> Organisation:
        found = None if wanted not in (None, org_id) else await self._organisations.get(org_id)
        if found is None:
            raise NotFound(f"Organisation {(wanted or org_id)[:80]} does not exist.")
        return found

    def _opened(self, org_id: str, body: JsonObject, sealed: Sealed | None) -> JsonObject:
        try:
            whole: JsonObject = joined(body, self._seal.open(org_id, org_id, sealed))
        except CannotOpen as reason:
            # It can still be mended, by entering all of it again.
            _log.warning("org_settings_cannot_be_opened", org_id=org_id, reason=str(reason))
            return body
        return whole

    def _shown(self, organisation: Organisation, body: JsonObject) -> str:
        created = iso(organisation.created_ms)
        own = {"id": organisation.id, "name": organisation.name, "createdAt": created}
        rest = {"updatedAt": created, POLICY_FIELD: FALLBACK} | body
        return dump(
            {
                **own,
                **{name: value for name, value in rest.items() if name not in ("id", "orgId", "createdAt")},
            }
        )


def _url_problems(server: Any) -> list[str]:
    if not isinstance(server, Mapping):
        return []
    url = server.get("url")
    good = isinstance(url, str) and url.startswith(("http://", "https://"))
    return [] if good else ["server.url must be a URL that begins with http:// or https://"]

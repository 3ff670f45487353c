"""Whose servers hear of a call, and how their requests are signed: the chain of a call (contract 7.1), what the record says
of it, and what an endpoint's `auth` stands for. Refuses to send anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import structlog

from aywa.core.server_messages import SERVER_MESSAGES, deliveries_of_unbegun, told_call
from aywa.core.webhooks import Delivery, Endpoint, backoff_plan
from aywa.ports.calls import ProviderKey, whole_of
from aywa.ports.secrets import SEALED, CannotOpen, Vault, sealed_in
from aywa.ports.server_questions import ACCOUNT, ASSISTANT, PHONE_NUMBER, TIMEOUT_S, Server, ServerChain
from aywa.ports.store import Document, JsonObject
from aywa.ports.webhooks import CannotSign
from aywa.service.credentials import Credentials
from aywa.service.org_settings import OrgSettings

_log = structlog.get_logger("aywa.service.customer_servers")

TIMEOUT_MAX_S = 300.0
AUTH = ("webhook", "auth", "server")
"""What an endpoint's secret is sealed for, behind its organisation."""
_BY_CREDENTIAL = "credential:"
Keys = Mapping[str, ProviderKey]


class CustomerServers:
    """The use-case."""

    def __init__(self, orgs: OrgSettings, credentials: Credentials, vault: Vault) -> None:
        self._orgs = orgs
        self._credentials = credentials
        self._vault = vault

    async def chain(
        self,
        org_id: str,
        assistant: Mapping[str, Any],
        keys: Keys,
        number: Mapping[str, Any] | None = None,
    ) -> ServerChain:
        """Of a call of this assistant. keys: that it takes along. number: the phone number's server, secrets included. One that
        stands at two levels is asked once. Raises StoreUnavailable."""
        account = await self._orgs.account(org_id)
        servers = [server_of(assistant_server(assistant), keys, ASSISTANT)]
        for document, level in ((number, PHONE_NUMBER), (account.server, ACCOUNT)):
            servers.append(server_of(document, await self._keys(org_id, document), level))
        found: dict[str, Server] = {}
        for server in servers:
            if server is not None:
                found.setdefault(server.url, server)
        return ServerChain(tuple(found.values()), account.policy)

    async def number_chain(self, org_id: str, number: Mapping[str, Any] | None) -> ServerChain:
        """Where nobody knows the assistant yet. Raises StoreUnavailable."""
        return await self.chain(org_id, {}, {}, number)

    def on_record(self, org_id: str, chain: ServerChain, wanted: Any) -> JsonObject:
        """What CallStarted says of it (core.server_messages.read_servers). wanted: the assistant's serverMessages."""
        if not chain.servers:
            return {}
        messages = [str(each) for each in wanted] if isinstance(wanted, list) else list(SERVER_MESSAGES)
        endpoints = [self._endpoint(org_id, server).document() for server in chain.servers]
        return {"policy": chain.policy, "messages": messages, "servers": endpoints}

    async def opened(self, org_id: str, auth: str) -> Mapping[str, Any]:
        """The secret, the headers and the authenticationPlan that an endpoint's auth stands for. Raises CannotSign,
        StoreUnavailable."""
        held, name = {}, ""
        if auth.startswith(_BY_CREDENTIAL):
            name = auth.removeprefix(_BY_CREDENTIAL)
        elif auth.startswith(SEALED):
            held = self._open(org_id, auth)
            name = str(held.pop("credentialId", ""))
        elif auth:
            raise CannotSign("how it is signed is not known to this release")
        if not name:
            return held
        found = await self._keys(org_id, {"credentialId": name})
        if name not in found:
            raise CannotSign(f"credential {name[:80]} does not exist, or cannot be opened")
        return held | {"authenticationPlan": found[name].extra.get("authenticationPlan")}

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _keys(self, org_id: str, document: Mapping[str, Any] | None) -> Keys:
        """Of a server that is no assistant's."""
        if document is None or not document.get("credentialId"):
            return {}
        found = await self._credentials.keys(org_id, {"server": document})
        for problem in found.problems:
            _log.warning("webhook_credential_missing", org_id=org_id, problem=problem)
        return found.keys

    def _endpoint(self, org_id: str, server: Server) -> Endpoint:
        return Endpoint(
            server.url, self._auth(org_id, server), server.timeout_s, backoff_plan(server.backoff)
        )

    def _auth(self, org_id: str, server: Server) -> str:
        held = {name: server.opened[name] for name in ("secret", "headers") if server.opened.get(name)}
        if not held:
            return f"{_BY_CREDENTIAL}{server.credential}" if server.credential else ""
        if server.credential:
            held["credentialId"] = server.credential
        plain = json.dumps(held, separators=(",", ":")).encode()
        return self._vault.seal(plain, (org_id, *AUTH)).text()

    def _open(self, org_id: str, text: str) -> JsonObject:
        sealed = sealed_in(text)
        if sealed is None:
            raise CannotSign("its secret cannot be opened: it is damaged")
        try:
            held = json.loads(self._vault.open(sealed, (org_id, *AUTH)))
        except (CannotOpen, ValueError) as reason:
            why = str(reason) if isinstance(reason, CannotOpen) else "it is damaged"
            raise CannotSign(f"its secret cannot be opened: {why}") from None
        return dict(held) if isinstance(held, dict) else {}


def assistant_server(assistant: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Its own, also by the older spelling (contract 4.1)."""
    server = assistant.get("server")
    if isinstance(server, Mapping) and server.get("url"):
        return server
    url = assistant.get("serverUrl")
    return {"url": url, "secret": assistant.get("serverUrlSecret")} if isinstance(url, str) and url else None


def server_of(document: Mapping[str, Any] | None, keys: Keys, level: str) -> Server | None:
    """A server as a document has it; None where there is none. keys: where its credential is."""
    url = None if document is None else document.get("url")
    if document is None or not isinstance(url, str) or not url:
        return None
    whole = whole_of(keys, document)
    name = whole.get("credentialId")
    credential = name if isinstance(name, str) and name else ""
    opened = {each: whole[each] for each in ("secret", "headers") if whole.get(each)}
    if credential:
        key = keys.get(credential)
        # One that is missing must not pass for none at all: what cannot be signed is not sent.
        plan = {"type": "missing"} if key is None else key.extra.get("authenticationPlan")
        opened["authenticationPlan"] = plan
    return Server(url, level, _seconds(whole.get("timeoutSeconds")), opened, _backoff(whole), credential)


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return TIMEOUT_S
    return min(max(float(value), 1.0), TIMEOUT_MAX_S)


def _backoff(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    plan = document.get("backoffPlan")
    return plan if isinstance(plan, Mapping) else None


def unbegun(
    document: Document,
    assistant: Mapping[str, Any],
    webhooks: Mapping[str, Any],
    call: Mapping[str, Any],
    now: int,
    ended: Mapping[str, Any],
) -> list[Delivery]:
    """What the customer's servers are told of a call that ended before it began."""
    begun = as_begun(document, assistant, webhooks, call)
    return deliveries_of_unbegun(
        document.id, document.org_id, begun, now, str(ended["endedReason"]), str(ended["endedMessage"])
    )


def as_begun(
    document: Document, assistant: Mapping[str, Any], webhooks: Mapping[str, Any], call: Mapping[str, Any]
) -> JsonObject:
    """What CallStarted would say of a call that has no record."""
    return {
        "epoch_ms": document.created_ms,
        "assistant": assistant,
        "webhooks": webhooks,
        "call": told_call(call, document.id, document.org_id, str(call.get("type", ""))),
    }

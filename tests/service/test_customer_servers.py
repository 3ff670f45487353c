"""Whose servers hear of a call: their order, their secrets under seal, and what becomes of a credential that is gone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.core.server_messages import SERVER_MESSAGES, read_servers
from aywa.ports.calls import ProviderKey
from aywa.ports.store import Organisation
from aywa.ports.webhooks import CannotSign
from aywa.service.credentials import Credentials
from aywa.service.customer_servers import CustomerServers, assistant_server, server_of
from aywa.service.org_settings import OrgSettings

OPERATOR = {"url": "https://operator.example/hook", "secret": "operator-planted"}
ACCOUNT = {"url": "https://account.example/hook", "secret": "account-planted"}
NUMBER = {"url": "https://number.example/hook", "secret": "number-planted", "timeoutSeconds": 9}
ASSISTANT = {"server": {"url": "https://assistant.example/hook", "secretsId": "secrets:0"}}
KEYS = {"secrets:0": ProviderKey("", extra={"secret": "assistant-planted", "headers": {"X": "h-planted"}})}
PLAN = {"type": "bearer", "token": "token-planted"}


@dataclass
class World:
    servers: CustomerServers
    orgs: OrgSettings
    credentials: Credentials

    async def credential(self) -> str:
        body = {"provider": "webhook", "authenticationPlan": PLAN}
        return str(json.loads(await self.credentials.create("org", body))["id"])

    async def sealed(self, **more: Any) -> Mapping[str, Any]:
        """What the record says of the whole chain."""
        chain = await self.servers.chain("org", ASSISTANT, KEYS, NUMBER | more)
        return self.servers.on_record("org", chain, None)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store, vault = await open_sqlite(tmp_path / "aywa.db"), AesGcmVault(bytes(32))
    for name in ("org", "other"):
        await store.organisations.insert(Organisation(name, name, 0))
    orgs = OrgSettings(store.organisations, store.org_settings, vault, OPERATOR)
    credentials = Credentials(store.credentials, vault)
    yield World(CustomerServers(orgs, credentials, vault), orgs, credentials)
    await store.close()


async def test_the_order_of_the_levels(world: World) -> None:
    chain = await world.servers.chain("org", ASSISTANT, KEYS, NUMBER)
    assert [(s.level, s.url.split(".")[0]) for s in chain.servers] == [
        ("assistant", "https://assistant"),
        ("phone-number", "https://number"),
        ("account", "https://operator"),
    ]
    assert [s.timeout_s for s in chain.servers] == [20.0, 9.0, 20.0]
    assert chain.servers[0].opened == {"secret": "assistant-planted", "headers": {"X": "h-planted"}}
    assert "planted" not in repr(chain)
    await world.orgs.change("org", "org", {"server": ACCOUNT, "webhookPolicy": "precedence"})
    chain = await world.servers.chain("org", {}, {})
    assert ([s.url for s in chain.servers], chain.policy) == ([ACCOUNT["url"]], "precedence")
    assert [s.url for s in (await world.servers.number_chain("other", None)).servers] == [OPERATOR["url"]]


async def test_a_server_that_stands_at_two_levels_is_told_once(world: World) -> None:
    chain = await world.servers.chain("org", {}, {}, {"url": OPERATOR["url"]})
    assert [s.level for s in chain.servers] == ["phone-number"]


async def test_the_record_holds_no_secret_and_opens_for_its_organisation_alone(world: World) -> None:
    record = await world.sealed()
    assert "planted" not in json.dumps(record)
    read = read_servers(record)
    assert (read.policy, read.wanted) == ("fallback", frozenset(SERVER_MESSAGES))
    opened = [await world.servers.opened("org", endpoint.auth) for endpoint in read.servers]
    assert [each["secret"] for each in opened] == ["assistant-planted", "number-planted", "operator-planted"]
    assert opened[0]["headers"] == {"X": "h-planted"}
    with pytest.raises(CannotSign):
        await world.servers.opened("other", read.servers[0].auth)


async def test_a_credential_is_looked_up_when_a_request_leaves(world: World) -> None:
    name = await world.credential()
    record = await world.sealed(credentialId=name)
    auth = read_servers(record).servers[1].auth
    opened = await world.servers.opened("org", auth)
    assert opened == {"secret": "number-planted", "authenticationPlan": PLAN}
    newer = PLAN | {"token": "newer-planted"}
    await world.credentials.change("org", name, {"authenticationPlan": newer})
    assert (await world.servers.opened("org", auth))["authenticationPlan"] == newer
    await world.credentials.delete("org", name)
    with pytest.raises(CannotSign, match="does not exist"):
        await world.servers.opened("org", auth)


async def test_a_credential_alone_needs_no_seal(world: World) -> None:
    name = await world.credential()
    chain = await world.servers.chain("org", {}, {}, {"url": "https://h/", "credentialId": name})
    assert chain.servers[0].opened == {"authenticationPlan": PLAN}
    auth = read_servers(world.servers.on_record("org", chain, ["hang"])).servers[0].auth
    assert auth == f"credential:{name}"
    assert await world.servers.opened("org", auth) == {"authenticationPlan": PLAN}
    with pytest.raises(CannotSign):
        await world.servers.opened("other", auth)


@pytest.mark.parametrize("auth", ["x", "sealed:", "sealed:k:!", "sealed:k:AAAA", "credential:none"])
async def test_what_cannot_be_opened_is_not_signed(world: World, auth: str) -> None:
    with pytest.raises(CannotSign) as caught:
        await world.servers.opened("org", auth)
    assert not caught.value.retryable


async def test_a_server_without_any_secret(world: World) -> None:
    chain = await world.servers.chain("org", {"server": {"url": "https://h/"}}, {})
    first = read_servers(world.servers.on_record("org", chain, None)).servers[0]
    assert (first.auth, await world.servers.opened("org", first.auth)) == ("", {})


async def test_what_is_wanted(world: World) -> None:
    chain = await world.servers.chain("org", {}, {})
    assert world.servers.on_record("org", chain, ["hang"])["messages"] == ["hang"]
    assert world.servers.on_record("org", chain, [])["messages"] == []
    nobody = CustomerServers(world.orgs, world.credentials, AesGcmVault(bytes(32)))
    assert nobody.on_record("org", type(chain)(), None) == {}


def test_a_credential_that_is_missing_does_not_pass_for_none() -> None:
    server = server_of({"url": "https://h/", "credentialId": "gone"}, {}, "tool")
    assert server is not None
    assert server.opened == {"authenticationPlan": {"type": "missing"}}


@pytest.mark.parametrize(
    ("document", "timeout_s"),
    [({"timeoutSeconds": 0}, 1.0), ({"timeoutSeconds": 999}, 300.0), ({"timeoutSeconds": True}, 20.0)],
)
def test_a_timeout_has_bounds(document: dict[str, Any], timeout_s: float) -> None:
    server = server_of({"url": "https://h/"} | document, {}, "tool")
    assert server is not None
    assert server.timeout_s == timeout_s


@pytest.mark.parametrize("document", [None, {}, {"url": ""}, {"url": 5}])
def test_no_server(document: Any) -> None:
    assert server_of(document, {}, "tool") is None


def test_an_assistant_s_server_by_its_older_name() -> None:
    old = {"serverUrl": "https://old/", "serverUrlSecret": "s"}
    assert assistant_server(old) == {"url": "https://old/", "secret": "s"}
    assert assistant_server({"server": {"url": "https://new/"}} | old) == {"url": "https://new/"}
    assert assistant_server({}) is None

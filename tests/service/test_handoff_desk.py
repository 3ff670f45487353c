"""Assistants and squads that a running call is handed to: found, checked, and with their secrets put aside."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.ports.calls import Member, whole_of
from aywa.ports.handoffs import HandoffRefused
from aywa.ports.journal import StoreUnavailable
from aywa.ports.server_questions import ACCOUNT, ASSISTANT, PHONE_NUMBER, Server, ServerChain
from aywa.ports.store import Organisation
from aywa.service.handoff_desk import Desk
from aywa.service.services import Services, join_services
from tests.service.test_inbound import Host

SERVER = {"url": "https://tools.example", "secret": "very-secret"}
TOOL = {"type": "function", "function": {"name": "look"}, "server": SERVER}


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    store = await open_sqlite(tmp_path / "store.db")
    for name in ("org", "other"):
        await store.organisations.insert(Organisation(name, name, 0))
    yield join_services(store, Host(), vault=AesGcmVault(bytes(32)))
    await store.close()


async def made(services: Services, kind: str, org: str = "org", **body: Any) -> str:
    service: Any = getattr(services, kind)
    return str(json.loads(await service.create(org, body))["id"])


def desk(services: Services) -> Desk:
    return Desk(services.brains, services.servers)


async def test_a_stored_assistant_with_the_destinations_overrides(services: Services) -> None:
    found = await made(
        services,
        "assistants",
        name="Booking",
        firstMessage="Hello.",
        model={"provider": "openai", "tools": [TOOL]},
    )
    overrides = {"firstMessage": "Good night.", "variableValues": {"who": "Ann"}}
    destination = {"type": "assistant", "assistantId": found, "assistantOverrides": overrides}
    handed = await desk(services).hand("org", destination)
    (member,) = handed.members
    assert (member.name, member.assistant_id) == ("Booking", found)
    assert member.assistant["firstMessage"] == "Good night."
    assert member.variables == {"who": "Ann"}
    assert "very-secret" not in json.dumps(member.assistant)
    (tool,) = member.assistant["model"]["tools"]
    assert whole_of(member.keys, tool["server"]) == SERVER


async def test_an_assistant_that_is_written_out(services: Services) -> None:
    handed = await desk(services).hand("org", {"type": "assistant", "assistant": {"name": "Now"}})
    assert handed.members[0].assistant == {"name": "Now"}


async def test_a_squad_by_its_id_and_as_it_is_written(services: Services) -> None:
    members = [
        {"assistant": {"name": "A"}, "assistantDestinations": [{"type": "assistant", "assistantName": "B"}]},
        {"assistant": {"name": "B"}},
    ]
    stored = await made(services, "squads", name="S", members=members)
    overrides = {"firstMessage": "From the squad."}
    by_id = await desk(services).hand(
        "org", {"type": "squad", "squadId": stored, "squadOverrides": overrides}
    )
    assert [each.name for each in by_id.members] == ["A", "B"]
    assert by_id.members[1].assistant["firstMessage"] == "From the squad."
    assert by_id.members[0].destinations[0]["assistantName"] == "B"
    written = await desk(services).hand("org", {"type": "squad", "squad": {"members": members}})
    assert [each.name for each in written.members] == ["A", "B"]


@pytest.mark.parametrize(
    ("destination", "why"),
    [
        ({"type": "assistant", "assistantId": "nobody"}, "nobody"),
        ({"type": "squad", "squadId": "nobody"}, "nobody"),
        ({"type": "assistant", "assistant": {"name": 3}}, "assistant.name must be"),
        ({"type": "assistant", "assistant": "x"}, "x"),
        ({"type": "assistant"}, "assistant"),
        ({"type": "assistant", "assistantId": 3}, "assistant"),
        ({"type": "assistant", "assistantId": "a", "assistantOverrides": 3}, "assistantOverrides must be"),
        ({"type": "squad", "squad": {"members": []}}, "squad.members"),
        ({"type": "squad", "squad": 3}, "squad"),
        ({"type": "squad", "squadId": "s", "squadOverrides": {"name": 3}}, "assistantOverrides.name"),
    ],
)
async def test_what_is_not_there_or_is_none_is_refused_with_the_reason(
    services: Services, destination: dict[str, Any], why: str
) -> None:
    with pytest.raises(HandoffRefused, match=why):
        await desk(services).hand("org", destination)


async def test_nobody_of_another_organisation_is_handed_to(services: Services) -> None:
    theirs = await made(services, "assistants", "other", name="Theirs")
    squad = await made(services, "squads", "other", members=[{"assistantId": theirs}])
    for destination in ({"type": "assistant", "assistantId": theirs}, {"type": "squad", "squadId": squad}):
        with pytest.raises(HandoffRefused):
            await desk(services).hand("org", destination)
    inline = {"type": "squad", "squad": {"members": [{"assistantId": theirs}]}}
    with pytest.raises(HandoffRefused):
        await desk(services).hand("org", inline)


async def test_overrides_of_one_whom_the_call_has_keep_secrets_apart(services: Services) -> None:
    found = await made(services, "assistants", name="Booking", model={"provider": "openai", "tools": [TOOL]})
    (member,) = (await desk(services).hand("org", {"type": "assistant", "assistantId": found})).members
    other = {**TOOL, "function": {"name": "other"}, "server": {**SERVER, "secret": "another-secret"}}
    changed = await desk(services).overridden("org", member, {"tools:append": [other], "firstMessage": "Hm."})
    first, second = changed.assistant["model"]["tools"]
    assert whole_of(changed.keys, first["server"])["secret"] == "very-secret"
    assert whole_of(changed.keys, second["server"])["secret"] == "another-secret"
    assert "secret" not in json.dumps(changed.assistant).replace("secretsId", "").replace("secrets:", "")
    assert changed.assistant["firstMessage"] == "Hm."


@pytest.mark.parametrize(
    "overrides", [{"name": 3}, {"model": {"provider": "openai", "toolIds": ["nothing"]}}]
)
async def test_overrides_that_cannot_be_are_refused(services: Services, overrides: dict[str, Any]) -> None:
    with pytest.raises(HandoffRefused):
        await desk(services).overridden("org", Member("x", {}), overrides)


async def test_a_store_that_does_not_answer_refuses_it_and_nothing_breaks() -> None:
    class Gone:
        async def member(self, *given: object) -> None:
            raise StoreUnavailable("gone")

        settle = member

    broken: Any = Gone()
    with pytest.raises(HandoffRefused, match="store"):
        await Desk(broken, broken).hand("org", {"type": "assistant", "assistantId": "a"})
    with pytest.raises(HandoffRefused, match="store"):
        await Desk(broken, broken).overridden("org", Member("x", {}), {})


async def test_whose_servers_hear_of_it_once_it_is_theirs(services: Services) -> None:
    first = Server("https://first.example", ASSISTANT)
    number, account = (
        Server("https://number.example", PHONE_NUMBER),
        Server("https://account.example", ACCOUNT),
    )
    before = ServerChain((first, number, account))
    silent = Member("Silent", {"name": "Silent"})
    chain, record = desk(services).heard_by("org", silent, before)
    assert chain == before
    assert [each["url"] for each in record["servers"]] == [each.url for each in before.servers]
    own = Member("Own", {"server": {"url": "https://own.example"}, "serverMessages": ["hang"]})
    chain, record = desk(services).heard_by("org", own, before)
    assert [each.url for each in chain.servers] == ["https://own.example", number.url, account.url]
    assert record["messages"] == ["hang"]
    assert desk(services).heard_by("org", silent, ServerChain())[1] == {}

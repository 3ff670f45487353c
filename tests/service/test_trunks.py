"""A credential as a trunk: what its fields mean, how long it is kept, and who is within its networks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.ports.store import Organisation, Store
from aywa.ports.telephony import Gateway, Registration
from aywa.service.credentials import Credentials
from aywa.service.phone_rules import trunk_problems
from aywa.service.trunks import KEPT_MS, Trunks, is_within, read_trunk

PASSWORD = "planted-password"
VAULT = AesGcmVault(bytes(32))


class Clock:
    ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
    await opened.organisations.insert(Organisation("org", "org", 1))
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    ("gateway", "expected"),
    [
        ({"ip": "203.0.113.7"}, Gateway("203.0.113.7", network="203.0.113.7/32")),
        (
            {"ip": "203.0.113.7", "netmask": 24, "port": 5080, "optionsPingEnabled": True},
            Gateway("203.0.113.7", 5080, network="203.0.113.0/24", ping=True),
        ),
        (
            {"ip": "sip.example.com", "inboundEnabled": False, "outboundProtocol": "tls/srtp"},
            Gateway("sip.example.com", transport="tls", srtp=True),
        ),
        (
            {
                "ip": "203.0.113.7",
                "inboundEnabled": False,
                "outboundProtocol": "tcp",
                "outboundEnabled": None,
            },
            Gateway("203.0.113.7", transport="tcp"),
        ),
        (
            {"ip": "[2001:db8::1]", "netmask": 24, "outboundEnabled": False},
            Gateway("2001:db8::1", network="2001:db8::1/128", outbound=False),
        ),
        # What an earlier release stored without looking.
        ({"ip": "sip.example.com", "port": "5060"}, Gateway("sip.example.com")),
        ({}, Gateway("")),
    ],
)
def test_a_gateway_s_fields(gateway: dict[str, Any], expected: Gateway) -> None:
    trunk = read_trunk({"gateways": [gateway]})
    assert trunk.gateways == (expected,)
    assert trunk.networks == ((expected.network,) if expected.network else ())


def test_a_trunk_s_fields() -> None:
    plan = {"authUsername": "me", "authPassword": PASSWORD, "sipRegisterPlan": {"domain": "carrier.example"}}
    trunk = read_trunk(
        {
            "id": "c",
            "orgId": "org",
            "gateways": [],
            "outboundAuthenticationPlan": plan,
            "outboundLeadingPlusEnabled": True,
            "techPrefix": "77#",
            "sipDiversionHeader": "+4930",
            "freeswitch": {"gateway": "carrier"},
        }
    )
    assert trunk.freeswitch == "carrier"
    assert (trunk.id, trunk.org_id, trunk.username, trunk.password) == ("c", "org", "me", PASSWORD)
    assert trunk.registration == Registration("carrier.example", "me")
    assert (trunk.leading_plus, trunk.tech_prefix, trunk.diversion) == (True, "77#", "+4930")
    assert PASSWORD not in repr(trunk)
    plan["sipRegisterPlan"] = {"domain": "d", "username": "u", "realm": "r"}
    assert read_trunk({"outboundAuthenticationPlan": plan}).registration == Registration("d", "u", "r")


@pytest.mark.parametrize(
    ("freeswitch", "problem"),
    [
        ({"gateway": "carrier-1"}, ""),
        ({}, "freeswitch.gateway is required"),
        ({"gateway": "a/b"}, "freeswitch.gateway must consist of letters, digits or . _ -"),
        ({"gateway": "x y"}, "freeswitch.gateway must consist of letters, digits or . _ -"),
        ("carrier", "freeswitch must be an object"),
    ],
)
def test_a_gateway_of_freeswitch_is_one_word(freeswitch: Any, problem: str) -> None:
    problems = trunk_problems({"gateways": [{"ip": "203.0.113.7"}], "freeswitch": freeswitch})
    assert "; ".join(problems).startswith(problem)
    assert bool(problems) == bool(problem)


_ANYTHING = st.none() | st.integers() | st.text() | st.floats() | st.booleans()
_GATEWAYS = st.lists(_ANYTHING | st.dictionaries(st.sampled_from(["ip", "port", "netmask"]), _ANYTHING))
_BODIES = st.fixed_dictionaries({"gateways": _ANYTHING | _GATEWAYS, "techPrefix": _ANYTHING})


@given(_BODIES, st.integers() | st.floats())
def test_whatever_was_stored_makes_a_trunk(body: dict[str, Any], number: float) -> None:
    assert read_trunk(body).id == ""
    numbers = {"ip": "203.0.113.7", "netmask": number, "port": number}
    (gateway,) = read_trunk({"gateways": [numbers]}).gateways
    assert (1 <= gateway.port <= 65_535, is_within("203.0.113.7", [gateway.network])) == (True, True)
    assert not is_within("203.0.112.7", [gateway.network])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("203.0.113.9", True),
        ("::ffff:203.0.113.9", True),
        ("203.0.114.9", False),
        ("[2001:db8::1]", True),
        ("2001:db8::2", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("carrier.example", False),
    ],
)
def test_who_is_within(source: str, expected: bool) -> None:
    assert is_within(source, ["203.0.113.0/24", "2001:db8::1/128"]) is expected


async def test_what_another_process_wrote_is_seen_in_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    trunks = Trunks(store.credentials, VAULT, clock)
    assert await trunks.all() == []
    other = Credentials(store.credentials, VAULT)
    await other.create("org", {"provider": "byo-sip-trunk", "gateways": [{"ip": "203.0.113.7"}]})
    assert await trunks.at("203.0.113.7") == []
    clock.ms += KEPT_MS
    (found,) = await trunks.at("203.0.113.7")
    assert await trunks.get("org", found.id) == found
    assert await trunks.get("other", found.id) is None
    clock.ms -= 2 * KEPT_MS  # a clock that was set back keeps nothing for ever
    assert await trunks.all() == [found]


async def test_what_is_written_while_it_is_read_is_not_missed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunks = Trunks(store.credentials, VAULT, Clock())
    read = store.credentials.of_provider

    async def interrupted(provider: str) -> Any:
        found = await read(provider)
        trunks.changed()
        return found

    monkeypatch.setattr(store.credentials, "of_provider", interrupted)
    assert await trunks.all() == []
    monkeypatch.setattr(store.credentials, "of_provider", read)
    other = Credentials(store.credentials, VAULT)
    await other.create("org", {"provider": "byo-sip-trunk", "gateways": [{"ip": "203.0.113.7"}]})
    assert len(await trunks.all()) == 1


async def test_one_that_cannot_be_opened_does_not_hide_the_others(store: Store) -> None:
    other_key = AesGcmVault(bytes([1] * 32))
    plan = {"authUsername": "me", "authPassword": PASSWORD}
    body = {"provider": "byo-sip-trunk", "gateways": [{"ip": "203.0.113.7"}]}
    await Credentials(store.credentials, other_key).create("org", body | {"outboundAuthenticationPlan": plan})
    await Credentials(store.credentials, VAULT).create("org", body | {"name": "whole"})
    assert [trunk.name for trunk in await Trunks(store.credentials, VAULT, Clock()).all()] == ["whole"]

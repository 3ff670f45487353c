"""GET /trunks: how the organisation's own trunks fare, without secrets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from aywa.ports.telephony import TrunkState
from aywa.service.trunk_status import TrunkStatus
from aywa.service.trunks import Trunks
from tests.api.conftest import TRUNK, Runtime

REGISTERED = {"sipRegisterPlan": {"domain": "sip.example.com", "username": "me"}}


@dataclass
class States:
    """What the SIP port would say."""

    known: dict[str, TrunkState] = field(default_factory=dict)

    def trunk_state(self, trunk_id: str) -> TrunkState:
        return self.known.get(trunk_id, TrunkState())


@pytest.fixture
def states(runtime: Runtime) -> States:
    made = States()
    router = runtime.services.router
    trunks = getattr(router, "_trunks")  # noqa: B009 - the ones that the runtime has
    assert isinstance(trunks, Trunks)
    runtime.app.state.services = replace(runtime.services, trunks=TrunkStatus(trunks, made))
    return made


async def test_a_trunk_is_told_as_the_sip_port_sees_it(runtime: Runtime, states: States) -> None:
    plan = TRUNK["outboundAuthenticationPlan"] | REGISTERED
    trunk = await runtime.credential(**TRUNK | {"outboundAuthenticationPlan": plan, "name": "Carrier"})
    states.known[trunk] = TrunkState(None, True, "", 1_767_225_600_000)
    answer = await runtime.client.get("/trunks")
    assert answer.json() == [
        {
            "id": trunk,
            "name": "Carrier",
            "state": "up",
            "registered": True,
            "answers": None,
            "reason": "",
            "since": "2026-01-01T00:00:00.000Z",
            "gateways": [
                {"ip": "203.0.113.7", "port": 5060, "protocol": "udp", "inbound": True, "outbound": True}
            ],
        }
    ]
    assert "trunk-password" not in answer.text


@pytest.mark.parametrize(
    ("registers", "pings", "known", "state"),
    [
        (False, False, TrunkState(), "unknown"),
        (True, False, TrunkState(), "unknown"),
        (True, False, TrunkState(None, False, "403 Forbidden"), "down"),
        (False, True, TrunkState(True), "up"),
        (False, True, TrunkState(False, None, "timeout"), "down"),
        (True, True, TrunkState(True, None), "unknown"),
        (True, True, TrunkState(False, True), "down"),
        (True, True, TrunkState(True, True), "up"),
    ],
)
async def test_what_is_asked_for_decides(
    registers: bool, pings: bool, known: TrunkState, state: str, runtime: Runtime, states: States
) -> None:
    plan = TRUNK["outboundAuthenticationPlan"] | (REGISTERED if registers else {})
    gateways = [{"ip": "203.0.113.7", "optionsPingEnabled": pings}]
    body = TRUNK | {"outboundAuthenticationPlan": plan, "gateways": gateways}
    states.known[await runtime.credential(**body)] = known
    (row,) = (await runtime.client.get("/trunks")).json()
    assert row["state"] == state
    assert row["reason"] == known.why


async def test_trunks_belong_to_their_organisation_and_a_page_s_key_sees_none(runtime: Runtime) -> None:
    await runtime.credential(**TRUNK)
    # Without a SIP port nothing is known, and nothing is wrong.
    assert [row["state"] for row in (await runtime.client.get("/trunks")).json()] == ["off"]
    assert (await runtime.as_key(runtime.keys["foreign"]).get("/trunks")).json() == []
    assert (await runtime.as_key(runtime.keys["public"]).get("/trunks")).status_code == 403
    assert (await runtime.as_key(None).get("/trunks")).status_code == 401

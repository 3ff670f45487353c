"""Transfers that an assistant asks for: whom it may be, by which verb, and what is told of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.core.toll import TollRules
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Organisation
from aywa.ports.telephony import RING_S, OutboundCall, Transfer, TransferNews, TransferStatus, TransferVerb
from aywa.service.services import PhoneParts, Services, join_services
from aywa.service.transfers import Line, line_of

SALES = {"type": "number", "number": "+4930111"}


@dataclass
class Phone:
    """Takes transfers and tells what the test wants told. refuse: raised instead, first come first served."""

    taken: list[Transfer] = field(default_factory=list)
    tells: list[Callable[[TransferNews], None]] = field(default_factory=list)
    refuse: list[CallRefused | None] = field(default_factory=list)

    def transfer(self, transfer: Transfer, tell: Callable[[TransferNews], None]) -> None:
        refusal = self.refuse.pop(0) if self.refuse else None
        if refusal is not None:
            raise refusal
        self.taken.append(transfer)
        self.tells.append(tell)

    def dial(self, call: OutboundCall) -> None:
        raise AssertionError("nothing is dialled here")


class Host:
    def full(self) -> bool:
        return False

    def prepare(self, plan: CallPlan) -> str:
        return "ws://host/x"

    def end(self, call_id: str, reason: str) -> bool:
        return False

    def active(self) -> Mapping[str, str]:
        return {}


@dataclass
class Desk:
    services: Services
    phone: Phone
    line: Line
    told: list[tuple[str, int, str]] = field(default_factory=list)

    async def begin(self, **destination: Any) -> None:
        def tell(status: str, sip_status: int = 0, reason: str = "", /) -> None:
            self.told.append((status, sip_status, reason))

        await self.services.transfers.of(self.line).begin(SALES | destination, tell)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = await open_sqlite(tmp_path / "aywa.db")
    await store.organisations.insert(Organisation("org", "org", 1))
    phone = Phone()
    phones = PhoneParts(phone, tolls=TollRules(("+49", "sip:pbx.example.com")), transfers=phone)
    services = join_services(store, Host(), vault=AesGcmVault(bytes(32)), phones=phones)
    trunk = {
        "provider": "byo-sip-trunk",
        "gateways": [{"ip": "203.0.113.7"}],
        "outboundLeadingPlusEnabled": True,
    }
    credential = json.loads(await services.credentials.create("org", trunk))["id"]
    number = await services.phone_numbers.create(
        "org", {"provider": "byo-phone-number", "number": "+4930999", "credentialId": credential}
    )
    yield Desk(services, phone, Line("org", "call-1", json.loads(number)["id"], "+4915111"))
    await store.close()


async def test_a_number_is_asked_for_by_refer_through_the_calls_own_trunk(desk: Desk) -> None:
    await desk.begin()
    (transfer,) = desk.phone.taken
    assert (transfer.verb, transfer.call.call_id, transfer.call.user) == (
        TransferVerb.REFER,
        "call-1",
        "+4930111",
    )
    assert transfer.call.trunk is not None
    assert transfer.call.ring_s == RING_S
    desk.phone.tells[0](TransferNews(TransferStatus.COMPLETED, 200, "OK"))
    assert desk.told == [("completed", 200, "OK")]


@pytest.mark.parametrize(
    ("plan", "verb", "ring_s"),
    [
        ({"sipVerb": "dial", "timeout": 20}, TransferVerb.DIAL, 20.0),
        ({"sipVerb": "refer", "dialTimeout": 5_000, "timeout": 20}, TransferVerb.REFER, 600.0),
        ({"sipVerb": "bye", "timeout": True}, TransferVerb.REFER, RING_S),
        ("junk", TransferVerb.REFER, RING_S),
    ],
)
async def test_the_plan_says_how(desk: Desk, plan: Any, verb: TransferVerb, ring_s: float) -> None:
    await desk.begin(transferPlan=plan)
    (transfer,) = desk.phone.taken
    assert (transfer.verb, transfer.call.ring_s) == (verb, ring_s)


REFUSED = TransferNews(TransferStatus.FAILED, 405, "Method Not Allowed", refused=True)


async def test_whose_side_knows_no_refer_is_called_for(desk: Desk) -> None:
    await desk.begin()
    desk.phone.tells[0](REFUSED)
    assert [transfer.verb for transfer in desk.phone.taken] == [TransferVerb.REFER, TransferVerb.DIAL]
    assert desk.told == []
    desk.phone.tells[1](TransferNews(TransferStatus.CONNECTED, 200))
    assert desk.told == [("connected", 200, "")]


async def test_but_not_where_it_must_be_by_refer(desk: Desk) -> None:
    await desk.begin(transferPlan={"sipVerb": "refer"})
    desk.phone.tells[0](REFUSED)
    assert desk.told == [("failed", 405, "Method Not Allowed")]


async def test_nor_where_somebody_was_called_and_did_not_answer(desk: Desk) -> None:
    await desk.begin()
    desk.phone.tells[0](TransferNews(TransferStatus.BUSY, 486, "Busy Here"))
    assert desk.told == [("busy", 486, "Busy Here")]


async def test_a_second_way_that_is_refused_is_told(desk: Desk) -> None:
    await desk.begin()
    desk.phone.refuse = [CallRefused("x", "no port")]
    desk.phone.tells[0](REFUSED)
    assert desk.told == [("failed", 405, "no port")]


@pytest.mark.parametrize(
    ("destination", "why"),
    [
        ({"number": "+1900555"}, "RUNTIME_OUTBOUND_ALLOW"),
        ({"number": "12"}, "destination.number"),
        ({"type": "assistant"}, "destination.type"),
        ({"type": "sip", "number": None, "sipUri": "sip:a@elsewhere.example"}, "RUNTIME_OUTBOUND_ALLOW"),
    ],
)
async def test_whom_nobody_may_call_nobody_is_transferred_to(
    desk: Desk, destination: dict[str, Any], why: str
) -> None:
    await desk.begin(**destination)
    ((status, sip_status, reason),) = desk.told
    assert (status, sip_status) == ("failed", 0)
    assert why in reason
    assert not desk.phone.taken


async def test_a_destination_without_a_type_has_the_one_that_fits(desk: Desk) -> None:
    await desk.begin(type=None)
    await desk.begin(type=None, number=None, sipUri="sip:desk@pbx.example.com")
    assert [transfer.call.uri for transfer in desk.phone.taken] == ["", "sip:desk@pbx.example.com"]


async def test_a_call_that_cannot_be_transferred_goes_on(desk: Desk) -> None:
    desk.phone.refuse = [CallRefused("x", "it is being transferred")]
    await desk.begin()
    desk.line = Line("other", "call-1", desk.line.number_id)
    await desk.begin()
    assert [status for status, _, _ in desk.told] == ["failed", "failed"]
    assert desk.told[0][2] == "it is being transferred"


async def test_without_a_telephone_nobody_is_transferred(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.services.transfers, "_transfers", None)
    await desk.begin()
    assert desk.told == [("failed", 0, "this runtime has no telephone")]


async def test_a_store_that_is_away_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(org_id: str, number_id: str) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(desk.services.phone_numbers, "use", away)
    await desk.begin()
    assert desk.told == [("failed", 0, "the store does not answer")]


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ({"phoneNumberId": "n", "customer": {"number": "+49"}}, Line("org", "c", "n", "+49")),
        ({"phoneNumberId": "n", "customer": {"sipUri": "sip:x"}}, Line("org", "c", "n")),
        ({"phoneNumberId": "n"}, Line("org", "c", "n")),
        ({"phoneNumberId": ""}, None),
        ({}, None),
    ],
)
def test_which_line_a_call_is_on(call: dict[str, Any], line: Line | None) -> None:
    assert line_of("org", "c", call) == line

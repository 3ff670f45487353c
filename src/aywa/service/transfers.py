"""Transfers that an assistant asks for: whom it may be, through which trunk, by which verb. Refuses to know SIP.

A destination is judged like a call that is placed: it costs the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aywa.ports.calls import CallRefused
from aywa.ports.journal import StoreUnavailable
from aywa.ports.telephony import (
    RING_S,
    OutboundCall,
    TellTransfer,
    Transfer,
    TransferNews,
    Transfers,
    TransferStatus,
    TransferVerb,
)
from aywa.service.errors import NotFound, Rejected
from aywa.service.outbound import Outbound
from aywa.service.phone_numbers import PhoneNumbers
from aywa.service.phone_rules import DESTINATION
from aywa.service.rules import check

# Contract 11.2.
RING_LEAST_S, RING_MOST_S = 1.0, 600.0


@dataclass(frozen=True, slots=True)
class Line:
    """The call whose caller is to be passed on. number_id: of the phone number that it came by, or was placed from. caller:
    the far side's number, for destinations that show it."""

    org_id: str
    call_id: str
    number_id: str
    caller: str = ""


class TransferDesk:
    """The use-case. transfers: None where this runtime has no telephone."""

    def __init__(self, numbers: PhoneNumbers, outbound: Outbound, transfers: Transfers | None = None) -> None:
        self._numbers = numbers
        self._outbound = outbound
        self._transfers = transfers

    def of(self, line: Line) -> CallTransfer:
        """ports.telephony.CallTransfers of one call."""
        return CallTransfer(self, line)

    async def begin(self, line: Line, destination: Mapping[str, Any], tell: TellTransfer) -> None:
        """As CallTransfers says."""
        try:
            call = await self._call(line, destination)
            self._transfer(call, destination, tell)
        except (NotFound, Rejected, CallRefused) as refusal:
            tell(TransferStatus.FAILED.value, 0, str(refusal))
        except StoreUnavailable:
            tell(TransferStatus.FAILED.value, 0, "the store does not answer")

    async def _call(self, line: Line, destination: Mapping[str, Any]) -> OutboundCall:
        wanted = {name: value for name, value in destination.items() if value is not None}
        wanted.setdefault("type", "sip" if "sipUri" in wanted else "number")
        problems = check(DESTINATION, wanted, "destination")
        if problems:
            raise Rejected(problems)
        number = await self._numbers.use(line.org_id, line.number_id)
        call = await self._outbound.forwarded(number, wanted, line.caller)
        return replace(call, call_id=line.call_id, ring_s=_ring_s(_plan(destination)))

    def _transfer(self, call: OutboundCall, destination: Mapping[str, Any], tell: TellTransfer) -> None:
        """Raises CallRefused."""
        if self._transfers is None:
            raise CallRefused("call.in-progress.error-transfer-failed", "this runtime has no telephone")
        transfers = self._transfers
        asked = _plan(destination).get("sipVerb")
        dialled = Transfer(call, TransferVerb.DIAL)

        def tell_all(news: TransferNews) -> None:
            tell(news.status.value, news.sip_status, news.reason)

        def tell_of_refer(news: TransferNews) -> None:
            if not news.refused or asked == "refer":
                tell_all(news)
                return
            # Nobody said that it must be by REFER: we call ourselves.
            try:
                transfers.transfer(dialled, tell_all)
            except CallRefused as refusal:
                tell(TransferStatus.FAILED.value, news.sip_status, str(refusal))

        if asked == "dial":
            transfers.transfer(dialled, tell_all)
        else:
            transfers.transfer(replace(dialled, verb=TransferVerb.REFER), tell_of_refer)


@dataclass(frozen=True, slots=True)
class CallTransfer:
    """ports.telephony.CallTransfers."""

    desk: TransferDesk
    line: Line

    async def begin(self, destination: Mapping[str, Any], tell: TellTransfer) -> None:
        """As the port says."""
        await self.desk.begin(self.line, destination, tell)


def line_of(org_id: str, call_id: str, call: Mapping[str, Any]) -> Line | None:
    """Of a call's document; None: it came by no phone number of ours."""
    number_id, customer = call.get("phoneNumberId"), call.get("customer")
    if not isinstance(number_id, str) or not number_id:
        # One that came with the call is found by the call.
        number_id = call_id if isinstance(call.get("phoneNumber"), Mapping) else ""
    if not number_id:
        return None
    caller = customer.get("number") if isinstance(customer, Mapping) else None
    return Line(org_id, call_id, number_id, caller if isinstance(caller, str) else "")


def _plan(destination: Mapping[str, Any]) -> Mapping[str, Any]:
    plan = destination.get("transferPlan")
    return plan if isinstance(plan, Mapping) else {}


def _ring_s(plan: Mapping[str, Any]) -> float:
    for name in ("dialTimeout", "timeout"):
        value = plan.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return min(max(float(value), RING_LEAST_S), RING_MOST_S)
    return RING_S

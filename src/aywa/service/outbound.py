"""Calls to a telephone: through which trunk, as whom, and whether they may be placed at all. Refuses to know SIP.

What is asked for is checked before anything is on record: a call that begins may not be refused any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aywa.core.numbers import dialled, is_listed, sip_address
from aywa.core.toll import TollGuard, TollVerdict
from aywa.ports.calls import CallRefused
from aywa.ports.carriers import CarrierAccount
from aywa.ports.telephony import OutboundCall, Telephone, Trunk
from aywa.service.call_request import PhoneTarget
from aywa.service.carrier_accounts import CarrierAccounts, carrier_of
from aywa.service.carrier_lines import CarrierLines
from aywa.service.clock import Clock, now_ms
from aywa.service.errors import NotFound, Rejected
from aywa.service.phone_numbers import NumberInUse, PhoneNumbers
from aywa.service.rules import shown
from aywa.service.trunks import Trunks

NOT_HERE = "call.start.error-get-transport"
NO_NUMBER = "call.start.error-get-phone-number"
TOLL = "call.start.error-fraud-check-failed"


@dataclass(frozen=True, slots=True)
class Dialling:
    """A call that can be placed. call: all of it but the call's id."""

    number: NumberInUse
    call: OutboundCall
    destination: str


class Outbound:
    """The use-cases. telephone: None where this runtime has no SIP port. accounts, lines: of carriers, where there are any."""

    def __init__(
        self,
        numbers: PhoneNumbers,
        trunks: Trunks,
        guard: TollGuard,
        telephone: Telephone | None = None,
        clock: Clock = now_ms,
        accounts: CarrierAccounts | None = None,
        lines: CarrierLines | None = None,
    ) -> None:
        self._accounts = accounts
        self._lines = lines
        self._numbers = numbers
        self._trunks = trunks
        self._guard = guard
        self._telephone = telephone
        self._clock = clock

    async def read(self, org_id: str, target: PhoneTarget, call_id: str = "") -> Dialling:
        """call_id: whose phone number it is, where one came with the call. Raises Rejected, StoreUnavailable."""
        if self._telephone is None and self._lines is None:
            raise Rejected(["phoneNumberId cannot be called from: this runtime has no SIP port"])
        number = await self._number(org_id, target, call_id)
        if number.body.get("status") == "blocked":
            raise Rejected(["phoneNumberId must be of a phone number that is not blocked"])
        if carrier_of(number.body):
            account = await self._account(number)
            if self._lines is None or not self._lines.places(account):
                raise Rejected(
                    [f"phoneNumberId cannot be called from: {account.vendor} is not asked to place calls"]
                )
            return Dialling(number, _placed_by(account, number, target), target.destination)
        if self._telephone is None:
            raise Rejected(["phoneNumberId cannot be called from: this runtime has no SIP port"])
        trunk = await self._trunk(number)
        if trunk is None and target.number:
            value = shown("customer.number", target.number)
            raise Rejected(
                [f"customer.number can only be called from a number with a SIP trunk, got {value}"]
            )
        return Dialling(number, _placed(org_id, number, trunk, target), target.destination)

    async def _number(self, org_id: str, target: PhoneTarget, call_id: str) -> NumberInUse:
        if target.transient is not None:
            return await self._numbers.lend(org_id, call_id, target.transient)
        try:
            return await self._numbers.use(org_id, target.phone_number_id)
        except NotFound:
            value = shown("phoneNumberId", target.phone_number_id)
            raise Rejected(
                [f"phoneNumberId must be the id of an existing phone number, got {value}"]
            ) from None

    async def number(self, org_id: str, number_id: str) -> NumberInUse:
        """From which a call goes, or by which it came. Raises NotFound, StoreUnavailable."""
        return await self._numbers.use(org_id, number_id)

    def judge(self, org_id: str, destination: str, place: str = "customer") -> None:
        """Counts the call. Raises Rejected when nobody may call there, CallRefused when not so soon."""
        now_s = self._clock() / 1000
        name = f"{place}.sipUri" if sip_address(destination) is not None else f"{place}.number"
        match self._guard.judge(org_id, destination, now_s):
            case TollVerdict.NOT_LISTED:
                value = shown(name, destination)
                raise Rejected(
                    [f"{name} must be one that this runtime may call (RUNTIME_OUTBOUND_ALLOW), got {value}"]
                )
            case TollVerdict.NO_RULE:
                rules = "RUNTIME_OUTBOUND_ALLOW or RUNTIME_OUTBOUND_CALLS_PER_HOUR"
                raise Rejected([f"{name} cannot be called: this runtime may call nobody without {rules}"])
            case TollVerdict.TOO_MANY:
                wait_s = self._guard.wait_s(org_id, now_s)
                raise CallRefused(
                    TOLL,
                    f"{self._guard.rules.calls_per_hour} calls were placed within an hour, the limit"
                    f" (RUNTIME_OUTBOUND_CALLS_PER_HOUR); the next may be placed in {wait_s:.0f} s",
                    429,
                )
            case TollVerdict.GRANTED:
                pass

    def take_back(self, org_id: str) -> None:
        """The call that was judged last is not placed."""
        self._guard.take_back(org_id)

    def dial(self, dialling: Dialling, call_id: str, base_url: str = "") -> None:
        """Begins. base_url: where this API was reached by who asked. Raises CallRefused."""
        call = replace(dialling.call, call_id=call_id, base_url=base_url)
        if call.carrier is not None and self._lines is not None:
            self._lines.dial(call)
        elif self._telephone is None:
            raise CallRefused(NOT_HERE, "this runtime has no SIP port")
        else:
            self._telephone.dial(call)

    async def forwarded(
        self, number: NumberInUse, destination: Mapping[str, Any], caller: str
    ) -> OutboundCall:
        """A destination of the contract (11.1) in the place of the phone number. Raises Rejected, CallRefused."""
        to_number = destination.get("type") == "number"
        caller_id = str(destination.get("callerId") or caller)
        for name, value in (("customer", caller), ("phoneNumber", str(number.body.get("number") or ""))):
            caller_id = caller_id.replace("{{" + name + ".number}}", value)
        target = PhoneTarget(
            number.id,
            str(destination.get("number") or "") if to_number else "",
            "" if to_number else str(destination.get("sipUri") or ""),
            str(destination.get("extension") or ""),
            caller_id.strip(),
            headers=tuple((destination.get("sipHeaders") or {}).items()),
        )
        if carrier_of(number.body):
            account = await self._account(number)
            self.judge(number.org_id, target.destination, "destination")
            return _placed_by(account, number, target)
        trunk = await self._trunk(number)
        if trunk is None and to_number:
            raise Rejected(["destination.number can only be called from a number with a SIP trunk"])
        self.judge(number.org_id, target.destination, "destination")
        return _placed(number.org_id, number, trunk, target)

    async def referred(self, number: NumberInUse, target: str) -> OutboundCall:
        """A SIP or tel URI that a call's far side names. It costs its owner, not the caller: so it must be on the list, and an
        hourly limit alone does not do. Raises Rejected, CallRefused."""
        if not self._guard.rules.listed:
            raise Rejected(["target of a REFER must be on RUNTIME_OUTBOUND_ALLOW, which is empty"])
        to_number = target.lower().startswith("tel:")
        place = (
            {"type": "number", "number": target[4:].partition(";")[0]}
            if to_number
            else {"type": "sip", "sipUri": target}
        )
        return await self.forwarded(number, place, str(number.body.get("number") or ""))

    def redirected(self, call: OutboundCall, target: str) -> OutboundCall:
        """A SIP or tel URI that somebody names whom we called. As with a REFER it costs its owner: so it must be on the list,
        unless it is the same number at another gateway of the trunk. Raises Rejected."""
        trunk = call.trunk
        to_number = target.lower().startswith("tel:")
        if to_number:
            if trunk is None:
                raise Rejected(["target of a redirect must be a SIP URI, for the call has no trunk"])
            # The marks that RFC 3966 5.1.1 has for people.
            number = target[4:].partition(";")[0].translate(str.maketrans("", "", "-.()"))
            self._must_be_listed(number)
            user = dialled(number, leading_plus=trunk.leading_plus, tech_prefix=trunk.tech_prefix)
            return replace(call, user=user, uri="")
        address = sip_address(target)
        if address is None:
            raise Rejected(["target of a redirect must be a SIP or tel URI"])
        if trunk is None or not _is_at(target, trunk):
            self._must_be_listed(target)
            return replace(call, trunk=None, user="", uri=target)
        if not call.user or address.user != call.user:
            self._must_be_listed(address.user.removeprefix(trunk.tech_prefix))
        return replace(call, user="", uri=target)

    def _must_be_listed(self, destination: str) -> None:
        listed = self._guard.rules.listed
        if not listed or not is_listed(destination, listed):
            value = shown("target", destination)
            raise Rejected([f"target of a redirect must be on RUNTIME_OUTBOUND_ALLOW, got {value}"])

    async def _account(self, number: NumberInUse) -> CarrierAccount:
        account = None if self._accounts is None else await self._accounts.of(number)
        if account is None:
            value = shown("", number.body.get("credentialId"))
            raise Rejected([f"phoneNumberId has a credential that is gone or cannot be opened, got {value}"])
        return account

    async def _trunk(self, number: NumberInUse) -> Trunk | None:
        credential_id = number.body.get("credentialId")
        if credential_id is None:
            return None
        trunk = await self._trunks.get(number.org_id, credential_id)
        if trunk is None:
            value = shown("", credential_id)
            raise Rejected([f"phoneNumberId has a credential that is gone or cannot be opened, got {value}"])
        if not any(gateway.outbound for gateway in trunk.gateways):
            raise Rejected(
                ["phoneNumberId has a trunk without a gateway for outbound calls (outboundEnabled)"]
            )
        return trunk


def _placed(org_id: str, number: NumberInUse, trunk: Trunk | None, target: PhoneTarget) -> OutboundCall:
    user = ""
    if target.number and trunk is not None:
        user = dialled(target.number, leading_plus=trunk.leading_plus, tech_prefix=trunk.tech_prefix)
    elif trunk is not None and not _is_at(target.uri, trunk):
        # Its password is for nobody else.
        trunk = None
    own = number.body.get("number") or number.body.get("sipUri") or ""
    return OutboundCall(
        call_id="",
        org_id=org_id,
        trunk=trunk,
        user=user,
        uri=target.uri,
        caller_id=target.caller_id or str(own),
        caller_name=str(number.body.get("name") or ""),
        diversion="" if trunk is None else trunk.diversion,
        digits=target.digits,
        ring_s=target.ring_s,
        headers=target.headers,
    )


def _placed_by(account: CarrierAccount, number: NumberInUse, target: PhoneTarget) -> OutboundCall:
    return OutboundCall(
        call_id="",
        org_id=number.org_id,
        user=target.number,
        uri=target.uri,
        caller_id=target.caller_id or account.number,
        digits=target.digits,
        ring_s=target.ring_s,
        carrier=account,
        number_id=number.id,
    )


def _is_at(uri: str, trunk: Trunk) -> bool:
    address = sip_address(uri)
    hosts = {gateway.host.lower() for gateway in trunk.gateways}
    return address is not None and all(each.strip("[]") in hosts for each in address.hosts)

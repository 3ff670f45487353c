"""Calls that telephony equipment brings over a media socket: whose the address is, and the call that comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from aywa.ports.calls import CallPlan
from aywa.ports.carriers import CarrierAccount
from aywa.ports.journal import StoreUnavailable
from aywa.ports.telephony import Answer
from aywa.service.assistants import Assistants
from aywa.service.carrier_accounts import CarrierAccounts
from aywa.service.carrier_lines import CarrierLines
from aywa.service.errors import Unauthenticated
from aywa.service.inbound import Brought, Inbound
from aywa.service.keys import PREFIX, Keys
from aywa.service.phone_numbers import NumberInUse, PhoneNumbers
from aywa.service.scopes import grants


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an address is: an assistant's, or a phone number's."""

    org_id: str
    assistant_id: str = ""
    number: NumberInUse | None = None


class EquipmentCalls:
    """The use-cases. All raise StoreUnavailable, but for `take`, which never raises."""

    def __init__(
        self,
        assistants: Assistants,
        numbers: PhoneNumbers,
        accounts: CarrierAccounts,
        keys: Keys,
        inbound: Inbound,
        lines: CarrierLines | None = None,
    ) -> None:
        self._lines = lines
        self._assistants = assistants
        self._numbers = numbers
        self._accounts = accounts
        self._keys = keys
        self._inbound = inbound

    async def owner(self, name: str) -> Owner | None:
        """Of the assistant or the phone number with this id."""
        number = await self._numbers.of_id(name)
        if number is not None:
            return Owner(number.org_id, number=number)
        org_id = await self._assistants.owner(name)
        return None if org_id is None else Owner(org_id, name)

    async def opens(self, owner: Owner, token: str) -> bool:
        """Whether the token is one of the owner's private API keys."""
        if not token.startswith(PREFIX):
            return False
        try:
            key = await self._keys.authenticate(token)
        except Unauthenticated:
            return False
        return key.org_id == owner.org_id and key.kind == "private" and grants(key.scopes, "calls:write")

    async def account(self, owner: Owner) -> CarrierAccount | None:
        """Of the carrier behind the owner's phone number, whose signatures it makes."""
        return None if owner.number is None else await self._accounts.of(owner.number)

    async def take(self, owner: Owner, brought: Brought) -> Answer:
        """Makes the call, and prepares it."""
        if owner.number is not None:
            answer = await self._inbound.take(owner.number, brought)
            if isinstance(answer, CallPlan) and self._lines is not None:
                account = await self._account_of(owner.number)
                if account is not None and account.vendor == brought.carrier:
                    self._lines.brought(
                        answer.call_id, answer.org_id, owner.number.id, account, brought.provider_id
                    )
            return answer
        return await self._inbound.take_for(owner.org_id, owner.assistant_id, brought)

    async def _account_of(self, number: NumberInUse) -> CarrierAccount | None:
        try:
            return await self._accounts.of(number)
        except StoreUnavailable:
            return None

"""What carriers ask and tell over HTTP, at /inbound/{vendor}/{phoneNumberId}: proven first, then answered.

What is not proven is answered all alike, whether there is such a number or not: a scanner learns nothing. Why it was not,
the log says.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from aywa.core.numbers import number_key
from aywa.ports.calls import CallPlan
from aywa.ports.carriers import (
    Carrier,
    CarrierAccount,
    CarrierAnswer,
    CarrierNews,
    CarrierRequest,
    Happening,
    MediaWay,
)
from aywa.ports.journal import StoreUnavailable
from aywa.ports.telephony import Answer, Forward
from aywa.service.carrier_accounts import CarrierAccounts
from aywa.service.carrier_lines import CarrierLine, CarrierLines, onward
from aywa.service.inbound import Brought
from aywa.service.phone_numbers import NumberInUse, PhoneNumbers

_log = structlog.get_logger("aywa.service.carrier_door")

STEPS = ("", "next", "dialled", "status")
NOBODY = CarrierAnswer("Forbidden", status=403)
LATER = CarrierAnswer("Service Unavailable", status=503)


class Takes(Protocol):
    """Says what becomes of a call that a carrier brings."""

    async def take(self, number: NumberInUse, brought: Brought) -> Answer:
        """Never raises."""


class CarrierDoor:
    """The use-case."""

    def __init__(
        self, numbers: PhoneNumbers, accounts: CarrierAccounts, lines: CarrierLines, inbound: Takes
    ) -> None:
        self._numbers = numbers
        self._accounts = accounts
        self._lines = lines
        self._inbound = inbound
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def take(
        self, vendor: str, number_id: str, step: str, request: CarrierRequest, base_url: str
    ) -> CarrierAnswer:
        """What a vendor's request is answered with. base_url: where the vendor reaches this API. Never raises."""
        carrier = self._lines.carrier(vendor)
        try:
            number = None if carrier is None else await self._numbers.of_id(number_id)
            account = None if number is None else await self._accounts.of(number)
        except StoreUnavailable:
            return LATER
        if carrier is None or number is None or account is None or account.vendor != vendor:
            return NOBODY
        doubt = carrier.doubt(account, request)
        if doubt:
            _log.warning("carrier_not_believed", vendor=vendor, phone_number_id=number.id, why=doubt)
            return NOBODY
        news = carrier.read(request, step)
        if news.happening is not Happening.CALLED:
            line = self._lines.find(number.id, request.asked("call"), news.provider_id)
            return carrier.done() if line is None else self._lines.happened(line, news)
        # A vendor that hears no answer in time asks again: that is the same call.
        key = (number.id, news.provider_id)
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                return await self._called(carrier, account, number, news, base_url)
        finally:
            if not lock.locked():
                self._locks.pop(key, None)

    async def _called(
        self,
        carrier: Carrier,
        account: CarrierAccount,
        number: NumberInUse,
        news: CarrierNews,
        base_url: str,
    ) -> CarrierAnswer:
        known = self._lines.find(number.id, "", news.provider_id) if news.provider_id else None
        if known is not None:
            way = self._lines.way(known)
            return carrier.done() if way is None or known.over else carrier.connect(way)
        if self._lines.was_here(number.id, news.provider_id):
            _log.warning("carrier_asked_again", vendor=carrier.vendor, phone_number_id=number.id)
            return carrier.done()
        brought = Brought(
            news.caller,
            news.called,
            news.caller_name,
            news.provider_id,
            parameters=news.parameters,
            carrier=carrier.vendor,
        )
        answer = await self._inbound.take(await self._meant(number, news), brought)
        if isinstance(answer, CallPlan):
            line = CarrierLine(
                answer.call_id, answer.org_id, number.id, account, carrier, base_url, outbound=False
            )
            line.provider_id = news.provider_id
            self._lines.add(line)
            way = self._lines.way(line)
            if way is not None:
                self._lines.picked_up(line, way)
                return carrier.connect(way)
        if isinstance(answer, Forward) and carrier.abilities.passes_on:
            to = onward(answer.call)
            self._lines.forwarded(carrier, account, news.provider_id, to, MediaWay(""))
            return carrier.pass_on(to, MediaWay(""))
        self._lines.refused(carrier, account, news.provider_id)
        return carrier.refuse(busy=not isinstance(answer, Forward | CallPlan) and answer.status == 503)

    async def _meant(self, number: NumberInUse, news: CarrierNews) -> NumberInUse:
        """Several numbers of one account may share one address: the one that was called, if it is known."""
        credential_id = number.body.get("credentialId")
        if credential_id is None or number_key(news.called) == number_key(str(number.body.get("number"))):
            return number
        try:
            found = await self._numbers.of_trunks([credential_id], news.called)
        except StoreUnavailable:
            return number
        return number if found is None or found.org_id != number.org_id else found

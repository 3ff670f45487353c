"""Exotel: where its Voicebot applet asks for the media socket's address, and what it tells when a call is over.

By Exotel's documents "Working with the Stream and Voicebot Applet" (dynamic URL) and "Webhooks & Callbacks". Exotel signs
nothing: what it asks with must hold a token of ours, as `token` in the address or as a password (basic authentication).
Nothing can be told to it: when the media socket is over, its flow goes on with the applet behind.
"""

from __future__ import annotations

import base64
import json
from typing import Final

from aywa.adapters.carriers import signatures
from aywa.adapters.carriers.reading import address, given
from aywa.ports.carriers import (
    Abilities,
    CarrierAccount,
    CarrierAnswer,
    CarrierNews,
    CarrierRequest,
    Happening,
    MediaWay,
    Onward,
    Outcome,
    Placing,
)
from aywa.ports.errors import Fault, ProviderError

RATE_HZ: Final = 16_000
_OUTCOMES: Final = {
    "completed": Outcome.COMPLETED,
    "busy": Outcome.BUSY,
    "no-answer": Outcome.NO_ANSWER,
    "failed": Outcome.FAILED,
    "canceled": Outcome.CANCELLED,
}


class Exotel:
    """ports.carriers.Carrier."""

    vendor = "exotel"
    abilities = Abilities()

    async def close(self) -> None:
        """Nothing was opened."""

    # --- what it asks and tells --------------------------------------------------------------------------------------

    def doubt(self, account: CarrierAccount, request: CarrierRequest) -> str:
        """As the port says."""
        token = account.key("inboundToken")
        if not token:
            return "carrier.inboundToken is not set, and Exotel signs nothing"
        # Both are compared, so that neither tells which was tried.
        asked = signatures.same(request.asked("token"), token)
        shown = signatures.same(_password(request.headers.get("authorization", "")), token)
        return "" if asked or shown else "the token is not the phone number's carrier.inboundToken"

    def read(self, request: CarrierRequest, step: str) -> CarrierNews:
        """As the port says."""
        said = given(request)
        provider_id, status = said.get("CallSid", ""), said.get("Status") or said.get("CallStatus", "")
        if step:
            outcome = _OUTCOMES.get(status)
            if outcome is None:
                return CarrierNews(Happening.OTHER, provider_id)
            return CarrierNews(Happening.ENDED, provider_id, outcome=outcome, detail=f"Exotel says {status}")
        caller = address(said.get("CallFrom") or said.get("From", ""))
        called = address(said.get("CallTo") or said.get("To", ""))
        return CarrierNews(Happening.CALLED, provider_id, caller, called)

    def connect(self, way: MediaWay) -> CarrierAnswer:
        """As the port says."""
        return _json({"url": f"{way.stream_url}?sample-rate={RATE_HZ}"})

    def refuse(self, *, busy: bool) -> CarrierAnswer:
        """As the port says: the flow goes on with the applet behind."""
        return CarrierAnswer("{}", "application/json", 503 if busy else 404)

    def pass_on(self, onward: Onward, way: MediaWay) -> CarrierAnswer:
        """It cannot be told to."""
        return self.refuse(busy=False)

    def done(self) -> CarrierAnswer:
        """As the port says."""
        return _json({})

    # --- what it is told ---------------------------------------------------------------------------------------------

    async def place(self, account: CarrierAccount, placing: Placing) -> str:
        """It is not asked to."""
        raise _cannot("calls are not placed through Exotel")

    async def answer(self, account: CarrierAccount, provider_id: str, way: MediaWay) -> None:
        """It takes an address."""

    async def hang_up(self, account: CarrierAccount, provider_id: str) -> None:
        """The end of the media socket is all that it can be told."""

    async def transfer(
        self, account: CarrierAccount, provider_id: str, onward: Onward, way: MediaWay
    ) -> None:
        """It cannot be told to."""
        raise _cannot("Exotel passes nobody on: put a Connect applet behind the Voicebot applet")

    async def send_keys(self, account: CarrierAccount, provider_id: str, digits: str) -> None:
        """It cannot be told to."""


def _password(authorization: str) -> str:
    scheme, _, both = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(both.strip(), validate=True).decode("utf-8", "replace").partition(":")[2]
    except ValueError:
        return ""


def _json(document: dict[str, str]) -> CarrierAnswer:
    return CarrierAnswer(json.dumps(document), "application/json")


def _cannot(message: str) -> ProviderError:
    return ProviderError("exotel", "bad_request", message, fault=Fault.CONFIG, retryable=False)

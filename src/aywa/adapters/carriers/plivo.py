"""Plivo: its XML, its webhooks, and calls ended through its API.

By Plivo's documents "The Stream element", "The Dial element", "Call: hang up" and "Validating requests" (V3). What stands
behind <Stream keepCallAlive="true"> is done when the media socket is over.
"""

from __future__ import annotations

from typing import Final

from aywa.adapters.carriers import signatures
from aywa.adapters.carriers.markup import XML, element, response
from aywa.adapters.carriers.reading import basic, form, given, international
from aywa.adapters.carriers.rest import TIMEOUT_S, Rest, in_path
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

API_URL: Final = "https://api.plivo.com"
CONTENT_TYPE: Final = "audio/x-mulaw;rate=8000"
SIGNATURE: Final = "x-plivo-signature-v3"
_MAIN: Final = "x-plivo-signature-ma-v3"
_NONCE: Final = "x-plivo-signature-v3-nonce"
_OUTCOMES: Final = {
    "completed": Outcome.COMPLETED,
    "answer": Outcome.COMPLETED,
    "busy": Outcome.BUSY,
    "timeout": Outcome.NO_ANSWER,
    "no-answer": Outcome.NO_ANSWER,
    "cancel": Outcome.CANCELLED,
    "failed": Outcome.FAILED,
}
_HAPPENINGS: Final = {"ringing": Happening.RINGING, "in-progress": Happening.ANSWERED}


class Plivo:
    """ports.carriers.Carrier."""

    vendor = "plivo"
    abilities = Abilities(asks=True, passes_on=True)

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._rest = Rest(self.vendor, timeout_s)

    async def close(self) -> None:
        """As the port says."""
        await self._rest.close()

    # --- what it asks and tells --------------------------------------------------------------------------------------

    def doubt(self, account: CarrierAccount, request: CarrierRequest) -> str:
        """As the port says."""
        token = account.key("authToken")
        if not token:
            return "carrier.authToken is not set, and Plivo signs with nothing else"
        both = (request.headers.get(SIGNATURE, ""), request.headers.get(_MAIN, ""))
        given_ones, nonce = ",".join(each for each in both if each), request.headers.get(_NONCE, "")
        good = signatures.plivo(request.method, request.urls, form(request), nonce, given_ones, token)
        return "" if good else "X-Plivo-Signature-V3 is not Plivo's for this address and account"

    def read(self, request: CarrierRequest, step: str) -> CarrierNews:
        """As the port says."""
        said = given(request)
        provider_id, status = said.get("CallUUID", ""), said.get("CallStatus", "")
        if step == "dialled":
            told = said.get("DialStatus", "")
            return CarrierNews(
                Happening.DIALLED, provider_id, outcome=_OUTCOMES.get(told, Outcome.FAILED), detail=told
            )
        if said.get("Event") == "Hangup" or status in _OUTCOMES:
            cause = said.get("HangupCauseName") or said.get("HangupCause", "")
            outcome = _OUTCOMES.get(status, Outcome.COMPLETED)
            return CarrierNews(
                Happening.ENDED, provider_id, outcome=outcome, detail=f"Plivo says {cause or status}"
            )
        if step == "next":
            return CarrierNews(Happening.NEXT, provider_id)
        if step == "status":
            return CarrierNews(_HAPPENINGS.get(status, Happening.OTHER), provider_id)
        caller, called = (international(said.get(name, "")) for name in ("From", "To"))
        return CarrierNews(Happening.CALLED, provider_id, caller, called, said.get("CallerName", ""))

    def connect(self, way: MediaWay) -> CarrierAnswer:
        """As the port says."""
        stream = element(
            "Stream",
            text=way.stream_url,
            bidirectional="true",
            keepCallAlive="true",
            audioTrack="inbound",
            contentType=CONTENT_TYPE,
            extraHeaders=",".join(f"{name}={value}" for name, value in way.parameters.items()),
        )
        more = [element("Redirect", text=way.next_url, method="POST")] if way.next_url else []
        return CarrierAnswer(response(stream, *more), XML)

    def refuse(self, *, busy: bool) -> CarrierAnswer:
        """As the port says."""
        return CarrierAnswer(response(element("Hangup", reason="busy" if busy else "rejected")), XML)

    def pass_on(self, onward: Onward, way: MediaWay) -> CarrierAnswer:
        """As the port says."""
        target = (
            element("User", text=onward.uri)
            if onward.uri
            else element("Number", text=onward.number.removeprefix("+"), sendDigits=onward.digits)
        )
        dial = element(
            "Dial",
            target,
            callerId=onward.caller_id.removeprefix("+"),
            timeout=str(round(onward.ring_s)),
            action=way.dialled_url,
            method="POST" if way.dialled_url else "",
        )
        return CarrierAnswer(response(dial), XML)

    def done(self) -> CarrierAnswer:
        """As the port says."""
        return CarrierAnswer(response(element("Hangup")), XML)

    # --- what it is told ---------------------------------------------------------------------------------------------

    async def place(self, account: CarrierAccount, placing: Placing) -> str:
        """It is not asked to."""
        raise _cannot("calls are not placed through Plivo")

    async def answer(self, account: CarrierAccount, provider_id: str, way: MediaWay) -> None:
        """It takes markup."""

    async def hang_up(self, account: CarrierAccount, provider_id: str) -> None:
        """As the port says."""
        user = account.key("accountId")
        url = f"{(account.api_url or API_URL).rstrip('/')}/v1/Account/{in_path(user)}/Call/{in_path(provider_id)}/"
        try:
            await self._rest.send("DELETE", url, basic(user, account.key("authToken")))
        except ProviderError as error:
            if error.code != "not_found":
                raise

    async def transfer(
        self, account: CarrierAccount, provider_id: str, onward: Onward, way: MediaWay
    ) -> None:
        """As the port says: it asks there whom the caller is to be connected with."""
        user = account.key("accountId")
        url = f"{(account.api_url or API_URL).rstrip('/')}/v1/Account/{in_path(user)}/Call/{in_path(provider_id)}/"
        document = {"legs": "aleg", "aleg_url": way.next_url, "aleg_method": "POST"}
        await self._rest.send("POST", url, basic(user, account.key("authToken")), document=document)

    async def send_keys(self, account: CarrierAccount, provider_id: str, digits: str) -> None:
        """The media socket has them."""


def _cannot(message: str) -> ProviderError:
    return ProviderError("plivo", "bad_request", message, fault=Fault.CONFIG, retryable=False)

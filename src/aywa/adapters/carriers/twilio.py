"""Twilio: TwiML, its webhooks, and calls placed, ended and passed on through its REST API.

By Twilio's documents "TwiML Voice: <Connect>, <Stream>, <Dial>, <Reject>", "Call resource" and "Webhooks security". Nothing
stands behind <Connect> but its action: when the media socket is over, Twilio asks there what comes next.
"""

from __future__ import annotations

from typing import Final

from aywa.adapters.carriers import signatures
from aywa.adapters.carriers.markup import XML, element, response
from aywa.adapters.carriers.reading import address, basic, form, given, of_sip
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
from aywa.ports.errors import ProviderError

API_URL: Final = "https://api.twilio.com"
TIMEOUT_LONGEST_S: Final = 600
SIGNATURE: Final = "x-twilio-signature"
SIGNATURE_SETTINGS: Final = "x-twilio-webhooks-signature-settings"
_OUTCOMES: Final = {
    "completed": Outcome.COMPLETED,
    "answered": Outcome.COMPLETED,
    "busy": Outcome.BUSY,
    "no-answer": Outcome.NO_ANSWER,
    "failed": Outcome.FAILED,
    "canceled": Outcome.CANCELLED,
}
_HAPPENINGS: Final = {"ringing": Happening.RINGING, "in-progress": Happening.ANSWERED}


class Twilio:
    """ports.carriers.Carrier."""

    vendor = "twilio"
    abilities = Abilities(places=True, asks=True, passes_on=True)

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._rest = Rest(self.vendor, timeout_s)

    async def close(self) -> None:
        """As the port says."""
        await self._rest.close()

    # --- what it asks and tells --------------------------------------------------------------------------------------

    def doubt(self, account: CarrierAccount, request: CarrierRequest) -> str:
        """As the port says."""
        token, signature = account.key("twilioAuthToken"), request.headers.get(SIGNATURE, "")
        if not token:
            return "twilioAuthToken is not set, and Twilio signs with nothing else"
        fields = form(request) if request.method == "POST" else {}
        body = request.body if request.method == "POST" and not fields and request.body else None
        settings = request.headers.get(SIGNATURE_SETTINGS, "")
        good = signatures.twilio(request.urls, fields, signature, token, body, settings)
        return "" if good else "X-Twilio-Signature is not Twilio's for this address and account"

    def read(self, request: CarrierRequest, step: str) -> CarrierNews:
        """As the port says."""
        said = given(request)
        provider_id, status = said.get("CallSid", ""), said.get("CallStatus", "")
        ended = _OUTCOMES.get(status) if status != "answered" else None
        if step == "dialled":
            outcome = _OUTCOMES.get(said.get("DialCallStatus", ""), Outcome.FAILED)
            return CarrierNews(
                Happening.DIALLED, provider_id, outcome=outcome, detail=said.get("DialCallStatus", "")
            )
        if ended is not None:
            sip = said.get("SipResponseCode", "")
            outcome = of_sip(sip, ended) if ended is Outcome.FAILED else ended
            detail = f"Twilio says {status}" + (f", SIP {sip}" if sip else "")
            return CarrierNews(Happening.ENDED, provider_id, outcome=outcome, detail=detail)
        if step == "next":
            return CarrierNews(Happening.NEXT, provider_id)
        if step == "status":
            return CarrierNews(_HAPPENINGS.get(status, Happening.OTHER), provider_id)
        caller, called = address(said.get("From", "")), address(said.get("To", ""))
        return CarrierNews(Happening.CALLED, provider_id, caller, called, said.get("CallerName", ""))

    def connect(self, way: MediaWay) -> CarrierAnswer:
        """As the port says."""
        return CarrierAnswer(self._connecting(way), XML)

    def refuse(self, *, busy: bool) -> CarrierAnswer:
        """As the port says."""
        return CarrierAnswer(response(element("Reject", reason="busy" if busy else "rejected")), XML)

    def pass_on(self, onward: Onward, way: MediaWay) -> CarrierAnswer:
        """As the port says."""
        target = (
            element("Sip", text=onward.uri)
            if onward.uri
            else element("Number", text=onward.number, sendDigits=onward.digits)
        )
        dial = element(
            "Dial",
            target,
            callerId=onward.caller_id,
            timeout=_seconds(onward.ring_s),
            answerOnBridge="true",
            action=way.dialled_url,
            method="POST" if way.dialled_url else "",
        )
        return CarrierAnswer(response(dial), XML)

    def done(self) -> CarrierAnswer:
        """As the port says."""
        return CarrierAnswer(response(element("Hangup")), XML)

    # --- what it is told ---------------------------------------------------------------------------------------------

    async def place(self, account: CarrierAccount, placing: Placing) -> str:
        """As the port says."""
        fields = [
            ("To", placing.to),
            ("From", placing.caller_id),
            ("Twiml", self._connecting(placing.way)),
            ("Timeout", _seconds(placing.ring_s)),
            ("StatusCallback", placing.way.status_url),
            ("StatusCallbackMethod", "POST"),
            *(("StatusCallbackEvent", event) for event in ("initiated", "ringing", "answered", "completed")),
        ]
        if placing.digits:
            fields.append(("SendDigits", placing.digits))
        answer = await self._rest.send("POST", self._calls(account), self._headers(account), fields=fields)
        return str(answer.get("sid") or "")

    async def answer(self, account: CarrierAccount, provider_id: str, way: MediaWay) -> None:
        """It takes markup."""

    async def hang_up(self, account: CarrierAccount, provider_id: str) -> None:
        """As the port says."""
        url = self._calls(account, provider_id)
        try:
            await self._rest.send("POST", url, self._headers(account), fields=[("Status", "completed")])
        except ProviderError as error:
            # A call that is over already (21220), or forgotten.
            if error.code not in ("not_found", "bad_request"):
                raise

    async def transfer(
        self, account: CarrierAccount, provider_id: str, onward: Onward, way: MediaWay
    ) -> None:
        """As the port says: also while the media socket is up."""
        fields = [("Twiml", self.pass_on(onward, way).body)]
        await self._rest.send(
            "POST", self._calls(account, provider_id), self._headers(account), fields=fields
        )

    async def send_keys(self, account: CarrierAccount, provider_id: str, digits: str) -> None:
        """It has no keys while a media socket is up."""

    # --- inside ------------------------------------------------------------------------------------------------------

    def _connecting(self, way: MediaWay) -> str:
        parameters = [element("Parameter", name=name, value=value) for name, value in way.parameters.items()]
        stream = element("Stream", *parameters, url=way.stream_url, **self._stream_attributes())
        method = "POST" if way.next_url else ""
        return response(element("Connect", stream, action=way.next_url, method=method))

    def _stream_attributes(self) -> dict[str, str]:
        return {}

    def _calls(self, account: CarrierAccount, provider_id: str = "") -> str:
        one = f"/{in_path(provider_id)}" if provider_id else ""
        return f"{self._base(account)}/Accounts/{in_path(self._account_id(account))}/Calls{one}.json"

    def _base(self, account: CarrierAccount) -> str:
        return f"{(account.api_url or API_URL).rstrip('/')}/2010-04-01"

    def _account_id(self, account: CarrierAccount) -> str:
        return account.key("twilioAccountSid")

    def _headers(self, account: CarrierAccount) -> dict[str, str]:
        if account.key("twilioApiKey") and account.key("twilioApiSecret"):
            return basic(account.key("twilioApiKey"), account.key("twilioApiSecret"))
        return basic(self._account_id(account), account.key("twilioAuthToken"))


def _seconds(given_s: float) -> str:
    return str(max(5, min(TIMEOUT_LONGEST_S, round(given_s))))

"""Telnyx: Call Control. It tells what happens (webhooks, JSON), and is told what to do (commands).

By Telnyx's documents "Dial", "Answer call", "Hangup call", "Transfer call", "Media Streaming over WebSockets" and "Webhook
signature verification". The media socket's end does not end a call.
"""

from __future__ import annotations

from typing import Any, Final

from aywa.adapters.carriers import signatures
from aywa.adapters.carriers.reading import address, inner, json_object, of_sip, text
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

API_URL: Final = "https://api.telnyx.com"
CODEC: Final = "PCMU"
_OUTCOMES: Final = {
    "normal_clearing": Outcome.COMPLETED,
    "time_limit": Outcome.COMPLETED,
    "user_busy": Outcome.BUSY,
    "timeout": Outcome.NO_ANSWER,
    "no_answer": Outcome.NO_ANSWER,
    "originator_cancel": Outcome.CANCELLED,
    "call_rejected": Outcome.REJECTED,
    "not_found": Outcome.UNALLOCATED,
    "unallocated_number": Outcome.UNALLOCATED,
}


class Telnyx:
    """ports.carriers.Carrier."""

    vendor = "telnyx"
    abilities = Abilities(places=True, answers=True, ends=True, passes_on=True, keys=True)

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._rest = Rest(self.vendor, timeout_s)

    async def close(self) -> None:
        """As the port says."""
        await self._rest.close()

    # --- what it asks and tells --------------------------------------------------------------------------------------

    def doubt(self, account: CarrierAccount, request: CarrierRequest) -> str:
        """As the port says."""
        key = account.key("publicKey")
        if not key:
            return "the credential has no publicKey, without which Telnyx's signatures cannot be checked"
        headers = request.headers
        timestamp, signature = (
            headers.get("telnyx-timestamp", ""),
            headers.get("telnyx-signature-ed25519", ""),
        )
        good = signatures.telnyx(timestamp, request.body, signature, key, request.now_s)
        return "" if good else "telnyx-signature-ed25519 is not Telnyx's for this body and account"

    def read(self, request: CarrierRequest, step: str) -> CarrierNews:
        """As the port says. One address takes everything."""
        data = inner(json_object(request), "data")
        payload = inner(data, "payload")
        provider_id = text(payload.get("call_control_id"))
        match text(data.get("event_type")):
            case "call.initiated" if payload.get("direction") == "incoming":
                caller, called = (address(text(payload.get(name))) for name in ("from", "to"))
                return CarrierNews(
                    Happening.CALLED, provider_id, caller, called, text(payload.get("caller_id_name"))
                )
            case "call.initiated":
                return CarrierNews(Happening.RINGING, provider_id)
            case "call.answered":
                return CarrierNews(Happening.ANSWERED, provider_id)
            case "call.bridged":
                return CarrierNews(Happening.DIALLED, provider_id, outcome=Outcome.COMPLETED)
            case "call.hangup":
                cause = text(payload.get("hangup_cause"))
                sip = text(payload.get("sip_hangup_cause"))
                outcome = _OUTCOMES.get(cause) or of_sip(sip, Outcome.FAILED)
                return CarrierNews(
                    Happening.ENDED, provider_id, outcome=outcome, detail=f"Telnyx says {cause or 'hangup'}"
                )
            case _:
                return CarrierNews(Happening.OTHER, provider_id)

    def connect(self, way: MediaWay) -> CarrierAnswer:
        """It is told by a command."""
        return CarrierAnswer()

    def refuse(self, *, busy: bool) -> CarrierAnswer:
        """It is told by a command."""
        return CarrierAnswer()

    def pass_on(self, onward: Onward, way: MediaWay) -> CarrierAnswer:
        """It is told by a command."""
        return CarrierAnswer()

    def done(self) -> CarrierAnswer:
        """As the port says."""
        return CarrierAnswer()

    # --- what it is told ---------------------------------------------------------------------------------------------

    async def place(self, account: CarrierAccount, placing: Placing) -> str:
        """As the port says."""
        connection_id = account.key("connectionId")
        if not connection_id:
            message = (
                "the credential has no connectionId, the Call Control application that calls are placed by"
            )
            raise ProviderError(self.vendor, "bad_request", message, fault=Fault.CONFIG, retryable=False)
        document = {
            "connection_id": connection_id,
            "to": placing.to,
            "from": placing.caller_id,
            "timeout_secs": max(5, min(600, round(placing.ring_s))),
            "webhook_url": placing.way.status_url,
            # The same command twice is one call.
            "command_id": placing.call_id,
            **_streaming(placing.way),
        }
        answer = await self._rest.send(
            "POST", f"{_base(account)}/calls", _headers(account), document=document
        )
        return text(inner(answer, "data").get("call_control_id"))

    async def answer(self, account: CarrierAccount, provider_id: str, way: MediaWay) -> None:
        """As the port says."""
        await self._command(account, provider_id, "answer", _streaming(way))

    async def hang_up(self, account: CarrierAccount, provider_id: str) -> None:
        """As the port says."""
        try:
            await self._command(account, provider_id, "hangup", {})
        except ProviderError as error:
            # A call that is over already (90018: 422).
            if error.code not in ("not_found", "bad_request"):
                raise

    async def transfer(
        self, account: CarrierAccount, provider_id: str, onward: Onward, way: MediaWay
    ) -> None:
        """As the port says."""
        document: dict[str, Any] = {
            "to": onward.uri or onward.number,
            "timeout_secs": max(5, min(600, round(onward.ring_s))),
        }
        if onward.caller_id:
            document["from"] = onward.caller_id
        await self._command(account, provider_id, "transfer", document)

    async def send_keys(self, account: CarrierAccount, provider_id: str, digits: str) -> None:
        """As the port says."""
        await self._command(account, provider_id, "send_dtmf", {"digits": digits})

    async def _command(
        self, account: CarrierAccount, provider_id: str, action: str, document: dict[str, Any]
    ) -> None:
        url = f"{_base(account)}/calls/{in_path(provider_id)}/actions/{action}"
        await self._rest.send("POST", url, _headers(account), document=document)


def _streaming(way: MediaWay) -> dict[str, Any]:
    document: dict[str, Any] = {
        "stream_url": way.stream_url,
        "stream_track": "inbound_track",
        "stream_codec": CODEC,
        "stream_bidirectional_mode": "rtp",
        "stream_bidirectional_codec": CODEC,
    }
    if way.parameters:
        document["custom_parameters"] = [
            {"name": name, "value": value} for name, value in way.parameters.items()
        ]
    return document


def _base(account: CarrierAccount) -> str:
    return f"{(account.api_url or API_URL).rstrip('/')}/v2"


def _headers(account: CarrierAccount) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.key('apiKey')}"}

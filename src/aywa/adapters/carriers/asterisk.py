"""Asterisk as a carrier: what its dialplan asks over HTTP (CURL), and its REST interface (ARI), by which calls are placed.

The dialplan is answered in words that it can cut: `audio|CALL|NEXT`, where the call's audio goes (the UUID of an AudioSocket)
and where to ask when that is over; `dial|TO|CALLER|SECONDS|TOLD`, whom to connect the caller with, and where to tell how that
went; or nothing: hang up. ARI adds no more than placing a call and taking it back, for its other verbs are for channels in a
Stasis application, and these are in the dialplan.
Facts: Asterisk's documentation, "Channels REST API", "Local Channels", "CURL", "Dial" (DIALSTATUS).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode, urlsplit

from aywa.adapters.carriers import signatures
from aywa.adapters.carriers.reading import address, basic, given
from aywa.adapters.carriers.rest import Rest, in_path
from aywa.adapters.carriers.tokens import shown
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

CONTEXT: Final = "aywa"
"""Of the dialplan: its extension `placed` takes a call that was answered to the agent."""
PLACED: Final = "placed"
DIALLING: Final = "aywa-dial"
"""The context whose extensions are the numbers that are called."""

_OUTCOMES: Final = {
    "ANSWER": Outcome.COMPLETED,
    "BUSY": Outcome.BUSY,
    "NOANSWER": Outcome.NO_ANSWER,
    "CANCEL": Outcome.CANCELLED,
    "CONGESTION": Outcome.FAILED,
    "CHANUNAVAIL": Outcome.FAILED,
    "INVALIDARGS": Outcome.FAILED,
}
# HANGUPCAUSE, of Q.850, where it says more than DIALSTATUS.
_CAUSES: Final = {
    "1": Outcome.UNALLOCATED,
    "17": Outcome.BUSY,
    "18": Outcome.NO_ANSWER,
    "19": Outcome.NO_ANSWER,
    "21": Outcome.REJECTED,
    "22": Outcome.UNALLOCATED,
    "28": Outcome.UNALLOCATED,
}
_OURS: Final = frozenset(("id", "from", "to", "name", "token"))
"""What the address holds besides is the customer's: variables of the call."""
# What cannot end a dialplan's argument, or begin another: & dials a second party, a comma ends the first.
_DIALLABLE: Final = re.compile(r"[0-9A-Za-z+*#._:@=-]{1,200}\Z")
_NUMBER: Final = re.compile(r"[0-9A-Za-z+*#._-]{1,64}\Z")


class Asterisk:
    """ports.carriers.Carrier."""

    vendor = "asterisk"
    abilities = Abilities(places=True, asks=True, passes_on=True)

    def __init__(self) -> None:
        self._rest = Rest(self.vendor)

    async def close(self) -> None:
        """As the port says."""
        await self._rest.close()

    # --- what it asks and tells --------------------------------------------------------------------------------------

    def doubt(self, account: CarrierAccount, request: CarrierRequest) -> str:
        """As the port says: Asterisk signs nothing."""
        token = account.key("inboundToken")
        if not token:
            return "carrier.inboundToken is not set, and Asterisk signs nothing"
        # All are compared, so that none tells which was tried.
        right = [signatures.same(each, token) for each in shown(request)]
        return "" if any(right) else "the token is not the phone number's carrier.inboundToken"

    def read(self, request: CarrierRequest, step: str) -> CarrierNews:
        """As the port says."""
        said = given(request)
        provider_id, status = address(said.get("id", "")), said.get("status", "").upper()
        match step:
            case "":
                return CarrierNews(
                    Happening.CALLED,
                    provider_id,
                    address(said.get("from", "")),
                    address(said.get("to", "")),
                    address(said.get("name", "")),
                    parameters={name: value for name, value in said.items() if name not in _OURS},
                )
            case "next":
                return CarrierNews(Happening.NEXT, provider_id)
            case "status" if status in ("RINGING", "ANSWERED"):
                happening = Happening.RINGING if status == "RINGING" else Happening.ANSWERED
                return CarrierNews(happening, provider_id)
        outcome = _OUTCOMES.get(status)
        if outcome is None:
            return CarrierNews(Happening.OTHER, provider_id)
        cause = said.get("cause", "")
        if outcome is not Outcome.COMPLETED:
            outcome = _CAUSES.get(cause, outcome)
        happening = Happening.DIALLED if step == "dialled" else Happening.ENDED
        told = f"Asterisk says {status}" + (f", cause {cause}" if cause.isdigit() and len(cause) < 4 else "")
        return CarrierNews(happening, provider_id, outcome=outcome, detail=told)

    def connect(self, way: MediaWay) -> CarrierAnswer:
        """As the port says."""
        return CarrierAnswer(f"audio|{_call_of(way)}|{way.next_url}")

    def refuse(self, *, busy: bool) -> CarrierAnswer:
        """As the port says."""
        return CarrierAnswer(status=503 if busy else 404)

    def pass_on(self, onward: Onward, way: MediaWay) -> CarrierAnswer:
        """As the port says. What a dialplan could take for more than one address is not passed on."""
        to = onward.number or onward.uri.partition(";")[0]
        if _DIALLABLE.match(to) is None:
            return self.done()
        caller = onward.caller_id if _NUMBER.match(onward.caller_id) else ""
        return CarrierAnswer(f"dial|{to}|{caller}|{max(1, round(onward.ring_s))}|{way.dialled_url}")

    def done(self) -> CarrierAnswer:
        """As the port says."""
        return CarrierAnswer()

    # --- what it is told ---------------------------------------------------------------------------------------------

    async def place(self, account: CarrierAccount, placing: Placing) -> str:
        """As the port says: a Local channel, whose one end dials in the dialplan, and whose other end is ours."""
        if not account.api_url:
            raise _cannot(
                "carrier.apiUrl is not set: calls are placed by ARI, as at http://pbx.example:8088/ari"
            )
        if _NUMBER.match(placing.to) is None:
            raise _cannot("customer.number has characters that a dialplan would read as its own")
        asked = {
            "endpoint": f"Local/{placing.to}@{DIALLING}",
            "context": CONTEXT,
            "extension": PLACED,
            "priority": "1",
            "timeout": str(max(1, round(placing.ring_s))),
        }
        if _NUMBER.match(placing.caller_id):
            asked["callerId"] = placing.caller_id
        # Two underscores: both ends of the Local channel have them, and whom they dial.
        variables = {
            "__AYWA_CALL": _call_of(placing.way),
            "__AYWA_NEXT": placing.way.next_url,
            "__AYWA_STATUS": placing.way.status_url,
            "__AYWA_DIGITS": placing.digits,
            "__AYWA_RING": asked["timeout"],
        }
        await self._rest.send(
            "POST",
            f"{_channel(account, placing.call_id)}?{urlencode(asked)}",
            _who(account),
            document={"variables": variables},
        )
        return placing.call_id

    async def answer(self, account: CarrierAccount, provider_id: str, way: MediaWay) -> None:
        """The dialplan answers."""

    async def hang_up(self, account: CarrierAccount, provider_id: str) -> None:
        """As the port says. Without ARI the end of the audio is all that Asterisk is told; its dialplan goes on from there."""
        if not account.api_url:
            return
        try:
            await self._rest.send("DELETE", _channel(account, provider_id), _who(account))
        except ProviderError as error:
            if error.code != "not_found":
                raise

    async def transfer(
        self, account: CarrierAccount, provider_id: str, onward: Onward, way: MediaWay
    ) -> None:
        """It asks."""

    async def send_keys(self, account: CarrierAccount, provider_id: str, digits: str) -> None:
        """ARI presses keys on channels of a Stasis application only."""
        raise _cannot("Asterisk presses no keys for a channel of its dialplan")


def _call_of(way: MediaWay) -> str:
    """The call's id, which stands before what opens it: .../{callId}/{token}."""
    return urlsplit(way.stream_url).path.rstrip("/").rpartition("/")[0].rpartition("/")[2]


def _channel(account: CarrierAccount, channel_id: str) -> str:
    return f"{account.api_url.rstrip('/')}/channels/{in_path(channel_id)}"


def _who(account: CarrierAccount) -> dict[str, str]:
    return basic(account.key("accountId"), account.key("authToken"))


def _cannot(message: str) -> ProviderError:
    return ProviderError("asterisk", "bad_request", message, fault=Fault.CONFIG, retryable=False)

"""Vonage: NCCO, its webhooks, and calls ended and passed on through the Voice API.

By Vonage's documents "NCCO reference", "WebSockets", "Webhooks" (signed) and "Voice API: modify an in-progress call". The
only action is the media socket: when that is over, so is the call. Whatever else it is told wants a token that is signed
with the application's private key.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from time import time
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from aywa.adapters.carriers import signatures
from aywa.adapters.carriers.reading import given, international
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

API_URL: Final = "https://api.nexmo.com"
CONTENT_TYPE: Final = "audio/l16;rate=16000"
TOKEN_S: Final = 300
_JSON: Final = "application/json"
_OUTCOMES: Final = {
    "completed": Outcome.COMPLETED,
    "disconnected": Outcome.COMPLETED,
    "busy": Outcome.BUSY,
    "timeout": Outcome.NO_ANSWER,
    "unanswered": Outcome.NO_ANSWER,
    "cancelled": Outcome.CANCELLED,
    "rejected": Outcome.REJECTED,
    "failed": Outcome.FAILED,
}
_HAPPENINGS: Final = {"ringing": Happening.RINGING, "answered": Happening.ANSWERED}


class Vonage:
    """ports.carriers.Carrier."""

    vendor = "vonage"
    abilities = Abilities(passes_on=True, keys=True)

    def __init__(self, timeout_s: float = TIMEOUT_S, clock: Callable[[], float] = time) -> None:
        self._rest = Rest(self.vendor, timeout_s)
        self._clock = clock

    async def close(self) -> None:
        """As the port says."""
        await self._rest.close()

    # --- what it asks and tells --------------------------------------------------------------------------------------

    def doubt(self, account: CarrierAccount, request: CarrierRequest) -> str:
        """As the port says."""
        secret = account.key("signatureSecret")
        if not secret:
            return (
                "the credential has no signatureSecret, without which Vonage's signatures cannot be checked"
            )
        payloads = [request.body] if request.method == "POST" else _query_payloads(request)
        good = signatures.vonage(request.headers.get("authorization", ""), payloads, secret, request.now_s)
        return "" if good else "the token in Authorization is not Vonage's for this request and account"

    def read(self, request: CarrierRequest, step: str) -> CarrierNews:
        """As the port says."""
        said = given(request)
        provider_id, status = said.get("uuid", ""), said.get("status", "")
        if step:
            outcome = _OUTCOMES.get(status)
            if outcome is not None:
                reason = said.get("detail") or said.get("reason") or status
                return CarrierNews(
                    Happening.ENDED, provider_id, outcome=outcome, detail=f"Vonage says {reason}"
                )
            return CarrierNews(_HAPPENINGS.get(status, Happening.OTHER), provider_id)
        caller, called = (international(said.get(name, "")) for name in ("from", "to"))
        return CarrierNews(Happening.CALLED, provider_id, caller, called)

    def connect(self, way: MediaWay) -> CarrierAnswer:
        """As the port says."""
        endpoint = {
            "type": "websocket",
            "uri": way.stream_url,
            "content-type": CONTENT_TYPE,
            "headers": dict(way.parameters),
        }
        return _ncco([{"action": "connect", "endpoint": [endpoint]}])

    def refuse(self, *, busy: bool) -> CarrierAnswer:
        """As the port says: a call without an action is over."""
        return _ncco([])

    def pass_on(self, onward: Onward, way: MediaWay) -> CarrierAnswer:
        """As the port says."""
        return _ncco(_connect(onward))

    def done(self) -> CarrierAnswer:
        """As the port says."""
        return _ncco([])

    # --- what it is told ---------------------------------------------------------------------------------------------

    async def place(self, account: CarrierAccount, placing: Placing) -> str:
        """It is not asked to."""
        raise _cannot("calls are not placed through Vonage")

    async def answer(self, account: CarrierAccount, provider_id: str, way: MediaWay) -> None:
        """It takes markup."""

    async def hang_up(self, account: CarrierAccount, provider_id: str) -> None:
        """As the port says; without a private key the media socket's end must do."""
        if not account.key("privateKey"):
            return
        try:
            await self._change(account, provider_id, {"action": "hangup"})
        except ProviderError as error:
            if error.code not in ("not_found", "bad_request"):
                raise

    async def transfer(
        self, account: CarrierAccount, provider_id: str, onward: Onward, way: MediaWay
    ) -> None:
        """As the port says."""
        destination = {"type": "ncco", "ncco": _connect(onward)}
        await self._change(account, provider_id, {"action": "transfer", "destination": destination})

    async def send_keys(self, account: CarrierAccount, provider_id: str, digits: str) -> None:
        """As the port says."""
        await self._change(account, provider_id, {"digits": digits}, "/dtmf")

    async def _change(
        self, account: CarrierAccount, provider_id: str, document: dict[str, Any], what: str = ""
    ) -> None:
        token = _token(account, int(self._clock()))
        url = f"{(account.api_url or API_URL).rstrip('/')}/v1/calls/{in_path(provider_id)}{what}"
        await self._rest.send("PUT", url, {"Authorization": f"Bearer {token}"}, document=document)


def _connect(onward: Onward) -> list[dict[str, Any]]:
    endpoint: dict[str, Any] = (
        {"type": "sip", "uri": onward.uri}
        if onward.uri
        else {"type": "phone", "number": onward.number.removeprefix("+")}
    )
    if onward.digits and not onward.uri:
        endpoint["dtmfAnswer"] = onward.digits
    action: dict[str, Any] = {"action": "connect", "timeout": round(onward.ring_s), "endpoint": [endpoint]}
    if onward.caller_id:
        action["from"] = onward.caller_id.removeprefix("+")
    return [action]


def _token(account: CarrierAccount, now_s: int) -> str:
    """A token of the application (RFC 7519, RS256)."""
    application_id, pem = account.key("applicationId"), account.key("privateKey")
    if not application_id or not pem:
        raise _cannot(
            "the credential has no applicationId and privateKey, which Vonage wants to be told with"
        )
    try:
        key = serialization.load_pem_private_key(pem.replace("\\n", "\n").encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _cannot("the credential's privateKey is no private key in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise _cannot("the credential's privateKey is not of RSA")
    header = _part({"alg": "RS256", "typ": "JWT"})
    claims = {
        "application_id": application_id,
        "iat": now_s,
        "exp": now_s + TOKEN_S,
        "jti": str(uuid.uuid4()),
    }
    signed = f"{header}.{_part(claims)}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_base64(signature)}"


def _part(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _query_payloads(request: CarrierRequest) -> list[bytes]:
    """A request without a body is hashed as the JSON object of its query, in its order ("decoding signed webhooks")."""
    said = {name: next(iter(values), "") for name, values in request.query.items()}
    return [
        json.dumps(said, separators=(",", ":"), ensure_ascii=ascii_only).encode("utf-8", "replace")
        for ascii_only in (False, True)
    ]


def _ncco(actions: list[dict[str, Any]]) -> CarrierAnswer:
    return CarrierAnswer(json.dumps(actions, separators=(",", ":")), _JSON)


def _cannot(message: str) -> ProviderError:
    return ProviderError("vonage", "bad_request", message, fault=Fault.CONFIG, retryable=False)

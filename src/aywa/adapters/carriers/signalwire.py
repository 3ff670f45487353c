"""SignalWire: cXML, which is TwiML with some attributes more, its webhooks, and its Compatibility API.

By SignalWire's documents "cXML: <Stream>", "Webhook security" and "Compatibility API: Calls".
"""

from __future__ import annotations

from aywa.adapters.carriers import signatures
from aywa.adapters.carriers.reading import basic, form
from aywa.adapters.carriers.twilio import Twilio
from aywa.ports.carriers import CarrierAccount, CarrierRequest

_SIGNATURES = ("x-signalwire-signature", "x-twilio-signature")


class SignalWire(Twilio):
    """ports.carriers.Carrier."""

    vendor = "signalwire"

    def doubt(self, account: CarrierAccount, request: CarrierRequest) -> str:
        """As the port says."""
        key = account.key("signingKey")
        if not key:
            return "carrier.signingKey is not set, and SignalWire signs with nothing else"
        fields = form(request) if request.method == "POST" else {}
        given = next((request.headers[name] for name in _SIGNATURES if request.headers.get(name)), "")
        good = signatures.signalwire(request.urls, fields, given, key, request.body)
        return "" if good else "X-SignalWire-Signature is not SignalWire's for this address and project"

    def _stream_attributes(self) -> dict[str, str]:
        # Without it SignalWire may hold audio back, and no position is the truth.
        return {"realtime": "true"}

    def _base(self, account: CarrierAccount) -> str:
        space = account.key("space")
        return f"{(account.api_url or f'https://{space}').rstrip('/')}/api/laml/2010-04-01"

    def _account_id(self, account: CarrierAccount) -> str:
        return account.key("accountId")

    def _headers(self, account: CarrierAccount) -> dict[str, str]:
        return basic(account.key("accountId"), account.key("authToken"))

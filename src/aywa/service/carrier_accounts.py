"""The carrier's account behind a phone number: its own fields, or a credential's (contract 14.1). Refuses to know a wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aywa.ports.carriers import CarrierAccount
from aywa.service.credentials import Credentials
from aywa.service.phone_numbers import NumberInUse
from aywa.service.phone_rules import BY_CREDENTIAL, TWILIO

_OF_TWILIO = ("twilioAccountSid", "twilioAuthToken", "twilioApiKey", "twilioApiSecret")
_ABOUT = frozenset(("provider", "apiUrl"))


class CarrierAccounts:
    """The use-case."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def of(self, number: NumberInUse) -> CarrierAccount | None:
        """None for a number of no carrier, or one whose credential is gone. Raises StoreUnavailable."""
        provider, whole = str(number.body.get("provider")), number.whole
        said = str(number.body.get("number") or "")
        if provider == TWILIO:
            return CarrierAccount(TWILIO, said, _text(whole, "apiUrl"), _texts(whole, _OF_TWILIO))
        if provider in BY_CREDENTIAL:
            return await self._of_credential(number.org_id, provider, whole.get("credentialId"), said)
        carrier = whole.get("carrier")
        if not isinstance(carrier, Mapping):
            return None
        keys = _texts(carrier, [name for name in carrier if name not in _ABOUT])
        return CarrierAccount(str(carrier["provider"]), said, _text(carrier, "apiUrl"), keys)

    async def _of_credential(
        self, org_id: str, provider: str, credential_id: Any, number: str
    ) -> CarrierAccount | None:
        named = {"server": {"credentialId": credential_id}}
        found = (await self._credentials.keys(org_id, named)).keys.get(str(credential_id))
        if found is None:
            return None
        keys = _texts(found.extra, list(found.extra)) | {"apiKey": found.key}
        return CarrierAccount(provider, number, found.base_url, keys)


def carrier_of(body: Mapping[str, Any]) -> str:
    """The vendor of a phone number's document; empty for a SIP trunk's, and for a URI's."""
    provider, carrier = body.get("provider"), body.get("carrier")
    if provider in (TWILIO, *BY_CREDENTIAL):
        return str(provider)
    return str(carrier["provider"]) if isinstance(carrier, Mapping) else ""


def _texts(found: Mapping[str, Any], names: Any) -> dict[str, str]:
    return {name: found[name] for name in names if isinstance(found.get(name), str)}


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""

"""The headers by which a customer's server knows that a message is ours (contract 7.2, and the specification of Standard
Webhooks, "Signature scheme"). Pure, but for the keys' mathematics. A token of OAuth2 is had elsewhere (oauth2.py).

A secret that begins with `whsec_` is a key to sign with, and is never sent; any other is sent as it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aywa.ports.webhooks import CannotSign

SECRET_HEADER = "X-Vapi-Secret"  # noqa: S105 - a header's name
SIGNING_KEY = "whsec_"
ID_HEADER, TIME_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"


@dataclass(frozen=True, slots=True)
class Letter:
    """What is signed. id: the message's, the same at every attempt."""

    url: str
    body: str
    id: str
    timestamp_s: int


def headers_for(server: Mapping[str, Any], letter: Letter, token: str = "") -> dict[str, str]:
    """Those of one POST. token: of OAuth2, where the plan wants one. A header that the server names itself is sent as it stands
    there. Raises CannotSign."""
    headers = {
        "Content-Type": "application/json",
        ID_HEADER: letter.id,
        TIME_HEADER: str(letter.timestamp_s),
    }
    keys: list[str] = []
    secret = server.get("secret")
    if isinstance(secret, str) and secret:
        if secret.startswith(SIGNING_KEY):
            keys.append(secret)
        else:
            headers[SECRET_HEADER] = secret
    plan = server.get("authenticationPlan")
    if isinstance(plan, Mapping):
        key = _text(plan, "secretKey", "")
        if plan.get("type") == "hmac" and key.startswith(SIGNING_KEY):
            keys.append(key)
        else:
            headers |= _of_plan(plan, letter, token)
    if keys:
        headers[SIGNATURE_HEADER] = " ".join(standard_signature(key, letter) for key in dict.fromkeys(keys))
    own = server.get("headers")
    for name, value in (own if isinstance(own, Mapping) else {}).items():
        if isinstance(value, str):
            headers = {known: each for known, each in headers.items() if known.lower() != name.lower()}
            headers[name] = value
    if not all(_is_plain(text) for pair in headers.items() for text in pair):
        raise CannotSign("a header or a secret holds a line end or the like")
    return headers


def standard_signature(key: str, letter: Letter) -> str:
    """By Standard Webhooks: `v1,` and the HMAC-SHA256 of id, time and body, in base64. Raises CannotSign."""
    try:
        secret = base64.b64decode(key.removeprefix(SIGNING_KEY), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not secret:
        raise CannotSign(f"the signing key is not {SIGNING_KEY} and base64 behind it")
    signed = f"{letter.id}.{letter.timestamp_s}.{letter.body}".encode()
    return f"v1,{base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()}"


def _of_plan(plan: Mapping[str, Any], letter: Letter, token: str) -> dict[str, str]:
    match plan.get("type"):
        case "bearer":
            prefix = "" if plan.get("bearerPrefixEnabled") is False else "Bearer "
            return {_text(plan, "headerName", "Authorization"): prefix + _text(plan, "token", "")}
        case "hmac":
            return _signed(plan, letter)
        case "oauth2":
            return {"Authorization": f"Bearer {token}"}
        case "missing":
            raise CannotSign("its credential does not exist, or cannot be opened")
        case other:
            raise CannotSign(f"authenticationPlan.type {str(other)[:40]} is none of bearer, hmac, oauth2")


def _signed(plan: Mapping[str, Any], letter: Letter) -> dict[str, str]:
    timestamp = str(letter.timestamp_s)
    stamped = plan.get("includeTimestamp") is not False
    payload = _text(plan, "payloadFormat", "{timestamp}.{body}" if stamped else "{body}")
    # The body goes in last: what looks like a token in it is none.
    values = {"timestamp": timestamp, "method": "POST", "url": letter.url, "svix-id": letter.id}
    before, token, after = payload.partition("{body}")
    for name, value in values.items():
        before, after = (part.replace("{" + name + "}", value) for part in (before, after))
    signed = before + (letter.body if token else "") + after
    algorithm = _text(plan, "algorithm", "sha256")
    if algorithm not in ("sha256", "sha512", "sha1"):
        raise CannotSign("authenticationPlan.algorithm is not one of sha256, sha512, sha1")
    digest = hmac.new(_key(plan), signed.encode(), getattr(hashlib, algorithm)).digest()
    is_base64 = plan.get("signatureEncoding") == "base64"
    signature = base64.b64encode(digest).decode() if is_base64 else digest.hex()
    headers = {_text(plan, "signatureHeader", "x-signature"): _text(plan, "signaturePrefix", "") + signature}
    if stamped:
        headers[_text(plan, "timestampHeader", "x-timestamp")] = timestamp
    if name := _text(plan, "messageIdHeader", ""):
        headers[name] = letter.id
    return headers


def _key(plan: Mapping[str, Any]) -> bytes:
    secret = _text(plan, "secretKey", "")
    if not secret:
        raise CannotSign("authenticationPlan.secretKey is not there")
    if plan.get("secretIsBase64") is not True:
        return secret.encode()
    try:
        return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise CannotSign("authenticationPlan.secretKey is not base64") from None


def _text(plan: Mapping[str, Any], name: str, default: str) -> str:
    value = plan.get(name)
    return value if isinstance(value, str) and value else default


def _is_plain(text: str) -> bool:
    return not any(ord(character) < 32 or ord(character) == 127 for character in text)

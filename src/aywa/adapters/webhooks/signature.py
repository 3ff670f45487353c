"""The headers by which a customer's server knows that a message is ours (contract 7.2). Pure, but for the keys' mathematics."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

SECRET_HEADER = "X-Vapi-Secret"  # noqa: S105 - a header's name


class CannotSign(Exception):
    """The server's settings say how to, and cannot be followed. The text never holds a secret."""


def headers_for(
    server: Mapping[str, Any], body: str, *, url: str, timestamp_s: int, message_id: str
) -> dict[str, str]:
    """Those of one POST. A header that the server names itself is sent as it stands there. Raises CannotSign."""
    headers = {"Content-Type": "application/json"}
    secret = server.get("secret")
    if isinstance(secret, str) and secret:
        headers[SECRET_HEADER] = secret
    plan = server.get("authenticationPlan")
    if isinstance(plan, Mapping):
        headers |= _of_plan(plan, body, url, timestamp_s, message_id)
    own = server.get("headers")
    for name, value in (own if isinstance(own, Mapping) else {}).items():
        if isinstance(value, str):
            headers = {known: each for known, each in headers.items() if known.lower() != name.lower()}
            headers[name] = value
    if not all(_is_plain(text) for pair in headers.items() for text in pair):
        raise CannotSign("a header or a secret holds a line end or the like")
    return headers


def _of_plan(
    plan: Mapping[str, Any], body: str, url: str, timestamp_s: int, message_id: str
) -> dict[str, str]:
    match plan.get("type"):
        case "bearer":
            prefix = "" if plan.get("bearerPrefixEnabled") is False else "Bearer "
            return {_text(plan, "headerName", "Authorization"): prefix + _text(plan, "token", "")}
        case "hmac":
            return _signed(plan, body, url, str(timestamp_s), message_id)
        case other:
            raise CannotSign(f"authenticationPlan.type {str(other)[:40]} is not supported yet")


def _signed(plan: Mapping[str, Any], body: str, url: str, timestamp: str, message_id: str) -> dict[str, str]:
    stamped = plan.get("includeTimestamp") is not False
    payload = _text(plan, "payloadFormat", "{timestamp}.{body}" if stamped else "{body}")
    # The body goes in last: what looks like a token in it is none.
    values = {"timestamp": timestamp, "method": "POST", "url": url, "svix-id": message_id}
    before, token, after = payload.partition("{body}")
    for name, value in values.items():
        before, after = (part.replace("{" + name + "}", value) for part in (before, after))
    signed = before + (body if token else "") + after
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
        headers[name] = message_id
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

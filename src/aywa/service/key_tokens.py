"""Tokens that a customer signs with a private key of his (JWT, RFC 7519, by HMAC-SHA256), and what they restrict (contract 2.1).

Decides only: whose token it is, whether it holds, and whether a call may be made with it. No other algorithm is known, so none
can be confused with this one (RFC 8725, 3.1).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aywa.ports.store import ApiKey, Restrictions
from aywa.service.errors import NotAllowed

ALGORITHM = "HS256"
LENGTH_MAX = 8_192
LEEWAY_S = 30.0
"""How much the signer's clock may be ahead or behind."""

TAGS = ("private", "public")
_LIST_MAX = 1_000


class BadToken(Exception):
    """It is no token of this form, or says nothing that can be used."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says, before anybody has looked at its signature."""

    org_id: str
    tag: str
    restrictions: Restrictions | None
    signed: bytes
    signature: bytes
    not_before_s: float | None = None
    expires_s: float | None = None

    def signed_with(self, secret: str) -> bool:
        """Whether its signature is by this secret."""
        made = hmac.new(secret.encode(), self.signed, hashlib.sha256).digest()
        return hmac.compare_digest(made, self.signature)

    def holds_at(self, now_s: float) -> bool:
        """Whether it is its time."""
        early = self.not_before_s is not None and now_s < self.not_before_s - LEEWAY_S
        late = self.expires_s is not None and now_s > self.expires_s + LEEWAY_S
        return not early and not late


def is_token(secret: str) -> bool:
    """Whether it has the form of a token: three parts."""
    return secret.count(".") == 2 and len(secret) <= LENGTH_MAX


def read_token(text: str) -> Token:
    """Raises BadToken."""
    head, payload, signature = text.split(".")
    header = _json(head)
    if header.get("alg") != ALGORITHM:
        raise BadToken(f"The token must be signed with {ALGORITHM}.")
    said = _json(payload)
    token = said.get("token")
    token = token if isinstance(token, Mapping) else {}
    org_id, tag = said.get("orgId"), token.get("tag", "private")
    if not isinstance(org_id, str) or tag not in TAGS:
        raise BadToken(f"The token must have orgId, and token.tag of {', '.join(TAGS)}.")
    return Token(
        org_id,
        tag,
        _restrictions(token.get("restrictions")),
        f"{head}.{payload}".encode("ascii"),
        _decoded(signature),
        _seconds(said, "nbf"),
        _seconds(said, "exp"),
    )


def check_call(key: ApiKey, body: Any, origin: str | None) -> None:
    """Raises NotAllowed where the key's restrictions do not let this call be made, or not from this web page."""
    limits = key.restrictions
    if limits is None:
        return
    if limits.origins and origin not in limits.origins:
        raise NotAllowed("This token may not be used from this origin.")
    body = body if isinstance(body, Mapping) else {}
    transient = [name for name in ("assistant", "squad", "workflow") if body.get(name) is not None]
    if transient and not limits.transient:
        raise NotAllowed(f"This token may not bring its own {transient[0]} along.")
    if limits.assistant_ids is None:
        return
    for name in ("assistantId", "squadId"):
        if body.get(name) is not None and body[name] not in limits.assistant_ids:
            raise NotAllowed(f"This token may not call this {name[:-2]}.")


def _restrictions(given: Any) -> Restrictions | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise BadToken("The token's restrictions must be an object.")
    if given.get("enabled") is not True:
        return None
    origins, assistants = (_texts(given, name) for name in ("allowedOrigins", "allowedAssistantIds"))
    transient = given.get("allowTransientAssistant", True)
    if not isinstance(transient, bool):
        raise BadToken("The token's allowTransientAssistant must be a boolean.")
    return Restrictions(origins or (), assistants or None, transient)


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = given.get(name)
    if texts is None:
        return ()
    if not isinstance(texts, list) or len(texts) > _LIST_MAX or not all(isinstance(t, str) for t in texts):
        raise BadToken(f"The token's {name} must be an array of strings.")
    return tuple(texts)


def _seconds(said: Mapping[str, Any], name: str) -> float | None:
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadToken(f"The token's {name} must be a number.")
    return float(value)


def _json(part: str) -> Mapping[str, Any]:
    try:
        value = json.loads(_decoded(part))
    except (ValueError, RecursionError):
        raise BadToken("The token is not JSON inside.") from None
    if not isinstance(value, Mapping):
        raise BadToken("The token holds no object.")
    return value


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadToken("The token is not base64url.") from None

"""Whether a request is a vendor's own, by the signature that it makes of it. Pure; nothing here raises, whatever it is given.

Every comparison takes as long for a good guess as for a bad one. An address may have several spellings (a proxy before us,
a port that is the scheme's own): whoever signed one of them has the key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TOLERANCE_S = 300.0
"""How old a signature with a time in it may be, and how far ahead the other's clock (Telnyx, "Webhooks": 5 minutes)."""

SIGNATURES_MAX = 8
"""How many signatures a header may hold (Plivo: one for each of the account's tokens)."""

JWT_LENGTH_MAX = 8_192
_USUAL = "HMAC_SHA1"
_ALGORITHMS = {_USUAL: "sha1", "HMAC_SHA256": "sha256"}
_OWN_PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80}

Fields = Mapping[str, Sequence[str]]
"""A form's fields, decoded, each with all its values."""


def spellings(urls: Iterable[str]) -> list[str]:
    """Each address as it stands, without its port, and with its scheme's own where it has none: what signs for Twilio is not
    consistent, and its own helpers try them all."""
    found: dict[str, None] = {}
    for url in urls:
        found[url] = None
        try:
            parts = urlsplit(url)
            own, port = _OWN_PORTS.get(parts.scheme), parts.port
        except ValueError:
            continue
        if own is None or not parts.hostname:
            continue
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        for netloc in (host, f"{host}:{port or own}"):
            found[urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))] = None
    return list(found)


def twilio(
    urls: Iterable[str],
    fields: Fields,
    signature: str,
    auth_token: str,
    body: bytes | None = None,
    settings: str = "",
) -> bool:
    """X-Twilio-Signature: HMAC-SHA1 of the address and the sorted fields (Twilio, "Webhooks security"). body: of a request
    that holds no form; then its SHA-256 stands in the address (bodySHA256). settings: of the header
    X-Twilio-Webhooks-Signature-Settings, which may name another algorithm."""
    algorithm = _ALGORITHMS.get(_algorithm(settings))
    if not auth_token or not signature or algorithm is None:
        return False
    sent = "".join(f"{name}{value}" for name in sorted(fields) for value in sorted(set(fields[name])))
    given = signature.encode("utf-8", "replace")
    found = False
    for url in spellings(urls):
        made = base64.b64encode(_hmac(algorithm, auth_token, url + sent))
        found |= hmac.compare_digest(made, given) and (body is None or _is_hash_of(url, body))
    return found


def signalwire(urls: Iterable[str], fields: Fields, signature: str, signing_key: str, body: bytes) -> bool:
    """X-SignalWire-Signature: of cXML's forms as Twilio's; of anything else the hexadecimal HMAC-SHA1 of address and body
    (SignalWire, "Webhook security")."""
    urls = list(urls)
    if twilio(urls, fields, signature, signing_key):
        return True
    if not signing_key or not signature:
        return False
    given = signature.encode("utf-8", "replace")
    found = False
    for url in spellings(urls):
        made = hmac.new(_bytes(signing_key), _bytes(url) + body, "sha1").hexdigest()
        found |= hmac.compare_digest(made.encode(), given)
    return found


def plivo(
    method: str, urls: Iterable[str], fields: Fields, nonce: str, signatures: str, auth_token: str
) -> bool:
    """X-Plivo-Signature-V3: HMAC-SHA256 of the address, its sorted query, the sorted fields and a nonce (Plivo, "Validating
    requests", V3). signatures: one for each of the account's tokens, with commas between."""
    if not auth_token or not nonce:
        return False
    given = [each.strip().encode("utf-8", "replace") for each in signatures.split(",", SIGNATURES_MAX)]
    found = False
    for url in spellings(urls):
        base = _plivo_base(url, fields if method.upper() != "GET" else {})
        if base is None:
            continue
        made = base64.b64encode(_hmac("sha256", auth_token, f"{base}.{nonce}"))
        for each in given[:SIGNATURES_MAX]:
            found |= hmac.compare_digest(made, each)
    return found


def telnyx(timestamp: str, body: bytes, signature: str, public_key: str, now_s: float) -> bool:
    """telnyx-signature-ed25519 over `timestamp|body` (Telnyx, "Webhook signature verification")."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + b"|" + body)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def vonage(authorization: str, payloads: Iterable[bytes], signature_secret: str, now_s: float) -> bool:
    """A signed webhook (Vonage, "Webhooks", decoding signed webhooks): a JSON Web Token (HS256) in Authorization, whose
    payload_hash is one of the payloads' SHA-256. A token without one proves nothing of what came along with it, so it
    is good for an empty payload alone."""
    claims = _claims(authorization, signature_secret)
    if claims is None:
        return False
    issued, stated = claims.get("iat"), claims.get("payload_hash")
    if not isinstance(issued, int | float) or isinstance(issued, bool) or abs(now_s - issued) > TOLERANCE_S:
        return False
    found = False
    for payload in payloads:
        made = hashlib.sha256(payload).hexdigest()
        found |= (
            hmac.compare_digest(made.encode(), _bytes(stated)) if isinstance(stated, str) else not payload
        )
    return found


def same(given: str, wanted: str) -> bool:
    """Whether a token is the one that is wanted; an empty one never is."""
    return bool(wanted) and hmac.compare_digest(_bytes(given), _bytes(wanted))


def _algorithm(settings: str) -> str:
    pairs = [each.partition("=") for each in settings.split(",", SIGNATURES_MAX)]
    named = [value.strip() for name, _, value in pairs if name.strip() == "algorithm" and value.strip()]
    return named[0].upper() if named else _USUAL


def _claims(authorization: str, secret: str) -> dict[str, Any] | None:
    scheme, _, token = authorization.strip().partition(" ")
    parts = token.strip().split(".")
    if not secret or scheme.lower() != "bearer" or len(parts) != 3 or len(token) > JWT_LENGTH_MAX:
        return None
    made = base64.urlsafe_b64encode(_hmac("sha256", secret, f"{parts[0]}.{parts[1]}")).rstrip(b"=")
    if not hmac.compare_digest(made, _bytes(parts[2].rstrip("="))):
        return None
    header, claims = _json(parts[0]), _json(parts[1])
    # RFC 8725 3.1: the algorithm is ours to say.
    return claims if header is not None and header.get("alg") == "HS256" else None


def _json(part: str) -> dict[str, Any] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _plivo_base(url: str, fields: Fields) -> str | None:
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        return None
    asked = "&".join(f"{name}={value}" for name in sorted(query) for value in sorted(query[name]))
    sent = "".join(f"{name}{value}" for name in sorted(fields) for value in sorted(fields[name]))
    base = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    if asked or fields:
        base += f"?{asked}"
    if asked and fields:
        base += "."
    return base + sent


def _is_hash_of(url: str, body: bytes) -> bool:
    try:
        stated = parse_qs(urlsplit(url).query).get("bodySHA256", [""])[0]
    except ValueError:
        return False
    return hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), _bytes(stated))


def _hmac(name: str, key: str, text: str) -> bytes:
    return hmac.new(_bytes(key), _bytes(text), name).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")

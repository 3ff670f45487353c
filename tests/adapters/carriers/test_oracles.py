"""Our checks of signatures against the vendors' own Python helpers: what theirs make ours believe, and the other way round,
over requests that hypothesis makes up."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from types import ModuleType
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from plivo.utils.signature_v3 import (
    construct_get_url,
    construct_post_url,
    get_signature_v3,
    validate_v3_signature,
)
from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature
from twilio.request_validator import RequestValidator, get_signature_algorithm

from aywa.adapters.carriers import signatures

NAMES = st.sampled_from("CallSid From To CallerName Digits CallStatus a A b".split())
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)
FIELDS = st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=3), max_size=6)
QUERIES = st.dictionaries(st.sampled_from("call x y".split()), st.sampled_from(["1", "a-b", ""]), max_size=3)
TOKENS = st.text("abcdef0123456789", min_size=8, max_size=32)
PORTS = st.sampled_from(["", ":443", ":8443"])


def address(port: str, query: dict[str, str]) -> str:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return f"https://voice.example.com{port}/inbound/twilio/n1" + (f"?{asked}" if asked else "")


class Form(dict[str, list[str]]):
    """As Django has it: several values of one name."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


ALGORITHMS = st.sampled_from(["", "HMAC_SHA1", "HMAC_SHA256", "HMAC_MD5"])


# --- twilio ------------------------------------------------------------------------------------------------------------


@given(FIELDS, QUERIES, TOKENS, PORTS)
def test_what_twilio_s_validator_signs_is_believed(
    fields: dict[str, list[str]], query: dict[str, str], token: str, port: str
) -> None:
    url, validator = address(port, query), RequestValidator(token)
    signature = validator.compute_signature(url, Form(fields))
    assert signatures.twilio([url], fields, signature, token)
    assert not signatures.twilio([url], fields, signature, token + "0")
    assert not signatures.twilio([url], {**fields, "New": ["x"]}, signature, token)


@given(FIELDS, QUERIES, TOKENS, PORTS, PORTS, ALGORITHMS, st.booleans())
def test_what_is_believed_twilio_s_validator_believes(
    fields: dict[str, list[str]],
    query: dict[str, str],
    token: str,
    port: str,
    signed_port: str,
    algorithm: str,
    wrong: bool,
) -> None:
    url, validator = address(port, query), RequestValidator(token)
    made = algorithm if algorithm != "HMAC_MD5" else "HMAC_SHA1"
    signature = validator.compute_signature(address(signed_port, query), Form(fields), made)
    signature = signature[::-1] if wrong else signature
    settings = f"key=k1,algorithm={algorithm}"
    theirs = validator.validate(url, Form(fields), signature, get_signature_algorithm(settings))
    assert signatures.twilio([url], fields, signature, token, settings=settings) is theirs


@given(st.binary(max_size=200), TOKENS)
def test_a_body_of_json_as_twilio_s_validator_has_it(body: bytes, token: str) -> None:
    text = body.decode("latin-1")
    validator = RequestValidator(token)
    url = address("", {"bodySHA256": hashlib.sha256(text.encode()).hexdigest()})
    signature = validator.compute_signature(url, {})
    assert validator.validate(url, text, signature)
    assert signatures.twilio([url], {}, signature, token, text.encode())


# --- plivo -------------------------------------------------------------------------------------------------------------

ASCII = st.text("abcXYZ019 +-_.", max_size=12)
PLIVO_FIELDS = st.dictionaries(NAMES, ASCII, max_size=5)


@given(
    PLIVO_FIELDS,
    QUERIES,
    TOKENS,
    st.sampled_from(["GET", "POST"]),
    st.text("0123456789", min_size=5, max_size=9),
)
def test_what_plivo_s_helper_signs_is_believed(
    fields: dict[str, str], query: dict[str, str], token: str, method: str, nonce: str
) -> None:
    url = address("", query)
    base = construct_get_url(url, {}) if method == "GET" else construct_post_url(url, dict(fields))
    signature = get_signature_v3(token.encode(), base, nonce.encode()).decode()
    sent = {name: [value] for name, value in fields.items()}
    assert signatures.plivo(method, [url], sent, nonce, f"x,{signature}", token)
    assert not signatures.plivo(method, [url], sent, nonce + "1", signature, token)
    params: dict[str, Any] = {} if method == "GET" else dict(fields)
    assert validate_v3_signature(method, url, nonce, token, signature, params)


# --- telnyx ------------------------------------------------------------------------------------------------------------


class _BadSignature(Exception):
    """nacl.exceptions.BadSignatureError."""


class _VerifyKey:
    """nacl.signing.VerifyKey, for the vendor's helper: PyNaCl itself is not needed for one check of Ed25519."""

    def __init__(self, key: bytes) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(key)

    def verify(self, message: bytes, signature: bytes) -> bytes:
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise _BadSignature from None
        return message


def telnyx_believes(payload: bytes, headers: dict[str, str], public_key: str) -> bool:
    """What Telnyx's own helper says."""
    signing, exceptions = ModuleType("nacl.signing"), ModuleType("nacl.exceptions")
    signing.__dict__["VerifyKey"], exceptions.__dict__["BadSignatureError"] = _VerifyKey, _BadSignature
    with pytest.MonkeyPatch.context() as patch:
        for name, module in (
            ("nacl", ModuleType("nacl")),
            ("nacl.signing", signing),
            ("nacl.exceptions", exceptions),
        ):
            patch.setitem(sys.modules, name, module)
        patch.setattr("telnyx.lib.webhook_verification.time.time", lambda: 1_700_000_000.0)
        try:
            verify_webhook_signature(payload, headers, public_key)
        except WebhookVerificationError:
            return False
    return True


@given(
    st.binary(min_size=32, max_size=32),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=100),
    st.sampled_from(["1700000000", "1699999701", "1699999699", "1700000300", "1700000301", "soon", ""]),
    st.booleans(),
)
def test_telnyx_s_helper_and_we_agree(seed: bytes, text: str, timestamp: str, wrong: bool) -> None:
    key, payload = Ed25519PrivateKey.from_private_bytes(seed), text.encode()
    public = base64.b64encode(
        key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    ).decode()
    signed = timestamp.encode() + b"|" + payload + (b"!" if wrong else b"")
    signature = base64.b64encode(key.sign(signed)).decode()
    headers = {"Telnyx-Timestamp": timestamp, "Telnyx-Signature-Ed25519": signature}
    theirs = telnyx_believes(payload, headers, public)
    assert signatures.telnyx(timestamp, payload, signature, public, 1_700_000_000.0) is theirs
    assert theirs is (not wrong and timestamp in ("1700000000", "1699999701", "1700000300"))


# --- vonage ------------------------------------------------------------------------------------------------------------


@given(
    st.binary(max_size=200), st.text(min_size=32, max_size=64), st.sampled_from(["HS256", "HS384", "HS512"])
)
def test_a_token_of_pyjwt_s_is_vonage_s_when_it_is_hs256(body: bytes, secret: str, algorithm: str) -> None:
    secret = secret.encode("utf-8", "ignore").decode() + "0" * 32
    claims = {
        "iat": 1_700_000_000,
        "jti": "x",
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": "abcd1234",
    }
    token = jwt.encode(claims, secret, algorithm)
    believed = signatures.vonage(f"Bearer {token}", [body], secret, 1_700_000_010.0)
    assert believed is (algorithm == "HS256")
    assert (
        json.loads(json.dumps(jwt.decode(token, secret, [algorithm], options={"verify_iat": False})))
        == claims
    )

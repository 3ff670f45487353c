"""Signatures: the vendors' own examples and, for every scheme, that nothing but the right key over the right request is good."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.carriers import signatures

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
).decode()
URL = "https://voice.example.com/inbound/twilio/n1?call=c1"
NOW_S = 1_700_000_000.0
FIELDS = {"CallSid": ["CA1"], "From": ["+4930123"], "Digits": ["1234", "1234", "12"]}


def sha1(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), "sha1").digest()).decode()


# --- Twilio ------------------------------------------------------------------------------------------------------------


def test_twilio_signs_its_documented_example() -> None:
    # "Webhooks security": the example of the page, as twilio-python's own tests have it.
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    fields = {
        "CallSid": ["CA1234567890ABCDE"],
        "Caller": ["+14158675309"],
        "Digits": ["1234"],
        "From": ["+14158675309"],
        "To": ["+18005551212"],
    }
    # Published as RSOYDt4T1cUTdK1PDd93/VVr8B8= for this token.
    assert signatures.twilio([url], fields, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12345")
    assert not signatures.twilio([url], fields, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12346")


def test_twilio_takes_a_value_that_comes_twice_once() -> None:
    good = sha1("token", URL + "CallSidCA1" + "Digits12Digits1234" + "From+4930123")
    assert signatures.twilio([URL], FIELDS, good, "token")


@pytest.mark.parametrize(
    ("signed", "asked"),
    [
        ("https://a.example:443/x", "https://a.example/x"),
        ("https://a.example/x", "https://a.example:443/x"),
        ("wss://a.example:443/x", "wss://a.example/x"),
        ("http://[::1]/x", "http://[::1]:80/x"),
    ],
)
def test_the_schemes_own_port_may_be_written_or_not(signed: str, asked: str) -> None:
    assert signatures.twilio([asked], {}, sha1("t", signed), "t")


def test_a_port_may_be_left_out_and_not_be_changed() -> None:
    urls = ["https://a.example:8443/x"]
    assert signatures.twilio(urls, {}, sha1("t", "https://a.example/x"), "t")
    assert not signatures.twilio(urls, {}, sha1("t", "https://a.example:443/x"), "t")


def test_twilio_may_name_another_algorithm() -> None:
    made = base64.b64encode(hmac.new(b"t", URL.encode(), "sha256").digest()).decode()
    settings = "key=webhooks_sharedkey_1, algorithm=HMAC_SHA256"
    assert signatures.twilio([URL], {}, made, "t", settings=settings)
    assert not signatures.twilio([URL], {}, made, "t")
    assert not signatures.twilio([URL], {}, made, "t", settings="algorithm=MD5")


def test_any_of_several_addresses_may_be_the_one() -> None:
    urls = ["https://proxy.example/x", "http://10.0.0.1:8080/x"]
    assert signatures.twilio(urls, {}, sha1("t", urls[1]), "t")


def test_a_body_that_is_no_form_stands_in_the_address() -> None:
    body = b'{"a":1}'
    url = f"https://a.example/x?bodySHA256={hashlib.sha256(body).hexdigest()}"
    assert signatures.twilio([url], {}, sha1("t", url), "t", body)
    assert not signatures.twilio([url], {}, sha1("t", url), "t", b'{"a":2}')
    bare = "https://a.example/x"
    assert not signatures.twilio([bare], {}, sha1("t", bare), "t", body)


@given(st.text(), st.text(), st.text(), st.dictionaries(st.text(), st.lists(st.text())))
def test_nothing_raises_twilio(url: str, signature: str, token: str, fields: dict[str, list[str]]) -> None:
    assert signatures.twilio([url], fields, signature, token, b"x") is False


@given(st.sampled_from(["From", "CallSid", "Digits"]), st.text(min_size=1))
def test_a_changed_field_is_not_twilios(name: str, more: str) -> None:
    good = sha1("token", URL + "CallSidCA1" + "Digits12Digits1234" + "From+4930123")
    changed = {**FIELDS, name: [FIELDS[name][0] + more]}
    assert not signatures.twilio([URL], changed, good, "token")


# --- SignalWire --------------------------------------------------------------------------------------------------------


def test_signalwire_signs_forms_as_twilio_does() -> None:
    good = sha1("psk", URL + "AB")
    assert signatures.signalwire([URL], {"A": ["B"]}, good, "psk", b"A=B")
    assert not signatures.signalwire([URL], {"A": ["C"]}, good, "psk", b"A=C")


def test_signalwire_signs_other_bodies_with_the_address() -> None:
    body = b'{"x":1}'
    good = hmac.new(b"psk", URL.encode() + body, "sha1").hexdigest()
    assert signatures.signalwire([URL], {}, good, "psk", body)
    assert not signatures.signalwire([URL], {}, good, "psk", body + b" ")
    assert not signatures.signalwire([URL], {}, good, "", body)


# --- Plivo -------------------------------------------------------------------------------------------------------------


def plivo(base: str, nonce: str = "n0", token: str = "token") -> str:
    made = hmac.new(token.encode(), f"{base}.{nonce}".encode(), "sha256").digest()
    return base64.b64encode(made).decode()


@pytest.mark.parametrize(
    ("method", "url", "fields", "base"),
    [
        ("POST", "https://a.example/x", {}, "https://a.example/x"),
        ("GET", "https://a.example/x?b=2&a=1", {"ignored": ["1"]}, "https://a.example/x?a=1&b=2"),
        ("POST", "https://a.example/x", {"b": ["2"], "a": ["1"]}, "https://a.example/x?a1b2"),
        ("POST", "https://a.example/x?q=9", {"a": ["2", "1"]}, "https://a.example/x?q=9.a1a2"),
        ("POST", "https://a.example/x?q=a%20b&e=", {}, "https://a.example/x?e=&q=a b"),
    ],
)
def test_plivo_signs_address_query_fields_and_nonce(
    method: str, url: str, fields: dict[str, list[str]], base: str
) -> None:
    assert signatures.plivo(method, [url], fields, "n0", plivo(base), "token")
    assert not signatures.plivo(method, [url], fields, "n1", plivo(base), "token")
    assert not signatures.plivo(method, [url + "z"], fields, "n0", plivo(base), "token")


def test_plivo_may_sign_with_several_tokens() -> None:
    both = f"{plivo('https://a.example/x', token='other')}, {plivo('https://a.example/x')}"
    assert signatures.plivo("POST", ["https://a.example/x"], {}, "n0", both, "token")
    assert not signatures.plivo("POST", ["https://a.example/x"], {}, "n0", both, "third")


@given(st.text(), st.text(), st.text(), st.text(), st.text(), st.dictionaries(st.text(), st.lists(st.text())))
def test_nothing_raises_plivo(
    method: str, url: str, nonce: str, signature: str, token: str, fields: dict[str, list[str]]
) -> None:
    assert signatures.plivo(method, [url], fields, nonce, signature, token) is False


# --- Telnyx ------------------------------------------------------------------------------------------------------------


def telnyx(timestamp: str, body: bytes) -> str:
    return base64.b64encode(KEY.sign(timestamp.encode() + b"|" + body)).decode()


def test_telnyx_signs_time_and_body() -> None:
    good = telnyx("1700000000", b"{}")
    assert signatures.telnyx("1700000000", b"{}", good, PUBLIC, NOW_S)
    assert not signatures.telnyx("1700000000", b"{ }", good, PUBLIC, NOW_S)
    assert not signatures.telnyx("1700000001", b"{}", good, PUBLIC, NOW_S)


@pytest.mark.parametrize(
    ("later_s", "good"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)]
)
def test_telnyx_is_not_believed_long_after(later_s: float, good: bool) -> None:
    signature = telnyx("1700000000", b"{}")
    assert signatures.telnyx("1700000000", b"{}", signature, PUBLIC, NOW_S + later_s) is good


@given(st.text(), st.binary(), st.text(), st.text())
def test_nothing_raises_telnyx(timestamp: str, body: bytes, signature: str, key: str) -> None:
    assert signatures.telnyx(timestamp, body, signature, key, NOW_S) is False
    assert signatures.telnyx("1700000000", body, signature, PUBLIC, NOW_S) is False


# --- Vonage ------------------------------------------------------------------------------------------------------------


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token(claims: dict[str, Any], secret: str = "secret", alg: str = "HS256") -> str:
    signed = f"{part({'alg': alg, 'typ': 'JWT'})}.{part(claims)}"
    made = hmac.new(secret.encode(), signed.encode(), "sha256").digest()
    return f"Bearer {signed}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def claims(body: bytes, **more: Any) -> dict[str, Any]:
    return {"iat": 1_700_000_000, "iss": "Vonage", "payload_hash": hashlib.sha256(body).hexdigest(), **more}


def test_vonage_signs_a_hash_of_the_payload() -> None:
    body = b'{"from":"4930123"}'
    assert signatures.vonage(token(claims(body)), [body], "secret", NOW_S)
    assert signatures.vonage(token(claims(body)), [b"other", body], "secret", NOW_S)
    assert not signatures.vonage(token(claims(body)), [body + b" "], "secret", NOW_S)
    assert not signatures.vonage(token(claims(body)), [body], "another", NOW_S)
    assert not signatures.vonage(token(claims(body)), [body], "", NOW_S)


def test_a_token_without_a_hash_proves_no_payload() -> None:
    bare = token({"iat": 1_700_000_000})
    assert signatures.vonage(bare, [b""], "secret", NOW_S)
    assert not signatures.vonage(bare, [b"{}"], "secret", NOW_S)


@pytest.mark.parametrize("iat", [1_700_000_301, 1_699_999_699, "1700000000", True, None])
def test_a_token_of_another_time_is_old(iat: Any) -> None:
    assert not signatures.vonage(token(claims(b"", iat=iat)), [b""], "secret", NOW_S)


def test_the_algorithm_is_ours_to_say() -> None:
    assert not signatures.vonage(token(claims(b""), alg="none"), [b""], "secret", NOW_S)
    unsigned = f"Bearer {part({'alg': 'none'})}.{part(claims(b''))}."
    assert not signatures.vonage(unsigned, [b""], "secret", NOW_S)


def test_a_scheme_that_is_not_bearer_is_no_token() -> None:
    assert not signatures.vonage(token(claims(b"")).replace("Bearer", "Basic"), [b""], "secret", NOW_S)


@given(st.text(), st.binary())
def test_nothing_raises_vonage(authorization: str, body: bytes) -> None:
    assert signatures.vonage(authorization, [body], "secret", NOW_S) is False
    assert signatures.vonage(f"Bearer {authorization}", [body], "secret", NOW_S) is False
    signed = f"{authorization}.x"
    made = hmac.new(b"secret", signed.encode("utf-8", "replace"), "sha256").digest()
    whole = f"Bearer {signed}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"
    assert signatures.vonage(whole, [body], "secret", NOW_S) is False


# --- tokens --------------------------------------------------------------------------------------------------------------


def test_an_empty_token_is_no_token() -> None:
    assert signatures.same("abc", "abc")
    assert not signatures.same("", "")
    assert not signatures.same("abc", "abd")
    assert not signatures.same("\ud800", "abd")

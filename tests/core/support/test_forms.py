"""How secrets are written: whoever encodes one, it is among the forms."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus, urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aywa.core.support.forms import LEAST, forms, secrets_in

SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=60)


def has(secret: str, text: str | bytes) -> bool:
    data = text.encode() if isinstance(text, str) else text
    return any(form in data for form in forms(secret))


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(SECRETS, st.binary(max_size=7), st.binary(max_size=7))
def test_in_whatever_it_is_encoded_with_others(secret: str, before: bytes, after: bytes) -> None:
    data = before + secret.encode() + after
    for text in (base64.b64encode(data), base64.urlsafe_b64encode(data), data.hex(), data.hex().upper()):
        assert has(secret, text)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(SECRETS)
def test_in_json_and_in_addresses(secret: str) -> None:
    body = json.dumps({"a": secret})
    for text in (
        body,
        json.dumps({"a": secret}, ensure_ascii=False),
        json.dumps({"body": body}),
        json.dumps({"a": secret}).replace("/", "\\/"),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        urlencode({"key": secret}),
        quote(base64.b64encode(secret.encode()), safe=""),
    ):
        assert has(secret, text)


def test_escapes_may_be_small() -> None:
    assert has("a/b:c=d?e", "a%2fb%3ac%3dd%3fe")


def test_a_short_one_has_its_whole_forms_only() -> None:
    assert b"1234" in forms("1234")
    assert base64.b64encode(b"1234") in forms("1234")
    assert all(len(form) >= LEAST for form in forms("12345"))


def test_what_is_a_secret() -> None:
    assert secrets_in(["  abcd\n", "abc", "", "é1"]) == {"abcd"}
    pem = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nshort\n-----END KEY-----"
    assert secrets_in([pem]) == {pem, "MIIEvQIBADANBgkqhkiG"}

"""Which fields are secrets; taken out and put back a document is what it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.service.secret_fields import is_secret, joined, kept, kept_in_list, split

SECRET = (
    "apiKey apikey api_key API-KEY authToken apiSecret clientSecret secretKey token password authPassword privateKey gcpKey"
    " awsSecretAccessKey secretAccessKey openAIKey ocpApimSubscriptionKey connectionString webhookUrl accessToken"
    " refreshToken Authorization headers hmacAccessKey passphrase"
).split()
OPEN = (
    "provider name region userId accountSid baseUrl apiUrl publicKey authUsername clientId url scope tokenUri accessKeyId"
    " awsAccessKeyId privateKeyId headerName algorithm signatureHeader gateways ip realm bearerPrefixEnabled type"
).split()


@pytest.mark.parametrize("name", SECRET)
def test_these_are_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", OPEN)
def test_these_are_not(name: str) -> None:
    assert not is_secret(name)


def test_they_are_taken_out_at_any_depth() -> None:
    document = {
        "provider": "gcp",
        "gcpKey": {"privateKey": "s1", "clientEmail": "a@b"},
        "authenticationPlan": {
            "type": "oauth2",
            "clientId": "me",
            "clientSecret": "s2",
            "secretIsBase64": True,
        },
        "list": [{"token": "s3"}, "plain", {"password": None}],
    }
    public, secrets = split(document)
    assert public == {
        "provider": "gcp",
        "authenticationPlan": {"type": "oauth2", "clientId": "me", "secretIsBase64": True},
        "list": [{}, "plain", {"password": None}],
    }
    assert joined(public, json.loads(json.dumps(secrets))) == document


names = st.sampled_from([*SECRET, *OPEN])
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(names, values, max_size=5))
def test_what_is_taken_out_can_be_put_back(document: dict[str, Any]) -> None:
    public, secrets = split(document)
    assert split(public) == (public, [])
    assert joined(public, secrets) == document


def test_a_secret_whose_place_is_gone_is_left_out() -> None:
    assert joined({"a": 1}, [(["b", "token"], "s"), (["a", "token"], "s"), (["c", 0], "s")]) == {"a": 1}
    assert joined({"list": []}, [(["list", 0, "token"], "s")]) == {"list": []}


def test_what_is_sent_back_as_it_was_read_keeps_its_secrets() -> None:
    old = {"apiKey": "s", "plan": {"type": "hmac", "secretKey": "s2", "algorithm": "sha256"}, "name": "n"}
    public, _ = split(old)
    assert kept(public, old) == old
    assert kept({"apiKey": None, "plan": {"type": "bearer"}}, old) == {
        "apiKey": None,
        "plan": {"type": "bearer"},
    }
    assert kept({"plan": "text"}, old)["plan"] == "text"


def test_in_a_list_they_are_found_by_provider_and_name() -> None:
    old = [
        {"provider": "openai", "name": "a", "apiKey": "1"},
        {"provider": "openai", "name": "a", "apiKey": "2"},
        {"provider": "openai", "apiKey": "3"},
    ]
    new = [{"provider": "openai"}, "junk", {"provider": "openai", "name": "a"}, {"provider": "11labs"}]
    assert kept_in_list(new, old) == [
        {"provider": "openai", "apiKey": "3"},
        "junk",
        {"provider": "openai", "name": "a", "apiKey": "1"},
        {"provider": "11labs"},
    ]

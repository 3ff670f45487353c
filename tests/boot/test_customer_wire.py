"""What speaks with customers' servers: the operator's own webhook, the guard, and answers that are packed."""

from __future__ import annotations

import gzip

import pytest

from aywa.adapters.wire.outbound import Outbound
from aywa.boot.customer_wire import (
    SECRET,
    URL,
    CustomerWire,
    account_webhook_from_environment,
    signing_key,
    signing_secret,
)
from aywa.boot.errors import CannotStart
from aywa.ports.errors import ProviderError
from aywa.ports.server_questions import Server, ServerChain
from aywa.ports.webhooks import CannotSign
from tests.adapters.webhooks.far import Far, running

MESSAGE = {"type": "assistant-request"}


def test_the_operator_s_own_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (URL, SECRET):
        monkeypatch.delenv(name, raising=False)
    assert account_webhook_from_environment().server is None
    monkeypatch.setenv(URL, " https://operator.example/hook\n")
    monkeypatch.setenv(SECRET, "planted\n")
    settings = account_webhook_from_environment()
    assert settings.server == {"url": "https://operator.example/hook", "secret": "planted"}
    assert "planted" not in repr(settings)
    monkeypatch.setenv(URL, "operator.example")
    with pytest.raises(CannotStart, match=URL):
        account_webhook_from_environment()


async def test_an_internal_address_is_not_asked() -> None:
    wire, far = CustomerWire(Outbound().connector), Far()
    async with running(far):
        with pytest.raises(ProviderError) as caught:
            await wire.questions.ask(MESSAGE, ServerChain((Server(far.url),)), deadline_s=5.0)
        await wire.close()
    assert (caught.value.code, far.bodies) == ("bad_url", [])
    assert "internal" in str(caught.value)


async def test_an_answer_that_is_packed_is_not_unpacked() -> None:
    wire, far = CustomerWire(), Far(body=gzip.compress(b" " * 10_000_000))
    far.answer_headers = {"Content-Encoding": "gzip"}
    async with running(far):
        with pytest.raises(ProviderError) as caught:
            await wire.questions.ask(MESSAGE, ServerChain((Server(far.url),)), deadline_s=5.0)
        await wire.close()
    assert caught.value.code == "malformed"
    assert far.headers[0]["accept-encoding"] == "identity"


async def test_nothing_is_signed_before_somebody_can_look_it_up() -> None:
    wire = CustomerWire()
    with pytest.raises(CannotSign) as caught:
        await wire.signing.headers(
            "o", "credential:c", url="https://h/", body="{}", message_id="m", timestamp_s=1
        )
    assert caught.value.retryable
    await wire.close()


def test_a_signing_secret_is_a_key_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    assert signing_key("") == ""
    assert signing_key("whsec_c2VzYW1l") == "whsec_c2VzYW1l"
    assert signing_key("sesame") == "whsec_c2VzYW1l"
    monkeypatch.setenv("WEBHOOK_SIGNING_SECRET", " whsec_c2VzYW1l\n")
    assert signing_secret() == "whsec_c2VzYW1l"

"""/inbound as vendors see it: addresses in any spelling, forms and JSON, proxies, and what a stranger hears."""

from __future__ import annotations

import base64
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import httpx
import pytest

from aywa.adapters.carriers.twilio import Twilio
from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.api.app import create_app
from aywa.api.settings import ApiSettings
from aywa.service.carrier_lines import CarrierParts
from aywa.service.services import PhoneParts, join_services
from tests.service.test_carriers import SID, TOKEN, Host

NUMBER = {"provider": "twilio", "number": "+15550100", "twilioAccountSid": SID, "twilioAuthToken": TOKEN}


class Door:
    """An API with a number of Twilio's."""

    def __init__(self, client: httpx.AsyncClient, number_id: str, host: Host) -> None:
        self.client = client
        self.number_id = number_id
        self.host = host

    async def post(
        self,
        signed: str,
        tail: str = "",
        asked: str = "",
        headers: dict[str, str] | None = None,
        **fields: str,
    ) -> httpx.Response:
        """signed: how Twilio wrote the address, without the path. asked: as it came to us, if otherwise."""
        path = f"/inbound/twilio/{self.number_id}{tail}"
        fields = {"CallSid": "CA1", "From": "+4930123"} | fields
        text = signed + path + "".join(f"{name}{fields[name]}" for name in sorted(fields))
        made = base64.b64encode(hmac.new(TOKEN.encode(), text.encode(), "sha1").digest()).decode()
        given = {
            "x-twilio-signature": made,
            "content-type": "application/x-www-form-urlencoded",
            **(headers or {}),
        }
        return await self.client.post((asked or signed) + path, content=urlencode(fields), headers=given)


@pytest.fixture(params=[None, "https://voice.example.com"])
async def door(tmp_path: Path, request: Any) -> AsyncIterator[Door]:
    store = await open_sqlite(tmp_path / "aywa.db")
    host, twilio = Host(), Twilio()
    parts = CarrierParts({"twilio": twilio}, host, lambda: "ws://127.0.0.1:8081")
    services = join_services(store, host, vault=AesGcmVault(bytes(32)), phones=PhoneParts(carriers=parts))
    org = await services.orgs.default()
    _, key = await services.keys.create(org.id, "own")
    app = create_app(services, ApiSettings(public_url=request.param, payload_bytes=20_000))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        mine = {"Authorization": f"Bearer {key}"}
        made = await client.post("/assistant", json={"firstMessage": "Hello"}, headers=mine)
        body = NUMBER | {"assistantId": made.json()["id"]}
        number = await client.post("/phone-number", json=body, headers=mine)
        assert number.status_code == 201, number.text
        yield Door(client, number.json()["id"], host)
    await twilio.close()
    await store.close()


@pytest.mark.parametrize(
    ("signed", "asked", "headers"),
    [
        ("http://127.0.0.1:8080", "", {}),
        # Behind a proxy that says so, one that only passes the host on, and one that says neither.
        (
            "https://voice.example.com",
            "http://10.0.0.1:8080",
            {"x-forwarded-proto": "https", "x-forwarded-host": "voice.example.com"},
        ),
        ("https://voice.example.com", "http://10.0.0.1:8080", {"host": "voice.example.com"}),
        ("https://voice.example.com:443", "http://10.0.0.1:8080", {"host": "voice.example.com"}),
    ],
)
async def test_a_call_is_taken_at_any_spelling_of_the_address(
    door: Door, signed: str, asked: str, headers: dict[str, str]
) -> None:
    answer = await door.post(signed, asked=asked, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    stream = ET.fromstring(answer.text).find("Connect/Stream")
    assert stream is not None
    (call_id,) = door.host.plans
    assert stream.attrib["url"] == f"ws://127.0.0.1:8081/media/twilio/{call_id}/t0"


async def test_a_query_is_signed_as_it_was_written(door: Door) -> None:
    answer = await door.post("http://127.0.0.1:8080", "/status?call=a%2Fb&x=", CallStatus="ringing")
    assert answer.status_code == 200


async def test_the_public_address_alone_is_told_on(door: Door) -> None:
    answer = await door.post(
        "https://voice.example.com", asked="http://10.0.0.1:8080", headers={"host": "voice.example.com"}
    )
    connect = ET.fromstring(answer.text).find("Connect")
    assert connect is not None
    assert connect.attrib["action"].partition("://")[2].startswith("voice.example.com/inbound/twilio/")


async def test_a_stranger_learns_nothing(door: Door) -> None:
    path = f"/inbound/twilio/{door.number_id}"
    answers = [
        await door.post("http://another.example", asked="http://127.0.0.1:8080"),
        await door.client.post(path, content=b"CallSid=CA1"),
        await door.client.get(path),
        await door.client.get("/inbound/twilio/no-such-number"),
        await door.client.get(f"/inbound/nobody/{door.number_id}"),
        await door.client.get(f"{path}/of-tomorrow"),
        await door.client.post(path, content=b"x" * 30_000),
        await door.client.get(path + "?" + "&".join(f"a{each}=1" for each in range(500))),
    ]
    assert {(each.status_code, each.text) for each in answers} == {(403, "Forbidden")}
    assert door.host.plans == {}


async def test_without_carriers_there_is_nobody(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "aywa.db")
    app = create_app(join_services(store, Host(), vault=AesGcmVault(bytes(32))))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        assert (await client.post("/inbound/twilio/n1")).status_code == 403
    await store.close()

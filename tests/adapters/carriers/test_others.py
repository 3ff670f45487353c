"""Plivo, Telnyx, Vonage and Exotel: what they ask and tell, what they are answered and told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.carriers.exotel import Exotel
from aywa.adapters.carriers.plivo import Plivo
from aywa.adapters.carriers.telnyx import Telnyx
from aywa.adapters.carriers.vonage import Vonage
from aywa.ports.carriers import (
    CarrierAccount,
    CarrierNews,
    CarrierRequest,
    Happening,
    MediaWay,
    Onward,
    Outcome,
    Placing,
)
from aywa.ports.errors import ProviderError
from tests.adapters.carriers.world import BASE, api, json_posted, posted

WAY = MediaWay(
    "wss://voice.example.com/media/x/c1/t1",
    f"{BASE}/x/n1/next?call=c1",
    f"{BASE}/x/n1/dialled?call=c1",
    f"{BASE}/x/n1/status?call=c1",
    {"who": "ada"},
)

# --- Plivo ---------------------------------------------------------------------------------------------------------------

PLIVO = CarrierAccount("plivo", "+15550100", "", {"accountId": "MA1", "authToken": "token"})


def by_plivo(url: str, fields: dict[str, str], token: str = "token") -> CarrierRequest:
    base, _, query = url.partition("?")
    text = (
        base
        + "?"
        + query
        + ("." if query else "")
        + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    )
    signature = base64.b64encode(hmac.new(token.encode(), f"{text}.n0".encode(), "sha256").digest()).decode()
    return posted(url, fields, {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": "n0"})


def test_plivo_is_believed_by_its_signature() -> None:
    request = by_plivo(f"{BASE}/plivo/n1/next?call=c1", {"CallUUID": "u1", "From": "4930123"})
    assert Plivo().doubt(PLIVO, request) == ""
    assert Plivo().doubt(PLIVO, by_plivo(f"{BASE}/plivo/n1", {"CallUUID": "u1"}, "other"))
    assert "authToken" in Plivo().doubt(CarrierAccount("plivo"), request)


@pytest.mark.parametrize(
    ("step", "fields", "news"),
    [
        (
            "",
            {"From": "4930123", "To": "15550100", "CallStatus": "ringing", "Event": "StartApp"},
            CarrierNews(Happening.CALLED, "u1", "+4930123", "+15550100"),
        ),
        ("next", {"CallStatus": "in-progress", "Event": "Redirect"}, CarrierNews(Happening.NEXT, "u1")),
        ("status", {"CallStatus": "ringing", "Event": "Ring"}, CarrierNews(Happening.RINGING, "u1")),
        (
            "status",
            {"CallStatus": "completed", "Event": "Hangup", "HangupCauseName": "Normal Hangup"},
            CarrierNews(Happening.ENDED, "u1", outcome=Outcome.COMPLETED, detail="Plivo says Normal Hangup"),
        ),
        (
            "status",
            {"CallStatus": "busy", "Event": "Hangup"},
            CarrierNews(Happening.ENDED, "u1", outcome=Outcome.BUSY, detail="Plivo says busy"),
        ),
        (
            "dialled",
            {"DialStatus": "no-answer", "CallStatus": "in-progress"},
            CarrierNews(Happening.DIALLED, "u1", outcome=Outcome.NO_ANSWER, detail="no-answer"),
        ),
    ],
)
def test_what_plivo_tells(step: str, fields: dict[str, str], news: CarrierNews) -> None:
    assert Plivo().read(posted(f"{BASE}/plivo/n1", {"CallUUID": "u1", **fields}), step) == news


def test_plivo_keeps_the_call_and_asks_again() -> None:
    root = ET.fromstring(Plivo().connect(WAY).body)
    stream, redirect = root
    assert stream.text == WAY.stream_url
    assert stream.attrib == {
        "bidirectional": "true",
        "keepCallAlive": "true",
        "audioTrack": "inbound",
        "contentType": "audio/x-mulaw;rate=8000",
        "extraHeaders": "who=ada",
    }
    assert (redirect.tag, redirect.text) == ("Redirect", WAY.next_url)


def test_plivo_passes_on_and_refuses() -> None:
    dial = ET.fromstring(Plivo().pass_on(Onward("+4930456", "", "+4930123", "12"), WAY).body)[0]
    assert dial.attrib["callerId"] == "4930123"
    assert (dial[0].tag, dial[0].text) == ("Number", "4930456")
    user = ET.fromstring(Plivo().pass_on(Onward(uri="sip:a@b"), WAY).body)[0][0]
    assert (user.tag, user.text) == ("User", "sip:a@b")
    hangup = ET.fromstring(Plivo().refuse(busy=True).body)[0]
    assert (hangup.tag, hangup.attrib) == ("Hangup", {"reason": "busy"})
    assert ET.fromstring(Plivo().done().body)[0].attrib == {}


async def test_plivo_hangs_up() -> None:
    plivo = Plivo()
    async with api() as far:
        account = CarrierAccount("plivo", "+1", far.url, PLIVO.keys)
        far.answers = [(204, ""), (404, {}), (500, {})]
        await plivo.hang_up(account, "u1")
        await plivo.hang_up(account, "u1")
        with pytest.raises(ProviderError):
            await plivo.hang_up(account, "u1")
        await plivo.close()
    assert (far.asked[0].method, far.asked[0].path) == ("DELETE", "/v1/Account/MA1/Call/u1/")
    assert far.asked[0].user == ("MA1", "token")


# --- Telnyx ----------------------------------------------------------------------------------------------------------------

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
).decode()


def telnyx(url: str = "", **more: str) -> CarrierAccount:
    return CarrierAccount("telnyx", "+15550100", url, {"apiKey": "KEY1", "publicKey": PUBLIC, **more})


def by_telnyx(event: str, key: Ed25519PrivateKey = KEY, **payload: Any) -> CarrierRequest:
    document = {"data": {"event_type": event, "payload": {"call_control_id": "v3:1", **payload}}}
    request = json_posted(f"{BASE}/telnyx/n1", document)
    signature = base64.b64encode(key.sign(b"1700000000|" + request.body)).decode()
    headers = {"telnyx-timestamp": "1700000000", "telnyx-signature-ed25519": signature}
    return CarrierRequest("POST", request.urls, headers, {}, request.body, 1_700_000_010.0)


def test_telnyx_is_believed_by_its_signature() -> None:
    assert Telnyx().doubt(telnyx(), by_telnyx("call.answered")) == ""
    other = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert Telnyx().doubt(telnyx(), by_telnyx("call.answered", other))
    assert "publicKey" in Telnyx().doubt(CarrierAccount("telnyx"), by_telnyx("call.answered"))


@pytest.mark.parametrize(
    ("event", "payload", "news"),
    [
        (
            "call.initiated",
            {"direction": "incoming", "from": "+4930123", "to": "+15550100", "caller_id_name": "Ada"},
            CarrierNews(Happening.CALLED, "v3:1", "+4930123", "+15550100", "Ada"),
        ),
        ("call.initiated", {"direction": "outgoing"}, CarrierNews(Happening.RINGING, "v3:1")),
        ("call.answered", {}, CarrierNews(Happening.ANSWERED, "v3:1")),
        ("call.bridged", {}, CarrierNews(Happening.DIALLED, "v3:1", outcome=Outcome.COMPLETED)),
        ("streaming.started", {}, CarrierNews(Happening.OTHER, "v3:1")),
        (
            "call.hangup",
            {"hangup_cause": "user_busy"},
            CarrierNews(Happening.ENDED, "v3:1", outcome=Outcome.BUSY, detail="Telnyx says user_busy"),
        ),
        (
            "call.hangup",
            {"hangup_cause": "unspecified", "sip_hangup_cause": "404"},
            CarrierNews(
                Happening.ENDED, "v3:1", outcome=Outcome.UNALLOCATED, detail="Telnyx says unspecified"
            ),
        ),
        (
            "call.hangup",
            {},
            CarrierNews(Happening.ENDED, "v3:1", outcome=Outcome.FAILED, detail="Telnyx says hangup"),
        ),
    ],
)
def test_what_telnyx_tells(event: str, payload: dict[str, Any], news: CarrierNews) -> None:
    assert Telnyx().read(by_telnyx(event, **payload), "status") == news


async def test_telnyx_answers_with_the_media_socket() -> None:
    carrier = Telnyx()
    async with api() as far:
        far.answers = [(200, {"data": {"result": "ok"}})]
        await carrier.answer(telnyx(far.url), "v3:1", WAY)
        await carrier.close()
    assert far.asked[0].path == "/v2/calls/v3:1/actions/answer"
    assert far.asked[0].headers["Authorization"] == "Bearer KEY1"
    assert far.asked[0].document == {
        "stream_url": WAY.stream_url,
        "stream_track": "inbound_track",
        "stream_codec": "PCMU",
        "stream_bidirectional_mode": "rtp",
        "stream_bidirectional_codec": "PCMU",
        "custom_parameters": [{"name": "who", "value": "ada"}],
    }


async def test_telnyx_places_a_call_once() -> None:
    carrier = Telnyx()
    async with api() as far:
        far.answers = [(200, {"data": {"call_control_id": "v3:2"}})]
        placing = Placing("c1", "+4930456", "+15550100", WAY, ring_s=2.0)
        assert await carrier.place(telnyx(far.url, connectionId="77"), placing) == "v3:2"
        await carrier.close()
    asked = far.asked[0]
    assert asked.path == "/v2/calls"
    assert {name: asked.document[name] for name in ("connection_id", "to", "from", "timeout_secs")} == {
        "connection_id": "77",
        "to": "+4930456",
        "from": "+15550100",
        "timeout_secs": 5,
    }
    assert (asked.document["command_id"], asked.document["webhook_url"]) == ("c1", WAY.status_url)


async def test_telnyx_needs_a_connection_to_place_calls() -> None:
    with pytest.raises(ProviderError, match="connectionId"):
        await Telnyx().place(telnyx(), Placing("c1", "+1", "+2", WAY))


async def test_telnyx_hangs_up_and_passes_on() -> None:
    carrier = Telnyx()
    async with api() as far:
        far.answers = [(200, {}), (422, {"errors": [{"code": "90018"}]}), (200, {}), (403, {})]
        account = telnyx(far.url)
        await carrier.hang_up(account, "v3:1")
        await carrier.hang_up(account, "v3:1")
        await carrier.transfer(account, "v3:1", Onward("+4930456", "", "+4930123"), WAY)
        with pytest.raises(ProviderError, match="check the account"):
            await carrier.hang_up(account, "v3:1")
        await carrier.close()
    assert far.asked[2].path == "/v2/calls/v3:1/actions/transfer"
    assert far.asked[2].document == {"to": "+4930456", "from": "+4930123", "timeout_secs": 60}


# --- Vonage ----------------------------------------------------------------------------------------------------------------

RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
PEM = RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
VONAGE = CarrierAccount("vonage", "+15550100", "", {"signatureSecret": "secret"})


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def by_vonage(request: CarrierRequest, payload: bytes, secret: str = "secret") -> CarrierRequest:
    claims = {"iat": 1_700_000_000, "payload_hash": hashlib.sha256(payload).hexdigest()}
    signed = f"{part({'alg': 'HS256'})}.{part(claims)}"
    made = base64.urlsafe_b64encode(hmac.new(secret.encode(), signed.encode(), "sha256").digest())
    headers = {**request.headers, "authorization": f"Bearer {signed}.{made.rstrip(b'=').decode()}"}
    return CarrierRequest(request.method, request.urls, headers, request.query, request.body, request.now_s)


def test_vonage_is_believed_by_its_token() -> None:
    request = json_posted(f"{BASE}/vonage/n1", {"from": "4930123", "to": "15550100", "uuid": "u1"})
    assert Vonage().doubt(VONAGE, by_vonage(request, request.body)) == ""
    assert Vonage().doubt(VONAGE, by_vonage(request, request.body, "other"))
    assert Vonage().doubt(VONAGE, by_vonage(request, b"{}"))
    assert "signatureSecret" in Vonage().doubt(CarrierAccount("vonage"), request)


def test_vonage_may_ask_without_a_body() -> None:
    query = {"from": ["4930123"], "to": ["15550100"], "uuid": ["u1"]}
    request = CarrierRequest("GET", (f"{BASE}/vonage/n1?x",), {}, query, b"", 1_700_000_000.0)
    payload = b'{"from":"4930123","to":"15550100","uuid":"u1"}'
    assert Vonage().doubt(VONAGE, by_vonage(request, payload)) == ""
    assert Vonage().doubt(VONAGE, by_vonage(request, b'{"from":"1"}'))
    assert Vonage().read(request, "") == CarrierNews(Happening.CALLED, "u1", "+4930123", "+15550100")


@pytest.mark.parametrize(
    ("status", "happening", "outcome"),
    [
        ("ringing", Happening.RINGING, None),
        ("answered", Happening.ANSWERED, None),
        ("started", Happening.OTHER, None),
        ("completed", Happening.ENDED, Outcome.COMPLETED),
        ("rejected", Happening.ENDED, Outcome.REJECTED),
        ("timeout", Happening.ENDED, Outcome.NO_ANSWER),
        ("failed", Happening.ENDED, Outcome.FAILED),
    ],
)
def test_what_vonage_tells(status: str, happening: Happening, outcome: Outcome | None) -> None:
    news = Vonage().read(json_posted(f"{BASE}/vonage/n1/status", {"uuid": "u1", "status": status}), "status")
    assert (news.happening, news.outcome, news.provider_id) == (happening, outcome, "u1")


def test_a_caller_who_hides_his_number_stays_hidden() -> None:
    request = json_posted(f"{BASE}/vonage/n1", {"from": "anonymous", "to": "0555", "uuid": "u1"})
    news = Vonage().read(request, "")
    assert (news.caller, news.called) == ("anonymous", "0555")


def test_vonage_s_only_action_is_the_media_socket() -> None:
    assert json.loads(Vonage().connect(WAY).body) == [
        {
            "action": "connect",
            "endpoint": [
                {
                    "type": "websocket",
                    "uri": WAY.stream_url,
                    "content-type": "audio/l16;rate=16000",
                    "headers": {"who": "ada"},
                }
            ],
        }
    ]
    assert json.loads(Vonage().refuse(busy=True).body) == []
    assert json.loads(Vonage().done().body) == []


async def test_vonage_is_told_with_a_token_of_the_application() -> None:
    vonage = Vonage(clock=lambda: 1_700_000_000.5)
    keys = {"applicationId": "app-1", "privateKey": PEM.replace("\n", "\\n")}
    async with api() as far:
        far.answers = [(204, ""), (404, {}), (200, {})]
        account = CarrierAccount("vonage", "+1", far.url, keys)
        await vonage.hang_up(account, "u1")
        await vonage.hang_up(account, "u1")
        await vonage.transfer(account, "u1", Onward("+4930456", "", "+4930123", "12", 20.0), WAY)
        await vonage.close()
    asked = far.asked[0]
    assert (asked.method, asked.path, asked.document) == ("PUT", "/v1/calls/u1", {"action": "hangup"})
    signed, _, signature = asked.headers["Authorization"].removeprefix("Bearer ").rpartition(".")
    RSA.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    claims = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
    assert (claims["application_id"], claims["iat"], claims["exp"]) == ("app-1", 1_700_000_000, 1_700_000_300)
    assert far.asked[2].document["destination"]["ncco"] == [
        {
            "action": "connect",
            "timeout": 20,
            "endpoint": [{"type": "phone", "number": "4930456", "dtmfAnswer": "12"}],
            "from": "4930123",
        }
    ]


async def test_without_a_private_key_the_socket_s_end_must_do() -> None:
    await Vonage().hang_up(VONAGE, "u1")
    with pytest.raises(ProviderError, match="privateKey"):
        await Vonage().transfer(VONAGE, "u1", Onward("+1"), WAY)


@pytest.mark.parametrize("pem", ["nonsense", PUBLIC])
async def test_a_private_key_that_is_none(pem: str) -> None:
    account = CarrierAccount("vonage", "+1", "", {"applicationId": "a", "privateKey": pem})
    with pytest.raises(ProviderError, match="no private key"):
        await Vonage().transfer(account, "u1", Onward("+1"), WAY)


async def test_a_private_key_of_another_kind() -> None:
    pem = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = CarrierAccount("vonage", "+1", "", {"applicationId": "a", "privateKey": pem})
    with pytest.raises(ProviderError, match="not of RSA"):
        await Vonage().transfer(account, "u1", Onward("+1"), WAY)


# --- Exotel ----------------------------------------------------------------------------------------------------------------

EXOTEL = CarrierAccount("exotel", "+15550100", "", {"inboundToken": "a-token-of-twenty-or-more"})


def by_exotel(token: str = "", **fields: str) -> CarrierRequest:
    query = {name: [value] for name, value in {"token": token, **fields}.items()}
    return CarrierRequest("GET", (f"{BASE}/exotel/n1",), {}, query)


def test_exotel_shows_our_token() -> None:
    assert Exotel().doubt(EXOTEL, by_exotel("a-token-of-twenty-or-more")) == ""
    both = base64.b64encode(b"anybody:a-token-of-twenty-or-more").decode()
    basic = CarrierRequest("GET", (f"{BASE}/exotel/n1",), {"authorization": f"Basic {both}"})
    assert Exotel().doubt(EXOTEL, basic) == ""
    assert Exotel().doubt(EXOTEL, by_exotel("another"))
    assert Exotel().doubt(EXOTEL, CarrierRequest("GET", ("",), {"authorization": "Basic %%%"}))
    assert "inboundToken" in Exotel().doubt(CarrierAccount("exotel"), by_exotel(""))


def test_exotel_is_told_where_the_media_socket_is() -> None:
    answer = Exotel().connect(WAY)
    assert answer.media_type == "application/json"
    assert json.loads(answer.body) == {"url": f"{WAY.stream_url}?sample-rate=16000"}
    assert (Exotel().refuse(busy=True).status, Exotel().refuse(busy=False).status) == (503, 404)


def test_what_exotel_tells() -> None:
    news = Exotel().read(by_exotel(CallSid="e1", CallFrom="09876543210", CallTo="+918047491899"), "")
    assert news == CarrierNews(Happening.CALLED, "e1", "09876543210", "+918047491899")
    ended = Exotel().read(
        posted(f"{BASE}/exotel/n1/status", {"CallSid": "e1", "Status": "no-answer"}), "status"
    )
    assert (ended.happening, ended.outcome) == (Happening.ENDED, Outcome.NO_ANSWER)
    assert (
        Exotel().read(posted(f"{BASE}/exotel/n1/status", {"CallSid": "e1"}), "status").happening
        is Happening.OTHER
    )


async def test_exotel_can_be_told_nothing() -> None:
    await Exotel().hang_up(EXOTEL, "e1")
    await Exotel().answer(EXOTEL, "e1", WAY)
    await Exotel().close()
    with pytest.raises(ProviderError, match="Connect applet"):
        await Exotel().transfer(EXOTEL, "e1", Onward("+1"), WAY)


async def test_keys_are_pressed_where_the_api_has_them() -> None:
    keys = {"applicationId": "app-1", "privateKey": PEM}
    async with api() as far:
        for carrier, account in (
            (Telnyx(), telnyx(far.url)),
            (Vonage(), CarrierAccount("vonage", "+1", far.url, keys)),
        ):
            assert carrier.abilities.keys
            await carrier.send_keys(account, "u1", "12#")
            await carrier.close()
    assert [(each.method, each.path, each.document) for each in far.asked] == [
        ("POST", "/v2/calls/u1/actions/send_dtmf", {"digits": "12#"}),
        ("PUT", "/v1/calls/u1/dtmf", {"digits": "12#"}),
    ]


async def test_plivo_is_told_where_to_ask() -> None:
    plivo = Plivo()
    async with api() as far:
        await plivo.transfer(CarrierAccount("plivo", "+1", far.url, PLIVO.keys), "u1", Onward("+1"), WAY)
        await plivo.close()
    assert (far.asked[0].method, far.asked[0].path) == ("POST", "/v1/Account/MA1/Call/u1/")
    assert far.asked[0].document == {"legs": "aleg", "aleg_url": WAY.next_url, "aleg_method": "POST"}


@pytest.mark.parametrize("carrier", [Plivo(), Vonage(), Exotel()])
async def test_calls_are_not_placed_through_these(carrier: Plivo | Vonage | Exotel) -> None:
    with pytest.raises(ProviderError):
        await carrier.place(PLIVO, Placing("c1", "+1", "+2", WAY))


# --- all -----------------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(
    st.binary() | JSON.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["", "next", "dialled", "status"]),
    st.dictionaries(st.sampled_from(["authorization", "content-type", "telnyx-timestamp"]), st.text()),
    st.dictionaries(st.text(), st.lists(st.text())),
)
def test_nothing_raises(body: bytes, step: str, headers: dict[str, str], query: dict[str, list[str]]) -> None:
    request = CarrierRequest("POST", (BASE,), headers, query, body)
    for carrier, account in ((Plivo(), PLIVO), (Telnyx(), telnyx()), (Vonage(), VONAGE), (Exotel(), EXOTEL)):
        assert carrier.doubt(account, request)
        news = carrier.read(request, step)
        assert len(news.detail) < 1_500
        assert "\n" not in news.caller + news.called + news.caller_name + news.provider_id

"""What the vendors ask before their sockets, and how they read the answer: their documents' examples."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aywa.testing.equipment.base import Facts, NotTheProtocol
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.markup import answer, incoming, order
from aywa.testing.equipment.twilio import signature

TWIML = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Connect><Stream url="wss://mystream.ngrok.io/audiostream">
<Parameter name="FirstName" value="Jane"/><Parameter name="LastName" value="Doe"/>
</Stream></Connect></Response>"""
PLIVO = """<Response><Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-l16;rate=16000"
 extraHeaders="userId=12345,sessionId=abc">wss://yourstream.websocket.io/audiostream</Stream></Response>"""
NCCO = [
    {"action": "talk", "text": "hello"},
    {
        "action": "connect",
        "endpoint": [
            {
                "type": "websocket",
                "uri": "wss://example.com/socket",
                "content-type": "audio/l16;rate=16000",
                "headers": {"language": "en-GB", "age": 40},
            }
        ],
    },
]


def test_twilio_asks_with_a_signed_form() -> None:
    request = incoming("twilio", "https://h/inbound/twilio/n", Facts(secret="token"))
    assert request.form is not None
    assert (request.method, request.form["CallStatus"], request.form["From"]) == (
        "POST",
        "ringing",
        "+4930123456",
    )
    assert request.headers == {
        "X-Twilio-Signature": signature("token", "https://h/inbound/twilio/n", request.form)
    }
    assert incoming("twilio", "https://h", Facts()).headers == {}
    assert "X-SignalWire-Signature" in incoming("signalwire", "https://h", Facts(secret="t")).headers


def test_the_others_ask_as_they_do() -> None:
    plivo = incoming("plivo", "https://h/p", Facts(secret="t"))
    assert plivo.form is not None
    assert plivo.form["Event"] == "StartApp"
    assert set(plivo.headers) == {"X-Plivo-Signature-V3", "X-Plivo-Signature-V3-Nonce"}
    vonage = incoming("vonage", "https://h/v", Facts(secret="t"), now_s=5)
    assert vonage.body is not None
    assert json.loads(vonage.body)["from"] == "4930123456"
    claims = vonage.headers["Authorization"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["iat"] == 5
    exotel = incoming("exotel", "https://h/e?a=1", Facts())
    assert parse_qs(urlsplit(exotel.url).query)["CallFrom"] == ["+4930123456"]
    with pytest.raises(NotTheProtocol):
        incoming("jambonz", "https://h", Facts())


def test_answers_are_followed() -> None:
    twilio = order("twilio", "text/xml", TWIML)
    assert twilio is not None
    assert (twilio.url, twilio.parameters["FirstName"]) == ("wss://mystream.ngrok.io/audiostream", "Jane")
    equipment = twilio.equipment("twilio", Facts())
    assert equipment.facts.parameters == {"FirstName": "Jane", "LastName": "Doe"}
    signalwire = order(
        "signalwire", "application/xml", TWIML.replace("<Stream", '<Stream codec="L16@24000h"')
    )
    assert signalwire is not None
    assert (signalwire.coding, signalwire.rate_hz) == (Coding.LINEAR, 24000)
    plivo = order("plivo", "text/xml", PLIVO)
    assert plivo is not None
    assert plivo.parameters == {"userId": "12345", "sessionId": "abc"}
    assert plivo.equipment("plivo", Facts()).rate_hz == 16000
    vonage = order("vonage", "application/json", json.dumps(NCCO))
    assert vonage is not None
    assert (vonage.url, vonage.parameters) == ("wss://example.com/socket", {"language": "en-GB", "age": "40"})
    exotel = order("exotel", "application/json", '{"url": "wss://h/media"}')
    assert exotel is not None
    assert exotel.url == "wss://h/media"


def test_another_answer_is_no_order() -> None:
    assert order("twilio", "text/xml", "<Response><Say>Hi</Say></Response>") is None
    assert order("plivo", "text/xml", "<Response><Hangup/></Response>") is None
    assert order("vonage", "application/json", '[{"action": "talk"}]') is None
    phone = [{"action": "connect", "endpoint": [{"type": "phone", "number": "1"}]}]
    assert order("vonage", "application/json", json.dumps(phone)) is None


@pytest.mark.parametrize(
    ("name", "kind", "body"),
    [
        ("twilio", "application/json", TWIML),
        ("twilio", "text/xml", "<Response>"),
        ("twilio", "text/xml", "<response/>"),
        ("twilio", "text/xml", TWIML.replace("audiostream", "audiostream?token=x")),
        ("twilio", "text/xml", TWIML.replace("wss:", "https:")),
        ("twilio", "text/xml", TWIML.replace("Jane", "J" * 1100)),
        ("plivo", "text/xml", PLIVO.replace('bidirectional="true"', "")),
        ("plivo", "text/xml", PLIVO.replace("rate=16000", "rate=44100")),
        ("plivo", "text/xml", PLIVO.replace("12345", "1" * 600)),
        ("vonage", "text/xml", json.dumps(NCCO)),
        ("vonage", "application/json", "{"),
        ("vonage", "application/json", "{}"),
        ("vonage", "application/json", json.dumps(NCCO).replace("16000", "44100")),
        ("vonage", "application/json", json.dumps(NCCO).replace("en-GB", "e" * 600)),
        ("exotel", "application/json", "{"),
        ("exotel", "application/json", "[]"),
        ("exotel", "text/html", "wss://h"),
        ("jambonz", "text/xml", TWIML),
    ],
)
def test_what_a_vendor_could_not_follow(name: str, kind: str, body: str) -> None:
    with pytest.raises(NotTheProtocol):
        order(name, kind, body)


async def test_asking() -> None:
    seen: list[str] = []

    async def twiml(request: web.Request) -> web.Response:
        seen.append(str((await request.post())["CallSid"]))
        if request.path == "/no":
            return web.Response(status=403, text="no")
        return web.Response(text=TWIML, content_type="text/xml")

    app = web.Application()
    app.router.add_post("/{tail:.*}", twiml)
    async with TestServer(app) as server:
        url = f"http://127.0.0.1:{server.port}"
        good = await answer("twilio", f"{url}/yes", Facts())
        refused = await answer("twilio", f"{url}/no", Facts())
    assert good.order is not None
    assert (refused.status, refused.order) == (403, None)
    assert seen == [Facts().call_id] * 2

"""What a vendor does before its media socket: it asks an address what to do with a call, and follows the answer.

From the documents: Twilio "TwiML Voice: <Stream>" and its requests to an application, SignalWire "cXML <Connect>", Plivo "The
AudioStream element" and "Request to your answer URL", Vonage "Connect action" and "Answer webhook", Exotel "Voicebot Applet".
An answer that the vendor could not follow is NotTheProtocol. It refuses to open the socket: aywa.testing.equipment.call does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import aiohttp

from aywa.testing.equipment.base import Equipment, Facts, NotTheProtocol, field_of
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.known import EQUIPMENT
from aywa.testing.equipment.plivo import NONCE, signature_v3
from aywa.testing.equipment.twilio import signature
from aywa.testing.equipment.vonage import signed_jwt

ANSWER_S = 15.0
"""Twilio's limit; the others wait no less."""
_PLIVO_FORMS = {
    "audio/x-mulaw;rate=8000": (Coding.MULAW, 8000),
    "audio/x-l16;rate=8000": (Coding.LINEAR, 8000),
    "audio/x-l16;rate=16000": (Coding.LINEAR, 16000),
}


@dataclass(frozen=True, slots=True)
class Order:
    """Where to connect the call's sound, in which form, with what to pass on. action: what Twilio asks when the stream is over
    and the caller is still there."""

    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    coding: Coding | None = None
    rate_hz: int | None = None
    action: str = ""

    def equipment(self, name: str, facts: Facts) -> Equipment:
        """The vendor's equipment as it was ordered."""
        facts = replace(facts, parameters={**facts.parameters, **self.parameters})
        return EQUIPMENT[name](facts, coding=self.coding, rate_hz=self.rate_hz)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back. order: None when the answer is another than to connect: `body` says what."""

    status: int
    body: str
    order: Order | None


@dataclass(frozen=True, slots=True)
class Request:
    """What the vendor asks. form: urlencoded; body: JSON."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    body: bytes | None = None


def incoming(name: str, url: str, facts: Facts, *, now_s: float = 0.0) -> Request:
    """The vendor's request for an incoming call. facts.secret signs it; empty: it is not signed."""
    match name:
        case "twilio" | "signalwire":
            return _twilio(url, facts, name)
        case "plivo":
            return _plivo(url, facts)
        case "vonage":
            return _vonage(url, facts, now_s)
        case "exotel":
            form = {
                "CallSid": facts.call_id,
                "CallFrom": facts.caller,
                "CallTo": facts.called,
                "Direction": "incoming",
                "CallType": "call-attempt",
            }
            return Request("GET", f"{url}{'&' if '?' in url else '?'}{urlencode(form)}")
        case _:
            raise NotTheProtocol(f"{name} asks for no markup")


async def ask(request: Request) -> tuple[int, str, str]:
    """Sends it: the status, the content type and the body."""
    async with (
        asyncio.timeout(ANSWER_S),
        aiohttp.ClientSession() as http,
        http.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            data=dict(request.form) if request.form is not None else request.body,
        ) as response,
    ):
        return response.status, response.content_type, await response.text()


async def answer(name: str, url: str, facts: Facts, *, now_s: float = 0.0) -> Answered:
    """Asks, and reads the answer as the vendor does. Raises NotTheProtocol."""
    status, kind, body = await ask(incoming(name, url, facts, now_s=now_s))
    if status != 200:
        return Answered(status, body, None)
    return Answered(status, body, order(name, kind, body))


def order(name: str, kind: str, body: str) -> Order | None:
    """What an answer says to do; None when it is something else than connecting a stream. Raises NotTheProtocol."""
    match name:
        case "twilio" | "signalwire":
            return _twiml(kind, body, name)
        case "plivo":
            return _plivo_xml(kind, body)
        case "vonage":
            return _ncco(kind, body)
        case "exotel":
            found = _json(kind, body)
            return Order(_socket(str(field_of(found, "url")), "exotel"))
        case _:
            raise NotTheProtocol(f"{name} takes no markup")


# --- requests --------------------------------------------------------------------------------------------------------


def _twilio(url: str, facts: Facts, name: str) -> Request:
    form = {
        "CallSid": facts.call_id,
        "AccountSid": facts.account,
        "From": facts.caller,
        "To": facts.called,
        "Caller": facts.caller,
        "Called": facts.called,
        "CallStatus": "ringing",
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
        **facts.parameters,
    }
    header = "X-Twilio-Signature" if name == "twilio" else "X-SignalWire-Signature"
    headers = {header: signature(facts.secret, url, form)} if facts.secret else {}
    return Request("POST", url, headers, form)


def _plivo(url: str, facts: Facts) -> Request:
    form = {
        "CallUUID": facts.call_id,
        "ALegUUID": facts.call_id,
        "From": facts.caller,
        "To": facts.called,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "Event": "StartApp",
        "BillRate": "0.0085",
        **facts.parameters,
    }
    headers = {}
    if facts.secret:
        headers = {
            "X-Plivo-Signature-V3": signature_v3(facts.secret, url, NONCE, form),
            "X-Plivo-Signature-V3-Nonce": NONCE,
        }
    return Request("POST", url, headers, form)


def _vonage(url: str, facts: Facts, now_s: float) -> Request:
    body = json.dumps(
        {
            # Vonage writes numbers without a plus.
            "from": facts.caller.lstrip("+"),
            "to": facts.called.lstrip("+"),
            "uuid": facts.call_id,
            "conversation_uuid": f"CON-{facts.stream_id}",
            "region_url": "https://api-eu.vonage.com",
            **facts.parameters,
        }
    ).encode()
    headers = {"Content-Type": "application/json"}
    if facts.secret:
        issued = round(now_s)
        claims = {
            "iat": issued,
            "exp": issued + 300,
            "jti": facts.stream_id,
            "iss": "Vonage",
            "api_key": "abcd1234",
        }
        headers["Authorization"] = f"Bearer {signed_jwt(facts.secret, claims, body)}"
    return Request("POST", url, headers, body=body)


# --- answers ---------------------------------------------------------------------------------------------------------


def _twiml(kind: str, body: str, name: str) -> Order | None:
    root = _xml(kind, body)
    stream = root.find("./Connect/Stream")
    if stream is None:
        return None
    url = _socket(stream.get("url", ""), name)
    if urlsplit(url).query:
        # "The url does not support query string parameters."
        raise NotTheProtocol(f"the Stream's url has a query, which {name} drops: {url[:100]}")
    parameters = {
        one.get("name", ""): one.get("value", "") for one in stream.findall("Parameter") if one.get("name")
    }
    if sum(len(key) + len(value) for key, value in parameters.items()) > 500 * max(1, len(parameters)):
        raise NotTheProtocol("a parameter's name and value together have more than 500 characters")
    coding, rate_hz = Coding.MULAW, 8000
    if name == "signalwire" and (codec := stream.get("codec", "")).startswith("L16@"):
        coding, rate_hz = Coding.LINEAR, int(codec.removeprefix("L16@").rstrip("h"))
    action = root.find("./Connect")
    return Order(url, parameters, coding, rate_hz, "" if action is None else action.get("action", ""))


def _plivo_xml(kind: str, body: str) -> Order | None:
    root = _xml(kind, body)
    stream = root.find("./Stream")
    if stream is None:
        return None
    if stream.get("bidirectional") != "true":
        raise NotTheProtocol("a Stream that is not bidirectional plays nothing")
    written = stream.get("contentType", "audio/x-l16;rate=8000").replace(" ", "")
    if written not in _PLIVO_FORMS:
        raise NotTheProtocol(f"{written[:60]} is no contentType")
    headers = stream.get("extraHeaders", "")
    if len(headers) > 512:
        raise NotTheProtocol(f"extraHeaders of {len(headers)} characters; 512 are passed on")
    pairs = (pair.partition("=") for pair in headers.replace(";", ",").split(",") if pair)
    coding, rate_hz = _PLIVO_FORMS[written]
    return Order(
        _socket((stream.text or "").strip(), "plivo"),
        {key.strip(): value.strip() for key, _, value in pairs},
        coding,
        rate_hz,
    )


def _ncco(kind: str, body: str) -> Order | None:
    if "json" not in kind:
        raise NotTheProtocol(f"an NCCO is JSON, not {kind}")
    try:
        actions = json.loads(body)
    except ValueError as error:
        raise NotTheProtocol(f"the NCCO is no JSON: {error}") from error
    if not isinstance(actions, list):
        raise NotTheProtocol("an NCCO is a list of actions")
    connect = next((one for one in actions if isinstance(one, dict) and one.get("action") == "connect"), None)
    if connect is None:
        return None
    endpoint = field_of(connect, "endpoint", list)[0]
    if field_of(endpoint, "type") != "websocket":
        return None
    form, _, rate = field_of(endpoint, "content-type").partition(";rate=")
    if form != "audio/l16" or rate not in ("8000", "16000", "24000"):
        raise NotTheProtocol(f"{endpoint['content-type']!r:.60} is no content-type of a websocket")
    headers = endpoint.get("headers", {})
    if len(json.dumps(headers)) > 512:
        raise NotTheProtocol("headers of more than 512 bytes")
    return Order(
        _socket(field_of(endpoint, "uri"), "vonage"),
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in headers.items()},
        Coding.LINEAR,
        int(rate),
    )


def _xml(kind: str, body: str) -> ET.Element:
    if not kind.endswith("/xml"):
        raise NotTheProtocol(f"markup must be XML, not {kind}")
    try:
        root = ET.fromstring(body)
    except ET.ParseError as error:
        raise NotTheProtocol(f"the markup is no XML: {error}") from error
    if root.tag != "Response":
        raise NotTheProtocol(f"the markup begins with {root.tag!r:.40}, not Response")
    return root


def _json(kind: str, body: str) -> Mapping[str, object]:
    if "json" not in kind:
        raise NotTheProtocol(f"the answer must be JSON, not {kind}")
    try:
        found = json.loads(body)
    except ValueError as error:
        raise NotTheProtocol(f"the answer is no JSON: {error}") from error
    return found if isinstance(found, dict) else {}


def _socket(url: str, name: str) -> str:
    if not url.startswith(("ws://", "wss://")):
        raise NotTheProtocol(f"{url[:100]!r} is no address of a socket for {name}")
    return url

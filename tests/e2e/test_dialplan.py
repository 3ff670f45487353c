"""The guide's dialplan of Asterisk, walked through step by step against a real runtime: calls in, on and out."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from aywa.testing.runtime import free_port
from aywa.testing.vendors.openai import CUSTOM
from aywa.testing.vendors.plan import Plan, ToolCall
from aywa.testing.vendors.server import SimulatedVendors
from tests.e2e.dev import Dev, started
from tests.e2e.dialplan import Channel, read
from tests.e2e.test_guides import ASSISTANTS, GUIDES, ended, run

TOKEN = "choose-twenty-or-more-characters"
BLOCKS = re.findall(
    r"^```ini\n(.*?)^```$", (GUIDES / "asterisk.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)
DIALPLAN = "\n".join(block for block in BLOCKS if "[aywa" in block and "exten" in block)
CALLER = {"num": "+491701234567", "name": "Ann", "dnid": "100"}


class Site:
    """A runtime beside an Asterisk, the dialplan as the guide has it, and an ARI that places calls with it."""

    def __init__(self, runtime: Dev, port: int, assistant: str) -> None:
        self.runtime, self.port, self.assistant = runtime, port, assistant
        self.placed: list[Channel] = []
        self.count = 0

    def number(self, **fields: Any) -> str:
        carrier = {"provider": "asterisk", "inboundToken": TOKEN} | fields.pop("carrier", {})
        self.count += 1
        own = f"+4930123456{self.count:02}"
        body = {"provider": "byo-phone-number", "number": own, "carrier": carrier} | fields
        status, document = self.runtime.ask("POST", "/phone-number", body)
        assert status == 201, document
        return str(document["id"])

    def channel(self, number_id: str, **fields: Any) -> Channel:
        written = DIALPLAN.replace("INBOUND_TOKEN", TOKEN).replace("PHONE_NUMBER_ID", number_id)
        written = written.replace("http://127.0.0.1:8080", self.runtime.url)
        return Channel(
            read(written.replace("127.0.0.1:9092", f"127.0.0.1:{self.port}")), caller=CALLER, **fields
        )

    def newest(self, number_id: str) -> dict[str, Any]:
        _, calls = self.runtime.ask("GET", f"/call?phoneNumberId={number_id}&limit=1")
        return ended(self.runtime, calls[0]["id"])  # type: ignore[index]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port, folder = free_port(), tmp_path_factory.mktemp("asterisk")
    api = free_port()
    environment = {"RUNTIME_AUDIOSOCKET_PORT": str(port), "RUNTIME_PUBLIC_URL": f"http://127.0.0.1:{api}"}
    with started(Dev(folder / "home", environment=environment, port=api)) as dev:
        yield Site(dev, port, json.loads(run(ASSISTANTS, dev, folder))[0]["id"])


@contextmanager
def ari(site: Site, number: list[str], outcome: tuple[str, str]) -> Iterator[str]:
    """An ARI whose Local channels walk through the guide's two contexts, as Asterisk's would."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = dict(parse_qsl(urlsplit(self.path).query))
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            variables = {name.removeprefix("__"): value for name, value in body["variables"].items()}
            channel_id = urlsplit(self.path).path.rpartition("/")[2]
            threading.Thread(target=self.walk, args=(asked, variables, channel_id)).start()
            answer = json.dumps({"id": channel_id}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_DELETE(self) -> None:
            self.send_response(204)
            self.end_headers()

        def walk(self, asked: dict[str, str], variables: dict[str, str], channel_id: str) -> None:
            extension, _, context = asked["endpoint"].removeprefix("Local/").partition("@")
            if outcome[0] == "ANSWER":
                near = site.channel(number[0], uniqueid=channel_id, variables=dict(variables))
                site.placed.append(near)
                near.run(asked["context"], asked["extension"])
            far = site.channel(number[0], variables=dict(variables), dialled=[outcome])
            site.placed.append(far)
            far.run(context, extension)

        def log_message(self, *arguments: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/ari"
    finally:
        server.shutdown()
        server.server_close()


def test_a_caller_speaks_with_the_agent_and_hangs_up(site: Site) -> None:
    number = site.number(assistantId=site.assistant)
    channel = site.channel(number, speak_s=20.0, enough=50)
    channel.run("aywa", "agent")
    call = site.newest(number)
    assert channel.heard.frames >= 50
    assert call["customer"] == {"number": CALLER["num"], "name": CALLER["name"]}
    assert call["endedReason"] == "customer-ended-call"
    assert call["phoneCallProviderId"] == channel.uniqueid
    # What comes next was asked, and it was nothing.
    assert len(channel.curled) == 2
    assert channel.hung_up


def test_the_agent_ends_the_call_and_the_dialplan_goes_on(site: Site) -> None:
    _, short = site.runtime.ask("POST", "/assistant", {"firstMessage": "Hello.", "maxDurationSeconds": 10})
    number = site.number(assistantId=short["id"])
    channel = site.channel(number, speak_s=20.0)
    channel.run("aywa", "agent")
    assert channel.heard.by_far
    assert site.newest(number)["endedReason"] == "exceeded-max-duration"
    assert channel.hung_up


def test_nobody_answers_for_the_number_so_the_caller_is_passed_on(site: Site) -> None:
    number = site.number(fallbackDestination={"type": "number", "number": "+493087654321"})
    channel = site.channel(number, dialled=[("ANSWER", "16")])
    channel.run("aywa", "agent")
    assert channel.dials == ["PJSIP/+493087654321@carrier,60"]
    # Nobody waits to be told how that went.
    assert len(channel.curled) == 1
    assert channel.hung_up


async def test_the_agent_passes_the_caller_on_and_the_dialplan_asks_to_whom(site: Site) -> None:
    to = "+493055555555"
    async with SimulatedVendors() as model:
        arguments = json.dumps({"destination": to})
        model.plans.set(CUSTOM, Plan(text="", tool_calls=(ToolCall("transferCall", arguments),)))
        destination = {"type": "number", "number": to, "message": ""}
        document = {
            "firstMessage": "Press a key.",
            "keypadInputPlan": {"enabled": True, "timeoutSeconds": 2, "delimiters": ["#"]},
            "model": {
                "provider": "custom-llm",
                "url": f"{model.url}/custom-llm",
                "model": "scripted",
                "tools": [{"type": "transferCall", "destinations": [destination]}],
            },
        }
        status, assistant = await asyncio.to_thread(site.runtime.ask, "POST", "/assistant", document)
        assert status == 201, assistant
        number = await asyncio.to_thread(site.number, assistantId=assistant["id"])
        channel = site.channel(number, dialled=[("BUSY", "17")], speak_s=20.0, on_quiet=press)
        await asyncio.to_thread(channel.run, "aywa", "agent")
        assert channel.heard.by_far
        assert channel.dials == [f"PJSIP/{to}@carrier,60"]
        asked, told = channel.curled[1:]
        assert "/next?call=" in asked
        assert "/dialled?call=" in told
        assert told.endswith("&status=BUSY&cause=17")
        call = await asyncio.to_thread(site.newest, number)
        assert call["endedReason"] == "assistant-forwarded-call"


def press(connected: socket.socket) -> None:
    """A key and its delimiter."""
    for digit in b"1#":
        connected.sendall(b"\x03\x00\x01" + bytes([digit]))


def test_a_wrong_token_hears_nothing_and_is_hung_up_on(site: Site) -> None:
    number = site.number(assistantId=site.assistant, carrier={"inboundToken": "another-token-that-is-long"})
    channel = site.channel(number)
    channel.run("aywa", "agent")
    assert channel.hung_up
    assert channel.heard.frames == 0
    assert len(channel.curled) == 1


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (("ANSWER", "16"), "customer-ended-call"),
        (("BUSY", "17"), "customer-busy"),
        (("NOANSWER", "19"), "customer-did-not-answer"),
    ],
)
def test_a_call_is_placed_through_the_guides_dialplan(
    site: Site, outcome: tuple[str, str], reason: str
) -> None:
    number: list[str] = []
    with ari(site, number, outcome) as url:
        account = {"apiUrl": url, "accountId": "aywa", "authToken": "secret"}
        number.append(site.number(carrier=account))
        body = {
            "assistantId": site.assistant,
            "phoneNumberId": number[0],
            "customer": {"number": "+493087654321"},
        }
        status, call = site.runtime.ask("POST", "/call", body)
        assert status == 201, call
        assert ended(site.runtime, call["id"])["endedReason"] == reason
    assert any("+493087654321@carrier" in dial for channel in site.placed for dial in channel.dials)
    site.placed.clear()

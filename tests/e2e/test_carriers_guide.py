"""The guide to carriers, read out to a real runtime; Twilio's API is one on loopback."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from tests.adapters.carriers.world import api
from tests.docs.test_commands import commands
from tests.e2e.dev import Dev, until
from tests.e2e.test_guides import ASSISTANTS, GUIDES, run

TOKEN = "AUTH_TOKEN"


def asked(url: str, fields: dict[str, str], token: str) -> tuple[int, str]:
    """What the runtime answers to a request that was signed with this token."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    made = base64.b64encode(hmac.new(token.encode(), text.encode(), "sha1").digest()).decode()
    request = urllib.request.Request(url, urlencode(fields).encode(), {"X-Twilio-Signature": made})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


async def test_the_guide_makes_numbers_and_a_call(runtime: Dev, tmp_path: Path) -> None:
    twilio, *others, call = commands((GUIDES / "carriers.md").read_text("utf-8"))
    assistant = json.loads(await asyncio.to_thread(run, ASSISTANTS, runtime, tmp_path))[0]["id"]
    made: list[tuple[str, str]] = []
    credential = ""
    async with api() as far:
        twilio = twilio.replace('"twilioAuthToken"', f'"apiUrl": "{far.url}", "twilioAuthToken"')
        for command in (twilio, *others):
            command = command.replace("ASSISTANT_ID", assistant).replace("CREDENTIAL_ID", credential)
            document = json.loads(await asyncio.to_thread(run, command, runtime, tmp_path))
            assert "id" in document, document
            path = "/credential" if "/credential" in command else "/phone-number"
            credential = document["id"] if path == "/credential" else credential
            made.append((path, document["id"]))
        number = made[0][1]
        far.answers = [(201, {"sid": "CA7"})]
        placed = call.replace("ASSISTANT_ID", assistant).replace("PHONE_NUMBER_ID", number)
        document = json.loads(await asyncio.to_thread(run, placed, runtime, tmp_path))
        assert document["status"] == "queued", document
        async with asyncio.timeout(20):
            await far.came.wait()
        assert far.asked[0].path.endswith("/Calls.json")
        assert far.asked[0].fields["To"] == ["+15550199"]
        url = f"{runtime.url}/inbound/twilio/{number}"
        status = f"{url}/status?call={document['id']}"
        told = {"CallSid": "CA7", "CallStatus": "busy"}
        assert (await asyncio.to_thread(asked, status, told, TOKEN))[0] == 200
        over = lambda: runtime.call(document["id"])["status"] == "ended"  # noqa: E731
        await asyncio.to_thread(until, over, why="Twilio's word did not end the call")
    ended = runtime.call(document["id"])
    assert ended["endedReason"] == "customer-busy"
    fields = {"CallSid": "CA8", "From": "+15550177", "To": "+15550100", "CallStatus": "ringing"}
    assert await asyncio.to_thread(asked, url, fields, "another") == (403, "Forbidden")
    code, markup = await asyncio.to_thread(asked, url, fields, TOKEN)
    assert code == 200
    stream = ET.fromstring(markup).find("Connect/Stream")
    assert stream is not None
    assert "/media/twilio/" in stream.attrib["url"]
    for path, one in reversed(made):
        assert runtime.ask("DELETE", f"{path}/{one}")[0] == 200

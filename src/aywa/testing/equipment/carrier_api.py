"""A carrier whose REST API a runtime calls: Twilio's Calls resource and Telnyx's Call Control, from their API references.

A call that is placed is answered after a moment: the carrier asks for markup or takes the stream it was given, and somebody
behind its equipment plays a script. It tells the runtime how the call goes on, signed as the vendor signs, and keeps what it
was asked.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aywa.testing.equipment.base import Facts
from aywa.testing.equipment.call import Called, EquipmentCaller
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.markup import Order, ask, incoming, order
from aywa.testing.equipment.twilio import signature
from aywa.testing.script import Step

_TELNYX_CODINGS = {"PCMU": Coding.MULAW, "PCMA": Coding.ALAW, "L16": Coding.LINEAR}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came: its path behind the version, and its fields."""

    method: str
    path: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Of whoever is called. refuse: the API's own status for placing a call, 0: it is placed. status: what becomes of it: "" is
    answered, otherwise busy, no-answer, failed. steps: what the callee does."""

    refuse: int = 0
    status: str = ""
    steps: Callable[[], Sequence[Step]] = tuple


STAYS_S = 5.0
"""How long whoever was called stays on the line when there is no sound any more."""


@dataclass
class CarrierApi:
    """One carrier for one account. secret: the auth token, or the API key. url: set while it serves."""

    vendor: str
    account: str
    secret: str = field(repr=False)
    behaviour: Behaviour = field(default_factory=Behaviour)
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    calls: list[Called] = field(default_factory=list)
    hung_up: int = 0
    """Calls that the runtime has ended: by a request, or by <Hangup/> where it was asked how to go on."""
    problems: list[str] = field(default_factory=list)
    """What the runtime asked that the API reference does not allow, and what it answered wrongly."""
    _key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)
    _callers: dict[str, EquipmentCaller] = field(default_factory=dict, repr=False)
    _staying: set[str] = field(default_factory=set, repr=False)
    _ending: dict[str, asyncio.Event] = field(default_factory=dict, repr=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    @property
    def public_key(self) -> str:
        """Telnyx's, as its portal shows it."""
        return base64.b64encode(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[CarrierApi]:
        """On a free port of the loopback."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._serve)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await runner.cleanup()

    async def over(self) -> list[Called]:
        """Every call that was placed, once all of them have ended."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
        return self.calls

    # --- what is asked ---------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.Response:
        fields: dict[str, Any]
        if self.vendor == "telnyx":
            fields = await request.json() if request.can_read_body else {}
        else:
            form = await request.post()
            fields = {}
            for name, value in form.items():
                fields[name] = (
                    [*fields[name], str(value)] if isinstance(fields.get(name), list) else str(value)
                )
        self.asked.append(Asked(request.method, request.path, fields))
        if not self._authorised(request.headers.get("Authorization", "")):
            return web.json_response({"code": 20003, "message": "Authenticate"}, status=401)
        return self._telnyx(request, fields) if self.vendor == "telnyx" else self._twilio(request, fields)

    def _authorised(self, shown: str) -> bool:
        if self.vendor == "telnyx":
            return shown == f"Bearer {self.secret}"
        basic = base64.b64encode(f"{self.account}:{self.secret}".encode()).decode()
        return shown == f"Basic {basic}"

    # --- Twilio ------------------------------------------------------------------------------------------------------

    def _twilio(self, request: web.Request, fields: Mapping[str, str]) -> web.Response:
        root = f"/2010-04-01/Accounts/{self.account}/Calls"
        if request.method != "POST" or not request.path.startswith(root):
            self.problems.append(f"{request.method} {request.path} is nothing of Twilio's")
            return web.json_response({"code": 20404, "message": "not found"}, status=404)
        if request.path == f"{root}.json":
            return self._twilio_places(fields)
        sid = request.path.removeprefix(f"{root}/").removesuffix(".json")
        return self._twilio_changes(sid, fields)

    def _twilio_places(self, fields: Mapping[str, str]) -> web.Response:
        missing = [name for name in ("To", "From") if name not in fields]
        if missing or not ({"Url", "Twiml", "ApplicationSid"} & set(fields)):
            self.problems.append(f"a call without {missing or 'Url, Twiml or ApplicationSid'}")
            return web.json_response({"code": 21201, "message": "missing"}, status=400)
        if self.behaviour.refuse:
            refusal = {"code": 21211, "message": "The phone number you provided is invalid."}
            return web.json_response(refusal, status=self.behaviour.refuse)
        facts = Facts(
            fields["From"],
            fields["To"],
            f"CA{uuid4().hex}",
            f"MZ{uuid4().hex}",
            self.account,
            secret=self.secret,
        )
        self._begin(facts, self._twilio_call(facts, dict(fields)))
        made = {"sid": facts.call_id, "status": "queued", "account_sid": self.account}
        return web.json_response({**made, "to": facts.called, "from": facts.caller}, status=201)

    async def _twilio_call(self, facts: Facts, fields: Mapping[str, str]) -> None:
        callback = fields.get("StatusCallback", "")
        await self._twilio_tells(callback, facts, "ringing")
        if self.behaviour.status:
            await self._twilio_tells(callback, facts, self.behaviour.status)
            return
        await self._twilio_tells(callback, facts, "in-progress")
        if "Twiml" in fields:
            found = order("twilio", "text/xml", fields["Twiml"])
        else:
            request = incoming("twilio", fields["Url"], facts)
            form = {**(request.form or {}), "CallStatus": "in-progress", "Direction": "outbound-api"}
            signed = {"X-Twilio-Signature": signature(self.secret, request.url, form)}
            status, kind, body = await ask(replace(request, form=form, headers=signed))
            found = order("twilio", kind, body) if status == 200 else None
        called = await self._talk(found, facts)
        if called is not None and found is not None and found.action and called.ended_by == "runtime":
            await self._twilio_goes_on(found.action, facts)
        await self._twilio_tells(callback, facts, "completed")

    async def _twilio_goes_on(self, action: str, facts: Facts) -> None:
        """The stream is over and the callee still there: the action says what is next."""
        request = incoming("twilio", action, facts)
        form = {**(request.form or {}), "CallStatus": "in-progress", "Direction": "outbound-api"}
        signed = {"X-Twilio-Signature": signature(self.secret, action, form)}
        status, _, body = await ask(replace(request, form=form, headers=signed))
        if status >= 400:
            self.problems.append(f"{action} answered {status}")
        self.hung_up += "<Hangup" in body

    async def _twilio_tells(self, callback: str, facts: Facts, status: str) -> None:
        if not callback:
            return
        form = {
            "CallSid": facts.call_id,
            "AccountSid": facts.account,
            "From": facts.caller,
            "To": facts.called,
            "CallStatus": status,
            "Direction": "outbound-api",
            "ApiVersion": "2010-04-01",
        }
        if status == "completed":
            form["CallDuration"] = "1"
        await self._tell(callback, {"X-Twilio-Signature": signature(self.secret, callback, form)}, form)

    def _twilio_changes(self, sid: str, fields: Mapping[str, str]) -> web.Response:
        caller = self._callers.get(sid)
        if caller is None:
            return web.json_response({"code": 20404, "message": "not found"}, status=404)
        if not ({"Status", "Url", "Twiml"} & set(fields)):
            self.problems.append("a change of nothing")
        if fields.get("Status") not in (None, "completed", "canceled"):
            self.problems.append(f"Status {fields['Status']}")
        self.hung_up += fields.get("Status") == "completed"
        # Another document, or the end: the stream is over in any case.
        caller.hang_up()
        return web.json_response({"sid": sid, "status": "in-progress"})

    # --- Telnyx ------------------------------------------------------------------------------------------------------

    def _telnyx(self, request: web.Request, fields: Mapping[str, Any]) -> web.Response:
        if request.method == "POST" and request.path == "/v2/calls":
            return self._telnyx_places(fields)
        words = request.path.split("/")
        if request.method != "POST" or words[:3] != ["", "v2", "calls"] or words[4:5] != ["actions"]:
            self.problems.append(f"{request.method} {request.path} is nothing of Telnyx's")
            return web.json_response({"errors": [{"code": "10005", "title": "not found"}]}, status=404)
        caller = self._callers.get(words[3])
        ending = self._ending.setdefault(words[3], asyncio.Event())
        if words[5] == "hangup" and caller is None and words[3] in self._staying:
            self.hung_up += 1
            ending.set()
            return web.json_response({"data": {"result": "ok"}})
        if caller is None:
            gone = {"code": "90018", "title": "Call has already ended"}
            return web.json_response({"errors": [gone]}, status=422)
        self.hung_up += words[5] == "hangup"
        if words[5] in ("hangup", "transfer"):
            ending.set()
            caller.hang_up()
        return web.json_response({"data": {"result": "ok"}})

    def _telnyx_places(self, fields: Mapping[str, Any]) -> web.Response:
        missing = [name for name in ("connection_id", "to", "from") if not fields.get(name)]
        if missing:
            self.problems.append(f"a call without {missing}")
            return web.json_response({"errors": [{"code": "10004", "title": "missing"}]}, status=422)
        if self.behaviour.refuse:
            refusal = {"code": "10016", "title": "Phone number must be in +E164 format"}
            return web.json_response({"errors": [refusal]}, status=self.behaviour.refuse)
        facts = Facts(str(fields["from"]), str(fields["to"]), f"v3:{uuid4().hex}", str(uuid4()), self.account)
        self._begin(facts, self._telnyx_call(facts, fields))
        made = {"call_control_id": facts.call_id, "call_leg_id": str(uuid4()), "record_type": "call"}
        return web.json_response({"data": {**made, "call_session_id": str(uuid4()), "is_alive": False}})

    async def _telnyx_call(self, facts: Facts, fields: Mapping[str, Any]) -> None:
        hook = str(fields.get("webhook_url", ""))
        state = {"client_state": fields["client_state"]} if "client_state" in fields else {}
        await self._telnyx_tells(hook, facts, "call.initiated", {"state": "bridging", **state})
        if self.behaviour.status:
            cause = {"busy": "user_busy", "no-answer": "timeout"}.get(self.behaviour.status, "call_rejected")
            await self._telnyx_tells(hook, facts, "call.hangup", {"hangup_cause": cause, **state})
            return
        await self._telnyx_tells(hook, facts, "call.answered", state)
        found = None
        if "stream_url" in fields:
            coding = _TELNYX_CODINGS.get(str(fields.get("stream_bidirectional_codec", "PCMU")), Coding.MULAW)
            rate_hz = int(fields.get("stream_bidirectional_sampling_rate", 8000))
            if fields.get("stream_bidirectional_mode") != "rtp":
                self.problems.append("without stream_bidirectional_mode rtp nothing but MP3 is played")
            found = Order(str(fields["stream_url"]), {}, coding, rate_hz)
        called = await self._talk(found, facts)
        if called is not None and called.ended_by == "runtime":
            # A stream that is over does not end the call: whoever was called stays on the line, for a while.
            self._staying.add(facts.call_id)
            with suppress(TimeoutError):
                async with asyncio.timeout(STAYS_S):
                    await self._ending.setdefault(facts.call_id, asyncio.Event()).wait()
            self._staying.remove(facts.call_id)
        ended = {"hangup_cause": "normal_clearing", "hangup_source": "callee", **state}
        await self._telnyx_tells(hook, facts, "call.hangup", ended)

    async def _telnyx_tells(self, hook: str, facts: Facts, event: str, more: Mapping[str, Any]) -> None:
        if not hook:
            return
        payload = {
            "call_control_id": facts.call_id,
            "connection_id": self.account,
            "from": facts.caller,
            "to": facts.called,
            "direction": "outgoing",
            **more,
        }
        data = {"event_type": event, "id": str(uuid4()), "payload": payload, "record_type": "event"}
        body = json.dumps({"data": data, "meta": {"attempt": 1, "delivered_to": hook}}).encode()
        timestamp = str(round(time.time()))
        signed = self._key.sign(timestamp.encode() + b"|" + body)
        headers = {
            "Content-Type": "application/json",
            "telnyx-timestamp": timestamp,
            "telnyx-signature-ed25519": base64.b64encode(signed).decode(),
        }
        await self._tell(hook, headers, body)

    # --- both --------------------------------------------------------------------------------------------------------

    def _begin(self, facts: Facts, call: Any) -> None:
        task = asyncio.get_running_loop().create_task(call, name=f"carrier: {facts.call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _talk(self, found: Order | None, facts: Facts) -> Called | None:
        """Whoever was called speaks behind the equipment."""
        if found is None:
            return None
        equipment = found.equipment(
            self.vendor, replace(facts, secret=self.secret if self.vendor == "twilio" else "")
        )
        caller = EquipmentCaller(equipment, found.url)
        self._callers[facts.call_id] = caller
        called = await caller.call(list(self.behaviour.steps()))
        self.calls.append(called)
        del self._callers[facts.call_id]
        return called

    async def _tell(self, url: str, headers: Mapping[str, str], body: Mapping[str, str] | bytes) -> None:
        try:
            async with (
                asyncio.timeout(15),
                aiohttp.ClientSession() as http,
                http.post(
                    url, data=body if isinstance(body, bytes) else dict(body), headers=headers
                ) as response,
            ):
                if response.status >= 400:
                    self.problems.append(f"{url} answered {response.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.problems.append(f"{url}: {str(error) or type(error).__name__}")

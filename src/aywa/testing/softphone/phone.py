"""The telephone: dials or is called, answers, holds, sends keys, refers and hangs up; one call at a time.

What the far side does wrong is noted, not mended. Everything that happens is in `log`, and every sound goes to `heard`.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aywa.testing.softphone.call import Dialog, Log
from aywa.testing.softphone.lines import Line, Place, open_line
from aywa.testing.softphone.message import (
    PCMA,
    PCMU,
    Message,
    NotSip,
    address,
    bracketed,
    digest_answer,
    host_port,
    read_sdp,
    write_sdp,
)
from aywa.testing.softphone.network import Impairment
from aywa.testing.softphone.rtp import Rtp
from aywa.testing.softphone.transactions import T1_S, T2_S, NoAnswer, Transactions
from aywa.testing.softphone.writing import (
    Writer,
    anew,
    cancel_of,
    refused_ack,
    request_of,
    response_to,
    to_of,
)

NO_ANSWER_YET = "no answer yet"
_DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}


@dataclass(frozen=True, slots=True)
class Setup:
    """How the telephone is. host, port: where it listens (0: a free port). certificate: of a TLS line that is called.
    payloads: codecs in order of liking. user: its name in From and Contact. network: what its datagrams go through."""

    host: str = "127.0.0.1"
    port: int = 0
    transport: str = "udp"
    user: str = "softphone"
    username: str = ""
    password: str = field(default="", repr=False)
    payloads: Sequence[int] = (PCMU, PCMA)
    certificate: tuple[Path, Path] | None = None
    seed: int | None = None
    network: Impairment | None = None


class Phone:
    """An async context manager. heard(pcm) gets PCM16 at 8 kHz as it arrives. on_quiet: told where nothing answers yet."""

    def __init__(
        self,
        setup: Setup,
        heard: Callable[[bytes], None],
        on_quiet: Callable[[Place], None] = lambda place: None,
    ) -> None:
        self.setup = setup
        self.ended = asyncio.Event()
        self.rang = asyncio.Event()
        self.ended_by = ""
        self.status, self.reason = 0, ""
        self.log: Log
        self.audio: Rtp
        self.dialog: Dialog | None = None
        self.held_by_far = False
        self._heard = heard
        # Tags and branches of a test tool; nothing is guarded by them.
        self._chance = random.Random(setup.seed)
        self._on_quiet = on_quiet
        self._transactions = Transactions(self._quiet)
        self._line: Line
        self._invite: Message | None = None
        self._invited_from: Place = ("", 0)
        self._confirmed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        setup = self.setup
        self.log = Log(asyncio.get_running_loop().time())
        self._line = await open_line(
            setup.transport, setup.host, setup.port, self._came, setup.certificate, setup.network
        )
        self._transactions.line = self._line
        self.audio = await Rtp.open(setup.host, self._heard, self._chance.getrandbits, setup.network)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.audio.close()
        await self._line.close()

    @property
    def uri(self) -> str:
        """At which it can be dialled."""
        host, port = self._line.local
        return self._me((host, port)).uri

    @property
    def in_call(self) -> bool:
        """There is a dialog, and it has not ended."""
        return self.dialog is not None and not self.ended.is_set()

    # --- dialling ------------------------------------------------------------------------------------------------

    async def dial(self, uri: str, headers: Sequence[tuple[str, str]] = (), ring_s: float = 60.0) -> bool:
        """Whether it was answered; `status` says what came. Raises NoAnswer."""
        place = await self._place_of(uri)
        own = await self._own(place)
        tag = self._token()
        identity = f"<sip:{self.setup.user}@{bracketed(own[0])}>;tag={tag}"
        self.dialog = Dialog(self._token(), identity, f"<{address(uri)}>", address(uri), place)
        request = await self._request("INVITE", self._sdp(own, "sendrecv"))
        for name, value in headers:
            request.add(name, value)
        self._note("dialled", uri)
        try:
            async with asyncio.timeout(ring_s):
                response = await self._invited(request, place)
        except TimeoutError:
            response = await self._cancel(request, place)
        self.status, self.reason = response.status, response.reason
        if response.status >= 300:
            self._end("far side", f"{response.status} {response.reason}")
            return False
        return True

    async def dial_and_cancel(self, uri: str, after_s: float) -> Message:
        """Dials, and takes it back after so long; gives the INVITE's final answer. Raises NoAnswer."""
        place = await self._place_of(uri)
        own = await self._own(place)
        identity = f"<sip:{self.setup.user}@{bracketed(own[0])}>;tag={self._token()}"
        self.dialog = Dialog(self._token(), identity, f"<{address(uri)}>", address(uri), place)
        request = await self._request("INVITE", self._sdp(own, "sendrecv"))
        try:
            async with asyncio.timeout(after_s):
                response = await self._invited(request, place)
        except TimeoutError:
            response = await self._cancel(request, place)
        self.status, self.reason = response.status, response.reason
        if response.status >= 300:
            self._end("caller", f"{response.status} {response.reason}")
        return response

    async def _invited(self, request: Message, place: Place) -> Message:
        """The final response to an INVITE, acknowledged; answers a challenge once."""
        last = Message("SIP/2.0 408 Request Timeout")
        for again in (True, False):
            async for response in self._transactions.ask(request, place):
                self._note("response", f"{response.status} {response.reason}")
                if response.status < 300 and self.dialog is not None:
                    self.dialog.learn(response)
                if 100 < response.status < 200:
                    self.rang.set()
                if 100 < response.status < 300 and response.body:
                    self._take_sdp(response)
                last = response
            await self._acknowledge(request, last, place)
            if last.status not in (401, 407) or not (again and self.setup.username):
                break
            request = await self._authorised(request, last)
        return last

    async def _cancel(self, request: Message, place: Place) -> Message:
        """Takes an INVITE back; its final answer."""
        cancel = cancel_of(request)
        self._note("cancelled")
        # The INVITE's own transaction goes on in the meantime.
        final: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._late = (request, place, final)
        response = await self._transactions.final(cancel, place)
        self._note("response", f"{response.status} to CANCEL")
        try:
            async with asyncio.timeout(64 * T1_S):
                return await final
        except TimeoutError:
            raise NoAnswer("no final answer to a cancelled INVITE") from None
        finally:
            self._late = None

    _late: tuple[Message, Place, asyncio.Future[Message]] | None = None

    async def _acknowledge(self, invite: Message, response: Message, place: Place) -> None:
        if response.status < 200 or self.dialog is None:
            return
        if response.status < 300:
            ack = await self._request("ACK", cseq=invite.cseq[0])
            await self._line.send(ack.encode(), await self._next_hop())
            return
        ack = refused_ack(invite, response)
        await self._line.send(ack.encode(), place)

    async def _authorised(self, request: Message, challenge: Message) -> Message:
        """The request again, with the answer to the challenge."""
        assert self.dialog is not None
        proxy = challenge.status == 407
        asked = challenge.get("Proxy-Authenticate" if proxy else "WWW-Authenticate")
        answer = digest_answer(
            asked, request.method, request.uri, self.setup.username, self.setup.password, self._token()
        )
        self.dialog.cseq += 1
        made = anew(request, self._token(), self.dialog.cseq)
        made.add("Proxy-Authorization" if proxy else "Authorization", answer)
        return made

    # --- being called ----------------------------------------------------------------------------------------------

    async def wait_for_call(self, within_s: float) -> bool:
        """Whether somebody called."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.rang.wait()
        return self.rang.is_set()

    async def ring(self) -> None:
        """180 to the caller."""
        if self._invite is not None and not self.ended.is_set():
            await self._respond(self._invite, 180, "Ringing")

    async def accept(self) -> bool:
        """200 to the caller, again until it is acknowledged; False when the caller gave up, or never did acknowledge."""
        invite = self._invite
        if invite is None or self.ended.is_set():
            return False
        self._note("answered")
        self.status, self.reason = 200, "OK"
        await self._accepted(invite)
        return self._confirmed.is_set()

    async def reject(self, status: int, reason: str, contact: str = "") -> None:
        """A final answer that is no. contact: where to ask instead."""
        if self._invite is not None and not self.ended.is_set():
            self.status, self.reason = status, reason
            await self._respond(self._invite, status, reason, contact=contact)
            self._end("callee", f"{status} {reason}")

    async def _accepted(self, invite: Message) -> None:
        """RFC 3261 13.3.1.4: the 200 is repeated until the ACK, over every transport."""
        self._confirmed.clear()
        own = await self._own(self._invited_from)
        direction = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
        offered = self._take_sdp(invite) if invite.body else "sendrecv"
        body = self._sdp(own, direction.get(offered, "sendrecv"))
        wait_s, waited_s = T1_S, 0.0
        while not self._confirmed.is_set() and waited_s < 64 * T1_S and not self.ended.is_set():
            await self._respond(invite, 200, "OK", body)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._confirmed.wait()
            waited_s += wait_s
            wait_s = min(2 * wait_s, T2_S)

    # --- in the call -----------------------------------------------------------------------------------------------

    async def hang_up(self) -> None:
        """BYE, when there is a call."""
        if not self.in_call:
            return
        self._end("caller", "hung up")
        with suppress(NoAnswer):
            response = await self._ask("BYE")
            self._note("response", f"{response.status} to BYE")

    async def hold(self, held: bool) -> int:
        """A re-INVITE with the direction changed; gives the answer's status. Raises NoAnswer."""
        if not self.in_call or self.dialog is None:
            return 0
        self.dialog.session += 1
        place = await self._next_hop()
        body = self._sdp(await self._own(place), "sendonly" if held else "sendrecv")
        response = await self._invited(await self._request("INVITE", body), place)
        self._note("held" if held else "resumed", f"{response.status} {response.reason}")
        return response.status

    async def refer(self, target: str) -> int:
        """Asks the far side to call somebody else; gives the answer's status. Raises NoAnswer."""
        response = await self._ask("REFER", [("Refer-To", f"<{target}>"), ("Referred-By", self._identity())])
        self._note("referred", f"{target}: {response.status} {response.reason}")
        return response.status

    async def send_info(self, key: str) -> int:
        """A key by INFO (application/dtmf-relay). Raises NoAnswer."""
        body = f"Signal={key}\r\nDuration=160\r\n".encode()
        response = await self._ask("INFO", [("Content-Type", "application/dtmf-relay")], body)
        self._note("key by INFO", f"{key}: {response.status}")
        return response.status

    async def ask(self, method: str, uri: str, headers: Sequence[tuple[str, str]] = ()) -> Message:
        """A request outside of a call (OPTIONS, REGISTER); answers a challenge once. Raises NoAnswer."""
        place = await self._place_of(uri)
        own = await self._own(place)
        user = self.setup.username or self.setup.user
        identity = f"<sip:{user}@{bracketed(host_port(uri)[0])}>"
        outside, self.dialog = (
            self.dialog,
            Dialog(self._token(), f"{identity};tag={self._token()}", identity, address(uri), place),
        )
        try:
            request = await self._request(method, own=own)
            for name, value in headers:
                request.add(name, value)
            response = await self._transactions.final(request, place)
            if response.status in (401, 407) and self.setup.username:
                response = await self._transactions.final(await self._authorised(request, response), place)
        finally:
            self.dialog = outside
        self._note(method, f"{response.status} {response.reason}")
        return response

    async def _ask(self, method: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> Message:
        request = await self._request(method)
        for name, value in headers:
            request.add(name, value)
        request.body = body
        return await self._transactions.final(request, await self._next_hop())

    # --- what comes ------------------------------------------------------------------------------------------------

    def _came(self, message: Message, source: Place) -> None:
        if message.status:
            if not self._transactions.came_back(message):
                self._late_response(message)
            return
        before = self._transactions.copy(message)
        if before is not None:
            self._later(self._line.send(*before))
            return
        self._later(self._take(message, source))

    def _late_response(self, response: Message) -> None:
        """An answer nobody waits for: a repeated 2xx, or that of an INVITE which was cancelled."""
        if response.method != "INVITE" or response.status < 200 or self.dialog is None:
            return
        if self._late is not None and response.branch == self._late[0].branch:
            request, place, final = self._late
            self.dialog.learn(response)
            if response.status < 300 and response.body:
                self._take_sdp(response)
            self._later(self._acknowledge(request, response, place))
            if not final.done():
                self._note("response", f"{response.status} {response.reason}")
                final.set_result(response)
        elif response.status < 300 and response.get("Call-ID") == self.dialog.call_id:
            invite = Message("INVITE x SIP/2.0", [("CSeq", response.get("CSeq"))])
            self._later(self._acknowledge(invite, response, self.dialog.place))

    async def _take(self, request: Message, source: Place) -> None:
        ours = self.dialog is not None and request.get("Call-ID") == self.dialog.call_id
        match request.method:
            case "ACK":
                self._acknowledged(request)
            case "INVITE" if not ours:
                await self._called(request, source)
            case "OPTIONS":
                await self._respond(request, 200, "OK", place=source)
            case _ if not ours:
                await self._respond(request, 481, "Call/Transaction Does Not Exist", place=source)
            case "INVITE" | "UPDATE":
                await self._reinvited(request, source)
            case "BYE":
                await self._respond(request, 200, "OK", place=source)
                self._end("far side", request.get("Reason"))
            case "CANCEL":
                await self._cancelled(request, source)
            case "INFO":
                await self._respond(request, 200, "OK", place=source)
                self._note("INFO", request.body.decode("utf-8", "replace").strip())
            case "REFER":
                await self._referred(request, source)
            case "NOTIFY":
                await self._respond(request, 200, "OK", place=source)
                self._note("NOTIFY", request.body.decode("utf-8", "replace").strip())
            case "PRACK":
                await self._respond(request, 200, "OK", place=source)
            case _:
                await self._respond(request, 405, "Method Not Allowed", place=source)

    async def _called(self, invite: Message, source: Place) -> None:
        if self.dialog is not None:
            await self._respond(invite, 486, "Busy Here", place=source)
            return
        self._invite, self._invited_from = invite, source
        ours = f"{invite.get('To')};tag={self._token()}"
        contact = address(invite.get("Contact"))
        self.dialog = Dialog(invite.get("Call-ID"), ours, invite.get("From"), contact, source)
        self.dialog.route = invite.all("Record-Route")
        self._note("called", address(invite.get("From")))
        await self._respond(invite, 100, "Trying")
        self.rang.set()

    def _acknowledged(self, ack: Message) -> None:
        if self.dialog is not None and ack.get("Call-ID") == self.dialog.call_id:
            if ack.body:
                self._take_sdp(ack)
            self._confirmed.set()

    async def _reinvited(self, request: Message, source: Place) -> None:
        assert self.dialog is not None
        if not request.body and request.method == "UPDATE":
            await self._respond(request, 200, "OK", place=source)
            return
        direction = self._take_sdp(request) if request.body else "sendrecv"
        self.held_by_far = direction in ("sendonly", "inactive")
        self._note("media changed", direction)
        self.dialog.session += 1
        self._invited_from = source
        if request.method == "INVITE":
            await self._accepted(request)
            return
        mirrored = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(direction, direction)
        await self._respond(request, 200, "OK", self._sdp(await self._own(source), mirrored), source)

    async def _cancelled(self, request: Message, source: Place) -> None:
        await self._respond(request, 200, "OK", place=source)
        if self._invite is not None and not self.status:
            await self._respond(self._invite, 487, "Request Terminated")
            self._end("far side", request.get("Reason") or "cancelled")

    async def _referred(self, request: Message, source: Place) -> None:
        """Takes a transfer, and says that it went well, without making the call."""
        await self._respond(request, 202, "Accepted", place=source)
        self._note("asked to call", address(request.get("Refer-To")))
        headers = [
            ("Event", "refer"),
            ("Subscription-State", "terminated;reason=noresource"),
            ("Content-Type", "message/sipfrag;version=2.0"),
        ]
        with suppress(NoAnswer):
            await self._ask("NOTIFY", headers, b"SIP/2.0 200 OK\r\n")

    # --- messages --------------------------------------------------------------------------------------------------

    async def _request(
        self, method: str, body: bytes = b"", cseq: int | None = None, own: Place | None = None
    ) -> Message:
        dialog = self.dialog
        assert dialog is not None
        if cseq is None:
            dialog.cseq += 1
            cseq = dialog.cseq
        me = self._me(own or await self._own(await self._next_hop()))
        return request_of(method, dialog, me, self._token(), cseq, body)

    def _me(self, own: Place) -> Writer:
        return Writer(self.setup.user, self.setup.transport, own)

    async def _respond(
        self,
        request: Message,
        status: int,
        reason: str,
        body: bytes = b"",
        place: Place | None = None,
        contact: str = "",
    ) -> None:
        place = place or self._invited_from
        contact = contact or self._me(await self._own(place)).uri
        response = response_to(request, status, reason, to_of(request, self.dialog, status), contact, body)
        with suppress(OSError):
            await self._transactions.answer(response, place)

    def _sdp(self, own: Place, direction: str) -> bytes:
        version = self.dialog.session if self.dialog else 1
        return write_sdp(own[0], self.audio.local[1], self.setup.payloads, version, direction)

    def _take_sdp(self, message: Message) -> str:
        """Listens to what the far side says of its audio; the direction it names."""
        try:
            self.audio.far = read_sdp(message.body, self.setup.payloads)
        except (NotSip, ValueError) as error:
            self._note("unusable SDP", str(error))
            return "sendrecv"
        return self.audio.far.direction

    def _quiet(self, place: Place) -> None:
        if any(entry.what == NO_ANSWER_YET for entry in self.log.entries):
            # Of the CANCEL too; once is enough.
            return
        self._note(NO_ANSWER_YET, f"{bracketed(place[0])} port {place[1]} by {self.setup.transport}")
        self._on_quiet(place)

    def _identity(self) -> str:
        return f"<{address(self.dialog.ours)}>" if self.dialog else ""

    async def _own(self, place: Place) -> Place:
        try:
            return await self._line.reach(place)
        except OSError as error:
            raise NoAnswer(
                f"{place[0]} port {place[1]} cannot be reached: {error.strerror or error}"
            ) from error

    async def _next_hop(self) -> Place:
        dialog = self.dialog
        assert dialog is not None
        return await self._place_of(address(dialog.route[0]) if dialog.route else dialog.target, dialog.place)

    async def _place_of(self, uri: str, known: Place | None = None) -> Place:
        """Where a URI leads: an address, or a name that the system knows."""
        host, port, _ = host_port(uri)
        port = port or _DEFAULT_PORTS[self.setup.transport]
        if known is not None and self.setup.transport != "udp" and known[0] == host:
            # On a stream the far side answers where it is connected, whatever its Contact says.
            return known
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise NoAnswer(f"{host} is not known: {error.strerror or error}") from error
        return str(found[0][4][0]), port

    def _token(self) -> str:
        return f"{self._chance.getrandbits(64):016x}"

    def _note(self, what: str, detail: str = "") -> None:
        self.log.note(asyncio.get_running_loop().time(), what, detail)

    def _end(self, by: str, detail: str) -> None:
        if not self.ended.is_set():
            self.ended_by = by
            self._note("ended", f"by {by}" + (f": {detail}" if detail else ""))
            self.ended.set()

    def _later(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(doing, name="softphone")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""Many scripted telephones behind one SIP address, told apart by the number that is called. What each does is written before."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aywa.testing.softphone.call import Dialog
from aywa.testing.softphone.lines import Line, Place, open_line
from aywa.testing.softphone.message import PCMU, Message, address, write_sdp
from aywa.testing.softphone.writing import Writer, request_of, response_to

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Script:
    """status: the final answer, 200 to take the call, 0 to let it ring. talk_s: after how long it hangs up. ring_s: before."""

    status: int
    reason: str = ""
    talk_s: float = 0.0
    ring_s: float = 0.0


ANSWERS = Script(200, "OK", talk_s=0.8, ring_s=0.1)
BUSY = Script(486, "Busy Here")
DECLINES = Script(603, "Decline", ring_s=0.2)
RINGS_ON = Script(0)
NOBODY = Script(404, "Not Found")


class _Sound(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.packets = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.packets += 1


@dataclass
class Callees:
    """scripts: by number, as it is dialled. called: how often each was. most: how many calls were there at once. order: of the
    first INVITEs."""

    scripts: Mapping[str, Script]
    line: Line
    sound: _Sound
    sound_port: int
    called: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)
    open: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    most: int = 0
    _final: dict[str, Message] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return self.line.local[1]

    def came(self, message: Message, source: Place) -> None:
        call_id, method = message.get("Call-ID"), message.method
        if message.status or method == "ACK":
            return
        if method == "INVITE":
            if call_id not in self.open and call_id not in self._final:
                self._begin(call_id, message, source)
            return
        self._soon(self._answer(message, 200, "OK", source))
        if method == "CANCEL" and (invite := self._final.get(f"{call_id} invite")) is not None:
            self._soon(self._answer(invite, 487, "Request Terminated", source))
        if method in ("BYE", "CANCEL"):
            self._over(call_id)

    def _begin(self, call_id: str, invite: Message, source: Place) -> None:
        number = address(invite.get("To")).partition(":")[2].partition("@")[0]
        self.called[number] += 1
        self.order.append(number)
        self._final[f"{call_id} invite"] = invite
        task = asyncio.get_running_loop().create_task(
            self._act(call_id, invite, source, self.scripts[number])
        )
        self.open[call_id] = task
        self.most = max(self.most, len(self.open))

    async def _act(self, call_id: str, invite: Message, source: Place, script: Script) -> None:
        await self._answer(invite, 180, "Ringing", source)
        await asyncio.sleep(script.ring_s)
        if not script.status:
            await asyncio.Event().wait()
        body = write_sdp(HOST, self.sound_port, [PCMU], 1, "sendrecv") if script.status == 200 else b""
        await self._answer(invite, script.status, script.reason, source, body)
        if script.status == 200:
            await asyncio.sleep(script.talk_s)
            ours = f"{invite.get('To')};tag=callee"
            dialog = Dialog(call_id, ours, invite.get("From"), address(invite.get("Contact")), source)
            me = Writer("callee", "udp", self.line.local)
            await self.line.send(request_of("BYE", dialog, me, f"bye{call_id}", 1).encode(), source)
        self._over(call_id)

    async def _answer(self, request: Message, status: int, reason: str, to: Place, body: bytes = b"") -> None:
        own = request.get("To")
        tagged = own if ";tag=" in own else f"{own};tag=callee"
        contact = f"sip:callee@{HOST}:{self.port}"
        await self.line.send(response_to(request, status, reason, tagged, contact, body).encode(), to)

    def _over(self, call_id: str) -> None:
        self._final[call_id] = self._final[f"{call_id} invite"]
        task = self.open.pop(call_id, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _soon(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    _tasks: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def callees(scripts: Mapping[str, Script]) -> AsyncIterator[Callees]:
    """Listening at a free port of the loopback."""
    made: list[Callees] = []
    line = await open_line("udp", HOST, 0, lambda message, source: made[0].came(message, source))
    loop = asyncio.get_running_loop()
    sounding, sound = await loop.create_datagram_endpoint(_Sound, local_addr=(HOST, 0))
    made.append(Callees(scripts, line, sound, sounding.get_extra_info("sockname")[1]))
    try:
        yield made[0]
    finally:
        for task in list(made[0].open.values()):
            task.cancel()
        sounding.close()
        await line.close()

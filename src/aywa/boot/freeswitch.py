"""Calls of a FreeSWITCH: joins its event socket, the media sockets, the router and the call host. A call that comes is routed,
answered, and its audio sent for; a call that goes out is originated, and what becomes of it is told to its host.

Signalling and audio travel apart: either may be lost, and come back. While a channel is there its call goes on; whether it is
there, FreeSWITCH is asked each time the connection to it is made anew. What a far side does ends at most its own call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

import structlog

from aywa.adapters.transports.freeswitch.client import FreeSwitchClient
from aywa.adapters.transports.freeswitch.server import FreeSwitchServer
from aywa.adapters.transports.freeswitch.settings import ClientSettings, ServerSettings
from aywa.adapters.transports.freeswitch.socket import EventSocket, new_uuid
from aywa.boot.freeswitch_audio import SwitchAudio
from aywa.boot.freeswitch_coupling import Bridging, Handing
from aywa.boot.freeswitch_dial import target_of, variables_of
from aywa.boot.freeswitch_line import LineControl, LineSocket, SwitchLine, Way
from aywa.boot.freeswitch_reading import invite_of, orphans_of
from aywa.boot.freeswitch_settings import HANG_UP, FreeSwitchSettings
from aywa.boot.host import Host
from aywa.core import ended_reasons
from aywa.core.esl import audio, causes, commands
from aywa.core.esl.audio import audio_news
from aywa.core.esl.channel import Answered, Channel, HungUp, KeyPressed, News, Rang
from aywa.core.esl.event import Event, json_event
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.media import Leg, MediaPlane
from aywa.ports.telephony import (
    Forward,
    OutboundCall,
    Refusal,
    Router,
    Transfer,
    TransferNews,
    TransferVerb,
)

_log = structlog.get_logger("aywa.boot.freeswitch")

TRANSFER_FAILED = "call.in-progress.error-transfer-failed"
MARK = "aywa"
# Applications in which a caller waits for us.
HELD_BY = ("", "park", "socket")


class MediaSockets(Protocol):
    """What is needed of the transport of media sockets."""

    def govern(self, call_id: str, control: LineControl) -> None:
        """Whom the call's socket asks for what it cannot do itself."""

    def forget(self, call_id: str) -> None:
        """Not any more."""

    def leg(self, call_id: str) -> Leg | None:
        """The call's, while its socket is there."""


class FreeSwitch:
    """ports.telephony.Telephone and Transfers. address(protocol, call_id): the whole URL at which a prepared call's audio is
    awaited. mark: by which channels are known as this runtime's, also by the process that comes after this one. first_org: who
    may call through it when nobody said."""

    def __init__(
        self,
        settings: FreeSwitchSettings,
        host: Host,
        plane: MediaPlane,
        sockets: MediaSockets,
        address: Callable[[str, str], str],
        mark: str = MARK,
    ) -> None:
        self.settings = settings
        self.plane = plane
        self.first_org = ""
        self._host = host
        self._sockets = sockets
        self._mark = mark
        self._lines: dict[str, SwitchLine] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._patience: asyncio.TimerHandle | None = None
        self._closing = False
        self._router: Router
        self.audio = SwitchAudio(settings, address)
        self.state = "not connected"
        self.client = FreeSwitchClient(
            ClientSettings(settings.host, settings.port, settings.password, settings.user),
            self._happened,
            self._up,
            self._down,
        )
        self.server: FreeSwitchServer | None = None

    def _call_over(self, call_id: str, connected: bool) -> None:
        """Also one that ended before its audio was there: whoever still rings for it need not."""
        for line in list(self._lines.values()):
            if line.call_id == call_id:
                self.hang_up(line)

    async def open(self, router: Router) -> int | None:
        """Begins; answers the port that FreeSWITCH comes to. Raises OSError."""
        settings = self.settings
        self._router = router
        self._host.on_over(self._call_over)
        if settings.host:
            self.client.start()
        if settings.listen_port is None:
            return None
        listening = ServerSettings(settings.listen_host, settings.listen_port, settings.networks)
        self.server = FreeSwitchServer(listening, self._arrived)
        return await self.server.start()

    async def close(self, within_s: float) -> None:
        """Hangs up what is left; the calls' host is closed before."""
        self._closing = True
        for line in list(self._lines.values()):
            # Whoever was passed on talks to somebody else.
            if line.call_id:
                self.hang_up(line)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while any(line.call_id for line in self._lines.values()) and self._tasks:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        if self._patience is not None:
            self._patience.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.server is not None:
            await self.server.close()
        await self.client.close()

    # --- ports.telephony.Telephone ------------------------------------------------------------------------------------

    def dial(self, call: OutboundCall) -> None:
        """As the port says."""
        uuid = call.call_id if call.call_id not in self._lines else new_uuid()
        line = SwitchLine(Channel(uuid), call.call_id, call.org_id, outbound=call)
        self.place(call, line)
        self._sockets.govern(call.call_id, LineControl(line, self.hang_up, self.send_keys))

    def place(self, call: OutboundCall, line: SwitchLine) -> None:
        """Originates on the line. Raises CallRefused."""
        if self._closing or not self.client.connected:
            raise CallRefused(ended_reasons.OUTBOUND_FAILED, f"FreeSWITCH is {self.state}")
        if not self.settings.may_call(call.org_id, self.first_org):
            raise CallRefused(
                ended_reasons.OUTBOUND_FAILED,
                "this organisation may not call through FreeSWITCH (RUNTIME_FREESWITCH_ORGS)",
            )
        try:
            argument = commands.originate(
                variables_of(call, line.uuid, self._mark), target_of(call, self.settings)
            )
        except commands.Unsendable as error:
            raise CallRefused(ended_reasons.OUTBOUND_FAILED, str(error)) from error
        self._lines[line.uuid] = line
        self.client.watch(line.uuid)
        self.spawn(self._originate(line, argument), f"freeswitch: originate {line.uuid}")

    # --- ports.telephony.Transfers ------------------------------------------------------------------------------------

    def has(self, call_id: str) -> bool:
        """Whether the call is one of FreeSWITCH's."""
        return any(line.call_id == call_id for line in self._lines.values())

    def transfer(self, transfer: Transfer, tell: Callable[[TransferNews], None]) -> None:
        """As the port says. REFER: FreeSWITCH calls in our place, and we are gone at once. DIAL: we stay until somebody
        answers."""
        call_id = transfer.call.call_id
        line = next((line for line in self._lines.values() if line.call_id == call_id), None)
        if line is None or not line.channel.answered or line.coupling is not None or line.closing:
            why = (
                "it is not one of FreeSWITCH's"
                if line is None
                else "it is not answered, or being transferred"
            )
            raise CallRefused(TRANSFER_FAILED, f"call {call_id} cannot be transferred: {why}")
        try:
            target = target_of(transfer.call, self.settings)
        except commands.Unsendable as error:
            raise CallRefused(TRANSFER_FAILED, str(error)) from error
        if transfer.verb is TransferVerb.REFER:
            Handing(self, line, tell).begin(target)
        else:
            Bridging(self, line, transfer, tell).begin(new_uuid())

    # --- calls that come ------------------------------------------------------------------------------------------------

    def _arrived(self, socket: EventSocket, channel: Event) -> LineSocket:
        line = SwitchLine(Channel(channel.uuid), socket=socket, core=channel.get("Core-UUID"))
        _ = line.channel.found(channel)
        self._lines[line.uuid] = line
        self.spawn(self._route(line, channel, socket.peer), f"freeswitch: route {line.uuid}")
        return LineSocket(line, self._take, self._socket_lost)

    async def _route(self, line: SwitchLine, channel: Event, source: str) -> None:
        answer: CallPlan | Forward | Refusal
        try:
            answer = await self._router.route(invite_of(channel, source))
        except Exception:  # noqa: BLE001 - a router that breaks is a call refused
            _log.exception("call_not_routed")
            answer = Refusal(500)
        match answer:
            case CallPlan():
                line.call_id, line.org_id = answer.call_id, answer.org_id
                if line.channel.over:
                    # The caller was gone before there was an answer.
                    self._host.end(line.call_id, ended_reasons.CALLER_GAVE_UP)
                    return
                self._sockets.govern(line.call_id, LineControl(line, self.hang_up, self.send_keys))
                await self._pick_up(line)
            case Refusal(status=status):
                await self._say(line, commands.hang_up(causes.refusal(status), line.uuid))
            case Forward(call=call):
                await self._forward(line, call)

    async def _pick_up(self, line: SwitchLine) -> None:
        """The call is prepared: it is answered, if it is not."""
        # Without the mark: should this process end, its caller goes on in the dialplan.
        _ = await self.way(line).api("uuid_setvar", f"{line.uuid} aywa_call_id {line.call_id}")
        if line.channel.answered:
            self._answered(line)
        else:
            await self._say(line, commands.execute("answer", uuid=line.uuid))

    async def _forward(self, line: SwitchLine, call: OutboundCall) -> None:
        """Nobody answers here: FreeSWITCH connects the caller with somebody else by itself."""
        try:
            target = target_of(call, self.settings)
        except commands.Unsendable as error:
            _log.warning("not_forwarded", error=str(error))
            await self._say(line, commands.hang_up(causes.refusal(480), line.uuid))
            return
        await self._say(line, commands.execute("set", "hangup_after_bridge=true", line.uuid))
        await self._say(line, commands.execute("bridge", target, line.uuid))

    # --- calls that go out ----------------------------------------------------------------------------------------------

    async def _originate(self, line: SwitchLine, argument: str) -> None:
        reply = await self.client.job("originate", argument)
        if reply.lost:
            # Whether it rings, FreeSWITCH says when it is there again.
            _log.warning("originate_not_answered", call_id=line.call_id)
        elif reply.good:
            self._tell(line, line.channel.found(Event(fields={"Answer-State": "answered"})))
        else:
            cause = causes.of_originate(reply.text)
            self._tell(line, [] if line.channel.over else [HungUp(cause)])

    # --- what happens to a channel ----------------------------------------------------------------------------------------

    def _happened(self, event: Event) -> None:
        line = self._lines.get(event.uuid)
        if line is not None:
            self._take(line, event)

    def _take(self, line: SwitchLine, event: Event) -> None:
        if event.name == "CUSTOM":
            self._audio_told(line, event)
            return
        line.core = event.get("Core-UUID") or line.core
        self._tell(line, line.channel.handle(event))

    def _tell(self, line: SwitchLine, news: Iterable[News]) -> None:
        for each in news:
            if line.coupling is not None:
                line.coupling.told(line, each)
            match each:
                case Answered():
                    self._answered(line)
                case Rang() if line.outbound is not None and line.call_id:
                    self._host.rang(line.call_id)
                case KeyPressed(digit=digit):
                    leg = self._sockets.leg(line.call_id) if line.call_id else None
                    if leg is not None:
                        leg.dtmf_received(digit)
                case HungUp():
                    self._hung_up(line, each)
                case _:
                    pass

    def _answered(self, line: SwitchLine) -> None:
        if line.closing:
            # It was not there yet when it was to be ended.
            self._kill(line)
        elif line.call_id and not line.starting:
            line.starting = True
            self.spawn(self._start_audio(line), f"freeswitch: audio {line.uuid}")

    def _hung_up(self, line: SwitchLine, news: HungUp) -> None:
        self._lines.pop(line.uuid, None)
        self.client.unwatch(line.uuid)
        if line.settled or not line.call_id:
            return
        line.settled = True
        self._sockets.forget(line.call_id)
        outbound, answered = line.outbound is not None, line.starting or line.channel.answered
        reason = causes.ended_reason(
            news.cause, outbound=outbound, answered=answered, sip_status=news.sip_status
        )
        leg = self._sockets.leg(line.call_id)
        message = causes.ended_message(news.cause, news.sip_status)
        _log.info("channel_hung_up", call_id=line.call_id, cause=news.cause, sip_status=news.sip_status)
        if leg is None or reason != ended_reasons.HUNG_UP:
            self._host.end(line.call_id, reason, message)
        if leg is not None:
            leg.disconnected("closed", message)

    async def _start_audio(self, line: SwitchLine) -> None:
        reply = await self.audio.start(line, self.way(line))
        if not reply.good:
            _log.warning("audio_not_started", call_id=line.call_id, answer=reply.text[:200].strip())
            self._no_audio(line)
        elif line.outbound is not None and line.outbound.digits:
            self.send_keys(line, line.outbound.digits)

    def _no_audio(self, line: SwitchLine) -> None:
        """A call that nobody can hear is none."""
        line.settled = True
        self._sockets.forget(line.call_id)
        failed = ended_reasons.INBOUND_FAILED if line.outbound is None else ended_reasons.OUTBOUND_FAILED
        self._host.end(line.call_id, failed, "FreeSWITCH did not bring the call's audio")
        self.hang_up(line)

    def _audio_told(self, line: SwitchLine, event: Event) -> None:
        news = audio_news(event)
        match news.kind:
            case "file":
                played = f"{line.uuid} {news.text} aleg"
                self.spawn(self._quietly(line, "uuid_broadcast", played), "freeswitch: play")
            case "kill":
                self.spawn(self._quietly(line, "uuid_break", f"{line.uuid} all"), "freeswitch: break")
            case "failed" if line.call_id and self._sockets.leg(line.call_id) is None:
                _log.warning("audio_not_connected", call_id=line.call_id, error=news.text[:200])
                self._no_audio(line)
            case _:
                pass

    # --- what we do to a channel ----------------------------------------------------------------------------------------

    def way(self, line: SwitchLine) -> Way:
        """Over which it is told what to do."""
        return self.client if line.socket is None else line.socket

    def hang_up(self, line: SwitchLine) -> None:
        """Ends it."""
        if line.closing or line.channel.over:
            return
        line.closing = True
        self._kill(line)

    def _kill(self, line: SwitchLine) -> None:
        cause = "NORMAL_CLEARING" if line.channel.answered or line.outbound is None else "ORIGINATOR_CANCEL"
        self.spawn(self._quietly(line, "uuid_kill", f"{line.uuid} {cause}"), f"freeswitch: end {line.uuid}")

    def send_keys(self, line: SwitchLine, digits: str) -> bool:
        """Presses keys for the far side."""
        if line.closing or commands.KEYS.match(digits) is None:
            return False
        self.spawn(self._quietly(line, "uuid_send_dtmf", f"{line.uuid} {digits}"), "freeswitch: keys")
        return True

    def give_away(self, line: SwitchLine) -> None:
        """The line is no assistant's any more: its call is over, as one that was forwarded."""
        call_id, line.call_id = line.call_id, ""
        # Before its leg is closed: that must not hang up.
        self._sockets.forget(call_id)
        self._host.give_away(call_id)
        self.unmark(line)
        self._end_audio(line)

    def _end_audio(self, line: SwitchLine) -> None:
        if line.module is not None:
            command, argument = audio.stop(line.module, line.uuid)
            line.module = None
            self.spawn(self._quietly(line, command, argument), "freeswitch: audio ends")

    def unmark(self, line: SwitchLine) -> None:
        """Whoever comes after this process leaves the channel alone."""
        self.spawn(self._quietly(line, "uuid_setvar", f"{line.uuid} presence_data"), "freeswitch: unmark")

    async def _quietly(self, line: SwitchLine, command: str, argument: str) -> None:
        """What may fail, for a channel may be gone at any time."""
        reply = await self.way(line).api(command, argument)
        if reply.lost and line.socket is not None:
            # Its own connection went meanwhile.
            reply = await self.client.api(command, argument)
        if not reply.good:
            _log.info(
                "freeswitch_refused", call_id=line.call_id, command=command, answer=reply.text[:100].strip()
            )

    async def _say(self, line: SwitchLine, command: bytes) -> None:
        if line.socket is not None:
            _ = await line.socket.ask(command)
        else:
            self.client.say(command)

    # --- connections come and go ------------------------------------------------------------------------------------------

    def _up(self) -> None:
        self.state = "connected"
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        _log.info("freeswitch_connected", host=self.settings.host)
        self.spawn(self._resync(), "freeswitch: resync")

    def _down(self, why: str, refused: bool) -> None:
        if self._closing:
            return
        if why != self.state:
            self.state = why
            (_log.error if refused else _log.warning)("freeswitch_not_connected", why=why)
        if self._patience is None and any(line.socket is None for line in self._lines.values()):
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(self.settings.patience_s, self._give_up)

    def _give_up(self) -> None:
        """Who has audio is heard; whoever only rang is not known to be there any more."""
        self._patience = None
        for line in list(self._lines.values()):
            if line.socket is None and not line.channel.answered:
                self._tell(line, line.channel.found(None))

    async def _resync(self) -> None:
        """The connection is new: which channels are there, and which are nobody's?"""
        await self.audio.look(self.client)
        for line in list(self._lines.values()):
            if line.socket is None:
                await self._ask_after(line)
        await self._end_orphans()

    async def _ask_after(self, line: SwitchLine) -> None:
        reply = await self.client.api("uuid_dump", f"{line.uuid} json")
        if reply.lost:
            return
        found = json_event(reply.text.encode()) if reply.good else None
        if found is not None and line.outbound is None and line.call_id:
            application = found.variable("current_application")
            if application not in HELD_BY:
                self._let_go(line, application)
                return
        self._tell(line, line.channel.found(found))

    def _let_go(self, line: SwitchLine, application: str) -> None:
        """Without its own connection the caller went on in the dialplan: to a voice box, say."""
        _log.info("caller_went_on", call_id=line.call_id, application=application)
        call_id, line.call_id = line.call_id, ""
        self._sockets.forget(call_id)
        self._host.end(call_id, ended_reasons.COMPLETED, f"FreeSWITCH went on with {application}")
        self._end_audio(line)

    async def _end_orphans(self) -> None:
        """Channels that an earlier process of this runtime left."""
        reply = await self.client.api("show", f"channels like {self._mark} as json")
        for uuid in orphans_of(reply.text, self._mark):
            if uuid in self._lines or commands.UUID.match(uuid) is None:
                continue
            _log.warning("freeswitch_orphan", uuid=uuid, orphans=self.settings.orphans)
            if self.settings.orphans == HANG_UP:
                _ = await self.client.api("uuid_kill", f"{uuid} NORMAL_TEMPORARY_FAILURE")
            else:
                extension, _, context = self.settings.orphans.partition("@")
                _ = await self.client.api("uuid_transfer", f"{uuid} {extension} XML {context or 'default'}")

    def _socket_lost(self, line: SwitchLine, why: str) -> None:
        """The call's own connection is gone; the channel may be there: then it is followed over the other."""
        line.socket = None
        if line.channel.over:
            return
        if not self.settings.host:
            self._tell(line, line.channel.found(None))
            return
        _log.info("freeswitch_call_socket_lost", call_id=line.call_id, why=why)
        self.client.watch(line.uuid)
        if self.client.connected:
            self.spawn(self._ask_after(line), f"freeswitch: ask after {line.uuid}")
        else:
            self._down(self.state, False)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """In the background, until the runtime ends."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

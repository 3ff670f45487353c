"""Phone calls: joins the SIP port, the RTP legs, the router and the call host. A call that comes in is routed, answered, and
heard to its end; a call that goes out is dialled, and what becomes of it is told to its host.

Nothing here waits in the middle of an event. What a far side does ends at most its own call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from ipaddress import ip_address, ip_network
from math import ceil
from typing import Any

import structlog

from aywa.adapters.transports.sip.port import SipPort
from aywa.boot.host import Host
from aywa.boot.layout import PhoneEdge
from aywa.boot.phone_coupling import Forwarding, Referral, TakeOver, Transferring
from aywa.boot.phone_gate import Gate
from aywa.boot.phone_line import Line, LineSignals
from aywa.boot.phone_requests import PhoneRequests
from aywa.boot.phone_settings import DEMO_USER, PhoneSettings
from aywa.boot.phone_trunk import TrunkNews, sip_trunk
from aywa.core import ended_reasons
from aywa.core.rtp.plan import StreamPlan
from aywa.core.sip import events as sip
from aywa.core.sip.dial import Dial
from aywa.core.sip.flow import Flow
from aywa.core.sip.ladder import Ladders, Rung, read_rung
from aywa.core.sip.offer import LocalMedia
from aywa.core.sip.session import NO_ANSWER, NO_DIALOG
from aywa.core.sip.trunk import Trunk as SipTrunk
from aywa.core.sip.uri import SipUri, TelUri, escape_user, host_text, parse_uri
from aywa.media.rtp.leg import NO_MEDIA
from aywa.media.rtp.ports import NoPorts, PortPair
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.codec import CodecUnavailable
from aywa.ports.journal import StoreUnavailable
from aywa.ports.media import AudioFormat, LegPlan, MediaPlane, SendDtmf
from aywa.ports.srtp import SrtpUnavailable
from aywa.ports.telephony import (
    Forward,
    InboundInvite,
    OutboundCall,
    Refusal,
    Router,
    Transfer,
    TransferNews,
    TransferVerb,
    Trunk,
    TrunkState,
)
from aywa.ports.tools import ToolSipAnswer, ToolSipRequest

_log = structlog.get_logger("aywa.boot.phone")

UNAVAILABLE = 503
CANCELLED = 487
# Somebody's telephone rings, or is said to (RFC 3261 21.1.2, 21.1.5: 183 with an announcement, or a ringing tone).
RINGING = frozenset((180, 183))
TRANSFER_FAILED = "call.in-progress.error-transfer-failed"
_NORMAL = sip.Reason("Q.850", 16, "Normal call clearing")


class Phone:
    """ports.telephony.Telephone. codecs: those whose libraries are here, in order of liking."""

    def __init__(
        self,
        settings: PhoneSettings,
        host: Host,
        plane: MediaPlane,
        edge: PhoneEdge,
        codecs: tuple[str, ...],
    ) -> None:
        self.settings = settings
        self._host = host
        self.plane = plane
        self._edge = edge
        self._codecs = codecs
        self._networks = [ip_network(one, strict=False) for one in settings.networks]
        self._lines: dict[str, Line] = {}
        self._requests = PhoneRequests(self._send_request)
        self._tasks: set[asyncio.Task[None]] = set()
        self._trunks: dict[str, Trunk] = {}
        self.trunks = TrunkNews()
        self.port: SipPort
        self.router: Router
        self._empty = asyncio.Event()
        self._gate = Gate(settings.cpu_most, self._gate_closes)
        self._closing = False
        self._draining = False
        self._ladders = Ladders()
        # What callers hear while they wait, if they are not to hear a ringing tone.
        self.music = b""
        self.music_hz = 8000

    def open(self, port: SipPort, router: Router) -> None:
        """The port whose events this takes, and who says where calls go."""
        self.port = port
        self.router = router
        self._host.on_over(self._call_over)
        router.on_change(self._configured)
        self._configured()
        self._gate.start()

    def reached_at(self, host: str) -> None:
        """The public network sees us there. What the operator says of the one or the other counts more."""
        self._edge.detected_host = host
        self.port.public_host = self.settings.public_host or host

    def drain(self) -> None:
        """Whoever calls from now on is told to come again later, or to go elsewhere; who is on a line stays on it."""
        self._draining = True
        self.port.agent.refuse_new(self.settings.retry_after_s)

    async def idle(self) -> None:
        """Returns when nobody is on a line."""
        while self._lines:
            self._empty.clear()
            await self._empty.wait()

    async def close(self, within_s: float) -> None:
        """Hangs up what is left; the calls' host is closed before."""
        self._closing = True
        self._gate.stop()
        for line in list(self._lines.values()):
            self._hang_up(line)
        if self._lines:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self.idle()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- ports.telephony.Telephone ---------------------------------------------------------------------------------

    def dial(self, call: OutboundCall) -> None:
        """As the port says."""
        self.place(call, Line("", call.call_id))

    def place(self, call: OutboundCall, line: Line, shared: PortPair | None = None) -> None:
        """Dials on the line. shared: another leg's ports, which this one is to go on with. Raises CallRefused."""
        if self._closing:
            raise CallRefused(ended_reasons.OUTBOUND_FAILED, "the runtime is shutting down")
        try:
            pair = shared or self._edge.reserve(self._media_host())
        except (NoPorts, OSError) as error:
            raise CallRefused(
                ended_reasons.OUTBOUND_FAILED, f"no port for the call's audio: {error}"
            ) from error
        trunk = call.trunk
        if trunk is not None:
            # It may have been written a moment ago.
            self._know(trunk)
        host = _host_of(call.uri) if call.uri or trunk is None else _first_gateway(trunk)
        srtp = trunk is not None and any(gateway.srtp for gateway in trunk.gateways)
        dial = Dial(
            uri=call.uri or call.user,
            media=self._media(pair, host, srtp=srtp),
            # A whole URI finds its own way, with the trunk's password if it is the trunk's.
            trunk="" if trunk is None or call.uri else trunk.id,
            username=trunk.username if trunk is not None and call.uri else "",
            password=trunk.password if trunk is not None and call.uri else "",
            from_uri=self._caller(call, pair),
            from_name=call.caller_name,
            headers=call.headers,
            asserted=call.caller_id if trunk is not None else "",
            diversion=call.diversion,
            ring_s=call.ring_s,
            # The same as in the call's document, so that a carrier's records can be laid beside ours.
            call_id=call.call_id
            if all(line.call_id != call.call_id for line in self._lines.values())
            else "",
        )
        self._belongs(dial.call_id, call.call_id)
        key, actions = self.port.agent.dial(dial, self.port.now())
        line.call, line.host, line.outbound, line.org_id = key, host, call, call.org_id
        line.pair = None if shared is not None else pair
        self._lines[key] = line
        self.port.carry_out(actions)

    def trunk_state(self, trunk_id: str) -> TrunkState:
        """As ports.telephony.TrunkStates says."""
        return self.trunks.state(trunk_id)

    # --- ports.telephony.Transfers -----------------------------------------------------------------------------------

    def transfer(self, transfer: Transfer, tell: Callable[[TransferNews], None]) -> None:
        """As the port says."""
        call_id = transfer.call.call_id
        line = self._line_of(call_id)
        if line is None or line.over or line.coupling is not None:
            why = "it is not a phone call that runs here" if line is None else "it is being transferred"
            raise CallRefused(TRANSFER_FAILED, f"call {call_id} cannot be transferred: {why}")
        if not transfer.music and self.music:
            transfer = replace(transfer, music=self.music, music_hz=self.music_hz)
        if transfer.verb is TransferVerb.REFER:
            Referral(self, line, transfer, tell).begin(self.target(transfer.call))
        else:
            Transferring(self, line, transfer, tell).begin()

    def target(self, call: OutboundCall) -> str:
        """The address of whom a call is to be placed to."""
        trunk = None if call.trunk is None else self._sip_trunk(call.trunk)
        return call.uri or (trunk.address(call.user) if trunk else "")

    # --- boot.phone_requests.Lines -------------------------------------------------------------------------------------

    def has_dialog(self, call_id: str) -> bool:
        """As the protocol says."""
        line = self._line_of(call_id)
        return line is not None and not line.over

    async def ask(self, call_id: str, request: ToolSipRequest) -> ToolSipAnswer:
        """As the protocol says."""
        line = self._line_of(call_id)
        if line is None:
            return ToolSipAnswer(0, NO_DIALOG)
        return await self._requests.send(line.call, request)

    def _line_of(self, call_id: str) -> Line | None:
        """With whom the call is."""
        return next((line for line in self._lines.values() if line.call_id == call_id and line.rtp), None)

    def _send_request(self, call: str, key: str, request: ToolSipRequest) -> None:
        agent, now = self.port.agent, self.port.now()
        self.port.carry_out(agent.send(call, key, request.verb, request.headers, request.body, now))

    # --- the record --------------------------------------------------------------------------------------------------

    def trace(self, direction: str, data: bytes, flow: Flow) -> None:
        """A SIP message came or left: on its call's record, a line each."""
        remote = f"{flow.remote[0]}:{flow.remote[1]}"
        found = read_rung(data, direction, remote, flow.transport, asyncio.get_running_loop().time())
        if found is not None:
            call_id = self._ladders.seen(*found)
            if call_id is not None:
                self._note_rung(call_id, found[1])

    def _belongs(self, dialog: str, call_id: str) -> None:
        if dialog and call_id:
            for rung in self._ladders.belongs(dialog, call_id):
                self._note_rung(call_id, rung)

    def _note_rung(self, call_id: str, rung: Rung) -> None:
        ago_s = round(max(0.0, asyncio.get_running_loop().time() - rung.at_s), 3)
        shown = {name: getattr(rung, name) for name in Rung.__slots__ if name != "at_s"}
        self._host.note(call_id, "SipSeen", {**shown, "ago_s": ago_s})

    # --- events ------------------------------------------------------------------------------------------------------

    def take(self, event: sip.Event) -> None:
        """What the SIP port tells."""
        match event:
            case sip.InviteReceived():
                self._invited(event)
            case sip.Answered(call=call, plan=plan) | sip.MediaChanged(call=call, plan=plan):
                self._media_changed(call, plan, answered=isinstance(event, sip.Answered))
            case sip.Ended():
                self._ended(event)
            case sip.DigitReceived(call=call, digit=digit):
                line = self._lines.get(call)
                if line is not None and line.rtp is not None:
                    line.rtp.digit(digit)
            case sip.Progress(call=call):
                line = self._lines.get(call)
                if line is not None and line.coupling is not None:
                    line.coupling.progress(line, event)
                elif line is not None and event.status in RINGING:
                    self._host.rang(line.call_id)
            case sip.Redirected():
                self._redirected(event)
            case sip.ReferProgress(call=call):
                line = self._lines.get(call)
                if line is not None and isinstance(line.coupling, Referral):
                    line.coupling.news(event)
            case sip.RequestAnswered():
                self._requests.take(event)
            case sip.ReferReceived():
                self._spawn(self._referred(event), f"sip: refer {event.call}")
            case sip.TrunkUp() | sip.TrunkDown() | sip.Registered() | sip.RegistrationFailed():
                self.trunks.take(event)
            case sip.Banned():
                _log.warning("sip_banned", address=event.address, why=event.why)
            case _:
                pass

    def _gate_closes(self, closed: bool) -> None:
        """While this process has no time left, whoever calls is told when to come again."""
        if self._draining:
            return
        _log.warning("calls_refused" if closed else "calls_taken_again", cpu_most=self.settings.cpu_most)
        self.port.agent.refuse_new(self.settings.retry_after_s if closed else None)

    # --- inbound -----------------------------------------------------------------------------------------------------

    def _invited(self, event: sip.InviteReceived) -> None:
        line = self._lines[event.call] = Line(event.call, host=event.flow.remote[0])
        replaced = self._lines.get(event.replaces)
        if replaced is not None and replaced.rtp is not None and event.has_offer:
            # Somebody else takes the caller's place in his call (RFC 3891).
            TakeOver(self, replaced, line).answer()
            return
        self._spawn(self._route(line, event), f"sip: route {event.call}")

    async def _route(self, line: Line, event: sip.InviteReceived) -> None:
        answer: CallPlan | Forward | Refusal
        try:
            answer = await self.router.route(_invite(event, self._trusts(event.flow.remote[0])))
        except Exception:  # noqa: BLE001 - a router that breaks is an INVITE refused
            _log.exception("call_not_routed")
            answer = Refusal(500, "Server Internal Error")
        agent, now = self.port.agent, self.port.now()
        match answer:
            case CallPlan():
                line.call_id, line.org_id = answer.call_id, answer.org_id
                self._belongs(event.sip_call_id, line.call_id)
                self._answer(line, event)
            case Refusal():
                if not line.over:
                    retry = None if answer.retry_after_s is None else ceil(answer.retry_after_s)
                    if answer.status == UNAVAILABLE and retry is None:
                        retry = self.settings.retry_after_s
                    self.port.carry_out(
                        agent.reject(line.call, answer.status, now, answer.phrase, retry_after_s=retry)
                    )
            case Forward(call=call):
                if not line.over:
                    Forwarding(self, line).begin(call)

    def _answer(self, line: Line, event: sip.InviteReceived) -> None:
        """The call is prepared: the phone is picked up."""
        if line.over:
            # The caller was gone before there was an answer.
            self._host.end(line.call_id, ended_reasons.CALLER_GAVE_UP)
            return
        media = self.media_for(line)
        if media is not None:
            self.port.carry_out(self.port.agent.ring(line.call, self.port.now()))
            self.port.carry_out(self.port.agent.answer(line.call, media, self.port.now()))

    def media_for(self, line: Line, shared: PortPair | None = None) -> LocalMedia | None:
        """What a line that is called offers; None: there is no port, and the caller was told."""
        if line.ports is not None:
            return self._media(line.ports, line.host)
        try:
            pair = shared or line.pair or self._edge.reserve(self._media_host())
        except (NoPorts, OSError) as error:
            _log.warning("no_media_port", error=str(error))
            retry, agent = self.settings.retry_after_s, self.port.agent
            self.port.carry_out(agent.reject(line.call, UNAVAILABLE, self.port.now(), retry_after_s=retry))
            return None
        line.pair = None if shared is not None else pair
        return self._media(pair, line.host)

    async def _referred(self, event: sip.ReferReceived) -> None:
        """The far side wants the call to go on with somebody else: only where the router lets it."""
        line, agent = self._lines.get(event.call), self.port.agent
        answer: OutboundCall | Refusal = Refusal(603)
        if line is not None and line.call_id and line.coupling is None and line.rtp is not None:
            try:
                answer = await self.router.refer(line.org_id, line.call_id, event.target)
            except Exception:  # noqa: BLE001 - a router that breaks is a REFER refused
                _log.exception("refer_not_judged", call_id=line.call_id)
                answer = Refusal(500)
        if isinstance(answer, Refusal) or line is None or line.over or line.coupling is not None:
            status = answer.status if isinstance(answer, Refusal) else 491
            self.port.carry_out(agent.refuse_refer(event.call, status, self.port.now()))
            return
        self.port.carry_out(agent.accept_refer(event.call, self.port.now()))
        TakeOver(self, line, Line("")).dial(answer, event)

    # --- outbound ----------------------------------------------------------------------------------------------------

    def _redirected(self, event: sip.Redirected) -> None:
        """Whom we called says where else to ask: as far as the router lets us."""
        line, agent = self._lines.get(event.call), self.port.agent
        if line is None or line.over or line.outbound is None:
            return
        for target in event.targets:
            answer = self.router.redirect(line.outbound, target)
            if isinstance(answer, Refusal):
                line.refused = answer.message
                continue
            line.outbound, line.refused = answer, ""
            _log.info("call_redirected", call_id=line.call_id, status=event.status, to=_host_of(target))
            trunk = answer.trunk.id if answer.trunk is not None and not answer.uri else ""
            self.port.carry_out(
                agent.follow(
                    event.call,
                    target,
                    self.port.now(),
                    uri=self.target(answer),
                    trunk=trunk,
                    known=answer.trunk is not None,
                )
            )
            return
        self.port.carry_out(agent.refuse_redirect(event.call, self.port.now()))

    # --- while it runs -------------------------------------------------------------------------------------------------

    def _media_changed(self, call: str, plan: StreamPlan, *, answered: bool) -> None:
        line = self._lines.get(call)
        if line is None or line.over:
            return
        if line.coupling is not None and line.coupling.media(line, plan, answered=answered):
            return
        if line.rtp is not None:
            line.rtp.change(plan)
            return
        if line.outbound is not None and not answered:
            # Early media: nobody is there to be heard yet.
            return
        if self.open_leg(line, plan):
            self.send_digits(line)

    def open_leg(self, line: Line, plan: StreamPlan) -> bool:
        """The line's leg joins the media plane; False: it could not, and is hung up."""
        leg_plan = self._leg_plan(line)
        pair, line.pair = line.pair, None
        if leg_plan is None or pair is None:
            if pair is not None:
                pair.release()
            self._hang_up(line)
            return False
        line.signals = LineSignals(self, line)
        try:
            line.rtp = self._edge.open(pair, plan, leg_plan, line.signals, line.host)
        except (ValueError, LookupError, CodecUnavailable, SrtpUnavailable) as error:
            _log.warning("leg_not_opened", call_id=line.call_id, error=str(error))
            self._host.end(line.call_id, ended_reasons.INBOUND_FAILED)
            self._hang_up(line)
            return False
        line.leg_id, line.ports = leg_plan.leg_id, pair
        return True

    def send_digits(self, line: Line) -> None:
        """An extension, now that somebody answered."""
        if line.outbound is not None and line.outbound.digits:
            self.plane.send(SendDtmf(line.leg_id, line.outbound.digits))

    def _leg_plan(self, line: Line) -> LegPlan | None:
        if line.call_id:
            return self._host.leg_plan(line.call_id)
        # No assistant has this leg: nobody needs to hear of it.
        now = self.port.now()
        return LegPlan(
            f"line {line.call}", AudioFormat.MULAW, 8000, now, lambda event: None, beside=line.beside
        )

    def _ended(self, event: sip.Ended) -> None:
        line = self._lines.pop(event.call, None)
        if line is None:
            return
        line.over = True
        if not self._lines:
            self._empty.set()
        if line.coupling is not None:
            line.coupling.ended(line, event)
        if line.pair is not None:
            line.pair.release()
            line.pair = None
        cause = (
            event.cause.cause if event.cause is not None and event.cause.protocol.upper() == "Q.850" else None
        )
        if line.rtp is not None:
            self._leg_ended(line, event, cause)
        elif line.call_id:
            self._host.end(line.call_id, self._why_unanswered(line, event, cause), _message(line, event))

    def _leg_ended(self, line: Line, event: sip.Ended, cause: int | None) -> None:
        assert line.rtp is not None
        if event.by == "local":
            line.rtp.close("local")
            return
        outbound = line.outbound is not None
        network = event.by == "network"
        reason = ended_reasons.of_hang_up(outbound=outbound, cause=cause, network=network)
        if reason != ended_reasons.HUNG_UP and line.call_id:
            self._host.end(line.call_id, reason)
        line.rtp.close("lost" if network else "closed", event.reason)

    def _why_unanswered(self, line: Line, event: sip.Ended, cause: int | None) -> str:
        if line.outbound is not None and event.by == "local" and event.status == NO_ANSWER[0]:
            return ended_reasons.ANSWERED_NOT
        if line.outbound is not None:
            return ended_reasons.of_dial(event.status, cause)
        return ended_reasons.of_invite(answered=event.answered, cancelled=event.by == "remote")

    def hang_up(self, line: Line) -> None:
        """The brain closed the leg."""
        self._hang_up(line)

    def media_lost(self, line: Line, detail: str) -> None:
        """The far side sends nothing."""
        if line.rtp is not None:
            rtp, line.rtp = line.rtp, None
            rtp.close(NO_MEDIA, detail)
        self._hang_up(line)

    def send_keys(self, line: Line, digits: str) -> bool:
        """Keys by INFO, where the stream has no telephone events."""
        if line.over:
            return False
        for digit in digits:
            if digit not in "wW":
                self.port.carry_out(self.port.agent.send_digit(line.call, digit, 160, self.port.now()))
        return True

    def _call_over(self, call_id: str, connected: bool) -> None:
        """The call ended before its leg was there: whoever still rings for it need not."""
        self._ladders.over(call_id)
        for line in list(self._lines.values()):
            if line.call_id == call_id and line.rtp is None:
                self._hang_up(line)

    def _hang_up(self, line: Line) -> None:
        if not line.over:
            self.port.carry_out(self.port.agent.hang_up(line.call, self.port.now(), reason=_NORMAL))

    # --- trunks --------------------------------------------------------------------------------------------------------

    def _configured(self) -> None:
        """Trunks or accounts are not what they were."""
        if not self._closing:
            self._spawn(self._configure(), "sip: trunks")

    async def _configure(self) -> None:
        try:
            trunks = {trunk.id: trunk for trunk in await self.router.trunks()}
            accounts = await self.router.accounts()
        except StoreUnavailable:
            _log.warning("trunks_not_read")
            return
        agent = self.port.agent
        agent.set_accounts({account.username: account.password for account in accounts} | self._own_account())
        for gone in self._trunks.keys() - trunks.keys():
            del self._trunks[gone]
            self.port.carry_out(agent.remove_trunk(gone, self.port.now()))
            self.trunks.forget(gone)
        for trunk in trunks.values():
            self._know(trunk)

    def _own_account(self) -> dict[str, str]:
        return {DEMO_USER: self.settings.password} if self.settings.password else {}

    def _sip_trunk(self, trunk: Trunk) -> SipTrunk:
        return sip_trunk(trunk, self.settings.register_s, self.settings.ping_s)

    def _know(self, trunk: Trunk) -> None:
        """The SIP port has the trunk as it is now."""
        if self._trunks.get(trunk.id) != trunk:
            # What was known of it was known of another.
            self.trunks.forget(trunk.id)
            self._trunks[trunk.id] = trunk
            self.port.carry_out(self.port.agent.set_trunk(self._sip_trunk(trunk), self.port.now()))

    def _caller(self, call: OutboundCall, pair: PortPair) -> str:
        """A bare number where a trunk completes it, else a whole URI."""
        if not call.uri or not call.caller_id or call.caller_id.startswith(("sip:", "sips:")):
            return call.caller_id
        return (
            f"sip:{escape_user(call.caller_id)}@{host_text(self._edge.told_host(pair, _host_of(call.uri)))}"
        )

    # --- media -----------------------------------------------------------------------------------------------------------

    def _media_host(self) -> str:
        """Where RTP sockets are bound: as the SIP port is."""
        return self.port.settings.hosts[0]

    def _media(self, pair: PortPair, remote: str, *, srtp: bool = False) -> LocalMedia:
        told = self._edge.told_host(pair, remote)
        wanted = "required" if srtp else self.settings.srtp
        return LocalMedia(
            told,
            pair.port,
            pair.rtcp_port,
            codecs=self._codecs,
            srtp=wanted,
            comfort_noise=self.settings.comfort_noise,
        )

    def _trusts(self, source: str) -> bool:
        """Nobody there needs a password to call."""
        try:
            address = ip_address(source)
        except ValueError:
            return False
        return any(address in network for network in self._networks if network.version == address.version)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _message(line: Line, event: sip.Ended) -> str:
    """What a person should know of a call that was not answered, besides its reason."""
    if line.outbound is None or event.status == CANCELLED:
        return ""
    cause = event.cause
    if event.by == "remote":
        q850 = cause.cause if cause is not None and cause.protocol.upper() == "Q.850" else None
        text = "" if cause is None else cause.text
        told = ended_reasons.dial_message(event.status, event.reason, q850, text)
    else:
        told = f"the call could not be placed: {event.reason}" if event.by == "network" else event.reason
    return f"{told}; {line.refused}" if line.refused else told


def _invite(event: sip.InviteReceived, trusted: bool) -> InboundInvite:
    called, called_host = _user_and_host(event.uri)
    caller, caller_host = _user_and_host(event.caller.uri)
    asserted, _ = _user_and_host(event.asserted)
    return InboundInvite(
        source=event.flow.remote[0],
        called=called,
        called_host=called_host,
        caller=caller,
        caller_host=caller_host,
        caller_name=event.caller.name,
        asserted=asserted,
        diversion=event.diversion,
        account=event.user,
        trusted=trusted,
        headers=event.headers,
        sip_call_id=event.sip_call_id,
        transport=event.flow.transport,
    )


def _user_and_host(text: str) -> tuple[str, str]:
    """Of a SIP or tel URI; empty for anything else."""
    try:
        uri = parse_uri(text)
    except ValueError:
        return "", ""
    if isinstance(uri, SipUri):
        return uri.user_text, uri.host
    if isinstance(uri, TelUri):
        return uri.digits, ""
    return "", ""


def _first_gateway(trunk: Trunk) -> str:
    return next((gateway.host for gateway in trunk.gateways if gateway.outbound), "")


def _host_of(text: str) -> str:
    return _user_and_host(text)[1]

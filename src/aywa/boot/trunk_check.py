"""Tries a SIP trunk from this machine as a runtime would, and says what it found and how to mend it: name, way, OPTIONS,
registration, NAT, ports, and a call in which both sides are heard.

It speaks through a SIP port of its own, so that a running runtime is left alone. Refuses to change anything, here or there.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from aywa.adapters.transports.sip.names import Names
from aywa.adapters.transports.sip.port import SipPort
from aywa.adapters.transports.sip.settings import SipSettings
from aywa.adapters.transports.sip.sockets import NOT_BELIEVED
from aywa.boot.finding import Finding
from aywa.boot.phone_settings import PhoneSettings
from aywa.boot.phone_trunk import sip_trunk
from aywa.boot.public_address import look
from aywa.core.nat import is_private
from aywa.core.rtp.plan import StreamPlan
from aywa.core.sip import events as sip
from aywa.core.sip.admission import AgentSettings
from aywa.core.sip.dial import Dial
from aywa.core.sip.flow import Flow
from aywa.core.sip.message import Malformed, Response, parse
from aywa.core.sip.offer import LocalMedia
from aywa.media.rtp.edge import own_address
from aywa.ports.telephony import Gateway, Trunk
from aywa.testing.softphone.message import PCMA, PCMU, Audio
from aywa.testing.softphone.rtp import FRAME_SAMPLES, Rtp
from aywa.testing.wire import FRAME_S

ANSWER_S = 40.0
RING_S = 30.0
HEARD_S = 5.0
FEW_PAIRS = 20
_SILENCE = bytes(2 * FRAME_SAMPLES)
_CODECS = {"PCMU": PCMU, "PCMA": PCMA}

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class TrialCall:
    """A call to be placed through the trunk: to a number, as somebody."""

    number: str
    caller_id: str = ""


class TrunkCheck:
    """Finds one thing after the other. host: this machine's address towards the trunk, empty: the system's choice."""

    def __init__(
        self,
        trunk: Trunk,
        settings: PhoneSettings,
        host: str = "",
        names: Names | None = None,
        trace: Callable[[str, bytes, Flow], None] | None = None,
    ) -> None:
        self._trunk = trunk
        self._settings = settings
        self._names = names or Names()
        self._trace = trace
        self._host = host
        self._events: asyncio.Queue[sip.Event] = asyncio.Queue()
        self._seen: set[tuple[str, int | None]] = set()
        self._port: SipPort

    async def findings(self, call: TrialCall | None = None) -> AsyncIterator[Finding]:
        """Each as it is found. After a fault that makes the rest pointless nothing follows."""
        gateway = next((one for one in self._trunk.gateways if one.outbound), None)
        if gateway is None:
            yield Finding(
                "gateway", False, "the trunk has no gateway for calls that go out", "set outboundEnabled"
            )
            return
        address = await self._address(gateway)
        if address is None:
            yield Finding(
                "name",
                False,
                f"{gateway.host} has no address in the DNS",
                "mend the gateway's ip, or your DNS",
            )
            return
        yield Finding("name", True, f"{gateway.host} is {address}")
        self._host = self._host or own_address("::" if ":" in address else "0.0.0.0", address)  # noqa: S104
        seen = await look(self._settings, (self._host, self._media_port()), address)
        if seen is not None:
            yield seen.finding
            # As the runtime does: what the operator says counts more.
            found = self._settings.media_public_host or seen.host
            self._settings = replace(
                self._settings, public_host=self._settings.public_host or found, media_public_host=found
            )
        async with self._opened():
            yield (pinged := await self._ping(gateway))
            if not pinged.good:
                return
            if (nat := self._nat()) is not None:
                yield nat
            if self._trunk.registration is not None:
                yield await self._register()
            yield self._ports()
            if call is not None:
                async for finding in self._call(call, address):
                    yield finding

    # --- the way there ---------------------------------------------------------------------------------------------

    async def _address(self, gateway: Gateway) -> str | None:
        with suppress(OSError):
            socket.inet_pton(socket.AF_INET6 if ":" in gateway.host else socket.AF_INET, gateway.host)
            return gateway.host
        found = await self._names.look_up("ADDRESS", gateway.host)
        if not found:
            service = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}[gateway.transport]
            records = await self._names.look_up("SRV", service + gateway.host)
            targets = [record.target for record in records if hasattr(record, "target")]
            found = await self._names.look_up("ADDRESS", targets[0]) if targets else ()
        return next((record.address for record in found if hasattr(record, "address")), None)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """The SIP port, on any free one: that of a runtime may be in use."""
        settings = SipSettings(hosts=(self._host,), port=0, public_host=self._settings.public_host)
        agent = AgentSettings(open_networks=(), session_expires_s=0)
        self._port = SipPort(settings, agent, self._events.put_nowait, self._names, self._traced)
        client = ssl.create_default_context(
            cafile=None if self._settings.tls_authorities is None else str(self._settings.tls_authorities)
        )
        if not self._settings.tls_verify:
            client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        await self._port.start(client=client)
        try:
            registers = sip_trunk(self._trunk, self._settings.register_s, None)
            self._port.carry_out(self._port.agent.set_trunk(registers, self._port.now()))
            yield
        finally:
            removed = self._port.agent.remove_trunk(self._trunk.id, self._port.now())
            self._port.carry_out(removed)
            # A registration is taken back, if the trunk answers soon.
            await asyncio.sleep(0.2 if self._trunk.registration is not None else 0)
            await self._port.close()

    def _traced(self, way: str, data: bytes, flow: Flow) -> None:
        if self._trace is not None:
            self._trace(way, data, flow)
        if way == "received":
            with suppress(Malformed, ValueError):
                message = parse(data)
                if isinstance(message, Response):
                    params = message.via.params
                    port = params.get("rport")
                    self._seen.add((params.get("received") or message.via.host, int(port) if port else None))

    async def _event(self, *kinds: type[Kind], within_s: float) -> Kind | None:
        """The next of these; what is none of them is passed over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    event = await self._events.get()
                    if isinstance(event, kinds):
                        return event
        return None

    async def _ping(self, gateway: Gateway) -> Finding:
        key, actions = self._port.agent.ping("", self._port.now(), self._trunk.id)
        self._port.carry_out(actions)
        while True:
            result = await self._event(sip.PingResult, within_s=ANSWER_S)
            if result is None or result.key == key:
                break
        place = f"{gateway.host} port {gateway.port} by {gateway.transport}"
        if result is not None and result.status == 0 and NOT_BELIEVED in result.reason:
            return Finding(
                "TLS", False, f"{place}: {result.reason.partition(': ')[2]}", certificate_mend(result.reason)
            )
        if result is None or result.status == 0:
            why = "" if result is None or not result.reason else f" ({result.reason})"
            other = "tcp" if gateway.transport == "udp" else "udp"
            return Finding(
                "OPTIONS", False, f"nothing answers at {place}{why}",
                f"check address and port, try outboundProtocol {other}, and let {gateway.transport} port"
                f" {gateway.port} out of your firewall",
            )  # fmt: skip
        if result.status == 408:
            return Finding(
                "OPTIONS", False, f"{place} answers 408: what is behind it does not", "ask the carrier"
            )
        took_ms = result.round_trip_s * 1000
        return Finding("OPTIONS", True, f"{place} answers {result.status} after {took_ms:.0f} ms")

    def _nat(self) -> Finding | None:
        """Whether the trunk sees another address than ours (RFC 3581)."""
        ours = self._port.bound[0].place
        told = self._settings.public_host or ours[0]
        others = [(host, port) for host, port in self._seen if host not in (told, ours[0])]
        if not others:
            changed = [port for host, port in self._seen if port is not None and port != ours[1]]
            if changed and is_private(ours[0]):
                return None
            return Finding("NAT", True, f"the trunk sees us as {told}")
        host, port = others[0]
        hosts = f"RUNTIME_SIP_PUBLIC_IP={host} and RUNTIME_MEDIA_PUBLIC_IP={host}"
        ports = f"{self._settings.first_media_port} to {self._settings.last_media_port}"
        changes = f", port {port} for our {ours[1]}" if port not in (None, ours[1]) else ""
        return Finding(
            "NAT", False, f"the trunk sees us as {host}{changes}, we say {told}",
            f"set {hosts}, and forward UDP port {self._settings.port} and {ports} to this machine",
        )  # fmt: skip

    # --- registration and ports ------------------------------------------------------------------------------------

    async def _register(self) -> Finding:
        domain = self._trunk.registration.domain if self._trunk.registration is not None else ""
        result = await self._event(sip.Registered, sip.RegistrationFailed, within_s=ANSWER_S)
        if isinstance(result, sip.Registered):
            return Finding("registration", True, f"registered at {domain} for {result.expires_s} s")
        if not isinstance(result, sip.RegistrationFailed):
            return Finding("registration", False, f"{domain} does not answer REGISTER", "ask the carrier")
        mend = "check sipRegisterPlan.domain and realm"
        if result.status in (401, 403, 407):
            mend = "check authUsername, authPassword and sipRegisterPlan.username"
        return Finding(
            "registration", False, f"{domain} answers {result.status} {result.reason}".rstrip(), mend
        )

    def _media_port(self) -> int:
        """One that audio could have; 0 when all are taken."""
        first, last = self._settings.first_media_port, self._settings.last_media_port
        return next((port for port in range(first + first % 2, last, 2) if _is_free(self._host, port)), 0)

    def _ports(self) -> Finding:
        """How many pairs of the media range can be bound."""
        first, last = self._settings.first_media_port, self._settings.last_media_port
        free = sum(_is_free(self._host, port) for port in range(first + first % 2, last, 2))
        told = f"{free} calls' worth of UDP ports are free between {first} and {last}"
        if free < FEW_PAIRS:
            return Finding("media ports", False, told, "choose another range with RUNTIME_MEDIA_PORTS")
        return Finding("media ports", True, told)

    # --- a call ----------------------------------------------------------------------------------------------------

    async def _call(self, call: TrialCall, address: str) -> AsyncIterator[Finding]:
        chance = random.SystemRandom()
        rtp = await Rtp.open(self._host, lambda pcm: None, chance.getrandbits)
        with closing(rtp):
            told_host = self._settings.media_public_host or own_address(self._host, address)
            media = LocalMedia(
                told_host, rtp.local[1], rtp.local[1], codecs=tuple(_CODECS), srtp="never", rtcp_mux=True
            )
            dial = Dial(
                uri=call.number, media=media, trunk=self._trunk.id, from_uri=call.caller_id,
                asserted=call.caller_id, diversion=self._trunk.diversion, ring_s=RING_S,
            )  # fmt: skip
            key, actions = self._port.agent.dial(dial, self._port.now())
            self._port.carry_out(actions)
            result = await self._event(sip.Answered, sip.Ended, within_s=RING_S + ANSWER_S)
            if not isinstance(result, sip.Answered):
                yield _not_answered(call, result)
                return
            yield Finding("call", True, f"{call.number} answered")
            ended = await self._talk(rtp, key, result.plan)
            yield self._heard(rtp, result.plan)
            if ended:
                yield Finding("hang-up", None, "the far side hung up during the test")

    async def _talk(self, rtp: Rtp, key: str, plan: StreamPlan) -> bool:
        """Sends silence and counts what comes; whether the far side hung up."""
        rtp.far = _far(plan)
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        ended = False
        for number in itertools.count():
            await asyncio.sleep(max(0.0, start_s + number * FRAME_S - loop.time()))
            ended = any(isinstance(event, sip.Ended) for event in self._waiting())
            if ended or loop.time() > start_s + HEARD_S:
                break
            rtp.send_frame(_SILENCE)
        self._port.carry_out(self._port.agent.hang_up(key, self._port.now()))
        if not ended:
            _ = await self._event(sip.Ended, within_s=ANSWER_S)
        return ended

    def _waiting(self) -> Sequence[sip.Event]:
        found = []
        while not self._events.empty():
            found.append(self._events.get_nowait())
        return found

    def _heard(self, rtp: Rtp, plan: StreamPlan) -> Finding:
        arrivals, remote = rtp.arrivals, plan.remote
        if not arrivals.packets:
            ports = f"{self._settings.first_media_port} to {self._settings.last_media_port}"
            where = "" if remote is None else f" from {remote.host} port {remote.port}"
            return Finding(
                "audio", False, f"no audio came{where}",
                f"forward UDP ports {ports} to this machine, and set RUNTIME_MEDIA_PUBLIC_IP to the address that"
                " the trunk reaches",
            )  # fmt: skip
        told = (
            f"{arrivals.packets} packets of {plan.codec.value} came, {arrivals.lost} were lost,"
            f" jitter {arrivals.jitter_s * 1000:.0f} ms"
        )
        if arrivals.lost > 0.02 * arrivals.packets:
            return Finding(
                "audio", False, told, "the way loses packets: look at the line, or at its other traffic"
            )
        return Finding("audio", True, told)


def certificate_mend(reason: str) -> str:
    """By what OpenSSL says of it."""
    said = reason.lower()
    if "mismatch" in said:
        return "write the gateway's ip as a name that stands in its certificate"
    if "expired" in said or "not yet valid" in said:
        return "ask the carrier for a certificate that is valid today, and look at this machine's clock"
    return (
        "put the certificate of whoever signed it into a file and name that in RUNTIME_SIP_TLS_CA;"
        " RUNTIME_SIP_TLS_VERIFY=false believes anybody"
    )


def _not_answered(call: TrialCall, result: object) -> Finding:
    if not isinstance(result, sip.Ended):
        return Finding("call", False, f"{call.number} did not answer, nor did the trunk", "ask the carrier")
    mends = {
        401: "check authUsername and authPassword",
        403: "the trunk does not let this number be called, or not by this caller: check --from and the account",
        404: "the trunk does not know this number: check outboundLeadingPlusEnabled and techPrefix",
        407: "check authUsername and authPassword",
        408: "nobody answered in time: call a number that somebody answers",
        480: "nobody is there: call a number that somebody answers",
        484: "the number is not complete for this trunk: check outboundLeadingPlusEnabled and techPrefix",
        486: "the number is busy: call another",
        488: "the trunk wants other codecs or SRTP: set outboundProtocol tls/srtp if it wants that",
    }
    told = f"{call.number} was refused with {result.status} {result.reason}".rstrip()
    return Finding("call", False, told, mends.get(result.status, "ask the carrier what this answer means"))


def _far(plan: StreamPlan) -> Audio:
    remote = plan.remote
    direction = "sendrecv" if plan.sends else "sendonly"
    if remote is None:
        return Audio("", 0, PCMU, None, "inactive")
    return Audio(remote.host, remote.port, _CODECS.get(plan.codec.value, PCMU), plan.dtmf_type, direction)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in (port, port + 1):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((host, number))
            except OSError:
                return False
    return True

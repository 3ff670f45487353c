"""Media sockets of telephony equipment: joins their protocols, the media port, the call host and who may bring calls.

An address is /media/{protocol}/{id}: of an assistant or a phone number, which makes a call, or of a call that was prepared,
with its token behind it. Nothing here waits in the middle of a stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from aywa.adapters.transports.equipment import (
    asterisk,
    exotel,
    freeswitch,
    jambonz,
    plivo,
    signalwire,
    telnyx,
    twilio,
    vonage,
)
from aywa.adapters.transports.equipment.codec import Dialect, Handshake, Started
from aywa.adapters.transports.equipment.door import Turned
from aywa.adapters.transports.equipment.sockets import EquipmentSockets, refusal
from aywa.adapters.transports.equipment.streams import Streams
from aywa.adapters.transports.equipment.tcp import TcpSettings, TcpTransport
from aywa.adapters.transports.websocket import Refusal
from aywa.boot.equipment_proof import is_near, is_signed, networks, signature_of
from aywa.boot.equipment_settings import LOOPBACK, EquipmentSettings
from aywa.core import ended_reasons
from aywa.core.equipment.token import TOKEN_LENGTH, address_token, is_token_of
from aywa.ports.calls import CallPlan
from aywa.ports.journal import StoreUnavailable
from aywa.ports.media import LegPlan, MediaPlane
from aywa.ports.telephony import Forward
from aywa.ports.telephony import Refusal as CallRefusal
from aywa.service.equipment import EquipmentCalls, Owner
from aywa.service.inbound import Brought

_log = structlog.get_logger("aywa.boot.equipment")

TOKEN_PARAMETER = "token"  # noqa: S105 - a name
"""The custom parameter that holds the token, for equipment that lets its user write nothing else."""
CARRIERS = ("exotel", "plivo", "signalwire", "telnyx", "twilio", "vonage")

DIALECTS: Mapping[str, Dialect] = {
    **twilio.DIALECTS,
    **telnyx.DIALECTS,
    **signalwire.DIALECTS,
    **exotel.DIALECTS,
    **plivo.DIALECTS,
    **vonage.DIALECTS,
    **asterisk.DIALECTS,
    **freeswitch.DIALECTS,
    **jambonz.DIALECTS,
}
"""Every protocol that connects by WebSocket, by its name in the address."""


class CallDoor(Protocol):
    """What the host of calls tells the door."""

    def admits(self, call_id: str, token: str) -> bool | None:
        """Whether the token opens the leg of a prepared call; None: the call is not here, or over."""

    def leg_plan(self, call_id: str) -> LegPlan | None:
        """What the leg of a prepared call is to be."""

    def end(self, call_id: str, reason: str, detail: str = "") -> bool:
        """Asks the call to end."""


@dataclass(frozen=True, slots=True)
class MediaAddress:
    """Where equipment connects to. url: without the token."""

    protocol: str
    url: str
    token: str


class EquipmentDoor:
    """equipment.door.Door. calls: set when the services are there; before, nobody is let in. open_networks: from where no
    token is needed."""

    def __init__(
        self,
        host: CallDoor,
        secret: bytes,
        open_networks: tuple[str, ...] = (),
        public_url: str = "",
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.calls: EquipmentCalls | None = None
        self._host = host
        self._secret = secret
        self._networks = networks(open_networks)
        self._public_url = public_url
        self._wall_s = wall_s

    # --- at the handshake ----------------------------------------------------------------------------------------

    def look(self, handshake: Handshake) -> Refusal | bool:
        """What can be refused before the stream begins: a token that is wrong whatever follows. Else whether it is right."""
        if self.calls is None:
            return refusal(503, "Service Unavailable", "the runtime is starting: try again in a moment")
        name, token = handshake.name, handshake.token
        right = self._host.admits(name, token)
        if right is None and len(token) != TOKEN_LENGTH:
            # It may be a vendor's signature, or an API key: that is looked at when the stream begins.
            return False
        if right or (right is None and is_token_of(self._secret, name, token)):
            return True
        return refusal(401, "Unauthorized", "the token is not that of this address")

    # --- when a stream begins ------------------------------------------------------------------------------------

    async def open(self, handshake: Handshake, started: Started) -> LegPlan | Turned:
        """As the protocol says."""
        try:
            return await self._open(handshake, started)
        except StoreUnavailable:
            return Turned("the store does not answer", later=True)

    def gave_up(self, call_id: str) -> None:
        """As the protocol says."""
        self._host.end(call_id, ended_reasons.HUNG_UP, "the far side was gone before its call was opened")

    async def _open(self, handshake: Handshake, started: Started) -> LegPlan | Turned:
        name = handshake.name or started.stream_id
        token = handshake.token or started.parameters.get(TOKEN_PARAMETER, "")
        admitted = self._host.admits(name, token)
        if admitted is not None:
            # Over AudioSocket the call's id is all there is, and no stranger knows it.
            return self._prepared(name) if admitted or not handshake.name else Turned("the token is wrong")
        if self.calls is None:
            return Turned("the runtime is starting", later=True)
        owner = await self.calls.owner(name)
        if owner is None:
            return Turned("nothing is at this address: no assistant and no phone number has this id")
        doubt = await self._doubt(self.calls, owner, handshake, name, token)
        if doubt:
            return Turned(doubt)
        answer = await self.calls.take(owner, _brought(handshake, started))
        match answer:
            case CallPlan(call_id=call_id):
                return self._prepared(call_id)
            case CallRefusal(status=status, message=message, phrase=phrase):
                return Turned(message or phrase, later=status == 503)
            case Forward(message=message):
                # Who answers in its place would have to be called: a media socket cannot.
                return Turned(f"nobody answers for the number: {message}")

    def _prepared(self, call_id: str) -> LegPlan | Turned:
        plan = self._host.leg_plan(call_id)
        return Turned("the call is over") if plan is None else plan

    async def _doubt(
        self, calls: EquipmentCalls, owner: Owner, handshake: Handshake, name: str, token: str
    ) -> str:
        """Why whoever connects may not bring calls there; empty when he may."""
        if token and (is_token_of(self._secret, name, token) or await calls.opens(owner, token)):
            return ""
        if signature_of(handshake):
            account = await calls.account(owner)
            if account is not None and account.vendor == handshake.protocol:
                signed = is_signed(handshake, account, self._public_url, self._wall_s())
                return "" if signed else "the vendor's signature is wrong"
        if token:
            return "the token is not that of this address"
        if not handshake.name or is_near(handshake, self._networks):
            # AudioSocket's port has looked at where it comes from.
            return ""
        return "a token is needed: see `aywa media address`"


def _brought(handshake: Handshake, started: Started) -> Brought:
    parameters = {name: value for name, value in started.parameters.items() if name != TOKEN_PARAMETER}
    return Brought(
        caller=started.caller,
        called=started.called,
        provider_id=started.call_id,
        parameters=parameters,
        carrier=handshake.protocol if handshake.protocol in CARRIERS else "",
        format=started.format,
        rate_hz=started.rate_hz,
    )


class Equipment:
    """All of it: `sockets` for the media port, `streams` for other ways to a call."""

    def __init__(self, plane: MediaPlane, door: EquipmentDoor) -> None:
        self.door = door
        self.streams = Streams(plane, door)
        self.sockets = EquipmentSockets(self.streams, DIALECTS, door.look)
        self.audiosocket_port: int | None = None
        self._tcp: TcpTransport | None = None

    async def open_audiosocket(self, settings: EquipmentSettings, host: str) -> None:
        """Listens, where the settings name a port. Raises OSError."""
        if settings.audiosocket_port is None:
            return
        tcp = TcpTransport(self.streams, TcpSettings(networks=settings.audiosocket_networks))
        hosts = settings.audiosocket_hosts or (host,)
        self._tcp = tcp
        self.audiosocket_port = await tcp.start(hosts, settings.audiosocket_port)

    async def close(self) -> None:
        """After the plane, which ends the calls in order."""
        await self.streams.close()
        if self._tcp is not None:
            await self._tcp.close()


def open_networks(settings: EquipmentSettings, *, loopback: bool, public: bool) -> tuple[str, ...]:
    """From where no token is needed: what the operator says; else this machine, while nothing leads here from elsewhere."""
    if settings.networks is not None:
        return settings.networks
    return LOOPBACK if loopback and not public else ()


def media_addresses(media_url: str, secret: bytes, name: str) -> list[MediaAddress]:
    """Every address at which equipment reaches this assistant or phone number."""
    token = address_token(secret, name)
    return [
        MediaAddress(protocol, f"{media_url}/media/{protocol}/{name}", token) for protocol in sorted(DIALECTS)
    ]

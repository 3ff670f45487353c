"""How calls come in: media sockets of the web and of telephony equipment, the SIP port, and FreeSWITCH.

The media sockets are bound before there are services, which must know of them; nobody is let in anywhere before everything that
answers a call is there.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from aywa.adapters.codecs import available_codecs
from aywa.adapters.transports.listener import LIVE, ListenerSockets
from aywa.adapters.transports.websocket import MEDIA, Paths, WebSocketTransport
from aywa.boot.carriers import govern, public_media_url
from aywa.boot.draining import Drained
from aywa.boot.equipment import Equipment, EquipmentDoor, open_networks
from aywa.boot.equipment_settings import media_secret
from aywa.boot.errors import CannotStart
from aywa.boot.first_documents import FirstDocuments
from aywa.boot.freeswitch import FreeSwitch
from aywa.boot.freeswitch_settings import mark_of
from aywa.boot.hold_music import read_music
from aywa.boot.host import Host
from aywa.boot.http_server import shown_host, why
from aywa.boot.layout import Layout
from aywa.boot.live import Live
from aywa.boot.phone import Phone
from aywa.boot.phone_port import PhoneAddress, open_phone_port, password_in
from aywa.boot.public_address import PublicAddress
from aywa.boot.receptionist import demo_number
from aywa.boot.settings import RuntimeSettings, is_loopback
from aywa.boot.tasks import stopped
from aywa.boot.telephones import Telephones
from aywa.boot.tls import certificate, context
from aywa.media.plane import Plane
from aywa.service.services import Services


class WaysIn:
    """`open_sockets` first, then `open` with the services. tls: our own certificate and its key, as files.

    plane: of this process, where web calls are; layout: where those of telephones are.
    """

    live: Live
    equipment: Equipment
    telephones: Telephones

    def __init__(self, settings: RuntimeSettings, host: Host, plane: Plane, layout: Layout) -> None:
        self._settings = settings
        self._host = host
        self._plane = plane
        self._layout = layout
        codecs = tuple(codec.value for codec, missing in available_codecs().items() if not missing)
        self._phone = Phone(settings.phone, host, layout.plane, layout.edge, codecs)
        self._freeswitch: FreeSwitch | None = None
        self._public: PublicAddress | None = None
        self._media_port = 0
        self.phone_address: PhoneAddress | None = None
        self.freeswitch_port: int | None = None
        self.tls: tuple[Path, Path] | None = None

    @property
    def phone(self) -> Phone | None:
        """The SIP port, where there is one."""
        return self._phone if self._settings.phone.enabled else None

    @property
    def drained(self) -> list[Drained]:
        """All that takes calls; the host of all of them first."""
        return [self._host] if self.phone is None else [self._host, self.phone]

    @property
    def media_url(self) -> str:
        """Of the media sockets, as a client on this machine, or by the host that was asked for, writes it."""
        s = "s" if self._settings.own_tls else ""
        return f"ws{s}://{shown_host(self._settings.host)}:{self._media_port}"

    @property
    def media_port(self) -> int:
        """Of the media sockets."""
        return self._media_port

    async def open_sockets(self, parts: AsyncExitStack, port: int) -> None:
        """The media sockets are bound. port: 0 for a free one. Raises CannotStart."""
        settings, layout = self._settings, self._layout
        secret = await asyncio.to_thread(media_secret, settings.equipment, settings.data)
        media_url = public_media_url()
        near = open_networks(settings.equipment, loopback=settings.private, public=bool(media_url))
        self.equipment = Equipment(layout.plane, EquipmentDoor(self._host, secret, near, media_url))
        self.live = Live(self._host, layout.plane)
        paths: dict[str, Paths] = {MEDIA: self.equipment.sockets, LIVE: ListenerSockets(self.live)}
        transport = WebSocketTransport(self._plane, self._host.open_call, paths=paths)
        parts.push_async_callback(transport.close)
        parts.push_async_callback(self.equipment.close)
        parts.push_async_callback(layout.close)
        if settings.freeswitch.enabled:
            self._freeswitch = FreeSwitch(
                settings.freeswitch,
                self._host,
                layout.plane,
                self.equipment.streams,
                self._media_address,
                mark_of(settings.data),
            )
        self.telephones = Telephones(self.phone, self._freeswitch)
        self.tls = certificate(settings.data / "tls", settings.host) if settings.own_tls else None
        tls = None if self.tls is None else context(*self.tls)
        try:
            self._media_port = await transport.start(settings.host, port, tls)
        except OSError as error:
            raise CannotStart(
                f"cannot listen on {settings.host} port {port}, where the calls' audio goes: {why(error)};"
                " choose another with --port"
            ) from error

    async def open(self, parts: AsyncExitStack, services: Services, first: FirstDocuments) -> None:
        """Lets everybody in. Raises CannotStart."""
        await self._open_equipment(services)
        await self._open_phone(parts, services, first)
        await self._open_freeswitch(parts, services, first)

    async def ready(self) -> None:
        """Returns when the media processes run, and the public address is known where somebody is asked for it. Raises
        CannotStart."""
        await self._layout.ready()
        if self._public is not None:
            await self._public.first()

    async def media_ready(self) -> str | None:
        """For /readyz."""
        return self._layout.problem()

    async def _open_equipment(self, services: Services) -> None:
        settings = self._settings
        self.equipment.door.calls = services.equipment
        if services.carrier_lines is not None:
            govern(services.carrier_lines, self.equipment.streams)
        try:
            await self.equipment.open_audiosocket(settings.equipment, settings.host)
        except OSError as error:
            raise CannotStart(
                f"cannot listen for AudioSocket on port {settings.equipment.audiosocket_port}: {why(error)};"
                " choose another with RUNTIME_AUDIOSOCKET_PORT"
            ) from error

    async def _open_phone(self, parts: AsyncExitStack, services: Services, first: FirstDocuments) -> None:
        phones = self._settings.phone
        if not phones.enabled:
            return
        hosts = phones.hosts or (self._settings.host,)
        if not all(is_loopback(host) for host in hosts) and not phones.password:
            file = self._settings.data / "sip-password"
            phones = replace(phones, password=await asyncio.to_thread(password_in, file))
        self._phone.settings = phones
        self._phone.music, self._phone.music_hz = await asyncio.to_thread(read_music, phones.hold_music)
        files = self.tls
        if phones.tls_port is not None and files is None:
            files = certificate(self._settings.data / "tls", hosts[0])
        port, address = await open_phone_port(phones, hosts, shown_host(hosts[0]), self._phone, files)
        self.phone_address = address
        parts.push_async_callback(port.close)
        if self._settings.served is None:
            await demo_number(services, first.org_id, first.assistant_id, address.uri, address.password)
        self._phone.open(port, services.router)
        if phones.stun and not phones.media_public_host:
            self._public = PublicAddress(phones.stun, hosts[0], self._phone.reached_at)
            looking = asyncio.get_running_loop().create_task(self._public.run(), name="public address")
            parts.push_async_callback(stopped, looking)
        parts.push_async_callback(self._phone.close, self._settings.drain_s)

    async def _open_freeswitch(
        self, parts: AsyncExitStack, services: Services, first: FirstDocuments
    ) -> None:
        if self._freeswitch is None:
            return
        self._freeswitch.first_org = first.org_id
        try:
            self.freeswitch_port = await self._freeswitch.open(services.router)
        except OSError as error:
            raise CannotStart(
                f"cannot listen for FreeSWITCH on port {self._settings.freeswitch.listen_port}: {why(error)};"
                " choose another with RUNTIME_FREESWITCH_LISTEN_PORT"
            ) from error
        parts.push_async_callback(self._freeswitch.close, self._settings.drain_s)

    def _media_address(self, protocol: str, call_id: str) -> str:
        """Where FreeSWITCH brings a prepared call's audio."""
        base = self._settings.freeswitch.media_url or public_media_url() or self.media_url
        return f"{base}/media/{protocol}/{self._host.media_path(call_id) or call_id}"

"""The whole runtime in one process: joins stores, journal, media, models, calls and API, starts and stops them in order.

Each part has a place of its own: what is put on record in `records`, whom a call asks in `call_wiring`, how calls come in in
`ways_in`, what is there from the first start in `first_documents`, what /readyz asks in `readiness`, figures in `metrics_wiring`.
Here is only the order.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aywa.adapters.local import LocalEngine
from aywa.adapters.sounds.http import HttpSounds
from aywa.adapters.wire.outbound import Outbound
from aywa.api.app import create_app
from aywa.api.health import Readiness
from aywa.api.settings import ApiSettings
from aywa.boot.analytics import open_analytics
from aywa.boot.artifact_settings import bucket_from_environment
from aywa.boot.artifacts import Artifacts
from aywa.boot.background import SECONDS_MOST, BackgroundSounds
from aywa.boot.call_wiring import CallWiring
from aywa.boot.capacity_file import measured_calls
from aywa.boot.carriers import carriers, public_media_url, public_url
from aywa.boot.customer_wire import (
    CONNECTIONS_MAX,
    CustomerWire,
    account_webhook_from_environment,
    signing_secret,
)
from aywa.boot.deliveries import Post, allowed_from_environment, courier_limits_from_environment
from aywa.boot.draining import Draining
from aywa.boot.engine import open_engine
from aywa.boot.equipment_transfers import EquipmentTransfers
from aywa.boot.first_documents import FirstDocuments, first_documents
from aywa.boot.host import Host
from aywa.boot.http_server import Http, listen, shown_host
from aywa.boot.layout import open_layout
from aywa.boot.lock import FolderLock
from aywa.boot.metrics import Metrics
from aywa.boot.metrics_port import MetricsPort
from aywa.boot.metrics_wiring import (
    Parts,
    metrics_settings,
    open_metrics_port,
    wire_dependencies,
    wire_metrics,
    wire_readiness,
)
from aywa.boot.phone_port import PhoneAddress
from aywa.boot.prices import load_prices
from aywa.boot.provider_check import ProviderCheck
from aywa.boot.readiness import BESIDE, beside, needed
from aywa.boot.receptionist import DOCUMENT
from aywa.boot.records import Records
from aywa.boot.secrets import held_against, open_vault
from aywa.boot.settings import RuntimeSettings
from aywa.boot.shipping import folder_contents, open_shipping
from aywa.boot.store import open_store
from aywa.boot.tasks import stopped
from aywa.boot.telemetry import open_telemetry
from aywa.boot.tolls import tolls_from_environment
from aywa.boot.ways_in import WaysIn
from aywa.media.plane import Plane
from aywa.ports.secrets import Vault
from aywa.ports.store import Store
from aywa.service.handoff_desk import Desk
from aywa.service.keeping import Keeping
from aywa.service.live import Monitors
from aywa.service.services import LiveParts, PhoneParts, Services, join_services

TALK_PAGE = Path(__file__).parent.parent / "api" / "talk"
GC_THRESHOLDS = (10_000, 10, 50)
"""New containers until the young ones are looked through, and how much more seldom the older ones are. Most garbage of a
call goes without the collector."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the runtime is reached. metrics: the figures' own port; empty: there is none."""

    api: str
    media: str
    metrics: str = ""


class Runtime:
    """`start`, then wait until it is `ready`; `stop` in any case, also after a start that failed.

    engine: the local models, if they are being loaded already; who opened them closes them. problems: what was damaged of what
    earlier processes left. warning: once it has started, what the operator should be told. first: what development begins with.
    """

    first: FirstDocuments
    warning: str | None = None
    metrics_port: MetricsPort | None = None

    def __init__(self, settings: RuntimeSettings, engine: LocalEngine | None = None) -> None:
        self.settings = settings
        self._opened = engine
        self.problems: list[str] = []
        self.metrics = Metrics()
        self._parts = AsyncExitStack()
        self.is_ready = False

    async def start(self) -> None:
        """Everything up to the answering sockets. Raises CannotStart, ProviderError (models), StoreUnavailable,
        StoreTooNew."""
        settings, parts = self.settings, self._parts
        parts.callback(FolderLock(settings.data).close)
        self._socket = parts.enter_context(listen(settings.host, settings.port))
        self._artifacts = Artifacts(settings.artifacts)
        vault = await asyncio.to_thread(open_vault, settings.data)
        self._outbound = Outbound(allowed_from_environment(loopback=settings.private))
        self._customers = CustomerWire(
            lambda: self._outbound.connector(limit=CONNECTIONS_MAX),
            settings.served.signing_secret if settings.served is not None else signing_secret(),
        )
        # The models load while the rest is put together.
        await self._open_models()
        await self._open_store()
        self.warning = await held_against(self._store.sealed, vault)
        await self._open_records()
        await self._open_calls()
        self._join_services(vault.vault)
        await self._records.take_up(self.services.calls.as_begun)
        self.post.start()
        if self.shipping is not None:
            self.shipping.start()
        if self.services.carrier_lines is not None:
            parts.push_async_callback(self.services.carrier_lines.close)
        self._host.on_over(lambda call_id, connected: self.services.schedule.room())
        scheduling = asyncio.get_running_loop().create_task(self.services.schedule.run(), name="schedule")
        parts.push_async_callback(stopped, scheduling)
        keeping = Keeping(
            self._store.calls,
            self._artifacts,
            there=self._artifacts.calls,
            removed=self._records.writer.turn_over,
        )
        parts.push_async_callback(
            stopped, asyncio.get_running_loop().create_task(keeping.run(), name="keeping")
        )
        self.draining = Draining(
            lambda: self._ways_in.drained, lambda: len(self._host.active()), scheduling.cancel
        )
        self.first = await first_documents(self.services, settings)
        await self._ways_in.open(parts, self.services, self.first)
        self._open_http()
        # The calls are the first to end.
        parts.push_async_callback(self._host.close, settings.drain_s)

    async def ready(self) -> None:
        """Waits until the models are loaded, and the media processes run. Raises ProviderError, CannotStart."""
        await self._engine.ready()
        await self._ways_in.ready()
        speaking = asyncio.get_running_loop().create_task(self._wiring.speak_stock())
        self._parts.push_async_callback(stopped, speaking)
        # What is alive now stays: let the collector leave it alone, and look for old garbage seldom.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        self.is_ready = True

    async def serve(self) -> None:
        """Returns when HTTP is no longer answered."""
        await self._http.ended()

    async def drain(self) -> int:
        """Takes no more calls, and waits for those that run, within the settings' time. Answers how many still do."""
        return await self.draining.run(self.settings.node.drain_max_s)

    async def stop(self) -> None:
        """Ends calls, then everything in the reverse order; what was put on record is in the store."""
        await self._parts.aclose()

    @property
    def port(self) -> int:
        """Of the API."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def addresses(self) -> Addresses:
        """As a client on this machine, or by the host that was asked for, writes them."""
        s = "s" if self.settings.own_tls else ""
        here = f"http{s}://{shown_host(self.settings.host)}"
        figures = "" if self.metrics_port is None else f"{here}:{self.metrics_port.port}/metrics"
        return Addresses(f"{here}:{self.port}", self._ways_in.media_url, figures)

    @property
    def phone_address(self) -> PhoneAddress | None:
        """Where telephones reach it; None: nowhere."""
        return self._ways_in.phone_address

    @property
    def freeswitch_port(self) -> int | None:
        """Where FreeSWITCH brings its calls; None: nowhere."""
        return self._ways_in.freeswitch_port

    @property
    def connections(self) -> tuple[int, int]:
        """To providers: how many were made, and for how many of them somebody waited."""
        return self._wiring.providers.connections

    # --- the parts, in their order -----------------------------------------------------------------------------------

    async def _open_models(self) -> None:
        if self._opened is None:
            self._opened = await open_engine(self.settings)
            self._parts.push_async_callback(self._opened.close)
        self._engine = self._opened
        self._wiring = CallWiring(self.settings, self._engine, self._outbound, self._customers, self.metrics)
        self._wiring.close_with(self._parts)

    async def _open_store(self) -> None:
        """With what carries its news elsewhere: to the bucket, to the database for analytics."""
        settings, parts = self.settings, self._parts
        self._store: Store = await open_store(settings.data)
        parts.push_async_callback(self._store.close)
        self.shipping = await open_shipping(
            bucket_from_environment(), settings.data, self._artifacts, self._store
        )
        if self.shipping is not None:
            # What the last calls leave is taken over when they have ended.
            parts.push_async_callback(self.shipping.close)
        self.analytics = open_analytics(self._store)
        if self.analytics is not None:
            # The journal's last records are in the store by then.
            parts.push_async_callback(self.analytics.close)
            self.analytics.start()

    async def _open_records(self) -> None:
        """The journal, and who tells customers' servers of it."""
        settings, parts = self.settings, self._parts
        parts.push_async_callback(self._customers.close)
        limits = courier_limits_from_environment()
        self.post = Post(self._store.outbox, self._outbound, self._customers.signing, limits)
        # What the last calls leave is still carried when they have ended.
        parts.push_async_callback(self.post.close)
        telemetry = open_telemetry(self.metrics)
        if telemetry is not None:
            # The last calls' traces are whole when their journal is closed.
            parts.push_async_callback(telemetry.close)
        self._records = Records(
            settings, self._store, self._artifacts, self.shipping, self.post.courier.wake, self.metrics.tap
        )
        self.problems += await self._records.open(parts)

    async def _open_calls(self) -> None:
        """Who runs calls, over the media plane; and the sockets by which their audio comes."""
        settings, parts = self.settings, self._parts
        plane = Plane(asyncio.get_running_loop(), {rate: self._wiring.vad(rate) for rate in (8000, 16000)})
        # Media processes have an ear of their own.
        phone = settings.phone if settings.pipeline.stt else replace(settings.phone, media_processes=0)
        layout = open_layout(plane, phone, self._engine.silero)
        fetched = HttpSounds(self._outbound, SECONDS_MOST)
        parts.push_async_callback(fetched.close)
        sounds = BackgroundSounds(fetched.fetch)
        parts.push_async_callback(sounds.close)
        self._host = Host(
            layout.plane,
            self._records.journal,
            self._artifacts,
            self._wiring.of,
            self._web_media,
            settings.calls_max,
            load_prices().prices,
            self._wiring.providers.ended,
            self._records.writer.turn_over,
            sounds if settings.pipeline.tts else None,
            settings.pipeline.enabled,
        )
        self._host.measured_max = measured_calls(settings.data)
        self._records.host = self._host
        self._ways_in = WaysIn(settings, self._host, plane, layout)
        self._wiring.lines = self._ways_in.phone
        port = self.port + 1 if settings.media_port is None else settings.media_port
        await self._ways_in.open_sockets(parts, port)

    def _web_media(self) -> str:
        """Where a web call's audio goes."""
        told = public_media_url() if self.settings.served is not None else ""
        return told or self._ways_in.media_url

    def _join_services(self, vault: Vault) -> None:
        settings, ways_in = self.settings, self._ways_in
        telephone = ways_in.telephones if ways_in.telephones.any else None
        self.services: Services = join_services(
            self._store,
            self._host,
            self._artifacts,
            vault=vault,
            environment=settings.keys,
            routes=ProviderCheck(
                self._wiring.board, self._outbound.check, [key.base_url for key in settings.keys.values()]
            ),
            contents=folder_contents(settings.data) if self.shipping is None else self.shipping.contents,
            shipped=None if self.shipping is None else self.shipping.shipped,
            phones=PhoneParts(
                telephone=telephone,
                transfers=EquipmentTransfers(ways_in.equipment.streams, telephone),
                carriers=carriers(self._host, public_url(), lambda: ways_in.media_url),
                base_url=public_url(),
                requests=self._customers.questions,
                tolls=tolls_from_environment(),
                states=ways_in.phone,
            ),
            account_webhook=account_webhook_from_environment().server,
            live=LiveParts(
                ways_in.live,
                Monitors(
                    lambda: public_media_url() or ways_in.media_url,
                    lambda: public_url() or self.addresses.api,
                ),
            ),
            sums=None if self.analytics is None else self.analytics.sums,
        )
        self._wiring.transfers = self.services.transfers
        self._host.handoff_desk = Desk(self.services.brains, self.services.servers)
        self._customers.opened = self.services.servers.opened
        assert self.services.live is not None
        ways_in.live.opens = self.services.live.opens

    def _open_http(self) -> None:
        self._open_metrics()
        talks = self.settings.served is None
        app = create_app(
            self.services,
            metrics_settings(ApiSettings(public_url=public_url() or None), loopback=self.settings.private),
            checks=needed(self._engine, self._records, self._ways_in, self.draining)
            | beside(self.shipping, self.analytics),
            shown=BESIDE,
            figures=self.metrics,
            history=None if self.analytics is None else self.analytics.history,
            talk_page=TALK_PAGE if talks else None,
            talk_config=self._talk_config if talks else None,
        )
        self.readiness: Readiness = app.state.readiness
        wire_readiness(self.metrics, self.readiness)
        looking = asyncio.get_running_loop().create_task(self.readiness.run(), name="readiness")
        self._parts.push_async_callback(stopped, looking)
        self._http = Http(app, self._socket, self._ways_in.tls)
        self._parts.push_async_callback(self._http.close)

    def _open_metrics(self) -> None:
        records = self._records
        parts = Parts(
            self._host,
            records.writer,
            records.projector,
            self.post.courier,
            self._store.outbox,
            self._wiring.board,
            self.settings.data,
        )
        wire_metrics(self.metrics, parts)
        wire_dependencies(self.metrics, records.node, self.draining, self.shipping, self.analytics)
        self.metrics.start()
        self._parts.push_async_callback(self.metrics.close)
        settings = self.settings
        self.metrics_port = open_metrics_port(
            self.metrics, settings.host, loopback=settings.private, tls=self._ways_in.tls
        )
        if self.metrics_port is not None:
            self._parts.push_async_callback(self.metrics_port.close)

    def _talk_config(self) -> dict[str, Any]:
        settings = self.settings
        local = settings.openai is None
        return {
            "publicKey": self.first.talk_key,
            "assistantId": self.first.assistant_id,
            "assistantName": DOCUMENT["name"],
            "mediaPort": self._ways_in.media_port,
            "model": {
                "name": settings.llm if settings.openai is None else settings.openai.model,
                "local": local,
            },
        }

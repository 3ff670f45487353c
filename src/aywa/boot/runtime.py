"""The whole runtime in one process: joins stores, journal, media, models, calls and API, starts and stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from aywa.adapters.codecs import available_codecs
from aywa.adapters.endpointing.http import EndpointingHttp
from aywa.adapters.llm.openai import OpenAiLlm
from aywa.adapters.local import LocalEngine
from aywa.adapters.transports.websocket import WebSocketTransport
from aywa.adapters.webhooks.assistant_request import HttpAssistantRequests
from aywa.api.app import create_app
from aywa.api.settings import ApiSettings
from aywa.boot.artifacts import Artifacts
from aywa.boot.carriers import carriers, govern, public_media_url, public_url
from aywa.boot.endpointing import endpointing_route
from aywa.boot.engine import open_engine
from aywa.boot.engine_version import engine_version
from aywa.boot.equipment import Equipment, EquipmentDoor, open_networks
from aywa.boot.equipment_settings import media_secret
from aywa.boot.equipment_transfers import EquipmentTransfers
from aywa.boot.errors import CannotStart
from aywa.boot.freeswitch import FreeSwitch
from aywa.boot.freeswitch_settings import mark_of
from aywa.boot.hold_music import read_music
from aywa.boot.host import PHONE_CALLS, Host
from aywa.boot.layout import open_layout
from aywa.boot.lock import FolderLock
from aywa.boot.phone import Phone
from aywa.boot.phone_port import PhoneAddress, open_phone_port, password_in
from aywa.boot.prices import load_prices
from aywa.boot.provider_check import ProviderCheck
from aywa.boot.providers import LocalRoutes, Providers
from aywa.boot.public_address import PublicAddress
from aywa.boot.receptionist import DOCUMENT, demo_number, receptionist
from aywa.boot.secrets import open_vault
from aywa.boot.settings import RuntimeSettings, is_loopback
from aywa.boot.stock import STOCK_RATE_HZ, speak_stock
from aywa.boot.store import open_store
from aywa.boot.telephones import Telephones
from aywa.boot.tls import certificate, context
from aywa.boot.tolls import tolls_from_environment
from aywa.call.replies import PhraseCache, ReplyRoutes
from aywa.call.router.board import HealthBoard
from aywa.call.rules import RuleThreads
from aywa.call.sentences import SentenceCache
from aywa.call.session import Routes
from aywa.call.voicing import Voicing
from aywa.core.events import CallStarted
from aywa.core.record import CallRecord
from aywa.core.settings import read_settings
from aywa.journal.projector import Projector
from aywa.journal.writer import JournalWriter
from aywa.media.plane import Plane
from aywa.ports.calls import CallPlan
from aywa.ports.journal import StoreUnavailable
from aywa.ports.llm import Llm, LlmRequest
from aywa.ports.store import Store
from aywa.service.errors import Unauthenticated
from aywa.service.keys import Keys
from aywa.service.services import PhoneParts, join_services
from aywa.service.transfers import line_of

_log = structlog.get_logger("aywa.boot")

TALK_PAGE = Path(__file__).parent.parent / "api" / "talk"
WORKER_DIED = "call.in-progress.error-vapifault-worker-died"
GC_THRESHOLDS = (10_000, 10, 50)
"""New containers until the young ones are looked through, and how much more seldom the older ones are. Most garbage of a
call goes without the collector."""
SWITCH_S = 0.0005
LISTEN_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the runtime is reached."""

    api: str
    media: str


class _HttpServer(uvicorn.Server):
    """Leaves the signals alone: uvicorn would end the process by them before the calls have ended."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Runtime:
    """`start`, then wait until it is `ready`; `stop` in any case, also after a start that failed.

    engine: the local models, if they are being loaded already; who opened them closes them. warning: once it has started,
    what the operator should be told.
    """

    def __init__(self, settings: RuntimeSettings, engine: LocalEngine | None = None) -> None:
        self.settings = settings
        self._opened = engine
        self.problems: list[str] = []
        self.warning: str | None = None
        self._media_port = 0
        self.phone_address: PhoneAddress | None = None
        self._public: PublicAddress | None = None
        self._openai: OpenAiLlm | None = None
        self._endpointing = EndpointingHttp()
        self._requests = HttpAssistantRequests()
        self._rules = RuleThreads()
        self._stock: dict[str, bytes] = {}
        self._phrases = PhraseCache()
        self._sentences = SentenceCache()
        self._providers = Providers()
        self.board = HealthBoard()
        self._parts = AsyncExitStack()
        self.freeswitch_port: int | None = None

    async def start(self) -> None:
        """Everything up to the answering sockets. Raises CannotStart, ProviderError (models), StoreUnavailable,
        StoreTooNew."""
        settings, parts = self.settings, self._parts
        parts.callback(FolderLock(settings.data).close)
        self._socket = parts.enter_context(_listen(settings.host, settings.port))
        self._artifacts = Artifacts(settings.artifacts)
        vault = await asyncio.to_thread(open_vault, settings.data)
        self.warning = vault.warning
        # The models load while the rest is put together.
        await self._open_models()
        self._store: Store = await open_store(settings.data)
        parts.push_async_callback(self._store.close)
        await self._open_journal()
        self._prices = load_prices().prices
        await self._open_media()
        self.services = join_services(
            self._store,
            self._host,
            self._artifacts,
            vault=vault.vault,
            environment=settings.keys,
            routes=ProviderCheck(self.board),
            phones=PhoneParts(
                telephone=self._telephones if self._telephones.any else None,
                transfers=EquipmentTransfers(
                    self.equipment.streams, self._telephones if self._telephones.any else None
                ),
                carriers=carriers(self._host, public_url(), lambda: self.addresses.media),
                base_url=public_url(),
                requests=self._requests,
                tolls=tolls_from_environment(),
                states=self._phone if settings.phone.enabled else None,
            ),
        )
        if self.services.carrier_lines is not None:
            parts.push_async_callback(self.services.carrier_lines.close)
        scheduling = asyncio.get_running_loop().create_task(self.services.schedule.run(), name="schedule")
        parts.push_async_callback(_stopped, scheduling)
        await self._first_documents()
        await self._open_equipment()
        await self._open_phone()
        await self._open_freeswitch()
        self._open_http()
        # The calls are the first to end.
        parts.push_async_callback(self._host.close, settings.drain_s)

    async def ready(self) -> None:
        """Waits until the models are loaded, and the media processes run. Raises ProviderError, CannotStart."""
        await self._engine.ready()
        await self._layout.ready()
        if self._public is not None:
            await self._public.first()
        speaking = asyncio.get_running_loop().create_task(speak_stock(self._engine.tts, self._stock))
        self._parts.push_async_callback(_stopped, speaking)
        # What is alive now stays: let the collector leave it alone, and look for old garbage seldom.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        # The journal's, the store's and the recordings' threads must not hold up the loop for the usual 5 ms.
        self._parts.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(SWITCH_S)

    async def serve(self) -> None:
        """Returns when HTTP is no longer answered."""
        await asyncio.shield(self._http)

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
        s = "" if self.settings.loopback else "s"
        host = _shown_host(self.settings.host)
        return Addresses(f"http{s}://{host}:{self.port}", f"ws{s}://{host}:{self._media_port}")

    @property
    def connections(self) -> tuple[int, int]:
        """To providers: how many were made, and for how many of them somebody waited."""
        return self._providers.connections

    # --- the parts -----------------------------------------------------------------------------------------------

    async def _open_models(self) -> None:
        self._parts.push_async_callback(self._providers.close)
        route = self.settings.openai
        if route is not None:
            self._openai = OpenAiLlm(route.base_url, route.key, route.model)
            self._parts.push_async_callback(self._openai.close)
        if self._opened is None:
            self._opened = await open_engine(self.settings)
            self._parts.push_async_callback(self._opened.close)
        self._engine = self._opened

    async def _open_journal(self) -> None:
        folder = self.settings.journal
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._projector = Projector(self._store, folder, self._write_texts)
        self.problems += await self._projector.recover()
        self._journal = JournalWriter(folder, self._projector.take)
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(self._journal.run(), name="journal"),
            loop.create_task(self._projector.run(), name="projector"),
        ]
        self._parts.push_async_callback(self._close_journal, tasks)
        await self._end_orphans()

    async def _close_journal(self, tasks: list[asyncio.Task[None]]) -> None:
        await self._journal.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._projector.drained(), self.settings.drain_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open_media(self) -> None:
        settings = self.settings
        self._parts.push_async_callback(self._endpointing.close)
        self._parts.push_async_callback(self._requests.close)
        self._parts.callback(self._rules.close)
        plane = Plane(asyncio.get_running_loop(), {rate: self._engine.vad(rate) for rate in (8000, 16000)})
        self._layout = open_layout(plane, settings.phone, self._engine.silero)
        self._host = Host(
            self._layout.plane,
            self._journal,
            self._artifacts,
            self._routes,
            lambda: self.addresses.media,
            settings.calls_max,
            self._prices,
            self._providers.ended,
        )
        secret = await asyncio.to_thread(media_secret, settings.equipment, settings.data)
        media_url = public_media_url()
        near = open_networks(settings.equipment, loopback=settings.loopback, public=bool(media_url))
        self.equipment = Equipment(self._layout.plane, EquipmentDoor(self._host, secret, near, media_url))
        transport = WebSocketTransport(plane, self._host.open_call, equipment=self.equipment.sockets)
        self._parts.push_async_callback(transport.close)
        self._parts.push_async_callback(self.equipment.close)
        self._parts.push_async_callback(self._layout.close)
        codecs = tuple(codec.value for codec, missing in available_codecs().items() if not missing)
        self._phone = Phone(settings.phone, self._host, self._layout.plane, self._layout.edge, codecs)
        self.freeswitch: FreeSwitch | None = None
        if settings.freeswitch.enabled:
            self.freeswitch = FreeSwitch(
                settings.freeswitch,
                self._host,
                self._layout.plane,
                self.equipment.streams,
                self._media_address,
                mark_of(settings.data),
            )
        self._telephones = Telephones(self._phone if settings.phone.enabled else None, self.freeswitch)
        self._tls = None if settings.loopback else certificate(settings.data / "tls", settings.host)
        tls = None if self._tls is None else context(*self._tls)
        port = self.port + 1 if settings.media_port is None else settings.media_port
        try:
            self._media_port = await transport.start(settings.host, port, tls)
        except OSError as error:
            raise CannotStart(
                f"cannot listen on {settings.host} port {port}, where the calls' audio goes: {_why(error)};"
                " choose another with --port"
            ) from error

    async def _open_equipment(self) -> None:
        """Media sockets are let in, when everything that answers a call is there."""
        settings = self.settings
        self.equipment.door.calls = self.services.equipment
        if self.services.carrier_lines is not None:
            govern(self.services.carrier_lines, self.equipment.streams)
        try:
            await self.equipment.open_audiosocket(settings.equipment, settings.host)
        except OSError as error:
            raise CannotStart(
                f"cannot listen for AudioSocket on port {settings.equipment.audiosocket_port}: {_why(error)};"
                " choose another with RUNTIME_AUDIOSOCKET_PORT"
            ) from error

    async def _open_phone(self) -> None:
        """The SIP port, when everything that answers a call is there."""
        phones = self.settings.phone
        if not phones.enabled:
            return
        hosts = phones.hosts or (self.settings.host,)
        if not all(is_loopback(host) for host in hosts) and not phones.password:
            file = self.settings.data / "sip-password"
            phones = replace(phones, password=await asyncio.to_thread(password_in, file))
        self._phone.settings = phones
        self._phone.music, self._phone.music_hz = await asyncio.to_thread(read_music, phones.hold_music)
        files = self._tls
        if phones.tls_port is not None and files is None:
            files = certificate(self.settings.data / "tls", hosts[0])
        port, address = await open_phone_port(phones, hosts, _shown_host(hosts[0]), self._phone, files)
        self.phone_address = address
        self._parts.push_async_callback(port.close)
        await demo_number(self.services, self.org_id, self.assistant_id, address.uri, address.password)
        self._phone.open(port, self.services.router)
        if phones.stun and not phones.media_public_host:
            self._public = PublicAddress(phones.stun, hosts[0], self._phone.reached_at)
            looking = asyncio.get_running_loop().create_task(self._public.run(), name="public address")
            self._parts.push_async_callback(_stopped, looking)
        self._parts.push_async_callback(self._phone.close, self.settings.drain_s)

    async def _open_freeswitch(self) -> None:
        """The event socket, when everything that answers a call is there."""
        if self.freeswitch is None:
            return
        self.freeswitch.first_org = self.org_id
        try:
            self.freeswitch_port = await self.freeswitch.open(self.services.router)
        except OSError as error:
            raise CannotStart(
                f"cannot listen for FreeSWITCH on port {self.settings.freeswitch.listen_port}: {_why(error)};"
                " choose another with RUNTIME_FREESWITCH_LISTEN_PORT"
            ) from error
        self._parts.push_async_callback(self.freeswitch.close, self.settings.drain_s)

    def _media_address(self, protocol: str, call_id: str) -> str:
        """Where FreeSWITCH brings a prepared call's audio."""
        base = self.settings.freeswitch.media_url or public_media_url() or self.addresses.media
        return f"{base}/media/{protocol}/{self._host.media_path(call_id) or call_id}"

    async def _end_orphans(self) -> None:
        """Calls that the last process left: they have ended, and their record must say so."""
        for call_id, org_id in await self._store.unended():
            record = await self._projector.call(call_id)
            if not record.last_seq:
                await self._begin_orphan(call_id, org_id)
                record.last_seq = 1
            at_s = await self._last_second(call_id)
            end = {"reason": WORKER_DIED, "message": "the runtime's process ended during the call"}
            self._journal.append(call_id, org_id, record.last_seq + 1, at_s, "command", "EndCall", end)

    async def _begin_orphan(self, call_id: str, org_id: str) -> None:
        """None of it was on record yet: without a beginning its end would have no time."""
        document = await self._store.calls.get(org_id, call_id)
        created_ms = 0 if document is None else document.created_ms
        began = CallStarted(call_id, org_id, created_ms, {}, {}, engine_version())
        self._journal.append(call_id, org_id, 1, 0.0, "event", "CallStarted", began)

    async def _last_second(self, call_id: str) -> float:
        events = await self._store.events(None, call_id)
        return events[-1].at_s if events else 0.0

    async def _write_texts(self, record: CallRecord) -> None:
        try:
            events = await self._store.events(None, record.call_id)
            # A call that was deleted leaves no events, and must leave no files.
            if events:
                await asyncio.to_thread(self._artifacts.write_texts, events, record)
        except (OSError, StoreUnavailable) as error:
            _log.warning("call_texts_not_written", call_id=record.call_id, error=type(error).__name__)

    def _routes(self, plan: CallPlan) -> Routes:
        engine, openai = self._engine, self.settings.openai
        llm: Llm = engine.llm if self._openai is None else self._openai
        local = LocalRoutes(llm, engine.tts, engine.stt, "" if openai is None else openai.model)
        found = self._providers.routes(plan, local)
        settings = read_settings(plan.assistant)
        model, voice, ear = found.models[0], found.voices[0], found.ears[0]
        reply = ReplyRoutes(
            model.llm,
            voice.tts,
            voice.options,
            model=model.model,
            temperature=model.temperature,
            max_tokens=model.max_tokens,
            first_delta_s=model.first_s,
            first_of_many_s=model.first_of_many_s,
            next_delta_s=model.next_s,
            more_models=tuple(found.models[1:]),
            more_voices=tuple(found.voices[1:]),
            board=self.board.for_org(plan.org_id),
            about=_about(plan),
            stock=self._stock,
            stock_rate_hz=STOCK_RATE_HZ,
            phrases=self._phrases,
            voicing=Voicing.of(settings, self._rules),
            sentences=self._sentences.of(plan.org_id) if settings.caches_sentences else None,
        )
        line = line_of(plan.org_id, plan.call_id, plan.call) if plan.type in PHONE_CALLS else None
        return Routes(
            ear.stt,
            reply,
            engine.turn_model,
            language=ear.language,
            reads_ahead=model.llm is engine.llm,
            keyterms=ear.keyterms,
            ear=ear.extra,
            more_ears=tuple(found.ears[1:]),
            problems=tuple(map(str, found.problems)),
            endpointing=endpointing_route(self._endpointing, plan),
            rules=self._rules,
            transfers=None if line is None else self.services.transfers.of(line),
        )

    async def _first_documents(self) -> None:
        org = await self.services.orgs.default()
        self.org_id = org.id
        self.assistant_id = await receptionist(self.services, org.id)
        keys = self.services.keys
        self.key, self.key_is_new = await _kept_key(keys, self.settings.data / "dev-key", org.id, "private")
        self.talk_key, _ = await _kept_key(keys, self.settings.data / "talk-key", org.id, "public")

    def _open_http(self) -> None:
        app = create_app(
            self.services,
            ApiSettings(public_url=public_url() or None),
            checks={
                "models": self._models_ready,
                "store": self._store_ready,
                "journal": self._journal_ready,
                "media": self._media_ready,
            },
            talk_page=TALK_PAGE,
            talk_config=self._talk_config,
        )
        tls: dict[str, Any] = {}
        if self._tls is not None:
            tls = {"ssl_certfile": str(self._tls[0]), "ssl_keyfile": str(self._tls[1])}
        config = uvicorn.Config(
            app,
            log_level="warning",
            lifespan="off",
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=3,
            **tls,
        )
        server = _HttpServer(config)
        self._http = asyncio.create_task(server.serve(sockets=[self._socket]), name="http")

        async def close() -> None:
            server.should_exit = True
            await self._http

        self._parts.push_async_callback(close)

    def _talk_config(self) -> dict[str, Any]:
        settings = self.settings
        local = settings.openai is None
        return {
            "publicKey": self.talk_key,
            "assistantId": self.assistant_id,
            "assistantName": DOCUMENT["name"],
            "mediaPort": self._media_port,
            "model": {
                "name": settings.llm if settings.openai is None else settings.openai.model,
                "local": local,
            },
        }

    async def _models_ready(self) -> str | None:
        await self._engine.ready()
        return None

    async def _media_ready(self) -> str | None:
        return self._layout.problem()

    async def _store_ready(self) -> str | None:
        await self._store.check()
        projector = self._projector
        if projector.unavailable is not None or projector.problem is None:
            return projector.unavailable
        return f"{projector.left_out} records could not be stored, the last: {projector.problem}"

    async def _journal_ready(self) -> str | None:
        journal = self._journal
        if journal.refused is None:
            return None
        return (
            f"the journal cannot be written: {journal.refused} ({journal.lost_records} records lost so far)"
        )


def _about(plan: CallPlan) -> LlmRequest:
    """What a customer's own model is told of the call (contract 4.3)."""
    metadata = plan.assistant.get("metadata")
    customer, number = (plan.call.get(name) for name in ("customer", "phoneNumber"))
    return LlmRequest(
        (),
        metadata=metadata if isinstance(metadata, Mapping) else None,
        call={
            "id": plan.call_id,
            "orgId": plan.org_id,
            "type": plan.type,
            **{name: value for name, value in plan.call.items() if name != "artifactBaseUrl"},
        },
        customer=customer if isinstance(customer, Mapping) else None,
        phone_number=number if isinstance(number, Mapping) else None,
    )


async def _kept_key(keys: Keys, file: Path, org_id: str, kind: str) -> tuple[str, bool]:
    """The key in the file while it is good, else a new one; and whether it is new."""
    kept = _read(file)
    try:
        if kept is not None:
            await keys.authenticate(kept)
            return kept, False
    except Unauthenticated:
        pass
    _, secret = await keys.create(org_id, f"aywa dev ({kind})", kind)
    _write_secret(file, secret)
    return secret, True


def _read(file: Path) -> str | None:
    try:
        file.chmod(0o600)
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _write_secret(file: Path, secret: str) -> None:
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(secret + "\n", "ascii")


def _listen(host: str, port: int) -> socket.socket:
    """Raises CannotStart: the address is taken or not ours."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        # From now on nobody else gets it; who connects waits until there is an answer.
        listening.listen(LISTEN_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        raise CannotStart(
            f"cannot listen on {host} port {port}: {_why(error)}; choose another with --port"
        ) from error
    return listening


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _why(error: OSError | OverflowError) -> str:
    # The loop's own text repeats the address, and the number of the error.
    number = error.errno if isinstance(error, OSError) else None
    known = number is not None and not isinstance(error, socket.gaierror)
    return os.strerror(number) if known and number else getattr(error, "strerror", None) or str(error)


def _shown_host(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104 - recognised, not bound
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host

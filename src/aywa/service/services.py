"""Joins the use-cases over one store and one call host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aywa.core.toll import TollGuard, TollRules
from aywa.ports.analytics import CallSums
from aywa.ports.calls import CallHost, LiveCalls, ProviderKey
from aywa.ports.providers import ProviderRoutes
from aywa.ports.secrets import Vault
from aywa.ports.server_questions import ServerQuestions
from aywa.ports.store import CallFiles, FileContents, Store
from aywa.ports.telephony import Router, Telephone, Transfers, TrunkStates
from aywa.service.analytics import Analytics, StoredSums
from aywa.service.assistants import Assistants
from aywa.service.batches import Batches
from aywa.service.brains import Brains
from aywa.service.calls import DEFAULT_LIMITS, CallLimits, Calls, PhoneWay
from aywa.service.carrier_accounts import CarrierAccounts
from aywa.service.carrier_door import CarrierDoor
from aywa.service.carrier_lines import CarrierLines, CarrierParts, transfers_of
from aywa.service.clock import Clock, now_ms
from aywa.service.credentials import Credentials
from aywa.service.customer_servers import CustomerServers
from aywa.service.deliveries import Deliveries
from aywa.service.equipment import EquipmentCalls
from aywa.service.files import Files
from aywa.service.inbound import Inbound
from aywa.service.keys import Keys
from aywa.service.live import LiveControl, Monitors
from aywa.service.org_settings import OrgSettings
from aywa.service.orgs import Orgs
from aywa.service.outbound import Outbound
from aywa.service.phone_numbers import PhoneNumbers
from aywa.service.phone_rules import TRUNK
from aywa.service.providers import ProviderUse
from aywa.service.resource import TOOL_KIND, Resource, squad_kind
from aywa.service.schedule import Schedule
from aywa.service.shipped import Shipped
from aywa.service.timeline import Timeline
from aywa.service.transfers import TransferDesk
from aywa.service.trunk_status import TrunkStatus
from aywa.service.trunks import Trunks


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the API and the CLI can ask for. files: None when nothing is kept of a call. shipped: None without a bucket."""

    analytics: Analytics
    assistants: Assistants
    batches: Batches
    brains: Brains
    calls: Calls
    credentials: Credentials
    deliveries: Deliveries
    keys: Keys
    orgs: Orgs
    org_settings: OrgSettings
    servers: CustomerServers
    phone_numbers: PhoneNumbers
    squads: Resource
    tools: Resource
    uploads: Files
    router: Router
    schedule: Schedule
    providers: ProviderUse
    timeline: Timeline
    trunks: TrunkStatus
    transfers: TransferDesk
    files: CallFiles | None
    equipment: EquipmentCalls
    carriers: CarrierDoor | None = None
    carrier_lines: CarrierLines | None = None
    live: LiveControl | None = None
    shipped: Shipped | None = None


@dataclass(frozen=True, slots=True)
class PhoneParts:
    """What calls with telephones need of the process. telephone: places calls, None without a SIP port. requests: asks the
    customers' servers. tolls: whom and how often anybody may call. base_url: where the API is reached from outside.
    transfers: passes callers on, None where nobody can. carriers: vendors with an API and a media socket, None without.
    states: how trunks fare."""

    telephone: Telephone | None = None
    requests: ServerQuestions | None = None
    tolls: TollRules = field(default_factory=TollRules)
    base_url: str = ""
    states: TrunkStates | None = None
    transfers: Transfers | None = None
    carriers: CarrierParts | None = None


NO_PHONES = PhoneParts()


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What those who listen to running calls and steer them need of the process."""

    calls: LiveCalls
    monitors: Monitors


def join_services(
    store: Store,
    host: CallHost,
    files: CallFiles | None = None,
    *,
    vault: Vault,
    environment: Mapping[str, ProviderKey] | None = None,
    routes: ProviderRoutes | None = None,
    contents: FileContents | None = None,
    limits: CallLimits = DEFAULT_LIMITS,
    clock: Clock = now_ms,
    phones: PhoneParts = NO_PHONES,
    account_webhook: Mapping[str, Any] | None = None,
    live: LiveParts | None = None,
    shipped: Shipped | None = None,
    sums: CallSums | None = None,
) -> Services:
    """The use-cases, ready. vault: seals what is secret. environment: the operator's own keys, by provider.
    routes: to providers, where there are any. contents: where uploaded files lie. account_webhook: the operator's own, as a
    server's document. live: None: nobody listens to calls or steers them. shipped: artifacts that are objects, where there is a
    bucket. sums: who answers /analytics, None: the store. The schedule's `run` is for a task."""
    assistants = Assistants(store.assistants, vault, clock)
    org_settings = OrgSettings(store.organisations, store.org_settings, vault, account_webhook, clock)
    trunks = Trunks(store.credentials, vault, clock)

    def written(provider: str) -> None:
        if provider == TRUNK:
            trunks.changed()

    credentials = Credentials(store.credentials, vault, environment or {}, clock, written)
    servers = CustomerServers(org_settings, credentials, vault)
    numbers = PhoneNumbers(
        store.phone_numbers, store.assistants, store.credentials, vault, clock, trunks.changed
    )
    tools = Resource(store.tools, TOOL_KIND, vault, clock)
    squads = Resource(store.squads, squad_kind(store.assistants), vault, clock)
    kept = Files(store.files, contents, clock)
    brains = Brains(assistants, tools, squads, kept, credentials)
    accounts = CarrierAccounts(credentials)
    lines = None if phones.carriers is None else CarrierLines(phones.carriers)
    outbound = Outbound(numbers, trunks, TollGuard(phones.tolls), phones.telephone, clock, accounts, lines)
    # It is made after the calls, which wake it.
    schedules: list[Schedule] = []
    way = PhoneWay(outbound, vault, lambda: schedules[0].wake())
    monitors = None if live is None else live.monitors
    calls = Calls(store.calls, brains, host, files, limits, clock, way, servers, monitors, store)
    schedules.append(Schedule(store.calls, calls, clock))
    router = Inbound(
        numbers, trunks, outbound, calls, brains, servers, phones.requests, phones.base_url, clock
    )
    if lines is not None:
        lines.placed = calls.placed
    api_keys = Keys(store.keys, clock, vault)
    return Services(
        analytics=Analytics(sums or StoredSums(store.calls), clock),
        assistants=assistants,
        batches=Batches(calls),
        brains=brains,
        calls=calls,
        credentials=credentials,
        deliveries=Deliveries(store.outbox, clock),
        keys=api_keys,
        orgs=Orgs(store.organisations, clock),
        org_settings=org_settings,
        servers=servers,
        phone_numbers=numbers,
        squads=squads,
        tools=tools,
        uploads=kept,
        router=router,
        schedule=schedules[0],
        providers=ProviderUse(routes, assistants, credentials, clock),
        timeline=Timeline(store.calls, store, store.outbox),
        trunks=TrunkStatus(trunks, phones.states),
        transfers=TransferDesk(numbers, outbound, transfers_of(lines, phones.transfers)),
        files=files,
        carriers=None if lines is None else CarrierDoor(numbers, accounts, lines, router),
        carrier_lines=lines,
        live=None if live is None else LiveControl(live.calls, api_keys),
        shipped=shipped,
        equipment=EquipmentCalls(assistants, numbers, accounts, api_keys, router, lines),
    )

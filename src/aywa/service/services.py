"""Joins the use-cases over one store and one call host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aywa.core.toll import TollGuard, TollRules
from aywa.ports.calls import CallHost, ProviderKey
from aywa.ports.providers import ProviderRoutes
from aywa.ports.secrets import Vault
from aywa.ports.store import CallFiles, Store
from aywa.ports.telephony import AssistantRequests, Router, Telephone, Transfers, TrunkStates
from aywa.service.assistants import Assistants
from aywa.service.calls import DEFAULT_LIMITS, CallLimits, Calls, PhoneWay
from aywa.service.carrier_accounts import CarrierAccounts
from aywa.service.carrier_door import CarrierDoor
from aywa.service.carrier_lines import CarrierLines, CarrierParts, transfers_of
from aywa.service.clock import Clock, now_ms
from aywa.service.credentials import Credentials
from aywa.service.equipment import EquipmentCalls
from aywa.service.inbound import Inbound
from aywa.service.keys import Keys
from aywa.service.orgs import Orgs
from aywa.service.outbound import Outbound
from aywa.service.phone_numbers import PhoneNumbers
from aywa.service.phone_rules import TRUNK
from aywa.service.providers import ProviderUse
from aywa.service.schedule import Schedule
from aywa.service.timeline import Timeline
from aywa.service.transfers import TransferDesk
from aywa.service.trunk_status import TrunkStatus
from aywa.service.trunks import Trunks


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the API and the CLI can ask for. files: None when nothing is kept of a call."""

    assistants: Assistants
    calls: Calls
    credentials: Credentials
    keys: Keys
    orgs: Orgs
    phone_numbers: PhoneNumbers
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


@dataclass(frozen=True, slots=True)
class PhoneParts:
    """What calls with telephones need of the process. telephone: places calls, None without a SIP port. requests: asks the
    customers' servers. tolls: whom and how often anybody may call. base_url: where the API is reached from outside.
    transfers: passes callers on, None where nobody can. carriers: vendors with an API and a media socket, None without.
    states: how trunks fare."""

    telephone: Telephone | None = None
    requests: AssistantRequests | None = None
    tolls: TollRules = field(default_factory=TollRules)
    base_url: str = ""
    states: TrunkStates | None = None
    transfers: Transfers | None = None
    carriers: CarrierParts | None = None


NO_PHONES = PhoneParts()


def join_services(
    store: Store,
    host: CallHost,
    files: CallFiles | None = None,
    *,
    vault: Vault,
    environment: Mapping[str, ProviderKey] | None = None,
    routes: ProviderRoutes | None = None,
    limits: CallLimits = DEFAULT_LIMITS,
    clock: Clock = now_ms,
    phones: PhoneParts = NO_PHONES,
) -> Services:
    """The use-cases, ready. vault: seals what is secret. environment: the operator's own keys, by provider.
    routes: to providers, where there are any. The schedule's `run` is for a task."""
    assistants = Assistants(store.assistants, vault, clock)
    trunks = Trunks(store.credentials, vault, clock)

    def written(provider: str) -> None:
        if provider == TRUNK:
            trunks.changed()

    credentials = Credentials(store.credentials, vault, environment or {}, clock, written)
    numbers = PhoneNumbers(
        store.phone_numbers, store.assistants, store.credentials, vault, clock, trunks.changed
    )
    accounts = CarrierAccounts(credentials)
    lines = None if phones.carriers is None else CarrierLines(phones.carriers)
    outbound = Outbound(numbers, trunks, TollGuard(phones.tolls), phones.telephone, clock, accounts, lines)
    # It is made after the calls, which wake it.
    schedules: list[Schedule] = []
    way = PhoneWay(outbound, vault, lambda: schedules[0].wake())
    calls = Calls(store.calls, assistants, credentials, host, files, limits, clock, way)
    schedules.append(Schedule(store.calls, calls, clock))
    router = Inbound(
        numbers, trunks, outbound, calls, assistants, credentials, phones.requests, phones.base_url, clock
    )
    if lines is not None:
        lines.placed = calls.placed
    api_keys = Keys(store.keys, clock)
    return Services(
        assistants=assistants,
        calls=calls,
        credentials=credentials,
        keys=api_keys,
        orgs=Orgs(store.organisations, clock),
        phone_numbers=numbers,
        router=router,
        schedule=schedules[0],
        providers=ProviderUse(routes, assistants, credentials, clock),
        timeline=Timeline(store.calls, store),
        trunks=TrunkStatus(trunks, phones.states),
        transfers=TransferDesk(numbers, outbound, transfers_of(lines, phones.transfers)),
        files=files,
        carriers=None if lines is None else CarrierDoor(numbers, accounts, lines, router),
        carrier_lines=lines,
        equipment=EquipmentCalls(assistants, numbers, accounts, api_keys, router, lines),
    )

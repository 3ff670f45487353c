"""Joins the use-cases over one store and one call host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aywa.ports.calls import CallHost, ProviderKey
from aywa.ports.providers import ProviderRoutes
from aywa.ports.secrets import Vault
from aywa.ports.store import CallFiles, Store
from aywa.service.assistants import Assistants
from aywa.service.calls import DEFAULT_LIMITS, CallLimits, Calls
from aywa.service.clock import Clock, now_ms
from aywa.service.credentials import Credentials
from aywa.service.keys import Keys
from aywa.service.orgs import Orgs
from aywa.service.providers import ProviderUse
from aywa.service.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the API and the CLI can ask for. files: None when nothing is kept of a call."""

    assistants: Assistants
    calls: Calls
    credentials: Credentials
    keys: Keys
    orgs: Orgs
    providers: ProviderUse
    timeline: Timeline
    files: CallFiles | None


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
) -> Services:
    """The use-cases, ready. vault: seals what is secret. environment: the operator's own keys, by provider.
    routes: to providers, where there are any."""
    assistants = Assistants(store.assistants, vault, clock)
    credentials = Credentials(store.credentials, vault, environment or {}, clock)
    return Services(
        assistants=assistants,
        calls=Calls(store.calls, assistants, credentials, host, files, limits, clock),
        credentials=credentials,
        keys=Keys(store.keys, clock),
        orgs=Orgs(store.organisations, clock),
        providers=ProviderUse(routes, assistants, credentials, clock),
        timeline=Timeline(store.calls, store),
        files=files,
    )

"""Joins the use-cases over one store and one call host."""

from __future__ import annotations

from dataclasses import dataclass

from aywa.ports.calls import CallHost
from aywa.ports.store import CallFiles, Store
from aywa.service.assistants import Assistants
from aywa.service.calls import DEFAULT_LIMITS, CallLimits, Calls
from aywa.service.clock import Clock, now_ms
from aywa.service.keys import Keys
from aywa.service.orgs import Orgs
from aywa.service.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the API and the CLI can ask for. files: None when nothing is kept of a call."""

    assistants: Assistants
    calls: Calls
    keys: Keys
    orgs: Orgs
    timeline: Timeline
    files: CallFiles | None


def join_services(
    store: Store,
    host: CallHost,
    files: CallFiles | None = None,
    *,
    limits: CallLimits = DEFAULT_LIMITS,
    clock: Clock = now_ms,
) -> Services:
    """The use-cases, ready."""
    return Services(
        assistants=Assistants(store.assistants, clock),
        calls=Calls(store.calls, store.assistants, host, files, limits, clock),
        keys=Keys(store.keys, clock),
        orgs=Orgs(store.organisations, clock),
        timeline=Timeline(store.calls, store),
        files=files,
    )

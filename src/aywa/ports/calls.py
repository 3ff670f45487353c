"""What the service needs of the process that runs calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aywa.ports.media import AudioFormat
from aywa.ports.server_questions import ServerChain


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """What opens a provider. key: may be empty, where a server wants none or `extra` says how else. base_url: empty for the
    vendor's own. extra: the credential's other fields (region, userId, authenticationPlan ...). source: whose it is, for a
    person."""

    key: str = field(repr=False)
    base_url: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    source: str = ""


SECRETS_ID = "secretsId"
"""Under which of a call's keys the secrets of an object are that had some: a server, a tool that makes requests."""


def whole_of(keys: Mapping[str, ProviderKey], holder: Mapping[str, Any]) -> dict[str, Any]:
    """A server, or a tool, with its secrets; for whoever sends the request, and for nobody's record."""
    key = keys.get(str(holder.get(SECRETS_ID)))
    found = {name: value for name, value in holder.items() if name != SECRETS_ID}
    return found if key is None else _laid_over(found, key.extra)


def opened(keys: Mapping[str, ProviderKey], document: Any) -> Any:
    """A document with the secrets of all that is in it; for whoever puts them aside again under other keys."""
    if isinstance(document, list | tuple):
        return [opened(keys, item) for item in document]
    if not isinstance(document, Mapping):
        return document
    whole = whole_of(keys, document) if SECRETS_ID in document else document
    return {name: opened(keys, value) for name, value in whole.items()}


def _laid_over(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for name, value in over.items():
        old = result.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = _laid_over(old, value) if both and isinstance(old, Mapping) else value
    return result


@dataclass(frozen=True, slots=True)
class FileText:
    """What can be read in a file, for a query tool."""

    file_id: str
    name: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """An assistant of a squad, or one that a call is handed to: resolved, overrides merged, without secrets. name: empty where
    it has none. variables: its own {{name}} values. destinations: whom it may hand over to, as they are written. keys, files:
    as a call's plan has them."""

    name: str
    assistant: Mapping[str, Any]
    assistant_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    destinations: tuple[Mapping[str, Any], ...] = ()
    keys: Mapping[str, ProviderKey] = field(default_factory=dict, repr=False)
    files: Mapping[str, FileText] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class LiveKeys:
    """What opens a call while it goes on (contract 15): the unguessable part of its listenUrl, and of its controlUrl; empty: it
    has none. listen_by_key, control_by_key: an API key of its organisation is wanted beside (contract 13.3)."""

    listen: str = field(default="", repr=False)
    control: str = field(default="", repr=False)
    listen_by_key: bool = False
    control_by_key: bool = False


CLOSED = LiveKeys()


@dataclass(frozen=True, slots=True)
class CallPlan:
    """A call that may begin. assistant: the resolved document (overrides merged), in the contract's shape, without secrets.
    variables: {{name}} values. created_ms: Unix milliseconds. join_timeout_s: how long a party has to connect. keys: by
    provider, and by credential where the assistant names one; for adapters only: never on record, never in a template.
    warnings: what a person looking at the call should know. members: of its squad, the first of whom is `assistant`; none
    without a squad. files: by id, those that the assistant's tools search. servers: the customer's, for questions; webhooks: the
    same for the record (core.server_messages.read_servers). live: what opens it while it goes on."""

    call_id: str
    org_id: str
    type: str
    assistant: Mapping[str, Any]
    format: AudioFormat
    rate_hz: int
    created_ms: int
    assistant_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    join_timeout_s: float = 15.0
    keys: Mapping[str, ProviderKey] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    files: Mapping[str, FileText] = field(default_factory=dict, repr=False)
    servers: ServerChain = field(default_factory=ServerChain, repr=False)
    webhooks: Mapping[str, Any] = field(default_factory=dict, repr=False)
    live: LiveKeys = field(default=CLOSED, repr=False)


class CallRefused(Exception):
    """The call cannot be taken. ended_reason: published; status: for HTTP (429 over the limit, 503 not ready)."""

    def __init__(self, ended_reason: str, message: str, status: int = 503) -> None:
        super().__init__(message)
        self.ended_reason = ended_reason
        self.status = status


class CallHost(Protocol):
    """Runs calls. Nothing here waits for a database."""

    def prepare(self, plan: CallPlan) -> str:
        """Journals the call as queued and makes the unguessable path (with token) at which its party connects over
        WebSocket; answers the whole ws:// or wss:// URL. Raises CallRefused."""

    def full(self) -> bool:
        """Whether it takes no call more until one has ended; False while it takes none at all."""

    def end(self, call_id: str, reason: str) -> bool:
        """Asks a queued or running call to end; False when it is not here."""

    def active(self) -> Mapping[str, str]:
        """call id -> status of the calls that are here."""


class CallLegs(Protocol):
    """What whoever brings a call's audio on a media socket needs of the process that runs calls."""

    def media_path(self, call_id: str) -> str | None:
        """The unguessable end of the media socket's address, `{callId}/{token}`; None when the call is not here."""

    def connected(self, call_id: str) -> bool:
        """Whether its audio is here, or was."""

    def give_away(self, call_id: str) -> bool:
        """The caller is somebody else's from now on: the call ends as one that was forwarded, and its media socket is closed.
        False when its leg is not here."""

    def on_over(self, tell: Callable[[str, bool], None]) -> None:
        """tell(call id, whether its leg ever was there): called when a call's session is over."""

    def rang(self, call_id: str) -> None:
        """Whoever the call is placed to is being rung."""

    def end(self, call_id: str, reason: str, detail: str = "") -> bool:
        """As CallHost has it. detail: for a person, as endedMessage."""


class SteeringRefused(Exception):
    """A running call cannot be asked that now. status: for HTTP."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class LiveCalls(Protocol):
    """What whoever steers a running call needs of the process that runs it."""

    def live(self, call_id: str) -> tuple[str, LiveKeys] | None:
        """The call's organisation, and what opens it; None when it is over, or not here."""

    def steer(self, call_id: str, message: Mapping[str, Any], who: str) -> None:
        """Asks it (contract 15.1). Raises SteeringRefused; when the call is not here it does nothing."""

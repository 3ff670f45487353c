"""What the service needs of the process that runs calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aywa.ports.media import AudioFormat


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """What opens a provider. key: may be empty, where a server wants none or `extra` says how else. base_url: empty for the
    vendor's own. extra: the credential's other fields (region, userId, authenticationPlan ...). source: whose it is, for a
    person."""

    key: str = field(repr=False)
    base_url: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    source: str = ""


@dataclass(frozen=True, slots=True)
class CallPlan:
    """A call that may begin. assistant: the resolved document (overrides merged), in the contract's shape, without secrets.
    variables: {{name}} values. created_ms: Unix milliseconds. join_timeout_s: how long a party has to connect. keys: by
    provider, and by credential where the assistant names one; for adapters only: never on record, never in a template.
    warnings: what a person looking at the call should know."""

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

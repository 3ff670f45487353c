"""What a call needs to run tools outside of it, beside its customer's servers (ports/server_questions): requests over HTTP, MCP
servers, requests within a SIP dialog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ToolHttpRequest:
    """One request, as it leaves. body: None without one. access: of the tool, what says whose credential opens it
    (`credentialId`, `secretsId`); never a secret itself. id: of the attempt."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    body: str | None = field(default=None, repr=False)
    access: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    id: str = ""


@dataclass(frozen=True, slots=True)
class ToolHttpAnswer:
    """body: text, cut at a limit; cut: it was longer."""

    status: int
    body: str = field(repr=False)
    cut: bool = False


class ToolHttp(Protocol):
    """Over the network, never to an internal address that the operator has not allowed."""

    async def send(self, request: ToolHttpRequest) -> ToolHttpAnswer:
        """One attempt, whatever its status. Raises ProviderError; may be cancelled."""


@dataclass(frozen=True, slots=True)
class McpAnswer:
    """text: for the model. body: the structured content, or None. failed: the tool says so of itself."""

    text: str = field(repr=False)
    body: Any = field(default=None, repr=False)
    failed: bool = False


class McpServers(Protocol):
    """Servers of the Model Context Protocol. tool: an mcp tool as the assistant has it."""

    async def tools(self, tool: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """name, description and inputSchema of each. Raises ProviderError."""

    async def run(self, tool: Mapping[str, Any], name: str, arguments: Mapping[str, Any]) -> McpAnswer:
        """Raises ProviderError."""


@dataclass(frozen=True, slots=True)
class ToolSipRequest:
    """One request, as it leaves."""

    verb: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ToolSipAnswer:
    """Its final answer. status: 0 when none came, and reason says why."""

    status: int
    reason: str = ""


class SipDialog(Protocol):
    """That of one call with whoever it is with."""

    @property
    def up(self) -> bool:
        """Whether there is one now."""

    async def send(self, request: ToolSipRequest) -> ToolSipAnswer:
        """Sends it, and waits for its final answer; given up, nobody hears of it. Never raises."""

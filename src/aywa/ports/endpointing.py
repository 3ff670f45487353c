"""The customer's own endpointing model: how long to wait for the caller, by the conversation so far (contract 9.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

WAIT_MAX_S = 15.0


@dataclass(frozen=True, slots=True)
class EndpointingRequest:
    """messages: the history in the contract's shape (6.4), the caller's turn at its end. chat: the same for a model."""

    messages: tuple[Mapping[str, Any], ...]
    chat: tuple[Mapping[str, Any], ...]


class EndpointingModel(Protocol):
    """A route to one, for one call."""

    @property
    def name(self) -> str:
        """The route's name."""

    async def wait_s(self, request: EndpointingRequest) -> float:
        """Seconds after the end of speech, 0 to WAIT_MAX_S. Raises ProviderError. Deadlines are the caller's."""

"""Who can take a call over that its squad does not have: looked up while the call runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aywa.ports.calls import Member
from aywa.ports.server_questions import ServerChain


class HandoffRefused(Exception):
    """Nobody takes the call over. The text is for the model, and for a person. result: what the customer's server wants the
    model told instead."""

    def __init__(self, reason: str, result: str = "") -> None:
        super().__init__(reason)
        self.result = result


@dataclass(frozen=True, slots=True)
class Handed:
    """Those who come into the call, the first to take it over first. problems: for a person."""

    members: tuple[Member, ...]
    problems: tuple[str, ...] = ()


class HandoffDesk(Protocol):
    """Finds assistants and squads of an organisation."""

    async def hand(self, org_id: str, destination: Mapping[str, Any]) -> Handed:
        """destination: of type assistant or squad, with its overrides (contract 8) and with its secrets. Raises
        HandoffRefused."""

    def heard_by(
        self, org_id: str, member: Member, before: ServerChain
    ) -> tuple[ServerChain, Mapping[str, Any]]:
        """Whose servers hear of the call once it is this one's, and what the record says of them. before: those that do now; they
        stay where it has none of its own."""

    async def overridden(self, org_id: str, member: Member, overrides: Mapping[str, Any]) -> Member:
        """One whom the call has, under the destination's assistantOverrides. Raises HandoffRefused."""

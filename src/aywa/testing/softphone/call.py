"""One call of the softphone: its dialog, and what happened in it, in order.

Follows RFC 3261 12 for the dialog and 13 for the INVITE; knows of nothing but its own call. The phone sends for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aywa.testing.softphone.lines import Place
from aywa.testing.softphone.message import Message, address, parameter


@dataclass(frozen=True, slots=True)
class Happening:
    """Something of the signalling, at the loop's time."""

    at_s: float
    what: str
    detail: str = ""


@dataclass(slots=True)
class Dialog:
    """What every request within the call carries. ours, theirs: From and To as we write them. target: the far side's Contact."""

    call_id: str
    ours: str
    theirs: str
    target: str
    place: Place
    cseq: int = 0
    route: list[str] = field(default_factory=list)
    session: int = 1

    def learn(self, response: Message) -> None:
        """Takes the far side's tag, Contact and route from a response to our INVITE (RFC 3261 12.1.2)."""
        if parameter(response.get("To"), "tag"):
            self.theirs = response.get("To")
        if contact := response.get("Contact"):
            self.target = address(contact)
        if recorded := response.all("Record-Route"):
            self.route = recorded[::-1]


@dataclass(slots=True)
class Log:
    """What happened, for the report."""

    began_s: float
    entries: list[Happening] = field(default_factory=list)

    def note(self, at_s: float, what: str, detail: str = "") -> None:
        """Puts it at the end."""
        self.entries.append(Happening(at_s, what, detail))

    def first_s(self, what: str) -> float | None:
        """When it happened first."""
        return next((entry.at_s for entry in self.entries if entry.what == what), None)

    def rows(self) -> list[dict[str, Any]]:
        """For JSON, in milliseconds since the beginning."""
        return [
            {"at_ms": round((entry.at_s - self.began_s) * 1000), "what": entry.what}
            | ({"detail": entry.detail} if entry.detail else {})
            for entry in self.entries
        ]

"""Who owns a call where several runtimes share one database: leases with two witnesses, and fences that make a late owner
harmless. Refuses to know what a witness is made of.

A node shows that it lives by its **beat** in the database, and by its **lease** where leases are kept. Another node counts as
dead only when both were silent for `dead_s` of *unbroken sight*: who could not ask, or was itself stopped for a while, begins to
count anew. So a witness that is gone, restarted or emptied never makes anybody's calls change hands. Only time of the watcher's
own clock is compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DEAD_S: Final = 15.0
"""So long both witnesses must be silent."""
BEATS: Final = 8
"""So often a node shows itself in that time."""
LEASE_BEATS: Final = 3
"""So many of them a lease outlives its last renewal."""
SIGHT_BEATS: Final = 3
"""Who has not looked for so many beats has not seen what happened meanwhile."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """What follows from how long a node may be silent."""

    dead_s: float = DEAD_S

    @property
    def beat_s(self) -> float:
        """From one beat to the next."""
        return self.dead_s / BEATS

    @property
    def lease_s(self) -> float:
        """How long a lease stands without being renewed."""
        return self.beat_s * LEASE_BEATS

    @property
    def sight_s(self) -> float:
        """From one look to the next at most, or sight is broken."""
        return self.beat_s * SIGHT_BEATS


@dataclass(frozen=True, slots=True)
class Fence:
    """What a node's writes carry. token: the newest that it had when what is written happened; tokens only grow."""

    owner: str
    token: int


def admits(owner: str | None, token: int, fence: Fence) -> bool:
    """Whether a call's row, which is `owner`'s since `token`, takes this write. A row of nobody's takes any."""
    return owner is None or (owner == fence.owner and token <= fence.token)


class Standing(StrEnum):
    """HELD: the others know that we live. LAPSED: they may take us for dead by now. USURPED: another process has our name."""

    HELD = "held"
    LAPSED = "lapsed"
    USURPED = "usurped"


class OwnLease:
    """This node's. It begins unheard."""

    def __init__(self, times: LeaseTimes) -> None:
        self._times = times
        self._heard_s: float | None = None
        self._usurped = False

    def heard(self, began_s: float) -> None:
        """A witness took our word; began_s: when it was sent."""
        if self._heard_s is None or began_s > self._heard_s:
            self._heard_s = began_s

    def usurped(self) -> None:
        """Another process joined under our name. For good: only a person can mend it."""
        self._usurped = True

    def standing(self, now: float) -> Standing:
        """Nobody takes us for dead sooner than dead_s after what was heard last."""
        if self._usurped:
            return Standing.USURPED
        if self._heard_s is None or now - self._heard_s >= self._times.dead_s:
            return Standing.LAPSED
        return Standing.HELD


@dataclass(slots=True)
class _Peer:
    beat: int
    silent_since_s: float


class Peers:
    """What one node knows of the others. `look` once a beat."""

    def __init__(self, own: str, times: LeaseTimes) -> None:
        self._own = own
        self._times = times
        self._peers: dict[str, _Peer] = {}
        self._looked_s: float | None = None

    def look(
        self, beats: Mapping[str, int] | None, leased: Collection[str] | None, now: float
    ) -> list[tuple[str, int]]:
        """Takes what the two witnesses say, None: that one did not answer. Answers who is dead by now, each with its last
        beat; whoever takes its calls asks the database whether that is still so."""
        paused = self._looked_s is not None and now - self._looked_s > self._times.sight_s
        self._looked_s = now
        if beats is None or leased is None or paused:
            self._begin_anew(now)
        if beats is None:
            return []
        known = self._peers
        self._peers = {
            node: self._seen(known.get(node), node, beat, leased, now)
            for node, beat in beats.items()
            if node != self._own
        }
        return [
            (node, peer.beat)
            for node, peer in sorted(self._peers.items())
            if now - peer.silent_since_s >= self._times.dead_s
        ]

    def silent_s(self, now: float) -> Mapping[str, float]:
        """For how long each of the others has been silent."""
        return {node: now - peer.silent_since_s for node, peer in self._peers.items()}

    def _seen(
        self, peer: _Peer | None, node: str, beat: int, leased: Collection[str] | None, now: float
    ) -> _Peer:
        if peer is None or beat != peer.beat or (leased is not None and node in leased):
            return _Peer(beat, now)
        return peer

    def _begin_anew(self, now: float) -> None:
        for peer in self._peers.values():
            peer.silent_since_s = now

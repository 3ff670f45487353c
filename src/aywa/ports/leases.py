"""Where the runtimes that share a database show that they live, and whose calls are whose. Protocols and plain records.

There are two witnesses (core.leases): the database, whose rows also say who owns which call, and a place for leases beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class LeasesUnavailable(Exception):
    """The leases cannot be reached right now."""


class Usurped(Exception):
    """Another process has joined under this node's name."""


class Buried(Exception):
    """Another node took this one for dead, and has its calls."""


@dataclass(frozen=True, slots=True)
class OwnedCall:
    """A call that a node owns."""

    call_id: str
    org_id: str


class CallLeases(Protocol):
    """The database's part, for one process. Every method may raise StoreUnavailable."""

    @property
    def shared(self) -> bool:
        """Whether other runtimes may have the same database."""

    async def join(self, node: str) -> int:
        """From now on this process is that node, and what it stores of calls is the node's. Answers its fencing token, which is
        greater than any before."""

    async def beat(self) -> Mapping[str, int]:
        """Shows that this node lives; answers every node's beat. Raises Usurped, Buried."""

    async def take(self, node: str, beat: int | None = None) -> tuple[int, Sequence[OwnedCall]]:
        """The calls of that node that have not ended are this one's. beat: only if that was its last, and it is forgotten then;
        None: its own, which an earlier process of this name left. Answers this node's fencing token from now on (0: nothing was
        taken), and the calls."""

    async def unanswered(self) -> tuple[int, Sequence[OwnedCall]]:
        """The calls that a take gave to this node whose answer never came, as it would have answered. To be asked before anything
        else is taken."""

    async def leave(self) -> None:
        """This node is no more; calls that it still has are found under its name when it joins again."""


class Leases(Protocol):
    """The place beside it."""

    async def renew(self, node: str, token: int, ttl_s: float) -> None:
        """The node lives, for so long. Raises LeasesUnavailable; Usurped when a process with a greater token has the name."""

    async def standing(self, nodes: Collection[str]) -> frozenset[str]:
        """Those of them that have a lease. Raises LeasesUnavailable."""

    async def release(self, node: str, token: int) -> None:
        """The node ends. Raises LeasesUnavailable."""

    async def close(self) -> None: ...

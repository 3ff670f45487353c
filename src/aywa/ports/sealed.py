"""Every ciphertext that a store holds, wherever it lies, for who seals all of them with another key. Refuses to open any.

Times are Unix milliseconds. Every method may raise StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aywa.ports.secrets import Sealed


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A row with ciphertexts. table, id: where it lies. sealed: all that are in it. running: it belongs to a call that has not
    ended, whose process may have the same ciphertext in its memory."""

    table: str
    id: str
    org_id: str
    sealed: tuple[Sealed, ...] = field(repr=False)
    running: bool = False


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that sealed here, by its id. since_ms: when it became the one that seals. done_ms: when nothing was sealed with any
    other any more; None while that is not known."""

    id: str
    since_ms: int
    done_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """What takes the place of a row's ciphertexts, in their order."""

    row: SealedRow
    sealed: tuple[Sealed, ...] = field(repr=False)


class SealedRows(Protocol):
    """All of them, page by page; and which keys there were."""

    @property
    def tables(self) -> Sequence[str]:
        """Where there may be any, in the order in which they are worth looking at."""

    async def page(self, table: str, after: str, limit: int) -> Sequence[SealedRow]:
        """The rows behind this id ("": from the first) that have any, in the order of their ids; none: that was all."""

    async def key_ids(self) -> Collection[str]:
        """Of all that has a column of its own, and of what waits to be sent: what will be opened."""

    async def exchange(self, exchanges: Sequence[Exchange]) -> int:
        """In one transaction, on the disk when it returns. A row whose ciphertexts are not those any more stays as it is. Answers
        how many were exchanged."""

    async def keys(self) -> Sequence[KnownKey]:
        """The one that sealed last first."""

    async def note(self, key: KnownKey) -> None:
        """Puts it on record, over what was said of it before."""

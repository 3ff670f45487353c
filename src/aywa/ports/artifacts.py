"""Where artifacts and uploaded files lie as objects, each under a key; and where is written down what is on its way there.

A key is a path of ids and plain names (`calls/ORG/CALL/recording.wav`): who makes one answers for what it holds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aywa.core.shipment import Shipment
from aywa.ports.journal import StoreUnavailable


class ArtifactsUnavailable(StoreUnavailable):
    """Nothing can be stored or read now. code: stable, for machines. mend: what the operator can do about it. lasting: it will
    not pass by itself."""

    def __init__(self, code: str, text: str, mend: str = "", *, lasting: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.mend = mend
        self.lasting = lasting


class ObjectRefused(Exception):
    """This object cannot be stored or read, which says nothing of others."""


class Source(Protocol):
    """Bytes that lie on this machine and do not change."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from start up to end, in blocks. Blocks the thread; raises OSError."""


@dataclass(frozen=True, slots=True)
class Content:
    """A Source that is in memory."""

    content: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """As the port says."""
        return len(self.content)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """As the port says."""
        yield self.content[start:end]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object. sha256: in hex; empty where nobody wrote it down."""

    size: int
    media_type: str = ""
    sha256: str = ""


Begun = Callable[[str], Awaitable[None]]
"""Told of an upload in parts before its first part leaves: by this name it can be taken up again."""


class ArtifactStore(Protocol):
    """Every method may raise ArtifactsUnavailable, and ObjectRefused."""

    async def put(
        self, key: str, source: Source, media_type: str, upload: str = "", begun: Begun | None = None
    ) -> Stored:
        """Stores it whole or not at all, over what lies there; returns when the store has confirmed its bytes. upload: one that
        was begun before. Raises OSError of the source's."""

    async def find(self, key: str) -> Stored | None: ...

    def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from start up to end, in blocks."""

    async def keys(self, prefix: str) -> Sequence[str]:
        """Of all objects whose keys begin with this, sorted."""

    async def remove(self, prefix: str) -> None:
        """All objects whose keys begin with this, for good, with what was begun and not ended."""

    async def link(self, key: str, file_name: str, within_s: int) -> str | None:
        """An address at which anybody may read the object for so long; None: there is none, hand the bytes on."""

    async def check(self) -> None:
        """Writes, reads and removes a small object."""

    async def close(self) -> None: ...


class LocalArtifacts(Protocol):
    """A call's files as they lie on this machine until they are stored. Everything blocks, and may raise OSError."""

    def names(self, call_id: str) -> Sequence[str]:
        """Of the objects that its files make."""

    def source(self, call_id: str, name: str) -> Source | None:
        """None when there is nothing (any more) that makes it."""

    def stamp(self, call_id: str) -> Mapping[str, object]:
        """By each file's name what changes when it is written again."""

    def drop(self, call_id: str, names: Collection[str], stamp: Mapping[str, object]) -> None:
        """Removes the files behind these objects, which are stored; but not one that was written again since."""

    def forget(self, call_id: str) -> None:
        """Removes all of a call's files."""


class ShipmentLedger(Protocol):
    """What is on its way, on this machine's disk. Everything blocks, and may raise OSError."""

    def all(self) -> Sequence[Shipment]:
        """Everything that was written and not removed."""

    def write(self, shipment: Shipment) -> None:
        """Returns when it would survive a crash."""

    def remove(self, shipment_id: str) -> None: ...

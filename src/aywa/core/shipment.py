"""Artifacts on their way from this machine into the bucket, or out of it: what is still to be done, and when the next try is.

A shipment that is to remove never stores anything any more: what is deleted stays deleted, whatever comes late.
It refuses to read a file or to send a request. Times are Unix milliseconds; chance comes in as a number from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

FIRST_S: Final = 1.0
PAUSE_MOST_S: Final = 60.0
"""A bucket that does not answer is asked at least so often: what waits leaves soon after it is back."""
RETRY_MOST_S: Final = 600.0
"""The same for one shipment that fails while others do not."""
JITTER: Final = 0.2
PROBLEM_CHARACTERS: Final = 300
_DOUBLINGS_MAX: Final = 20


class Task(StrEnum):
    """What is to be done with a call's or a file's objects."""

    STORE = "store"
    REMOVE = "remove"


class Kind(StrEnum):
    """Whose objects they are; their keys begin with it."""

    CALLS = "calls"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Shipment:
    """Of one call or uploaded file. names: of the objects that are still to be stored. uploads: of those of them that were
    begun in parts, the bucket's own name of it. tries: so often it was begun, and did not come to its end."""

    id: str
    org_id: str
    kind: Kind
    task: Task
    names: tuple[str, ...] = ()
    uploads: Mapping[str, str] = field(default_factory=dict)
    created_ms: int = 0
    due_ms: int = 0
    tries: int = 0
    problem: str = ""

    @property
    def prefix(self) -> str:
        """All of its objects' keys begin with it, and no other's."""
        return f"{self.kind}/{self.org_id}/{self.id}" + ("/" if self.kind is Kind.CALLS else "")

    def key(self, name: str) -> str:
        """Of one of its objects."""
        return f"{self.prefix}{name}"

    @property
    def over(self) -> bool:
        """Everything is stored."""
        return self.task is Task.STORE and not self.names

    def document(self) -> dict[str, Any]:
        """JSON-able; `shipment_of` reads it."""
        return {
            "id": self.id,
            "orgId": self.org_id,
            "kind": self.kind.value,
            "task": self.task.value,
            "names": list(self.names),
            "uploads": dict(self.uploads),
            "createdMs": self.created_ms,
            "dueMs": self.due_ms,
            "tries": self.tries,
            "problem": self.problem,
        }


def shipment_of(document: Mapping[str, Any]) -> Shipment:
    """What `Shipment.document` wrote. Raises KeyError, TypeError, ValueError."""
    return Shipment(
        str(document["id"]),
        str(document["orgId"]),
        Kind(document["kind"]),
        Task(document["task"]),
        tuple(map(str, document["names"])),
        {str(name): str(upload) for name, upload in document["uploads"].items()},
        int(document["createdMs"]),
        int(document["dueMs"]),
        int(document["tries"]),
        str(document["problem"]),
    )


def call_key(org_id: str, call_id: str, name: str) -> str:
    """Where an artifact of a call lies."""
    return Shipment(call_id, org_id, Kind.CALLS, Task.STORE).key(name)


def wait_s(tries: int, chance: float, most_s: float) -> float:
    """Before the try after so many in vain, from 1: twice as long each time; off by a fifth, so that those that failed together
    do not come back together."""
    plain_s = min(FIRST_S * 2.0 ** min(tries - 1, _DOUBLINGS_MAX), most_s)
    return plain_s * (1 + JITTER * (2 * chance - 1))


# --- what happens to a shipment ------------------------------------------------------------------------------------------


def with_names(shipment: Shipment, names: Iterable[str], now_ms: int) -> Shipment:
    """More of it, or some of it anew, is to be stored."""
    if shipment.task is Task.REMOVE:
        return shipment
    added = tuple(dict.fromkeys((*shipment.names, *names)))
    return replace(shipment, names=added, due_ms=min(shipment.due_ms, now_ms))


def removal(shipment: Shipment, now_ms: int) -> Shipment:
    """It was deleted: whatever of it lies in the bucket goes."""
    return replace(
        shipment,
        task=Task.REMOVE,
        names=(),
        uploads={},
        created_ms=now_ms,
        due_ms=now_ms,
        tries=0,
        problem="",
    )


def tried(shipment: Shipment) -> Shipment:
    """It is begun once more."""
    return replace(shipment, tries=shipment.tries + 1)


def begun(shipment: Shipment, name: str, upload: str) -> Shipment:
    """One of its objects is stored in parts from now on."""
    if name not in shipment.names:
        return shipment
    return replace(shipment, uploads={**shipment.uploads, name: upload})


def stored(shipment: Shipment, name: str) -> Shipment:
    """One of its objects lies in the bucket."""
    uploads = {one: upload for one, upload in shipment.uploads.items() if one != name}
    return replace(shipment, names=tuple(one for one in shipment.names if one != name), uploads=uploads)


def failed(shipment: Shipment, now_ms: int, problem: str, chance: float) -> Shipment:
    """It alone did not work: it comes back after a while."""
    due_ms = now_ms + round(1000 * wait_s(max(shipment.tries, 1), chance, RETRY_MOST_S))
    return replace(shipment, due_ms=due_ms, problem=problem[:PROBLEM_CHARACTERS])


def put_off(shipment: Shipment, now_ms: int, problem: str) -> Shipment:
    """The bucket did not answer, which says nothing of this shipment: it comes back with all others, behind them."""
    return replace(
        shipment, due_ms=now_ms, tries=max(shipment.tries - 1, 0), problem=problem[:PROBLEM_CHARACTERS]
    )

"""Who passes a caller on: his media socket, where nobody else has the call in hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from aywa.adapters.transports.equipment.streams import Streams
from aywa.boot.equipment_transfers import EquipmentTransfers
from aywa.ports.calls import CallRefused
from aywa.ports.telephony import OutboundCall, Transfer, TransferNews, TransferStatus


@dataclass
class Sockets:
    """equipment.streams.Streams, of calls that are here; some are governed."""

    here: set[str]
    governed: set[str] = field(default_factory=set)
    can: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    tell: Callable[[bool], None] | None = None

    def leg(self, call_id: str) -> object | None:
        return self if call_id in self.here else None

    def control(self, call_id: str) -> object | None:
        return self if call_id in self.governed else None

    def transfer(self, call_id: str, to: str, tell: Callable[[bool], None]) -> bool:
        self.asked.append((call_id, to))
        self.tell = tell
        return self.can


@dataclass
class Others:
    """ports.telephony.Transfers."""

    asked: list[str] = field(default_factory=list)

    def transfer(self, transfer: Transfer, tell: Callable[[TransferNews], None]) -> None:
        self.asked.append(transfer.call.call_id)


def to(call_id: str, **more: str) -> Transfer:
    return Transfer(OutboundCall(call_id, "org", **({"user": "+4930"} | more)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("done", "status"), [(True, TransferStatus.COMPLETED), (False, TransferStatus.FAILED)]
)
def test_the_socket_s_own_way_is_taken_and_told(done: bool, status: TransferStatus) -> None:
    sockets, others, news = Sockets({"a"}), Others(), list[TransferNews]()
    EquipmentTransfers(cast(Streams, sockets), others).transfer(to("a", uri="sip:x@y"), news.append)
    assert sockets.asked == [("a", "sip:x@y")]
    assert not news
    assert sockets.tell is not None
    sockets.tell(done)
    assert [each.status for each in news] == [status]
    assert not others.asked


def test_calls_of_others_are_theirs() -> None:
    sockets, others = Sockets({"a"}, {"a"}), Others()
    ways = EquipmentTransfers(cast(Streams, sockets), others)
    ways.transfer(to("a"), lambda news: None)
    ways.transfer(to("b"), lambda news: None)
    assert others.asked == ["a", "b"]
    assert not sockets.asked
    with pytest.raises(CallRefused, match="no telephone"):
        EquipmentTransfers(cast(Streams, sockets), None).transfer(to("b"), lambda news: None)


def test_a_protocol_that_cannot_says_so() -> None:
    sockets = Sockets({"a"}, can=False)
    with pytest.raises(CallRefused, match="cannot pass him on"):
        EquipmentTransfers(cast(Streams, sockets), None).transfer(to("a"), lambda news: None)
    assert sockets.asked == [("a", "+4930")]

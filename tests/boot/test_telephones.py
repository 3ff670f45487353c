from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aywa.boot.telephones import Telephones
from aywa.ports.calls import CallRefused
from aywa.ports.telephony import Gateway, OutboundCall, Transfer, TransferNews, Trunk

SIP = OutboundCall("c-1", "org", Trunk("t", "org", "T", (Gateway("gw"),)), "+49")
SWITCH = OutboundCall("c-2", "org", Trunk("t", "org", "T", (Gateway("gw"),), freeswitch="carrier"), "+49")


class Way:
    def __init__(self, *calls: str) -> None:
        self.calls = calls
        self.asked: list[Any] = []

    def dial(self, call: OutboundCall) -> None:
        self.asked.append(call)

    def transfer(self, transfer: Transfer, tell: Callable[[TransferNews], None]) -> None:
        self.asked.append(transfer)

    def has(self, call_id: str) -> bool:
        return call_id in self.calls


def test_a_call_goes_the_way_of_its_trunk() -> None:
    phone, switch = Way(), Way()
    both = Telephones(phone, switch)
    both.dial(SIP)
    both.dial(SWITCH)
    assert (phone.asked, switch.asked) == ([SIP], [SWITCH])
    assert both.any


def test_a_way_that_is_not_there() -> None:
    with pytest.raises(CallRefused, match="no FreeSWITCH"):
        Telephones(Way(), None).dial(SWITCH)
    with pytest.raises(CallRefused, match="no SIP port"):
        Telephones(None, Way()).dial(SIP)
    assert not Telephones(None, None).any


def test_a_caller_is_passed_on_by_who_has_him() -> None:
    phone, switch = Way(), Way("c-2")
    both = Telephones(phone, switch)
    for call in (SIP, SWITCH):
        both.transfer(Transfer(call), lambda news: None)
    assert (phone.asked, switch.asked) == ([Transfer(SIP)], [Transfer(SWITCH)])
    only = Way()
    Telephones(None, only).transfer(Transfer(SIP), lambda news: None)
    assert only.asked == [Transfer(SIP)]
    with pytest.raises(CallRefused, match="no telephone"):
        Telephones(None, None).transfer(Transfer(SIP), lambda news: None)

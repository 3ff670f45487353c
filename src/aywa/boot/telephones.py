"""The ways by which calls are placed and callers passed on, as one: our own SIP port, and a FreeSWITCH. Decides by what a call
says of itself; refuses to know either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aywa.core import ended_reasons
from aywa.ports.calls import CallRefused
from aywa.ports.telephony import OutboundCall, Telephone, Transfer, TransferNews, Transfers

TRANSFER_FAILED = "call.in-progress.error-transfer-failed"


class Way(Telephone, Transfers, Protocol):
    """One of them."""


class SwitchWay(Way, Protocol):
    """That of a FreeSWITCH."""

    def has(self, call_id: str) -> bool:
        """Whether the call is one of its own."""


class Telephones:
    """ports.telephony.Telephone and Transfers. phone, switch: None where there is none."""

    def __init__(self, phone: Way | None, switch: SwitchWay | None) -> None:
        self._phone = phone
        self._switch = switch

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self._phone is not None or self._switch is not None

    def dial(self, call: OutboundCall) -> None:
        """As the port says."""
        by_switch = call.trunk is not None and call.trunk.freeswitch
        way: Way | None = self._switch if by_switch else self._phone
        if way is None:
            why = "is connected with no FreeSWITCH" if by_switch else "has no SIP port"
            raise CallRefused(ended_reasons.OUTBOUND_FAILED, f"this runtime {why}")
        way.dial(call)

    def transfer(self, transfer: Transfer, tell: Callable[[TransferNews], None]) -> None:
        """As the port says."""
        switch = self._switch
        way: Way | None = self._phone
        if switch is not None and (way is None or switch.has(transfer.call.call_id)):
            way = switch
        if way is None:
            raise CallRefused(TRANSFER_FAILED, "this runtime has no telephone")
        way.transfer(transfer, tell)

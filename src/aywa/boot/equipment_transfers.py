"""Passing on callers who came by a media socket, where their own protocol can and nobody else has the call in hand."""

from __future__ import annotations

from collections.abc import Callable

from aywa.adapters.transports.equipment.streams import Streams
from aywa.ports.calls import CallRefused
from aywa.ports.telephony import Transfer, TransferNews, Transfers, TransferStatus

TRANSFER_FAILED = "call.in-progress.error-transfer-failed"


class EquipmentTransfers:
    """ports.telephony.Transfers. others: who passes on those who did not come by a media socket, or have another way
    (Streams.govern)."""

    def __init__(self, streams: Streams, others: Transfers | None) -> None:
        self._streams = streams
        self._others = others

    def transfer(self, transfer: Transfer, tell: Callable[[TransferNews], None]) -> None:
        """As the port says."""
        call = transfer.call
        if self._streams.leg(call.call_id) is None or self._streams.control(call.call_id) is not None:
            if self._others is None:
                raise CallRefused(TRANSFER_FAILED, "this runtime has no telephone")
            self._others.transfer(transfer, tell)
            return

        def passed_on(done: bool) -> None:
            status = TransferStatus.COMPLETED if done else TransferStatus.FAILED
            tell(TransferNews(status, reason="" if done else "the equipment did not pass its caller on"))

        if not self._streams.transfer(call.call_id, call.uri or call.user, passed_on):
            raise CallRefused(
                TRANSFER_FAILED, "the caller's equipment cannot pass him on by its media socket"
            )

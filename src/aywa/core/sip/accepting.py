"""A 2xx to an INVITE until it is acknowledged (RFC 3261 13.3.1.4), of the first INVITE and of every later one."""

from __future__ import annotations

from collections.abc import Callable

from aywa.core.sip.again import Again
from aywa.core.sip.line import Line
from aywa.core.sip.message import Request


class Accepting:
    """One line's 2xx. lost: called when it was never acknowledged."""

    def __init__(self, line: Line, lost: Callable[[], None]) -> None:
        self._line = line
        self._lost = lost
        self._again: Again | None = None
        self._cseq = 0
        self._acked: Callable[[Request], None] | None = None

    @property
    def pending(self) -> bool:
        """Whether an ACK is awaited."""
        return self._again is not None

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        return self._again.deadline if self._again else None

    def send(
        self,
        key: str,
        request: Request,
        fields: tuple[tuple[str, str], ...],
        body: bytes,
        acked: Callable[[Request], None],
    ) -> None:
        """Answers the INVITE by 200; acked: called once, with the ACK."""
        response = self._line.answer(key, request, 200, *fields, body=body)
        self._again = Again(key, response, self._line.wire.now)
        self._cseq, self._acked = request.cseq.number, acked

    def acknowledged(self, ack: Request) -> None:
        """An ACK came; one that comes again says nothing."""
        if self._again is None or ack.cseq.number != self._cseq or self._acked is None:
            return
        acked, self._again, self._acked = self._acked, None, None
        acked(ack)

    def wake(self) -> None:
        """Sends it again, or gives up."""
        now = self._line.wire.now
        if self._again is None:
            return
        if self._again.lost(now):
            self._again = self._acked = None
            self._lost()
        elif self._again.due(now):
            self._line.wire.respond(self._again.key, self._again.response)

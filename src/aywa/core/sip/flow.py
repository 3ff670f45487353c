"""Where a message goes and came from, and what the endpoint wants done or has to tell: records without a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aywa.core.sip.message import Request, Response

Transport = Literal["udp", "tcp", "tls"]
# Names a transaction; nothing is to be read out of it.
Key = str
# timeout: no final answer came in time. transport: the connection broke, or nothing could be sent. no ack: a final answer to
# an INVITE was never acknowledged. overload: there are too many transactions already.
Why = Literal["timeout", "transport", "no ack", "overload"]


@dataclass(frozen=True, slots=True)
class Flow:
    """A way between two sockets. connection_id: of a stream; without one a connection to remote is to be opened or reused."""

    transport: Transport
    local: tuple[str, int]
    remote: tuple[str, int]
    connection_id: str | None = None

    @property
    def reliable(self) -> bool:
        return self.transport != "udp"


@dataclass(frozen=True, slots=True)
class Send:
    """These bytes are to leave on that flow."""

    flow: Flow
    data: bytes


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A new request. It is answered through respond(key, ...)."""

    key: Key
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class AckReceived:
    """An ACK that belongs to no transaction: of a 2xx, for a dialog to know; each of its retransmissions too."""

    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The INVITE of that key is not wanted any more. request: the CANCEL, which has been answered already; the INVITE is to be
    answered, with a 487 made from it."""

    key: Key
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response to our request. Of an INVITE every 2xx comes, retransmissions too: each wants an ACK (RFC 6026 7.2)."""

    key: Key
    response: Response
    flow: Flow


@dataclass(frozen=True, slots=True)
class TransactionFailed:
    """Nothing more will come of it. detail: what the transport says of that, for a person; empty when it says nothing."""

    key: Key
    why: Why
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """It is forgotten, for whatever reason: the last that is said of a key."""

    key: Key


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message was not let in. status: how it was answered all the same, 0: not at all. why: never the sender's words."""

    flow: Flow
    why: str
    status: int = 0


Action = (
    Send
    | RequestReceived
    | AckReceived
    | Cancelled
    | ResponseReceived
    | TransactionFailed
    | TransactionEnded
    | Dropped
)

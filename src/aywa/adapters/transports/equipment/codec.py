"""The seam of media sockets: what a codec of one vendor's protocol reads and writes, and what it says of that protocol.

A codec is pure: it knows no loop, no clock, no socket. The transport makes one for each connection, hands it whole
messages in the order of their arrival, and sends what it writes. What a far side sends never makes a codec raise, nor
remember without bound: what it cannot make sense of it answers as `Broken`, and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from aywa.ports.media import AudioFormat

Message = str | bytes
"""One message on the wire: text or binary. Of a TCP protocol: bytes, of any length."""

PARAMETERS_MOST = 64
"""So many of a far side's own parameters are kept."""
TEXT_MOST = 2_048
"""So many characters of any text that a far side gives: ids, numbers, names, values."""


# --- what a far side says ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The stream begins: before it there is no audio. stream_id, call_id: the vendor's. caller, called: numbers or addresses,
    empty where the protocol does not say. format, rate_hz: of the audio both ways, as `Audio` gives and `audio` takes it.
    parameters: the customer's own. outbound: known to be a call that we placed. notes: what a person should know of what was
    found (a module's variant, a missing way back), one sentence each."""

    stream_id: str
    call_id: str
    format: AudioFormat
    rate_hz: int
    caller: str = ""
    called: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outbound: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audio:
    """The caller's audio, in the announced format. order: its place in the stream, where the protocol counts messages so that
    they may be put in order: the next one's is 1 more. None: it came as it was sent."""

    payload: bytes = field(repr=False)
    order: int | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """A message that carried no audio has this place in the order that `Audio.order` counts: nothing is missing there."""

    order: int


@dataclass(frozen=True, slots=True)
class Key:
    """A key was pressed: 0-9, *, #, A-D."""

    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MarkPlayed:
    """All audio sent before this mark was played, or thrown away by a clear."""

    name: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """The far side has thrown away what it held."""


@dataclass(frozen=True, slots=True)
class Overrun:
    """The far side wants no more audio for now (on), or does again."""

    on: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The far side says that it threw audio of ours away. why: for the timeline."""

    why: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The stream is over. reason: the vendor's word for it, or empty."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """Something that means nothing to a call: it is counted, and that is all. kind: its name, short."""

    kind: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The message is not what the protocol has. why: for the timeline, without what the message held. final: nothing good can
    come of this stream (a format that is not spoken here): the call ends."""

    why: str
    final: bool = False


Received = Started | Audio | Passed | Key | MarkPlayed | Cleared | Overrun | Lost | Stopped | Said | Broken


# --- what is said of a protocol ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Traits:
    """What a protocol has. formats: that a stream may have, the one to be asked for first. chunk_s: audio leaves in whole
    chunks of this length. chunks_most: in one message. marks: the far side tells when what was sent before one was played.
    probes: it tells so at once when it holds nothing, so the way there and back can be measured. clears: it throws away
    what it holds when it is told to. lead_s: how far ahead of its ear it is sent audio; where it cannot be cleared that
    is heard after a barge-in. order: messages may come out of order, and are numbered. endless: it wants audio without a
    break, silence where there is none. stops: it says when its stream is over; closing without a word is a break."""

    protocol: str
    formats: tuple[tuple[AudioFormat, int], ...]
    chunk_s: float = 0.02
    chunks_most: int = 5
    marks: bool = False
    probes: bool = False
    clears: bool = False
    lead_s: float = 0.06
    order: bool = False
    endless: bool = False
    stops: bool = False


AHEAD_S = 0.2
"""The lead where what was sent can be taken back: it outlasts the usual hold-ups of a network."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """With what a connection came. name: the id in its address. token: what it showed, wherever it stood; empty for none.
    query, headers: without the token; names of headers in lower case. target: path and query as they were written, which
    signatures are made over. remote: the address that it came from."""

    protocol: str
    name: str = ""
    token: str = field(default="", repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    target: str = field(default="", repr=False)
    remote: str = ""

    def of(self, remote: str) -> Handshake:
        """The same, from there."""
        return replace(self, remote=remote)


class Codec(Protocol):
    """One stream of one vendor's protocol. What the protocol does not have answers None, or nothing, and the transport does
    without. Nothing is written before `Started` was read."""

    traits: Traits

    def receive(self, message: Message) -> Sequence[Received]:
        """What the message says. Never raises."""

    def begin(self) -> Sequence[Message]:
        """Said once the call is answered."""

    def audio(self, payload: bytes) -> Message:
        """Audio for the caller, in the stream's format: a whole number of chunks, at most `chunks_most`."""

    def mark(self, name: str) -> Message | None:
        """Asks to be told when all that was sent before was played. name: up to 20 letters, digits and hyphens."""

    def clear(self) -> Message | None:
        """Asks to throw away what was sent and not played."""

    def keys(self, digits: str) -> Sequence[Message]:
        """Presses keys for the caller's side: 0-9, *, #, A-D; pauses are the transport's. Nothing: the protocol has no keys."""

    def transfer(self, to: str) -> Sequence[Message]:
        """Passes the caller on, to a number or an address. Nothing: the protocol cannot."""

    def hang_up(self, reason: str) -> Sequence[Message]:
        """Said before the connection is closed."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A protocol: what it has, how a codec of it is made, and the words that a far side may name as WebSocket subprotocol. Each
    vendor's module has DIALECTS: by the name in the address, /media/{name}/{id}."""

    traits: Traits
    make: Callable[[Handshake], Codec]
    words: tuple[str, ...] = ()


class Plain:
    """For codecs to begin from: a protocol that has nothing to say but audio."""

    def mark(self, name: str) -> Message | None:
        """As the seam says."""
        return None

    def clear(self) -> Message | None:
        """As the seam says."""
        return None

    def begin(self) -> Sequence[Message]:
        """As the seam says."""
        return ()

    def keys(self, digits: str) -> Sequence[Message]:
        """As the seam says."""
        return ()

    def transfer(self, to: str) -> Sequence[Message]:
        """As the seam says."""
        return ()

    def hang_up(self, reason: str) -> Sequence[Message]:
        """As the seam says."""
        return ()

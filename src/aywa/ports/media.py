"""The media plane's side of the table: messages in, events out, and what it needs of a transport.

Brain and media plane exchange messages only, so both can live in one process or in two.
Audio is PCM16 LE mono at the leg's rate. Positions count samples of one reply's audio, from 0, across its clauses;
silence sent while starved or paused does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from aywa.core.events import MediaEvent


class AudioFormat(StrEnum):
    """How audio looks on a transport's wire."""

    PCM16 = "pcm_s16le"
    MULAW = "mulaw"
    ALAW = "alaw"


@dataclass(frozen=True, slots=True)
class Play:
    """Append audio to the reply's playout; the first one starts a talkspurt at once. A new reply_id must come after
    the previous reply finished or was dropped."""

    leg_id: str
    reply_id: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Finish:
    """No more audio will follow: PlayoutFinished is posted when the last sample has left."""

    leg_id: str
    reply_id: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop at once, keep the rest; answered by PlayoutPaused."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on from at_sample; answered by PlayoutResumed."""

    leg_id: str
    at_sample: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Throw away what has not left; answered by PlayoutDropped (also when paused). Nothing playing: no answer."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class Arm:
    """While armed, voice_s of voice during playout pauses it without asking: PlayoutPaused, then VoiceStarted. Once a
    voice, and voice quieter than least_db (dBFS) does not count."""

    leg_id: str
    armed: bool
    voice_s: float
    least_db: float = -100.0


@dataclass(frozen=True, slots=True)
class SendText:
    """A text frame to the far side, where the transport has them."""

    leg_id: str
    text: str


@dataclass(frozen=True, slots=True)
class SendDtmf:
    """Digits to the far side; w and W are pauses of 0.5 and 1 s. signalled: by signalling, where the transport has that beside
    the stream."""

    leg_id: str
    digits: str
    signalled: bool = False


@dataclass(frozen=True, slots=True)
class CloseLeg:
    """Close the far side's connection, after what is buffered has left; answered by LegEnded(cause="local")."""

    leg_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Join:
    """The two parties hear each other from now on, and press keys for each other. The brain hears silence from either leg;
    what it plays to a leg is a whisper: that party alone hears it, over the other. Ends a hold of either."""

    leg_id: str
    other_id: str


@dataclass(frozen=True, slots=True)
class Part:
    """The leg is joined with nobody any more, and on hold no more: the brain hears it again."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The party hears pcm (at rate_hz), again and again, in the place of whom it is joined with, who hears nothing of it; the
    brain hears silence. Empty: silence."""

    leg_id: str
    pcm: bytes = field(repr=False)
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Retrieve:
    """The hold is over; whoever was joined is again."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A person speaks to the leg's party, by `Speak`, until GiveBack. The brain goes on hearing the party; what it plays is heard
    over the person."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class Speak:
    """Some of what the person says, PCM16 at TAP_HZ, as it comes. Without a TakeOver it does nothing."""

    leg_id: str
    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The person speaks no more."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class Underlay:
    """pcm (at rate_hz) sounds under what the party hears of the brain and between it, again and again, while the leg is joined
    with nobody. Empty: no more."""

    leg_id: str
    pcm: bytes = field(repr=False)
    rate_hz: int


@dataclass(frozen=True, slots=True)
class HandOver:
    """The brain has the leg no more: LegEnded(cause="forwarded") is posted, and nothing after it but the LegEnded with which
    the connection ends. For messages it is as_id from now on; its recording goes on."""

    leg_id: str
    as_id: str


FORWARDED = "forwarded"
"""The cause of a leg's end for a brain that gave it away."""

TAP_HZ = 16_000
"""Of what a listener hears, and of what a person who takes over says (contract 15.2)."""

LegMessage = (
    Play
    | Finish
    | Pause
    | Resume
    | Drop
    | Arm
    | SendText
    | SendDtmf
    | TakeOver
    | Speak
    | GiveBack
    | Underlay
    | CloseLeg
)
MediaMessage = LegMessage | Join | Part | Hold | Retrieve | HandOver


class AudioSink(Protocol):
    """Takes a leg's inbound audio, in arrival order, PCM16 at the rate it asked for."""

    def __call__(self, pcm: bytes, /) -> None: ...


class FarSide(Protocol):
    """A far side that plays what it is sent by its own clock, tells how far it is (`Leg.played`), and throws away what it holds
    when it is told to."""

    @property
    def transit_s(self) -> float:
        """How long what is sent takes to get there, as far as that is known."""

    def clear(self) -> None:
        """Have it throw away what it holds. A connection that is gone does nothing."""


@dataclass(frozen=True, slots=True)
class LegPlan:
    """What a leg is to be. epoch_s: the loop time of the call's at_s = 0. post: takes the leg's events, never blocks.
    recording: path of a stereo WAV to write (left: this leg, right: what was sent to it), or None. lead_s: how far ahead of
    the far side's ear frames leave, where that is not the plane's own. paced: the far side sends by a clock, which may drift from
    ours. beside: another leg, with which this one will be joined: both must be in one process. far: the far side's ear, where
    what was sent can be taken back; positions count what it has played. batch: how many frames leave together, where that is
    not the plane's own."""

    leg_id: str
    format: AudioFormat
    rate_hz: int
    epoch_s: float
    post: Callable[[MediaEvent], None]
    recording: str | None = None
    lead_s: float | None = None
    paced: bool = False
    beside: str = ""
    far: FarSide | None = field(default=None, repr=False)
    batch: int | None = None


class Connection(Protocol):
    """What the media plane needs of one transport connection. No method waits."""

    def send_audio(self, frame: bytes) -> None:
        """One frame in the wire's format."""

    def quiet(self) -> None:
        """No more audio follows for now, where nothing else tells: a stream that must not stop goes on by itself."""

    def send_text(self, text: str) -> None:
        """One text message."""

    def send_dtmf(self, digits: str) -> bool:
        """Sends keys after what was sent before, where the transport has them; else False."""

    def close(self, code: int, reason: str) -> None:
        """Closes in order; the transport then calls the leg's `disconnected`."""

    def buffered_bytes(self) -> int:
        """Bytes given to the connection that the far side has not taken."""


@runtime_checkable
class SignalsKeys(Protocol):
    """A connection that can send keys beside its stream, too."""

    def signal_dtmf(self, digits: str) -> bool:
        """Keys by signalling; False: not there."""


@runtime_checkable
class SendsAhead(Protocol):
    """A connection that sends frames of 20 ms on their beat by itself, when they are there before their time."""

    def begin(self, frames: Sequence[bytes], due_s: float, over: Callable[[], None]) -> bool:
        """The first is due at due_s (loop time). over() is called when all have left, or when the rest is to be given anew;
        False: not now, each by `send_audio`, please."""

    def left(self) -> int:
        """How many of the frames that were given last have left."""

    def halt(self) -> int:
        """The others do not leave. Answers how many have; over() is not called."""


class Leg(Protocol):
    """What a transport tells the media plane about one connection."""

    leg_id: str

    def audio_received(self, payload: bytes) -> None:
        """A binary frame in the wire's format, of any size up to the transport's limit."""

    def text_received(self, text: str) -> None:
        """A text frame."""

    def dtmf_received(self, digit: str) -> None:
        """A key was pressed on the far side."""

    def played(self, left_s: float, at_s: float) -> None:
        """At at_s (loop time) the far side had left_s still to play, of all that was sent to it."""

    def warned(self, code: str, detail: str) -> None:
        """The transport found something wrong, or mended it: for the call's timeline, seldom."""

    def disconnected(self, cause: str, detail: str = "") -> None:
        """The connection is gone: closed or lost."""


class MediaPlane(Protocol):
    """Legs, pacing, voice detection, recording."""

    def add_leg(self, plan: LegPlan, connection: Connection) -> Leg:
        """Opens the leg: LegConnected is posted."""

    def send(self, message: MediaMessage) -> None:
        """Carries the message out at once. For a leg that is gone it does nothing."""

    def listen(self, leg_id: str, sink: AudioSink | None, rate_hz: int) -> None:
        """Gives the leg's inbound audio to the sink (None: stops)."""

    def tap(self, leg_id: str, sink: AudioSink | None) -> None:
        """Gives both sides of the leg to the sink, as they are heard and a moment late (None: stops): PCM16 at TAP_HZ, stereo,
        20 ms at a time; left the party, right what it was sent. A sink never waits."""

    def recent_audio(self, leg_id: str, seconds: float) -> bytes:
        """The leg's last inbound audio at 16 kHz (at most 8 s), for the turn model."""

    async def close(self) -> None:
        """Ends all legs, finishes all recordings."""

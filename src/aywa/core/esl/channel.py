"""One channel of FreeSWITCH from its events: rings, is answered, presses keys, is bridged, is over (Event List).

Every event may come twice, late, or not at all, for a connection may have been lost meanwhile: what has happened is told once,
and `found` catches up with what FreeSWITCH says of the channel when it is asked. Refuses to say what a call does about it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from aywa.core.esl.event import Event

KEYS = frozenset("0123456789*#ABCD")
# How many events back one is known again that was told on two connections.
SEQUENCES_KEPT = 64


class ChannelState(IntEnum):
    """It only grows."""

    BEGUN = 0
    RINGING = 1
    EARLY = 2
    ANSWERED = 3
    OVER = 4


@dataclass(frozen=True, slots=True)
class Rang:
    """The far side rings; early_media: and is heard."""

    early_media: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """Somebody picked up."""


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """One key of the far side's keypad."""

    digit: str


@dataclass(frozen=True, slots=True)
class Bridged:
    """It is joined with another channel."""

    other: str


@dataclass(frozen=True, slots=True)
class Unbridged:
    """It is joined no more."""


@dataclass(frozen=True, slots=True)
class Executed:
    """An application of the dialplan is done. token: its Application-UUID."""

    token: str
    application: str
    response: str


@dataclass(frozen=True, slots=True)
class HungUp:
    """It is over. cause: as FreeSWITCH names it, empty when it was not there any more. sip_status: of the final answer to a call
    that was placed, 0 without. remote: the far side did it."""

    cause: str
    sip_status: int = 0
    remote: bool = True


News = Rang | Answered | KeyPressed | Bridged | Unbridged | Executed | HungUp

_STATES = {"ringing": ChannelState.RINGING, "early": ChannelState.EARLY, "answered": ChannelState.ANSWERED}
# The first of them counts: each has the cause, and audio may be gone by the last.
_ENDS = ("CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE", "CHANNEL_DESTROY")


class Channel:
    """uuid: its Unique-ID."""

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self.state = ChannelState.BEGUN
        self.other = ""
        self._sequences: deque[str] = deque(maxlen=SEQUENCES_KEPT)

    @property
    def answered(self) -> bool:
        """Somebody has picked up, and not hung up."""
        return self.state is ChannelState.ANSWERED

    @property
    def over(self) -> bool:
        """There is no such channel any more."""
        return self.state is ChannelState.OVER

    def handle(self, event: Event) -> list[News]:
        """What is new. Events of other channels are none of it."""
        if self.over or event.uuid != self.uuid or self._is_known(event):
            return []
        return list(self._news(event))

    def found(self, event: Event | None) -> list[News]:
        """What FreeSWITCH says of it when it is asked (uuid_dump); None: it has none such."""
        if self.over:
            return []
        if event is None:
            self.state = ChannelState.OVER
            return [HungUp("")]
        return list(self._reach(_STATES.get(event.get("Answer-State"), self.state)))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _news(self, event: Event) -> Iterator[News]:
        match event.name:
            case "CHANNEL_PROGRESS":
                yield from self._reach(ChannelState.RINGING)
            case "CHANNEL_PROGRESS_MEDIA":
                yield from self._reach(ChannelState.EARLY)
            case "CHANNEL_ANSWER":
                yield from self._reach(ChannelState.ANSWERED)
            case "DTMF":
                digit = event.get("DTMF-Digit").upper()
                if digit in KEYS:
                    yield KeyPressed(digit)
            case "CHANNEL_BRIDGE":
                yield from self._joined(event.get("Other-Leg-Unique-ID") or self._partner(event))
            case "CHANNEL_UNBRIDGE":
                yield from self._joined("")
            case "CHANNEL_EXECUTE_COMPLETE":
                yield Executed(
                    event.get("Application-UUID"), event.get("Application"), event.get("Application-Response")
                )
            case name if name in _ENDS:
                self.state = ChannelState.OVER
                cause = event.get("Hangup-Cause") or event.variable("hangup_cause")
                # recv_bye, send_bye, recv_refuse, send_cancel ... (mod_sofia)
                remote = not event.variable("sip_hangup_disposition").startswith("send_")
                yield HungUp(cause, _status(event), remote)
            case _:
                pass

    def _reach(self, state: ChannelState) -> Iterator[News]:
        if state <= self.state:
            return
        self.state = state
        yield Answered() if state is ChannelState.ANSWERED else Rang(state is ChannelState.EARLY)

    def _joined(self, other: str) -> Iterator[News]:
        if other == self.other:
            return
        self.other = other
        yield Bridged(other) if other else Unbridged()

    def _partner(self, event: Event) -> str:
        """The other one of the two in a bridge."""
        sides = event.get("Bridge-A-Unique-ID"), event.get("Bridge-B-Unique-ID")
        return next((side for side in sides if side and side != self.uuid), "")

    def _is_known(self, event: Event) -> bool:
        sequence = event.get("Event-Sequence")
        if not sequence:
            return False
        if sequence in self._sequences:
            return True
        self._sequences.append(sequence)
        return False


def _status(event: Event) -> int:
    text = event.variable("sip_term_status") or event.variable("sip_invite_failure_status")
    return int(text) if text.isascii() and text.isdigit() and 300 <= int(text[:4]) < 700 else 0

"""A call from queued to ended. The whole machine is the table; an input that is not in it is an error and changes nothing.

queued [--rang--> ringing] --connected--> in-progress --end_asked--> ending --gone--> ended
"""

from __future__ import annotations

from enum import StrEnum


class CallState(StrEnum):
    """Where the call stands. ENDING is told to nobody: to the contract the call is still in progress."""

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    ENDING = "ending"
    ENDED = "ended"


class CallInput(StrEnum):
    """What moves it."""

    RANG = "rang"
    CONNECTED = "connected"
    END_ASKED = "end_asked"
    GONE = "gone"


_TABLE: dict[tuple[CallState, CallInput], CallState] = {
    (CallState.QUEUED, CallInput.RANG): CallState.RINGING,
    (CallState.QUEUED, CallInput.CONNECTED): CallState.IN_PROGRESS,
    (CallState.QUEUED, CallInput.END_ASKED): CallState.ENDED,
    (CallState.QUEUED, CallInput.GONE): CallState.ENDED,
    (CallState.RINGING, CallInput.RANG): CallState.RINGING,
    (CallState.RINGING, CallInput.CONNECTED): CallState.IN_PROGRESS,
    (CallState.RINGING, CallInput.END_ASKED): CallState.ENDED,
    (CallState.RINGING, CallInput.GONE): CallState.ENDED,
    (CallState.IN_PROGRESS, CallInput.END_ASKED): CallState.ENDING,
    (CallState.IN_PROGRESS, CallInput.GONE): CallState.ENDED,
    (CallState.ENDING, CallInput.END_ASKED): CallState.ENDING,
    (CallState.ENDING, CallInput.GONE): CallState.ENDED,
    (CallState.ENDED, CallInput.END_ASKED): CallState.ENDED,
    (CallState.ENDED, CallInput.GONE): CallState.ENDED,
}

# Looked up once: in Python 3.11 a member of an enumeration costs twenty times what a name does.
_OVER = (CallState.ENDING, CallState.ENDED)
_WAITING = (CallState.QUEUED, CallState.RINGING)

# Contract 6.5 and Appendix A. A leg's own trouble is told by the nearest published value, the cause beside it.
LEG_REASONS: dict[str, str] = {
    "closed": "customer-ended-call",
    "lost": "phone-call-provider-closed-websocket",
    "flooded": "call.in-progress.error-assistant-did-not-receive-customer-audio",
    "malformed": "call.in-progress.error-assistant-did-not-receive-customer-audio",
    "unread": "phone-call-provider-closed-websocket",
    "local": "manually-canceled",
    "no_media": "call.in-progress.error-assistant-did-not-receive-customer-audio",
    "forwarded": "assistant-forwarded-call",
}
NEVER_CONNECTED = "call.in-progress.error-providerfault-transport-never-connected"
NO_AUDIO = "call.in-progress.error-assistant-did-not-receive-customer-audio"


class CallInputError(Exception):
    """An input that the state does not know: names both."""


class Lifecycle:
    """The state, how it began to end, and why. The first reason stands."""

    def __init__(self) -> None:
        self.state = CallState.QUEUED
        self.reason: str | None = None
        self.message = ""

    def apply(self, given: CallInput, reason: str = "", message: str = "") -> CallState:
        """Moves on; answers the new state. Raises CallInputError."""
        after = _TABLE.get((self.state, given))
        if after is None:
            raise CallInputError(f"a call that is {self.state.value} cannot take {given.value}")
        if after in _OVER and self.reason is None:
            self.reason, self.message = reason, message
        self.state = after
        return after

    @property
    def waiting(self) -> bool:
        """Nobody is there yet."""
        return self.state in _WAITING

    @property
    def over(self) -> bool:
        """Ending or ended: nothing new begins."""
        return self.state in _OVER

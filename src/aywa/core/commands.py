"""What must be done, in the imperative. The session carries out every one before it looks at the next event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# --- to the recogniser and the turn model ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FinalizeTranscript:
    """Ask the recogniser for all words so far."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class CommitTranscript:
    """Tell the recogniser that the turn was taken."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class ScoreTurn:
    """Ask the acoustic model whether the turn sounds complete. pause_id: tells the pauses of a turn apart."""

    leg_id: str
    turn_id: int
    pause_id: int = 0


@dataclass(frozen=True, slots=True)
class MatchRules:
    """Ask which of customEndpointingRules matches first. said: by the caller in this turn. heard: the assistant's last
    message."""

    turn_id: int
    question: int
    said: str
    heard: str


@dataclass(frozen=True, slots=True)
class AskEndpointing:
    """Ask the customer's endpointing model how long to wait, within deadline_s: with the history as it stands, and this
    turn at its end, said from from_s to to_s."""

    turn_id: int
    question: int
    said: str
    from_s: float
    to_s: float
    deadline_s: float


# --- to the reply ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartReply:
    """Ask the model for a reply to these messages and synthesise it. speculative: before the turn is known to be over."""

    reply_id: int
    turn_id: int
    messages: tuple[Mapping[str, Any], ...]
    speculative: bool = False


@dataclass(frozen=True, slots=True)
class SayText:
    """Synthesise a fixed text as a reply of its own."""

    reply_id: int
    text: str


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    """The reply will be heard: what was put off while it was only a guess may be synthesised now."""

    reply_id: int


@dataclass(frozen=True, slots=True)
class PreparePhrase:
    """Synthesise a stock phrase ahead of need, to be played in any reply."""

    phrase_id: int
    text: str


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Stop making the reply: model, synthesis, and audio that is held."""

    reply_id: int


# --- to the media plane ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlayClause:
    """Give the clause's audio to the media plane."""

    leg_id: str
    reply_id: int
    clause: int


@dataclass(frozen=True, slots=True)
class PlayPhrase:
    """Give a prepared phrase's audio to the media plane, as part of the reply. source: of the audio that was prepared."""

    leg_id: str
    reply_id: int
    phrase_id: int
    source: str = "voice"


@dataclass(frozen=True, slots=True)
class FinishPlayout:
    """No more audio will follow for the reply."""

    leg_id: str
    reply_id: int


@dataclass(frozen=True, slots=True)
class PausePlayout:
    """Stop playing at once, keep the rest."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class ResumePlayout:
    """Go on from the very sample where playing was paused."""

    leg_id: str
    at_sample: int


@dataclass(frozen=True, slots=True)
class DropPlayout:
    """Throw the rest of the audio away."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class ArmPause:
    """Let the media plane pause by itself at the caller's voice. voice_s: how much voice it takes; least_db: quieter voice
    (dBFS) does not count."""

    leg_id: str
    armed: bool
    voice_s: float = 0.064
    least_db: float = -100.0


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the leg."""

    leg_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class SendKeys:
    """Press keys for the far side; w and W are pauses of 0.5 and 1 s. signalled: by signalling, not in the audio's stream."""

    leg_id: str
    digits: str
    signalled: bool = False


@dataclass(frozen=True, slots=True)
class StartTransfer:
    """Connect the leg's party with somebody else. destination: as the assistant has it (contract 11.1). call_id: of the tool
    call."""

    leg_id: str
    call_id: str
    destination: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A person speaks to the leg's party from now on, in the agent's place."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class GiveBack:
    """No person speaks in the agent's place any more."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class StartTool:
    """Run a tool outside of the call; this is its only attempt on record. run: counts the call's runs. call_id: of the model's
    call. tool: by its name among those offered. detached: nobody waits for what comes of it."""

    run: int
    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    timeout_s: float
    detached: bool = False


@dataclass(frozen=True, slots=True)
class GiveUpTool:
    """Nobody waits any more for what comes of the run."""

    run: int


@dataclass(frozen=True, slots=True)
class StartHandoff:
    """Find out who takes the call over, and get them ready. destination: as the assistant has it (contract 8). variables: what
    the model said of the conversation. call_id: of the tool call, or of the control that asked for it. trusted: anybody of the
    organisation may be meant, and not only those whom the call knows."""

    call_id: str
    destination: Mapping[str, Any]
    variables: Mapping[str, Any] = field(default_factory=dict)
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class ChangeAssistant:
    """From now on the call is theirs who were prepared: their model, voice, recogniser and tools. call_id: of the handoff."""

    call_id: str


# --- to the outside ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TellClient:
    """A message of the contract's client and server message types (4.2, 7.4), without its envelope."""

    type: str
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordDecision:
    """For the record: which machine decided what, and why. details: the figures that it went by."""

    machine: str
    decision: str
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordMessage:
    """For the record: an entry of the conversation's history, in the contract's shape (6.4). words: those whose times
    are known, as (word, start, end) in the call's seconds."""

    message: Mapping[str, Any]
    words: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class RecordGap:
    """For the record: the caller heard nothing for longer than a pause in talk may last. reasons: seconds of it by
    reason; `unexplained` is a broken promise."""

    from_s: float
    to_s: float
    reasons: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RecordTurn:
    """For the record: a turn's latency and its parts, in milliseconds. latency_ms: from the arrival of the caller's last voice
    to the departure of the reply's first frame; wire_ms: to that of the first frame in which anything is to be heard."""

    turn_id: int
    reply_id: int
    latency_ms: float
    parts_ms: Mapping[str, float]
    wire_ms: float | None = None


@dataclass(frozen=True, slots=True)
class EndCall:
    """The call is over. reason: a published endedReason; message: a finer cause."""

    reason: str
    message: str = ""


Command = (
    FinalizeTranscript
    | CommitTranscript
    | ScoreTurn
    | MatchRules
    | AskEndpointing
    | StartReply
    | SayText
    | ReleaseReply
    | PreparePhrase
    | CancelReply
    | PlayClause
    | PlayPhrase
    | FinishPlayout
    | PausePlayout
    | ResumePlayout
    | DropPlayout
    | ArmPause
    | HangUp
    | SendKeys
    | StartTransfer
    | TakeOver
    | GiveBack
    | StartTool
    | GiveUpTool
    | StartHandoff
    | ChangeAssistant
    | TellClient
    | RecordDecision
    | RecordMessage
    | RecordGap
    | RecordTurn
    | EndCall
)

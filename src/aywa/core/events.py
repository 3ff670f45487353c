"""What happened, in the past tense. Small frozen records; every one goes through the call's one inbox.

Times are `at_s`: seconds since the call's epoch. Positions are counted in samples of the leg's rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aywa.core.cost import Price


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word of a clause and its place in it, in samples since the clause's first one."""

    text: str
    start: int
    end: int


# --- from the media plane -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LegConnected:
    """The party's audio path is open. rate_hz: of the PCM that the brain and the media plane exchange for it."""

    leg_id: str
    rate_hz: int


@dataclass(frozen=True, slots=True)
class LegEnded:
    """The party's audio path is gone. cause: closed (by the far side), lost, flooded, unread, malformed, local,
    no_media (the far side sends nothing), forwarded (it goes on without the brain)."""

    leg_id: str
    cause: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VoiceStarted:
    """Voice was found on the leg; its first voiced frame arrived at at_s. level_db: its loudness so far, dBFS."""

    leg_id: str
    at_s: float
    level_db: float | None = None


@dataclass(frozen=True, slots=True)
class VoiceStopped:
    """Voice ended on the leg; its last voiced frame arrived at at_s (earlier than this event). level_db: how loud it
    was, dBFS."""

    leg_id: str
    at_s: float
    level_db: float | None = None


@dataclass(frozen=True, slots=True)
class VoiceLevelMeasured:
    """How loud the voice is that began and goes on, dBFS; said every 256 ms of voice while a pause is armed."""

    leg_id: str
    at_s: float
    level_db: float


@dataclass(frozen=True, slots=True)
class VoiceSuspected:
    """One window held voice, too few to call it a beginning: whoever is about to speak may wait for the next one."""

    leg_id: str
    at_s: float


@dataclass(frozen=True, slots=True)
class VoiceFaded:
    """The voice has been too soft to be heard for about 0.1 s, and the detector has not ended it yet: it may be over."""

    leg_id: str
    at_s: float


@dataclass(frozen=True, slots=True)
class VoiceScored:
    """For the record only: the voice probability of consecutive windows, one byte (0-255) each."""

    leg_id: str
    from_s: float
    window_s: float
    probabilities: bytes


@dataclass(frozen=True, slots=True)
class PlayoutStarted:
    """The first frame of a reply's audio left. silent_s: how much silence its audio begins with."""

    leg_id: str
    reply_id: int
    at_s: float
    silent_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PlayoutAdvanced:
    """So many samples of the reply's audio have left; said about twice a second while it plays."""

    leg_id: str
    reply_id: int
    position: int
    at_s: float


@dataclass(frozen=True, slots=True)
class PlayoutStarved:
    """All audio given so far has left, and more was announced."""

    leg_id: str
    reply_id: int
    position: int
    at_s: float


@dataclass(frozen=True, slots=True)
class PlayoutPaused:
    """Playing stopped at position, by an armed pause or by command; the rest is kept."""

    leg_id: str
    reply_id: int
    position: int
    at_s: float


@dataclass(frozen=True, slots=True)
class PlayoutResumed:
    """Playing went on from position, after a pause or for lack of audio."""

    leg_id: str
    reply_id: int
    position: int
    at_s: float


@dataclass(frozen=True, slots=True)
class PlayoutDropped:
    """The rest of the audio was thrown away; only what lies before position has left."""

    leg_id: str
    reply_id: int
    position: int
    at_s: float


@dataclass(frozen=True, slots=True)
class PlayoutFinished:
    """All audio of the reply has left."""

    leg_id: str
    reply_id: int
    position: int
    at_s: float


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """A key was pressed on the leg."""

    leg_id: str
    digit: str


@dataclass(frozen=True, slots=True)
class QualityMeasured:
    """How the leg's stream fares, since its beginning: packets, seconds, shares and opinion scores (G.107). remote_*: as the
    far side hears us. None: nobody has told."""

    leg_id: str
    at_s: float
    codec: str
    sent: int
    received: int
    lost: int
    late: int
    concealed: int
    jitter_s: float
    round_trip_s: float | None = None
    opinion: float | None = None
    remote_lost: int | None = None
    remote_jitter_s: float | None = None
    remote_opinion: float | None = None


@dataclass(frozen=True, slots=True)
class ClientMessageReceived:
    """A control message in JSON came from the leg's far side (contract 15.1)."""

    leg_id: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MediaWarned:
    """Something about the leg's media is worth knowing: audio dropped, a malformed frame, a recording that was cut."""

    leg_id: str
    code: str
    detail: str = ""


# --- from the recogniser and the turn model --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TranscriptReceived:
    """What the recogniser heard since its last final. confirmed: it holds all that was fed when finalize was asked."""

    leg_id: str
    text: str
    is_final: bool
    confirmed: bool = False
    words: tuple[tuple[str, float, float], ...] = ()
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class TurnScored:
    """The acoustic model's probability that the caller's turn is complete. pause_id: of which pause it was asked."""

    turn_id: int
    probability: float
    pause_id: int = 0


@dataclass(frozen=True, slots=True)
class RulesMatched:
    """What came of MatchRules with this question's number: the first rule that matches, counted from 0, and its wait;
    None where none does."""

    turn_id: int
    question: int
    wait_s: float | None = None
    rule: int | None = None


@dataclass(frozen=True, slots=True)
class EndpointingAnswered:
    """What came of AskEndpointing with this question's number: the wait that the customer's model wants, or None and the
    problem's code."""

    turn_id: int
    question: int
    wait_s: float | None = None
    problem: str = ""


# --- from a reply ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReplyTextReceived:
    """The model wrote some of the reply. pieces: in how many, which is about how many tokens."""

    reply_id: int
    text: str
    pieces: int = 1


@dataclass(frozen=True, slots=True)
class ClauseSynthesized:
    """A clause of the reply, or a piece of one in whole words, can be played: the shell holds its audio under (reply_id,
    clause). route: the voice that made it."""

    reply_id: int
    clause: int
    text: str
    samples: int
    words: tuple[HeardWord, ...] = ()
    route: str = ""


@dataclass(frozen=True, slots=True)
class PhrasePrepared:
    """A stock phrase can be played at once: the shell holds its audio. source: the assistant's own `voice`, or `stock`, the
    runtime's, until the own one is there. The newest counts."""

    phrase_id: int
    text: str
    samples: int
    words: tuple[HeardWord, ...] = ()
    source: str = "voice"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool run. arguments: JSON, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCallsReceived:
    """The whole reply is there, and these are the tools that it wants run."""

    reply_id: int
    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class ReplyCompleted:
    """The reply's text and audio are all there. route: the model that finished it."""

    reply_id: int
    text: str
    clauses: int
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    route: str = ""


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The reply could not be made, or not to its end. step: llm or tts. route: who failed, where that is known."""

    reply_id: int
    step: str
    code: str
    message: str = ""
    route: str = ""


# --- from elsewhere ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The first event of every call: who it is for and under which settings. epoch_ms: Unix time of at_s = 0. prices: what
    those who may work for it ask, as it was known when the call began. squad: id, name and the members' names of the squad that
    the assistant is of, empty without one. call: its document as it was made. webhooks: the customer's servers, the messages
    that they are sent and the policy (core.server_messages.read_servers); nothing in the clear that is secret."""

    call_id: str
    org_id: str
    epoch_ms: int
    assistant: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    engine_version: str = ""
    prices: tuple[Price, ...] = ()
    squad: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict, repr=False)
    webhooks: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RingingStarted:
    """Whoever was called is being rung, and nobody has answered yet."""


@dataclass(frozen=True, slots=True)
class EndRequested:
    """Somebody with the right to do so asked for the call's end. reason: a published endedReason."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ControlReceived:
    """Somebody outside the call steers it (contract 15.1). source: `control` (the call's controlUrl) or `listener` (a person at
    its listenUrl). who: as far as that is known, for a person who looks at the call."""

    message: Mapping[str, Any]
    source: str = "control"
    who: str = ""


@dataclass(frozen=True, slots=True)
class TransferChanged:
    """How a transfer of the caller stands: connected, completed, busy, no-answer, failed or cancelled (contract 11.3).
    sip_status: of the final answer, 0 without."""

    status: str
    sip_status: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """What came of a run of a tool. status: done, failed, or refused (by its rejectionPlan). result: for the model. said: what
    its server wants to be said; ends_call: and the call to end then. variables: of the call, from now on. detail: for a
    person, why it failed. excerpt: how its answer begins, where it could not be used. destination: where a transfer goes, when
    that was asked."""

    run: int
    status: str
    result: str
    said: str | None = None
    ends_call: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""
    excerpt: str = ""
    destination: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolsFound:
    """What the server of an mcp tool can do. tool: as the assistant has it. listed: name, description and inputSchema of each."""

    tool: Mapping[str, Any]
    listed: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class HandoffPrepared:
    """Whoever takes the call over is known and can begin. call_id: of the handoff. assistant: the resolved document, its texts
    rendered. variables: what the handoff brought to light. destination: who was meant, as it came out. prices: as CallStarted
    has them. result: what the last assistant's model is told, where the customer's server says so. webhooks: as CallStarted has
    them, empty where nothing changes."""

    call_id: str
    assistant: Mapping[str, Any]
    variables: Mapping[str, Any] = field(default_factory=dict)
    destination: Mapping[str, Any] = field(default_factory=dict)
    prices: tuple[Price, ...] = ()
    result: str = ""
    webhooks: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class HandoffRefused:
    """Nobody takes the call over. reason: for the model. result: what the customer's server wants it told instead."""

    call_id: str
    reason: str
    result: str = ""


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """A task of the call died; the call goes on without it or with a new one. child: stt, reply, recorder, turn_model, rules,
    endpointing, handoff. repeats: the new one hears again what was not told for good."""

    child: str
    code: str
    message: str = ""
    repeats: bool = False


Event = (
    LegConnected
    | LegEnded
    | VoiceStarted
    | VoiceStopped
    | VoiceLevelMeasured
    | VoiceSuspected
    | VoiceFaded
    | VoiceScored
    | PlayoutStarted
    | PlayoutAdvanced
    | PlayoutStarved
    | PlayoutPaused
    | PlayoutResumed
    | PlayoutDropped
    | PlayoutFinished
    | DtmfReceived
    | QualityMeasured
    | ClientMessageReceived
    | MediaWarned
    | TranscriptReceived
    | TurnScored
    | RulesMatched
    | EndpointingAnswered
    | ReplyTextReceived
    | ClauseSynthesized
    | PhrasePrepared
    | ToolCallsReceived
    | ReplyCompleted
    | ReplyFailed
    | CallStarted
    | RingingStarted
    | EndRequested
    | ControlReceived
    | TransferChanged
    | ToolReturned
    | ToolsFound
    | HandoffPrepared
    | HandoffRefused
    | ChildFailed
)
MediaEvent = (
    LegConnected
    | LegEnded
    | VoiceStarted
    | VoiceStopped
    | VoiceLevelMeasured
    | VoiceSuspected
    | VoiceFaded
    | VoiceScored
    | PlayoutStarted
    | PlayoutAdvanced
    | PlayoutStarved
    | PlayoutPaused
    | PlayoutResumed
    | PlayoutDropped
    | PlayoutFinished
    | DtmfReceived
    | QualityMeasured
    | ClientMessageReceived
    | MediaWarned
)

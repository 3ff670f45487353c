"""One reply from its request to its last sample: what it answers, how far it is made, how much of it was heard."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from aywa.core.events import ClauseSynthesized, ToolCall
from aywa.core.playout import Ledger


class Purpose(Enum):
    """Why the agent speaks."""

    GREETING = auto()
    ANSWER = auto()
    MESSAGE = auto()


@dataclass(slots=True)
class Marks:
    """When things came to pass, in the call's seconds: the parts of a turn's latency."""

    asked_s: float
    token_s: float | None = None
    clause_s: float | None = None


@dataclass(slots=True)
class Reply:
    """basis: the caller's words that it answers, normalised. commits: its first frame makes the caller's turn history.
    prompt: it only asks a caller who says nothing. released: its audio may leave. started_s: its first frame left.
    paused_at: the sample where playing stands still. starved_s: since when there has been nothing to play. quiet_from_s:
    since when nothing of it was heard, for either reason. anchors: (sample, second) wherever playing began or went on.
    clauses: how many were taken. tokens: pieces of text that the model wrote. fillers: phrases put into it while its own
    words were late; filler_due_s: when the next one is. failed_reason: the
    endedReason, if the call ends for it. excused: what broke it was owned up to. calls: the tools that it wants run when it
    was heard. asked: those of them that were begun while it was heard; None: that is not settled yet. told: how many characters
    of its text the client and the servers were told."""

    reply_id: int
    turn_id: int
    purpose: Purpose
    marks: Marks
    basis: str = ""
    commits: bool = False
    prompt: bool = False
    speculative: bool = False
    interruptible: bool = True
    released: bool = False
    ends_call: bool = False
    end_reason: str = "assistant-ended-call-after-message-spoken"
    completed: bool = False
    failed: bool = False
    failed_step: str = ""
    failed_reason: str = ""
    excused: bool = False
    finishing: bool = False
    dropping: bool = False
    started_s: float | None = None
    paused_at: int | None = None
    starved_s: float | None = None
    quiet_from_s: float | None = None
    advanced_to: int = 0
    text: str = ""
    told: int = 0
    clauses: int = 0
    tokens: int = 0
    fillers: int = 0
    filler_due_s: float | None = None
    calls: tuple[ToolCall, ...] = ()
    asked: tuple[ToolCall, ...] | None = None
    anchors: list[tuple[int, float]] = field(default_factory=list)
    waiting: list[ClauseSynthesized] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def playing(self) -> bool:
        """Some of it has left, and it is not over."""
        return self.started_s is not None

    @property
    def sounding(self) -> bool:
        """The caller hears it now."""
        return self.playing and not self.dropping and self.paused_at is None and self.starved_s is None

    @property
    def acts(self) -> bool:
        """It is whole, has nothing to say, and wants tools run."""
        whole = self.completed and not self.failed and bool(self.calls)
        return whole and not (self.ledger.samples or self.waiting)

    def word_times(self, position: int, rate_hz: int) -> tuple[tuple[str, float, float], ...]:
        """The words heard until the position, as (word, start, end) in the call's seconds."""
        if not self.anchors:
            return ()
        return tuple(
            (
                w.text,
                round(self._at_s(w.start, w.start, rate_hz), 3),
                round(self._at_s(w.end, w.end - 1, rate_hz), 3),
            )
            for w in self.ledger.words_until(position)
        )

    def _at_s(self, sample: int, within: int, rate_hz: int) -> float:
        """When the sample's edge was played, in the stretch that the sample `within` was played in."""
        since, at_s = next(((p, s) for p, s in reversed(self.anchors) if p <= within), self.anchors[0])
        return at_s + (sample - since) / rate_hz

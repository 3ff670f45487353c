"""Short spellings of the events that scripts are made of, and of what is looked for in the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from hypothesis import settings

from aywa.core import commands as do
from aywa.core import events as ev

LEG = "caller"
# Samples of a word in these scripts, and of a second.
WORD = 800
RATE_HZ = 8000
MOST_ALARMS = 1000

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., None])


def examples(count: int) -> Callable[[F], F]:
    """So many random scripts, the same ones every time: what a machine of CI finds, anybody finds again."""
    return settings(max_examples=count, deadline=None, derandomize=True)


def voice(at_s: float) -> ev.VoiceStarted:
    return ev.VoiceStarted(LEG, at_s)


def silence(at_s: float) -> ev.VoiceStopped:
    return ev.VoiceStopped(LEG, at_s)


def partial(text: str) -> ev.TranscriptReceived:
    return ev.TranscriptReceived(LEG, text, is_final=False)


def final(text: str) -> ev.TranscriptReceived:
    return ev.TranscriptReceived(LEG, text, is_final=True)


def confirmed(text: str) -> ev.TranscriptReceived:
    return ev.TranscriptReceived(LEG, text, is_final=False, confirmed=True)


def clause(reply_id: int, number: int, text: str) -> ev.ClauseSynthesized:
    """Audio of WORD samples a word, with the words' places."""
    words = text.split()
    places = tuple(ev.HeardWord(w, i * WORD, (i + 1) * WORD) for i, w in enumerate(words))
    return ev.ClauseSynthesized(reply_id, number, text, len(words) * WORD, places)


def whole(reply_id: int, *clauses: str) -> list[ev.Event]:
    """A reply from its first word to its completion."""
    made: list[ev.Event] = [ev.ReplyTextReceived(reply_id, " ".join(clauses))]
    made += [clause(reply_id, number, text) for number, text in enumerate(clauses)]
    return [*made, ev.ReplyCompleted(reply_id, " ".join(clauses), len(clauses))]


def playing(reply_id: int, at_s: float) -> ev.PlayoutStarted:
    return ev.PlayoutStarted(LEG, reply_id, at_s)


def finished(reply_id: int, words: float, at_s: float) -> ev.PlayoutFinished:
    return ev.PlayoutFinished(LEG, reply_id, round(words * WORD), at_s)


def dropped(reply_id: int, words: float, at_s: float) -> ev.PlayoutDropped:
    return ev.PlayoutDropped(LEG, reply_id, round(words * WORD), at_s)


class Sleeper(Protocol):
    """What is woken at its deadline."""

    @property
    def deadline(self) -> float | None: ...

    def wake(self, now: float) -> list[do.Command]: ...


def ring(sleeper: Sleeper, until_s: float) -> list[do.Command]:
    """Every alarm until then."""
    cmds: list[do.Command] = []
    for _ in range(MOST_ALARMS):
        due_s = sleeper.deadline
        if due_s is None or due_s > until_s:
            return cmds
        cmds += sleeper.wake(due_s)
    raise AssertionError("the alarm rings for ever")


def of(kind: type[T], cmds: Sequence[do.Command]) -> list[T]:
    """The commands of one kind, in order."""
    return [c for c in cmds if isinstance(c, kind)]


def told(kind: str, cmds: Sequence[do.Command]) -> list[dict[str, Any]]:
    """What the client is told under one type."""
    return [dict(c.body) for c in of(do.TellClient, cmds) if c.type == kind]


def decided(cmds: Sequence[do.Command]) -> list[tuple[str, str]]:
    """The decisions and their reasons."""
    return [(c.decision, c.reason) for c in of(do.RecordDecision, cmds)]


def acts(cmds: Sequence[do.Command]) -> list[do.Command]:
    """The commands that do something, without what is only told, recorded or laid in stock."""
    told_or_recorded = (do.TellClient, do.RecordDecision, do.RecordMessage, do.RecordTurn, do.RecordGap)
    return [c for c in cmds if not isinstance(c, (*told_or_recorded, do.PreparePhrase))]


def prepared(phrase_id: int, text: str, *, words: bool = True) -> ev.PhrasePrepared:
    """A stock phrase with WORD samples a word."""
    said = clause(0, 0, text)
    return ev.PhrasePrepared(phrase_id, text, said.samples, said.words if words else ())

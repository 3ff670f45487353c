"""What a call was to its caller: each turn's latency, what was heard, who interrupted whom; and how two such calls differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.journal.replay.identity import Told

# Nobody reacts to a sound sooner: a voice that begins so soon after a reply did not begin because of it.
REACTION_S = 0.25
# Turns that end so nearly at the same time are the same turn: the caller's audio is fixed.
SAME_TURN_S = 0.06
# A change of latency that is worth a line.
LATENCY_MS = 1.0


@dataclass(frozen=True, slots=True)
class Turn:
    """end_s: the caller's last voice, None for the greeting and what the agent says by itself. reply_s: when the reply
    sounded. cut_off: it began while the caller was still speaking. interrupted: the caller took the floor from it."""

    end_s: float | None
    caller: str
    reply_s: float
    latency_ms: float | None
    heard: str = ""
    cut_off: bool = False
    interrupted: bool = False

    @property
    def words(self) -> int:
        """How many words of the reply were heard."""
        return len(self.heard.split())


@dataclass(slots=True)
class Outcome:
    """kept: contests for the floor that the agent won. discarded: replies that were begun early and thrown away."""

    turns: list[Turn] = field(default_factory=list)
    interruptions: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    discarded: int = 0
    ended_s: float | None = None
    ended_reason: str = ""

    def sums(self) -> dict[str, Any]:
        """The call in figures."""
        latencies = [turn.latency_ms for turn in self.turns if turn.latency_ms is not None]
        return {
            "turns": len(latencies),
            "latency_ms_mean": round(sum(latencies) / len(latencies), 1) if latencies else None,
            "cut_offs": sum(turn.cut_off for turn in self.turns),
            "interruptions": len(self.interruptions),
            "floor_kept": len(self.kept),
            "words_heard": sum(turn.words for turn in self.turns),
            "replies_discarded": self.discarded,
        }


def outcome_of(told: Sequence[Told]) -> Outcome:
    """Reads a call as it was told."""
    found = Outcome()
    voices = _voices(told)
    latest = _Latest()
    for each in told:
        at_s, item = each.at_s, each.item
        match item:
            case ev.PlayoutStarted():
                latest.reply_s = item.at_s
                found.turns.append(Turn(None, "", item.at_s, None))
            case do.RecordTurn() if found.turns:
                turn = replace(
                    found.turns[-1],
                    end_s=latest.end_s,
                    caller=latest.caller,
                    latency_ms=item.latency_ms,
                    cut_off=_speaks(voices, found.turns[-1].reply_s),
                )
                found.turns[-1] = turn
            case do.RecordMessage() if item.message.get("role") == "user":
                start_s = float(item.message.get("secondsFromStart") or 0.0)
                latest.end_s = start_s + float(item.message.get("duration") or 0.0) / 1000
                latest.caller = str(item.message.get("message"))
            case do.RecordMessage() if item.message.get("role") == "bot" and found.turns:
                found.turns[-1] = replace(found.turns[-1], heard=str(item.message.get("message")))
            case do.TellClient(type="user-interrupted"):
                found.interruptions.append(at_s)
                if found.turns:
                    found.turns[-1] = replace(found.turns[-1], interrupted=True)
            case do.RecordDecision(machine="barge_in", decision="kept"):
                found.kept.append(at_s)
            case do.RecordDecision(decision="reply_discarded"):
                found.discarded += 1
            case do.EndCall():
                found.ended_s, found.ended_reason = at_s, item.reason
            case _:
                pass
    return found


@dataclass(slots=True)
class _Latest:
    reply_s: float = 0.0
    end_s: float | None = None
    caller: str = ""


def _voices(told: Sequence[Told]) -> list[tuple[float, float]]:
    """From when to when the caller spoke."""
    found: list[tuple[float, float]] = []
    began_s: float | None = None
    for each in told:
        match each.item:
            case ev.VoiceStarted(at_s=at_s) if began_s is None:
                began_s = at_s
            case ev.VoiceStopped(at_s=at_s) if began_s is not None:
                found.append((began_s, at_s))
                began_s = None
            case _:
                pass
    return found if began_s is None else [*found, (began_s, float("inf"))]


def _speaks(voices: Sequence[tuple[float, float]], at_s: float) -> bool:
    """The caller speaks then, or goes on without having been able to react."""
    return any(start - REACTION_S <= at_s < end for start, end in voices)


# --- two calls -----------------------------------------------------------------------------------------------------


def changes(before: Outcome, after: Outcome, estimated_from_s: float | None) -> list[dict[str, Any]]:
    """What is different, turn by turn, in the order of the call."""
    found: list[dict[str, Any]] = []
    for old, new in _pairs(before.turns, after.turns):
        what = _what(old, new)
        if what:
            at_s = min(each.reply_s for each in (old, new) if each is not None)
            end_s = new.end_s if new is not None else old.end_s if old is not None else None
            found.append(
                {
                    "at_s": round(at_s if end_s is None else end_s, 3),
                    "caller": _caller(old, new),
                    "what": what,
                    "recorded": _told(old),
                    "new": _told(new),
                    "reply_ms": _later_ms(old, new),
                    "estimated": estimated_from_s is not None
                    and max(each.reply_s for each in (old, new) if each is not None) >= estimated_from_s,
                }
            )
    if (before.ended_reason, before.ended_s is None) != (after.ended_reason, after.ended_s is None):
        was, now = before.ended_reason or "no end", after.ended_reason or "no end within the recorded call"
        found.append(
            {
                "at_s": round(after.ended_s or before.ended_s or 0.0, 3),
                "caller": "",
                "what": [f"the call ends by {now} instead of {was}"],
                "recorded": {"ended_reason": before.ended_reason},
                "new": {"ended_reason": after.ended_reason},
                "reply_ms": None,
                "estimated": estimated_from_s is not None,
            }
        )
    return found


def _pairs(before: Sequence[Turn], after: Sequence[Turn]) -> list[tuple[Turn | None, Turn | None]]:
    """The same turns of both calls side by side; a turn that only one has stands alone."""
    left = list(after)
    pairs: list[tuple[Turn | None, Turn | None]] = []
    for old in before:
        new = next((each for each in left if _is_same_turn(old, each)), None)
        if new is not None:
            left.remove(new)
        pairs.append((old, new))
    pairs += [(None, new) for new in left]
    return sorted(pairs, key=lambda pair: min(each.reply_s for each in pair if each is not None))


def _is_same_turn(old: Turn, new: Turn) -> bool:
    if old.end_s is None or new.end_s is None:
        return old.end_s is new.end_s is None and abs(old.reply_s - new.reply_s) < 1.0
    return abs(old.end_s - new.end_s) <= SAME_TURN_S


def _what(old: Turn | None, new: Turn | None) -> list[str]:
    if new is None and old is not None:
        return [f"the agent does not say {old.heard!r}" if old.end_s is None else "this reply is not given"]
    if old is None and new is not None:
        said = f"the agent also says {new.heard!r}"
        return [said if new.end_s is None else "a reply that was not given before"]
    assert old is not None
    assert new is not None
    found: list[str] = []
    later = _later_ms(old, new)
    if later is not None and abs(later) >= LATENCY_MS:
        found.append(f"reply {abs(later):.0f} ms {'later' if later > 0 else 'earlier'}")
    if old.caller != new.caller:
        found.append("the turn holds other words")
    for is_it, was, name in (
        (new.cut_off, old.cut_off, "cuts the caller off"),
        (new.interrupted, old.interrupted, "is interrupted"),
    ):
        if is_it != was:
            found.append(f"the reply {name}" if is_it else f"the reply no longer {name}")
    if old.heard != new.heard:
        found.append(
            f"{new.words} words heard instead of {old.words}"
            if old.words != new.words
            else "other words heard"
        )
    return found


def _later_ms(old: Turn | None, new: Turn | None) -> float | None:
    if old is None or new is None or old.latency_ms is None or new.latency_ms is None:
        return None
    return round(new.latency_ms - old.latency_ms, 1)


def _caller(old: Turn | None, new: Turn | None) -> str:
    return new.caller if new is not None else old.caller if old is not None else ""


def _told(turn: Turn | None) -> Mapping[str, Any] | None:
    if turn is None:
        return None
    return {
        "reply_s": round(turn.reply_s, 3),
        "latency_ms": turn.latency_ms,
        "caller": turn.caller,
        "heard": turn.heard,
        "words_heard": turn.words,
        "cut_off": turn.cut_off,
        "interrupted": turn.interrupted,
    }

"""Compares what a runtime keeps of a call with what its caller heard, and puts words to the turns at the wire.

The runtime's times are its own, so its messages are laid over the recording where its replies fit best. Texts come
from recognisers, which spell and mishear, so the comparison is tolerant; see `ends_differ_by`.
It refuses to recognise speech itself: it is handed the words.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from aywa.testing.wire import Kind, Record, Samples, stereo, talkspurts, turns_heard, utterances

# Two words are the same word, spelt or misheard differently, from this share of equal letters on.
SAME_WORD = 0.6
# A runtime's clock for a call starts within this time of the caller's connection.
CLOCK_S = 2.0
# A message may be this far off the audio that it belongs to: before its reply, or a question's after its own end.
SLACK_S = 0.5

_SPELLING = (
    ("&", " and "),
    ("%", " percent"),
    (":00", " "),
    ("o'clock", " "),
    ("'", ""),
    ("\N{RIGHT SINGLE QUOTATION MARK}", ""),
)
_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


@dataclass(frozen=True, slots=True)
class Message:
    """An entry of the call's history, its beginning on the caller's clock in seconds."""

    role: str
    text: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """A turn at the wire with its words from the history; milliseconds since the connection opened."""

    user_text: str
    user_end_ms: float
    reply_start_ms: float
    latency_ms: float
    assistant_text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """All that the caller heard between two of its own utterances: the audio at the record's rate, and what the
    history says that the assistant said there."""

    audio: Samples
    kept: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was heard of a reply against what the history keeps. differ_by: words, positive if history has more."""

    kept: str
    heard: str
    differ_by: int

    @property
    def truthful(self) -> bool:
        """The history ends where the heard audio ends, give or take one word."""
        return abs(self.differ_by) <= 1


def history(record: Record, call: Mapping[str, Any]) -> list[Message]:
    """The call's user and bot messages, laid over the recording."""
    said = [
        Message(entry["role"], str(entry.get("message") or ""), float(entry.get("secondsFromStart") or 0.0))
        for entry in call.get("messages") or ()
        if isinstance(entry, Mapping) and entry.get("role") in ("user", "bot")
    ]
    shift_s = _shift(record, [message.at_s for message in said if message.role == "bot"])
    return [Message(message.role, message.text, message.at_s + shift_s) for message in said]


def exchanges(record: Record, messages: Sequence[Message]) -> list[Exchange]:
    """The turns that were heard, each with what was said since the turn before and in its reply."""
    found = []
    turns = turns_heard(record)
    replies_s = [turn.reply_start_ms / 1000 + record.opened_s for turn in turns]
    for index, turn in enumerate(turns):
        before_s = replies_s[index - 1] if index else -np.inf
        after_s = replies_s[index + 1] if index + 1 < len(turns) else np.inf
        asked = [
            m.text
            for m in messages
            if m.role == "user" and before_s + SLACK_S <= m.at_s < replies_s[index] + SLACK_S
        ]
        said = [
            m.text
            for m in messages
            if m.role == "bot" and replies_s[index] - SLACK_S <= m.at_s < after_s - SLACK_S
        ]
        found.append(
            Exchange(" ".join(asked), turn.user_end_ms, turn.reply_start_ms, turn.latency_ms, " ".join(said))
        )
    return found


def replies(record: Record, messages: Sequence[Message]) -> list[Reply]:
    """What was heard before, between and after the utterances that ask for an answer, with the history's words."""
    ends = [said.last_voiced_s for said in utterances(record) if said.kind is not Kind.BACKCHANNEL]
    cuts = [-np.inf, *ends, np.inf]
    right = stereo(record)[:, 1]
    start_s = record.sent[0].at_s if record.sent else 0.0
    found = []
    for from_s, until_s in itertools.pairwise(cuts):
        first, last = (_sample(at_s - start_s, record.rate_hz, right.size) for at_s in (from_s, until_s))
        kept = " ".join(m.text for m in messages if m.role == "bot" and from_s <= m.at_s < until_s)
        audio = right[first:last]
        if kept or np.any(audio):
            found.append(Reply(audio, kept))
    return found


def compare(found: Sequence[Reply], recognise: Callable[[Samples], str]) -> list[Verdict]:
    """Has each reply's audio recognised and holds it against the history."""
    verdicts = []
    for reply in found:
        heard = recognise(reply.audio) if np.any(reply.audio) else ""
        verdicts.append(Verdict(reply.kept, heard, ends_differ_by(reply.kept, heard)))
    return verdicts


def ends_differ_by(kept: str, heard: str) -> int:
    """By how many words one text goes on after the other ended; positive if `kept` does.

    Both are taken to lower case without punctuation, numbers to digits, one word each. Then they are aligned, a word
    counting as the same from SAME_WORD of equal letters on. After the last two neighbouring words that are the same
    in both (or after the beginning, if there are none), what is left is counted: words misheard as others do not
    count, words that are missing or added do.
    """
    left, right = normalise(kept), normalise(heard)
    at_left, at_right = _last_common(left, right)
    return (len(left) - at_left) - (len(right) - at_right)


def normalise(text: str) -> list[str]:
    """The words as they sound: lower case, no punctuation, every digit of a number a word of its own."""
    text = text.lower()
    for written, plain in _SPELLING:
        text = text.replace(written, plain)
    text = re.sub(r"(?<=\d)[.,](?=\d)", "", text)
    text = re.sub(r"\b([a-z])\.(?=[a-z]\b|\s|$)", r"\1", text)
    words = re.findall(r"[a-z]+|\d", text)
    found: list[str] = []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word in _TENS:
            tens = str(_TENS.index(word) + 2)
            found += [tens] if following in _ONES[1:] else [tens, "0"]
        elif word in _TEENS:
            found += ["1", str(_TEENS.index(word))]
        else:
            found.append(str(_ONES.index(word)) if word in _ONES else word)
    return found


def _last_common(left: Sequence[str], right: Sequence[str]) -> tuple[int, int]:
    """How far each text reaches at the end of the last two neighbouring words that both have, in one alignment."""
    same = np.array([[_same(a, b) for b in right] for a in left], dtype=float).reshape(len(left), len(right))
    score = np.zeros((len(left) + 1, len(right) + 1))
    for i in range(len(left)):
        for j in range(len(right)):
            score[i + 1, j + 1] = max(score[i, j + 1], score[i + 1, j], score[i, j] + same[i, j])
    pairs = [(0, 0), *_path(score)]
    for (i, j), (k, n) in reversed(list(itertools.pairwise(pairs))):
        if (k, n) == (i + 1, j + 1):
            return k, n
    return 0, 0


def _path(score: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    """The pairs of equal words in the best alignment, counted from 1, first to last."""
    i, j = score.shape[0] - 1, score.shape[1] - 1
    pairs = []
    while i and j:
        # Of a word that comes twice the first is taken: what was cut off must show at the end.
        if score[i, j] == score[i, j - 1]:
            j -= 1
        elif score[i, j] == score[i - 1, j]:
            i -= 1
        else:
            pairs.append((i, j))
            i, j = i - 1, j - 1
    return pairs[::-1]


def _same(one: str, other: str) -> float:
    if one.isdigit() or other.isdigit():
        return float(one == other)
    share = SequenceMatcher(None, one, other, autojunk=False).ratio()
    return share if share >= SAME_WORD else 0.0


def _shift(record: Record, bot_s: Sequence[float]) -> float:
    """What to add to the history's seconds so that its replies begin where replies were heard to begin."""
    heard = np.array([at_s for spurt in talkspurts(record) if (at_s := spurt.audible_s) is not None])
    if not heard.size or not bot_s:
        return record.opened_s
    said = np.array(bot_s)
    shifts = (heard[:, None] - said[None, :]).ravel()
    near = shifts[np.abs(shifts - record.opened_s) <= CLOCK_S]
    return float(min(near, key=lambda shift: _misfit(said + shift, heard), default=record.opened_s))


def _misfit(said: np.ndarray[Any, Any], heard: np.ndarray[Any, Any]) -> float:
    return float(np.abs(said[:, None] - heard[None, :]).min(axis=1).sum())


def _sample(at_s: float, rate_hz: int, size: int) -> int:
    return int(np.clip(np.nan_to_num(at_s * rate_hz, posinf=size, neginf=0), 0, size))

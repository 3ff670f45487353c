"""Where the words of a text lie in its audio, for voices that do not tell: no model, only loudness and lengths.

The audio's silences are found. Which of them is the pause after which word, and which only a stop inside one, is decided
by dynamic programming: the talk between two pauses should last as long as its words, and a pause stands where the text
has a stop. Between two pauses the words share the time by their usual lengths. Refuses to know the language.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from aywa.core.audio.frame import SAMPLE_BYTES
from aywa.core.events import HeardWord
from aywa.core.spoken import is_abbreviation, spoken_s

Floats = npt.NDArray[np.float64]

_HOP_S = 0.01
# What lies so far below the loud parts, or hardly above the quietest ones, is silence.
_DEPTH_DB, _FLOOR_DB, _LEAST_DEPTH_DB = 36.0, 6.0, 12.0
_SHORTEST_SILENCE_HOPS = 4
_MOST_SILENCES = 12
"""The longest ones are looked at: what the work for a clause may cost."""

# What stands after a word: the end of a sentence, a comma, a dash or an abbreviation's stop, nothing.
_STOP, _COMMA, _DASH, _OPEN = range(4)
# In nats: a stop without a pause after it, and a silence taken for a pause, by what stands after the word.
_NO_PAUSE = np.array([4.0, 2.5, 1.0, 0.0])
_PAUSE = np.array([0.0, 0.0, 0.5, 5.0])
# A silence inside a word is a consonant's: short. What it costs beyond that.
_INSIDE_S, _INSIDE_PER_S = 0.08, 40.0
# The variance of the length of talk, in s^2 for each second, and at least.
_SPREAD_S, _SPREAD_LEAST = 0.02, 0.0015
# A pause that is no consonant, for the voice's speed.
_PAUSE_S = 0.08
_LENGTHENED_S = 0.06
"""The last word before a pause is drawn out."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The audio in hops: the first with sound, the one after the last with sound, and the silences between them."""

    first: int
    last: int
    silences: tuple[tuple[int, int], ...]


def align_words(text: str, pcm: bytes, rate_hz: int) -> tuple[HeardWord, ...]:
    """A place in the PCM16 audio for each word of the text, in order and in samples."""
    words = text.split()
    if not words:
        return ()
    hop = max(1, round(rate_hz * _HOP_S))
    samples = len(pcm) // SAMPLE_BYTES
    sound = outline(pcm, hop)
    after = np.array([_after(word) for word in words[:-1]] + [_STOP])
    lengths = np.array([spoken_s(word) for word in words]) + _LENGTHENED_S * (after != _OPEN)
    pauses = _pauses(lengths, after, sound, hop / rate_hz)
    stretches = [
        (0, 0, sound.first),
        *((w + 1, *sound.silences[s]) for s, w in pauses),
        (len(words), sound.last, 0),
    ]
    placed: list[HeardWord] = []
    for (first, _, start), (until, end, _) in pairwise(stretches):
        share = np.cumsum(lengths[first:until])
        edges = [start, *(start + (end - start) * share / share[-1])]
        edges = [min(samples, round(edge * hop)) for edge in edges]
        placed += map(HeardWord, words[first:until], edges, edges[1:])
    return tuple(placed)


def outline(pcm: bytes, hop: int) -> Outline:
    """Where there is sound; all of it where nothing stands out."""
    count = len(pcm) // SAMPLE_BYTES // hop
    if count == 0:
        return Outline(0, 1, ())
    framed = np.frombuffer(pcm, "<i2", count * hop).reshape(count, hop).astype(np.float32)
    level = 10.0 * np.log10(np.einsum("ij,ij->i", framed, framed) / hop + 1.0)
    floor, loud = np.partition(level, (count // 50, count - 1 - count // 20))[
        [count // 50, count - 1 - count // 20]
    ]
    at = np.flatnonzero(level > max(loud - _DEPTH_DB, min(floor + _FLOOR_DB, loud - _LEAST_DEPTH_DB)))
    ends = np.flatnonzero(np.diff(at) > _SHORTEST_SILENCE_HOPS)
    silences = [(int(at[end]) + 1, int(at[end + 1])) for end in ends]
    longest = sorted(silences, key=lambda each: each[0] - each[1])[:_MOST_SILENCES]
    return Outline(int(at[0]), int(at[-1]) + 1, tuple(sorted(longest)))


def _after(word: str) -> int:
    bare = word.rstrip("\"')]}\u201d\u2019\u00bb")
    if bare.endswith((".", "!", "?", "\u2026")):
        return _DASH if is_abbreviation(word) else _STOP
    if bare.endswith((",", ";", ":")):
        return _COMMA
    return _DASH if bare.endswith(("-", "\u2013", "\u2014")) else _OPEN


def _pauses(
    lengths: Floats, after: npt.NDArray[np.int64], sound: Outline, hop_s: float
) -> list[tuple[int, int]]:
    """Which silence is the pause after which word: (silence, word), in order."""
    words, silences = len(lengths), len(sound.silences)
    if not silences or words < 2:
        return []
    # Talk may end where a silence begins, or at the end; and begin where one ends, or at the beginning.
    ends_s = np.array([start for start, _ in sound.silences] + [sound.last]) * hop_s
    starts_s = np.array([sound.first] + [end for _, end in sound.silences]) * hop_s
    silent_s = starts_s[1:] - ends_s[:-1]
    inside = _until(np.maximum(0.0, silent_s - _INSIDE_S) * _INSIDE_PER_S)
    missed = np.append(_NO_PAUSE[after[:-1]], 0.0)
    talk_s = ends_s[-1] - starts_s[0] - silent_s[silent_s > _PAUSE_S].sum()
    spoken_until_s = _until(lengths) * (max(talk_s, hop_s) / lengths.sum())
    # [words before, words until]: how long the talk should take, and its stops without a pause.
    should_s = spoken_until_s[None, :] - spoken_until_s[:, None]
    weight = np.where(should_s > 0, 0.5 / (_SPREAD_S * np.abs(should_s) + _SPREAD_LEAST), np.inf)
    should_s = np.where(should_s > 0, should_s, -1.0)
    skipped = _until(missed)
    skipped = skipped[None, :] - skipped[:, None]
    taken = _PAUSE[after] - missed
    # best[n, w]: the least cost of all until a pause in silence n - 1 after w words. came: from where.
    best = np.full((silences + 1, words + 1), np.inf)
    best[0, 0] = 0.0
    came = np.zeros((silences + 2, words + 1), dtype=np.int64)
    for node in range(1, silences + 2):
        took_s = ends_s[node - 1] - starts_s[:node]
        cost = (took_s[:, None, None] - should_s) ** 2 * weight + skipped
        cost += (best[:node] + (inside[node - 1] - inside[:node])[:, None])[:, :, None]
        ways = cost.reshape(-1, words + 1)
        came[node] = np.argmin(ways, axis=0)
        if node <= silences:
            best[node, 1:words] = ways[came[node], np.arange(words + 1)][1:words] + taken[: words - 1]
    pauses: list[tuple[int, int]] = []
    node, word = divmod(int(came[-1, words]), words + 1)
    while node:
        pauses.append((node - 1, word - 1))
        node, word = divmod(int(came[node, word]), words + 1)
    return pauses[::-1]


def _until(values: Floats) -> Floats:
    """The sums before each of them, and of all."""
    return np.concatenate(([0.0], np.cumsum(values)))

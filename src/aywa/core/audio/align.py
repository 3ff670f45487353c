"""Where the words of a text lie in its audio, for voices that do not tell: no model, only the audio's loudness.

Each written word is given the length it has when it is spoken ("$4.50" is five words), in sounds of usual lengths. The
audio's silences are found; which of them is the pause after which word, and which is only a stop inside one, is decided
by dynamic programming: the talk between two pauses should last as long as its words. Between pauses words share the time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from aywa.core.events import HeardWord

Floats = npt.NDArray[np.float64]

# --- how long a word is when it is spoken ----------------------------------------------------------------------

# Seconds of a sound, as voices of medium speed make it inside a phrase: fitted to the words of three synthesisers.
# Only the proportions matter.
_SOUNDS = (
    (re.compile(r"tion|sion"), 0.225),
    (re.compile(r"igh|eigh|augh|ough"), 0.125),
    (re.compile(r"ee|ea|oo|ai|ay|oa|ow|ou|oy|oi|au|aw|ie|ei|ey|ue|ui|eu|ew"), 0.075),
    (re.compile(r"[aeiou]r(?![aeiou])"), 0.09),
    (re.compile(r"sch|tch|ch|sh"), 0.07),
    (re.compile(r"th|ph|ng|ck|qu|wh|gh|kn|wr|dge|([bcdfgklmnprstvz])\1"), 0.05),
    (re.compile(r"[aeiouy]"), 0.06),
    (re.compile(r"x"), 0.135),
    (re.compile(r"[sfz]"), 0.085),
    (re.compile(r"[ptkcqbdgj]"), 0.06),
    (re.compile(r"[mnv]"), 0.07),
    (re.compile(r"[lrwh]"), 0.045),
)
_WORD_S = 0.04
_OTHER_LETTER_S = 0.07
_IDEOGRAPH_S = 0.2
_MUTE_E = re.compile(r"(?<=[aeiouy][bcdfgklmnprstvz])e(?=s?$)|(?<=[aeiouy]th)e$")
# Said in passing, whatever their letters.
_LIGHT = frozenset(
    "a an the of to in on at is it and or for as by be was are from with that this your you we i if not can will have has"
    " our my so but do".split()
)
_LIGHT_SOUND_S = -0.025

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1000, "thousand"), (100, "hundred"))
_SPELLED = {
    "dr": "doctor", "mr": "mister", "mrs": "missis", "ms": "miz", "prof": "professor", "st": "street", "ave": "avenue",
    "rd": "road", "blvd": "boulevard", "apt": "apartment", "dept": "department", "no": "no", "vs": "versus",
    "etc": "et cetera", "jr": "junior", "sr": "senior", "approx": "approximately", "kg": "kilograms", "km": "kilometers",
    "cm": "centimeters", "mm": "millimeters", "gb": "gigabytes", "mb": "megabytes", "eg": "ee gee", "ie": "eye ee",
    "am": "ay em", "pm": "pee em",
}  # fmt: skip
_LETTERS = {"w": "double you", "h": "aitch", "x": "ex", "f": "ef", "l": "el", "m": "em", "n": "en", "s": "es", "r": "ar",
            "q": "cue", "y": "why", "a": "ay", "e": "ee", "i": "eye", "o": "oh", "u": "you"}  # fmt: skip
_SIGNS = {
    "$": "dollars", "€": "euros", "£": "pounds", "%": "percent", "&": "and", "@": "at", "+": "plus", "=": "equals",
    "°": "degrees", "#": "number", "/": "slash",
}  # fmt: skip
_PIECE = re.compile(r"\d[\d,]*|[^\W\d_]+|[^\w\s]", re.UNICODE)
_MOST_PIECES = 60


@lru_cache(maxsize=4096)
def spoken_s(written: str) -> float:
    """About how long the word takes to say, in seconds at medium speed; never 0."""
    return max(0.04, sum(_word_s(word) for word in spoken(written)))


def spoken(written: str) -> list[str]:
    """The words that a written one is read as."""
    bare = written.strip("\"'()[]{}“”‘’«»").rstrip(".,;:!?…")
    plain = bare.lower().replace(".", "")
    if plain in _SPELLED and (bare.lower() != "no") and not bare.isupper():
        return _SPELLED[plain].split()
    clock = re.fullmatch(r"(\d{1,2}):(\d\d)", bare)
    if clock is not None:
        minutes = int(clock[2])
        return [*_number(int(clock[1])), *(_number(minutes) if minutes else ["oh", "clock"])]
    address = "@" in bare or "www" in plain or re.search(r"\w\.\w+/", bare) is not None
    words: list[str] = []
    unit: list[str] = []
    pieces = _PIECE.findall(bare)[:_MOST_PIECES]
    for place, piece in enumerate(pieces):
        after = pieces[place + 1] if place + 1 < len(pieces) else ""
        before = pieces[place - 1] if place else ""
        if piece[0].isdigit():
            words += _digits(piece, before, after)
        elif piece in "$€£":
            unit.append(_SIGNS[piece])
        elif piece in ".":
            words += ["dot"] if address else ["point"] if before.isdigit() and after.isdigit() and not unit else []
        elif piece in _SIGNS:
            words.append(_SIGNS[piece])
        elif piece.isalpha():
            words += _letters(piece, before)
    return words + unit


def _digits(piece: str, before: str, after: str) -> list[str]:
    digits = piece.replace(",", "")
    if before == "." and digits == "00":
        return []
    if before == "." and len(digits) != 2:
        return [w for d in digits for w in _number(int(d))]
    value = int(digits[:15])
    if digits[0] == "0" or before == "-" or after == "-" or len(digits) > 6 and "," not in piece:
        return [_ONES[int(d)] for d in digits[:40]]
    if "," not in piece and 1100 <= value <= 2099 and value % 1000 >= 10:
        high, low = divmod(value, 100)
        return _number(high) + (_number(low) if low else ["hundred"])
    if after in ("th", "st", "nd", "rd"):
        return _number(value)
    return _number(value)


def _letters(piece: str, before: str) -> list[str]:
    lower = piece.lower()
    if before and before[0].isdigit() and lower in ("th", "st", "nd", "rd"):
        return ["th"] if lower == "th" else []
    if before and before[0].isdigit() and lower in _SPELLED:
        return _SPELLED[lower].split()
    if lower == "s" and before == "'":
        return ["s"]
    vowels = any(letter in "aeiouy" for letter in lower)
    caps = piece.isupper() and piece.isascii()
    if piece.isascii() and ((caps and (len(piece) < 4 and piece not in ("A", "I"))) or (len(piece) > 1 and not vowels)):
        return [word for letter in lower for word in _LETTERS.get(letter, letter + "ee").split()]
    return [lower]


def _number(value: int) -> list[str]:
    """A cardinal number in words."""
    if value < 20:
        return [_ONES[value]]
    if value < 100:
        tens, ones = divmod(value, 10)
        return [_TENS[tens - 2], *([_ONES[ones]] if ones else [])]
    scale, name = next((s, n) for s, n in _SCALES if value >= s)
    high, low = divmod(value, scale)
    return [*_number(high), name, *(_number(low) if low else [])]


@lru_cache(maxsize=4096)
def _word_s(word: str) -> float:
    rest = unicodedata.normalize("NFKD", word)
    rest = "".join(letter for letter in rest if letter.isalnum())
    rest = _MUTE_E.sub("", rest)
    at, length_s, light_s = 0, _WORD_S, _LIGHT_SOUND_S if word in _LIGHT else 0.0
    while at < len(rest):
        for pattern, sound_s in _SOUNDS:
            match = pattern.match(rest, at)
            if match is not None:
                at, length_s = match.end(), length_s + sound_s + light_s
                break
        else:
            length_s += _IDEOGRAPH_S if ord(rest[at]) > 0x2E80 else _OTHER_LETTER_S
            at += 1
    return length_s


# --- what the audio shows ----------------------------------------------------------------------------------------

_HOP_S = 0.01
_DEPTH_DB = 32.0
_FLOOR_DB = 6.0
_SHORTEST_PAUSE_HOPS = 4
_MOST_PAUSES = 14


def silences(pcm: bytes, rate_hz: int) -> tuple[int, int, list[tuple[int, int]], int]:
    """The first and the last hop with sound, the silent runs between them, and the samples of a hop."""
    hop = max(1, round(rate_hz * _HOP_S))
    samples = np.frombuffer(pcm, "<i2")
    count = samples.size // hop
    if count == 0:
        return 0, 0, [], hop
    framed = samples[: count * hop].reshape(count, hop).astype(np.float32)
    power = np.einsum("ij,ij->i", framed, framed) / hop
    level = 10.0 * np.log10(power + 1.0)
    ordered = np.sort(level)
    loud, floor = float(ordered[int(0.95 * (count - 1))]), float(ordered[int(0.02 * (count - 1))])
    sounding = level > max(loud - _DEPTH_DB, min(floor + _FLOOR_DB, loud - 12.0))
    at = np.flatnonzero(sounding)
    if not at.size:
        return 0, count, [], hop
    gaps = np.flatnonzero(np.diff(at) > _SHORTEST_PAUSE_HOPS)
    runs = [(int(at[g]) + 1, int(at[g + 1])) for g in gaps]
    return int(at[0]), int(at[-1]) + 1, runs, hop


# --- both together -----------------------------------------------------------------------------------------------

_STOP, _COMMA, _DASH, _OPEN = 0, 1, 2, 3
_JOINS = frozenset("and but or so because which who when while where if to for with from at on in by then that".split())
# What it costs to take a silence for the pause after a word: by what stands after the word, and the silence's length.
# (cost of no pause at all, cost of a pause of no length, how much each second lowers it)
_NO_PAUSE = np.array([4.0, 2.5, 1.0, 0.0])
_PAUSE = np.array([0.0, 0.0, 0.5, 4.0])
_INSIDE_PER_S = 40.0
_INSIDE_FROM_S = 0.06
_SPREAD = 0.02
_SPREAD_LEAST = 0.0015
_LENGTHENED_S = 0.06


def align_words(text: str, pcm: bytes, rate_hz: int) -> tuple[HeardWord, ...]:
    """A place in the audio for each word of the text, in order, in samples."""
    words = text.split()
    total = len(pcm) // 2
    if not words:
        return ()
    first, last, runs, hop = silences(pcm, rate_hz)
    hop_s = hop / rate_hz
    lengths = np.array([spoken_s(word) for word in words])
    after = np.array([_after(word) for word in words])
    lengths = lengths + _LENGTHENED_S * (after != _OPEN)
    lengths[-1] += 0.0 if after[-1] != _OPEN else _LENGTHENED_S
    if len(runs) > _MOST_PAUSES:
        keep = sorted(sorted(range(len(runs)), key=lambda r: runs[r][0] - runs[r][1])[:_MOST_PAUSES])
        runs = [runs[k] for k in keep]
    pauses = _pauses(lengths, after, first, last, runs, hop_s)
    edges = [(0, 0, first)] + [(word + 1, *runs[run]) for run, word in pauses] + [(len(words), last, last)]
    placed: list[HeardWord] = []
    for (from_word, _, start), (to_word, end, _) in pairwise(edges):
        share = np.cumsum(lengths[from_word:to_word])
        ends = start + (end - start) * share / share[-1]
        at = start
        for word, until in zip(words[from_word:to_word], ends, strict=True):
            placed.append(HeardWord(word, min(total, round(at * hop)), min(total, round(until * hop))))
            at = until
    return tuple(placed)


def _after(word: str) -> int:
    bare = word.rstrip("\"')]}”’»")
    if bare.endswith((".", "!", "?", "…")):
        return _COMMA if bare.lower().rstrip(".").replace(".", "") in _SPELLED else _STOP
    if bare.endswith((",", ";", ":")):
        return _COMMA
    return _DASH if bare.endswith(("-", "–", "—")) else _OPEN


def _pauses(
    lengths: Floats, after: npt.NDArray[np.int64], first: int, last: int, runs: Sequence[tuple[int, int]], hop_s: float
) -> list[tuple[int, int]]:
    """Which silence is the pause after which word: (silence, word), in order."""
    count = len(lengths)
    if not runs or count < 2:
        return []
    starts = np.array([r[0] for r in runs] + [last]) * hop_s
    ends = np.array([first] + [r[1] for r in runs]) * hop_s
    gap_s = starts[:-1] - ends[1:]
    gap_s = -gap_s
    inside = np.maximum(0.0, gap_s - _INSIDE_FROM_S) * _INSIDE_PER_S
    inside_before = np.concatenate(([0.0], np.cumsum(inside)))
    total_s = starts[-1] - ends[0] - float(gap_s[gap_s > 0.08].sum())
    spoken_until = np.concatenate(([0.0], np.cumsum(lengths)))
    rate = max(total_s, 0.05) / spoken_until[-1]
    spoken_until = spoken_until * rate
    missed = _NO_PAUSE[after]
    missed[-1] = 0.0
    missed_until = np.concatenate(([0.0], np.cumsum(missed)))
    # Node n: a boundary after word w (1..count-1) at silence n-1; node 0 is the beginning, the last node the end.
    nodes = len(runs)
    best = np.full((nodes + 1, count + 1), np.inf)
    best[0, 0] = 0.0
    came = np.zeros((nodes + 1, count + 1), dtype=np.int64)
    words_s = spoken_until[None, :] - spoken_until[:, None]
    skipped = missed_until[None, :] - missed_until[:, None]
    ahead = words_s > 0
    variance = _SPREAD * np.maximum(words_s, 0.0) + _SPREAD_LEAST
    for node in range(1, nodes + 2):
        at_s = starts[node - 1]
        took_s = at_s - ends[:node]
        cost = (took_s[:, None, None] - words_s) ** 2 / (2 * variance)
        cost += skipped
        cost += (inside_before[node - 1] - inside_before[:node])[:, None, None]
        cost = np.where(ahead, cost + best[:node, :, None], np.inf)
        flat = cost.reshape(node * (count + 1), count + 1)
        if node == nodes + 1:
            chosen = int(np.argmin(flat[:, count]))
            break
        choice = np.argmin(flat, axis=0)
        came[node] = choice
        best[node] = flat[choice, np.arange(count + 1)]
        best[node, 0] = best[node, count] = np.inf
        best[node, 1:count] += (_PAUSE[after] - missed)[: count - 1]
    pauses: list[tuple[int, int]] = []
    node, word = divmod(chosen, count + 1)
    while node:
        pauses.append((node - 1, word - 1))
        node, word = divmod(int(came[node, word]), count + 1)
    return pauses[::-1]

"""Labelled turns of callers: sentences with pauses inside, numbers, spelled names, hesitations, in three "halves".

Each turn is put together from spoken pieces and silence, so it is known to 10 ms where the voice pauses and where it ends.
A voice with exact word times says the whole utterance and is cut between two words (its melody goes on across the pause);
one without says the pieces one by one, with a comma after those that are not the last.

Pauses: logarithms normally distributed, median 0.45 s, sigma 0.5, kept within 0.2-1.2 s. Voices may pause by themselves too.
The recogniser's words carry no punctuation, and numbers come as words: it gives nothing away that a real one would not know.
Validation: Kokoro's voices over sentences of its own, digits and letters and prompts of Asterisk, LibriVox's sentences. Held
out: other voices of Kokoro's, other sentences, other digits, letters and prompts; no LibriVox, which has no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np

from bench.speech import held_out_sentences, sentences, voices
from bench.speech.voices import LINE_HZ, RATE_HZ, Floats, Shorts, Speech, Timed, speak

HALVES = ("tuning", "validation", "held_out")
SEEDED_AS = {"tuning": "tuning", "validation": "held_out", "held_out": "held_out new"}
"""What is drawn in each half hangs on this name. The validation half was the held-out one, and sounds as it did."""
SEEDS_FROM = {"tuning": 0, "validation": 0, "held_out": 40_000}
CONDITIONS = ("clean", "noise", "loss")
LOSS = 0.03
SNR_DB = (10.0, 20.0)
LEAD_S = 0.6
TAIL_S = 4.0
FLOOR_DB = 45.0
"""Even a clean line has noise this far below the voice."""

# How many turns of each kind in a hundred.
KINDS = {
    "mid": 15, "clause": 9, "question": 9, "two": 7, "opening": 7, "hesitation": 10, "yes_no": 8, "short": 7,
    "plain": 12, "phone": 6, "card": 4, "spelled": 4, "email": 2,
}  # fmt: skip
UTTERANCES = {"tuning": 1000, "validation": 300, "held_out": 300}
TAKES = {"tuning": 1, "validation": 3, "held_out": 3}
"""How often an utterance is used, each time with pauses of its own and in another condition: Kokoro is slow (over half of
real time on one core), so its sentences come three times."""
CASTS = {
    "tuning": 6 * voices.HIBARI + voices.ESPEAK + voices.FLITE,
    "validation": voices.KOKORO,
    "held_out": voices.KOKORO_NEW,
}
"""Half of the tuning turns are hibari's: to the acoustic model the melodies of espeak-ng and flite mean nothing."""
PEOPLE = {"digits": 70, "letters": 30}
BOOKS = {"validation": 5, "held_out": 0}

_JOIN = {"mid": " ", "question": " ", "short": " ", "plain": " ", "two": ". "}


@dataclass(frozen=True, slots=True)
class Turn:
    """What is said and how, and on what line. pieces: with the caller's pauses between them. key: unique and stable."""

    key: str
    half: str
    kind: str
    voice: str
    pieces: tuple[str, ...]
    pauses_s: tuple[float, ...]
    condition: str
    seed: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A turn on the line: PCM16 at 8 kHz. Words, pauses and the end are the labels, in its seconds."""

    pcm: Shorts
    words: tuple[Timed, ...]
    pauses: tuple[tuple[float, float], ...]
    end_s: float


# --- what is said ------------------------------------------------------------------------------------------------


def turns(half: str) -> list[Turn]:
    """The half, always the same."""
    random = Random(f"turns {SEEDED_AS[half]}")
    found: list[Turn] = []
    kinds = [kind for kind, share in KINDS.items() for _ in range(share * UTTERANCES[half] // 100)]
    casts = CASTS[half]
    texts = {kind: _supply(half, kind, random) for kind in KINDS}
    for number, kind in enumerate(kinds):
        voice, text = casts[number * 7 % len(casts)], next(texts[kind])
        places = text.split(" | ")
        for take in range(TAKES[half]):
            pieces = _pieces(kind, places, random)
            pauses = tuple(_pause(random) for _ in pieces[1:])
            condition = CONDITIONS[(number + take) % 3]
            key, seed = f"{SEEDED_AS[half]}-{number}-{take}", SEEDS_FROM[half] + 10 * number + take
            found.append(Turn(key, half, kind, voice, pieces, pauses, condition, seed))
    if half != "tuning":
        found += _people(half, random)
    return found


def _supply(half: str, kind: str, random: Random) -> Iterator[str]:
    listed = sentences.SENTENCES[half].get(kind)
    if listed is None:
        while True:
            yield _made(half, kind, random)
    lines = listed.strip().splitlines()
    while True:
        random.shuffle(lines)
        for line in lines:
            yield re.sub(r"\{([^}]*)\}", lambda m: random.choice(m.group(1).split("|")), line)


def _made(half: str, kind: str, random: Random) -> str:
    name = random.choice(sentences.NAMES[half])
    if kind == "phone":
        groups = random.choice(((3, 3, 4), (3, 3, 4), (3, 4), (3, 3, 2, 2)))
        return _led(random.choice(sentences.NUMBER_LEADS[half]), [_digits(n, random) for n in groups])
    if kind == "card":
        groups = random.choice(((4, 4, 4, 4), (4, 4), (3, 3), (2, 2, 2), (3, 3, 3)))
        return _led(random.choice(sentences.CARD_LEADS[half]), [_digits(n, random) for n in groups])
    if kind == "spelled":
        size = random.choice((1, 2, 3))
        letters = name.upper()
        groups_of = [" ".join(letters[at : at + size]) for at in range(0, len(letters), size)]
        return _led(random.choice(sentences.SPELL_LEADS[half]).format(name=name), groups_of)
    user = random.choice(
        (name, f"{name} {_digits(2, random)}", f"{random.choice('abcdejklmrst').upper()} dot {name}")
    )
    return _led(
        random.choice(sentences.EMAIL_LEADS[half]), [user, f"at {random.choice(sentences.DOMAINS[half])}"]
    )


def _digits(count: int, random: Random) -> str:
    return " ".join(random.choice(voices.DIGITS) for _ in range(count))


def _led(lead: str, groups: Sequence[str]) -> str:
    return " | ".join([lead, *groups] if lead else groups)


def _pieces(kind: str, places: Sequence[str], random: Random) -> tuple[str, ...]:
    """Which of the places are pauses: of phrases one or two, of the rest nearly all."""
    count = len(places) - 1
    if kind in ("mid", "question", "clause"):
        used = set(random.sample(range(count), min(count, 1 if random.random() < 0.7 else 2)))
    else:
        used = {place for place in range(count) if random.random() < 0.75} or ({0} if count else set())
    join = _JOIN.get(kind, ", ")
    pieces = [places[0]]
    for place, text in enumerate(places[1:]):
        if place in used:
            pieces.append(text)
        else:
            pieces[-1] += join + text
    return tuple(pieces)


def _pause(random: Random) -> float:
    return min(max(random.lognormvariate(np.log(0.45), 0.5), 0.2), 1.2)


def _people(half: str, random: Random) -> list[Turn]:
    """Recordings: digits and letters in groups, prompts and sentences as they are."""
    found = []
    for number in range(PEOPLE["digits"]):
        groups = random.choice(((3, 3, 4), (3, 4), (4, 4, 4, 4), (2, 2, 2), (4, 4), (3, 3)))
        found.append(_recorded(half, "digits", number, [_digits(n, random) for n in groups], random))
    for number in range(PEOPLE["letters"]):
        letters = random.choice(sentences.NAMES[half])
        size = random.choice((2, 3, 4))
        pieces = [" ".join(letters[at : at + size]) for at in range(0, len(letters), size)]
        found.append(_recorded(half, "letters", number, pieces, random))
    found += [
        _person(half, "prompt", name, "asterisk", (name,), (), number, 20_000)
        for number, name in enumerate(sorted(_prompts(half)))
    ]
    found += [
        _person(half, "book", str(number), "librivox", (str(number),), (), number, 30_000)
        for number in range(BOOKS[half])
    ]
    return found


def _recorded(half: str, kind: str, number: int, pieces: Sequence[str], random: Random) -> Turn:
    pauses = tuple(_pause(random) for _ in pieces[1:])
    return _person(half, kind, str(number), "asterisk", tuple(pieces), pauses, number, 10_000)


def _person(
    half: str,
    kind: str,
    name: str,
    voice: str,
    pieces: tuple[str, ...],
    pauses_s: tuple[float, ...],
    number: int,
    first_seed: int,
) -> Turn:
    key = f"{kind}-{name}" if half == "validation" else f"{SEEDED_AS[half]}-{kind}-{name}"
    seed = SEEDS_FROM[half] + first_seed + number
    return Turn(key, half, kind, voice, pieces, pauses_s, CONDITIONS[number % 3], seed)


@cache
def _prompts(half: str) -> dict[str, str]:
    """Asterisk's recordings of the half, and what they say."""
    from tests.adapters.local.speech import SAID

    return SAID if half == "validation" else held_out_sentences.PROMPTS


# --- how it sounds -----------------------------------------------------------------------------------------------


def heard(turn: Turn) -> Heard:
    """The turn through its telephone."""
    condition = turn.condition
    pcm, words, pauses, end_s = _joined(_spoken(turn), turn.pauses_s)
    seed = turn.seed + 100_000 * CONDITIONS.index(condition)
    random = Random(f"line {turn.key} {condition}")
    if condition == "noise":
        samples = len(pcm) * LINE_HZ // RATE_HZ
        kind = random.choice(("pink", "hum", "babble"))
        noise = (
            voices.pink(samples, seed) if kind == "pink" else voices.hum(samples, seed) if kind == "hum"
            else voices.babble(samples, _talkers(turn.half), seed)
        )  # fmt: skip
        line = voices.telephone(pcm, noise=noise, noise_db=random.uniform(*SNR_DB), seed=seed)
    else:
        loss = LOSS if condition == "loss" else 0.0
        line = voices.telephone(pcm, noise_db=FLOOR_DB, loss=loss, seed=seed)
    return Heard(line, words, pauses, end_s)


@cache
def _talkers(half: str) -> list[Speech]:
    """Whose talk the babble is made of."""
    if half == "validation":
        return voices.librivox()
    lines = sentences.SENTENCES[half]["plain"].strip().split("\n")
    talkers = voices.TUNING if half == "tuning" else voices.KOKORO_NEW
    return [speak(voice, lines[n % len(lines)]) for n, voice in enumerate(talkers)]


def _spoken(turn: Turn) -> list[Speech]:
    """A piece of speech for each piece of the turn."""
    if turn.kind == "prompt":
        return [voices.prompt(turn.pieces[0], _prompts(turn.half)[turn.pieces[0]])]
    if turn.kind == "book":
        return [voices.librivox()[int(turn.pieces[0])]]
    if turn.voice == "asterisk":
        return [_read_out(turn.kind, piece) for piece in turn.pieces]
    texts = [_written(turn, place) for place in range(len(turn.pieces))]
    if turn.voice.partition(":")[0].partition("@")[0] in voices.EXACT:
        return _cut(speak(turn.voice, " ".join(texts)), [len(text.split()) for text in texts])
    return [speak(turn.voice, text if text[-1] in ".,?" else f"{text},") for text in texts]


def _written(turn: Turn, place: int) -> str:
    text = turn.pieces[place]
    if place == len(turn.pieces) - 1:
        asks = re.match(r"(what|when|where|who|how|which|is|are|do|does|can|could|would)\b", text)
        return text + ("?" if asks or turn.kind == "question" else ".")
    return text + _JOIN.get(turn.kind, ", ").rstrip()


def _cut(said: Speech, counts: Sequence[int]) -> list[Speech]:
    """Between the words where it is most quiet."""
    audio = said.pcm.astype(np.float32) / 32768.0
    parts, first, at = [], 0, 0
    for count in counts[:-1]:
        at += count
        low = max(first, int((said.words[at - 1][2] - 0.05) * RATE_HZ))
        high = max(low + 480, int((said.words[at][1] + 0.05) * RATE_HZ))
        power = np.convolve(audio[low:high] ** 2, np.ones(160), mode="same")
        place = low + int(power.argmin())
        parts.append(_part(said, first, place, at - count, at))
        first = place
    parts.append(_part(said, first, len(audio), at, len(said.words)))
    return parts


def _part(said: Speech, first: int, last: int, word: int, until: int) -> Speech:
    shift_s, length_s = first / RATE_HZ, (last - first) / RATE_HZ
    words = tuple(
        (w, min(max(a - shift_s, 0.0), length_s), min(max(b - shift_s, 0.0), length_s))
        for w, a, b in said.words[word:until]
    )
    return Speech(said.pcm[first:last], words)


def _read_out(kind: str, piece: str) -> Speech:
    """Digits or letters, each its own recording, 50 ms apart."""
    parts: list[Shorts] = []
    words: list[Timed] = []
    at = 0
    for symbol in piece.split():
        name = f"digits/{voices.DIGITS.index(symbol)}" if kind == "digits" else f"letters/{symbol}"
        one = voices.prompt(name, symbol)
        words.append((symbol, at / RATE_HZ, (at + len(one.pcm)) / RATE_HZ))
        gap = np.zeros(RATE_HZ // 20, np.int16)
        parts += [one.pcm, gap]
        at += len(one.pcm) + len(gap)
    return Speech(np.concatenate(parts[:-1]), tuple(words))


def _joined(
    pieces: Sequence[Speech], pauses_s: Sequence[float]
) -> tuple[Shorts, tuple[Timed, ...], tuple[tuple[float, float], ...], float]:
    """Each piece from its first voiced block to its last, exactly the pause between them, quiet before and after."""
    parts: list[Shorts] = [np.zeros(int(LEAD_S * RATE_HZ), np.int16)]
    words: list[Timed] = []
    pauses: list[tuple[float, float]] = []
    at = len(parts[0])
    for number, piece in enumerate(pieces):
        levels = piece.pcm.astype(np.float32) / 32768.0
        loud = np.flatnonzero(voices.voiced(levels))
        block = RATE_HZ // 100
        first, last = (int(loud[0]) * block, (int(loud[-1]) + 1) * block) if len(loud) else (0, len(levels))
        if number:
            silence = round(pauses_s[number - 1] * RATE_HZ)
            parts.append(np.zeros(silence, np.int16))
            pauses.append((at / RATE_HZ, (at + silence) / RATE_HZ))
            at += silence
        length_s = (last - first) / RATE_HZ
        for text, start, end in piece.words:
            begun = min(max(start - first / RATE_HZ, 0.0), length_s)
            done = min(max(end - first / RATE_HZ, begun), length_s)
            plain = re.sub(r"[^\w']", "", text)
            if plain:
                words.append((plain, at / RATE_HZ + begun, at / RATE_HZ + done))
        parts.append(_faded(piece.pcm[first:last]))
        at += last - first
    parts.append(np.zeros(int(TAIL_S * RATE_HZ), np.int16))
    return np.concatenate(parts), tuple(words), tuple(pauses), at / RATE_HZ


def _faded(pcm: Shorts) -> Shorts:
    """8 ms at both ends, so that a cut does not click."""
    size = min(RATE_HZ // 125, len(pcm) // 2)
    shape: Floats = np.ones(len(pcm), np.float32)
    shape[:size] = np.linspace(0, 1, size)
    shape[len(pcm) - size :] = np.linspace(1, 0, size)
    return np.asarray(pcm * shape, dtype=np.int16)

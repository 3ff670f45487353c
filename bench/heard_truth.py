"""Does the history hold what was heard? Random barge-ins against voices whose words' true places are hidden from us.

Real sessions on virtual time: the caller breaks into reply after reply at a random moment, about every fifth time after
a "mhm" that only pauses it. The media plane of the simulation counts the samples that left; a word was heard when half
of its samples had. The voices' audio is real (see heard_voices.py); the words' times are told to the runtime (`timed`),
told badly (`loose`: letters, missing words, numbers as they are read) or not at all (`untimed`; `noisy`: with noise 20 dB
under the voice). Voices and texts are held out: the aligner was tuned on other ones (espeak-ng en-us and en, flite slt and
kal16, hibari; the texts TUNING). Baselines: the whole text, as most systems write it, and the words in proportion to their
letters. Prints shares in percent with 95 % intervals, `unbroken_whole` (replies played to their end that are in the history
word for word) and what the alignment costs.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np

from aywa.boot.rehearsal import LEG, Rehearsal
from aywa.core.audio.align import align_words
from aywa.core.clauses import ClauseCutter
from aywa.core.spoken import spoken
from aywa.ports.llm import LlmRequest
from aywa.ports.stt import Word
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, broken
from aywa.testing.virtual_time import run_virtual
from bench.heard_texts import HELD_OUT
from bench.heard_voices import RATE_HZ, Clip, speak

VOICES = (
    "kokoro:af_heart@1.0", "kokoro:am_michael@1.0",
    "flite:rms", "flite:awb",
    "espeak:en-gb-scotland:160", "espeak:en-gb-x-rp+f2:190", "espeak:en-029:150", "espeak:en-us-nyc+f4:210",
)  # fmt: skip
BARGE_INS = 2000
# Fillers are other texts than those whose places are known.
ASSISTANT = {
    "firstMessageMode": "assistant-speaks-first-with-model-generated-message",
    "firstMessageInterruptionsEnabled": True,
    "fillerPlan": {"enabled": False},
    # The clips are of the texts as they are written, numbers too; how a text is put for the voice has its own tests.
    "voice": {"provider": "custom-voice", "chunkPlan": {"formatPlan": {"enabled": False}}},
}
A_CALL = 6
"""Barge-ins in one call."""
CALL_S = 300.0
QUESTION = ("may", "I", "ask", "you", "something")
INTERRUPTION = ("wait", "a", "moment", "please")
WORD_S = 0.2
HUM_SHARE = 0.25
TELLING = ("timed", "loose", "untimed", "noisy")
NOISE_DB = 20.0


def clauses(text: str) -> list[str]:
    """What the voice is asked for."""
    cutter = ClauseCutter()
    return [*cutter.feed(text), *cutter.finish()]


@dataclass(slots=True)
class Voice:
    """A voice with hidden word times. telling: one of TELLING."""

    clips: Mapping[str, Clip]
    telling: str
    chance: random.Random
    first_audio_s: float = 0.15
    name: str = "voice"

    @property
    def capabilities(self) -> TtsCapabilities:
        """As the port says."""
        return TtsCapabilities((RATE_HZ,), self.telling in ("timed", "loose"))

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        """The audio in two pieces, the words with the second: late."""
        await asyncio.sleep(self.first_audio_s)
        clip = self.clips.get(text)
        if clip is None:
            # The runtime's own phrases, which it prepares for when all else fails.
            raise broken(self.name)
        half = len(clip.pcm) // 4 * 2
        yield TtsChunk(clip.pcm[:half], RATE_HZ)
        yield TtsChunk(clip.pcm[half:], RATE_HZ, self._told(clip))

    def _told(self, clip: Clip) -> tuple[Word, ...]:
        if self.telling in ("untimed", "noisy"):
            return ()
        words = [Word(w, round(a / RATE_HZ, 2), round(b / RATE_HZ, 2)) for w, a, b in clip.places]
        return tuple(words) if self.telling == "timed" else self._loose(words)

    def _loose(self, words: list[Word]) -> tuple[Word, ...]:
        """Three clauses of ten by letters; the others as they are read, every sixth word missing, in any order."""
        if self.chance.random() < 0.3:
            return tuple(part for word in words for part in _split(word, [*word.text, " "]))
        kept = [word for word in words if self.chance.random() > 1 / 6]
        told = [part for word in kept for part in _split(word, spoken(word.text))]
        self.chance.shuffle(told)
        return tuple(told)


def _split(word: Word, parts: Sequence[str]) -> list[Word]:
    step_s = (word.end_s - word.start_s) / max(1, len(parts))
    return [Word(p, word.start_s + n * step_s, word.start_s + (n + 1) * step_s) for n, p in enumerate(parts)]


# --- one call ----------------------------------------------------------------------------------------------------


class _CallOver(Exception):
    """The call ended before its script did."""


@dataclass(slots=True)
class Call:
    """One caller and one agent. texts: what the agent says, in turn; it says the next one to every request, and the last
    again. breaks: whether the caller interrupts."""

    texts: Sequence[str]
    voice: Voice
    chance: random.Random
    breaks: bool = True
    rehearsal: Rehearsal = field(init=False)

    def __post_init__(self) -> None:
        self.rehearsal = Rehearsal(
            ASSISTANT,
            llm=ScriptedLlm(self._answer, first_token_s=0.3, token_s=1 / 60),
            tts=self.voice,  # type: ignore[arg-type]
            stt=ScriptedStt(finalize_s=0.1),
            rate_hz=RATE_HZ,
        )

    async def run(self) -> list[Outcome]:
        """The call, and what became of each reply of it."""
        running = asyncio.create_task(self.rehearsal.run([], CALL_S))
        await asyncio.sleep(0)
        with suppress(_CallOver):
            for number, text in enumerate(self.texts):
                reply_id = await self._playing()
                if self.breaks:
                    await self._break_in(text, reply_id)
                else:
                    await self._over(reply_id)
                    if number + 1 < len(self.texts):
                        await asyncio.sleep(0.5)
                        await self._say(QUESTION)
        assert self.rehearsal.media is not None
        await asyncio.sleep(3.0)
        self.rehearsal.media.disconnect(LEG)
        await running
        return self._outcomes()

    def _answer(self, request: LlmRequest) -> str:
        said = sum(message.role == "assistant" for message in request.messages)
        return self.texts[min(said, len(self.texts) - 1)]

    async def _playing(self) -> int:
        """Until the next reply leaves."""
        leg = self.rehearsal.leg
        over = 0 if leg is None else max(leg.played, default=0)
        while (leg := self.rehearsal.leg) is None or leg.playout is None or leg.playout.reply_id <= over:
            await self._wait()
        return leg.playout.reply_id

    async def _over(self, reply_id: int) -> None:
        leg = self.rehearsal.leg
        assert leg is not None
        while reply_id not in leg.played:
            await self._wait()

    async def _wait(self) -> None:
        leg = self.rehearsal.leg
        if leg is not None and leg.closed:
            raise _CallOver
        await asyncio.sleep(0.02)

    async def _break_in(self, text: str, reply_id: int) -> None:
        clips = [self.voice.clips[clause] for clause in clauses(text)]
        length_s = sum(len(clip.pcm) for clip in clips) / 2 / RATE_HZ
        after_s = self.chance.uniform(0.0, length_s)
        if self.chance.random() < HUM_SHARE and after_s > 2.0:
            await asyncio.sleep(after_s / 3)
            await self._say(("mhm",))
            await asyncio.sleep(after_s * 2 / 3)
        else:
            await asyncio.sleep(after_s)
        await self._say(INTERRUPTION)
        await self._over(reply_id)

    async def _say(self, words: Sequence[str]) -> None:
        media = self.rehearsal.media
        assert media is not None
        media.voice_started(LEG)
        for word in words:
            await asyncio.sleep(WORD_S)
            self.rehearsal.stt.stream.say(word)
        media.voice_stopped(LEG)

    def _outcomes(self) -> list[Outcome]:
        leg = self.rehearsal.leg
        assert leg is not None
        made: dict[tuple[int, int], str] = {}
        given: dict[int, list[str]] = {}
        outcomes: list[Outcome] = []
        paused: set[int] = set()
        resumed: set[int] = set()
        records = self.rehearsal.journal.records
        for place, record in enumerate(records):
            if record.kind == "ClauseSynthesized":
                made[record.data["reply_id"], record.data["clause"]] = record.data["text"]
            elif record.kind == "PlayClause":
                reply_id = record.data["reply_id"]
                given.setdefault(reply_id, []).append(made[reply_id, record.data["clause"]])
            elif record.kind == "PlayoutPaused":
                paused.add(record.data["reply_id"])
            elif record.kind == "PlayoutResumed" and record.data["reply_id"] in paused:
                resumed.add(record.data["reply_id"])
            elif record.kind in ("PlayoutDropped", "PlayoutFinished"):
                reply_id = record.data["reply_id"]
                if reply_id not in given:
                    continue
                written = ""
                for following in records[place + 1 :]:
                    if following.role == "event":
                        break
                    if following.kind == "RecordMessage" and following.data["message"]["role"] == "bot":
                        written = following.data["message"]["message"]
                finished = record.kind == "PlayoutFinished"
                clips = [self.voice.clips[text] for text in given[reply_id]]
                outcomes.append(
                    Outcome(
                        clips, given[reply_id], leg.played[reply_id], written, finished, reply_id in resumed
                    )
                )
        return outcomes


# --- what is true ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Outcome:
    """One reply: what was given to the media plane, how many samples left, and what the history says was heard."""

    clips: list[Clip]
    texts: list[str]
    played: int
    written: str
    finished: bool
    resumed: bool

    @property
    def words(self) -> list[str]:
        """All of them."""
        return " ".join(self.texts).split()

    @property
    def heard(self) -> int:
        """How many words were truly heard: half of their samples have left."""
        middles, at = [], 0
        for clip in self.clips:
            middles += [(at + start, at + (start + end) / 2) for _, start, end in clip.places]
            at += len(clip.pcm) // 2
        return sum(self.played > start and self.played >= middle for start, middle in middles)

    @property
    def error(self) -> int:
        """How many words the history has too many or too few; one that holds other words is as wrong as can be."""
        written = self.written.split()
        right = written == self.words[: len(written)]
        return len(written) - self.heard if right else len(self.words)

    def proportional(self) -> int:
        """The error of sharing each clause's time among its words by their letters."""
        count, at = 0, 0
        for text, clip in zip(self.texts, self.clips, strict=True):
            size = len(clip.pcm) // 2
            weights = [
                len(word) + 1 + 2 * word.endswith((".", ",", "?", "!", ";", ":")) for word in text.split()
            ]
            passed = 0
            for weight in weights:
                count += self.played > at and self.played >= at + size * (passed + weight / 2) / sum(weights)
                passed += weight
            at += size
        return count - self.heard


def shares(errors: Sequence[int]) -> dict[str, Any]:
    """Percent within one word and exact, with their 95 % intervals (Wilson)."""
    within, exact = (sum(abs(error) <= most for error in errors) for most in (1, 0))
    return {
        "within_one": _percent(within, len(errors)), "within_one_95": _interval(within, len(errors)),
        "exact": _percent(exact, len(errors)), "exact_95": _interval(exact, len(errors)), "barge_ins": len(errors),
    }  # fmt: skip


def _percent(count: int, of: int) -> float:
    return round(100 * count / of, 2)


def _interval(count: int, of: int) -> list[float]:
    z, share = 1.96, count / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return [round(100 * max(0.0, middle - half), 2), round(100 * min(1.0, middle + half), 2)]


def noisy(clips: Mapping[str, Clip]) -> dict[str, Clip]:
    """The same with noise, NOISE_DB under each clip's mean power."""
    random_ = np.random.default_rng(3)
    added: dict[str, Clip] = {}
    for text, clip in clips.items():
        samples = np.frombuffer(clip.pcm, "<i2").astype(np.float64)
        level = np.sqrt(np.mean(samples**2)) * 10 ** (-NOISE_DB / 20)
        mixed = samples + random_.normal(0.0, 1.0, samples.size) * level
        added[text] = Clip(np.clip(mixed, -32768, 32767).astype("<i2").tobytes(), clip.places)
    return added


# --- all calls ---------------------------------------------------------------------------------------------------


def barge_ins(
    clips: Mapping[str, Clip], voice: str, telling: str, texts: Sequence[str], wanted: int
) -> list[Outcome]:
    """So many interrupted replies of one voice."""
    outcomes: list[Outcome] = []
    number = 0
    while len(outcomes) < wanted:
        chance = random.Random(f"{voice} {telling} {number}")
        said = chance.sample(texts, A_CALL)
        call = Call(said, Voice(clips, telling, random.Random(f"told {voice} {number}")), chance)
        outcomes += [outcome for outcome in run_virtual(call.run()) if not outcome.finished]
        number += 1
    return outcomes[:wanted]


def main() -> None:
    """All of it."""
    texts = HELD_OUT
    figures: dict[str, Any] = {}
    by_voice: dict[str, dict[str, Any]] = {}
    pooled: dict[str, list[Outcome]] = {telling: [] for telling in TELLING}
    whole = unbroken = 0
    cost_s = audio_s = 0.0
    for place, voice in enumerate(VOICES):
        clips = speak(voice, [clause for text in texts for clause in clauses(text)])
        sounding = [t for t in texts if all(e > s for c in clauses(t) for _, s, e in clips[c].places)]
        wanted = BARGE_INS // len(VOICES) + (place < BARGE_INS % len(VOICES))
        row: dict[str, Any] = {"texts": len(sounding)}
        for telling, all_of_them in pooled.items():
            heard = noisy(clips) if telling == "noisy" else clips
            outcomes = barge_ins(heard, voice, telling, sounding, wanted)
            all_of_them += outcomes
            found = shares([outcome.error for outcome in outcomes])
            row[telling] = [found["within_one"], found["exact"]]
        for first in range(0, len(sounding) - A_CALL + 1, A_CALL):
            call = Call(
                sounding[first : first + A_CALL],
                Voice(clips, "untimed", random.Random(0)),
                random.Random(0),
                False,
            )
            for outcome in run_virtual(call.run()):
                unbroken += 1
                whole += outcome.finished and outcome.written.split() == outcome.words
        for text, clip in clips.items():
            began = time.thread_time()
            align_words(text, clip.pcm, RATE_HZ)
            cost_s += time.thread_time() - began
            audio_s += len(clip.pcm) / 2 / RATE_HZ
        by_voice[voice] = row
        sys.stderr.write(f"{voice}: {row}\n")
    for telling, outcomes in pooled.items():
        for figure, value in shares([outcome.error for outcome in outcomes]).items():
            figures[f"{telling}_{figure}"] = value
    untimed = pooled["untimed"]
    figures["letters"] = shares([outcome.proportional() for outcome in untimed])
    figures["whole_text"] = shares([len(outcome.words) - outcome.heard for outcome in untimed])
    figures |= {
        "unbroken_whole": _percent(whole, unbroken), "unbroken": unbroken,
        "after_a_pause": sum(o.resumed for each in pooled.values() for o in each), "by_voice": by_voice,
        "align_us_per_audio_s": round(1e6 * cost_s / audio_s, 1),
        "samples": {"unbroken_whole": unbroken}
        | {f"{telling}_within_one": len(outcomes) for telling, outcomes in pooled.items()},
    }  # fmt: skip
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()

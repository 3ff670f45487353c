"""What a long, polite wait costs when the reply is made while it runs: voice to voice, premature replies, discarded requests.

Real sessions on virtual time. The callers are espeak-ng's voices over a telephone line (8 kHz, mu-law); their voice is
found by Silero and the real VoiceDetector, their words come from the simulated recogniser (partials every 300 ms +-30 %, a
word 250 ms after its end, `finalize` answered in 100 ms; the fast one: every 100 ms, 50 ms). Model: 300 ms to the first
token, 60 tokens a second; voice: 150 ms to a clause's audio. Turns begin anywhere within the 20 ms of a frame.
Voice to voice counts at the wire: the last voiced frame arrived -> the first frame of the reply left. A hesitation is
400 ms of silence between two halves that were spoken as clauses of their own. A reply is premature when its audio leaves before
the turn's last voiced frame. Discarded: requests to the model of which nothing was heard, by turn; tokens likewise.
Baseline: a bare pipe that waits for the recogniser's final and speaks sentence by sentence.

Prints {"p50_ms", "p95_ms", "fast_p50_ms", "premature", "discarded_clean", "discarded_hesitations", "own_p50_ms", "own_p95_ms",
"rows", "samples"}; the latencies are the worse of the waits of 0.5 s and 0.7 s, the others the worst of these and our own.
Our own wait is a second after a statement, and longer in a number: a floor under the latency, which is told apart.
fast_p50_ms is that of 0.5 s, for the same reason.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

import numpy as np

from aywa.adapters.local.silero import SileroVad
from aywa.adapters.models.cache import models_dir
from aywa.boot.rehearsal import LEG, Rehearsal
from aywa.core.audio.frame import to_float
from aywa.ports.llm import Finished, LlmDelta, LlmRequest, TextDelta
from aywa.ports.stt import SttOptions, SttStream, Word
from aywa.testing.labelled_media import FRAME_S, LabelledMedia, Sound, sound_of
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedTts
from aywa.testing.simulated_stt import FAST, TYPICAL, Hearing, SimulatedStt
from aywa.testing.virtual_time import run_virtual
from aywa.testing.wire import voiced_frames
from bench.speech import voices

CALLS = 24
TURNS = 10
LINE_HZ = voices.LINE_HZ
FIRST_TOKEN_S, TOKEN_S, FIRST_AUDIO_S = 0.3, 1 / 60, 0.15
HESITATION_S = 0.4
LEAD_S, TAIL_S = 0.3, 2.0
SENTENCES = (
    ("I would like to book a table", "for tomorrow evening please"),
    ("can you tell me", "when you open in the morning"),
    ("I have a question", "about my last invoice"),
    ("what does it cost", "to send a parcel abroad"),
    ("my internet connection", "stopped working last night"),
    ("I want to change", "the date of my appointment"),
    ("is it possible", "to pay with a credit card"),
    ("where can I find", "the nearest parking garage"),
    ("I am calling because", "the heating makes a strange noise"),
    ("could you please check", "whether my order was shipped"),
    ("do you still have rooms", "with a view of the lake"),
    ("I lost my key card", "somewhere in the building"),
)
# Cut by the tokens of a model: a word, a mark; long words are two.
REPLIES = (
    "Sure, I can do that for you. Is there anything else?",
    "Of course. Let me look that up for you right away.",
    "Certainly, that is possible. Would you like me to arrange it?",
    "Yes, we can do that. It will take a moment.",
    "Thank you, I have found it. It is all in order.",
    "I understand. Let me see what I can do about that.",
    "All right, I have made a note of it. Do you need anything else?",
    "Good question. We usually answer that within a day.",
    "No problem, I will take care of it now.",
    "Let me check that for you. One moment.",
    "I am sorry to hear that. Let us find out what happened.",
    "We are happy to help with that, and it will not take long.",
)
_TOKEN = re.compile(r"\s?(?:[A-Za-z']{1,8}|[^A-Za-z'\s])")


def waiting(seconds: float, **more: object) -> Mapping[str, Any]:
    """An assistant that waits so long after every turn, whatever was said."""
    waits = dict.fromkeys(("onPunctuationSeconds", "onNoPunctuationSeconds", "onNumberSeconds"), seconds)
    return {"startSpeakingPlan": {"waitSeconds": seconds, "transcriptionEndpointingPlan": waits, **more}}


SET = ("0.5", "0.7")
WAITS: Mapping[str, Mapping[str, Any]] = {"0.5": waiting(0.5), "0.7": waiting(0.7), "own": {}}


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is said, the detector's word on it, and when its last voiced frame arrives, all from the sound's beginning."""

    sound: Sound
    words: tuple[Word, ...]
    ends_s: float


@cache
def detector() -> SileroVad:
    """The runtime's own."""
    return SileroVad(models_dir() / "silero" / "silero_vad.onnx", LINE_HZ)


@cache
def utterance(voice: str, number: int, hesitating: bool) -> Utterance:
    """A sentence over the line, with or without a hesitation in its middle."""
    first, second = SENTENCES[number]
    parts = [first + ",", second + "."] if hesitating else [f"{first} {second}."]
    pcm, words, at_s = [np.zeros(round(LEAD_S * voices.RATE_HZ), np.int16)], [], LEAD_S
    for part in parts:
        if at_s > LEAD_S:
            pcm.append(np.zeros(round(HESITATION_S * voices.RATE_HZ), np.int16))
            at_s += HESITATION_S
        said = voices.speak(voice, part)
        words += [Word(re.sub(r"\W", "", w), at_s + a, at_s + b) for w, a, b in said.words]
        pcm.append(said.pcm)
        at_s += said.seconds
    line = voices.telephone(np.concatenate([*pcm, np.zeros(round(TAIL_S * voices.RATE_HZ), np.int16)]))
    size = round(FRAME_S * LINE_HZ)
    frames = [line[at : at + size].tobytes() for at in range(0, len(line) - size + 1, size)]
    last = max(at for at, loud in enumerate(voiced_frames(frames)) if loud)
    return Utterance(sound_of(to_float(line.tobytes()), detector()), tuple(words), (last + 1) * FRAME_S)


@dataclass(slots=True)
class TimedLlm(ScriptedLlm):
    """Answers token by token; notes when it was asked and how many tokens each request came to."""

    chance: Random = field(default_factory=lambda: Random(0))
    tokens: list[int] = field(default_factory=list)

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """One of the replies."""
        at = len(self.requests)
        self.requests.append(request)
        self.tokens.append(0)
        reply = f"{self.chance.choice(REPLIES)} "
        await asyncio.sleep(FIRST_TOKEN_S)
        for token in _TOKEN.findall(reply):
            self.tokens[at] += 1
            yield TextDelta(token)
            await asyncio.sleep(TOKEN_S)
        yield Finished("stop", completion_tokens=self.tokens[at])


@dataclass(slots=True)
class Row:
    """What came of all turns of one setting."""

    latencies_ms: list[float] = field(default_factory=list)
    turns: int = 0
    premature: int = 0
    requests: int = 0
    answered: int = 0
    tokens_wasted: int = 0

    def figures(self) -> dict[str, float]:
        """For the table."""
        turns = max(1, self.turns)
        return {
            "turns": self.turns,
            "p50_ms": percentile(self.latencies_ms, 50),
            "p95_ms": percentile(self.latencies_ms, 95),
            "premature": round(self.premature / turns, 3),
            "discarded": round((self.requests - self.answered) / turns, 3),
            "tokens_wasted": round(self.tokens_wasted / turns, 2),
        }


def percentile(values: Sequence[float], share: float) -> float:
    """NaN for none."""
    return round(float(np.percentile(values, share)), 1) if values else float("nan")


@dataclass(slots=True)
class Caller:
    """Speaks its turns, each a while after the reply to the one before was heard to its end."""

    call: Rehearsal
    media: LabelledMedia
    seed: int
    hesitating: bool
    ends_s: list[float] = field(default_factory=list)
    begins_s: list[float] = field(default_factory=list)

    async def act(self) -> None:
        """All turns."""
        chance = Random(self.seed)
        voice = voices.ESPEAK[self.seed % len(voices.ESPEAK)]
        assert self.call.recogniser is not None
        for number in chance.sample(range(len(SENTENCES)), TURNS):
            await asyncio.sleep(chance.uniform(1.0, 1.5))
            said = utterance(voice, number, self.hesitating)
            at_s = self.media.hear(LEG, said.sound)
            self.call.recogniser.say(Word(w.text, at_s + w.start_s, at_s + w.end_s) for w in said.words)
            self.begins_s.append(at_s)
            # The frame that holds the voice's end arrives at a whole number of frames.
            self.ends_s.append(np.ceil((at_s + said.ends_s) / FRAME_S - 1e-6) * FRAME_S)
            await asyncio.sleep(said.ends_s + 3.0)
            await self._agent_is_silent()

    async def _agent_is_silent(self) -> None:
        assert self.call.leg is not None
        while True:
            if self.call.leg.playout is None:
                return
            await asyncio.sleep(0.05)


async def call_once(
    assistant: Mapping[str, Any], hearing: Hearing, seed: int, hesitating: bool, row: Row
) -> None:
    """One call of several turns."""
    media = LabelledMedia()
    llm = TimedLlm(chance=Random(seed))
    call = Rehearsal(
        {"firstMessageMode": "assistant-waits-for-user", **assistant},
        llm,
        ScriptedTts(FIRST_AUDIO_S, 0.3),
        rate_hz=LINE_HZ,
        recogniser=SimulatedStt((), hearing, seed),
    )
    caller = Caller(call, media, seed, hesitating)

    async def act() -> None:
        await caller.act()
        media.disconnect(LEG)

    await call.perform(media, act, 600.0)
    assert call.leg is not None
    begun_s: dict[int, float] = {}
    for stretch in call.leg.heard:
        begun_s.setdefault(stretch.reply_id, stretch.from_s)
    asked = [r.data["reply_id"] for r in call.journal.of("StartReply")]
    for begins_s, ends_s in zip(caller.begins_s, caller.ends_s, strict=True):
        row.turns += 1
        replies = [at_s for at_s in begun_s.values() if begins_s <= at_s < ends_s + 4.0]
        row.premature += sum(1 for at_s in replies if at_s < ends_s)
        after = [at_s for at_s in replies if at_s >= ends_s]
        row.latencies_ms += [1000 * (min(after) - ends_s)] if after else []
    row.requests += len(llm.requests)
    row.answered += sum(reply_id in begun_s for reply_id in asked)
    row.tokens_wasted += sum(
        tokens for reply_id, tokens in zip(asked, llm.tokens, strict=False) if reply_id not in begun_s
    )


async def bare_pipe(hearing: Hearing, seed: int, hesitating: bool, row: Row) -> None:
    """Every final is a turn: ask, wait for a sentence, speak it."""
    chance, loop = Random(seed), asyncio.get_running_loop()
    voice = voices.ESPEAK[seed % len(voices.ESPEAK)]
    for number in chance.sample(range(len(SENTENCES)), TURNS):
        said = utterance(voice, number, hesitating)
        stt = SimulatedStt(said.words, hearing, seed)
        llm = TimedLlm(chance=chance)
        stream = await stt.open(SttOptions(LINE_HZ))
        began_s = loop.time()
        closing = asyncio.create_task(_close_in(said.ends_s + 3.0, stream))
        row.turns += 1
        async for result in stream.results():
            if not result.is_final:
                continue
            text = ""
            async for delta in llm.stream(LlmRequest(())):
                text += delta.text if isinstance(delta, TextDelta) else ""
                if re.search(r"[.!?]\s", text):
                    break
            await asyncio.sleep(FIRST_AUDIO_S)
            late_s = loop.time() - began_s - said.ends_s
            row.premature += late_s < 0
            row.latencies_ms += [1000 * late_s] if late_s >= 0 else []
            row.requests += 1
            row.answered += 1
        await closing


async def _close_in(seconds: float, stream: SttStream) -> None:
    await asyncio.sleep(seconds)
    await stream.close()


async def measure(assistant: Mapping[str, Any] | None, hearing: Hearing, hesitating: bool, calls: int) -> Row:
    """All calls of a row, side by side. No assistant: the bare pipe."""
    row = Row()
    if assistant is None:
        await asyncio.gather(*(bare_pipe(hearing, seed, hesitating, row) for seed in range(calls)))
    else:
        await asyncio.gather(*(call_once(assistant, hearing, seed, hesitating, row) for seed in range(calls)))
    return row


def main() -> None:
    """All rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help=f"of {TURNS} turns each, a row")
    calls = parser.parse_args().calls
    rows: dict[str, dict[str, float]] = {}
    settings: dict[str, Mapping[str, Any] | None] = {"bare pipe": None, **WAITS}
    for wait_s in (0.5, 0.7):
        settings[f"{wait_s}, no speculation"] = waiting(wait_s, speculationEnabled=False)
    for setting, assistant in settings.items():
        for ear, hearing in (("typical", TYPICAL), ("fast", FAST)):
            for speech in ("clean", "hesitations"):
                row = run_virtual(measure(assistant, hearing, speech == "hesitations", calls))
                figures = rows[f"{setting} | {ear} | {speech}"] = row.figures()
                shown = "  ".join(f"{name} {value:g}" for name, value in figures.items())
                sys.stderr.write(f"{setting + ', ' + ear + ', ' + speech:44s} {shown}\n")

    def worst(figure: str, *names: str) -> float:
        return max(rows[f"{wait} | {name}"][figure] for wait in WAITS for name in names)

    bounded: dict[str, object] = {
        "p50_ms": max(rows[f"{wait} | typical | clean"]["p50_ms"] for wait in SET),
        "p95_ms": max(rows[f"{wait} | typical | clean"]["p95_ms"] for wait in SET),
        "own_p50_ms": rows["own | typical | clean"]["p50_ms"],
        "own_p95_ms": rows["own | typical | clean"]["p95_ms"],
        "fast_p50_ms": rows["0.5 | fast | clean"]["p50_ms"],
        "premature": worst("premature", "typical | hesitations", "fast | hesitations"),
        "discarded_clean": worst("discarded", "typical | clean", "fast | clean"),
        "discarded_hesitations": worst("discarded", "typical | hesitations", "fast | hesitations"),
        "rows": rows,
        "samples": calls * TURNS,
    }
    sys.stdout.write(json.dumps(bounded) + "\n")


if __name__ == "__main__":
    main()

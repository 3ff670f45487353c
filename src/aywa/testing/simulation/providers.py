"""A model, a voice and a turn model that fail as they are drawn to; and the recogniser's faults."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from random import Random

from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import Finished, LlmDelta, LlmRequest, TextDelta, ToolCallDelta
from aywa.ports.stt import Word
from aywa.ports.tts import TtsChunk, TtsOptions
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedTts
from aywa.testing.simulated_stt import SttFault, SttFaults, SttStep
from aywa.testing.simulation.faults import LLM, STT_FINALIZE, STT_OPEN, STT_PARTIAL, TTS, TURN_MODEL, Faults
from aywa.testing.simulation.truth import Request, Truth

ANSWERS = (
    "certainly. That is done.",
    "yes.",
    "well, there are rooms for two and rooms for three, and all of them have a window and a door.",
    "let me see. We are open from eight to six on weekdays, and from nine to one on Saturdays. Anything else?",
    "of course, I can tell you. First you send the form. Then we call you back within a day. Is that all right?",
)
WRONG = ("...", "\n\n", "**", "\u200b", "!!! ??? ,,,", "\x00\x07", "<|end|>")
LATE_S = (2.0, 4.0, 7.0, 12.0)
CLINGS_S = 30.0
_NUMBER = re.compile(r"\bw(\d+)\b")


def failure(route: str, kind: str) -> ProviderError:
    """As the port tells it: `refused` is the customer's fault and final, anything else may pass."""
    if kind == "refused":
        return ProviderError(route, "unauthorized", "simulated", fault=Fault.CONFIG, retryable=False)
    return ProviderError(route, "unavailable", "simulated", fault=Fault.PROVIDER, retryable=True)


async def never() -> None:
    """Waits until it is cancelled."""
    await asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class FaultyLlm(ScriptedLlm):
    """Every answer begins with the number of its request (r1, r2 ...), so that what was heard tells what was asked."""

    truth: Truth = field(default_factory=Truth)
    faults: Faults = field(default_factory=lambda: Faults(Random(0), 0.0))
    chance: Random = field(default_factory=lambda: Random(0))

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """The answer, or what goes wrong with it."""
        number = len(self.truth.requests) + 1
        self.truth.requests.append(Request(number, self.faults.now(), _newest(request)))
        fault = self.faults.draw("llm.answer", LLM)
        words = f"r{number}, {self.chance.choice(ANSWERS)}".split()
        stop = self.chance.randint(1, len(words))
        try:
            await asyncio.sleep(self.first_token_s)
            match fault:
                case "late":
                    await asyncio.sleep(self.chance.choice(LATE_S))
                case "never":
                    await never()
                case "error" | "refused":
                    raise failure(self.name, fault)
                case "crash":
                    raise ZeroDivisionError("simulated")
                case "empty":
                    words = []
                case "wrong":
                    words = [self.chance.choice(WRONG)]
                case "tool_only":
                    words = []
                    yield ToolCallDelta(0, "call_1", "look_up", '{"what": "nothing"}')
                case "doubled":
                    words = [word for word in words for _ in range(2)]
                case _:
                    pass
            for at, word in enumerate(words):
                if at == stop and fault in ("half", "stalled", "clinging"):
                    if fault == "half":
                        raise failure(self.name, "error")
                    await never()
                yield TextDelta(word + " ")
                await asyncio.sleep(self.token_s)
            yield Finished("stop", completion_tokens=len(words))
            if fault == "doubled":
                yield Finished("stop", completion_tokens=len(words))
        finally:
            if fault == "clinging":
                await asyncio.sleep(CLINGS_S)


@dataclass(slots=True)
class FaultyTts(ScriptedTts):
    """Samples carry the number of their word (truth.Lexicon). Words last as long as they are long, give or take a fifth."""

    truth: Truth = field(default_factory=Truth)
    faults: Faults = field(default_factory=lambda: Faults(Random(0), 0.0))
    chance: Random = field(default_factory=lambda: Random(0))

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        """The audio, a few words a piece, or what goes wrong with it."""
        fault = self.faults.draw("tts.clause", TTS)
        self.spoken.append(text)
        try:
            await asyncio.sleep(self.first_audio_s)
            match fault:
                case "late":
                    await asyncio.sleep(self.chance.choice(LATE_S))
                case "never":
                    await never()
                case "error" | "refused":
                    raise failure(self.name, fault)
                case "crash":
                    raise ZeroDivisionError("simulated")
                case "silent":
                    return
                case _:
                    pass
            pieces = self._pieces(text, options.rate_hz)
            stop = self.chance.randint(0, len(pieces) - 1) if pieces else 0
            for at, piece in enumerate(pieces):
                if at == stop and fault in ("half", "stalled", "clinging"):
                    # It dies in the middle of a word.
                    yield TtsChunk(piece.pcm[: len(piece.pcm) // 4 * 2], piece.rate_hz, piece.words)
                    if fault == "half":
                        raise failure(self.name, "error")
                    await never()
                if fault == "odd_bytes":
                    yield TtsChunk(piece.pcm[:-1], piece.rate_hz, piece.words)
                    yield TtsChunk(piece.pcm[-1:], piece.rate_hz)
                else:
                    yield piece
        finally:
            if fault == "clinging":
                await asyncio.sleep(CLINGS_S)

    def speech(self, text: str, rate_hz: int) -> tuple[bytes, tuple[Word, ...]]:
        """Audio and word times."""
        pcm, words = b"", []
        for word in text.split():
            length_s = (0.06 * len(word) + 0.08) * self.chance.uniform(0.8, 1.2)
            began_s = len(pcm) / 2 / rate_hz
            pcm += self.truth.lexicon.speak(word, round(length_s * rate_hz))
            words.append(Word(word, began_s, len(pcm) / 2 / rate_hz))
        return pcm, tuple(words)

    def _pieces(self, text: str, rate_hz: int) -> list[TtsChunk]:
        pcm, words = self.speech(text, rate_hz)
        pieces = []
        for at in range(0, len(words), 3):
            some = words[at : at + 3]
            span = slice(2 * round(some[0].start_s * rate_hz), 2 * round(some[-1].end_s * rate_hz))
            pieces.append(TtsChunk(pcm[span], rate_hz, some if self.word_times else ()))
        return pieces


def stt_faults(faults: Faults) -> SttFaults:
    """What goes wrong with the recogniser. Partials are many, so each goes wrong a fifth as often."""
    kinds = {
        SttStep.OPEN: (STT_OPEN, 1.0),
        SttStep.PARTIAL: (STT_PARTIAL, 0.2),
        SttStep.FINALIZE: (STT_FINALIZE, 1.0),
    }

    def draw(step: SttStep) -> SttFault | None:
        some, share = kinds[step]
        fault = faults.draw(f"stt.{step}", some, share)
        return None if fault is None else SttFault(fault)

    return draw


def turn_scores(faults: Faults, chance: Random) -> Callable[[float], float | None]:
    """The turn model's word: none at all, late or wrong when it is drawn so."""

    def score(at_s: float) -> float | None:
        match faults.draw("turn_model.score", TURN_MODEL):
            case "never" | "late":
                return None
            case "error":
                raise failure("simulated-turn-model", "error")
            case "wrong":
                return chance.choice([0.0, 1.0, float("nan"), -1.0, 7.0])
            case _:
                return chance.random()

    return score


def _newest(request: LlmRequest) -> int:
    """The highest number among the caller's words in the last message."""
    last = request.messages[-1] if request.messages else None
    said = last.content if last is not None and last.role == "user" else ""
    return max(map(int, _NUMBER.findall(said)), default=0)

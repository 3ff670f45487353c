"""Providers that stall, refuse or die in the middle of a reply: how soon the caller hears the next, and whether a word is lost.

Seeded replies on virtual time, through the real reply maker and routers, played as the media plane plays them: a clause after
the other, none before its audio is there. Two or three models and two or three voices, each with troubles of its own; the
last of each kind is sound. Trouble of a model: refuses, stalls before the first token, stalls or is cut between two; of a
voice: the same, with pieces of 0.1 s, word times told, told late or not at all. A model that takes over continues as asked,
or repeats the reply from its beginning (which it may not, and which must not be heard). First token 300 ms and first audio
150 ms where nothing is wrong; deadlines as the runtime has them.

Words: what was spoken by the end of the reply, in order, is what the model meant to say, none lost, none doubled.
Recovery: from the moment when a failure is known (an error came, or a deadline ran out) until the next audio is there, or
from the end of what was playing if that is later: the caller hears nothing for so long because of it. Where another failure comes
before the next audio, the last one counts. A model that repeats is told apart: nobody hears its next word sooner than it
has said all others again.

Prints {"recovery_voice_ms_max", "recovery_model_ms_max", "recovery_repeating_ms_max", ... "words_wrong", "unfinished",
"samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aywa.call.replies import ReplyMaker, ReplyRoutes
from aywa.call.router.models import ModelRoute
from aywa.call.router.voices import VoiceRoute
from aywa.core import events as ev
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import Finished, LlmDelta, LlmRequest, TextDelta
from aywa.ports.stt import Word
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions
from aywa.testing.virtual_time import run_virtual

RUNS = 1000
RATE_HZ = 8000
FIRST_TOKEN_S, TOKEN_S, FIRST_AUDIO_S = 0.3, 1 / 60, 0.15
PIECE_S, SPEED = 0.1, 8.0
WORD_S = 0.25
ASKED = ({"role": "user", "content": "please tell me"},)
SENTENCES = (
    "Sure, I can do that for you.",
    "It takes a moment, and then you will get a mail.",
    "The table is free at seven in the evening.",
    "We are open from Monday to Friday, and on Saturday until noon.",
    "Is there anything else that I can do?",
    "The parcel left our house this morning; it should be there by tomorrow.",
    "Please bring the key card to the desk.",
    "That is all right, and the rest of it is all right too.",
    "Very very well, it is done.",
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """kind: refuse, stall or die; after: pieces or tokens."""

    kind: str
    after: int


def _error(name: str, code: str) -> ProviderError:
    return ProviderError(name, code, "scripted to fail", fault=Fault.PROVIDER, retryable=True)


@dataclass(slots=True)
class Model:
    """Means to say the text. repeats: when it takes over, it begins again."""

    name: str
    text: str
    trouble: Trouble | None
    repeats: bool

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """A token a word."""
        trouble = self.trouble
        if trouble is not None and trouble.kind == "refuse":
            await asyncio.sleep(0.05)
            raise _error(self.name, "unavailable")
        words = self.text.split(" ")
        given = next((m.content for m in reversed(request.messages) if m.role == "assistant"), "")
        if given and not self.repeats:
            words = words[len(given.split()) :]
        await asyncio.sleep(FIRST_TOKEN_S)
        for number, word in enumerate(words):
            if trouble is not None and number == trouble.after:
                await _strike(self.name, trouble)
            yield TextDelta(f" {word}" if number else word)
            await asyncio.sleep(TOKEN_S)
        yield Finished("stop", completion_tokens=len(words))

    async def warm(self, request: LlmRequest) -> None:
        """Nothing to dial."""

    async def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class Voice:
    """A word lasts WORD_S. times: with the piece in which it begins, a piece late, or none. trouble: of its clause number
    `clause`, and of all after it."""

    name: str
    trouble: Trouble | None
    clause: int
    times: str
    clauses: int = 0

    @property
    def capabilities(self) -> TtsCapabilities:
        """The telephone's rate."""
        return TtsCapabilities((RATE_HZ,), self.times != "none")

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        """Pieces, faster than real time."""
        trouble = self.trouble if self.clauses >= self.clause else None
        self.clauses += 1
        if trouble is not None and trouble.kind == "refuse":
            await asyncio.sleep(0.02)
            raise _error(self.name, "unavailable")
        await asyncio.sleep(FIRST_AUDIO_S)
        words = [Word(w, n * WORD_S, (n + 1) * WORD_S) for n, w in enumerate(text.split())]
        pieces = round(len(words) * WORD_S / PIECE_S + 0.49)
        told = 0
        for number in range(pieces):
            if trouble is not None and number == trouble.after:
                await _strike(self.name, trouble)
            until_s = (number + (self.times == "now")) * PIECE_S
            now = [w for w in words[told:] if w.start_s < until_s] if self.times != "none" else []
            if number + 1 == pieces and self.times != "none":
                now = words[told:]
            told += len(now)
            yield TtsChunk(b"\x40\x10" * round(PIECE_S * RATE_HZ), RATE_HZ, tuple(now))
            await asyncio.sleep(PIECE_S / SPEED)
        if trouble is not None and trouble.after >= pieces:
            await _strike(self.name, trouble)

    async def warm(self, options: TtsOptions) -> None:
        """Nothing to dial."""

    async def close(self) -> None:
        """Nothing to close."""


async def _strike(name: str, trouble: Trouble) -> None:
    if trouble.kind == "stall":
        await asyncio.Event().wait()
    raise _error(name, "cut_short")


@dataclass(slots=True)
class Heard:
    """What came of a reply. silent_s: of each failure, by who failed, how long the caller heard nothing because of it."""

    words: list[str] = field(default_factory=list)
    over: str = ""
    silent_s: dict[str, list[float]] = field(default_factory=lambda: {"llm": [], "tts": []})
    plays_until_s: float = 0.0
    failed_s: float | None = None
    failed: str = ""

    def told(self, kind: str, fields: Mapping[str, Any]) -> None:
        """The routers': a failure is known. The voices' router tells of a switch only with the audio."""
        if (kind, fields["kind"]) in (("RouteFailed", "tts"), ("RouteSwitched", "llm")):
            self.failed_s, self.failed = asyncio.get_running_loop().time(), fields["kind"]

    def post(self, event: ev.Event) -> None:
        """The reply maker's."""
        now = asyncio.get_running_loop().time()
        if isinstance(event, ev.ClauseSynthesized):
            self.words += event.text.split()
            if self.failed_s is not None:
                late_s = max(0.0, now - max(self.failed_s, self.plays_until_s))
                self.silent_s[self.failed].append(late_s)
                self.failed_s = None
            self.plays_until_s = max(now, self.plays_until_s) + event.samples / RATE_HZ
        elif isinstance(event, ev.ReplyCompleted):
            self.over = "completed"
        elif isinstance(event, ev.ReplyFailed):
            self.over = f"failed: {event.step} {event.code}"


def _models(chance: Random, text: str, *, repeats: bool) -> list[ModelRoute]:
    routes = []
    troubled = chance.randint(0, 2)
    for number in range(troubled + 1):
        trouble = None
        if number < troubled:
            kind = chance.choice(("refuse", "stall", "die"))
            trouble = Trouble(kind, chance.randint(0, max(1, len(text.split()))))
        routes.append(ModelRoute(Model(f"model-{number}", text, trouble, repeats)))
    return routes


def _voices(chance: Random) -> list[VoiceRoute]:
    routes = []
    troubled = chance.randint(0, 2)
    for number in range(troubled + 1):
        trouble = None
        if number < troubled:
            trouble = Trouble(chance.choice(("refuse", "stall", "die")), chance.randint(0, 25))
        voice = Voice(
            f"voice-{number}", trouble, chance.randint(0, 2), chance.choice(("now", "now", "late", "none"))
        )
        routes.append(VoiceRoute(voice, TtsOptions(RATE_HZ)))
    return routes


async def reply(seed: int) -> tuple[str, bool, Heard]:
    """One, to its end: what was meant, whether a model that takes over repeats, and what came of it."""
    chance = Random(seed)
    text = " ".join(chance.sample(SENTENCES, chance.randint(2, 4)))
    repeats = chance.random() < 0.5
    models, voices = _models(chance, text, repeats=repeats), _voices(chance)
    routes = ReplyRoutes(
        models[0].llm,
        voices[0].tts,
        voices[0].options,
        more_models=tuple(models[1:]),
        more_voices=tuple(voices[1:]),
    )
    heard = Heard()
    routes.tell(heard.told)
    await ReplyMaker(1, routes, heard.post).answer(ASKED)
    return text, repeats, heard


async def run(runs: int) -> dict[str, Any]:
    """All replies, one after the other."""
    silent_s: dict[str, list[float]] = {"voice": [], "model": [], "repeating": []}
    wrong: list[int] = []
    unfinished: list[int] = []
    for seed in range(runs):
        text, repeats, heard = await reply(seed)
        silent_s["voice"] += heard.silent_s["tts"]
        silent_s["repeating" if repeats else "model"] += heard.silent_s["llm"]
        if heard.over != "completed":
            unfinished.append(seed)
            sys.stderr.write(f"seed {seed}: {heard.over}\n")
        if heard.words != text.split():
            wrong.append(seed)
            sys.stderr.write(f"seed {seed}:\n  meant  {text}\n  spoken {' '.join(heard.words)}\n")
    figures: dict[str, Any] = {"words_wrong": len(wrong), "unfinished": len(unfinished)}
    samples = dict.fromkeys(figures, runs)
    for whose, values in silent_s.items():
        for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
            figures[f"recovery_{whose}_ms_{name}"] = round(1000 * _nearest(values, share), 1)
            samples[f"recovery_{whose}_ms_{name}"] = len(values)
    return {**figures, "samples": samples}


def _nearest(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def main() -> None:
    """The benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    sys.stdout.write(json.dumps(run_virtual(run(parser.parse_args().runs))) + "\n")


if __name__ == "__main__":
    main()

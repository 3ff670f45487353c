"""Seeded calls on virtual time: callers who pause, mumble and interrupt, providers that are late, empty or broken.

A call that fails is played again by its seed alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from aywa.boot.rehearsal import LEG, Rehearsal, Utterance
from aywa.core import events as ev
from aywa.ports.journal import JournalRecord
from aywa.ports.llm import Finished, LlmDelta, LlmRequest, TextDelta
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts, broken
from aywa.testing.virtual_time import run_virtual
from tests.core.world import PUBLISHED

pytestmark = pytest.mark.virtual_time

CALLS = 300
RATE_HZ = 8000
WORD_S = 0.3
# After this long the last question was answered, excused, or the call has ended.
PATIENCE_S = 25.0
NEVER_S = 5000.0
ESTIMATE_OFF_WORDS = 1
ANSWERS = [
    "Certainly. That is done.",
    "Well, one two three four five six seven eight nine ten. And that is all there is to say about it.",
    "Yes.",
    "Let me see, there are rooms for two and rooms for three, and all of them have a window and a door.",
]
ASSISTANTS: list[dict[str, Any]] = [
    {"firstMessage": "Hello there."},
    {"firstMessage": "Hello there, how can I help you?", "firstMessageInterruptionsEnabled": True},
    {"firstMessageMode": "assistant-waits-for-user"},
    {"firstMessageMode": "assistant-speaks-first-with-model-generated-message"},
    {"firstMessage": "Hello.", "stopSpeakingPlan": {"numWords": 2, "backoffSeconds": 0.5}},
    {"firstMessage": "Hello.", "startSpeakingPlan": {"waitSeconds": 1, "transcriptionEndpointingPlan": {}}},
    {"firstMessage": "Hello.", "startSpeakingPlan": {"speculationEnabled": False}},
]
FAULTS = ["none"] * 7 + ["error", "empty", "half", "never", "mute"]


@dataclass
class UnreliableLlm(ScriptedLlm):
    """Answers as it pleases: late, not at all, half, without a word."""

    chance: Random = field(default_factory=Random)
    faults: list[str] = field(default_factory=lambda: ["none"])

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        self.requests.append(request)
        fault = self.chance.choice(self.faults)
        words = [] if fault == "empty" else self.chance.choice(ANSWERS).split()
        await asyncio.sleep(NEVER_S if fault == "never" else self.chance.choice([0.0, 0.2, 0.5, 2.0]))
        if fault == "error":
            raise broken("llm")
        for word in ["...", "\n"] if fault == "mute" else words:
            yield TextDelta(word + " ")
            await asyncio.sleep(self.chance.choice([0.0, 0.02, 0.1]))
            if fault == "half" and self.chance.random() < 0.3:
                raise broken("llm")
        yield Finished("stop", completion_tokens=len(words))


@dataclass
class Scene:
    """A random call: who calls, what they say and when, what breaks. asked: the last word of the last question."""

    seed: int
    call: Rehearsal = field(init=False)
    script: list[Utterance] = field(default_factory=list)
    until_s: float = 0.0
    asked: str = ""
    disturbances: list[tuple[float, str]] = field(default_factory=list)
    _words: int = 0

    def __post_init__(self) -> None:
        chance = Random(self.seed)
        llm = UnreliableLlm(chance=Random(self.seed + 1))
        if chance.random() < 0.5:
            llm.faults = FAULTS
        tts = ScriptedTts(chance.choice([0.0, 0.1, 0.4]), WORD_S, word_times=chance.random() < 0.7)
        if chance.random() < 0.1:
            tts.fail_next.append(broken("tts"))
        stt = ScriptedStt(chance.choice([0.0, 0.1, 0.3, 2.0]))
        self.call = Rehearsal(chance.choice(ASSISTANTS), llm, tts, stt, rate_hz=RATE_HZ)
        self._write(chance)

    def _write(self, chance: Random) -> None:
        now = chance.uniform(0.2, 4.0)
        for _ in range(chance.randint(1, 6)):
            words = self._utterance(chance)
            self.script.append(Utterance(now, words))
            spoken_s = sum(0.25 if isinstance(w, str) else w for w in words)
            now += spoken_s + chance.choice([0.15, 0.5, 1.0, 2.5, 6.0])
        self.until_s = now + chance.choice([0.0, 1.0, PATIENCE_S, PATIENCE_S, NEVER_S])
        if chance.random() < 0.2:
            kind = chance.choice(["end", "say", "interrupt", "goodbye", "stt", "lost"])
            self.disturbances.append((chance.uniform(0.0, now), kind))

    def _utterance(self, chance: Random) -> list[str | float]:
        kind = chance.choice(["question", "question", "question", "mumble", "noise", "stop"])
        if kind == "mumble":
            return [chance.choice(["mhm", "yeah", "okay"])]
        if kind == "noise":
            return [""] * chance.randint(1, 5)
        words: list[str | float] = ["stop"] if kind == "stop" else []
        for _ in range(chance.randint(0, 2)):
            words += [*self._new_words(chance.randint(1, 4)), chance.uniform(0.2, 1.2)]
        words += self._new_words(chance.randint(3, 6))
        self.asked = str(words[-1])
        return words

    def _new_words(self, count: int) -> list[str]:
        self._words += count
        return [f"w{number}" for number in range(self._words - count + 1, self._words + 1)]

    async def play(self) -> None:
        running = asyncio.create_task(self.call.run(self.script, self.until_s))
        disturbing = [asyncio.create_task(self._disturb(*each)) for each in self.disturbances]
        await running
        for task in disturbing:
            task.cancel()
        await asyncio.gather(*disturbing, return_exceptions=True)

    async def _disturb(self, at_s: float, kind: str) -> None:
        await asyncio.sleep(at_s + 0.01)
        call = self.call
        assert call.session is not None
        assert call.media is not None
        if kind == "end":
            call.session.post(ev.EndRequested("manually-canceled"))
        elif kind == "stt":
            call.stt.stream.fail(broken("stt"))
        elif kind == "lost":
            call.media.disconnect(LEG, "lost")
        else:
            message = {"type": "say", "content": "There is news.", "endCallAfterSpoken": kind == "goodbye"}
            message["interruptAssistantEnabled"] = kind == "interrupt"
            call.session.post(ev.ClientMessageReceived(LEG, message))


@pytest.mark.parametrize("seed", range(CALLS))
async def test_a_random_call_keeps_its_word(seed: int) -> None:
    scene = Scene(seed)
    await scene.play()
    records = scene.call.journal.records
    ends_once_with_a_published_reason(scene, records)
    plays_one_reply_at_a_time(records)
    answers_every_turn_once(records)
    keeps_what_was_heard(scene, records)
    answers_the_last_question(scene, records)


def ends_once_with_a_published_reason(scene: Scene, records: list[JournalRecord]) -> None:
    assert scene.call.ended_reason in PUBLISHED
    assert [r.kind for r in records].count("EndCall") == 1
    assert records[-1].kind == "EndCall"
    # Nobody is kept on the line by a caller who has gone quiet.
    last_word_s = scene.script[-1].at_s
    assert records[-1].at_s < min(scene.until_s, last_word_s + 120) + 5


def plays_one_reply_at_a_time(records: list[JournalRecord]) -> None:
    playing: int | None = None
    for record in records:
        if record.kind == "PlayoutStarted":
            assert playing is None
            playing = record.data["reply_id"]
        elif record.kind in ("PlayoutFinished", "PlayoutDropped"):
            assert record.data["reply_id"] == playing
            playing = None


def answers_every_turn_once(records: list[JournalRecord]) -> None:
    def ids(kind: str, key: str) -> list[int]:
        return [r.data[key] for r in records if r.kind == kind]

    turns, answers = ids("RecordTurn", "turn_id"), ids("RecordTurn", "reply_id")
    assert len(turns) == len(set(turns))
    assert len(answers) == len(set(answers))
    greetings = {r.data["reply_id"] for r in records if r.kind == "StartReply" and r.at_s == records[0].at_s}
    played = set(ids("StartReply", "reply_id")) & set(ids("PlayoutStarted", "reply_id"))
    assert played - greetings <= set(answers)
    said = [r.data["message"]["message"] for r in records if r.kind == "RecordMessage"]
    words = [word for text in said for word in re.findall(r"\bw\d+\b", text)]
    assert len(words) == len(set(words))


def keeps_what_was_heard(scene: Scene, records: list[JournalRecord]) -> None:
    assert scene.call.leg is not None
    kept = [text.split() for role, text in scene.call.messages if role == "bot"]
    for reply_id, samples in sorted(scene.call.leg.played.items()):
        words = " ".join(given(records, reply_id)).split()
        heard = int(samples / (WORD_S * RATE_HZ) + 0.5)
        # Where the voice tells no places they are estimated, clause by clause.
        off = 0 if scene.call.tts.word_times else ESTIMATE_OFF_WORDS
        if kept and kept[0] == words[: len(kept[0])] and abs(len(kept[0]) - heard) <= off:
            kept.pop(0)
        else:
            assert heard <= off
    assert kept == []


def given(records: list[JournalRecord], reply_id: int) -> list[str]:
    """The texts whose audio was given to the media plane for the reply, in order."""
    phrases = {r.data["phrase_id"]: r.data["text"] for r in records if r.kind == "PhrasePrepared"}
    clauses = {
        (r.data["reply_id"], r.data["clause"]): r.data["text"]
        for r in records
        if r.kind == "ClauseSynthesized"
    }
    texts = []
    for record in records:
        data = record.data
        if record.kind == "PlayClause" and data["reply_id"] == reply_id:
            texts.append(clauses[reply_id, data["clause"]])
        elif record.kind == "PlayPhrase" and data["reply_id"] == reply_id:
            texts.append(phrases[data["phrase_id"]])
    return texts


def answers_the_last_question(scene: Scene, records: list[JournalRecord]) -> None:
    waited_s = scene.until_s - scene.script[-1].at_s
    ended_early = records[-1].at_s < scene.until_s - 1 and scene.call.ended_reason != "silence-timed-out"
    if not scene.asked or waited_s < PATIENCE_S or ended_early or scene.disturbances:
        return
    said = " ".join(text for role, text in scene.call.messages if role == "user")
    assert scene.asked in said.split()
    if scene.call.messages[-1][0] != "bot":
        # The answer began, and a noise took the floor from it before its first word.
        assert [r.data["type"] for r in records if r.kind == "TellClient"].count("user-interrupted")


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_is_all_it_takes_to_play_a_call_again(seed: int) -> None:
    told = []
    for scene in (Scene(seed), Scene(seed)):
        run_virtual(scene.play())
        told.append([(r.at_s, r.kind, r.data) for r in scene.call.journal.records])
    assert told[0] == told[1]

"""A call drawn from its seed: the assistant, the caller's plan, the providers' paces and what will go wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aywa.testing.simulated_stt import FAST, TYPICAL, Hearing
from aywa.testing.simulation.faults import Faults, draw_faults
from aywa.testing.simulation.truth import Voice

GREETING = "Hello there, how can I help you today?"
ASSISTANTS: tuple[Mapping[str, Any], ...] = (
    {"firstMessage": GREETING},
    {"firstMessage": GREETING},
    # Who answers fast asks the acoustic model about every sentence.
    {
        "firstMessage": GREETING,
        "firstMessageInterruptionsEnabled": True,
        "startSpeakingPlan": {"eagerness": "fast"},
    },
    {"firstMessageMode": "assistant-waits-for-user"},
    {
        "firstMessageMode": "assistant-speaks-first-with-model-generated-message",
        "startSpeakingPlan": {"eagerness": "fast"},
    },
    {"firstMessage": GREETING, "stopSpeakingPlan": {"numWords": 2, "backoffSeconds": 0.5}},
    {"firstMessage": GREETING, "startSpeakingPlan": {"waitSeconds": 0.7, "eagerness": "fast"}},
    {"firstMessage": GREETING, "startSpeakingPlan": {"waitSeconds": 1, "transcriptionEndpointingPlan": {}}},
    {"firstMessage": GREETING, "startSpeakingPlan": {"speculationEnabled": False}},
)
NEVER_S = 1_000.0
PATIENCE_S = 25.0
BACKCHANNELS = ("mhm", "yeah", "okay", "uh-huh", "right")
HESITATIONS = ("um", "uh", "er")
DIGITS = "zero one two three four five six seven eight nine".split()
LETTERS = list("bcdfghjklmnpqrstvwxz")


@dataclass(frozen=True, slots=True)
class Say:
    """The caller makes sounds: words, and numbers for pauses of so many seconds; noise has a length instead of words.

    when: "quiet" (the agent has said something and is silent again, then after_s later), "into" (after_s into whatever
    the agent says next), "now" (after_s later).
    """

    kind: Voice
    words: tuple[str | float, ...] = ()
    when: str = "quiet"
    after_s: float = 0.5
    noise_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Press:
    """A key, after_s later."""

    digit: str
    after_s: float


@dataclass(frozen=True, slots=True)
class Send:
    """A message of the caller's client, after_s later."""

    message: Mapping[str, Any]
    after_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing, for so long."""

    seconds: float


Act = Say | Press | Send | Wait


@dataclass(slots=True)
class Scenario:
    """leaves: after its last act the caller hangs up, else it waits for the call to end. hangs_up_s: whatever happens.
    loss: the share of windows that are lost; None: voice is found by script, not by the detector. delay_s: of the leg.
    frozen: (second, for how long) the process stands still. unreachable_s: from then on the far side takes nothing and
    sends nothing."""

    seed: int
    assistant: Mapping[str, Any]
    acts: Sequence[Act]
    faults: Faults
    hearing: Hearing
    word_times: bool
    first_token_s: float
    first_audio_s: float
    loss: float | None
    delay_s: float = 0.0
    leaves: bool = True
    hangs_up_s: float = NEVER_S
    unreachable_s: float | None = None
    frozen: tuple[tuple[float, float], ...] = ()
    has_turn_model: bool = False
    shaken: bool = False
    chance: Random = field(default_factory=Random)


def draw_scenario(seed: int) -> Scenario:
    """The call of this number."""
    chance = Random(seed)
    faults = draw_faults(chance)
    acts = _Acts(Random(chance.random()))
    plan = acts.draw()
    frozen = tuple(
        (chance.uniform(0.5, 40.0), chance.uniform(0.5, 5.0)) for _ in range(chance.choice([1, 2]))
    )
    scenario = Scenario(
        seed=seed,
        assistant=chance.choice(ASSISTANTS),
        acts=plan,
        faults=faults,
        hearing=FAST if chance.random() < 0.3 else TYPICAL,
        word_times=chance.random() < 0.7,
        first_token_s=chance.choice([0.1, 0.3, 0.6]),
        first_audio_s=chance.choice([0.05, 0.15, 0.3]),
        loss=chance.choice([None, None, None, None, 0.0, 0.03]),
        delay_s=chance.uniform(0.05, 0.3) if chance.random() < 0.06 else 0.0,
        leaves=chance.random() < 0.7,
        hangs_up_s=chance.uniform(0.0, 40.0) if chance.random() < 0.15 else NEVER_S,
        unreachable_s=chance.uniform(1.0, 30.0) if chance.random() < 0.02 else None,
        has_turn_model=chance.random() < 0.5,
        shaken=chance.random() < 0.2,
    )
    scenario.frozen = frozen if chance.random() < 0.08 else ()
    scenario.chance = Random(chance.random())
    return scenario


class _Acts:
    """The caller's plan. Every word of substance is new (w1, w2 ...), so that it can be followed through the call."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._words = 0

    def draw(self) -> list[Act]:
        chance = self._chance
        kind = chance.random()
        if kind < 0.04:
            return [Wait(chance.uniform(1.0, 80.0))]
        acts: list[Act] = []
        for _ in range(chance.randint(1, 5)):
            acts += self._exchange()
        if kind < 0.06:
            acts.append(Say(Voice.NOISE, when="now", noise_s=chance.uniform(20.0, 90.0)))
        return acts

    def _exchange(self) -> list[Act]:
        chance = self._chance
        think_s = chance.choice([0.2, 0.5, 1.0, 2.5])
        question = Say(Voice.TURN, self._question(), after_s=think_s)
        match chance.choices(
            ("ask", "resume", "interrupt", "backchannel", "noise", "press", "send", "wait"),
            (40, 12, 14, 12, 7, 3, 6, 6),
        )[0]:
            case "resume":
                more = Say(Voice.TURN, self._new(1, 4), "now", chance.uniform(0.2, 1.6))
                return [question, more]
            case "interrupt":
                first = () if chance.random() < 0.5 else (chance.choice(["stop", "wait", "no", "actually"]),)
                return [
                    question,
                    Say(Voice.INTERRUPTION, (*first, *self._new(2, 5)), "into", chance.uniform(0.1, 3.0)),
                ]
            case "backchannel":
                mhm = Say(Voice.BACKCHANNEL, (chance.choice(BACKCHANNELS),), "into", chance.uniform(0.2, 2.5))
                return [question, *[mhm] * chance.randint(1, 2)]
            case "noise":
                return [
                    Say(Voice.NOISE, when=chance.choice(["into", "now"]), noise_s=chance.uniform(0.1, 1.5)),
                    question,
                ]
            case "press":
                return [Press(chance.choice("0123456789*#"), chance.uniform(0.0, 3.0)), question]
            case "send":
                return [question, Send(self._message(), chance.uniform(0.0, 3.0))]
            case "wait":
                return [question, Wait(chance.choice([5.0, 12.0, 25.0, 40.0]))]
            case _:
                return [question]

    def _question(self) -> tuple[str | float, ...]:
        chance = self._chance
        kind = chance.random()
        if kind < 0.12:
            return (*self._new(1, 3), *self._in_groups(chance.choices(DIGITS, k=chance.randint(3, 10))))
        if kind < 0.2:
            return (*self._new(1, 3), *self._in_groups(chance.choices(LETTERS, k=chance.randint(3, 8))))
        words: list[str | float] = []
        for _ in range(chance.randint(0, 2)):
            words += self._new(1, 5)
            if chance.random() < 0.4:
                words.append(chance.choice(HESITATIONS))
            words.append(chance.uniform(0.2, 1.2))
        return (*words, *self._new(2, 6))

    def _in_groups(self, items: list[str]) -> list[str | float]:
        out: list[str | float] = []
        for at, item in enumerate(items):
            if at and at % 3 == 0:
                out.append(self._chance.uniform(0.2, 0.6))
            out.append(item)
        return out

    def _new(self, least: int, most: int) -> tuple[str, ...]:
        count = self._chance.randint(least, most)
        self._words += count
        return tuple(f"w{number}" for number in range(self._words - count + 1, self._words + 1))

    def _message(self) -> Mapping[str, Any]:
        chance = self._chance
        say = {"type": "say", "content": "There is news."}
        return chance.choice(
            (
                say,
                {**say, "interruptAssistantEnabled": True},
                {**say, "endCallAfterSpoken": True},
                {"type": "say", "content": "..."},
                {"type": "add-message", "message": {"role": "system", "content": "The caller is a friend."}},
                {"type": "nonsense"},
                {"type": 7, "message": None},
                {"type": "end-call"},
            )
        )

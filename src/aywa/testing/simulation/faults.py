"""What goes wrong, drawn from the call's seed step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

# How sick a call is: (share of the calls, probability that a step goes wrong).
SICKNESS = ((0.25, 0.0), (0.50, 0.08), (0.15, 0.30), (0.10, 0.02))
# In the last of these one provider is dead from some moment on: it does the same wrong thing at every step.
PROVIDERS = ("llm", "tts", "stt", "turn_model")

LLM = (
    "late", "never", "half", "stalled", "empty", "error", "refused", "crash", "wrong", "doubled", "tool_only", "clinging",
)  # fmt: skip
TTS = ("late", "never", "half", "stalled", "silent", "error", "refused", "crash", "odd_bytes", "clinging")
TURN_MODEL = ("late", "never", "error", "wrong")
STT_OPEN = ("late", "never", "broken")
STT_PARTIAL = ("late", "never", "twice", "stale", "wrong", "empty", "broken", "deaf")
STT_FINALIZE = ("late", "never", "twice", "stale", "wrong", "empty", "broken", "deaf")
POSTED = ("twice", "stale")


@dataclass(slots=True)
class Faults:
    """rate: the probability that a step goes wrong. dead: providers of which every step from dead_from_s on does.
    drawn: what did, as (second, step, fault)."""

    chance: Random
    rate: float
    dead: dict[str, float] = field(default_factory=dict)
    now: Callable[[], float] = lambda: 0.0
    drawn: list[tuple[float, str, str]] = field(default_factory=list)
    _habit: dict[str, str] = field(default_factory=dict)

    def draw(self, step: str, kinds: Sequence[str], share: float = 1.0) -> str | None:
        """Whether this step goes wrong, and how. share: of the rate, for steps that are many."""
        # Both are drawn every time, so that one fault more does not change the rest of the call's draws.
        wrong, kind = self.chance.random() < self.rate * share, self.chance.choice(kinds)
        now = self.now()
        if now >= self.dead.get(step.partition(".")[0], float("inf")):
            wrong, kind = True, self._habit.setdefault(step, kind)
        if not wrong:
            return None
        self.drawn.append((round(now, 3), step, kind))
        return kind


def draw_faults(chance: Random) -> Faults:
    """A call's sickness."""
    shares = [share for share, _ in SICKNESS]
    at = chance.choices(range(len(SICKNESS)), shares)[0]
    dead = {chance.choice(PROVIDERS): chance.choice([0.0, 0.0, 5.0, 12.0])} if at == len(SICKNESS) - 1 else {}
    return Faults(Random(chance.random()), SICKNESS[at][1], dead)

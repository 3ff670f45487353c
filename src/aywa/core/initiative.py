"""What the agent does of its own accord: prompts for a caller who says nothing, and hooks (contract 4.1, 12.1).

It says what is due and never does it: the conversation carries out. Counts what was done, so that nothing is done for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aywa.core.settings import SAY, SILENT_CALLER, AssistantSettings, Hook, HookAction

TIME_ELAPSED = "call.timeElapsed"
INTERRUPTED = "assistant.speech.interrupted"
TALKED_OVER = "customer.speech.interrupted"
SLOW_MODEL = "model.response.timeout"
CALL_ENDING = "call.ending"
SESSION_CREATED = "session.created"
LOW_CONFIDENCE = "assistant.transcriber.endpointedSpeechLowConfidence"
BAND_WIDTH = 0.2
"""How far below the transcriber's threshold words are doubtful that a hook without a band of its own hears of (contract 9.2)."""
# No hook of the contract: the caller made a sound that nobody understood.
UNHEARD = "caller.unheard"


@dataclass(frozen=True, slots=True)
class Due:
    """An action that is due, of which hook, and for the how-manieth time (from 0)."""

    hook: str
    action: HookAction
    count: int

    @property
    def text(self) -> str:
        """The words of a say action: one text after the other."""
        return self.action.texts[self.count % len(self.action.texts)] if self.action.texts else ""


class Initiative:
    """`wake` answers what is due. Times are the call's seconds."""

    def __init__(self, settings: AssistantSettings) -> None:
        self._hooks = settings.hooks
        self._doubtful = (settings.confidence_threshold - BAND_WIDTH, settings.confidence_threshold)
        idle = settings.idle
        if idle.messages and idle.max_count:
            prompt = Hook(
                SILENT_CALLER,
                name="idle",
                timeout_s=idle.timeout_s,
                max_count=idle.max_count,
                reset_on_speech=idle.reset_on_speech,
                actions=(HookAction(SAY, idle.messages),),
            )
            self._hooks = (*self._hooks, prompt)
        self._counts = [0] * len(self._hooks)
        self._fired_s = [float("-inf")] * len(self._hooks)

    def passed(self, first_sound_s: float | None, now: float) -> None:
        """Its assistant takes over a call that goes on: what was to be done before is not made up for."""
        for number, hook in enumerate(self._hooks):
            at_s = self._due_s(number, hook, None, first_sound_s)
            if at_s is not None and at_s <= now:
                self._counts[number] += 1

    @property
    def texts(self) -> Iterator[str]:
        """All that a hook may say word for word."""
        return (text for hook in self._hooks for action in hook.actions for text in action.texts)

    def wake(self, now: float, awaiting_s: float | None, first_sound_s: float | None) -> list[Due]:
        """What is due by now. awaiting_s: since when an answer is awaited, None while it is not. first_sound_s: when the
        call's time began to count."""
        due: list[Due] = []
        for number, hook in enumerate(self._hooks):
            at_s = self._due_s(number, hook, awaiting_s, first_sound_s)
            if at_s is not None and now >= at_s:
                due += self._fire(number, now)
        return due

    def deadline(self, awaiting_s: float | None, first_sound_s: float | None) -> float | None:
        """When something is due next."""
        dues = (
            self._due_s(number, hook, awaiting_s, first_sound_s) for number, hook in enumerate(self._hooks)
        )
        return min((at_s for at_s in dues if at_s is not None), default=None)

    def happened(self, on: str, now: float, reason: str = "") -> list[Due]:
        """Something that hooks may be waiting for came to pass. reason: the endedReason of an ending call."""
        due: list[Due] = []
        for number, hook in enumerate(self._hooks):
            if hook.on == on and _wanted(hook, reason):
                due += self._fire(number, now)
        return due

    def understood(self, confidence: float, now: float) -> list[Due]:
        """The recogniser has settled what the caller said, and is so sure of it."""
        due: list[Due] = []
        for number, hook in enumerate(self._hooks):
            least, most = hook.confidence or self._doubtful
            if hook.on == LOW_CONFIDENCE and least <= confidence <= most:
                due += self._fire(number, now)
        return due

    def caller_spoke(self) -> None:
        """Who counts prompts anew when the caller speaks does so now."""
        for number, hook in enumerate(self._hooks):
            if hook.reset_on_speech:
                self._counts[number] = 0

    def _due_s(
        self, number: int, hook: Hook, awaiting_s: float | None, first_sound_s: float | None
    ) -> float | None:
        if hook.on == TIME_ELAPSED:
            # Contract 12.1: from the first audio.
            fired = self._counts[number] > 0
            return None if first_sound_s is None or fired else first_sound_s + hook.elapsed_s
        if hook.on != SILENT_CALLER or awaiting_s is None or self._counts[number] >= hook.max_count:
            return None
        return max(awaiting_s, self._fired_s[number]) + hook.timeout_s

    def _fire(self, number: int, now: float) -> list[Due]:
        hook, count = self._hooks[number], self._counts[number]
        self._counts[number] += 1
        self._fired_s[number] = now
        return [Due(hook.name or hook.on, action, count) for action in hook.actions]


def _wanted(hook: Hook, reason: str) -> bool:
    """Field notes: a filter holds when one of its values is part of the reason."""
    return not hook.ended_reasons or any(part in reason for part in hook.ended_reasons)

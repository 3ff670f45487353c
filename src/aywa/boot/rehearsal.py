"""A call without audio: the real session and its machines, scripted caller, media and providers, on the loop's clock.

On a virtual clock a conversation of a minute takes a few milliseconds. For tests, benchmarks and simulation.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aywa.call.replies import ReplyRoutes
from aywa.call.session import Routes, Session, SessionPlan
from aywa.core import events as ev
from aywa.ports.endpointing import EndpointingModel
from aywa.ports.journal import JournalRecord
from aywa.ports.tts import TtsOptions
from aywa.ports.turn_model import TurnModel
from aywa.testing.scripted_media import ScriptedLeg, ScriptedMedia
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts

LEG = "caller"


@dataclass(frozen=True, slots=True)
class Utterance:
    """The caller speaks from at_s on, a word every word_s. A number among the words is a pause of so many seconds."""

    at_s: float
    words: Sequence[str | float]
    word_s: float = 0.25


@dataclass(slots=True)
class RecordedJournal:
    """Keeps what is put on record."""

    records: list[JournalRecord] = field(default_factory=list)

    def append(
        self, call_id: str, org_id: str, seq: int, at_s: float, role: str, kind: str, data: object
    ) -> None:
        """As the port says."""
        fields = data if isinstance(data, Mapping) else _fields(data)
        self.records.append(JournalRecord(call_id, org_id, seq, at_s, role, kind, fields))

    def of(self, kind: str) -> list[JournalRecord]:
        """The records of one kind."""
        return [r for r in self.records if r.kind == kind]

    def decisions(self) -> list[tuple[str, str]]:
        """What was decided, and why, in order."""
        return [(r.data["decision"], r.data["reason"]) for r in self.of("RecordDecision")]


@dataclass(slots=True)
class Rehearsal:
    """One call. `run` plays the caller's script until the time is up, then the caller hangs up."""

    assistant: Mapping[str, Any] = field(default_factory=dict)
    llm: ScriptedLlm = field(default_factory=ScriptedLlm)
    tts: ScriptedTts = field(default_factory=ScriptedTts)
    stt: ScriptedStt = field(default_factory=ScriptedStt)
    rate_hz: int = 8000
    call_id: str = "call-1"
    detected_after_s: float = 0.064
    turn_model: TurnModel | None = None
    endpointing: EndpointingModel | None = None
    journal: RecordedJournal = field(default_factory=RecordedJournal)
    leg: ScriptedLeg | None = None
    media: ScriptedMedia | None = None
    session: Session | None = None

    async def run(self, script: Sequence[Utterance], until_s: float, *, connect: bool = True) -> None:
        """The whole call. Seconds count from the connection."""
        self.media = ScriptedMedia()
        reply = ReplyRoutes(self.llm, self.tts, TtsOptions(self.rate_hz))
        routes = Routes(self.stt, reply, self.turn_model, endpointing=self.endpointing)
        started = ev.CallStarted(self.call_id, "org-1", 1_700_000_000_000, dict(self.assistant))
        self.session = Session(SessionPlan(started), routes, self.media, self.journal)
        running = asyncio.create_task(self.session.run())
        if connect:
            self.leg = self.media.connect(LEG, self.rate_hz, self.session.epoch_s, self.session.post)
            speaking = [asyncio.create_task(self._speak(utterance)) for utterance in script]
            hanging_up = asyncio.create_task(self._hang_up(until_s))
            await running
            for task in (*speaking, hanging_up):
                task.cancel()
            await asyncio.gather(*speaking, hanging_up, return_exceptions=True)
        await running

    # --- what came of it -----------------------------------------------------------------------------------------

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Who said what, as the history has it."""
        assert self.session is not None
        return [(m["role"], m["message"]) for m in self.session.conversation.history.messages]

    @property
    def ended_reason(self) -> str | None:
        """Why the call ended."""
        assert self.session is not None
        return self.session.conversation.lifecycle.reason

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The messages of one type that the client got."""
        assert self.leg is not None
        return [m for m in map(json.loads, self.leg.sent) if m["type"] == kind]

    # --- inside --------------------------------------------------------------------------------------------------

    async def _speak(self, utterance: Utterance) -> None:
        assert self.media is not None
        await asyncio.sleep(utterance.at_s)
        self.media.voice_started(LEG, self.detected_after_s)
        for item in utterance.words:
            if isinstance(item, str):
                await asyncio.sleep(utterance.word_s)
                self.stt.stream.say(item)
            else:
                self.media.voice_stopped(LEG, self.detected_after_s)
                await asyncio.sleep(item)
                self.media.voice_started(LEG, self.detected_after_s)
        self.media.voice_stopped(LEG, self.detected_after_s)

    async def _hang_up(self, at_s: float) -> None:
        assert self.media is not None
        await asyncio.sleep(at_s)
        self.media.disconnect(LEG)


def _fields(record: object) -> dict[str, Any]:
    slots: Sequence[str] = getattr(record, "__slots__", ())
    return {name: getattr(record, name) for name in slots}

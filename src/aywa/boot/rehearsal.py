"""A call without a wire: the real session and its machines, scripted caller, media and providers, on the loop's clock.

On a virtual clock a conversation of a minute takes a few milliseconds. For tests, benchmarks and simulation.
The caller is a script of words (`run`), recorded audio with the detector's word on it (`run_labelled`), or a coroutine
that does as it likes (`perform`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aywa.call.handoffs import CallHandoffs, headed, ready
from aywa.call.replies import ReplyRoutes
from aywa.call.session import Routes, Session, SessionPlan
from aywa.call.tools.runs import ToolRoutes
from aywa.call.voicing import Voicing
from aywa.core import events as ev
from aywa.core.settings import read_settings
from aywa.ports.calls import CallPlan, Member
from aywa.ports.endpointing import EndpointingModel
from aywa.ports.handoffs import HandoffDesk
from aywa.ports.journal import Journal, JournalRecord
from aywa.ports.media import AudioFormat, MediaPlane
from aywa.ports.server_questions import CallQuestions
from aywa.ports.stt import Stt
from aywa.ports.telephony import CallTransfers
from aywa.ports.tts import TtsOptions
from aywa.testing.labelled_media import LabelledMedia, Sound
from aywa.testing.scripted_media import ScriptedLeg, ScriptedMedia
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts
from aywa.testing.simulated_stt import SimulatedStt
from aywa.testing.simulated_turn_model import SimulatedTurnModel

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
    """One call. `run` plays the caller's script until the time is up, then the caller hangs up.

    recogniser: takes the place of `stt`. stock: the runtime's own phrases, at rate_hz. turn_score: what the turn model
    answers to a question at a second of the call (None: it never does), turn_score_s later; without it there is no turn
    model. members: of a squad, whose first one takes the assistant's place. work_for: changes the routes of an assistant that
    takes the call over. desk, questions: find whom the squad does not have.
    """

    assistant: Mapping[str, Any] = field(default_factory=dict)
    llm: ScriptedLlm = field(default_factory=ScriptedLlm)
    tts: ScriptedTts = field(default_factory=ScriptedTts)
    stt: ScriptedStt = field(default_factory=ScriptedStt)
    rate_hz: int = 8000
    call_id: str = "call-1"
    detected_after_s: float = 0.064
    journal: RecordedJournal = field(default_factory=RecordedJournal)
    leg: ScriptedLeg | None = None
    media: ScriptedMedia | None = None
    session: Session | None = None
    recogniser: SimulatedStt | None = None
    turn_score: Callable[[float], float | None] | None = None
    turn_score_s: float = 0.02
    endpointing: EndpointingModel | None = None
    transfers: CallTransfers | None = None
    tools: ToolRoutes = field(default_factory=ToolRoutes)
    members: Sequence[Member] = ()
    work_for: Callable[[Mapping[str, Any], Routes], Routes] = lambda assistant, routes: routes
    desk: HandoffDesk | None = None
    questions: CallQuestions | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    stock: Mapping[str, bytes] = field(default_factory=dict)
    make_session: Callable[[SessionPlan, Routes, MediaPlane, Journal], Session] = Session

    async def run(self, script: Sequence[Utterance], until_s: float, *, connect: bool = True) -> None:
        """The whole call. Seconds count from the connection."""
        await self.perform(ScriptedMedia(), lambda: self._speak_all(script), until_s, connect=connect)

    async def run_labelled(self, sound: Sound, until_s: float) -> None:
        """The whole call, the caller's audio and, by the recogniser's timeline, words beginning with the connection."""
        media = LabelledMedia()

        async def be_heard() -> None:
            media.hear(LEG, sound)

        await self.perform(media, be_heard, until_s)

    async def perform(
        self,
        media: ScriptedMedia,
        caller: Callable[[], Coroutine[Any, Any, None]],
        until_s: float,
        *,
        connect: bool = True,
    ) -> None:
        """The whole call: from the connection on the caller does as the coroutine says, and hangs up at until_s."""
        self.media = media
        plan = self._plan()
        squad = {"members": [member.name for member in plan.members]} if plan.members else {}
        started = ev.CallStarted(
            self.call_id,
            "org-1",
            1_700_000_000_000,
            dict(plan.assistant),
            dict(self.variables),
            squad=squad,
        )
        handoffs = CallHandoffs(
            plan, self._routes, lambda assistant, routes: (), lambda assistant: (), self.desk
        )
        routes = replace(self._routes(plan), handoffs=handoffs)
        self.session = self.make_session(SessionPlan(started), routes, media, self.journal)
        running = asyncio.create_task(self.session.run())
        if connect:
            if self.recogniser is not None:
                self.recogniser.epoch_s = self.session.epoch_s
            self.leg = media.connect(LEG, self.rate_hz, self.session.epoch_s, self.session.post)
            acting = asyncio.create_task(caller())
            hanging_up = asyncio.create_task(self._hang_up(until_s))
            await running
            acting.cancel()
            hanging_up.cancel()
            came_of_it, _ = await asyncio.gather(acting, hanging_up, return_exceptions=True)
            if isinstance(came_of_it, Exception):
                raise came_of_it
        await running

    # --- what came of it -----------------------------------------------------------------------------------------

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Who said what, as the history has it."""
        assert self.session is not None
        history = self.session.conversation.history
        return [(m["role"], m["message"]) for m in history.messages if m.get("message")]

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

    def _plan(self) -> CallPlan:
        plan = CallPlan(
            self.call_id, "org-1", "vapi.websocketCall", self.assistant, AudioFormat.PCM16, self.rate_hz, 0
        )
        members = ready(tuple(self.members))
        return headed(plan, members[0], members) if members else plan

    def _routes(self, plan: CallPlan) -> Routes:
        stt: Stt = self.stt if self.recogniser is None else self.recogniser
        turn_model = (
            None if self.turn_score is None else SimulatedTurnModel(self.turn_score, self.turn_score_s)
        )
        reply = ReplyRoutes(
            self.llm,
            self.tts,
            TtsOptions(self.rate_hz),
            stock=self.stock,
            stock_rate_hz=self.rate_hz,
            voicing=Voicing.of(read_settings(plan.assistant)),
        )
        routes = Routes(
            stt,
            reply,
            turn_model,
            endpointing=self.endpointing,
            transfers=self.transfers,
            questions=self.questions,
            tools=self.tools,
        )
        return self.work_for(plan.assistant, routes)

    async def _speak_all(self, script: Sequence[Utterance]) -> None:
        async with asyncio.TaskGroup() as group:
            for utterance in script:
                _ = group.create_task(self._speak(utterance))

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

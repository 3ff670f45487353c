"""Whatever a child, the inbox, the media plane or the one who runs it does to a call: it goes on, or ends in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from aywa.boot.rehearsal import LEG, RecordedJournal, Rehearsal, Utterance
from aywa.call.replies import ReplyRoutes
from aywa.call.session import Routes, Session, SessionPlan
from aywa.core import events as ev
from aywa.ports.llm import LlmDelta, LlmRequest
from aywa.ports.tts import TtsChunk, TtsOptions
from aywa.testing.scripted_media import ScriptedMedia
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedSttStream, ScriptedTts

pytestmark = pytest.mark.virtual_time

HELLO = {"firstMessage": "Hello there."}
DEATHS: list[Callable[[], BaseException]] = [
    lambda: RuntimeError("boom"),
    lambda: ExceptionGroup("many", [ValueError(), OSError()]),
    lambda: TimeoutError(),
    lambda: StopAsyncIteration(),
    lambda: asyncio.CancelledError(),
    lambda: RecursionError(),
]
NAMES = ["error", "group", "timeout", "stop", "cancelled", "recursion"]
any_death = pytest.mark.parametrize("death", DEATHS, ids=NAMES)


@dataclass
class Call:
    """A call whose parts a test can replace."""

    stt: Any = field(default_factory=ScriptedStt)
    llm: Any = field(default_factory=ScriptedLlm)
    tts: Any = field(default_factory=ScriptedTts)
    turn_model: Any = None
    media: Any = field(default_factory=ScriptedMedia)
    inbox_limit: int = 20_000
    journal: RecordedJournal = field(default_factory=RecordedJournal)
    assistant: dict[str, Any] = field(default_factory=lambda: dict(HELLO))

    def __post_init__(self) -> None:
        routes = Routes(self.stt, ReplyRoutes(self.llm, self.tts, TtsOptions(8000)), self.turn_model)
        started = ev.CallStarted("call-1", "org-1", 1_700_000_000_000, self.assistant)
        plan = SessionPlan(started, inbox_limit=self.inbox_limit)
        self.session = Session(plan, routes, self.media, self.journal)
        self.running = asyncio.create_task(self.session.run())

    def connect(self) -> None:
        self.media.connect(LEG, 8000, self.session.epoch_s, self.session.post)

    async def says(self, *words: str) -> None:
        """The caller speaks, and waits for what is said to it."""
        self.media.voice_started(LEG)
        for word in words:
            await asyncio.sleep(0.25)
            self.stt.stream.say(word)
        self.media.voice_stopped(LEG)
        await asyncio.sleep(6)

    async def hangs_up(self) -> None:
        self.media.disconnect(LEG)
        await self.running

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(m["role"], m["message"]) for m in self.session.conversation.history.messages]

    @property
    def died(self) -> list[tuple[str, str]]:
        return [(r.data["child"], r.data["code"]) for r in self.journal.of("ChildFailed")]

    @property
    def reason(self) -> str | None:
        [end] = self.journal.of("EndCall")
        return str(end.data["reason"])


ANSWERED = [("bot", "Hello there."), ("user", "yes of course"), ("bot", "Certainly. That is done.")]


async def goes_on(call: Call) -> None:
    """A usual turn works, and a usual end."""
    await call.says("yes", "of", "course")
    await call.hangs_up()
    assert call.said[-2:] == ANSWERED[-2:]
    assert call.reason == "customer-ended-call"


# --- each child is killed ------------------------------------------------------------------------------------------


@any_death
async def test_the_recogniser_dies_while_opening(death: Callable[[], BaseException]) -> None:
    class Stt(ScriptedStt):
        deaths = 2

        async def open(self, options: Any) -> ScriptedSttStream:
            if self.deaths:
                self.deaths -= 1
                raise death()
            return await super().open(options)

    call = Call(stt=Stt())
    call.connect()
    await asyncio.sleep(3)
    await goes_on(call)
    assert [child for child, _ in call.died] == ["stt", "stt"]


@any_death
async def test_the_recogniser_dies_at_work(death: Callable[[], BaseException]) -> None:
    call = Call()
    call.connect()
    await asyncio.sleep(3)
    call.stt.stream.fail(death())
    await asyncio.sleep(1)
    await goes_on(call)
    assert [child for child, _ in call.died] == ["stt"]


@any_death
async def test_a_recogniser_that_cannot_be_opened_ends_the_call_with_a_published_reason(
    death: Callable[[], BaseException],
) -> None:
    class Stt(ScriptedStt):
        async def open(self, options: Any) -> ScriptedSttStream:
            raise death()

    call = Call(stt=Stt())
    call.connect()
    await call.running
    assert call.reason == "pipeline-error-custom-transcriber-failed"


@dataclass
class DyingLlm(ScriptedLlm):
    death: Callable[[], BaseException] = RuntimeError
    deaths: int = 1
    warmed: int = 0

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        if self.deaths:
            self.deaths -= 1
            raise self.death()
        async for delta in ScriptedLlm.stream(self, request):
            yield delta


@any_death
async def test_a_reply_dies_in_the_model(death: Callable[[], BaseException]) -> None:
    deaths = 2 if isinstance(death(), TimeoutError) else 4
    call = Call(llm=DyingLlm(death=death, deaths=deaths))
    call.connect()
    await asyncio.sleep(3)
    await call.says("hello", "you")
    # What was asked before the end of the turn was known is asked again, each once more; when that fails the caller is told.
    await goes_on(call)
    assert call.journal.of("ReplyFailed")
    assert ("bot", "Sorry, I had a problem just now. Could you say that again?") in call.said


@any_death
async def test_a_model_that_always_dies_ends_the_call_with_words_and_a_published_reason(
    death: Callable[[], BaseException],
) -> None:
    call = Call(llm=DyingLlm(death=death, deaths=999))
    call.connect()
    await asyncio.sleep(3)
    for _ in range(4):
        if not call.running.done():
            await call.says("hello", "you")
    await call.running
    assert call.reason == "pipeline-error-custom-llm-llm-failed"
    assert call.said[-1][1].startswith("I am sorry")


@any_death
async def test_a_reply_dies_in_the_voice(death: Callable[[], BaseException]) -> None:
    class Tts(ScriptedTts):
        async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
            raise death()
            yield

    call = Call(tts=Tts())
    call.connect()
    await call.running
    assert call.reason == "pipeline-error-custom-voice-failed"


@any_death
async def test_the_turn_model_dies(death: Callable[[], BaseException]) -> None:
    class TurnModel:
        asked = 0

        async def score(self, pcm: bytes) -> float:
            self.asked += 1
            raise death()

    model = TurnModel()
    call = Call(turn_model=model)
    call.connect()
    await asyncio.sleep(3)
    await goes_on(call)
    assert model.asked >= 1
    # A cancelled score is nobody's loss: the turn is decided by the other signals.
    assert ("turn_model", death().__class__.__name__) in call.died or isinstance(
        death(), asyncio.CancelledError
    )


@any_death
async def test_the_warming_of_the_model_dies(death: Callable[[], BaseException]) -> None:
    class Llm(ScriptedLlm):
        warmed = 0

        async def warm(self, request: LlmRequest) -> None:
            Llm.warmed += 1
            raise death()

    call = Call(llm=Llm())
    call.connect()
    await asyncio.sleep(3)
    await goes_on(call)
    assert Llm.warmed


async def test_a_provider_that_never_answers_anything_does_not_hold_the_end() -> None:
    class Tts(ScriptedTts):
        async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
            await asyncio.sleep(10_000)
            yield TtsChunk(b"", 8000)

    call = Call(tts=Tts())
    call.connect()
    await asyncio.sleep(1)
    await call.hangs_up()
    assert asyncio.get_running_loop().time() < 2


# --- the inbox -----------------------------------------------------------------------------------------------------


async def test_an_inbox_that_overruns_is_bounded_and_the_call_goes_on() -> None:
    call = Call(inbox_limit=100)
    call.connect()
    await asyncio.sleep(3)
    for _ in range(5000):
        call.session.post(ev.ClientMessageReceived(LEG, {"type": "noise"}))
    assert len(call.session._inbox) == 100
    assert call.session.overrun == 4900
    await asyncio.sleep(1)
    await goes_on(call)
    assert len(call.journal.of("ClientMessageReceived")) == 100


async def test_what_comes_after_the_end_changes_nothing() -> None:
    call = Call()
    call.connect()
    await asyncio.sleep(1)
    await call.hangs_up()
    before = len(call.journal.records)
    for event in (ev.VoiceStarted(LEG, 1.0), ev.LegEnded(LEG, "closed"), ev.EndRequested("late")):
        call.session.post(event)
    await asyncio.sleep(1)
    assert len(call.journal.records) == before
    assert not call.session._inbox


# --- the one who runs it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.0, 3.2, 3.55, 4.0])
async def test_a_run_that_is_cancelled_leaves_nothing_behind(after_s: float) -> None:
    class TurnModel:
        async def score(self, pcm: bytes) -> float:
            await asyncio.sleep(100)
            return 0.5

    call = Call(llm=ScriptedLlm(first_token_s=0.3), turn_model=TurnModel())
    await asyncio.sleep(0)
    call.connect()
    talking = asyncio.create_task(_talk(call))
    await asyncio.sleep(after_s)
    call.running.cancel()
    await asyncio.gather(call.running, return_exceptions=True)
    assert call.running.cancelled()
    others = asyncio.all_tasks() - {asyncio.current_task(), talking}
    assert not others
    talking.cancel()
    await asyncio.gather(talking, return_exceptions=True)
    assert all(stream.closed for stream in call.stt.streams)


async def test_a_run_that_is_cancelled_ends_the_call_first() -> None:
    call = Call()
    call.connect()
    await asyncio.sleep(3)
    call.running.cancel()
    await asyncio.gather(call.running, return_exceptions=True)
    assert call.reason == "worker-shutdown"
    assert call.said == [("bot", "Hello there.")]
    assert call.media.legs[LEG].closed


@pytest.mark.parametrize("method", ["send", "listen", "recent_audio"])
async def test_a_media_plane_that_raises_ends_the_call_on_record(method: str) -> None:
    class Media(ScriptedMedia):
        broken = ""

        def __getattribute__(self, name: str) -> Any:
            if name == object.__getattribute__(self, "broken"):
                raise RuntimeError("the plane is broken")
            return super().__getattribute__(name)

    class TurnModel:
        async def score(self, pcm: bytes) -> float:
            return 0.5

    media = Media()
    call = Call(media=media, turn_model=TurnModel())
    media.broken = method if method == "listen" else ""
    call.connect()
    await asyncio.sleep(3)
    media.broken = method
    if not call.running.done():
        await call.says("yes", "of", "course")
    with pytest.raises(ExceptionGroup):
        await asyncio.wait_for(call.running, 60)
    assert call.reason == "call.in-progress.error-vapifault-worker-died"
    assert media.legs[LEG].closed or method == "send"


async def _talk(call: Call) -> None:
    await asyncio.sleep(2.5)
    await call.says("yes", "of", "course")


async def test_a_hundred_calls_leave_no_task() -> None:
    calls = [
        Rehearsal(HELLO, call_id=f"call-{n}", llm=ScriptedLlm(first_token_s=0.01 * n)) for n in range(100)
    ]
    await asyncio.gather(
        *(call.run([Utterance(2.0, ["hello", "you"])], 3.0 + n / 50) for n, call in enumerate(calls))
    )
    assert {call.ended_reason for call in calls} == {"customer-ended-call"}
    assert asyncio.all_tasks() == {asyncio.current_task()}

"""The caller is never left in silence without a reason: the real session on virtual time, and everything that can be late,
break or not stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from aywa.boot.rehearsal import LEG, RecordedJournal
from aywa.call.recogniser import EarRoute
from aywa.call.replies import ReplyRoutes
from aywa.call.session import Routes, Session, SessionPlan
from aywa.core import events as ev
from aywa.core.settings import IDLE_MESSAGES, Fillers
from aywa.core.silence import GAP_S
from aywa.core.stock import EXCUSE, FAREWELL, NOBODY_THERE, REPROMPT, TIME_IS_UP
from aywa.core.turns.caller import BABBLE_S
from aywa.ports.llm import LlmDelta, LlmRequest, TextDelta
from aywa.ports.tts import TtsChunk, TtsOptions
from aywa.testing.scripted_media import ScriptedMedia
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts, broken

pytestmark = pytest.mark.virtual_time

RATE_HZ = 8000
HELLO: dict[str, Any] = {"firstMessage": "Hello there."}
QUESTION = ("what", "are", "your", "opening", "hours")
ANSWER = "We are open from nine to five."
FILLERS = Fillers()
# A recovery is heard so soon after the deadline that it follows.
RECOVERY_S = 1.2


@dataclass
class Llm(ScriptedLlm):
    """Says deltas; a number among them is a pause, an exception breaks it. Every request takes the next script, the last
    one again and again."""

    scripts: list[Sequence[Any]] = field(default_factory=lambda: [[ANSWER]])

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        self.requests.append(request)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        for item in script:
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, int | float):
                await asyncio.sleep(item)
            else:
                yield TextDelta(item)


@dataclass
class Tts(ScriptedTts):
    """Breaks at every clause for which `breaks` says so: at once, or in the middle."""

    breaks: Callable[[str], bool] = lambda text: False
    in_the_middle: bool = False

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        broken_now = self.breaks(text)
        if broken_now and not self.in_the_middle:
            raise broken("tts")
        async for chunk in ScriptedTts.synthesize(self, text, options):
            yield chunk
        if broken_now:
            raise broken("tts")


class Call:
    """A call, what the caller does in it, and when the caller heard what."""

    def __init__(
        self,
        assistant: Mapping[str, Any] = HELLO,
        *,
        llm: Any = None,
        tts: Any = None,
        stt: Any = None,
        stock: Mapping[str, bytes] | None = None,
        others: Mapping[str, Any] | None = None,
        more_ears: Sequence[EarRoute] = (),
    ) -> None:
        """others: the reply's other routes."""
        self.stt = ScriptedStt() if stt is None else stt
        self.media = ScriptedMedia()
        self.journal = RecordedJournal()
        replies = ReplyRoutes(
            llm or Llm(),
            tts or ScriptedTts(),
            TtsOptions(RATE_HZ),
            stock=stock or {},
            stock_rate_hz=RATE_HZ,
            **(others or {}),
        )
        started = ev.CallStarted("call-1", "org-1", 0, dict(assistant))
        routes = Routes(self.stt, replies, more_ears=tuple(more_ears))
        self.session = Session(SessionPlan(started), routes, self.media, self.journal)
        self.leg: Any = None

    async def run(
        self, caller: Callable[[Call], Coroutine[Any, Any, None]] | None = None, until_s: float = 30.0
    ) -> None:
        """From the connection to the end; at until_s the caller hangs up. The promise is kept in any case."""
        running = asyncio.create_task(self.session.run())
        self.leg = self.media.connect(LEG, RATE_HZ, self.session.epoch_s, self.session.post)
        acting = asyncio.create_task(caller(self) if caller is not None else asyncio.sleep(0))
        leaving = asyncio.get_running_loop().call_later(until_s, self.media.disconnect, LEG)
        await running
        leaving.cancel()
        acting.cancel()
        [came_of_it] = await asyncio.gather(acting, return_exceptions=True)
        if isinstance(came_of_it, Exception):
            raise came_of_it
        assert ("promise_broken", "unexplained") not in self.journal.decisions()

    # --- the caller's side -------------------------------------------------------------------------------------------

    async def at(self, second: float) -> None:
        await asyncio.sleep(max(0.0, second - self.now))

    async def says(self, *words: str, word_s: float = 0.25) -> None:
        self.media.voice_started(LEG)
        for word in words:
            await asyncio.sleep(word_s)
            self.stt.stream.say(word)
        self.media.voice_stopped(LEG)

    def asks(self, **message: Any) -> None:
        self.session.post(ev.ClientMessageReceived(LEG, message))

    # --- what came of it ---------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time() - self.session.epoch_s

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(m["role"], m["message"]) for m in self.session.conversation.history.messages]

    @property
    def of_agent(self) -> list[str]:
        return [text for role, text in self.said if role == "bot"]

    @property
    def reason(self) -> str:
        [end] = self.journal.of("EndCall")
        return str(end.data["reason"])

    def first(self, kind: str, since_s: float = 0.0, **data: Any) -> float:
        """When something came to pass first."""
        return next(
            r.at_s
            for r in self.journal.of(kind)
            if r.at_s >= since_s and all(r.data[name] == value for name, value in data.items())
        )

    def count(self, kind: str) -> int:
        return len(self.journal.of(kind))


async def question(call: Call) -> None:
    """A question whose last voice ends at 3.25."""
    await call.at(2.0)
    await call.says(*QUESTION)


ASKED_S = 3.25
ASKED = ("user", " ".join(QUESTION))


# --- a slow or broken model ------------------------------------------------------------------------------------------


async def test_a_filler_speaks_while_the_model_is_slow_and_both_are_one_message() -> None:
    call = Call(llm=Llm(scripts=[[3.5, ANSWER]]))
    await call.run(question, 15.0)
    assert call.first("PlayoutStarted", 3.0) == pytest.approx(ASKED_S + FILLERS.after_s, abs=0.05)
    assert call.said[1:3] == [ASKED, ("bot", f"{FILLERS.texts[0]} {ANSWER}")]
    assert call.count("StartReply") == 1


async def test_a_model_that_never_answers_is_excused_soon_after_its_deadline() -> None:
    call = Call(llm=Llm(scripts=[[1000.0]]))
    await call.run(question, 18.0)
    failed_s = call.first("ReplyFailed")
    assert failed_s == pytest.approx(call.first("StartReply") + 8.0, abs=0.01)
    assert call.first("PlayPhrase", failed_s) - failed_s <= RECOVERY_S
    [told] = [text for text in call.of_agent if EXCUSE in text]
    assert told == " ".join([*FILLERS.texts[:2], EXCUSE])


async def test_a_model_that_stalls_in_the_middle_is_waited_for_with_fillers_and_then_excused() -> None:
    call = Call(llm=Llm(scripts=[["We are open. ", 1000.0]]))
    await call.run(question, 18.0)
    failed_s = call.first("ReplyFailed")
    assert call.first("PlayPhrase", failed_s) - failed_s <= RECOVERY_S
    assert call.of_agent[1].startswith(f"We are open. {FILLERS.texts[0]}")
    assert call.of_agent[1].endswith(EXCUSE)


@pytest.mark.parametrize("script", [[], ["..."], [" ", "\n"]], ids=["nothing", "dots", "blanks"])
async def test_an_empty_answer_is_owned_up_to(script: list[str]) -> None:
    call = Call(llm=Llm(scripts=[script]))
    await call.run(question, 12.0)
    assert call.said[1:3] == [ASKED, ("bot", EXCUSE)]
    failed_s = call.first("RecordDecision", decision="turn_taken")
    assert call.first("PlayoutStarted", failed_s) - failed_s <= RECOVERY_S


async def test_a_model_that_always_breaks_ends_the_call_with_a_farewell() -> None:
    call = Call(llm=Llm(scripts=[[broken("llm")]]))

    async def again(call: Call) -> None:
        for _ in range(3):
            await call.says(*QUESTION)
            await asyncio.sleep(9.0)

    await call.run(again, 60.0)
    assert call.reason == "pipeline-error-custom-llm-llm-failed"
    assert call.of_agent[-1] == FAREWELL


# --- a broken voice --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_the_middle", [True, False])
async def test_a_voice_that_dies_in_the_middle_of_a_reply_is_excused(*, in_the_middle: bool) -> None:
    tts = Tts(breaks=lambda text: "days" in text, in_the_middle=in_the_middle)
    call = Call(llm=Llm(scripts=[["We are open. ", "From nine to five on most days."]]), tts=tts)
    await call.run(question, 15.0)
    assert call.of_agent[1] == f"We are open. {EXCUSE}"
    assert call.first("PlayPhrase") - call.first("ReplyFailed") <= RECOVERY_S


async def test_a_voice_that_is_dead_from_the_start_says_farewell_with_the_runtimes_own() -> None:
    texts = (EXCUSE, FAREWELL, REPROMPT, NOBODY_THERE, TIME_IS_UP, *FILLERS.texts)
    stock = {text: b"\x01\x01" * (len(text.split()) * RATE_HZ // 4) for text in texts}
    call = Call(tts=Tts(breaks=lambda text: True), stock=stock)

    async def again(call: Call) -> None:
        for second in (8.0, 20.0):
            await call.at(second)
            if not call.leg.closed:
                await call.says(*QUESTION)

    await call.run(again, 60.0)
    assert call.reason == "pipeline-error-custom-voice-failed"
    assert call.of_agent == [EXCUSE, EXCUSE, FAREWELL]
    assert {r.data["source"] for r in call.journal.of("PlayPhrase")} == {"stock"}


async def test_a_voice_that_is_dead_without_stock_ends_the_call_with_a_published_reason() -> None:
    call = Call(tts=Tts(breaks=lambda text: True))
    await call.run(until_s=60.0)
    assert call.reason == "pipeline-error-custom-voice-failed"


# --- a broken recogniser ---------------------------------------------------------------------------------------------


class DeafStt(ScriptedStt):
    """Opens, and never says a word."""

    async def open(self, options: Any) -> Any:
        stream = await super().open(options)
        stream.say = lambda words: None  # type: ignore[method-assign]
        stream.finalize = lambda: None  # type: ignore[method-assign]
        return stream


async def test_a_caller_whom_the_recogniser_does_not_hear_is_asked_again_and_told_goodbye() -> None:
    call = Call(stt=DeafStt())

    async def again(call: Call) -> None:
        await call.at(3.0)
        while not call.leg.closed:
            await call.says(*QUESTION)
            await asyncio.sleep(7.0)

    await call.run(again, 90.0)
    assert REPROMPT in call.of_agent
    assert call.of_agent[-1] == FAREWELL
    assert call.reason == "pipeline-error-custom-transcriber-failed"


async def test_a_recogniser_that_cannot_be_opened_any_more_is_told_to_the_caller() -> None:
    class Stt(ScriptedStt):
        async def open(self, options: Any) -> Any:
            raise broken("stt", retryable=False)

    call = Call(stt=Stt())
    await call.run(until_s=60.0)
    assert call.reason == "pipeline-error-custom-transcriber-failed"
    assert call.of_agent[-1] == FAREWELL


# --- a caller who says nothing ---------------------------------------------------------------------------------------


async def test_a_silent_caller_is_asked_and_then_told_goodbye() -> None:
    call = Call(HELLO | {"silenceTimeoutSeconds": 30})
    await call.run(until_s=120.0)
    assert call.of_agent == [HELLO["firstMessage"], *IDLE_MESSAGES * 2, NOBODY_THERE]
    assert call.reason == "silence-timed-out"


async def test_the_longest_duration_is_told_to_the_caller() -> None:
    call = Call(HELLO | {"maxDurationSeconds": 12, "silenceTimeoutSeconds": 3600})
    await call.run(question, 60.0)
    assert call.of_agent[-1] == TIME_IS_UP
    assert call.reason == "exceeded-max-duration"
    assert call.first("PlayoutFinished", 12.0) < 20.0


async def test_the_assistants_own_words_end_the_call_where_it_has_any() -> None:
    plan = {"messagePlan": {"idleMessages": ["Hm?"], "silenceTimeoutMessage": "Nobody, then."}}
    call = Call(HELLO | plan | {"silenceTimeoutSeconds": 12})
    await call.run(until_s=60.0)
    assert call.of_agent == [HELLO["firstMessage"], "Hm?", "Nobody, then."]


async def test_a_caller_who_answers_the_last_words_goes_on() -> None:
    call = Call(HELLO | {"silenceTimeoutSeconds": 10, "messagePlan": {"idleMessages": []}})

    async def answers(call: Call) -> None:
        await call.at(11.0)
        await call.says("wait", "I", "am", "here")

    await call.run(answers, 20.0)
    assert NOBODY_THERE.startswith(call.of_agent[1])
    assert call.said[2:] == [("user", "wait I am here"), ("bot", ANSWER)]
    assert call.reason == "customer-ended-call"


# --- who holds the floor while a filler speaks -----------------------------------------------------------------------


async def test_a_caller_who_interrupts_a_filler_is_answered_instead() -> None:
    call = Call(llm=Llm(scripts=[[4.0, "Never said."], [ANSWER]]))

    async def interrupts(call: Call) -> None:
        await question(call)
        await call.at(5.3)
        await call.says("stop", "that", "please")

    await call.run(interrupts, 15.0)
    assert call.first("DropPlayout") < 6.0
    assert call.of_agent[1] != FILLERS.texts[0]
    assert FILLERS.texts[0].startswith(call.of_agent[1])
    assert call.said[-2:] == [("user", "stop that please"), ("bot", ANSWER)]


async def test_a_backchannel_during_a_filler_changes_nothing() -> None:
    call = Call(llm=Llm(scripts=[[4.0, ANSWER]]))

    async def murmurs(call: Call) -> None:
        await question(call)
        await call.at(5.2)
        await call.says("mhm")

    await call.run(murmurs, 15.0)
    assert call.said[1:] == [ASKED, ("bot", f"{FILLERS.texts[0]} {ANSWER}")]
    assert ("kept", "acknowledgement") in call.journal.decisions()


# --- a voice that never stops ----------------------------------------------------------------------------------------


async def test_a_hum_while_the_agent_waits_is_asked_about_and_ends_the_call_in_time() -> None:
    call = Call(HELLO | {"silenceTimeoutSeconds": 30})

    async def hums(call: Call) -> None:
        await call.at(3.0)
        call.media.voice_started(LEG)

    await call.run(hums, 200.0)
    assert call.first("RecordDecision", decision="voice_ignored") == pytest.approx(3.0 + BABBLE_S, abs=0.1)
    assert call.of_agent[-1] == NOBODY_THERE
    assert call.reason == "silence-timed-out"


async def test_a_hum_during_a_reply_takes_the_floor_once_and_not_for_ever() -> None:
    call = Call(llm=Llm(scripts=[["one two three four five six seven eight nine ten. " * 2]]))

    async def hums(call: Call) -> None:
        await question(call)
        await call.at(5.0)
        call.media.voice_started(LEG)
        await call.at(20.0)
        call.asks(type="say", content="Can you hear me at all?")

    await call.run(hums, 40.0)
    assert call.count("PlayoutPaused") == 1
    assert "Can you hear me at all?" in call.of_agent


# --- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("interruptible", "whole"), [(None, False), (True, False), (False, True)])
async def test_a_message_that_may_not_be_interrupted_is_not(interruptible: bool | None, whole: bool) -> None:
    text = "Please listen to this message to its end."
    call = Call()

    async def interrupts(call: Call) -> None:
        await call.at(2.0)
        wish = {} if interruptible is None else {"interruptionsEnabled": interruptible}
        call.asks(type="say", content=text, **wish)
        await call.at(2.5)
        await call.says("stop", "that", "now")

    await call.run(interrupts, 15.0)
    assert (call.of_agent[1] == text) == whole
    assert ("user", "stop that now") in call.said
    assert call.of_agent[-1] == ANSWER


async def test_the_farewell_cannot_be_interrupted() -> None:
    call = Call(HELLO | {"maxDurationSeconds": 8})

    async def protests(call: Call) -> None:
        await call.at(8.5)
        await call.says("no", "wait", "do", "not", "go")

    await call.run(protests, 60.0)
    assert call.of_agent[-1] == TIME_IS_UP
    assert call.reason == "exceeded-max-duration"


@pytest.mark.parametrize(("trigger", "answers"), [(True, 1), (False, 0)])
async def test_a_message_that_is_added_is_answered_if_that_is_wished(*, trigger: bool, answers: int) -> None:
    call = Call()

    async def adds(call: Call) -> None:
        await call.at(3.0)
        message = {"role": "system", "content": "The parcel is here."}
        call.asks(type="add-message", message=message, triggerResponseEnabled=trigger)

    await call.run(adds, 8.0)
    assert call.of_agent == [HELLO["firstMessage"], *[ANSWER] * answers]
    assert call.said[1] == ("system", "The parcel is here.")


async def test_hooks_speak_and_add_when_their_time_has_come() -> None:
    note = {"type": "message.add", "message": {"role": "system", "content": "Interrupted."}}
    hooks = [
        {
            "on": "call.timeElapsed",
            "options": {"seconds": 8},
            "do": [{"type": "say", "exact": "Eight seconds."}],
        },
        {"on": "assistant.speech.interrupted", "do": [note]},
        {
            "on": "customer.speech.timeout",
            "options": {"timeoutSeconds": 4},
            "do": [{"type": "say", "exact": "Hm?"}],
        },
    ]
    call = Call(HELLO | {"hooks": hooks}, llm=Llm(scripts=[["one two three four five six seven."], [ANSWER]]))

    async def interrupts(call: Call) -> None:
        await question(call)
        await call.at(4.5)
        await call.says("stop", "now", "please")

    await call.run(interrupts, 18.0)
    assert ("system", "Interrupted.") in call.said
    assert call.of_agent.count("Eight seconds.") == 1
    assert call.of_agent[-1] == "Hm?"


# --- all gaps have reasons -------------------------------------------------------------------------------------------


async def test_every_long_silence_is_on_record_with_its_reason() -> None:
    call = Call()

    async def pauses(call: Call) -> None:
        await call.at(7.0)
        await call.says(*QUESTION)

    await call.run(pauses, 20.0)
    gaps = [r.data for r in call.journal.of("RecordGap")]
    assert gaps
    for gap in gaps:
        assert gap["to_s"] - gap["from_s"] > GAP_S
        assert (
            set(gap["reasons"]) <= {"awaiting_answer", "caller_has_floor"}
            or gap["reasons"]["unexplained"] < GAP_S
        )

"""Conversations as scripts with seconds, through the real session on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from aywa.boot.rehearsal import LEG, Rehearsal, Utterance
from aywa.core import events as ev
from aywa.core.turns.endpointing import SETTLED_TEXT_S
from aywa.ports.stt import SttCapabilities, Word
from aywa.ports.telephony import TellTransfer
from aywa.testing.scripted_media import ScriptedMedia
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts, broken
from aywa.testing.simulated_stt import SimulatedStt

pytestmark = pytest.mark.virtual_time

HELLO = {"firstMessage": "Hello there.", "endCallPhrases": ["goodbye now"]}


async def test_greets_and_answers() -> None:
    call = Rehearsal(HELLO)
    await call.run([Utterance(2.0, ["tell", "me", "about", "your", "opening", "hours"])], 6.0)
    assert call.messages == [
        ("bot", "Hello there."),
        ("user", "tell me about your opening hours"),
        ("bot", "Certainly. That is done."),
    ]
    assert call.ended_reason == "customer-ended-call"
    [turn] = call.told("turn-latency")
    # The settled-text wait, and nothing added to it: the reply was ready before the wait was over.
    assert turn["latencyMs"] == pytest.approx(SETTLED_TEXT_S * 1000, abs=2)
    assert turn["parts"]["endpointing"] == pytest.approx(SETTLED_TEXT_S * 1000, abs=2)


async def test_a_slow_model_is_hidden_by_the_wait() -> None:
    call = Rehearsal(HELLO, llm=ScriptedLlm(first_token_s=0.3), tts=ScriptedTts(first_audio_s=0.1))
    await call.run([Utterance(2.0, ["please", "book", "a", "table"])], 6.0)
    [turn] = call.told("turn-latency")
    assert turn["latencyMs"] == pytest.approx(SETTLED_TEXT_S * 1000, abs=5)


async def test_a_pause_inside_a_sentence_is_one_turn() -> None:
    call = Rehearsal(HELLO)
    await call.run([Utterance(2.0, ["I", "need", "two", "rooms", 0.45, "next", "week"])], 8.0)
    assert [m for m in call.messages if m[0] == "user"] == [("user", "I need two rooms next week")]
    assert ("reply_discarded", "text_changed") in call.journal.decisions()


async def test_barge_in_keeps_only_what_was_heard() -> None:
    call = Rehearsal(HELLO, llm=ScriptedLlm(lambda r: "one two three four five six seven eight nine ten."))
    await call.run(
        [Utterance(2.0, ["count", "please"]), Utterance(4.5, ["stop", "that", "now"])],
        9.0,
    )
    replies = [text for role, text in call.messages if role == "bot"]
    assert replies[1] == "one two three four"
    assert call.told("user-interrupted")
    assert ("yielded", "interruption_phrase") in call.journal.decisions()


async def test_words_whose_audio_came_late_are_dated_when_they_left() -> None:
    call = Rehearsal(HELLO, tts=ScriptedTts(first_audio_s=0.8))
    await call.run([Utterance(5.0, ["please"])], 12.0)
    # "Certainly." lasts 0.3 s, and what follows is synthesised after it, for 0.8 s.
    certainly, that, *_ = call.journal.of("RecordMessage")[-1].data["words"]
    assert certainly[2] - certainly[1] == pytest.approx(0.3)
    assert that[1] - certainly[1] == pytest.approx(0.8, abs=0.01)
    resumed = call.journal.of("PlayoutResumed")[-1]
    assert resumed.data["position"] == round(0.3 * call.rate_hz)


async def test_a_backchannel_does_not_take_the_floor() -> None:
    call = Rehearsal(HELLO, llm=ScriptedLlm(lambda r: "one two three four five six seven eight nine ten."))
    await call.run([Utterance(2.0, ["count", "please"]), Utterance(4.5, ["mhm"])], 9.0)
    assert ("bot", "one two three four five six seven eight nine ten.") in call.messages
    assert ("kept", "acknowledgement") in call.journal.decisions()
    assert len([m for m in call.messages if m[0] == "user"]) == 1


async def test_a_caller_who_goes_on_before_the_first_frame_adds_to_the_turn() -> None:
    call = Rehearsal(HELLO, llm=ScriptedLlm(first_token_s=1.0))
    await call.run([Utterance(2.0, ["I", "want", "pizza"]), Utterance(3.6, ["with", "cheese"])], 9.0)
    assert [m for m in call.messages if m[0] == "user"] == [("user", "I want pizza with cheese")]
    assert len([m for m in call.messages if m[0] == "bot"]) == 2


async def test_a_model_that_fails_is_excused_and_the_call_goes_on() -> None:
    llm = ScriptedLlm()
    # Asked early and when the turn is over, and each time once more.
    llm.fail_next.extend([broken("llm")] * 4)
    call = Rehearsal(HELLO, llm=llm)
    await call.run([Utterance(2.0, ["hello", "you"]), Utterance(9.0, ["again", "please"])], 14.0)
    bot = [text for role, text in call.messages if role == "bot"]
    assert bot[1].startswith("Sorry")
    assert bot[2] == "Certainly. That is done."


async def test_a_voice_that_fails_ends_the_call_with_a_published_reason() -> None:
    tts = ScriptedTts()
    tts.fail_next.extend([broken("tts")] * 50)
    call = Rehearsal(HELLO, tts=tts)
    await call.run([], 20.0)
    assert call.ended_reason == "pipeline-error-custom-voice-failed"


async def test_an_end_call_phrase_ends_the_call_after_it_was_spoken() -> None:
    call = Rehearsal(HELLO, llm=ScriptedLlm(lambda r: "Thank you. Goodbye now!"))
    await call.run([Utterance(2.0, ["that", "is", "all"])], 30.0)
    assert call.ended_reason == "assistant-said-end-call-phrase"
    assert call.messages[-1] == ("bot", "Thank you. Goodbye now!")


async def test_silence_and_length_end_the_call() -> None:
    silent = Rehearsal(HELLO | {"silenceTimeoutSeconds": 10})
    await silent.run([], 60.0)
    assert silent.ended_reason == "silence-timed-out"
    long = Rehearsal(HELLO | {"silenceTimeoutSeconds": 3600, "maxDurationSeconds": 30})
    await long.run([], 60.0)
    assert long.ended_reason == "exceeded-max-duration"


async def test_nobody_connects() -> None:
    call = Rehearsal(HELLO)
    await call.run([], 0.0, connect=False)
    assert call.ended_reason == "call.in-progress.error-providerfault-transport-never-connected"


async def test_a_recogniser_that_breaks_is_opened_again() -> None:
    stt = ScriptedStt()
    call = Rehearsal(HELLO, stt=stt)

    async def run() -> None:
        await call.run([Utterance(4.0, ["are", "you", "there"])], 8.0)

    task = asyncio.create_task(run())
    await asyncio.sleep(2.0)
    stt.stream.fail(broken("stt"))
    await task
    assert len(stt.streams) == 2
    assert ("user", "are you there") in call.messages


async def test_a_broken_route_is_asked_early_once_and_again_when_the_turn_is_over() -> None:
    llm = ScriptedLlm()
    llm.fail_next.extend([broken("llm", retryable=False)] * 9)
    call = Rehearsal(HELLO, llm=llm)
    await call.run([Utterance(2.0, ["hello", "you"])], 5.0)
    assert len(llm.requests) == 2


async def test_a_long_wait_that_the_assistant_asks_for_costs_no_latency_beyond_it() -> None:
    call = Rehearsal(HELLO | {"startSpeakingPlan": {"waitSeconds": 2}}, llm=ScriptedLlm(first_token_s=1.0))
    await call.run([Utterance(2.0, ["book", "a", "table"])], 9.0)
    [turn] = call.told("turn-latency")
    assert turn["latencyMs"] == pytest.approx(2000, abs=5)


class Unasked(SimulatedStt):
    """Gives its finals when it thinks fit."""

    capabilities = SttCapabilities((8000,), interims=True, finalize=False, word_times=False)


async def test_a_recogniser_that_cannot_be_asked_for_all_words_serves_too() -> None:
    said = {2.0: ["please", "book", "a", "table"], 6.0: ["for", "two", "of", "us"]}
    words = [
        Word(text, at_s + i * 0.25, at_s + (i + 1) * 0.25)
        for at_s, texts in said.items()
        for i, text in enumerate(texts)
    ]
    stt = Unasked(words)
    call = Rehearsal(HELLO, recogniser=stt)
    media = ScriptedMedia()

    async def speak() -> None:
        for _ in said:
            await asyncio.sleep(2.0)
            media.voice_started(LEG, call.detected_after_s)
            await asyncio.sleep(1.0)
            media.voice_stopped(LEG, call.detected_after_s)
            await asyncio.sleep(1.0)

    await call.perform(media, speak, 10.0)
    assert [text for role, text in call.messages if role == "user"] == [" ".join(t) for t in said.values()]
    assert stt.streams[0].finalized == 0
    # Its final comes 0.3 s after the voice, and is as good as an answer.
    assert [turn["latencyMs"] < 900 for turn in call.told("turn-latency")] == [True, True]


# --- keys and tools --------------------------------------------------------------------------------------------

ASKS = [Utterance(2.0, ["please", "do", "that", "for", "me", "now"])]
OFFERED = HELLO | {
    "endCallFunctionEnabled": True,
    "dialKeypadFunctionEnabled": True,
    "forwardingPhoneNumber": "+4930111",
}


def wants(name: str, arguments: str = "{}") -> ScriptedLlm:
    """A model that wants a tool run, says nothing beside it, and goes on when it knows what came of it."""
    return ScriptedLlm(
        lambda request: "As you wish." if request.messages[-1].role == "tool" else "",
        calls=lambda request: () if request.messages[-1].role == "tool" else [(name, arguments)],
    )


def results(call: Rehearsal) -> list[str]:
    messages = [record.data["message"] for record in call.journal.of("RecordMessage")]
    return [m["result"] for m in messages if m["role"] == "tool_call_result"]


async def test_the_model_is_told_of_the_tools_that_there_are() -> None:
    call = Rehearsal(OFFERED)
    await call.run(ASKS, 6.0)
    names = [tool["function"]["name"] for tool in call.llm.requests[-1].tools]
    assert names == ["transferCall", "endCall", "dtmf"]


async def test_the_model_ends_the_call() -> None:
    call = Rehearsal(OFFERED, llm=wants("endCall"))
    await call.run(ASKS, 30.0)
    assert call.ended_reason == "assistant-ended-call"
    assert call.messages[-1] == ("user", "please do that for me now")


async def test_the_model_presses_keys() -> None:
    call = Rehearsal(OFFERED, llm=wants("dtmf", '{"dtmf": "12"}'))
    await call.run(ASKS, 8.0)
    assert call.leg is not None
    assert call.leg.pressed == ["12"]
    assert results(call) == ["The keys were pressed."]
    assert len(call.llm.requests) == 1


async def test_a_call_that_is_on_no_telephone_is_not_transferred_and_goes_on() -> None:
    call = Rehearsal(OFFERED, llm=wants("transferCall", '{"destination": "+4930111"}'))
    await call.run(ASKS, 12.0)
    assert "not on a line that can be transferred" in results(call)[0]
    assert call.messages[-1] == ("bot", "As you wish.")
    assert call.ended_reason == "customer-ended-call"


class Telephones:
    """Passes callers on, or breaks."""

    def __init__(self, *news: tuple[float, str], breaks: bool = False) -> None:
        self.news, self.breaks = news, breaks
        self.wanted: list[Mapping[str, Any]] = []

    async def begin(self, destination: Mapping[str, Any], tell: TellTransfer) -> None:
        self.wanted.append(destination)
        if self.breaks:
            raise RuntimeError("it broke")
        loop = asyncio.get_running_loop()
        for after_s, status in self.news:
            loop.call_later(after_s, tell, status, 200, "")


async def test_a_transfer_that_is_answered_ends_the_call_and_its_end_is_on_record() -> None:
    telephones = Telephones((20.0, "connected"), (25.0, "completed"))
    call = Rehearsal(OFFERED, llm=wants("transferCall", "{}"), transfers=telephones)

    async def act() -> None:
        assert call.media is not None
        await call._speak_all(ASKS)
        await asyncio.sleep(30.0)
        call.media.disconnect(LEG, "forwarded")

    await call.perform(ScriptedMedia(), act, 60.0)
    assert telephones.wanted == [{"type": "number", "number": "+4930111"}]
    assert call.ended_reason == "assistant-forwarded-call"
    assert [r.data["status"] for r in call.journal.of("TransferChanged")] == ["connected", "completed"]
    # Nobody was asked whether he is still there.
    assert [text for role, text in call.messages if role == "bot"] == [
        "Hello there.",
        "Transferring the call now.",
    ]


async def test_news_of_a_transfer_that_come_with_the_end_of_the_leg_are_on_record() -> None:
    call = Rehearsal(OFFERED, llm=wants("transferCall"), transfers=Telephones())

    async def act() -> None:
        assert call.media is not None
        assert call.session is not None
        await call._speak_all(ASKS)
        await asyncio.sleep(10.0)
        call.media.disconnect(LEG, "forwarded")
        call.session.post(ev.TransferChanged("connected", 200))

    await call.perform(ScriptedMedia(), act, 60.0)
    assert [r.data["status"] for r in call.journal.of("TransferChanged")] == ["connected"]
    assert call.ended_reason == "assistant-forwarded-call"


async def test_news_of_a_transfer_after_the_call_are_on_record() -> None:
    call = Rehearsal(OFFERED, llm=wants("transferCall"), transfers=Telephones((8.0, "completed")))
    await call.run(ASKS, 8.0)
    assert call.journal.of("TransferChanged") == []
    await asyncio.sleep(20.0)
    (record,) = call.journal.of("TransferChanged")
    assert (record.role, record.data["status"]) == ("note", "completed")


async def test_a_telephone_that_breaks_is_a_transfer_that_failed() -> None:
    call = Rehearsal(OFFERED, llm=wants("transferCall"), transfers=Telephones(breaks=True))
    await call.run(ASKS, 12.0)
    assert "could not be begun" in results(call)[0]
    assert call.messages[-1] == ("bot", "As you wish.")


async def test_keys_are_a_turn() -> None:
    call = Rehearsal(HELLO | {"keypadInputPlan": {"enabled": True, "delimiters": "#"}})

    async def act() -> None:
        assert call.leg is not None
        await asyncio.sleep(2.0)
        for digit in "42#":
            call.leg.post(ev.DtmfReceived(LEG, digit))
            await asyncio.sleep(0.2)

    await call.perform(ScriptedMedia(), act, 6.0)
    assert call.messages == [
        ("bot", "Hello there."),
        ("user", "User's Keypad Entry: 42"),
        ("bot", "Certainly. That is done."),
    ]

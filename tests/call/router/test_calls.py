"""Whole calls whose providers neither answer nor let themselves be cancelled, break together or one after the other: the
caller hears why, the call ends in order, and its record is replayed the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aywa.call.recogniser import EarRoute
from aywa.call.router.models import ModelRoute
from aywa.call.router.voices import VoiceRoute
from aywa.core.stock import EXCUSE
from aywa.journal.replay.identity import compare
from aywa.journal.replay.recording import read_recording
from aywa.ports.journal import JournalRecord
from aywa.ports.llm import LlmDelta, LlmRequest
from aywa.ports.stt import SttResult
from aywa.ports.tts import TtsChunk, TtsOptions
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts, broken
from tests.call.router.routes import Scripted, now
from tests.call.test_never_silent import ANSWER, ASKED, FILLERS, RECOVERY_S, Call, Llm, question
from tests.journal.replay.calls import stored

pytestmark = pytest.mark.virtual_time

HANGS_UP_S = 25.0


@dataclass(slots=True)
class StuckLlm(ScriptedLlm):
    """Neither answers nor lets itself be cancelled."""

    stuck: Scripted = field(default_factory=Scripted)

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        self.requests.append(request)
        await self.stuck.hang()
        if self.requests is None:
            yield

    async def warm(self, request: LlmRequest) -> None:
        await self.stuck.hang()


@dataclass(slots=True)
class StuckTts(ScriptedTts):
    """Speaks what it is given first, and then never again."""

    stuck: Scripted = field(default_factory=Scripted)
    speaks: int = 1

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        if len(self.spoken) >= self.speaks:
            await self.stuck.hang()
        async for chunk in ScriptedTts.synthesize(self, text, options):
            yield chunk

    async def warm(self, options: TtsOptions) -> None:
        await self.stuck.hang()


async def freed(stuck: Scripted) -> None:
    stuck.free.set()
    await asyncio.sleep(0.1)


async def test_a_model_that_neither_answers_nor_stops_is_excused_at_its_deadline() -> None:
    llm = StuckLlm()
    call = Call(llm=llm)
    await call.run(question, HANGS_UP_S)
    failed_s = call.first("ReplyFailed")
    assert failed_s == pytest.approx(call.first("StartReply") + 8.0, abs=0.01)
    assert call.first("PlayPhrase", failed_s) - failed_s <= RECOVERY_S
    [told] = [text for text in call.of_agent if EXCUSE in text]
    # No filler after the excuse.
    assert told == " ".join([*FILLERS.texts[:2], EXCUSE])
    assert now() <= HANGS_UP_S + 1.5
    await freed(llm.stuck)


async def test_a_voice_that_neither_speaks_nor_stops_is_excused_at_its_deadline() -> None:
    tts = StuckTts()
    call = Call(tts=tts, stock={EXCUSE: b"\x01\x01" * 8000})
    await call.run(question, HANGS_UP_S)
    failed_s = call.first("ReplyFailed")
    assert failed_s == pytest.approx(call.first("StartReply") + 3.0, abs=0.3)
    assert call.first("PlayPhrase", failed_s) - failed_s <= RECOVERY_S
    assert EXCUSE in call.of_agent[-1]
    assert now() <= HANGS_UP_S + 1.5
    await freed(tts.stuck)


@pytest.mark.parametrize("kind", ["model", "voice"])
async def test_another_takes_over_from_one_that_does_not_stop(kind: str) -> None:
    llm, tts = StuckLlm(name="stuck"), StuckTts(name="stuck")
    if kind == "model":
        call = Call(llm=llm, others={"more_models": (ModelRoute(Llm()),)})
    else:
        call = Call(tts=tts, others={"more_voices": (VoiceRoute(ScriptedTts(), TtsOptions(8000)),)})
    await call.run(question, HANGS_UP_S)
    assert call.said[1][1] == ASKED[1]
    assert call.of_agent[1].endswith(ANSWER)
    assert call.count("ReplyFailed") == 0
    await freed(llm.stuck)
    await freed(tts.stuck)


class StuckStt(ScriptedStt):
    """Does not let itself be cancelled: while it is being opened, listened to or closed."""

    name = "stuck"

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.stuck = Scripted()

    async def open(self, options: Any) -> Any:
        if self.where == "open":
            await self.stuck.hang()
        stream = await super().open(options)
        if self.where == "results":
            stream.results = self.results  # type: ignore[method-assign]
        elif self.where == "close":
            stream.close = self.stuck.hang  # type: ignore[method-assign]
        return stream

    async def results(self) -> AsyncIterator[SttResult]:
        await self.stuck.hang()
        if self.where == "":
            yield SttResult("", is_final=False)

    async def warm(self, options: Any) -> None:
        await self.stuck.hang()


@pytest.mark.parametrize("where", ["open", "results", "close"])
async def test_a_recogniser_that_does_not_stop_does_not_hold_up_the_end(where: str) -> None:
    stt = StuckStt(where)
    call = Call(stt=stt)
    await call.run(until_s=2.0)
    assert now() <= 2.0 + 3.5
    assert call.reason == "customer-ended-call"
    await freed(stt.stuck)


# --- the record ------------------------------------------------------------------------------------------------------


class BreakingStt(ScriptedStt):
    """Opens, and breaks after a while."""

    async def open(self, options: Any) -> Any:
        stream = await super().open(options)
        asyncio.get_running_loop().call_later(2.5, stream.fail, broken(self.name))
        return stream


async def eventful() -> Call:
    """A call in which everything changes its route."""
    llm = Llm(scripts=[["We are open ", "from nine. ", 0.3, broken("a")]], name="a")
    tts = ScriptedTts(name="a")
    tts.fail_next.extend([broken("a")] * 2)
    second = ScriptedStt()
    second.name = "second"
    call = Call(
        llm=llm,
        tts=tts,
        stt=BreakingStt(),
        others={
            "more_models": (ModelRoute(Llm(scripts=[["from nine. ", "To five on most days."]], name="b")),),
            "more_voices": (VoiceRoute(ScriptedTts(name="b"), TtsOptions(8000)),),
        },
        more_ears=[EarRoute(second)],
    )

    async def asks(call: Call) -> None:
        await call.at(2.0)
        call.media.voice_started("caller")
        await call.at(4.0)
        call.media.voice_stopped("caller")
        second.stream.say("when are you open")

    await call.run(asks, 15.0)
    return call


async def test_what_changes_its_route_is_on_record_and_replayed_the_same() -> None:
    call = await eventful()
    switched = {r.data["kind"] for r in call.journal.of("RouteSwitched")}
    assert switched == {"llm", "tts", "stt"}
    assert [r.data["repeats"] for r in call.journal.of("ChildFailed")] == [True]
    assert {r.data["route"] for r in call.journal.of("ClauseSynthesized")} == {"b"}
    recording = read_recording("call-1", stored(call.journal.records))
    found = compare(recording)
    assert found.identical
    assert not recording.damage
    assert found.decisions


NEW = ("route", "repeats")


def as_before(record: JournalRecord) -> JournalRecord:
    """As a release without routes wrote it."""
    data: Mapping[str, Any] = record.data
    return replace(record, data={name: value for name, value in data.items() if name not in NEW})


async def test_a_record_from_before_there_were_routes_is_still_read() -> None:
    call = Call()
    await call.run(question, 15.0)
    records = stored(call.journal.records)
    old = [
        as_before(r) if r.kind in ("ClauseSynthesized", "ReplyCompleted", "ChildFailed") else r
        for r in records
    ]
    assert old != records
    recording = read_recording("call-1", old)
    assert compare(recording).identical
    assert not recording.damage

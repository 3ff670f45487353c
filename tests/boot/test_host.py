"""The host with the real session and media plane, scripted providers and a transport that is only asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aywa.boot import host as module
from aywa.boot.artifacts import Artifacts
from aywa.boot.background import BackgroundSounds
from aywa.boot.host import Host
from aywa.boot.prices import load_prices
from aywa.boot.rehearsal import RecordedJournal
from aywa.call.replies import ReplyRoutes
from aywa.call.session import Routes, Session
from aywa.core.conversation import Conversation
from aywa.media.plane import Plane
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.media import AudioFormat, HandOver, LegPlan
from aywa.ports.tts import TtsOptions
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts
from tests.media.rig import LoudVad

pytestmark = pytest.mark.virtual_time

GREETS: Mapping[str, Any] = {"firstMessage": "Hello, who is there?"}


@dataclass
class Line:
    """The far side: it answers a close, unless it is deaf."""

    deaf: bool = False
    codes: list[int] = field(default_factory=list)
    audio: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    leg: Any = None

    def send_audio(self, frame: bytes) -> None:
        self.audio.append(frame)

    def quiet(self) -> None:
        pass

    def send_text(self, text: str) -> None:
        self.texts.append(text)

    def send_dtmf(self, digits: str) -> bool:
        return False

    def close(self, code: int, reason: str) -> None:
        self.codes.append(code)
        if not self.deaf:
            asyncio.get_running_loop().call_later(0.01, self.leg.disconnected, "closed", "")

    def buffered_bytes(self) -> int:
        return 0


@dataclass
class House:
    """The host and what stands around it."""

    host: Host
    plane: Plane
    journal: RecordedJournal
    folder: Path
    ended: list[str]
    llm: ScriptedLlm
    turned: list[int]

    def call(self, call_id: str = "call-1", assistant: Mapping[str, Any] = GREETS) -> str:
        plan = CallPlan(call_id, "org-1", "vapi.websocketCall", assistant, AudioFormat.PCM16, 16000, 0)
        return self.host.prepare(plan)

    def connect(self, url: str, *, deaf: bool = False) -> Line:
        plan = self.ask(url)
        assert isinstance(plan, LegPlan)
        line = Line(deaf)
        line.leg = self.plane.add_leg(plan, line)
        return line

    def ask(self, url: str) -> object:
        path, _, token = url.removeprefix("ws://here").partition("?token=")
        return self.host.open_call(path, {"token": token}, {})

    def ends(self, call_id: str = "call-1") -> list[tuple[str, str]]:
        return [
            (r.data["reason"], r.data.get("message", ""))
            for r in self.journal.of("EndCall")
            if r.call_id == call_id
        ]

    async def until_over(self, call_id: str = "call-1") -> None:
        while call_id in self.host.active() or self.plane.has_leg(call_id):  # noqa: ASYNC110 - time jumps
            await asyncio.sleep(0.1)


async def nowhere(url: str) -> tuple[bytes, int]:
    raise ProviderError("background-sound", "refused", "not there", fault=Fault.CONFIG, retryable=False)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    plane = Plane(asyncio.get_running_loop(), {16000: LoudVad(16000)})
    journal = RecordedJournal()
    ended: list[str] = []
    turned: list[int] = []
    llm = ScriptedLlm()
    reply = ReplyRoutes(llm, ScriptedTts(), TtsOptions(16000))
    host = Host(
        plane,
        journal,
        Artifacts(tmp_path / "artifacts"),
        lambda plan: Routes(ScriptedStt(), reply),
        lambda: "ws://here",
        calls_max=2,
        prices=load_prices({}).prices,
        ended=ended.append,
        # How much was on record then.
        turn_over=lambda: turned.append(len(journal.records)),
        sounds=BackgroundSounds(nowhere),
    )
    yield House(host, plane, journal, tmp_path / "artifacts", ended, llm, turned)
    await host.close(5.0)
    await plane.close()


async def test_the_limit_is_answered_with_429(house: House) -> None:
    _, second = house.call("call-1"), house.call("call-2")
    with pytest.raises(CallRefused) as refused:
        house.call("call-3")
    assert refused.value.status == 429
    assert refused.value.ended_reason == "call.start.error-subscription-concurrency-limit-reached"
    assert "calls_max" in str(refused.value)
    assert house.host.end("call-2", "manually-canceled")
    await house.until_over("call-2")
    assert house.ask(second).status == 404  # type: ignore[attr-defined]
    house.call("call-3")


async def test_beyond_what_the_machine_carries_a_call_is_to_come_again(house: House) -> None:
    house.host.measured_max = 1
    house.call("call-1")
    assert house.host.full()
    with pytest.raises(CallRefused, match="aywa bench") as refused:
        house.call("call-2")
    assert refused.value.status == 503


async def test_a_runtime_that_drains_takes_no_calls_and_waits_for_its_own(house: House) -> None:
    await house.host.idle()
    house.call("call-1")
    house.host.drain()
    with pytest.raises(CallRefused) as refused:
        house.call("call-2")
    assert (refused.value.status, house.host.draining, house.host.full()) == (503, True, False)
    waiting = asyncio.create_task(house.host.idle())
    await house.host.close(5.0)
    await waiting
    assert not house.host.active()


async def test_who_made_the_routes_is_told_when_the_call_needs_them_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ = house.call("call-1"), house.call("call-2")
    assert house.host.end("call-1", "manually-canceled")
    await house.until_over("call-1")
    assert house.ended == ["call-1"]

    def broken(*_: object) -> Routes:
        raise RuntimeError("nobody is there")

    monkeypatch.setattr(house.host, "_routes", broken)
    with pytest.raises(RuntimeError):
        house.call("call-3")
    assert house.ended == ["call-1", "call-3"]


async def test_a_runtime_that_is_ending_takes_no_calls(house: House) -> None:
    url = house.call()
    line = house.connect(url)
    await asyncio.sleep(1)
    closing = asyncio.create_task(house.host.close(5.0))
    await asyncio.sleep(0)
    with pytest.raises(CallRefused) as refused:
        house.call("call-2")
    assert refused.value.status == 503
    assert refused.value.ended_reason == "call.start.error-vapifault-worker-not-available"
    await closing
    assert house.ends() == [("worker-shutdown", "")]
    assert line.codes == [1000]
    assert any('"endedReason":"worker-shutdown"' in text for text in line.texts)


async def test_a_call_that_waits_is_ended_with_the_runtime_too(house: House) -> None:
    house.call()
    await asyncio.sleep(1)
    await house.host.close(5.0)
    assert house.ends() == [("worker-shutdown", "")]


@pytest.mark.parametrize("token", ["", "x", "é", "%00", "TOKENx", "TOKE", "token"])
async def test_only_its_own_token_opens_a_call(house: House, token: str) -> None:
    url = house.call()
    path, _, right = url.partition("?token=")
    wrong = token.replace("TOKENx", right + "x").replace("TOKE", right[:-1])
    answer = house.ask(f"{path}?token={wrong}")
    assert getattr(answer, "status", 200) == 401
    assert isinstance(house.ask(url), LegPlan)


async def test_tokens_cannot_be_guessed(house: House) -> None:
    first, second = house.call("call-1"), house.call("call-2")
    tokens = {url.partition("?token=")[2] for url in (first, second)}
    assert len(tokens) == 2
    assert all(len(token) >= 32 for token in tokens)
    swapped = first.partition("?")[0] + "?token=" + second.partition("?token=")[2]
    assert getattr(house.ask(swapped), "status", 200) == 401


@pytest.mark.parametrize(
    "path",
    ["/", "", "/call-1", "/call-2/transport", "/call-1/transport/x", "/x/call-1/transport", "/call-1/listen"],
)
async def test_other_paths_are_nothing(house: House, path: str) -> None:
    token = house.call().partition("?token=")[2]
    answer = house.ask(f"ws://here{path}?token={token}")
    assert getattr(answer, "status", 200) == 404


PAID: Mapping[str, Any] = {
    **GREETS,
    "costPlan": {"maxDollars": 0.002},
    "model": {"provider": "openai", "model": "gpt-4.1"},
    "voice": {"provider": "11labs"},
    "transcriber": {"provider": "deepgram", "model": "nova-3"},
}


async def test_a_call_takes_its_prices_along_and_its_budget_ends_it(house: House) -> None:
    line = house.connect(house.call(assistant=PAID))
    await house.until_over()
    (started,) = house.journal.of("CallStarted")
    assert {(row.kind, row.provider) for row in started.data["prices"]} >= {
        ("llm", "openai"),
        ("tts", "11labs"),
        ("stt", "deepgram"),
        ("transport", "local"),
    }
    ((reason, message),) = house.ends()
    assert reason == "exceeded-max-duration"
    assert "budget is spent" in message
    assert line.codes == [1000]
    assert not house.journal.of("SettingsWarned")


async def test_a_budget_that_cannot_count_somebody_says_so(house: House) -> None:
    strange = {**GREETS, "costPlan": {"maxDollars": 1}, "model": {"provider": "groq", "model": "llama"}}
    house.call(assistant=strange)
    await asyncio.sleep(0.1)
    (warned,) = house.journal.of("SettingsWarned")
    assert warned.data["detail"].startswith("costPlan.maxDollars does not count groq llama (llm)")
    assert "RUNTIME_PRICES" in warned.data["detail"]


async def test_a_session_that_breaks_ends_on_record_and_lets_go_of_its_leg(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = house.call("call-1"), house.call("call-2")
    first, second = house.connect(good), house.connect(bad)
    await asyncio.sleep(0.5)
    handle = Conversation.handle

    def broken(self: Conversation, event: Any, now: float) -> Any:
        if getattr(event, "leg_id", "") == "call-2":
            raise ZeroDivisionError
        return handle(self, event, now)

    monkeypatch.setattr(Conversation, "handle", broken)
    await house.until_over("call-2")
    ((reason, message),) = house.ends("call-2")
    assert reason == "call.in-progress.error-vapifault-worker-died"
    assert "ZeroDivisionError" in message
    assert second.codes == [1000]
    assert "call-1" in house.host.active()
    assert first.codes == []


async def test_a_call_that_cannot_end_in_time_is_ended_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = house.connect(house.call())
    await asyncio.sleep(0.5)
    monkeypatch.setattr(Session, "post", lambda self, event: None)
    await house.host.close(1.0)
    assert house.ends() == [("worker-shutdown", "the runtime could not wait for the call's end")]
    assert line.codes == [1000]


async def test_the_recording_of_a_far_side_that_does_not_close_is_put_on_record(house: House) -> None:
    line = house.connect(house.call(), deaf=True)
    await asyncio.sleep(2)
    house.host.end("call-1", "manually-canceled")
    await house.until_over()
    await house.host.close(5.0)
    (stored,) = house.journal.of("ArtifactStored")
    assert stored.data["seconds"] > 1
    assert (house.folder / "call-1" / "recording.wav").exists()
    assert line.codes == [1000]


async def test_a_call_that_is_forwarded_ends_and_its_recording_goes_on(house: House) -> None:
    line = house.connect(house.call())
    await asyncio.sleep(1)
    house.plane.send(HandOver("call-1", "line 1"))
    while house.host.active():  # noqa: ASYNC110 - time jumps
        await asyncio.sleep(0.1)
    assert house.ends() == [("assistant-forwarded-call", "forwarded")]
    # Nobody hung up; and a runtime that is still there waits for the recording's end.
    assert line.codes == []
    await asyncio.sleep(3)
    assert house.journal.of("ArtifactStored") == []
    line.leg.disconnected("closed", "")
    await house.host.close(5.0)
    (stored,) = house.journal.of("ArtifactStored")
    assert stored.data["seconds"] > 3.5


async def test_a_leg_that_came_too_late_for_its_call_is_closed(house: House) -> None:
    url = house.call()
    house.host.end("call-1", "manually-canceled")
    line = house.connect(url)
    await house.until_over()
    assert line.codes == [1000]
    assert house.ends() == [("manually-canceled", "")]


async def test_a_recording_that_just_ended_is_not_lost_when_the_runtime_ends(house: House) -> None:
    line = house.connect(house.call())
    await asyncio.sleep(1)
    line.leg.disconnected("closed", "")
    while house.host.active():  # noqa: ASYNC110 - time jumps
        await asyncio.sleep(0)
    await house.host.close(5.0)
    assert len(house.journal.of("ArtifactStored")) == 1


async def test_a_call_goes_on_without_a_recording_where_none_can_be_written(house: House) -> None:
    house.folder.write_text("a file is in the way")
    line = house.connect(house.call())
    await asyncio.sleep(3)
    assert len(line.audio) > 20
    line.leg.disconnected("closed", "")
    await house.until_over()
    await house.host.close(5.0)
    assert house.journal.of("ArtifactStored") == []
    assert any(record.data["code"] == "recording_lost" for record in house.journal.of("MediaWarned"))


async def test_no_recording_is_made_where_none_is_wanted(house: House) -> None:
    line = house.connect(house.call(assistant={**GREETS, "artifactPlan": {"recordingEnabled": False}}))
    await asyncio.sleep(1)
    line.leg.disconnected("closed", "")
    await house.until_over()
    assert not house.folder.exists()
    assert house.journal.of("ArtifactStored") == []


async def test_a_call_that_is_not_here_cannot_be_ended(house: House) -> None:
    assert not house.host.end("call-9", "manually-canceled")


async def test_settings_that_contradict_each_other_are_on_the_calls_record(house: House) -> None:
    house.connect(house.call(assistant={**GREETS, "stopSpeakingPlan": {"numWords": 2, "voiceSeconds": 0.2}}))
    house.host.end("call-1", "manually-canceled")
    await house.until_over()
    (warning,) = house.journal.of("SettingsWarned")
    assert warning.data["code"] == "contradiction"
    assert warning.data["detail"].startswith("stopSpeakingPlan.voiceSeconds has no effect")


# --- when it is over -------------------------------------------------------------------------------------------------

ONE = {"minMessagesThreshold": 1}
VENDOR = {"provider": "openai", "model": "gpt-4.1"}


async def over(house: House, assistant: Mapping[str, Any], *, connect: bool = True) -> Any:
    """The data of the call's analysis; None without one."""
    url = house.call(assistant={**GREETS, **assistant})
    line = house.connect(url) if connect else None
    await asyncio.sleep(4)
    if line is None:
        assert house.host.end("call-1", "manually-canceled")
    else:
        line.leg.disconnected("closed", "")
    await house.until_over()
    await house.host.close(5.0)
    made = house.journal.of("AnalysisCompleted")
    return made[0].data if made else None


async def test_a_call_is_analysed_when_it_is_over(house: House) -> None:
    data = await over(house, {"model": VENDOR, "analysisPlan": ONE})
    assert data["analysis"] == {"summary": "Certainly. That is done."}
    assert [step["kind"] for step in data["steps"]] == ["summary", "successEvaluation"]
    request = house.llm.requests[0]
    assert "AI: Hello, who is there?" in request.messages[-1].content
    # The caller was told long before.
    kinds = [record.kind for record in house.journal.records]
    assert kinds.index("EndCall") < kinds.index("AnalysisCompleted")


@pytest.mark.parametrize("model", [{"provider": "custom-llm"}, {}, None])
async def test_a_model_of_the_customer_s_own_is_asked_only_what_the_plan_says(
    house: House, model: Any
) -> None:
    data = await over(
        house, {"model": model, "analysisPlan": {**ONE, "successEvaluationPlan": {"rubric": "Matrix"}}}
    )
    assert data is not None
    assert [step["kind"] for step in data["steps"]][:1] == ["successEvaluation"]


async def test_without_a_plan_a_model_of_the_customer_s_own_is_left_alone(house: House) -> None:
    assert await over(house, {"model": {"provider": "custom-llm"}}) is None
    assert house.llm.requests == []


async def test_a_call_of_few_words_is_not_worth_a_question(house: House) -> None:
    data = await over(house, {"model": VENDOR})
    assert data["skipped"] == "too_few_messages"
    assert house.llm.requests == []


async def test_a_call_that_nobody_joined_is_not_analysed(house: House) -> None:
    assert (
        await over(house, {"model": VENDOR, "analysisPlan": {"minMessagesThreshold": 0}}, connect=False)
        is None
    )


async def test_a_receptionist_without_a_model_cannot_judge(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.llm, "name", "local-rules")
    assert await over(house, {"analysisPlan": {**ONE}}) is None
    assert house.ended == ["call-1"]


async def test_what_the_rules_are_asked_is_told_to_be_impossible(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.llm, "name", "local-rules")
    data = await over(house, {"analysisPlan": {**ONE, "summaryPlan": {"enabled": True}}})
    assert data["skipped"] == "no_model"


async def test_an_analysis_that_breaks_keeps_nobody_from_the_recording(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "read_analysis_plan", broken)
    assert await over(house, {"model": VENDOR}) is None
    assert len(house.journal.of("ArtifactStored")) == 1
    assert house.ended == ["call-1"]


async def test_a_call_under_a_compliance_plan_leaves_no_recording_and_has_its_file_of_the_journal_removed(
    house: House,
) -> None:
    assert await over(house, {"compliancePlan": {"hipaaEnabled": True}}) is None
    assert house.journal.of("ArtifactStored") == []
    assert not (house.folder / "call-1" / "recording.wav").exists()
    (withheld,) = house.journal.of("WordsWithheld")
    assert withheld.data == {"reason": "compliance_plan"}
    # It is the first of a new file: all that was said lies before it.
    assert house.turned == [house.journal.records.index(withheld)]


async def test_a_recording_that_is_not_wanted_is_not_promised(house: House) -> None:
    plan = CallPlan(
        "call-1", "org-1", "vapi.websocketCall", {**GREETS, "artifactPlan": {"recordingEnabled": False}},
        AudioFormat.PCM16, 16000, 0, call={"artifactBaseUrl": "http://here/call/call-1"},
    )  # fmt: skip
    line = house.connect(house.host.prepare(plan))
    await asyncio.sleep(1)
    house.host.end("call-1", "manually-canceled")
    await house.until_over()
    assert any('"ended"' in text for text in line.texts)
    assert not any("recordingUrl" in text for text in line.texts)


async def test_an_office_sounds_under_a_call_that_wants_one(house: House) -> None:
    line = house.connect(house.call(assistant={"backgroundSound": "office"}))
    # It is made by a thread, whose time is not the test's.
    while not line.audio:  # noqa: ASYNC110 - time jumps
        await asyncio.sleep(0.02)
    before = len(line.audio)
    await asyncio.sleep(1.0)
    # 40 ms leave together.
    assert 24 <= len(line.audio) - before <= 26
    line.leg.disconnected("closed", "")
    await house.until_over()


async def test_a_sound_that_cannot_be_had_is_told_and_the_call_goes_on(house: House) -> None:
    url = house.call(assistant={**GREETS, "backgroundSound": "https://x/y.wav"})
    line = house.connect(url)
    await asyncio.sleep(3)
    (warned,) = house.journal.of("SettingsWarned")
    assert warned.data["code"] == "background_sound"
    assert "not there" in warned.data["detail"]
    assert line.audio
    line.leg.disconnected("closed", "")
    await house.until_over()

"""/call as a client sees it."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import numpy as np
import pytest

from aywa.ports.calls import CallRefused
from aywa.ports.journal import CallProjection, JournalRecord
from aywa.ports.media import AudioFormat
from tests.api.conftest import Runtime

WEBSOCKET = {"provider": "vapi.websocket"}


async def test_a_websocket_call_has_the_contract_s_shape(runtime: Runtime) -> None:
    assistant_id = await runtime.assistant()
    call = await runtime.call(assistantId=assistant_id, name="n", metadata={"x": 1}, unheardOf=[1])
    assert (call["type"], call["status"], call["assistantId"]) == (
        "vapi.websocketCall",
        "queued",
        assistant_id,
    )
    assert call["transport"] == {
        "provider": "vapi.websocket",
        "conversationType": "voice",
        "websocketCallUrl": f"ws://127.0.0.1:9/{call['id']}/transport?token=t",
        "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": 16000},
    }
    assert (call["cost"], call["costs"], call["costBreakdown"]["total"]) == (0, [], 0)
    assert (call["name"], call["metadata"], call["unheardOf"]) == ("n", {"x": 1}, [1])
    assert (await runtime.client.get(f"/call/{call['id']}")).json() == call
    assert (await runtime.client.post("/call/phone", json={"assistantId": assistant_id})).status_code == 400


async def test_the_host_is_told_the_resolved_assistant(runtime: Runtime) -> None:
    assistant_id = await runtime.assistant(
        model={
            "provider": "openai",
            "model": "a",
            "messages": [{"role": "system", "content": "s"}],
            "tools": [{"type": "endCall"}],
        },
        endCallPhrases=["bye", "so long"],
        customerJoinTimeoutSeconds=20,
    )
    overrides = {
        "model": {"temperature": 0.1},
        "endCallPhrases": ["ciao"],
        "tools:append": [{"type": "dtmf"}],
        "voicemailDetection": None,
        "variableValues": {"name": "Ann"},
    }
    await runtime.call(assistantId=assistant_id, assistantOverrides=overrides)
    plan = runtime.host.plans[0]
    assert plan.assistant["model"] == {
        "provider": "openai",
        "model": "a",
        "messages": [{"role": "system", "content": "s"}],
        "tools": [{"type": "endCall"}, {"type": "dtmf"}],
        "temperature": 0.1,
    }
    assert plan.assistant["endCallPhrases"] == ["ciao"]
    assert "variableValues" not in plan.assistant
    assert (plan.variables, plan.assistant_id, plan.join_timeout_s) == ({"name": "Ann"}, assistant_id, 20.0)
    assert plan.call["artifactBaseUrl"].startswith(f"http://localhost:8080/artifact/{plan.call_id}/")


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (None, (AudioFormat.PCM16, 16000)),
        ({"format": "pcm_s16le"}, (AudioFormat.PCM16, 16000)),
        ({"format": "pcm_s16le", "sampleRate": 24000}, (AudioFormat.PCM16, 24000)),
        ({"format": "mulaw"}, (AudioFormat.MULAW, 8000)),
        ({"format": "mulaw", "sampleRate": 8000}, (AudioFormat.MULAW, 8000)),
    ],
)
async def test_audio_formats(runtime: Runtime, audio: Any, expected: tuple[AudioFormat, int]) -> None:
    call = await runtime.call(transport=WEBSOCKET | ({} if audio is None else {"audioFormat": audio}))
    plan = runtime.host.plans[0]
    assert (plan.format, plan.rate_hz) == expected
    assert call["transport"]["audioFormat"]["sampleRate"] == expected[1]


_TRANSIENT: dict[str, Any] = {"assistant": {"firstMessage": "Hello"}, "transport": WEBSOCKET}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "assistantId, assistant, squadId or squad is required"),
        (
            {"assistantId": "a", "assistant": {}, "transport": WEBSOCKET},
            "assistantId must not be given together",
        ),
        ({"assistantId": "none", "transport": WEBSOCKET}, "assistantId must be the id of an existing"),
        ({"squadId": "s", "transport": WEBSOCKET}, "squadId must be the id of an existing squad"),
        ({"squad": {}, "transport": WEBSOCKET}, "squad.members is required"),
        (_TRANSIENT | {"customers": [{}]}, "customers must be absent unless telephones are called"),
        (_TRANSIENT | {"schedulePlan": {}}, "schedulePlan must be absent"),
        (_TRANSIENT | {"phoneNumberId": "p"}, "phoneNumberId must be absent"),
        (_TRANSIENT | {"phoneNumber": {}}, "phoneNumber must be absent"),
        ({"assistant": {}, "phoneNumberId": "p"}, "customer is required"),
        ({"assistant": {}, "phoneNumber": {}}, "phoneNumber.twilioAccountSid is required where"),
        ({"assistant": {}}, "transport.provider must be"),
        ({"assistant": {}, "transport": {"provider": "daily"}}, "transport.provider must be"),
        (_TRANSIENT | {"name": "n" * 41}, "name must be shorter"),
        (_TRANSIENT | {"assistant": {"model": {"model": "m"}}}, "assistant.model.provider is required"),
        (
            _TRANSIENT | {"assistantOverrides": {"maxDurationSeconds": 1}},
            "assistantOverrides.maxDurationSeconds",
        ),
        (_TRANSIENT | {"assistantOverrides": []}, "assistantOverrides must be an object"),
        (_TRANSIENT | {"assistantOverrides": {"variableValues": 1}}, "assistantOverrides.variableValues"),
        (
            _TRANSIENT | {"transport": WEBSOCKET | {"audioFormat": {"format": "opus"}}},
            "transport.audioFormat.format",
        ),
        (
            _TRANSIENT | {"transport": WEBSOCKET | {"audioFormat": {"format": "mulaw", "sampleRate": 16000}}},
            "transport.audioFormat.sampleRate must be 8000",
        ),
        (
            _TRANSIENT | {"transport": WEBSOCKET | {"audioFormat": {"sampleRate": 11025}}},
            "transport.audioFormat.sampleRate must be a multiple",
        ),
        (
            _TRANSIENT | {"transport": WEBSOCKET | {"audioFormat": {"sampleRate": 96000}}},
            "transport.audioFormat.sampleRate must not be greater",
        ),
        (_TRANSIENT | {"transport": "websocket"}, "transport must be an object"),
    ],
)
async def test_what_cannot_be_called_is_said(runtime: Runtime, body: dict[str, Any], path: str) -> None:
    answer = await runtime.client.post("/call", json=body)
    assert answer.status_code == 400
    assert any(problem.startswith(path) for problem in answer.json()["message"]), answer.text
    assert runtime.host.plans == []
    assert (await runtime.client.get("/call")).json() == []


async def test_a_web_call_has_what_the_web_sdk_reads(runtime: Runtime) -> None:
    assistant_id = await runtime.assistant(
        model={"provider": "openai", "model": "m", "systemPrompt": "the secret recipe"}
    )
    page = runtime.as_key(runtime.keys["public"])
    answer = await page.post("/call/web", json={"assistantId": assistant_id})
    assert answer.status_code == 201
    call = answer.json()
    assert call["type"] == "webCall"
    assert call["webCallUrl"].startswith(f"http://localhost:8080/?call={call['id']}#")
    assert (call["transport"]["provider"], call["transport"]["callToken"]) == ("daily", "")
    assert call["transport"]["websocketCallUrl"].startswith("ws://")
    assert call["artifactPlan"]["videoRecordingEnabled"] is False
    assert call["assistant"]["voice"]["provider"] == "custom-voice"
    assert "secret recipe" not in answer.text
    assert runtime.host.plans[0].type == "webCall"


async def test_a_refused_call_is_told_and_kept(runtime: Runtime) -> None:
    reason = "call.start.error-subscription-concurrency-limit-reached"
    runtime.host.refusal = CallRefused(reason, "2 calls are running, and 2 is the limit", 429)
    answer = await runtime.client.post("/call", json=_TRANSIENT, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 429
    assert answer.headers["retry-after"]
    assert answer.json()["error"] == "Too Many Requests"
    (kept,) = (await runtime.client.get("/call")).json()
    assert (kept["status"], kept["endedReason"]) == ("ended", reason)
    runtime.host.refusal = None
    again = await runtime.client.post("/call", json=_TRANSIENT, headers={"Idempotency-Key": "k"})
    assert again.status_code == 201


async def test_twenty_calls_at_once_are_twenty(runtime: Runtime) -> None:
    assistant_id = await runtime.assistant()
    made = await asyncio.gather(*(runtime.call(assistantId=assistant_id) for _ in range(20)))
    assert len({call["id"] for call in made}) == 20
    assert len((await runtime.client.get("/call", params={"assistantId": assistant_id})).json()) == 20


async def test_an_idempotency_key_makes_one_call(runtime: Runtime) -> None:
    async def ask(body: dict[str, Any], key: str = "k") -> Any:
        return await runtime.client.post("/call", json=body, headers={"Idempotency-Key": key})

    answers = await asyncio.gather(*(ask(_TRANSIENT) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert all("websocketCallUrl" in answer.json()["transport"] for answer in answers)
    assert len(runtime.host.plans) == 1
    other = await ask(_TRANSIENT | {"name": "other"})
    assert other.status_code == 400
    assert (await ask(_TRANSIENT, "")).status_code == 400
    assert (await ask(_TRANSIENT, "x" * 300)).status_code == 400
    assert (await ask(_TRANSIENT, "k2")).status_code == 201


async def test_calls_are_filtered_renamed_and_deleted(runtime: Runtime) -> None:
    first = await runtime.call()
    second = await runtime.call(name="two")
    found = await runtime.client.get("/call", params={"id": first["id"]})
    assert [call["id"] for call in found.json()] == [first["id"]]
    assert (await runtime.client.get("/call", params={"phoneNumberId": "p"})).json() == []
    path = f"/call/{first['id']}"
    assert (await runtime.client.patch(path, json={"name": "one"})).json()["name"] == "one"
    assert "name" not in (await runtime.client.patch(path, json={"name": None})).json()
    refused = await runtime.client.patch(path, json={"status": "ended", "name": "n" * 41})
    assert [problem.split(" ")[0] for problem in refused.json()["message"]] == ["name", "status"]
    third = await runtime.call()
    body = {"ids": [second["id"], "unknown"]}
    deleted = await runtime.client.request("DELETE", path, json=body)
    assert (deleted.status_code, deleted.json()["id"]) == (200, first["id"])
    assert [call["id"] for call in (await runtime.client.get("/call")).json()] == [third["id"]]
    assert runtime.host.ended == [(first["id"], "call-deleted"), (second["id"], "call-deleted")]
    assert (await runtime.client.request("DELETE", path, json={})).status_code == 404
    bad = await runtime.client.request("DELETE", f"/call/{third['id']}", json={"ids": "all"})
    assert bad.status_code == 400


async def test_what_happened_is_on_the_timeline(runtime: Runtime) -> None:
    call = await runtime.call()

    def record(seq: int, moment_s: float, kind: str, **data: Any) -> JournalRecord:
        return JournalRecord(call["id"], runtime.org_id, seq, moment_s, "event", kind, data)

    turn = {
        "turn_id": 1,
        "reply_id": 2,
        "latency_ms": 812.4,
        "parts_ms": {"endpointing": 400.0, "model": 300.0},
    }
    await runtime.store.apply(
        [
            record(1, 0.0, "CallStarted", call_id=call["id"], epoch_ms=1_767_225_600_000, assistant={"x": 1}),
            record(2, 0.1, "VoiceScored", leg_id="a", probabilities=b"\x00"),
            record(3, 1.5, "VoiceStarted", leg_id="a", at_s=1.5),
            record(
                4,
                2.0,
                "RecordDecision",
                machine="turns",
                decision="turn_over",
                reason="silence",
                details={"s": 0.5},
            ),
            record(5, 2.8, "RecordMessage", message={"role": "user", "message": "Hello", "time": 1}),
            record(6, 2.9, "RecordTurn", **turn),
            record(7, 3.0, "MediaWarned", leg_id="a", code="late", detail="20 ms"),
        ],
        [CallProjection(call["id"], runtime.org_id, 7, {"status": "in-progress"})],
    )
    entries = (await runtime.client.get(f"/call/{call['id']}/timeline")).json()
    assert [(entry["source"], entry["kind"]) for entry in entries] == [
        ("call", "call-started"),
        ("media", "voice-started"),
        ("decision", "turns.turn_over"),
        ("message", "user"),
        ("call", "turn-latency"),
        ("warning", "media-warned"),
    ]
    assert entries[2] == {
        "at": "2026-01-01T00:00:02.000Z",
        "atSeconds": 2.0,
        "source": "decision",
        "kind": "turns.turn_over",
        "reason": "silence",
        "text": "",
        "details": {"s": 0.5},
        "seq": 4,
    }
    assert entries[3]["text"] == "Hello"
    assert entries[4]["details"]["latencyMs"] == 812.4
    assert entries[4]["details"]["unattributedMs"] == 112.4
    full = (await runtime.client.get(f"/call/{call['id']}/timeline", params={"full": "true"})).json()
    assert len(full) == 7
    log = await runtime.client.get(f"/call/{call['id']}/call-logs")
    lines = [json.loads(line) for line in gzip.decompress(log.content).splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, 8))
    assert (await runtime.client.get(f"/call/{call['id']}")).json()["status"] == "in-progress"


def _record_stereo(runtime: Runtime, call_id: str, frames: int = 40_000) -> tuple[Any, Any]:
    import wave

    rng = np.random.default_rng(1)
    stereo = rng.integers(-20_000, 20_000, (frames, 2), dtype=np.int16)
    path = runtime.files.folder / call_id / "recording.wav"
    path.parent.mkdir(parents=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(stereo.tobytes())
    return stereo, path


def _pcm(content: bytes) -> tuple[int, Any]:
    import io
    import wave

    with wave.open(io.BytesIO(content)) as file:
        assert file.getframerate() == 16_000
        channels = file.getnchannels()
        return channels, np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16).reshape(
            -1, channels
        )


async def test_recordings_are_cut_from_the_stereo_file(runtime: Runtime) -> None:
    call = await runtime.call()
    base = f"/call/{call['id']}"
    missing = await runtime.client.get(f"{base}/stereo-recording")
    assert (missing.status_code, missing.json()["statusCode"]) == (404, 404)
    stereo, _ = _record_stereo(runtime, call["id"])
    mix = stereo.astype(np.int32).sum(axis=1).clip(-32768, 32767)
    for side, expected in (
        ("stereo", stereo),
        ("customer", stereo[:, :1]),
        ("assistant", stereo[:, 1:]),
        ("mono", mix[:, None]),
    ):
        answer = await runtime.client.get(f"{base}/{side}-recording")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
        channels, samples = _pcm(answer.content)
        assert channels == expected.shape[1]
        assert np.array_equal(samples, expected)
    assert (await runtime.client.get(f"{base}/video-recording")).status_code == 404


@pytest.mark.parametrize("side", ["stereo", "mono"])
async def test_parts_of_a_recording_are_the_same_bytes(runtime: Runtime, side: str) -> None:
    call = await runtime.call()
    _record_stereo(runtime, call["id"])
    path = f"/call/{call['id']}/{side}-recording"
    whole = (await runtime.client.get(path)).content
    for first, last in (
        (0, 0),
        (0, 43),
        (10, 60),
        (44, 44),
        (45, 70_001),
        (65_579, 65_583),
        (len(whole) - 3, 10**9),
    ):
        answer = await runtime.client.get(path, headers={"Range": f"bytes={first}-{last}"})
        assert answer.status_code == 206
        assert answer.content == whole[first : last + 1]
    suffix = await runtime.client.get(path, headers={"Range": "bytes=-100"})
    assert suffix.content == whole[-100:]
    outside = await runtime.client.get(path, headers={"Range": f"bytes={len(whole)}-"})
    assert (outside.status_code, outside.headers["content-range"]) == (416, f"bytes */{len(whole)}")
    assert (await runtime.client.get(path, headers={"Range": "lines=1-2"})).content == whole
    head = await runtime.client.head(path)
    assert (head.headers["content-length"], head.content) == (str(len(whole)), b"")


async def test_a_recording_that_is_being_written_is_read_so_far(runtime: Runtime) -> None:
    call = await runtime.call()
    stereo, path = _record_stereo(runtime, call["id"])
    raw = bytearray(path.read_bytes())
    raw[40:44] = bytes(4)
    path.write_bytes(raw[:-3])
    _, samples = _pcm((await runtime.client.get(f"/call/{call['id']}/stereo-recording")).content)
    assert np.array_equal(samples, stereo[:-1])
    path.write_bytes(b"RIFFnothing")
    assert (await runtime.client.get(f"/call/{call['id']}/stereo-recording")).status_code == 404


async def test_the_party_of_a_call_reads_its_artifacts_with_their_address_alone(runtime: Runtime) -> None:
    call = await runtime.call()
    other = await runtime.call()
    stereo, _ = _record_stereo(runtime, call["id"])
    address = runtime.host.plans[0].call["artifactBaseUrl"]
    stranger = runtime.as_key(None)
    _, samples = _pcm((await stranger.get(f"{address}/stereo-recording")).content)
    assert np.array_equal(samples, stereo)
    assert (await stranger.get(f"{address}/call-logs")).status_code == 200
    assert (await stranger.get(f"{address}/timeline")).status_code == 404
    other_token = address[:-1] + ("_" if address.endswith("-") else "-")
    assert (await stranger.get(f"{other_token}/stereo-recording")).status_code == 404
    assert (await stranger.get(address.replace(call["id"], other["id"]) + "/call-logs")).status_code == 404
    assert address not in json.dumps((await runtime.client.get(f"/call/{call['id']}")).json())
    await runtime.client.delete(f"/call/{call['id']}")
    assert (await stranger.get(f"{address}/stereo-recording")).status_code == 404
    assert runtime.files.find(call["id"], "recording.wav") is None

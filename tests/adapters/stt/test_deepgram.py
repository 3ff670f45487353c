from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aywa.adapters.stt import deepgram as module
from aywa.adapters.stt.deepgram import DeepgramStt
from aywa.boot.tls import certificate, context
from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import SttOptions, Word
from aywa.testing.vendors.server import SimulatedVendors
from tests.adapters.stt.talk import Talk, options, talk
from tests.adapters.wire.far import TEXT, Peer, close, far_side, frame

KEY = "sim-very-secret"
SOUND = (8000 * np.sin(np.arange(160) / 7)).astype("<i2").tobytes()


@asynccontextmanager
async def deepgram(model: str = "nova-3", said: SttOptions | None = None) -> AsyncIterator[Talk]:
    async with talk(lambda url: DeepgramStt(KEY, model, url).open(said or options())) as made:
        yield made


def result(
    transcript: str,
    start: float = 0.0,
    end: float = 1.0,
    *,
    final: bool = False,
    asked: bool = False,
    confidence: float = 0.9,
) -> dict[str, Any]:
    """Words one tenth of a second apart, at the end of the window."""
    texts = transcript.split()
    first = end - 0.1 * len(texts)
    words = [
        {
            "word": text.lower(),
            "punctuated_word": text,
            "start": first + 0.1 * i,
            "end": first + 0.1 * (i + 1),
            "confidence": confidence,
        }
        for i, text in enumerate(texts)
    ]
    said = {"transcript": transcript, "confidence": confidence if texts else 0.0, "words": words}
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "start": start,
        "duration": end - start,
        "is_final": final,
        "speech_final": False,
        "channel": {"alternatives": [said]},
        "from_finalize": asked,
    }


def turn(event: str, transcript: str, end: float, *, times: bool = True) -> dict[str, Any]:
    texts = transcript.split()
    words = [
        {"word": text, "confidence": 0.9, **({"start": i / 10, "end": (i + 1) / 10} if times else {})}
        for i, text in enumerate(texts)
    ]
    return {
        "type": "TurnInfo",
        "event": event,
        "turn_index": 0,
        "audio_window_start": 0.0,
        "audio_window_end": end,
        "transcript": transcript,
        "words": words,
        "end_of_turn_confidence": 0.5,
    }


# --- what is asked for -------------------------------------------------------------------------------------------


async def test_a_telephone_is_asked_for_in_its_own_format() -> None:
    async with deepgram() as at:
        assert at.peer.line.startswith("GET /v1/listen?")
        assert at.peer.headers["authorization"] == f"Token {KEY}"
        assert at.query == [
            ("model", "nova-3"),
            ("encoding", "mulaw"),
            ("sample_rate", "8000"),
            ("channels", "1"),
            ("interim_results", "true"),
            ("language", "en"),
            ("punctuate", "true"),
            ("endpointing", "300"),
        ]


async def test_the_assistants_fields_are_passed_on() -> None:
    extra = {
        "provider": "deepgram",
        "model": "nova-3-medical",
        "language": "multi",
        "smartFormat": True,
        "punctuate": False,
        "numerals": True,
        "mipOptOut": True,
        "endpointing": False,
        "utteranceEndMs": 1000,
        "vadEvents": True,
        "keyterm": ["Kant Straße", "Ann"],
        "keywords": ["snorkel:2"],
        "profanityFilter": {"not": "a word"},
        "unknown": 1,
    }
    async with deepgram(said=SttOptions(16000, "de", ("Ann", "Aywa"), extra)) as at:
        asked = at.query
        assert dict(asked) | {"keyterm": ""} == {
            "model": "nova-3-medical",
            "encoding": "linear16",
            "sample_rate": "16000",
            "channels": "1",
            "interim_results": "true",
            "language": "multi",
            "smart_format": "true",
            "punctuate": "false",
            "numerals": "true",
            "mip_opt_out": "true",
            "endpointing": "false",
            "utterance_end_ms": "1000",
            "vad_events": "true",
            "keyterm": "",
        }
        assert [value for name, value in asked if name == "keyterm"] == [
            "Ann",
            "Aywa",
            "Kant Straße",
            "snorkel",
        ]


async def test_elder_models_know_keywords() -> None:
    async with deepgram(
        "nova-2", SttOptions(8000, keyterms=("Ann",), extra={"keywords": ["snorkel:2"]})
    ) as at:
        assert [pair for pair in at.query if pair[0].startswith("key")] == [
            ("keywords", "Ann"),
            ("keywords", "snorkel:2"),
        ]


async def test_terms_are_bounded() -> None:
    async with deepgram(said=SttOptions(8000, keyterms=tuple(f"t{i}" for i in range(500)))) as at:
        assert len([pair for pair in at.query if pair[0] == "keyterm"]) == module.MOST_KEYTERMS


async def test_flux_is_another_wire() -> None:
    said = options(
        eotThreshold=0.8, eotTimeoutMs=3000, eagerEotThreshold=0.5, keyterm="Ann", smartFormat=True
    )
    async with deepgram("flux-general-en", said) as at:
        assert at.peer.line.startswith("GET /v2/listen?")
        assert at.query == [
            ("model", "flux-general-en"),
            ("encoding", "mulaw"),
            ("sample_rate", "8000"),
            ("eot_threshold", "0.8"),
            ("eot_timeout_ms", "3000"),
            ("eager_eot_threshold", "0.5"),
            ("keyterm", "Ann"),
        ]
    for extra, hints in (({}, ["de"]), ({"languageHint": ["en", "es"]}, ["en", "es"])):
        said = SttOptions(8000, "de", extra=extra)
        async with deepgram("flux-general-multi", said) as at:
            assert [value for name, value in at.query if name == "language_hint"] == hints


async def test_a_rate_that_is_not_offered_is_refused() -> None:
    with pytest.raises(ProviderError) as error:
        await DeepgramStt(KEY).open(options(44100))
    assert (error.value.code, error.value.retryable) == ("bad_request", False)


async def test_a_model_that_does_not_exist_is_named_so() -> None:
    async with SimulatedVendors() as vendors:
        with pytest.raises(ProviderError) as error:
            await DeepgramStt(KEY, "tape", vendors.url).open(options())
        assert (error.value.code, error.value.retryable) == ("unknown_model", False)
        assert "transcriber's model" in str(error.value)


# --- audio -------------------------------------------------------------------------------------------------------


async def test_audio_goes_in_messages_of_80_ms_and_all_of_it_before_finalize() -> None:
    async with deepgram() as at:
        for _ in range(9):
            at.stream.feed(SOUND)
        at.stream.finalize()
        at.stream.finalize()
        await asyncio.sleep(0.02)
        code = pcm_to_mulaw(SOUND)
        asked = {"type": "Finalize"}
        assert at.got == [code * 4, code * 4, code, asked, asked]
    assert at.got[-1] == {"type": "CloseStream"}


async def test_at_16_khz_audio_is_sent_as_it_is() -> None:
    async with deepgram(said=options(16000)) as at:
        for _ in range(8):
            at.stream.feed(SOUND)
        await asyncio.sleep(0.02)
        assert at.got == [SOUND * 8]


async def test_a_stream_that_is_not_fed_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.02)
    async with deepgram() as at:
        at.stream.feed(SOUND)
        await asyncio.sleep(0.07)
        # What was left over goes out, and is a sign of life itself.
        assert at.got[0] == pcm_to_mulaw(SOUND)
        assert at.got[1:] == [{"type": "KeepAlive"}] * len(at.got[1:])
        assert 1 <= len(at.got[1:]) <= 3
    async with deepgram("flux-general-en") as at:
        await asyncio.sleep(0.05)
        assert set(at.got) == {pcm_to_mulaw(bytes(1280))}


# --- what is heard -----------------------------------------------------------------------------------------------


async def test_partials_and_finals() -> None:
    async with deepgram() as at:
        await at.say(
            {"type": "SpeechStarted", "channel": [0], "timestamp": 0.1},
            result(""),
            result("My"),
            result("My name."),
            result("My name is Ann.", 0.0, 1.5, final=True),
            {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 1.5},
            {"type": "Metadata"},
            {"type": "Something new"},
            result("", 1.5, 4.5, final=True),
        )
        assert at.heard[-1] == ("My name is Ann.", True, False)
        assert [told for told in at.heard if told[1]] == at.heard[-1:]
        last = at.results[-1]
        assert last.words[-1] == Word("Ann.", pytest.approx(1.4), pytest.approx(1.5))  # type: ignore[arg-type]
        assert (last.confidence, last.audio_s) == (0.9, 1.5)


async def test_a_partial_that_nobody_has_taken_gives_way_to_the_next() -> None:
    async with deepgram() as at:
        for number in range(5 * 256):
            at.stream.received(json.dumps(result(f"word {number}")))
        await asyncio.sleep(0.01)
        assert at.heard == [("word 1279", False, False)]


async def test_results_that_nobody_takes_are_bounded() -> None:
    async with SimulatedVendors() as vendors:
        stream = await DeepgramStt(KEY, base_url=vendors.url).open(options())
        for number in range(300):
            stream.received(json.dumps(result(f"word {number}", final=True)))
        results = stream.results()
        for number in range(256):
            assert (await anext(results)).text == f"word {number}"
        with pytest.raises(ProviderError) as error:
            await anext(results)
        assert error.value.code == "overlong"
        await stream.close()


async def test_a_final_without_words_takes_a_partial_back() -> None:
    async with deepgram() as at:
        await at.say(result("uh"))
        await at.say(result("", final=True))
        assert at.heard == [("uh", False, False), ("", True, False)]


async def test_of_what_is_doubtful_only_how_doubtful_is_told() -> None:
    async with deepgram(said=options(confidenceThreshold=0.7)) as at:
        await at.say(result("mumble", confidence=0.69), result("mumble", final=True, confidence=0.69))
        assert at.heard == [("", True, False)]
        assert at.results[-1].confidence == 0.69
        at.results.clear()
        await at.say(result("", final=True, confidence=0.0))
        assert at.heard == []
        await at.say(result("clear", 1.0, 2.0, confidence=0.7))
        await at.say(result("clear", 1.0, 2.0, final=True, confidence=0.3))
        assert at.heard == [("clear", False, False), ("", True, False)]
    async with deepgram() as at:
        await at.say(result("mumble", confidence=0.39), result("fair", confidence=0.4))
        assert at.heard == [("fair", False, False)]


async def test_words_that_a_taken_turn_has_settled_are_left_out() -> None:
    async with deepgram() as at:
        await at.say(result("Book a table.", 0.0, 1.0))
        at.stream.commit()
        # The same words, timed a little differently, and more of them.
        await at.say(result("Book a table. For two.", 0.0, 1.23))
        await at.say(result("Book a table. For two.", 0.0, 1.2, final=True))
        await at.say(result("Please.", 1.2, 2.0, final=True))
        assert [r.text for r in at.results] == ["Book a table.", "For two.", "For two.", "Please."]
        at.stream.commit()
        await at.say(result("Thanks.", 2.0, 3.0))
        assert at.results[-1].text == "Thanks."


async def test_a_settled_segment_ends_without_words() -> None:
    async with deepgram() as at:
        await at.say(result("Book a table.", 0.0, 1.0))
        at.stream.commit()
        await at.say(result("Book a table.", 0.0, 1.0, final=True))
        assert [r.text for r in at.results] == ["Book a table."]
        at.stream.feed(SOUND * 50)
        at.stream.finalize()
        await at.say(result("", 1.0, 1.02, final=True, asked=True))
        assert at.heard[-1] == ("", True, True)


# --- all words at once -------------------------------------------------------------------------------------------


async def test_its_answer_is_passed_on_also_an_empty_one() -> None:
    async with deepgram() as at:
        at.stream.feed(SOUND * 50)
        at.stream.finalize()
        await at.say(result("Yes.", 0.0, 1.0, final=True, asked=True))
        at.stream.finalize()
        await at.say(result("", 1.0, 1.0, final=True, asked=True))
        assert at.heard == [("Yes.", True, True), ("", True, True)]


async def test_a_question_that_is_not_answered_is_answered_by_what_cannot_lack_a_word() -> None:
    async with deepgram() as at:
        at.stream.feed(SOUND * 50)
        at.stream.finalize()
        # A partial so close to the question may still hold a word back.
        await at.say(result("Yes", 0.0, 1.2))
        assert at.heard[-1] == ("Yes", False, False)
        await at.say(result("Yes", 0.0, 1.5))
        assert at.heard[-1] == ("Yes", False, True)
        await at.say(result("Yes", 0.0, 1.7))
        assert at.heard[-1] == ("Yes", False, False)
        at.stream.feed(SOUND * 50)
        at.stream.finalize()
        await at.say(result("Yes.", 0.0, 1.9, final=True))
        assert at.heard[-1] == ("Yes.", True, False)
        await at.say(result("", 1.9, 2.0, final=True))
        assert at.heard[-1] == ("", True, True)


# --- flux --------------------------------------------------------------------------------------------------------


async def test_flux_tells_turns() -> None:
    async with deepgram("flux-general-en") as at:
        for message in (
            {"type": "Connected", "request_id": "x", "sequence_id": 0},
            turn("Update", "", 0.25),
            turn("StartOfTurn", "My", 0.5),
            turn("Update", "My name", 0.75),
            turn("EagerEndOfTurn", "My name.", 1.0),
            turn("TurnResumed", "My name.", 1.1),
            turn("EndOfTurn", "My name is Ann.", 1.5),
            turn("Update", "", 1.75),
            {"type": "Warning", "code": "X", "description": "y"},
        ):
            await at.say(message)
        assert [(r.text, r.is_final, r.turn_ended) for r in at.results] == [
            ("My", False, False),
            ("My name", False, None),
            ("My name.", False, None),
            ("My name.", False, False),
            ("My name is Ann.", True, True),
        ]


async def test_flux_answers_when_its_window_holds_what_was_asked_about() -> None:
    async with deepgram("flux-general-en") as at:
        at.stream.feed(SOUND * 50)
        at.stream.finalize()
        await at.say(turn("Update", "Yes", 0.9))
        await at.say(turn("Update", "Yes", 1.0))
        await at.say(turn("Update", "Yes", 1.25))
        at.stream.finalize()
        await at.say(turn("EndOfTurn", "Yes.", 1.5))
        assert [(r.text, r.from_finalize) for r in at.results] == [
            ("Yes", False),
            ("Yes", True),
            ("Yes", False),
            ("Yes.", True),
        ]
        assert not any(isinstance(message, dict) for message in at.got)


@pytest.mark.parametrize("times", [True, False])
async def test_flux_goes_on_with_its_turn_after_ours_was_taken(times: bool) -> None:
    async with deepgram("flux-general-en") as at:
        await at.say(turn("StartOfTurn", "Book a table", 1.0, times=times))
        at.stream.commit()
        await at.say(turn("Update", "Book a table for", 1.0, times=times))
        await at.say(turn("Update", "Book a table for two", 1.0, times=times))
        at.stream.commit()
        await at.say(turn("EndOfTurn", "Book a table for two", 1.0, times=times))
        assert [r.text for r in at.results] == ["Book a table", "for", "for two", ""]
        assert at.results[-1].turn_ended is True


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "ours", "fault", "retryable", "said"),
    [
        (1011, "No audio. See https://dpgr.am/net0001", "closed", Fault.NETWORK, True, "NET-0001"),
        (1011, "NET-0000: broke", "failed", Fault.PROVIDER, True, "NET-0000"),
        (1008, "DATA-0000: cannot decode", "bad_request", Fault.RUNTIME, False, "DATA-0000"),
        (1000, "", "closed", Fault.PROVIDER, True, "1000"),
        (1011, "the caller said secret", "closed", Fault.PROVIDER, True, "1011"),
    ],
)
async def test_how_it_closes_says_why(
    code: int, reason: str, ours: str, fault: Fault, retryable: bool, said: str
) -> None:
    async with deepgram() as at:
        await at.say(close(code, reason))
        assert at.error is not None
        assert (at.error.code, at.error.fault, at.error.retryable) == (ours, fault, retryable)
        assert said in str(at.error)
        assert "secret" not in str(at.error)


@pytest.mark.parametrize(
    "message",
    [
        frame(TEXT, b"{not json"),
        frame(TEXT, b"[]"),
        frame(TEXT, b"[" * 100_000),
        frame(2, b"binary"),
        {"type": "Results"},
        {"type": "Results", "channel": {"alternatives": []}},
        result("x") | {"start": "early"},
        result("x") | {"channel": {"alternatives": [{"transcript": "x", "words": [{"start": 0, "end": 1}]}]}},
        result("x") | {"channel": {"alternatives": [{"transcript": "x", "words": [1]}]}},
    ],
)
async def test_what_has_another_shape_is_malformed(message: Any) -> None:
    async with deepgram() as at:
        await at.say(message, result("Not heard any more."))
        assert at.error is not None
        assert (at.error.code, at.error.retryable) == ("malformed", True)
        assert at.heard == []


async def test_flux_of_another_shape_is_malformed() -> None:
    for message in ({"type": "TurnInfo"}, turn("Update", "x", 1.0) | {"words": [{"word": "x"}]}):
        async with deepgram("flux-general-en") as at:
            await at.say(message)
            assert at.error is not None
            assert at.error.code == "malformed"


@pytest.mark.parametrize(
    ("model", "message", "said"),
    [
        ("nova-3", {"type": "Error", "variant": "SchemaError", "description": "said: three"}, ""),
        ("flux-general-en", {"type": "Error", "code": "INTERNAL_SERVER_ERROR"}, "INTERNAL_SERVER_ERROR"),
        ("nova-3", {"type": "Error", "code": "prose: three"}, ""),
    ],
)
async def test_an_error_that_it_reports_ends_the_stream(model: str, message: Any, said: str) -> None:
    async with deepgram(model) as at:
        await at.say(message)
        assert at.error is not None
        assert (at.error.code, at.error.retryable) == ("failed", True)
        assert said in str(at.error)
        assert "three" not in str(at.error)


async def test_it_speaks_tls(tmp_path: Path) -> None:
    pem, private = certificate(tmp_path, "127.0.0.1")
    async with SimulatedVendors(tls=context(pem, private)) as vendors:
        trust = ssl.create_default_context(cafile=str(pem))
        stream = await DeepgramStt(KEY, base_url=vendors.url, tls=trust).open(options())
        stream.feed(SOUND * 4)
        stream.finalize()
        assert (await anext(stream.results())).from_finalize
        await stream.close()
        with pytest.raises(ProviderError, match="certificate"):
            await DeepgramStt(KEY, base_url=vendors.url).open(options())


# --- streams that were opened ahead ------------------------------------------------------------------------------


async def test_a_warm_stream_is_for_the_same_fields_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.02)
    async with SimulatedVendors() as vendors:
        stt = DeepgramStt(KEY, base_url=vendors.url)
        await stt.warm(options())
        other = await stt.open(options(16000))
        doubtful = await stt.open(options(confidenceThreshold=0.9))
        assert vendors.connections == 3
        await asyncio.sleep(0.05)
        warm = await stt.open(options())
        assert vendors.connections == 3
        assert {"type": "KeepAlive"} in [
            json.loads(m) for m in vendors.world.asked("deepgram.listen")[0].messages
        ]
        for stream in (other, doubtful, warm):
            await stream.close()
        await stt.close()


async def test_warm_streams_expire_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WARM_S", 0.03)
    monkeypatch.setattr(module, "MOST_WARM", 2)
    async with SimulatedVendors() as vendors:
        stt = DeepgramStt(KEY, base_url=vendors.url)
        for _ in range(3):
            await stt.warm(options())
        assert vendors.connections == 2
        await asyncio.sleep(0.1)
        assert vendors.open_connections == 0
        stream = await stt.open(options())
        assert vendors.connections == 3
        await stream.close()
        await stt.close()


async def test_a_warm_stream_that_has_died_is_not_taken() -> None:
    async def hang_up(peer: Peer) -> None:
        peer.reset()

    async with far_side(hang_up) as far:
        stt = DeepgramStt(KEY, base_url=far.url.removesuffix("/path"))
        await stt.warm(options())
        await asyncio.sleep(0.02)
        stream = await stt.open(options())
        assert len(far.peers) == 2
        await stream.close()
        await stt.close()

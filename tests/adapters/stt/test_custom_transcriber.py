from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from aywa.adapters.stt.custom_transcriber import CustomTranscriberStt
from tests.adapters.stt.talk import Talk, options, talk
from tests.adapters.wire.far import TEXT, close, frame

SOUND = np.arange(1, 321, dtype="<i2").tobytes()


@asynccontextmanager
async def custom(rate_hz: int = 16000, **more: Any) -> AsyncIterator[Talk]:
    async def opening(url: str) -> Any:
        return await CustomTranscriberStt(url + "/mine?x=y", **more).open(options(rate_hz))

    async with talk(opening) as made:
        yield made


def response(transcription: Any, kind: str | None = None, **more: Any) -> dict[str, Any]:
    kinds = {} if kind is None else {"transcriptType": kind}
    return {
        "type": "transcriber-response",
        "transcription": transcription,
        "channel": "customer",
        **kinds,
        **more,
    }


async def test_it_starts_as_the_contract_says_and_sends_two_channels() -> None:
    async with custom(secret="sim-s", headers={"X-Mine": "1"}) as at:
        assert at.peer.line == "GET /mine?x=y HTTP/1.1"
        assert (at.peer.headers["x-vapi-secret"], at.peer.headers["x-mine"]) == ("sim-s", "1")
        for _ in range(5):
            at.stream.feed(SOUND)
        at.stream.finalize()
        await asyncio.sleep(0.02)
        start, first, rest = at.got
        assert start == {
            "type": "start",
            "encoding": "linear16",
            "container": "raw",
            "sampleRate": 16000,
            "channels": 2,
        }
        both = np.frombuffer(first + rest, "<i2").reshape(-1, 2)
        assert both[:, 0].tobytes() == SOUND * 5
        assert not both[:, 1].any()


async def test_a_header_that_is_named_takes_the_place_of_the_secret() -> None:
    async with custom(8000, secret="one", headers={"X-Vapi-Secret": "two"}) as at:
        assert at.peer.headers["x-vapi-secret"] == "two"
        await asyncio.sleep(0.02)
        assert at.got[0]["sampleRate"] == 8000


async def test_what_it_says_of_the_caller_is_told() -> None:
    async with custom() as at:
        for message in (
            response("My", "partial"),
            response("My name", "partial"),
            response("I am the assistant.", "final", channel="assistant"),
            {"type": "something-else"},
            response(" My name is Ann. "),
            response("", "partial"),
            response("And", "partial"),
            response("", "final"),
            response("", "final"),
        ):
            await at.say(message)
        assert at.heard == [
            ("My", False, False),
            ("My name", False, False),
            ("My name is Ann.", True, False),
            ("And", False, False),
            ("", True, False),
        ]


async def test_what_a_taken_turn_has_settled_is_left_out() -> None:
    async with custom() as at:
        await at.say(response("book a", "partial"))
        at.stream.commit()
        await at.say(response("book a table", "partial"))
        at.stream.commit()
        await at.say(response("Book a table, please.", "final"))
        await at.say(response("Book a table.", "final"))
        at.stream.commit()
        await at.say(response("one", "partial"))
        at.stream.commit()
        # It has thought better of what it said; that is told whole.
        await at.say(response("Won it.", "final"))
        assert [r.text for r in at.results] == [
            "book a",
            "table",
            "please.",
            "Book a table.",
            "one",
            "Won it.",
        ]


@pytest.mark.parametrize("message", [response(None), response(1), frame(TEXT, b"x"), frame(2, b"x")])
async def test_what_has_another_shape_is_malformed(message: Any) -> None:
    async with custom() as at:
        await at.say(message)
        assert at.error is not None
        assert (at.error.code, at.error.retryable) == ("malformed", True)


async def test_a_close_may_be_tried_again() -> None:
    async with custom() as at:
        await at.say(close(1011, "said three"))
        assert at.error is not None
        assert (at.error.code, at.error.retryable) == ("closed", True)
        assert "three" not in str(at.error)

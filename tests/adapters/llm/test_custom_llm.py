"""What only a customer's own model has: the call's data, the URL that is given in two ways, and the flush."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.llm.custom_llm import CustomLlm
from aywa.adapters.llm.flush import HELD_MAX, Flushes
from aywa.ports.llm import ChatMessage, Finished, Flush, LlmDelta, LlmRequest, TextDelta, ToolCallDelta
from tests.adapters.llm.far import DONE, END, Step, delta, far_side, head, spoken
from tests.contracts.llm import take

METADATA = {"tenant": "a", "model": "theirs", "stream": False}
ASKED = LlmRequest(
    (ChatMessage("user", "Hello?"),),
    metadata=METADATA,
    call={"id": "c1"},
    customer={"number": "+1555"},
    phone_number={"id": "p1"},
)


async def asked_of(url: str = "", answer: Sequence[Step] = (), **more: Any) -> tuple[Any, list[LlmDelta]]:
    async with far_side(answer or spoken("Yes.")) as far:
        llm = CustomLlm(url.replace("FAR", far.url) or far.url, "mine", **more)
        try:
            deltas = await take(llm, ASKED)
        finally:
            await llm.close()
        return far.requests[0], deltas


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("FAR", "POST /v1/chat/completions HTTP/1.1"),
        ("FAR/", "POST /v1/chat/completions HTTP/1.1"),
        ("FAR/chat/completions", "POST /v1/chat/completions HTTP/1.1"),
        ("FAR/chat/completions/", "POST /v1/chat/completions HTTP/1.1"),
        ("FAR?tenant=7", "POST /v1/chat/completions?tenant=7 HTTP/1.1"),
        ("FAR/chat/completions?tenant=7", "POST /v1/chat/completions?tenant=7 HTTP/1.1"),
    ],
)
async def test_the_path_is_appended_once(url: str, line: str) -> None:
    asked, _ = await asked_of(url)
    assert asked.line == line


async def test_off_sends_nothing_of_the_call() -> None:
    asked, _ = await asked_of(metadata_send_mode="off")
    assert set(asked.body) == {"model", "messages", "stream", "temperature", "max_tokens"}


async def test_variable_sends_the_metadata_as_one_field() -> None:
    asked, _ = await asked_of()
    assert asked.body["metadata"] == METADATA
    assert asked.body["call"] == {"id": "c1"}
    assert asked.body["customer"] == {"number": "+1555"}
    assert asked.body["phoneNumber"] == {"id": "p1"}
    assert asked.body["model"] == "mine"


async def test_destructured_spreads_the_metadata_and_never_over_the_wire() -> None:
    asked, _ = await asked_of(metadata_send_mode="destructured")
    assert asked.body["tenant"] == "a"
    assert "metadata" not in asked.body
    assert (asked.body["model"], asked.body["stream"]) == ("mine", True)
    assert asked.body["call"] == {"id": "c1"}


@pytest.mark.parametrize("mode", ["variable", "destructured"])
async def test_what_is_not_known_is_not_sent(mode: Any) -> None:
    async with far_side(spoken("Yes.")) as far:
        llm = CustomLlm(far.url, metadata_send_mode=mode)
        try:
            await take(llm, LlmRequest(ASKED.messages))
        finally:
            await llm.close()
        assert not {"metadata", "call", "customer", "phoneNumber"} & set(far.requests[0].body)


@pytest.mark.parametrize(
    ("key", "headers", "sent"),
    [
        ("k", {}, "Bearer k"),
        ("", {}, None),
        ("k", {"authorization": "Basic x"}, "Basic x"),
        ("", {"Authorization": "Basic x"}, "Basic x"),
    ],
)
async def test_the_key_and_the_headers(key: str, headers: dict[str, str], sent: str | None) -> None:
    asked, _ = await asked_of(key=key, headers={"X-Mine": "7", **headers})
    assert asked.headers.get("authorization") == sent
    assert asked.headers["x-mine"] == "7"


async def test_a_flush_in_the_stream() -> None:
    words = ["One moment. ", "<fl", "ush", " />", "I ", "look. <b> 3 <", " 4"]
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    answer = [head(), *(delta(content=w) for w in words), delta(tool_calls=[call]), delta("stop"), DONE, END]
    _, deltas = await asked_of(answer=answer)
    assert deltas[0] == TextDelta("One moment. ")
    assert deltas[1] == Flush()
    assert "".join(d.text for d in deltas if isinstance(d, TextDelta)) == "One moment. I look. <b> 3 < 4"
    assert [type(d) for d in deltas[-2:]] == [ToolCallDelta, Finished]


def told(pieces: Sequence[str]) -> list[LlmDelta]:
    flushes = Flushes()
    return [delta for piece in pieces for delta in flushes.take(piece)] + flushes.end()


def joined(deltas: Sequence[LlmDelta]) -> str:
    return "".join(delta.text if isinstance(delta, TextDelta) else "|" for delta in deltas)


@pytest.mark.parametrize(
    "literal", ["<flush />", "<flush/>", "<flush>", "</flush>", "<FLUSH />", "< Flush  / >", "< / flush >"]
)
def test_every_spelling(literal: str) -> None:
    assert joined(told([f"Hello. {literal}World"])) == "Hello. |World"
    assert joined(told([literal, literal])) == "||"


@pytest.mark.parametrize(
    "text", ["<", "a < b", "<flus>", "<flushes>", "<br/>", "x<f", "<flush", "< " * 30, "<flush" + " " * 50]
)
def test_what_is_none_is_told_whole(text: str) -> None:
    assert joined(told(list(text))) == text


@given(
    st.lists(
        st.sampled_from(["<flush />", "<FLUSH>", "</flush>", "<", "flush", " ", "/", ">", "a b", "x."]),
        max_size=12,
    ),
    st.data(),
)
def test_the_cuts_do_not_matter(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    if "  " not in text:
        assert joined(told(pieces)) == joined(told([text]))
    assert all(delta.text for delta in told(pieces) if isinstance(delta, TextDelta))


def test_little_is_held_back() -> None:
    flushes = Flushes()
    text = "word <" + " " * 100
    said = sum(len(d.text) for c in text for d in flushes.take(c) if isinstance(d, TextDelta))
    assert len(text) - said <= HELD_MAX

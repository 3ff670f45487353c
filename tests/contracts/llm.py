"""What every route to a model must do. A test file gives `llm` (a fixture) and inherits LlmContract; an adapter with a wire
gives `wire` and inherits WireContract, which puts the fault proxy between it and the simulated vendors."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from aywa.adapters.wire.reserve import SPARE_LEAST
from aywa.ports.errors import CODES, Fault, ProviderError
from aywa.ports.llm import ChatMessage, Finished, Llm, LlmDelta, LlmRequest, TextDelta, ToolCallDelta
from aywa.testing.fault_proxy import Deed, FaultProxy, NetworkFault
from aywa.testing.fault_proxy import Trouble as NetworkTrouble
from aywa.testing.vendors.plan import Break, Plan, ToolCall, Trouble
from aywa.testing.vendors.server import SimulatedVendors

KEY = "sim-very-secret-key"
WRONG_KEY = "wrong-very-secret-key"
WORDS = "My number is seven seven four."
LIMIT_S = 10.0
ASKED = LlmRequest(
    (ChatMessage("system", "You are a receptionist. Be brief."), ChatMessage("user", WORDS)), max_tokens=200
)
BRIEFLY = LlmRequest(ASKED.messages, max_tokens=12)
MODEL_LIMIT_S = 60.0
"""For a model that thinks on this machine."""
TOOL = {
    "type": "function",
    "function": {
        "name": "book",
        "description": "Books a table.",
        "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
    },
}


class Dialling(Llm, Protocol):
    """One that counts its connections, and those of them that a request waited for."""

    @property
    def connections(self) -> int: ...

    @property
    def waited(self) -> int: ...


@dataclass(frozen=True)
class Wire:
    """route: of the simulated vendor. make: the adapter, given the vendors' URL and a key. *: how the vendor says so."""

    route: str
    make: Callable[[str, str], Dialling]
    quota: Trouble
    unknown_model: Trouble
    too_long: Trouble
    counts: bool = True


@dataclass
class Rig:
    """The adapter, and what it speaks to."""

    wire: Wire
    vendors: SimulatedVendors
    proxy: FaultProxy
    llm: Dialling

    def next(self, **plan: Any) -> None:
        self.vendors.plans.next(self.wire.route, Plan(**plan))

    @property
    def asked(self) -> list[Any]:
        return self.vendors.world.asked(self.wire.route)


async def take(llm: Llm, request: LlmRequest = ASKED, limit_s: float = LIMIT_S) -> list[LlmDelta]:
    async with asyncio.timeout(limit_s):
        return [delta async for delta in llm.stream(request)]


async def failed(llm: Llm, request: LlmRequest = ASKED) -> ProviderError:
    with pytest.raises(ProviderError) as error:
        await take(llm, request)
    return error.value


def kernel_buffer_bytes() -> int:
    """What the system lets one connection hold, at both of its ends."""
    ends = [Path(f"/proc/sys/net/ipv4/tcp_{end}mem") for end in "rw"]
    return sum(int(end.read_text().split()[2]) if end.exists() else 6_000_000 for end in ends)


def text_of(deltas: list[LlmDelta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


async def until(true: Callable[[], bool], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - the simulator counts, it does not tell
            await asyncio.sleep(0.005)


class LlmContract:
    """For every one, also those without a wire."""

    async def test_an_answer_is_text_and_then_its_end(self, llm: Llm) -> None:
        *text, finished = await take(llm, BRIEFLY, MODEL_LIMIT_S)
        assert text
        assert all(isinstance(delta, TextDelta) and delta.text for delta in text)
        assert isinstance(finished, Finished)
        assert finished.reason in ("stop", "length")

    async def test_it_can_be_closed_at_any_time_and_asked_again(self, llm: Llm) -> None:
        stream = llm.stream(BRIEFLY)
        assert isinstance(await anext(stream), TextDelta)
        async with asyncio.timeout(1):
            await stream.aclose()  # type: ignore[attr-defined]
        assert text_of(await take(llm, BRIEFLY, MODEL_LIMIT_S))

    async def test_warming_changes_nothing(self, llm: Llm) -> None:
        await llm.warm(BRIEFLY)
        await llm.warm(BRIEFLY)
        assert text_of(await take(llm, BRIEFLY, MODEL_LIMIT_S))

    async def test_it_has_a_name(self, llm: Llm) -> None:
        assert llm.name


@asynccontextmanager
async def rigged(wire: Wire, key: str = KEY) -> AsyncIterator[Rig]:
    async with SimulatedVendors() as vendors, FaultProxy(vendors.url) as proxy:
        llm = wire.make(proxy.url, key)
        try:
            yield Rig(wire, vendors, proxy, llm)
        finally:
            await llm.close()


@pytest.fixture
async def rig(wire: Wire) -> AsyncIterator[Rig]:
    async with rigged(wire) as one:
        yield one


@pytest.fixture
async def llm(rig: Rig) -> Llm:
    return rig.llm


class WireContract(LlmContract):
    """For every vendor's adapter."""

    # --- what comes --------------------------------------------------------------------------------------------

    async def test_words_come_as_they_are_said(self, rig: Rig) -> None:
        rig.next(text="One two three.", cached_tokens=1000)
        deltas = await take(rig.llm)
        assert [d.text for d in deltas[:-1] if isinstance(d, TextDelta)] == ["One", " two", " three."]
        finished = deltas[-1]
        assert isinstance(finished, Finished)
        assert finished.reason == "stop"
        if rig.wire.counts:
            assert finished.cached_tokens == 1000
            assert finished.prompt_tokens >= 1000
            assert finished.completion_tokens == 3

    async def test_the_first_words_do_not_wait_for_the_last(self, rig: Rig) -> None:
        rig.next(text="Once upon a time.", trouble=Trouble(Break.STALL, after=1))
        stream = rig.llm.stream(ASKED)
        async with asyncio.timeout(LIMIT_S):
            assert await anext(stream) == TextDelta("Once")
        await stream.aclose()  # type: ignore[attr-defined]

    async def test_the_limit_of_tokens_is_told(self, rig: Rig) -> None:
        rig.next(text="One two three four five.")
        request = LlmRequest(ASKED.messages, max_tokens=2)
        deltas = await take(rig.llm, request)
        assert text_of(deltas) == "One two"
        assert isinstance(deltas[-1], Finished)
        assert deltas[-1].reason == "length"

    async def test_tool_calls_come_in_pieces_that_make_a_whole(self, rig: Rig) -> None:
        calls = (ToolCall("book", '{"day": "Monday"}'), ToolCall("tell"))
        rig.next(text="One moment.", tool_calls=calls)
        deltas = await take(rig.llm, LlmRequest(ASKED.messages, tools=(TOOL,)))
        assert text_of(deltas) == "One moment."
        whole: dict[int, list[str]] = {}
        for delta in deltas:
            if isinstance(delta, ToolCallDelta):
                had = whole.setdefault(delta.index, ["", "", ""])
                whole[delta.index] = [had[0] + delta.id, had[1] + delta.name, had[2] + delta.arguments]
        assert [(name, json.loads(arguments)) for _, name, arguments in whole.values()] == [
            ("book", {"day": "Monday"}),
            ("tell", {}),
        ]
        assert list(whole) == [0, 1]
        assert len({call_id for call_id, _, _ in whole.values()} - {""}) == 2
        assert isinstance(deltas[-1], Finished)
        assert deltas[-1].reason == "tool_calls"

    async def test_a_history_with_tools_is_understood(self, rig: Rig) -> None:
        def call(call_id: str) -> dict[str, Any]:
            function = {"name": "book", "arguments": '{"day": "Monday"}'}
            return {"id": call_id, "type": "function", "function": function}

        messages = (
            ChatMessage("system", "You are a receptionist."),
            ChatMessage("assistant", "Hello, how can I help?"),
            ChatMessage("user", "Book Monday."),
            ChatMessage("user", "For two."),
            ChatMessage("assistant", "", (call("c1"), call("c2"))),
            ChatMessage("tool", "booked", tool_call_id="c1"),
            ChatMessage("tool", "full", tool_call_id="c2"),
            ChatMessage("assistant", "Done."),
            ChatMessage("system", "The shop closes in ten minutes."),
            ChatMessage("user", "Thanks."),
        )
        assert text_of(await take(rig.llm, LlmRequest(messages, tools=(TOOL,))))
        # The vendor's own rules hold also where nobody has said anything yet, or the assistant spoke last.
        assert text_of(await take(rig.llm, LlmRequest(messages[:1])))
        assert text_of(await take(rig.llm, LlmRequest(messages[:2])))

    async def test_its_own_fields_go_over_ours(self, rig: Rig) -> None:
        await take(rig.llm)
        await take(rig.llm, LlmRequest(ASKED.messages, extra={"top_k": 5}))
        assert "top_k" not in rig.asked[0].body
        assert rig.asked[1].body["top_k"] == 5

    # --- connections -------------------------------------------------------------------------------------------

    async def test_after_the_first_turn_no_turn_waits_for_a_connection(self, rig: Rig) -> None:
        for _ in range(5):
            await take(rig.llm)
        assert (rig.llm.waited, rig.llm.connections) == (1, 1 + SPARE_LEAST)
        await until(lambda: rig.vendors.connections == rig.llm.connections, 1)

    async def test_a_warm_route_needs_no_handshake(self, rig: Rig) -> None:
        await rig.llm.warm(ASKED)
        await rig.llm.warm(ASKED)
        assert rig.asked == []
        await until(lambda: rig.vendors.connections == SPARE_LEAST, 1)
        rig.proxy.hold()
        await take(rig.llm)
        assert rig.llm.waited == 0

    async def test_more_and_more_at_once_wait_for_no_handshake_and_nor_do_those_after_one_that_was_left(
        self, rig: Rig
    ) -> None:
        rig.vendors.plans.set(rig.wire.route, Plan(text="One two three.", first_s=0.02, per_s=500))
        await rig.llm.warm(ASKED)
        for most in range(SPARE_LEAST, 5 * SPARE_LEAST, SPARE_LEAST):
            # Whoever needed a new connection now would not get his answer.
            rig.proxy.hold()
            asked = len(rig.asked) + most
            asking = [asyncio.create_task(take(rig.llm)) for _ in range(most)]
            await until(lambda asked=asked: len(rig.asked) == asked, LIMIT_S)  # type: ignore[misc]
            asking[0].cancel()
            _, *answers = await asyncio.gather(*asking, return_exceptions=True)
            assert [text_of(one) for one in answers] == ["One two three."] * (most - 1)  # type: ignore[arg-type]
            rig.proxy.release()
            await until(lambda: rig.vendors.connections == rig.llm.connections, 1)
        assert rig.llm.waited == 0
        # Those that were used at once, those that were left, and the spare ones: not one for each request.
        assert rig.llm.connections == most + SPARE_LEAST + 4

    async def test_a_kept_connection_that_is_gone_is_replaced_at_once(self, rig: Rig) -> None:
        for deed in (Deed.CUT, Deed.RESET):
            await take(rig.llm)
            rig.proxy.do(deed)
            assert text_of(await take(rig.llm))

    async def test_many_at_once(self, rig: Rig) -> None:
        rig.vendors.plans.set(rig.wire.route, Plan(text="One two three.", first_s=0.02, per_s=500))
        answers = await asyncio.gather(*(take(rig.llm) for _ in range(150)))
        assert {text_of(answer) for answer in answers} == {"One two three."}

    # --- stopping ----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("after", [None, 0, 1])
    async def test_cancelling_is_seen_at_the_far_side_within_a_second(
        self, rig: Rig, after: int | None
    ) -> None:
        rig.next(text="Once upon a time.", trouble=Trouble(Break.STALL, after=after))
        asking = asyncio.create_task(take(rig.llm))
        await until(lambda: bool(rig.asked) and rig.asked[0].pieces == (after or 0), LIMIT_S)
        await asyncio.sleep(0.02)
        asking.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await asking
            await until(lambda: rig.asked[0].ended == "left", 1)
        assert text_of(await take(rig.llm))

    async def test_closing_the_stream_is_seen_at_the_far_side_within_a_second(self, rig: Rig) -> None:
        rig.next(text="word " * 1000, per_s=100)
        stream = rig.llm.stream(ASKED)
        _ = await anext(stream)
        async with asyncio.timeout(1):
            await stream.aclose()  # type: ignore[attr-defined]
            await until(lambda: rig.asked[0].ended == "left", 1)

    @pytest.mark.parametrize("after", [None, 1])
    async def test_closing_the_route_ends_what_streams(self, rig: Rig, after: int | None) -> None:
        rig.next(text="Once upon a time.", trouble=Trouble(Break.STALL, after=after))
        asking = asyncio.create_task(take(rig.llm))
        await until(lambda: bool(rig.asked) and rig.asked[0].pieces == (after or 0), LIMIT_S)
        await asyncio.sleep(0.02)
        async with asyncio.timeout(1):
            await rig.llm.close()
            with pytest.raises(ProviderError):
                await asking
        assert (await failed(rig.llm)).code == "closed"
        await rig.llm.warm(ASKED)

    async def test_who_reads_slowly_holds_the_far_side_back(self, rig: Rig) -> None:
        rig.next(text="word " * 1_000_000)
        stream = rig.llm.stream(LlmRequest(ASKED.messages, max_tokens=10_000_000))
        _ = await anext(stream)
        before = -1
        async with asyncio.timeout(LIMIT_S):
            while before < (now := rig.proxy.lines[0].down_bytes):
                before = now
                await asyncio.sleep(0.3)
        # It would be more than 100 MB; what waits is the kernel's buffers and a little of ours.
        assert rig.proxy.lines[0].down_bytes < kernel_buffer_bytes() + 1_000_000
        assert rig.asked[0].ended == ""
        await stream.aclose()  # type: ignore[attr-defined]

    # --- failing -----------------------------------------------------------------------------------------------

    async def test_a_wrong_key_is_not_tried_again(self, wire: Wire) -> None:
        async with rigged(wire, WRONG_KEY) as rig:
            error = await failed(rig.llm)
        assert (error.code, error.fault, error.retryable) == ("unauthorized", Fault.CONFIG, False)
        assert error.mend
        assert error.route == rig.llm.name
        assert str(error).startswith(f"{rig.llm.name}: ")

    async def test_what_the_vendor_refuses_is_told_apart(self, rig: Rig) -> None:
        def refuse(status: int) -> Trouble:
            return Trouble(Break.REFUSE, status=status, retry_after_s=7)

        expected = [
            (rig.wire.quota, "quota", Fault.CONFIG, False),
            (rig.wire.unknown_model, "unknown_model", Fault.CONFIG, False),
            (rig.wire.too_long, "bad_request", Fault.CONFIG, False),
            (refuse(429), "rate_limited", Fault.CONFIG, True),
            (refuse(403), "forbidden", Fault.CONFIG, False),
            (refuse(500), "unavailable", Fault.PROVIDER, True),
            (refuse(503), "unavailable", Fault.PROVIDER, True),
        ]
        for trouble, code, fault, retryable in expected:
            rig.next(trouble=trouble)
            error = await failed(rig.llm)
            assert (error.code, error.fault, error.retryable) == (code, fault, retryable), trouble
            assert error.mend or fault is Fault.PROVIDER
            assert error.retry_after_s == trouble.retry_after_s
        # A refusal is a whole answer: its connection serves on.
        assert (rig.llm.waited, rig.llm.connections) == (1, 1 + SPARE_LEAST)

    async def test_a_cut_may_be_tried_again(self, rig: Rig) -> None:
        for after in (None, 0, 1, 2):
            rig.next(text="One two three four.", trouble=Trouble(Break.CUT, after=after))
            said: list[LlmDelta] = []
            error: ProviderError | None = None
            try:
                async for delta in rig.llm.stream(ASKED):
                    said.append(delta)  # noqa: PERF401 - what came before the failure counts
            except ProviderError as raised:
                error = raised
            assert error is not None
            assert (error.fault, error.retryable) == (Fault.NETWORK, True), after
            assert "One two three four.".startswith(text_of(said))
            assert not any(isinstance(delta, Finished) for delta in said)
        assert text_of(await take(rig.llm))

    @pytest.mark.parametrize("deed", [Deed.CUT, Deed.RESET])
    async def test_a_line_that_breaks_anywhere_may_be_tried_again(self, rig: Rig, deed: Deed) -> None:
        rig.vendors.plans.set(rig.wire.route, Plan(text="One two three."))
        for after_bytes in (0, 10, 200, 900, 1100):
            rig.proxy.plan.append(NetworkFault(down=NetworkTrouble(deed, after_bytes)))
            rig.proxy.do(Deed.RESET)
            await asyncio.sleep(0.02)
            error = await failed(rig.llm)
            assert (error.fault, error.retryable) == (Fault.NETWORK, True), after_bytes
            # Nobody there, or somebody who did not come to his end.
            begun = {0: False, 10: False, 900: True, 1100: True}.get(after_bytes)
            if begun is not None:
                assert error.code == ("cut_short" if begun else "unreachable"), after_bytes
        rig.proxy.do(Deed.RESET)
        assert text_of(await take(rig.llm)) == "One two three."

    @pytest.mark.parametrize(
        ("kind", "after", "codes", "retryable"),
        [
            (Break.HTML, None, {"not_a_stream"}, False),
            (Break.GARBAGE, 0, {"malformed"}, True),
            (Break.GARBAGE, 2, {"malformed"}, True),
            (Break.NON_UTF8, 0, {"malformed"}, True),
            (Break.NON_UTF8, 2, {"malformed"}, True),
            (Break.ENDLESS, 0, {"malformed", "overlong"}, True),
            (Break.ENDLESS, 2, {"malformed", "overlong"}, True),
        ],
    )
    async def test_nonsense_is_a_known_failure(
        self, rig: Rig, kind: Break, after: int | None, codes: set[str], retryable: bool
    ) -> None:
        rig.next(text="One two three four.", trouble=Trouble(kind, after=after))
        error = await failed(rig.llm)
        assert error.code in codes
        assert error.retryable == retryable
        assert error.fault is (Fault.PROVIDER if retryable else Fault.CONFIG)
        assert error.mend or retryable
        assert rig.proxy.lines[0].down_bytes < 8_000_000
        assert text_of(await take(rig.llm))

    async def test_a_wrong_address_says_what_to_mend(self, wire: Wire, rig: Rig) -> None:
        nobody = FaultProxy(rig.vendors.url)
        await nobody.listen()
        nobody.stop_listening()
        for url, code, fault in (
            (nobody.url, "unreachable", Fault.NETWORK),
            ("ftp://127.0.0.1/", "bad_url", Fault.CONFIG),
            ("127.0.0.1:80", "bad_url", Fault.CONFIG),
            ("http://[::1", "bad_url", Fault.CONFIG),
            (f"{rig.vendors.url}/elsewhere", "not_found", Fault.CONFIG),
        ):
            llm = wire.make(url, KEY)
            try:
                error = await failed(llm)
            finally:
                await llm.close()
            assert (error.code, error.fault) == (code, fault), url
            assert error.mend

    async def test_secrets_and_words_are_never_told(
        self, wire: Wire, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        troubles = [
            *(Trouble(Break.REFUSE, status=status) for status in (400, 401, 404, 429, 500)),
            *(Trouble(kind, after=1) for kind in (Break.CUT, Break.GARBAGE, Break.NON_UTF8)),
            Trouble(Break.CUT),
            Trouble(Break.HTML),
        ]
        told: list[str] = []
        for key in (KEY, WRONG_KEY, f"{KEY}\n"):
            async with rigged(wire, key) as rig:
                for trouble in troubles:
                    # For every try: what is cut before its answer is asked for again on a connection that is not kept.
                    rig.vendors.plans.set(rig.wire.route, Plan(text=WORDS, trouble=trouble))
                    error = await failed(rig.llm)
                    assert error.code in CODES
                    told += [*_all_of(error), "".join(traceback.format_exception(error))]
                told += [repr(rig.llm), repr(vars(rig.llm)), repr(rig.asked).replace(WORDS, "")]
        told += [record.getMessage() for record in caplog.records]
        for secret in (KEY, WRONG_KEY, WORDS, KEY[:8] + "***"):
            assert not [text for text in told if secret in text]


def _all_of(error: BaseException | None) -> list[str]:
    """The error and all that hangs on it."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(error.__dict__)]
        error = error.__cause__ or error.__context__
    return texts

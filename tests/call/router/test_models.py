"""Which model is asked, how long it may take, who is asked instead, and what is told and counted of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.call.router.attempt import CLOSE_S
from aywa.call.router.board import HealthBoard
from aywa.call.router.models import END_S, HEDGE_LEAST_S, Answering, ModelRoute, ModelRouter
from aywa.core.route_health import BREAK_AFTER, LEAST, Circuit, Failure
from aywa.ports.errors import ProviderError
from aywa.ports.llm import ChatMessage, Finished, LlmRequest, TextDelta, ToolCallDelta
from aywa.testing.scripted_providers import broken
from aywa.testing.virtual_time import run_virtual
from tests.call.router.routes import Model, Told, about, now, others

pytestmark = pytest.mark.virtual_time

ASKED = LlmRequest((ChatMessage("user", "hello"),))


@dataclass
class Chain:
    """A router over scripted models, 8 s for the first delta, 3 s while there is another, 4 s for each further one."""

    models: list[Model]
    hedges: bool = True
    told: Told = field(default_factory=Told)
    board: HealthBoard = field(default_factory=HealthBoard)

    def __post_init__(self) -> None:
        for place, model in enumerate(self.models):
            if model.name == "one":
                model.name = "abcdef"[place]
        self.routes = [ModelRoute(model) for model in self.models]
        self.router = ModelRouter(self.routes, self.board, self.told, hedges=self.hedges)

    async def answer(self, router: ModelRouter | None = None) -> str:
        answering = (router or self.router).ask(ASKED)
        try:
            return await whole(answering)
        finally:
            await answering.close()

    async def fails(self) -> ProviderError:
        with pytest.raises(ProviderError) as raised:
            _ = await self.answer()
        return raised.value

    def usual(self, place: int, first_s: float, times: int = LEAST) -> None:
        """The route has answered so quickly so often."""
        for _ in range(times):
            self.router.health(self.routes[place]).answered(first_s, now())

    def failures(self) -> list[int]:
        return [self.router.health(route).failures for route in self.routes]

    async def sound(self) -> None:
        """All is let go, at once, and counted as it ended."""
        for _ in range(4):
            await asyncio.sleep(0)
        assert not others()
        assert [self.router.health(route).active for route in self.routes] == [0] * len(self.routes)
        assert [model.closed for model in self.models] == [len(model.asked) for model in self.models]


async def whole(answering: Answering) -> str:
    text = ""
    async with aclosing(answering.deltas()) as deltas:
        async for delta in deltas:
            text += delta.text if isinstance(delta, TextDelta) else ""
    return text


# --- deadlines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("models", "at_s"), [(1, 8.0), (2, 3.0 + 8.0), (3, 3.0 + 3.0 + 8.0)])
async def test_the_first_delta_has_its_time_and_less_while_there_is_another(models: int, at_s: float) -> None:
    chain = Chain([Model([[100.0]]) for _ in range(models)])
    assert (await chain.fails()).code == "deadline"
    assert now() == about(at_s)
    # What had its time is not asked again.
    assert [len(model.asked) for model in chain.models] == [1] * models
    assert chain.failures() == [1] * models
    await chain.sound()


@pytest.mark.parametrize("models", [1, 2])
async def test_each_further_delta_has_its_time_and_nobody_else_is_asked_then(models: int) -> None:
    chain = Chain([Model([["a", 3.9, "b", 100.0]]), *[Model()] * (models - 1)])
    error = await chain.fails()
    assert (error.code, error.route, now()) == ("deadline", "a", about(7.9))
    assert [len(model.asked) for model in chain.models] == [1, 0][:models]
    assert not chain.told.notes


async def test_nothing_however_often_it_comes_is_no_answer() -> None:
    chain = Chain([Model([["", 1.0] * 1000]), Model([["b", *["", 1.0] * 1000]])])
    error = await chain.fails()
    assert (error.code, error.route, now()) == ("deadline", "b", about(3.0 + 4.0))
    await chain.sound()


async def test_what_follows_the_end_does_not_undo_the_answer() -> None:
    """The end of the connection is waited for, so that it can be used again; when it does not come, all is said."""
    chain = Chain([Model([["a", 3.9, Finished("stop"), 0.5, broken("a")], ["b", Finished("stop"), 100.0]])])
    assert await chain.answer() == "a"
    assert await chain.answer() == "b"
    await chain.sound()


# --- another one, and the same once more -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["unavailable", "unauthorized", "rate_limited", "quota", "cut_short"])
async def test_the_next_is_asked_at_once_when_one_refuses(code: str) -> None:
    chain = Chain([Model([[broken("a", code, retryable=code != "unauthorized")]]), Model([["from b"]])])
    assert (await chain.answer(), now()) == ("from b", 0.0)
    assert chain.told.notes == [("RouteSwitched", {"kind": "llm", "route": "b", "before": "a", "code": code})]
    assert chain.failures() == [1, 0]
    await chain.sound()


async def test_the_last_is_asked_once_more_before_its_first_token() -> None:
    chain = Chain([Model([[broken("a")], ["well"]])])
    assert await chain.answer() == "well"
    assert chain.told.notes == [("RouteRetried", {"kind": "llm", "route": "a", "code": "unavailable"})]
    await chain.sound()


@pytest.mark.parametrize("models", [1, 2, 3])
async def test_once_and_no_more(models: int) -> None:
    chain = Chain([Model([[broken("x")]]) for _ in range(models)])
    _ = await chain.fails()
    assert [len(model.asked) for model in chain.models] == [*[1] * (models - 1), 2]
    await chain.sound()


@pytest.mark.parametrize("script", [["word", broken("a")], [ToolCallDelta(0, "1", "f", ""), broken("a")]])
async def test_never_after_the_first_token(script: list[Any]) -> None:
    chain = Chain([Model([script]), Model()])
    assert (await chain.fails()).code == "unavailable"
    assert [len(model.asked) for model in chain.models] == [1, 0]
    await chain.sound()


@pytest.mark.parametrize(
    ("code", "retryable"),
    [("rate_limited", True), ("quota", True), ("deadline", True), ("unauthorized", False)],
)
async def test_what_another_try_does_not_mend_is_not_tried(code: str, retryable: bool) -> None:
    chain = Chain([Model([[broken("a", code, retryable=retryable)]])])
    assert (await chain.fails()).code == code
    assert len(chain.models[0].asked) == 1


async def test_errors_of_any_kind_are_told_without_their_words() -> None:
    chain = Chain([Model([[KeyError("sk-secret")]])])
    error = await chain.fails()
    assert (error.code, str(error)) == ("KeyError", "a: it broke")
    assert "secret" not in str(chain.told.notes)


# --- empty answers ---------------------------------------------------------------------------------------------------

EMPTY: list[list[Any]] = [[], [Finished("stop")], [Finished("stop"), 0.1], [""], ["", Finished("stop")]]


@pytest.mark.parametrize("script", EMPTY)
async def test_an_empty_answer_of_the_only_one_is_an_answer(script: list[Any]) -> None:
    chain = Chain([Model([script])])
    assert await chain.answer() == ""
    assert (len(chain.models[0].asked), chain.failures()) == (1, [0])
    await chain.sound()


@pytest.mark.parametrize("script", EMPTY)
async def test_where_there_is_another_it_is_asked_instead(script: list[Any]) -> None:
    chain = Chain([Model([script]), Model([["word"]])])
    assert await chain.answer() == "word"
    assert chain.told.notes[0][1]["code"] == "failed"
    await chain.sound()


# --- those that are not well -----------------------------------------------------------------------------------------


def break_(chain: Chain, place: int) -> None:
    health = chain.router.health(chain.routes[place])
    for _ in range(BREAK_AFTER):
        health.begin(now())
        health.end(Failure("unavailable"), now())


async def test_one_that_is_left_alone_is_skipped_and_that_is_told() -> None:
    chain = Chain([Model(), Model([["from b"]])])
    break_(chain, 0)
    assert await chain.answer() == "from b"
    assert chain.told.notes == [("RouteSkipped", {"kind": "llm", "route": "a", "code": "unavailable"})]
    await asyncio.sleep(6)
    assert await chain.answer() == "Hello."
    assert chain.told.kinds == ["RouteSkipped"]


async def test_warming_tells_nothing_and_goes_to_the_one_that_will_be_asked() -> None:
    chain = Chain([Model(), Model()])
    break_(chain, 0)
    await chain.router.warm(ASKED)
    assert ([model.warmed for model in chain.models], chain.told.notes) == ([0, 1], [])


async def test_when_all_are_left_alone_they_are_asked_all_the_same() -> None:
    chain = Chain([Model([[broken("a")]]), Model([["from b"]])])
    break_(chain, 0)
    break_(chain, 1)
    assert await chain.answer() == "from b"
    assert "RouteSkipped" not in chain.told.kinds
    assert chain.board.statuses()[1].circuit == Circuit.CLOSED


async def test_one_organisations_key_does_not_close_anothers_route() -> None:
    """Both ask the same vendor for the same model; only the adapters differ, which hold the keys."""
    board = HealthBoard()
    theirs = Chain([Model([[broken("x", "unauthorized", retryable=False)]], "gpt"), Model()], board=board)
    ours = Chain([Model([["ours"]], "gpt"), Model()], board=board)
    assert await theirs.answer() == "Hello."
    assert await ours.answer() == "ours"
    assert ours.told.notes == []
    [status] = [status for status in board.statuses() if status.name == "gpt"]
    assert (status.circuit, status.requests, status.failures) == (Circuit.OPEN, 2, 1)


async def test_a_request_that_is_wrong_does_not_close_the_route_for_others() -> None:
    board = HealthBoard()
    shared = Model([[broken("x", "bad_request", retryable=False)], ["well"]], "gpt")
    assert await Chain([shared, Model()], board=board).answer() == "Hello."
    other = Chain([shared, Model()], board=board)
    assert (await other.answer(), other.told.notes) == ("well", [])


async def test_callers_who_hang_up_do_not_close_a_route() -> None:
    chain = Chain([Model([[2.0, "slow"]]), Model()])
    for _ in range(10):
        asking = asyncio.create_task(chain.answer())
        await asyncio.sleep(1.0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert chain.failures() == [0, 0]
    assert chain.router.health(chain.routes[0]).status(now()).circuit == Circuit.CLOSED
    await chain.sound()


async def test_one_that_always_breaks_in_the_middle_is_left_alone_too() -> None:
    chain = Chain([Model([["a", broken("a")]]), Model([["b"]])])
    for _ in range(BREAK_AFTER):
        _ = await chain.fails()
    assert await chain.answer() == "b"


# --- both at once ----------------------------------------------------------------------------------------------------


async def test_another_is_asked_beside_one_that_is_slower_than_usual_and_its_answer_used() -> None:
    chain = Chain([Model([[2.0, "slow"]]), Model([[0.3, "quick"]])])
    chain.usual(0, 0.5)
    assert (await chain.answer(), now()) == ("quick", about(0.8))
    assert chain.told.notes == [
        ("RouteHedged", {"kind": "llm", "route": "b", "beside": "a"}),
        ("RouteHedged", {"kind": "llm", "route": "b", "won": True}),
    ]
    assert (chain.failures(), chain.models[0].cancelled) == ([0, 0], 1)
    await chain.sound()


async def test_the_one_that_was_asked_first_may_still_win() -> None:
    chain = Chain([Model([[0.7, "first"]]), Model([[5.0, "second"]])])
    chain.usual(0, 0.5)
    assert (await chain.answer(), now()) == ("first", about(0.7))
    assert (chain.failures(), chain.models[1].cancelled) == ([0, 0], 1)
    # Of the second nobody knows how long it would have taken.
    assert not chain.router.health(chain.routes[1])._firsts
    await chain.sound()


@pytest.mark.parametrize("usual_s", [0.0, 0.1, 0.25])
async def test_nobody_is_asked_beside_it_too_soon(usual_s: float) -> None:
    chain = Chain([Model([[HEDGE_LEAST_S - 0.01, "quick"], [1.0, "slow"]]), Model([["b"]])])
    chain.usual(0, usual_s)
    assert await chain.answer() == "quick"
    began_s = now()
    assert (await chain.answer(), now() - began_s) == ("b", about(HEDGE_LEAST_S))


@pytest.mark.parametrize(
    "why", ["too few answers known", "not wanted", "nobody else", "the other is not well"]
)
async def test_nobody_is_asked_beside_it(why: str) -> None:
    chain = Chain([Model([[2.0, "a"]]), *[Model()] * (why != "nobody else")], hedges=why != "not wanted")
    chain.usual(0, 0.5, LEAST - (why == "too few answers known"))
    if why == "the other is not well":
        break_(chain, 1)
    assert (await chain.answer(), now()) == ("a", about(2.0))
    assert [len(model.asked) for model in chain.models[1:]] in ([], [0])


async def test_the_first_fails_after_the_other_was_asked() -> None:
    chain = Chain([Model([[0.8, broken("a")]]), Model([[1.0, "second"]]), Model()])
    chain.usual(0, 0.5)
    assert (await chain.answer(), now()) == ("second", about(1.5))
    assert [len(model.asked) for model in chain.models] == [1, 1, 0]
    assert chain.failures() == [1, 0, 0]
    await chain.sound()


async def test_the_other_fails_and_the_first_answers() -> None:
    chain = Chain([Model([[2.0, "first"]]), Model([[broken("b")]])])
    chain.usual(0, 0.5)
    assert (await chain.answer(), now()) == ("first", about(2.0))
    assert chain.failures() == [0, 1]
    await chain.sound()


async def test_there_is_nobody_beyond_the_chain_and_never_a_third_at_once() -> None:
    chain = Chain([Model([[20.0]]), Model([[20.0]]), Model([[20.0]])])
    for place in range(3):
        chain.usual(place, 0.5)
    asking = asyncio.create_task(chain.answer())
    for _ in range(200):
        await asyncio.sleep(0.1)
        assert sum(chain.router.health(route).active for route in chain.routes) <= 2
    with pytest.raises(ProviderError):
        await asking
    assert [len(model.asked) for model in chain.models] == [1, 1, 1]
    await chain.sound()


async def test_a_provider_that_became_slower_is_not_asked_twice_for_ever() -> None:
    """The one that lost was never seen to answer: its time, as far as it is known, must count, or all are asked twice."""
    chance = Random(1)
    slow = [[1.0 + chance.random() / 2, "a"] for _ in range(300)]
    chain = Chain([Model(slow), Model([[0.4, "b"]])])
    chain.usual(0, 0.4, 100)
    for _ in range(300):
        _ = await chain.answer()
    # At most one in ten of the last two hundred.
    assert sum(at >= chain.models[0].asked_at[100] for at in chain.models[1].asked_at) <= 20


# --- a route that does not let go ------------------------------------------------------------------------------------


async def test_one_that_does_not_let_go_holds_up_neither_its_successor_nor_the_winner() -> None:
    stuck = Model([["stuck"]])
    chain = Chain([stuck, Model([["second"]])])
    assert (await chain.answer(), now()) == ("second", about(3.0))
    stuck.free.set()
    await asyncio.sleep(0)

    hedged = Chain([Model([["stuck"]]), Model([[0.1, "second"]])])
    hedged.usual(0, 0.5)
    began_s = now()
    assert (await hedged.answer(), now() - began_s) == ("second", about(0.6))
    hedged.models[0].free.set()
    await asyncio.sleep(0.1)
    await hedged.sound()


async def test_an_only_one_that_does_not_let_go_fails_at_its_deadline() -> None:
    chain = Chain([Model([["stuck"]])])
    assert (await chain.fails()).code == "deadline"
    assert now() <= 8.0 + CLOSE_S
    chain.models[0].free.set()
    await asyncio.sleep(0.1)
    await chain.sound()


# --- leaving ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.5, 0.6, 0.8, 1.0, 3.0, 3.2, 3.4])
@pytest.mark.parametrize("hedges", [True, False])
async def test_cancelled_at_any_time_nothing_is_left_and_it_does_stop(after_s: float, hedges: bool) -> None:
    """Also in the very moment in which something comes: the cancellation must not be lost."""
    chain = Chain([Model([[3.0, "a", 0.2, "b", 100.0]]), Model([[0.5, broken("b")]])], hedges=hedges)
    chain.usual(0, 0.5)
    asking = asyncio.create_task(chain.answer())
    await asyncio.sleep(after_s)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (asking.cancelled(), now()) == (True, after_s)
    await chain.sound()


@pytest.mark.parametrize("steps", range(12))
@pytest.mark.parametrize("script", [["a"], [broken("a")], [0.0, "a"], []])
async def test_a_cancellation_at_any_step_is_not_lost(steps: int, script: list[Any]) -> None:
    chain = Chain([Model([[*script, 100.0]]), Model([[0.0, 0.0, "b", 100.0]])])
    asking = asyncio.create_task(chain.answer())
    for _ in range(steps):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking}, timeout=1.0)
    assert asking.cancelled()
    await chain.sound()


@pytest.mark.parametrize("taken", [0, 1, 2])
async def test_left_before_its_end_it_closes_the_stream(taken: int) -> None:
    chain = Chain([Model([["a", 0.1, "b", 0.1, "c", 100.0]])])
    answering = chain.router.ask(ASKED)
    async with aclosing(answering.deltas()) as deltas:
        for _ in range(taken):
            _ = await anext(deltas)
    await answering.close()
    await answering.close()
    await chain.sound()
    assert chain.failures() == [0]


# --- whatever happens ------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.sampled_from([0.0, 0.2, 1.0, 3.5, 9.0]),
        st.sampled_from(["", "x ", "y "]),
        st.sampled_from(["unavailable", "deadline", "unauthorized", "rate_limited"]).map(
            lambda code: broken("x", code, retryable=code != "unauthorized")
        ),
        st.just(Finished("stop")),
    ),
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(scripts=st.lists(STEPS, min_size=1, max_size=3), usual=st.booleans())
def test_whatever_the_models_do_there_is_one_answer_or_one_error_in_time(
    scripts: list[list[Any]], usual: bool
) -> None:
    async def run() -> None:
        chain = Chain([Model([script]) for script in scripts])
        if usual:
            for place in range(len(scripts)):
                chain.usual(place, 0.3)
        try:
            text = await chain.answer()
        except ProviderError:
            pass
        else:
            said = ["".join(item for item in script if isinstance(item, str)) for script in scripts]
            assert text in said or any(each.startswith(text) for each in said)
        assert now() <= 3.0 * (len(scripts) - 1) + 2 * 8.0 + 5 * 4.0
        await chain.sound()
        assert sum(len(model.asked) for model in chain.models) <= len(scripts) + 1

    run_virtual(run())


async def test_a_finished_answer_is_whole_although_its_stream_does_not_end() -> None:
    asked = ModelRouter([ModelRoute(Model([["Hello.", Finished("stop"), 1000.0]]))]).ask(LlmRequest(()))
    assert [delta async for delta in asked.deltas()] == [TextDelta("Hello."), Finished("stop")]
    assert now() <= END_S
    await asked.close()

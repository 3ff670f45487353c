from __future__ import annotations

import asyncio

import pytest

from aywa.api.health import DRAIN, LOOK_S, Readiness


class Dependency:
    """One that is well or not, as the test says."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.hangs = False

    async def check(self) -> str | None:
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if self.problem == "raises":
            raise OSError("postgresql://aywa:secret@db")
        return self.problem


def began(readiness: Readiness) -> dict[str, float]:
    return {name: state.since_s for name, state in readiness.states.items()}


@pytest.mark.virtual_time
async def test_each_dependency_says_since_when() -> None:
    loop = asyncio.get_running_loop()
    store, redis = Dependency(), Dependency()
    readiness = Readiness({"store": store.check, "redis": redis.check}, now=loop.time)
    start = loop.time()
    looking = loop.create_task(readiness.run())
    try:
        await asyncio.sleep(100)
        assert readiness.status == "ready"
        assert began(readiness) == {"store": start, "redis": start}
        store.problem = "no connection"
        await asyncio.sleep(LOOK_S)
        lost = began(readiness)["store"]
        assert 100 <= lost - start <= 100 + LOOK_S
        store.problem = "another reason"
        await asyncio.sleep(60)
        # Another reason for the same trouble; and the other dependency was always well.
        assert began(readiness) == {"store": lost, "redis": start}
        assert readiness.document()["checks"]["store"]["problem"] == "another reason"
        assert readiness.status == "not ready"
        store.problem = None
        await asyncio.sleep(LOOK_S)
        assert began(readiness)["store"] > lost + 60
        assert readiness.document()["since"] == readiness.document()["checks"]["store"]["since"]
    finally:
        looking.cancel()


@pytest.mark.virtual_time
async def test_what_hangs_or_breaks_is_not_ready_and_holds_nobody_up() -> None:
    store, redis = Dependency(), Dependency()
    store.hangs, redis.problem = True, "raises"
    readiness = Readiness({"store": store.check, "redis": redis.check}, timeout_s=2.0)
    before = asyncio.get_running_loop().time()
    states = await readiness.look()
    assert asyncio.get_running_loop().time() - before == pytest.approx(2.0)
    assert {name: state.problem for name, state in states.items()} == {
        "store": "no answer within 2 s",
        "redis": "OSError",
    }


async def test_draining_is_a_state_of_its_own() -> None:
    drain, store = Dependency(), Dependency()
    readiness = Readiness({DRAIN: drain.check, "store": store.check})
    await readiness.look()
    assert (readiness.status, readiness.ready) == ("ready", True)
    drain.problem = "draining since 12:00"
    store.problem = "gone"
    await readiness.look()
    assert (readiness.status, readiness.ready) == ("draining", False)


async def test_what_calls_do_not_need_is_shown_and_keeps_nobody_away() -> None:
    store, artifacts = Dependency(), Dependency()
    readiness = Readiness({"store": store.check, "artifacts": artifacts.check}, shown=("artifacts",))
    artifacts.problem = "the bucket is away; 3 uploads wait"
    await readiness.look()
    assert (readiness.status, readiness.ready) == ("ready", True)
    told = readiness.document()["checks"]["artifacts"]
    assert (told["ok"], told["needed"], told["problem"]) == (False, False, artifacts.problem)
    assert "needed" not in readiness.document()["checks"]["store"]
    store.problem = "away"
    await readiness.look()
    assert (readiness.status, readiness.ready) == ("not ready", False)

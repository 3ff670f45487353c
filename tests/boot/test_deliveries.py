from __future__ import annotations

import pytest

from aywa.boot.deliveries import WakingStore, allowed_from_environment, courier_limits_from_environment
from aywa.boot.errors import CannotStart
from aywa.ports.journal import StoreUnavailable
from tests.contracts.outbox import delivery


def test_nobody_internal_is_allowed_unless_the_runtime_is_on_this_machine_alone() -> None:
    here = allowed_from_environment(loopback=True, environment={})
    assert here.permits("127.0.0.1", 80)
    assert not here.permits("10.0.0.1", 80)
    assert not allowed_from_environment(loopback=False, environment={}).permits("127.0.0.1", 80)


def test_the_operators_list_takes_the_place_of_that() -> None:
    environment = {"RUNTIME_INTERNAL_ALLOW": "10.0.0.0/8, 192.168.0.5:8080"}
    allowed = allowed_from_environment(loopback=True, environment=environment)
    assert allowed.permits("10.1.1.1", 5)
    assert allowed.permits("192.168.0.5", 8080)
    assert not allowed.permits("127.0.0.1", 80)


def test_a_list_that_holds_no_networks_is_refused_by_its_name() -> None:
    with pytest.raises(CannotStart, match="RUNTIME_INTERNAL_ALLOW"):
        allowed_from_environment(loopback=True, environment={"RUNTIME_INTERNAL_ALLOW": "tools.internal"})


def test_the_couriers_limits() -> None:
    limits = courier_limits_from_environment({})
    assert (limits.in_flight, limits.per_endpoint, limits.keep_s) == (256, 16, 30 * 86_400)
    environment = {
        "RUNTIME_WEBHOOK_CONCURRENCY": "3",
        "RUNTIME_WEBHOOK_IN_FLIGHT": "9",
        "RUNTIME_WEBHOOK_KEEP_DAYS": "2",
    }
    limits = courier_limits_from_environment(environment)
    assert (limits.in_flight, limits.per_endpoint, limits.keep_s) == (9, 3, 2 * 86_400)


@pytest.mark.parametrize(
    "name", ["RUNTIME_WEBHOOK_CONCURRENCY", "RUNTIME_WEBHOOK_IN_FLIGHT", "RUNTIME_WEBHOOK_KEEP_DAYS"]
)
@pytest.mark.parametrize("value", ["0", "-1", "many", "99999999"])
def test_a_limit_that_is_none_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(CannotStart, match=name):
        courier_limits_from_environment({name: value})


async def test_only_what_was_written_wakes_the_courier() -> None:
    woken: list[int] = []

    class Store:
        gone = False

        async def apply(self, *_batch: object) -> None:
            if self.gone:
                raise StoreUnavailable("gone")

        async def events(self, *_asked: object) -> list[object]:
            return ["event"]

        async def unended(self) -> list[tuple[str, str]]:
            return [("call", "org")]

    store = Store()
    waking = WakingStore(store, lambda: woken.append(1))  # type: ignore[arg-type]
    await waking.apply([], [])
    assert woken == []
    await waking.apply([], [], [delivery("a")])
    assert woken == [1]
    store.gone = True
    with pytest.raises(StoreUnavailable):
        await waking.apply([], [], [delivery("a")])
    assert woken == [1]
    assert (len(await waking.events(None, "x")), await waking.unended()) == (1, [("call", "org")])

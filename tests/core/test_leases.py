from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.core.leases import Fence, LeaseTimes, OwnLease, Peers, Standing, admits

TIMES = LeaseTimes(8.0)


def test_what_follows_from_how_long_a_node_may_be_silent() -> None:
    assert (TIMES.beat_s, TIMES.lease_s, TIMES.sight_s) == (1, 3, 3)
    # Who is heard of once a beat is never near being taken for dead.
    assert TIMES.beat_s < TIMES.lease_s < TIMES.dead_s


def test_a_row_takes_its_owner_s_writes_and_nobody_else_s() -> None:
    assert admits(None, 0, Fence("a", 1))
    assert admits("a", 4, Fence("a", 4))
    assert admits("a", 4, Fence("a", 9))
    assert not admits("a", 4, Fence("b", 9))


def test_what_was_written_before_a_call_came_back_is_late_all_the_same() -> None:
    assert not admits("a", 4, Fence("a", 3))


def test_a_lease_lapses_when_nobody_has_heard_of_us() -> None:
    own = OwnLease(TIMES)
    assert own.standing(0) is Standing.LAPSED
    own.heard(10)
    own.heard(9)
    assert own.standing(17.9) is Standing.HELD
    assert own.standing(18) is Standing.LAPSED
    own.heard(18)
    assert own.standing(18) is Standing.HELD
    own.usurped()
    own.heard(20)
    assert own.standing(20) is Standing.USURPED


def looks(peers: Peers, beats: Iterable[object], leased: object, first_s: float = 0.0) -> list[object]:
    """One look a second; what each answers."""
    return [peers.look(one, leased, first_s + at) for at, one in enumerate(beats)]  # type: ignore[arg-type]


def test_a_node_is_dead_when_both_witnesses_were_silent_for_long_enough() -> None:
    peers = Peers("a", TIMES)
    told = looks(peers, [{"a": 1, "b": 7}] * 10, ())
    assert told == [[]] * 8 + [[("b", 7)]] * 2
    assert peers.silent_s(9) == {"b": 9}


def test_a_beat_alone_or_a_lease_alone_keeps_it_alive() -> None:
    assert looks(Peers("a", TIMES), [{"b": beat} for beat in range(30)], ()) == [[]] * 30
    assert looks(Peers("a", TIMES), [{"b": 7}] * 30, ("b",)) == [[]] * 30


def test_nobody_dies_while_a_witness_cannot_be_asked() -> None:
    peers = Peers("a", TIMES)
    assert looks(peers, [{"b": 7}] * 30, None) == [[]] * 30
    assert looks(peers, [None] * 30, (), 30) == [[]] * 30
    # And then not at once either: perhaps it could not be told either.
    assert looks(peers, [{"b": 7}] * 8, (), 60) == [[]] * 7 + [[("b", 7)]]


def test_who_was_stopped_himself_has_seen_nothing() -> None:
    peers = Peers("a", TIMES)
    assert looks(peers, [{"b": 7}] * 7, ()) == [[]] * 7
    assert peers.look({"b": 7}, (), 100) == []
    assert peers.look({"b": 7}, (), 103) == []
    assert peers.look({"b": 7}, (), 106) == []
    assert peers.look({"b": 7}, (), 108) == [("b", 7)]


def test_who_has_left_is_forgotten() -> None:
    peers = Peers("a", TIMES)
    assert looks(peers, [{"b": 7}, {}, *[{"b": 7}] * 8], ()) == [[]] * 10
    assert peers.look({"b": 7}, (), 10) == [("b", 7)]


class World:
    """A node that shows itself, and one that looks, once a beat each. Either witness can be out of either's reach."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = 0.0
        self.beat = 0
        self.lease_until_s = 0.0
        self.own = OwnLease(TIMES)
        self.peers = Peers("a", TIMES)

    def show(self, database: bool, leases: bool) -> None:
        if database:
            self.beat += 1
            self.own.heard(self.now)
        if leases:
            self.lease_until_s = self.now + TIMES.lease_s
            self.own.heard(self.now)

    def look(self, database: bool, leases: bool) -> bool:
        leased = ("b",) if self.lease_until_s > self.now else ()
        return bool(
            self.peers.look({"b": self.beat} if database else None, leased if leases else None, self.now)
        )


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_who_is_declared_dead_knew_that_he_might_be(random: Random, reachable: float, running: float) -> None:
    """Whatever can be reached and whoever is stopped, at any time: nobody is declared dead who still holds his lease."""
    world = World(random)
    chance: Callable[[float], bool] = lambda share: random.random() < share  # noqa: E731
    for _ in range(80):
        world.now += random.choice((0.1, 1.0, 1.0, 2.0, 20.0))
        if chance(running):
            world.show(chance(reachable), chance(reachable))
        if chance(0.8) and world.look(chance(0.9), chance(0.9)):
            assert world.own.standing(world.now) is Standing.LAPSED


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 20))
def test_who_is_gone_is_found_out_in_time(last_look: int) -> None:
    world = World(Random(last_look))
    died_s = 0.0
    while True:
        world.now += TIMES.beat_s
        if world.now <= last_look:
            world.show(True, True)
            died_s = world.now
        if world.look(True, True):
            break
    assert world.now - died_s <= TIMES.lease_s + TIMES.dead_s + 2 * TIMES.beat_s

"""How many connections are made ahead of need, and when none is."""

from __future__ import annotations

from aywa.adapters.wire.reserve import (
    AGAIN_MOST_S,
    AGAIN_S,
    PEAK_S,
    SPARE_LEAST,
    SPARE_MOST,
    SPARE_SHARE,
    Reserve,
)


def test_what_nobody_uses_lacks_nothing() -> None:
    reserve = Reserve()
    assert (reserve.lacking(0, 0.0), reserve.spare(0.0)) == (0, 0)
    reserve.used(1, 0.0)
    assert reserve.lacking(0, PEAK_S) == 1 + SPARE_LEAST
    assert reserve.lacking(0, PEAK_S + 1) == 0


def test_what_will_soon_be_used_is_made_ready() -> None:
    reserve = Reserve()
    reserve.used(0, 0.0)
    assert reserve.lacking(0, 1.0) == SPARE_LEAST
    more = Reserve(least=7)
    more.used(0, 0.0)
    assert more.lacking(0, 1.0) == 7


def test_there_are_places_for_the_most_of_late_and_some_more() -> None:
    reserve = Reserve()
    for now, used in enumerate((1, 50, 3, 20, 20, 1)):
        reserve.used(used, float(now))
    assert reserve.most(5.0) == 50
    assert reserve.lacking(50, 5.0) == round(50 * SPARE_SHARE)
    assert reserve.lacking(50 + round(50 * SPARE_SHARE), 5.0) == 0
    # Each is forgotten in its turn.
    assert [reserve.most(PEAK_S + now) for now in (1.0, 1.5, 4.0, 4.5, 5.5)] == [50, 20, 20, 1, 0]


def test_no_more_than_so_many_are_spare() -> None:
    reserve = Reserve()
    reserve.used(10_000, 0.0)
    assert reserve.lacking(10_000, 0.0) == SPARE_MOST


def test_a_connection_is_too_many_when_the_others_are_enough() -> None:
    reserve = Reserve()
    reserve.used(5, 0.0)
    enough = 5 + SPARE_LEAST
    assert not reserve.has_too_many(enough, 1, 0.0)
    assert reserve.has_too_many(enough + 1, 1, 0.0)
    assert not reserve.has_too_many(enough + 4, 5, 0.0)
    assert reserve.has_too_many(enough + 5, 5, 0.0)


def test_a_far_side_that_keeps_none_is_asked_more_and_more_seldom() -> None:
    reserve = Reserve()
    now, waits = 0.0, []
    for _ in range(9):
        reserve.used(1, now)
        waits.append(reserve.put_off(now))
        # Several that are lost at once count once.
        assert reserve.put_off(now) == waits[-1]
        assert reserve.lacking(0, now + waits[-1] - 0.5) == 0
        now += waits[-1]
        assert reserve.lacking(0, now) == 1 + SPARE_LEAST
    assert waits == [AGAIN_S, 2.0, 4.0, 8.0, 16.0, 32.0, AGAIN_MOST_S, AGAIN_MOST_S, AGAIN_MOST_S]
    reserve.served()
    assert reserve.put_off(now) == AGAIN_S

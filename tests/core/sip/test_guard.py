"""The guard: strangers that flood or guess are not heard, memory is bounded, nobody else is harmed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.guard import (
    BAN_MAX_S,
    BAN_S,
    BURST,
    FORGOTTEN_S,
    RATE_PER_S,
    TOTAL_BURST,
    TRUSTED_S,
    Fault,
    Guard,
    is_scanner,
    networks,
    within,
)
from tests.core.feed import examples

STRANGER = "203.0.113.7"


def test_a_flood_is_banned_and_heard_again_later() -> None:
    guard = Guard()
    heard = [guard.hears(STRANGER, 0.0)[0] for _ in range(int(BURST) + 5)]
    assert heard.count(True) == BURST
    assert guard.dropped == 5
    assert [ban.address for ban in guard.bans(0.0)] == [STRANGER]
    assert guard.blame(STRANGER, Fault.SCANNER, 1.0) is None
    assert guard.hears("203.0.113.8", 1.0) == (True, None)
    assert guard.hears(STRANGER, BAN_S)[0]
    assert guard.bans(BAN_S) == ()


def test_who_comes_at_the_allowed_rate_is_always_heard() -> None:
    guard = Guard()
    assert all(guard.hears(STRANGER, number / RATE_PER_S)[0] for number in range(500))


def test_guessing_is_banned_sooner_than_ill_luck() -> None:
    guard = Guard()
    bans = [guard.blame(STRANGER, Fault.WRONG_PASSWORD, float(number)) for number in range(10)]
    ban = next(each for each in bans if each)
    assert bans.index(ban) <= 5
    assert ban.why == "wrong_password"
    slow = Guard()
    assert all(
        slow.blame(STRANGER, Fault.WRONG_PASSWORD, number * FORGOTTEN_S) is None for number in range(50)
    )


def test_bans_grow_and_end() -> None:
    guard = Guard()
    now = 0.0
    lengths = []
    for _ in range(10):
        ban = guard.blame(STRANGER, Fault.SCANNER, now)
        assert ban is not None
        lengths.append(ban.until_s - now)
        now = ban.until_s
    assert lengths[:3] == [BAN_S, 2 * BAN_S, 4 * BAN_S]
    assert lengths[-1] == BAN_MAX_S


def test_exempt_networks_are_never_refused() -> None:
    guard = Guard(("10.0.0.0/8", "::1"))
    for address in ("10.1.2.3", "::1", "::ffff:10.1.2.3"):
        assert guard.exempts(address)
        assert guard.blame(address, Fault.SCANNER, 0.0) is None
        assert all(guard.hears(address, 0.0)[0] for _ in range(1000))
        guard.trust(address, 0.0)
    assert len(guard) == 0
    guard.set_exempt(())
    assert not guard.exempts("10.1.2.3")


def test_trust_takes_a_ban_away_and_lasts_a_while() -> None:
    guard = Guard()
    assert guard.blame(STRANGER, Fault.SCANNER, 0.0)
    guard.trust(STRANGER, 1.0)
    assert all(guard.hears(STRANGER, 1.0)[0] for _ in range(10 * int(BURST)))
    late = TRUSTED_S + 10
    heard = [guard.hears(STRANGER, late)[0] for _ in range(int(BURST) + 1)]
    assert heard.count(False) == 1


def test_all_strangers_together_get_so_much_and_no_more() -> None:
    guard = Guard()
    heard = [guard.hears(f"203.0.{number // 250}.{number % 250}", 0.0)[0] for number in range(1000)]
    assert heard.count(True) == TOTAL_BURST
    assert guard.bans(0.0) == ()


def test_memory_is_bounded_and_bans_outlive_a_spoofed_crowd() -> None:
    guard = Guard(kept=50)
    assert guard.blame(STRANGER, Fault.SCANNER, 0.0)
    for number in range(500):
        guard.hears(f"198.51.{number // 250}.{number % 250}", 1.0)
    assert len(guard) == 50
    assert [ban.address for ban in guard.bans(1.0)] == [STRANGER]
    crowd = Guard(kept=20)
    for number in range(100):
        crowd.blame(f"198.51.100.{number}", Fault.SCANNER, 0.0)
    assert len(crowd) == 20


@pytest.mark.parametrize(
    ("name", "scans"),
    [("friendly-scanner", True), ("SIPVicious 0.3", True), ("Yealink T46", False), ("", False)],
)
def test_names_of_scanners(name: str, scans: bool) -> None:
    assert is_scanner(name) is scans


def test_networks() -> None:
    assert within("192.0.2.7", networks(("192.0.2.7",)))
    assert not within("nonsense", networks(("0.0.0.0/0",)))
    assert not within("2001:db8::1", networks(("0.0.0.0/0",)))


STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.floats(0, 30), st.sampled_from((None, *Fault))), min_size=1, max_size=60
)


@examples(200)
@given(STEPS)
def test_whatever_happens_the_exempt_are_heard_bans_end_and_memory_is_bounded(
    steps: list[tuple[int, float, Fault | None]],
) -> None:
    guard = Guard(("10.0.0.0/8",), kept=5)
    now = 0.0
    for number, passed_s, fault in steps:
        now += passed_s
        address = f"203.0.113.{number}"
        banned = {ban.address for ban in guard.bans(now)}
        if fault is None:
            heard, _ = guard.hears(address, now)
            assert not (heard and address in banned)
        else:
            ban = guard.blame(address, fault, now)
            assert ban is None or now < ban.until_s <= now + BAN_MAX_S
        assert guard.hears("10.0.0.1", now) == (True, None)
        assert len(guard) <= 5
    assert guard.bans(now + BAN_MAX_S) == ()

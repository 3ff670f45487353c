"""Session timers by themselves; what they do to a call is tested with changes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.session_timer import INTERVAL_S, LEAST_S, RETRY_S, Asked, SessionTimer, read
from tests.core.feed import examples


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("1800;refresher=UAS", Asked(1800, "uas")),
        ("90", Asked(90)),
        ("90;refresher=both", Asked(90)),
        ("0", None),
        ("x", None),
        ('90;a="', None),
        ("", None),
        (None, None),
    ],
)
def test_what_is_read(text: str | None, asked: Asked | None) -> None:
    assert read(text) == asked


def test_what_is_written() -> None:
    assert str(Asked(90)) == "90"
    assert str(Asked(90, "uac")) == "90;refresher=uac"


def test_asked_and_granted() -> None:
    timer = SessionTimer()
    assert timer.asked == Asked(INTERVAL_S)
    timer.granted("600;refresher=uac", 10.0)
    assert (timer.refresh_at, timer.gone_at) == (310.0, 10 + 600 - 32)
    assert timer.asked == Asked(600, "uac")
    timer.granted("600;refresher=uas", 10.0)
    assert timer.refresh_at is None
    assert timer.asked == Asked(600, "uas")
    timer.granted(None, 20.0)
    assert timer.gone_at is None
    timer.granted("10", 20.0)
    assert timer.gone_at == 20 + LEAST_S - LEAST_S / 3


def test_without_a_wish_of_ours() -> None:
    timer = SessionTimer(0)
    assert timer.asked is None
    assert not timer.too_small("1000")
    assert timer.grant(None, supported=True, now=0.0) is None


def test_a_longer_interval() -> None:
    timer = SessionTimer(100)
    assert not timer.too_small("100")
    assert not timer.too_small(None)
    assert timer.too_small("200")
    assert (timer.asked, timer.least_s) == (Asked(200), 200)
    timer.granted("200;refresher=uac", 0.0)
    assert timer.too_small("300")
    assert timer.asked == Asked(300, "uac")


def test_who_asks_for_too_little() -> None:
    timer = SessionTimer(least_s=100)
    assert timer.refuses("99", supported=True)
    assert not timer.refuses("99", supported=False)
    assert not timer.refuses("100", supported=True)
    assert not timer.refuses(None, supported=True)
    assert timer.grant("99", supported=False, now=0.0) == Asked(100, "uas")
    assert timer.refreshes


def test_a_refusal_puts_the_refresh_off() -> None:
    timer = SessionTimer()
    timer.postpone(0.0)
    assert timer.refresh_at is None
    timer.granted("300;refresher=uac", 0.0)
    timer.postpone(168.0)
    assert timer.refresh_at == 168 + 50
    timer.postpone(267.0)
    assert timer.refresh_at == 267 + RETRY_S
    timer.granted("300;refresher=uac", 300.0)
    assert timer.refresh_at == 450


@examples(200)
@given(
    st.integers(0, 5000),
    st.integers(0, 5000),
    st.booleans(),
    st.sampled_from(("", ";refresher=uac", ";refresher=uas")),
)
def test_both_sides_count_alike_and_one_refreshes(
    wanted_s: int, said_s: int, supported: bool, refresher: str
) -> None:
    callee, caller = SessionTimer(wanted_s), SessionTimer(said_s)
    asked = f"{said_s}{refresher}" if said_s else None
    granted = callee.grant(asked, supported=supported, now=0.0)
    caller.granted(str(granted) if granted else None, 0.0)
    assert caller.interval_s == callee.interval_s
    assert caller.gone_at == callee.gone_at
    if granted is not None:
        assert caller.refreshes is not callee.refreshes
        refresh_at = caller.refresh_at if caller.refreshes else callee.refresh_at
        assert refresh_at is not None
        assert callee.gone_at is not None
        assert refresh_at < callee.gone_at
    again = SessionTimer.from_dict(json.loads(json.dumps(callee.to_dict(7.0))), 107.0)
    assert again.interval_s == callee.interval_s
    if callee.gone_at is not None:
        assert again.gone_at == callee.gone_at + 100.0

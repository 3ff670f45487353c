"""What a call is scored, and which promises it broke."""

from __future__ import annotations

from aywa.testing.scorecard import Bounds, score
from aywa.testing.truth import Verdict
from aywa.testing.wire import Kind, Record
from tests.testing.test_wire import Call, near


def good() -> Record:
    """A greeting, an answer with a "mhm" under it, and one that is talked down."""
    call = Call(closed_s=12.0).hears(0.5, 1.0).says(2.0, 3.0).hears(3.6, 5.0).says(4.0, 4.3, Kind.BACKCHANNEL)
    return call.says(4.9, 5.9, Kind.BARGE_IN).hears(6.5, 7.0).record


def test_a_good_call_breaks_nothing() -> None:
    card = score([good()], [Verdict("a b", "a b", 0)])
    assert (card.asked, card.turns) == (2, 2)
    assert card.latencies_ms == near((600, 600))
    assert (card.latency_ms(50), card.stop_ms(95)) == near((600, 100))
    assert card.broken(Bounds()) == []


def test_calls_are_scored_together() -> None:
    card = score([good(), good()])
    assert (card.turns, len(card.stops_ms)) == (4, 2)


def test_nothing_measured_is_nothing_kept() -> None:
    card = score([])
    assert (card.turns, card.latency_ms(95), card.stop_ms(95)) == (0, None, None)
    assert card.broken(Bounds()) == []


def test_every_broken_promise_is_named() -> None:
    call = Call(closed_s=30.0).says(4.0, 5.0, label="cut").hears(4.5, 4.7).hears(7.0, 9.0)
    call.says(8.0, 8.2, Kind.BACKCHANNEL).event(8.1, type="user-interrupted").hears(9.5, 12.0)
    call.says(11.0, 11.5, Kind.BARGE_IN)
    call.record.missed.append("mhm")
    card = score([call.record], [Verdict("a b c d", "a", 3), Verdict("x", "", 1)])
    assert card.broken(Bounds()) == [
        "1 of 2 utterances got no answer",
        "voice to voice p95 2000 ms > 1500",
        "barge-in stopped after 1000 ms > 250",
        "the caller was cut off once",
        "the line was silent for more than 3 s 2 times",
        "the history differs from what was heard once",
        "a backchannel took the floor once",
        "no reply was long enough to speak into: mhm",
    ]


def test_underruns_and_the_callers_own_lateness_are_told() -> None:
    call = Call().hears(1.0, 1.98).hears(2.1, 3.0).says(8.0, 9.0)
    call.record.sent[-1] = call.record.sent[-1].__class__(9.05, b"", True, 0)
    card = score([call.record])
    assert (card.underruns, card.underrun_ms) == (1, near(100))
    assert card.caller_late_ms == near(50)

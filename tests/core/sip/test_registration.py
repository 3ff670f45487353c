"""A registration by itself: made, kept, refused, tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.events import Registered, RegistrationFailed
from aywa.core.sip.registration import EXPIRES_MAX_S, RETRY_MAX_S, RETRY_S, Registrar, Registration
from tests.core.feed import examples
from tests.core.sip.lines import StubWire


def made(expires_s: int = 600) -> tuple[Registration, StubWire]:
    wire = StubWire()
    registrar = Registrar("t", "sip:acme@carrier.example", "sip:carrier.example", ("sip:gw",), expires_s)
    registration = Registration(registrar, wire)
    registration.wake()
    return registration, wire


OURS = "<sip:aywa@192.0.2.1:5060>"


def test_what_is_asked() -> None:
    registration, wire = made()
    request = wire.asked[0].request
    assert (request.method, request.uri) == ("REGISTER", "sip:carrier.example")
    assert request.headers.get("to") == "<sip:acme@carrier.example>"
    assert request.headers.get("expires") == "600"
    assert (wire.asked[0].account, wire.asked[0].hop.uris) == ("t", ("sip:gw",))
    assert registration.deadline is None
    registration.wake()
    assert len(wire.asked) == 1


@pytest.mark.parametrize(
    ("fields", "granted_s", "again_s"),
    [
        ((), 600, 570),
        ((("Expires", "100"),), 100, 80),
        (
            (("Expires", "100"), ("Contact", f"<sip:other@192.0.2.5>;expires=7, {OURS};expires=3600")),
            3600,
            3570,
        ),
        ((("Contact", f"{OURS}"), ("Expires", "60")), 60, 48),
        ((("Contact", "<sip:other@192.0.2.5>;expires=7"),), 600, 570),
        ((("Contact", "<nonsense>"), ("Expires", "60")), 60, 48),
        ((("Expires", "9999999999"),), EXPIRES_MAX_S, EXPIRES_MAX_S - 30),
        ((("Expires", "0"),), 0, 1),
    ],
)
def test_how_long_it_holds(fields: tuple[tuple[str, str], ...], granted_s: int, again_s: int) -> None:
    registration, wire = made()
    wire.answer(100)
    wire.answer(200, *fields)
    assert wire.events == [Registered("t", granted_s)]
    assert registration.deadline == again_s
    assert registration.registered
    wire.time = float(again_s)
    registration.wake()
    assert [ask.request.cseq.number for ask in wire.asked] == [1, 2]
    assert wire.asked[0].request.call_id == wire.asked[1].request.call_id


def test_an_interval_that_is_too_brief() -> None:
    registration, wire = made()
    wire.answer(423, ("Min-Expires", "900"))
    assert wire.asked[-1].request.headers.get("expires") == "900"
    wire.answer(423, ("Min-Expires", "1000"))
    wire.answer(423, ("Min-Expires", "2000"))
    assert [type(event) for event in wire.events] == [RegistrationFailed]
    registration, wire = made()
    wire.answer(423, ("Min-Expires", "10"))
    assert registration.deadline is not None


def test_what_only_a_person_can_mend() -> None:
    registration, wire = made()
    wire.answer(403)
    assert wire.events == [RegistrationFailed("t", 403, "Forbidden", None)]
    assert registration.deadline is None


def test_failures_in_a_row_are_tried_again_ever_later() -> None:
    registration, wire = made()
    pauses = []
    for _ in range(12):
        wire.fail("timeout")
        failed = wire.events[-1]
        assert isinstance(failed, RegistrationFailed)
        assert failed.status == 408
        assert failed.retry_s is not None
        pauses.append(failed.retry_s)
        assert registration.deadline == wire.time + failed.retry_s
        wire.time = registration.deadline
        registration.wake()
    assert RETRY_S <= pauses[0] < RETRY_S * 1.25
    assert RETRY_MAX_S <= pauses[-1] < RETRY_MAX_S * 1.25
    wire.fail("transport")
    assert isinstance(wire.events[-1], RegistrationFailed)
    assert wire.events[-1].status == 503


def test_a_registrar_may_say_when() -> None:
    _, wire = made()
    wire.answer(503, ("Retry-After", "120"))
    failed = wire.events[-1]
    assert isinstance(failed, RegistrationFailed)
    assert failed.retry_s is not None
    assert 120 <= failed.retry_s < 150


def test_a_refusal_later_leaves_what_holds() -> None:
    registration, wire = made()
    wire.answer(200)
    wire.time = 570.0
    registration.wake()
    wire.fail("timeout")
    assert registration.registered
    wire.time = 700.0
    registration.wake()
    wire.fail("timeout")
    assert not registration.registered


def test_taken_away() -> None:
    registration, wire = made()
    wire.answer(200)
    registration.stop()
    assert wire.asked[-1].request.headers.get("expires") == "0"
    wire.answer(200)
    wire.fail("timeout")
    assert registration.deadline is None
    assert len(wire.events) == 1
    registration.stop()
    assert len(wire.asked) == 2
    registration, wire = made()
    registration.stop()
    wire.answer(200)
    wire.fail("timeout")
    assert wire.events == []


@examples(150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((100, 200, 401, 403, 423, 503, 0)), st.integers(0, 5000), st.floats(0, 900)
        ),
        max_size=15,
    )
)
def test_whatever_is_answered_one_request_runs_at_a_time_and_it_never_gives_up_by_itself(
    steps: list[tuple[int, int, float]],
) -> None:
    registration, wire = made()
    open_ = 1
    for status, number, passed_s in steps:
        if open_ and status == 0:
            wire.fail("timeout")
        elif open_:
            wire.answer(status, ("Min-Expires", str(number)), ("Expires", str(number)))
        wire.time += passed_s
        before = len(wire.asked)
        registration.wake()
        assert len(wire.asked) - before <= 1
        last = wire.events[-1] if wire.events else None
        open_ = int(
            registration.deadline is None
            and not (isinstance(last, RegistrationFailed) and last.retry_s is None)
        )
        if not open_:
            assert registration.deadline is not None or isinstance(last, RegistrationFailed)

"""A trunk's gateways and what they answer."""

from __future__ import annotations

from aywa.core.sip.events import TrunkDown, TrunkUp
from aywa.core.sip.message import respond_to
from aywa.core.sip.trunk import PING_LEAST_S, Gateway, Trunk, TrunkWatch
from tests.core.sip.lines import FLOW, StubWire, asked


def made(**values: object) -> tuple[TrunkWatch, StubWire]:
    wire = StubWire()
    gateways = (
        Gateway("192.0.2.9", 5060),
        Gateway("gw.example", None, "tls"),
        Gateway("192.0.2.8", outbound=False),
    )
    return TrunkWatch(Trunk("t", gateways, **values), wire), wire  # type: ignore[arg-type]


def test_addresses() -> None:
    trunk = Trunk("t", (Gateway("2001:db8::1"),), password="hidden")
    assert trunk.address("+49 30") == "sip:+49%2030@[2001:db8::1]"
    assert trunk.address("") == "sip:[2001:db8::1]"
    assert Trunk("t").address("1") == "sip:1@invalid"
    assert Trunk("t", domain="d.example").host == "d.example"
    assert "hidden" not in repr(trunk)


def test_where_calls_go() -> None:
    watch, _ = made()
    assert watch.hop().uris == ("sip:192.0.2.9:5060;transport=udp;lr", "sip:gw.example;transport=tls;lr")
    assert Gateway("h", 1, "").uri == "sip:h:1;lr"
    assert watch.deadline is None
    watch.wake()
    watch.stop()


def test_where_calls_come_from() -> None:
    watch, _ = made(networks=("192.0.2.0/28",))
    assert watch.sends("192.0.2.9")
    assert not watch.sends("192.0.2.99")


def test_what_answers_is_up_and_comes_first() -> None:
    watch, wire = made(ping_s=1.0)
    watch.wake()
    assert len(wire.asked) == 3
    assert wire.asked[0].next_cseq() == 2
    watch.wake()
    assert watch.deadline == PING_LEAST_S
    answer(wire, 0, 100)
    assert wire.events == []
    answer(wire, 0, 503)
    wire.asked[2].failed("timeout")
    assert wire.events == []
    answer(wire, 1, 405)
    assert wire.events == [TrunkUp("t")]
    assert watch.hop().uris[0] == "sip:gw.example;transport=tls;lr"
    wire.time = PING_LEAST_S
    watch.wake()
    assert len(wire.asked) == 6
    wire.time = 2 * PING_LEAST_S
    # Nobody is asked again who has not answered.
    watch.wake()
    assert len(wire.asked) == 6
    for ask in wire.asked[3:]:
        ask.failed("timeout")
    assert wire.events[-1] == TrunkDown("t", "timeout")
    assert len(wire.events) == 2
    watch.stop()
    assert watch.deadline is None


def answer(wire: StubWire, number: int, status: int) -> None:
    request = asked("OPTIONS")
    wire.asked[number].answered(respond_to(request, status), FLOW)


def test_with_a_registration() -> None:
    watch, wire = made(register=True, username="acme", domain="d.example")
    watch.wake()
    assert wire.asked[0].request.uri == "sip:d.example"
    assert wire.asked[0].request.from_address.uri == "sip:acme@d.example"
    wire.answer(200)
    assert watch.deadline == 570
    watch.stop()
    assert wire.asked[-1].request.headers.get("expires") == "0"


def test_who_we_are_there_may_be_another_than_the_password_s() -> None:
    assert Trunk("t", username="auth").own == "auth"
    assert Trunk("t", username="auth", user="line1").own == "line1"

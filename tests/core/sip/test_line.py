"""What the parts of a call share."""

from __future__ import annotations

import pytest

from aywa.core.sip.dialog import Dialog
from aywa.core.sip.events import Ended, MediaChanged
from aywa.core.sip.flow import Flow
from aywa.core.sip.line import Line, fields_of, has_sdp, unconcerned
from aywa.core.sip.message import respond_to
from aywa.core.sip.offer import Negotiation
from aywa.core.sip.session_timer import SessionTimer
from tests.core.sip.lines import FLOW, StubWire, asked
from tests.core.sip.network import OFFER, media

ROUTED = ("Record-Route", "<sip:p;lr>")


def made(*fields: tuple[str, str], flow: Flow = FLOW) -> tuple[Line, StubWire]:
    wire = StubWire()
    line = Line("k", wire, SessionTimer())
    request = asked("INVITE", *fields)
    line.dialog = Dialog.of_callee(request, "t1")
    line.learn(request, flow)
    return line, wire


TCP = Flow("tcp", ("192.0.2.1", 5060), ("192.0.2.9", 40_000), "c7")
PUBLIC = Flow("udp", ("192.0.2.1", 5060), ("8.8.8.8", 5060))


@pytest.mark.parametrize(
    ("contact", "flow", "direct"),
    [
        ("<sip:x@192.0.2.9>", FLOW, False),
        ("<sip:x@192.0.2.9>", TCP, True),
        ("<sip:x@10.0.0.5>", PUBLIC, True),
        ("<sip:x@0.0.0.0>", PUBLIC, True),
        ("<sip:x@8.8.4.4>", PUBLIC, False),
        ("<sip:x@host.example>", PUBLIC, False),
        ("<tel:1>", PUBLIC, False),
    ],
)
def test_which_way_requests_go(contact: str, flow: Flow, direct: bool) -> None:
    line, _ = made(("Contact", contact), flow=flow)
    assert line.hop.flow == (flow if direct else None)
    assert line.hop.uris == (contact.strip("<>"),)


def test_behind_nat_a_route_still_counts() -> None:
    line, _ = made(("Contact", "<sip:x@10.0.0.5>"), ROUTED, flow=PUBLIC)
    assert line.hop.flow is None
    assert line.hop.uris == ("sip:p;lr",)


def test_before_there_is_a_dialog() -> None:
    wire = StubWire()
    line = Line("k", wire, SessionTimer())
    assert line.hop.uris == ()
    request = asked("INVITE")
    line.ask(request, unconcerned, unconcerned)
    assert wire.asked[0].next_cseq() == 2
    line.answer("t", request, 486)
    assert wire.responded == [("t", 486)]
    assert line.plan is None
    line.media_changed()
    line.hang_up_for(488, "x")
    assert [type(event) for event in wire.events] == [Ended]
    line.hang_up_for(488, "x")
    assert len(wire.asked) == len(wire.events) == 1


def test_this_side_cannot_go_on() -> None:
    line, wire = made()
    line.hang_up_for(488, "x")
    assert wire.asked[0].request.method == "BYE"
    assert wire.asked[0].request.headers.get("reason") == 'SIP;cause=488;text="x"'
    assert [type(event) for event in wire.events] == [Ended]
    answer = line.answer("t", asked("INFO"), 200, body=b"sdp")
    assert answer.headers.get("content-type") == "application/sdp"
    trying = asked("INVITE")
    assert line.answer("t", trying, 100).to_address.tag is None


def test_an_answer_says_nothing_of_abilities_unless_it_does() -> None:
    line, _ = made(("Supported", "timer"))
    line.learn(respond_to(asked("INVITE"), 200), FLOW)
    assert line.supported == {"timer"}


def test_the_far_side_s_abilities() -> None:
    line, _ = made(("Allow", "INVITE, Update"), ("Supported", "timer"))
    assert "update" in line.allowed
    assert line.supported == {"timer"}
    line.learn(asked("INFO"), FLOW)
    assert "update" in line.allowed
    assert line.supported == frozenset()
    assert line.contact_field() == ("Contact", "<sip:aywa@192.0.2.1:5060>")


def test_media_is_told_while_the_call_is_up() -> None:
    line, wire = made()
    line.negotiation = Negotiation(media(), wire.token)
    line.media_changed()
    line.negotiation.answer(OFFER)
    line.media_changed()
    line.end("local", 200, "x")
    line.end("local", 200, "x")
    line.media_changed()
    assert [type(event) for event in wire.events] == [MediaChanged, Ended]


def test_what_is_a_description_and_what_is_of_interest() -> None:
    request = asked("INVITE", ("X-A", "1"), ("Content-Type", "text/plain"))
    assert not has_sdp(request)
    request.body = OFFER
    assert not has_sdp(request)
    request.headers.set("Content-Type", "Application/SDP; x=y")
    assert has_sdp(request)
    request.headers.remove("Content-Type")
    assert has_sdp(request)
    assert fields_of(request) == (("X-A", "1"),)

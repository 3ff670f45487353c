"""Dialogs: routes, numbers and tags, as RFC 3261 12 has them."""

from __future__ import annotations

import json

import pytest

from aywa.core.sip.dialog import MOST_ROUTES, Dialog
from aywa.core.sip.fields import CSEQ_MAX
from aywa.core.sip.message import Request, respond_to


def invite(*fields: tuple[str, str]) -> Request:
    return Request(
        "INVITE",
        "sip:bob@b.example",
        (
            ("Via", "SIP/2.0/UDP a.example;branch=z9hG4bK1"),
            ("From", "Alice <sip:alice@a.example>;tag=a1"),
            ("To", "<sip:bob@b.example>"),
            ("Call-ID", "c1"),
            ("CSeq", "7 INVITE"),
            ("Contact", "<sip:alice@192.0.2.1>"),
            *fields,
        ),
    )


ROUTES = (("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"), ("Record-Route", "<sip:p3;lr>"))


def both(*fields: tuple[str, str], contact: str = "<sip:bob@192.0.2.2>") -> tuple[Dialog, Dialog]:
    request = invite(*fields)
    callee = Dialog.of_callee(request, "b1")
    headers = (("Contact", contact), *fields) if contact else fields
    return Dialog.of_caller(request, respond_to(request, 200, tag="b1", headers=headers)), callee


def test_both_ends_mirror_each_other() -> None:
    caller, callee = both(*ROUTES)
    assert (caller.local_tag, caller.remote_tag) == (callee.remote_tag, callee.local_tag) == ("a1", "b1")
    assert (caller.target, callee.target) == ("sip:bob@192.0.2.2", "sip:alice@192.0.2.1")
    assert callee.routes == ("sip:p1;lr", "sip:p2;lr", "sip:p3;lr")
    assert caller.routes == callee.routes[::-1]
    assert (caller.next_hop, callee.next_hop) == ("sip:p3;lr", "sip:p1;lr")
    assert (caller.local_cseq, callee.remote_cseq) == (7, 7)
    assert callee.matches("c1", "b1", "a1")
    assert not callee.matches("c1", "b1", "x")


def test_without_contact_or_route_the_address_has_to_do() -> None:
    caller, _ = both(contact="")
    assert caller.target == caller.next_hop == "sip:bob@b.example"


def test_requests_within_it() -> None:
    caller, callee = both(*ROUTES)
    request = caller.request("INFO", (("X-A", "1"),), b"x")
    assert (request.method, request.uri, request.body) == ("INFO", "sip:bob@192.0.2.2", b"x")
    assert request.headers.get_all("route") == ["<sip:p3;lr>", "<sip:p2;lr>", "<sip:p1;lr>"]
    assert (str(request.cseq), request.call_id) == ("8 INFO", "c1")
    assert str(request.from_address) == '"Alice" <sip:alice@a.example>;tag=a1'
    assert callee.takes(request)
    assert not callee.takes(request)
    assert str(caller.ack(7).cseq) == "7 ACK"


@pytest.mark.parametrize("router", ["sip:strict", "tel:1", "nonsense"])
def test_a_strict_router_gets_the_request_as_its_own(router: str) -> None:
    caller, _ = both()
    caller.routes = (router, "sip:p2;lr")
    request = caller.request("BYE")
    assert request.uri == router
    assert request.headers.get_all("route") == ["<sip:p2;lr>", "<sip:bob@192.0.2.2>"]


def test_the_far_side_may_move_and_a_first_number_may_be_any() -> None:
    caller, _ = both()
    caller.refresh(invite(("Contact", "<sip:other@192.0.2.3>")))
    assert caller.target == "sip:alice@192.0.2.1"
    moved = Request("UPDATE", "sip:x@y", (("CSeq", "3 UPDATE"),))
    caller.refresh(moved)
    assert caller.target == "sip:alice@192.0.2.1"
    assert caller.takes(moved)


def test_numbers_begin_again_before_they_are_too_large() -> None:
    caller, _ = both()
    caller.local_cseq = CSEQ_MAX - 1
    assert [caller.next_cseq(), caller.next_cseq()] == [CSEQ_MAX, 1]


def test_a_far_side_that_is_older_than_tags() -> None:
    request = invite()
    request.headers.set("From", "<sip:old@a.example>")
    assert Dialog.of_callee(request, "b1").remote_tag == ""
    dialog = Dialog.of_caller(request, respond_to(request, 200))
    assert dialog.local_tag == dialog.remote_tag == ""


def test_routes_are_bounded() -> None:
    many = tuple(("Record-Route", f"<sip:p{number};lr>") for number in range(100))
    assert len(Dialog.of_callee(invite(*many), "b").routes) == MOST_ROUTES


def test_it_goes_on_elsewhere() -> None:
    for dialog in both(*ROUTES):
        assert Dialog.from_dict(json.loads(json.dumps(dialog.to_dict()))) == dialog

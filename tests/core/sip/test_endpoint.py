from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.endpoint import SILENCE, Abilities, Endpoint, Limits, Refusal, Silence
from aywa.core.sip.flow import (
    AckReceived,
    Action,
    Cancelled,
    Dropped,
    Flow,
    RequestReceived,
    ResponseReceived,
    Send,
    TransactionEnded,
    TransactionFailed,
)
from aywa.core.sip.message import Request, Response, parse, respond_to
from tests.core.feed import examples

HERE, THERE = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
UDP = Flow("udp", HERE, THERE)
TCP = Flow("tcp", HERE, ("192.0.2.2", 40000), "c1")


def tokens(prefix: str = "") -> Callable[[], str]:
    numbers = count()
    return lambda: f"{prefix}{next(numbers)}"


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, 200), ({"uri": "strange:x"}, 416), ({"more": (("Require", "this"),)}, 420)],
)
def test_a_screen_says_yes_only_to_what_is_understood(changes: dict[str, object], status: int) -> None:
    side = endpoint(
        screen=lambda request, flow, now: Refusal(200), abilities=Abilities(options=frozenset()),
        limits=Limits(reflected_share=9.0),
    )  # fmt: skip
    (sent,) = side.receive(incoming("OPTIONS", **changes), UDP, 0.0)  # type: ignore[arg-type]
    assert isinstance(sent, Send)
    assert parse(sent.data).status == status  # type: ignore[union-attr]


def test_a_short_datagram_gets_no_long_answer() -> None:
    long = Refusal(401, headers=(("WWW-Authenticate", "x" * 400),))
    side = endpoint(screen=lambda request, flow, now: long, limits=Limits(reflected_share=1.5))
    data = incoming("REGISTER")
    assert side.receive(data, UDP, 0.0) == []
    # Who fills its own datagrams, or has shown by a connection that it is where it says, is answered.
    padded = incoming("REGISTER", more=(("X-Filling", "x" * 400),))
    for request, flow in ((padded, UDP), (data, TCP)):
        (sent,) = side.receive(request, flow, 0.0)
        assert isinstance(sent, Send)
        assert sent.data.startswith(b"SIP/2.0 401")


def endpoint(**settings: object) -> Endpoint:
    return Endpoint(tokens(), b"secret", **settings)  # type: ignore[arg-type]


def incoming(
    method: str = "INVITE",
    *,
    branch: str | None = "z9hG4bKa",
    via: str = "192.0.2.2:5060",
    tag: str | None = "f",
    to: str = "<sip:bert@example.net>",
    cseq: int = 1,
    uri: str = "sip:bert@example.net",
    call_id: str = "one",
    more: tuple[tuple[str, str], ...] = (),
    transport: str = "UDP",
    cseq_method: str | None = None,
) -> bytes:
    hop = f"SIP/2.0/{transport} {via}" + ("" if branch is None else f";branch={branch}")
    return Request(
        method,
        uri,
        [
            ("Via", hop),
            ("From", "<sip:anna@example.org>" + ("" if tag is None else f";tag={tag}")),
            ("To", to),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} {cseq_method or method}"),
            *more,
        ],
    ).encode()


def outgoing(method: str = "INVITE") -> Request:
    return Request(
        method,
        "sip:anna@example.org",
        [
            ("From", "<sip:bert@example.net>;tag=f"),
            ("To", "<sip:anna@example.org>"),
            ("Call-ID", "two"),
            ("CSeq", f"1 {method}"),
        ],
    )


def sent(actions: list[Action]) -> list[Request | Response]:
    return [parse(action.data) for action in actions if isinstance(action, Send)]


def statuses(actions: list[Action]) -> list[int]:
    return [message.status for message in sent(actions) if isinstance(message, Response)]


def the_request(actions: list[Action]) -> RequestReceived:
    (received,) = [action for action in actions if isinstance(action, RequestReceived)]
    return received


def the_send(actions: list[Action]) -> Send:
    (send,) = [action for action in actions if isinstance(action, Send)]
    return send


# --- requests to us --------------------------------------------------------------------------------------------


def test_a_request_is_told_once_and_its_answer_repeated() -> None:
    side = endpoint()
    received = the_request(side.receive(incoming("OPTIONS"), UDP, 0.0))
    assert (received.request.method, received.flow) == ("OPTIONS", UDP)
    assert side.receive(incoming("OPTIONS"), UDP, 0.1) == []
    answer = side.respond(received.key, respond_to(received.request, 200, tag="t"), 0.2)
    assert statuses(answer) == [200]
    assert side.receive(incoming("OPTIONS"), UDP, 0.3) == answer
    assert side.transactions == (0, 1)
    assert side.deadline == pytest.approx(32.2)
    assert side.wake(32.3) == [TransactionEnded(received.key)]
    assert side.deadline is None
    assert side.transactions == (0, 0)
    assert side.respond(received.key, respond_to(received.request, 200), 33.0) == []


def test_an_invite_is_answered_refused_and_acknowledged() -> None:
    side = endpoint()
    received = the_request(side.receive(incoming(), UDP, 0.0))
    assert statuses(side.wake(0.2)) == [100]
    side.respond(received.key, respond_to(received.request, 486, tag="t"), 1.0)
    assert statuses(side.wake(1.5)) == [486]
    ack = incoming("ACK", to="<sip:bert@example.net>;tag=t")
    assert side.receive(ack, UDP, 1.6) == []
    assert side.receive(ack, UDP, 1.7) == []
    assert side.wake(10.0) == [TransactionEnded(received.key)]


def test_the_ack_of_a_2xx_is_told_each_time_whatever_its_branch() -> None:
    side = endpoint()
    received = the_request(side.receive(incoming(), UDP, 0.0))
    side.respond(received.key, respond_to(received.request, 200, tag="t"), 1.0)
    for branch in ("z9hG4bKb", "z9hG4bKb", "z9hG4bKa"):
        (told,) = side.receive(incoming("ACK", branch=branch, to="<sip:bert@example.net>;tag=t"), UDP, 1.6)
        assert isinstance(told, AckReceived)


def test_without_a_unique_branch_a_request_is_known_by_all_the_rest() -> None:
    side = endpoint()
    old = {"branch": None, "tag": None}
    received = the_request(side.receive(incoming(**old), UDP, 0.0))  # type: ignore[arg-type]
    assert side.receive(incoming(**old), UDP, 0.1) == []  # type: ignore[arg-type]
    side.respond(received.key, respond_to(received.request, 486, tag="t"), 0.2)
    assert (
        side.receive(incoming("ACK", branch=None, tag=None, to="<sip:bert@example.net>;tag=t"), UDP, 0.3)
        == []
    )
    assert side.wake(10.0) == [TransactionEnded(received.key)]
    # A bare cookie says as little (RFC 4475 3.2.1).
    the_request(side.receive(incoming("OPTIONS", branch="z9hG4bK", call_id="x"), UDP, 11.0))
    the_request(side.receive(incoming("OPTIONS", branch="z9hG4bK", call_id="y"), UDP, 11.0))


def test_a_branch_that_is_used_twice_does_not_join_two_requests() -> None:
    side = endpoint()
    the_request(side.receive(incoming(cseq=1), UDP, 0.0))
    the_request(side.receive(incoming(cseq=2), UDP, 0.0))
    assert side.transactions == (0, 2)


@pytest.mark.parametrize(
    ("via", "flow", "noted", "reply_to"),
    [
        # RFC 3261 18.2.1, 18.2.2.
        ("192.0.2.2:5070", UDP, "SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bKa", ("192.0.2.2", 5070)),
        ("192.0.2.2", Flow("udp", HERE, ("192.0.2.2", 9)), "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa", THERE),
        ("c.example", UDP, "SIP/2.0/UDP c.example;branch=z9hG4bKa;received=192.0.2.2", THERE),
        # RFC 3581 4.
        (
            "10.0.0.1:5070;RPORT",
            Flow("udp", HERE, ("192.0.2.2", 6000)),
            "SIP/2.0/UDP 10.0.0.1:5070;rport=6000;branch=z9hG4bKa;received=192.0.2.2",
            ("192.0.2.2", 6000),
        ),
        # Translated on the way, though its sender does not know.
        (
            "10.0.0.1:5070",
            Flow("udp", HERE, ("192.0.2.2", 6000)),
            "SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa;received=192.0.2.2",
            ("192.0.2.2", 6000),
        ),
        # maddr and what others filled in are not believed.
        (
            "192.0.2.2;received=198.51.100.9;rport=1;maddr=198.51.100.9",
            UDP,
            "SIP/2.0/UDP 192.0.2.2;received=192.0.2.2;rport=5060;maddr=198.51.100.9;branch=z9hG4bKa",
            THERE,
        ),
        (
            "192.0.2.2;received=198.51.100.9",
            UDP,
            "SIP/2.0/UDP 192.0.2.2;received=192.0.2.2;branch=z9hG4bKa",
            THERE,
        ),
        (
            "[2001:DB8:0::1]",
            Flow("udp", ("2001:db8::2", 5060), ("2001:db8::1%eth0", 5060)),
            "SIP/2.0/UDP [2001:DB8:0::1];branch=z9hG4bKa",
            ("2001:db8::1%eth0", 5060),
        ),
    ],
)
def test_answers_go_where_the_request_came_from(
    via: str, flow: Flow, noted: str, reply_to: tuple[str, int]
) -> None:
    side = endpoint()
    received = the_request(side.receive(incoming("OPTIONS", via=via), flow, 0.0))
    assert received.request.headers.get_all("Via") == [noted]
    send = the_send(side.respond(received.key, respond_to(received.request, 200), 0.0))
    assert send.flow.remote == reply_to


def test_over_a_stream_answers_go_back_on_it_and_elsewhere_once_it_is_gone() -> None:
    side = endpoint()
    data = incoming("INVITE", transport="TCP", via="192.0.2.2:5070")
    received = the_request(side.receive(data, TCP, 0.0))
    assert the_send(side.respond(received.key, respond_to(received.request, 180), 0.0)).flow == TCP
    assert side.flow_failed(Flow("tcp", HERE, ("192.0.2.2", 1), "c2"), 0.1) == []
    assert side.flow_failed(TCP, 0.1) == []
    send = the_send(side.respond(received.key, respond_to(received.request, 486), 0.2))
    assert send.flow == Flow("tcp", HERE, ("192.0.2.2", 5070))


def test_a_second_way_to_the_same_request_is_a_loop() -> None:
    side = endpoint()
    first = the_request(side.receive(incoming(), UDP, 0.0))
    actions = side.receive(incoming(branch="z9hG4bKother"), UDP, 0.1)
    assert statuses(actions) == [482]
    assert actions[1:] == [Dropped(UDP, "482", 482)]
    # Not inside a dialog, and not when the first was asked for a password and comes again with the same number.
    the_request(side.receive(incoming("BYE", to="<sip:b>;tag=t"), UDP, 0.1))
    the_request(side.receive(incoming("BYE", to="<sip:b>;tag=t", branch="z9hG4bKc"), UDP, 0.1))
    side.respond(first.key, respond_to(first.request, 401, tag="t"), 0.2)
    second = the_request(side.receive(incoming(branch="z9hG4bKother"), UDP, 0.3))
    assert statuses(side.receive(incoming(branch="z9hG4bKthird"), UDP, 0.4)) == [482]
    side.wake(33.0)
    # The first is forgotten, the second still guards.
    assert statuses(side.receive(incoming(branch="z9hG4bKthird"), UDP, 33.1)) == [482]
    side.respond(second.key, respond_to(second.request, 486, tag="t"), 34.0)
    side.wake(70.0)
    the_request(side.receive(incoming(branch="z9hG4bKfourth"), UDP, 71.0))


# --- CANCEL ----------------------------------------------------------------------------------------------------


def test_a_cancel_is_answered_and_told_once() -> None:
    side = endpoint()
    received = the_request(side.receive(incoming(), UDP, 0.0))
    actions = side.receive(incoming("CANCEL"), UDP, 1.0)
    assert statuses(actions) == [200]
    (cancelled,) = [action for action in actions if isinstance(action, Cancelled)]
    assert (cancelled.key, cancelled.request.method) == (received.key, "CANCEL")
    again = side.receive(incoming("CANCEL"), UDP, 1.1)
    assert again == actions[:1]
    side.respond(received.key, respond_to(received.request, 487, tag="t"), 1.2)
    assert statuses(side.receive(incoming("CANCEL"), UDP, 1.3)) == [200]


def test_a_cancel_of_nothing_or_of_another_request_is_told_apart() -> None:
    side = endpoint()
    actions = side.receive(incoming("CANCEL"), UDP, 1.0)
    assert statuses(actions) == [481]
    assert isinstance(actions[1], Dropped)
    the_request(side.receive(incoming("OPTIONS"), UDP, 0.0))
    assert statuses(side.receive(incoming("CANCEL"), UDP, 1.0)) == [481]
    # After a 2xx it changes nothing.
    received = the_request(side.receive(incoming(), UDP, 0.0))
    side.respond(received.key, respond_to(received.request, 200, tag="t"), 1.2)
    late = side.receive(incoming("CANCEL"), UDP, 1.0)
    assert (statuses(late), len(late)) == ([200], 1)


# --- what leaves no trace --------------------------------------------------------------------------------------


def test_a_screen_may_refuse_or_be_silent_before_anything_is_remembered() -> None:
    verdicts: list[Refusal | Silence | None] = [Refusal(503, "Full", (("Retry-After", "9"),)), SILENCE, None]
    side = endpoint(screen=lambda request, flow, now: verdicts.pop(0))
    refusal = side.receive(incoming(), UDP, 0.0)
    (response,) = sent(refusal)
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.headers.get("Retry-After")) == (503, "Full", "9")
    # Its ACK goes no further; another's would.
    tag = response.to_address.tag
    assert side.receive(incoming("ACK", to=f"<sip:b>;tag={tag}"), UDP, 0.1) == []
    assert isinstance(side.receive(incoming("ACK", to="<sip:b>;tag=t"), UDP, 0.1)[0], AckReceived)
    assert side.receive(incoming(), UDP, 0.2) == []
    assert side.transactions == (0, 0)
    the_request(side.receive(incoming(), UDP, 0.3))
    # Retransmissions are not asked about again.
    assert side.receive(incoming(), UDP, 0.4) == []


def test_the_same_request_is_refused_with_the_same_tag_and_another_with_another() -> None:
    side = endpoint(screen=lambda request, flow, now: Refusal(403))
    first, again = side.receive(incoming(), UDP, 0.0), side.receive(incoming(), UDP, 5.0)
    assert first == again
    (other,) = sent(side.receive(incoming(cseq=2), UDP, 0.0))
    assert other.to_address.tag != sent(first)[0].to_address.tag
    assert sent(
        Endpoint(tokens(), b"other", screen=lambda *_: Refusal(403)).receive(incoming(), UDP, 0.0)
    ) != sent(first)


@pytest.mark.parametrize(
    ("data", "status", "header"),
    [
        (incoming("NEW"), 501, ("Allow", "INVITE, OPTIONS")),
        (incoming("INFO"), 405, ("Allow", "INVITE, OPTIONS")),
        (incoming(uri="mailto:bert@example.net"), 416, ("Allow", None)),
        (incoming(more=(("Require", "100rel, Odd"),)), 420, ("Unsupported", "odd")),
        (incoming(more=(("Require", "100rel"),)), 0, ("", None)),
    ],
)
def test_what_nobody_understands_is_refused(data: bytes, status: int, header: tuple[str, str | None]) -> None:
    side = endpoint(abilities=Abilities(frozenset(("INVITE", "OPTIONS")), frozenset(("100rel",))))
    actions = side.receive(data, UDP, 0.0)
    if not status:
        the_request(actions)
        return
    (response,) = sent(actions)
    assert isinstance(response, Response)
    assert (response.status, response.headers.get(header[0])) == (status, header[1])
    assert side.transactions == (0, 0)


def test_when_there_is_no_room_calls_that_are_up_still_get_through() -> None:
    side = endpoint(limits=Limits(transactions=2, retry_after_s=7))
    for number in range(2):
        the_request(side.receive(incoming(call_id=f"new{number}"), UDP, 0.0))
    (response,) = sent(side.receive(incoming(call_id="new2"), UDP, 0.0))
    assert isinstance(response, Response)
    assert response.status == 503
    assert response.headers.get("Retry-After") == "7"
    for number in range(4):
        actions = side.receive(incoming("BYE", call_id=f"up{number}", to="<sip:b>;tag=t"), UDP, 0.0)
        assert statuses(actions) == ([] if number < 2 else [503])
    assert side.transactions == (0, 4)


def test_the_room_for_what_is_held_is_given_back_with_the_answer() -> None:
    size = len(incoming())
    side = endpoint(limits=Limits(held_bytes=2 * size))
    keys = []
    for call_id in ("aaa", "bbb"):
        received = the_request(side.receive(incoming(call_id=call_id), UDP, 0.0))
        keys.append(received)
    assert statuses(side.receive(incoming(call_id="ccc"), UDP, 0.0)) == [503]
    for received in keys:
        for status in (180, 486):
            side.respond(received.key, respond_to(received.request, status, tag="t"), 0.1)
    the_request(side.receive(incoming(call_id="ccc"), UDP, 0.2))
    side.wake(5000.0)
    the_request(side.receive(incoming(call_id="ddd"), UDP, 5000.0))
    the_request(side.receive(incoming(call_id="eee"), UDP, 5000.0))


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0\0\0", b" \r\n"])
def test_what_keeps_a_path_open_is_passed_over(data: bytes) -> None:
    assert endpoint().receive(data, UDP, 0.0) == []


def test_what_cannot_be_read_is_answered_as_far_as_it_can_be() -> None:
    side = endpoint()
    bad = incoming(cseq_method="BYE")
    actions = side.receive(bad, UDP, 0.0)
    send = the_send(actions)
    assert send.data.startswith(b"SIP/2.0 400 Bad Request (cseq: another method)\r\n")
    assert send.flow == UDP
    assert actions[1:] == [Dropped(UDP, "cseq: another method", 400)]
    assert len(send.data) < len(bad) + 200


@pytest.mark.parametrize(
    ("data", "start"),
    [
        (incoming().replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"), b"SIP/2.0 505 Version Not Supported"),
        (incoming(more=(("X", "x" * 40_000),)), b"SIP/2.0 513 Message Too Large"),
        # Not even the way back: to where it came from.
        (incoming(via="192.0.2.2;;,;"), b"SIP/2.0 400 Bad Request (via: "),
        (incoming().replace(b"From: ", b"From: <"), b"SIP/2.0 400 Bad Request (from: "),
    ],
)
def test_each_fault_has_its_answer(data: bytes, start: bytes) -> None:
    assert the_send(endpoint().receive(data, UDP, 0.0)).data.startswith(start)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        incoming("ACK", cseq_method="BYE"),
        incoming().replace(b"Via: ", b"X: "),
        b"SIP/2.0 200 OK\r\n\r\n",
    ],
)
def test_noise_gets_no_answer(data: bytes) -> None:
    (dropped,) = endpoint().receive(data, UDP, 0.0)
    assert isinstance(dropped, Dropped)
    assert dropped.status == 0


def test_over_a_stream_a_message_must_say_its_length() -> None:
    data = incoming().replace(b"Content-Length: 0\r\n", b"")
    assert statuses(endpoint().receive(data, TCP, 0.0)) == [400]
    the_request(endpoint().receive(data, UDP, 0.0))


# --- requests of ours ------------------------------------------------------------------------------------------


def answered(action: Send, status: int) -> bytes:
    request = parse(action.data)
    assert isinstance(request, Request)
    return respond_to(request, status, tag="t").encode()


def test_our_request_gets_a_via_and_its_answers_are_told() -> None:
    side = endpoint(sent_by=lambda flow: ("2001:db8::5", 5070))
    original = outgoing()
    key, actions = side.request(original, UDP, 0.0)
    request = parse(the_send(actions).data)
    assert request.headers.get("Via") == "SIP/2.0/UDP [2001:db8::5]:5070;branch=z9hG4bK0;rport"
    assert request.headers.get("Max-Forwards") == "70"
    assert "Via" not in original.headers
    (ringing,) = side.receive(answered(the_send(actions), 180), UDP, 0.1)
    assert isinstance(ringing, ResponseReceived)
    assert (ringing.key, ringing.response.status) == (key, 180)
    for _ in range(2):
        (ok,) = side.receive(answered(the_send(actions), 200), UDP, 0.2)
        assert isinstance(ok, ResponseReceived)
    assert side.wake(32.2) == [TransactionEnded(key)]
    (late,) = side.receive(answered(the_send(actions), 200), UDP, 40.0)
    assert late == Dropped(UDP, "a response to no request of ours")


def test_an_ack_of_ours_goes_out_without_a_transaction() -> None:
    side = endpoint()
    original = outgoing("ACK")
    original.headers.add("Max-Forwards", "3")
    send = side.send(original, TCP)
    ack = parse(send.data)
    assert (ack.via.transport, ack.via.port, ack.headers.get_all("Max-Forwards")) == ("TCP", 5060, ["3"])
    assert side.transactions == (0, 0)


def test_a_response_that_was_anothers_is_dropped() -> None:
    side = endpoint()
    _, actions = side.request(outgoing("OPTIONS"), UDP, 0.0)
    response = parse(answered(the_send(actions), 200))
    response.headers.add("Via", "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKx")
    (dropped,) = side.receive(response.encode(), UDP, 0.1)
    assert dropped == Dropped(UDP, "a response with more than one Via")


def test_our_cancel_waits_and_its_own_fate_is_not_told() -> None:
    side = endpoint()
    key, actions = side.request(outgoing(), UDP, 0.0)
    assert side.cancel("nothing", 0.0) == []
    assert side.cancel(key, 0.1, [("Reason", "SIP;cause=200")]) == []
    actions_after = side.receive(answered(the_send(actions), 100), UDP, 0.2)
    cancel = the_send(actions_after)
    assert cancel.data.startswith(b"CANCEL ")
    assert b"Reason: SIP;cause=200" in cancel.data
    assert side.receive(answered(cancel, 200), UDP, 0.3) == []
    # The 487 comes, and is acknowledged.
    final = side.receive(answered(the_send(actions), 487), UDP, 0.4)
    assert the_send(final).data.startswith(b"ACK ")
    assert isinstance(final[1], ResponseReceived)
    assert side.wake(100.0) == [TransactionEnded(key)]
    assert side.transactions == (0, 0)


def test_a_cancel_that_nobody_answers_ends_the_invite() -> None:
    side = endpoint()
    key, actions = side.request(outgoing(), UDP, 0.0)
    side.receive(answered(the_send(actions), 180), UDP, 0.2)
    assert the_send(side.cancel(key, 1.0)).data.startswith(b"CANCEL ")
    assert side.cancel(key, 1.0) == []
    told: list[Action] = []
    while side.deadline is not None:
        told += [action for action in side.wake(side.deadline) if not isinstance(action, Send)]
    assert told == [TransactionFailed(key, "timeout"), TransactionEnded(key)]


def test_a_way_that_broke_ends_what_waited_there_and_nothing_else() -> None:
    side = endpoint()
    opening = Flow("tcp", HERE, THERE)
    key, _ = side.request(outgoing(), opening, 0.0)
    other, _ = side.request(outgoing("OPTIONS"), UDP, 0.0)
    assert side.flow_failed(opening, 1.0) == [TransactionFailed(key, "transport"), TransactionEnded(key)]
    assert side.flow_failed(UDP, 1.0) == [TransactionFailed(other, "transport"), TransactionEnded(other)]
    # Bound to its connection once an answer came by it.
    key, actions = side.request(outgoing(), opening, 2.0)
    side.receive(answered(the_send(actions), 180), Flow("tcp", HERE, THERE, "c7"), 2.1)
    assert side.flow_failed(Flow("tcp", HERE, THERE, "c8"), 2.2) == []
    assert side.flow_failed(Flow("tcp", HERE, THERE, "c7"), 2.3, "reset by peer") == [
        TransactionFailed(key, "transport", "reset by peer"),
        TransactionEnded(key),
    ]


def test_there_is_a_bound_to_our_own_requests_too() -> None:
    side = endpoint(limits=Limits(transactions=1))
    side.request(outgoing(), UDP, 0.0)
    key, actions = side.request(outgoing(), UDP, 0.0)
    assert actions == [TransactionFailed(key, "overload"), TransactionEnded(key)]


def test_notes_of_deadlines_do_not_pile_up() -> None:
    side = endpoint()
    received = the_request(side.receive(incoming(), UDP, 0.0))
    for number in range(2000):
        # Each answered call leaves an hour's deadline behind that no longer holds.
        received = the_request(side.receive(incoming(call_id=f"c{number}"), TCP, 1.0))
        side.respond(received.key, respond_to(received.request, 180, tag="t"), 1.0)
        side.respond(received.key, respond_to(received.request, 486, tag="t"), 1.0)
        side.receive(incoming("ACK", call_id=f"c{number}", to="<sip:b>;tag=t"), TCP, 1.0)
    assert side.transactions == (0, 1)
    assert len(side._due) < 600


# --- two of them, and a network that loses, doubles and overtakes ----------------------------------------------


class World:
    """Two endpoints, a caller and a callee, and the bytes between them, in virtual time."""

    def __init__(self, data: st.DataObject, flow_pair: tuple[Flow, Flow], lossy: bool) -> None:
        self.data = data
        self.flows = flow_pair
        self.lossy = lossy
        self.sides = (Endpoint(tokens("a"), b"a"), Endpoint(tokens("b"), b"b"))
        self.now = 0.0
        self.pending: list[tuple[float, int, int, bytes]] = []
        self.sent = 0
        self.told: tuple[list[Action], list[Action]] = ([], [])

    def carry(self, who: int, actions: list[Action]) -> None:
        for action in actions:
            if not isinstance(action, Send):
                self.told[who].append(action)
                continue
            copies = self.data.draw(st.sampled_from([0, 1, 1, 1, 2])) if self.lossy else 1
            for _ in range(copies):
                delay = self.data.draw(st.sampled_from([0.01, 0.05, 0.4])) if self.lossy else 0.01
                self.sent += 1
                self.pending.append((self.now + delay, self.sent, 1 - who, action.data))

    def soonest(self) -> float | None:
        times = [side.deadline for side in self.sides] + [at for at, *_ in self.pending]
        return min((each for each in times if each is not None), default=None)

    def turn(self) -> None:
        """The earliest thing that can happen."""
        soonest = self.soonest()
        assert soonest is not None
        self.now = max(self.now, soonest)
        self.pending.sort()
        if self.pending and self.pending[0][0] <= self.now:
            _, _, who, data = self.pending.pop(0)
            self.carry(who, self.sides[who].receive(data, self.flows[who], self.now))
            return
        for who, side in enumerate(self.sides):
            self.carry(who, side.wake(self.now))


PAIRS = {
    "udp": (Flow("udp", HERE, THERE), Flow("udp", THERE, HERE)),
    "tcp": (Flow("tcp", HERE, THERE, "a"), Flow("tcp", THERE, HERE, "b")),
}


@examples(60)
@given(
    st.data(),
    st.sampled_from(["udp", "tcp"]),
    st.sampled_from(["INVITE", "OPTIONS"]),
    st.sampled_from([200, 404, 486]),
    st.booleans(),
)
def test_whatever_the_network_does_both_sides_agree_and_forget(
    data: st.DataObject, transport: str, method: str, status: int, cancelled: bool
) -> None:
    world = World(data, PAIRS[transport], lossy=transport == "udp")
    caller, callee = world.sides
    key, actions = caller.request(outgoing(method), world.flows[0], 0.0)
    world.carry(0, actions)
    if cancelled:
        world.carry(0, caller.cancel(key, 0.0))
    requests = responses = 0
    invite = outgoing()
    for _ in range(2000):
        if world.soonest() is None:
            if not caller.transactions[0]:
                break
            # It rang, and the answer never came: somebody hangs up in the end.
            world.carry(0, caller.cancel(key, world.now))
        world.turn()
        for told in world.told[1][requests:]:
            requests += 1
            if isinstance(told, RequestReceived):
                invite = told.request
                if told.request.method == "INVITE":
                    world.carry(
                        1, callee.respond(told.key, respond_to(told.request, 180, tag="t"), world.now)
                    )
                if not (cancelled and method == "INVITE"):
                    world.carry(
                        1, callee.respond(told.key, respond_to(told.request, status, tag="t"), world.now)
                    )
            if isinstance(told, Cancelled):
                # What was refused or accepted meanwhile stays so.
                world.carry(1, callee.respond(told.key, respond_to(invite, 487, tag="t"), world.now))
        responses = len([each for each in world.told[0] if isinstance(each, ResponseReceived)])
    assert world.soonest() is None
    assert caller.transactions == callee.transactions == (0, 0)
    begun = [each for each in world.told[1] if isinstance(each, RequestReceived)]
    # (On a slower network the last sending, after 31.5 s, may outlive the memory of the first: RFC 3261 has T4 for that.)
    assert len(begun) <= 1
    ends = [each for each in world.told[0] if isinstance(each, TransactionEnded)]
    assert ends == [TransactionEnded(key)]
    finals = [
        each.response.status
        for each in world.told[0]
        if isinstance(each, ResponseReceived) and each.response.status >= 200
    ]
    failures = [each for each in world.told[0] if isinstance(each, TransactionFailed)]
    assert bool(finals) != bool(failures)
    assert len(set(finals)) <= 1
    if transport == "tcp":
        assert responses
        assert finals == [487 if cancelled and method == "INVITE" else status]


@examples(200)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=120),
            st.tuples(
                st.sampled_from(["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"]),
                st.integers(0, 3),
                st.sampled_from(["z9hG4bKa", "z9hG4bKb", "old", None]),
            ),
        ),
        max_size=30,
    ),
    st.sampled_from([UDP, TCP]),
)
def test_any_bytes_in_any_order_are_survived_and_forgotten(
    script: list[bytes | tuple[str, int, str | None]], flow: Flow
) -> None:
    side = endpoint(limits=Limits(transactions=4))
    now = 0.0
    for each in script:
        now += 1.0
        data = each if isinstance(each, bytes) else incoming(each[0], cseq=each[1], branch=each[2])
        for action in side.receive(data, flow, now):
            if isinstance(action, Send):
                # Never more out than came in, but for our own words.
                assert len(action.data) <= len(data) + 200
        assert side.transactions[1] <= 8
        side.wake(now)
    side.wake(now + 4000)
    side.wake(now + 4100)
    assert side.transactions == (0, 0)
    assert side.deadline is None

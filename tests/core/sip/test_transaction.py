from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.flow import Action, Flow, ResponseReceived, Send, TransactionFailed, Transport
from aywa.core.sip.message import Request, Response, parse, respond_to
from aywa.core.sip.transaction import (
    InviteClient,
    InviteServer,
    RequestClient,
    RequestServer,
    State,
    Timers,
    ack_for,
    cancel_for,
)
from tests.core.feed import examples

TIMERS = Timers()
UDP = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060))
TCP = Flow("tcp", ("192.0.2.1", 5060), ("192.0.2.2", 40000), "c1")

Any = InviteClient | RequestClient | InviteServer | RequestServer


def request(method: str = "INVITE") -> Request:
    return Request(
        method,
        "sip:bert@example.net",
        [
            (
                "Via",
                "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa, SIP/2.0/UDP further.example;branch=z9hG4bKb",
            ),
            ("Route", "<sip:edge.example;lr>"),
            ("From", "<sip:anna@example.org>;tag=f"),
            ("To", "<sip:bert@example.net>"),
            ("Call-ID", "one"),
            ("CSeq", f"7 {method}"),
        ],
    )


def client(method: str = "INVITE", flow: Flow = UDP) -> InviteClient | RequestClient:
    kind = InviteClient if method == "INVITE" else RequestClient
    return kind("k", request(method), flow, TIMERS, 0.0)


def inviting(flow: Flow = UDP) -> InviteClient:
    made = client("INVITE", flow)
    assert isinstance(made, InviteClient)
    return made


def invited(flow: Flow = UDP) -> InviteServer:
    return InviteServer("k", request(), flow, flow, TIMERS, 0, 0.0)


def asked(flow: Flow = UDP) -> RequestServer:
    return RequestServer("k", request("OPTIONS"), flow, flow, TIMERS, 0, 0.0)


def answer(status: int, method: str = "INVITE") -> Response:
    return respond_to(request(method), status, tag="t")


def state(machine: Any) -> State:
    return machine.state


def starts(actions: list[Action]) -> list[str]:
    """What is sent, by the first word or number."""
    return [
        action.data.split(b" ")[1 if action.data.startswith(b"SIP") else 0].decode()
        for action in actions
        if isinstance(action, Send)
    ]


def told(actions: list[Action]) -> list[int | str]:
    return [
        action.response.status if isinstance(action, ResponseReceived) else action.why
        for action in actions
        if isinstance(action, ResponseReceived | TransactionFailed)
    ]


def run(machine: Any, until_s: float) -> tuple[list[float], list[tuple[float, str]]]:
    """Wakes it whenever it wants: when it sent, and what it told when."""
    sent: list[float] = []
    said: list[tuple[float, str]] = []
    while machine.deadline is not None and machine.deadline <= until_s:
        now = machine.deadline
        actions = machine.wake(now)
        assert machine.wake(now) == [], "one deadline, one turn"
        sent += [now for _ in starts(actions)]
        said += [(now, str(what)) for what in told(actions)]
    return sent, said


# --- an INVITE of ours -----------------------------------------------------------------------------------------


def test_an_invite_is_sent_again_at_doubling_pauses_and_given_up() -> None:
    machine = inviting()
    assert starts(machine.begin()) == ["INVITE"]
    sent, said = run(machine, 100)
    assert sent == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert said == [(32.0, "timeout")]
    assert state(machine) is State.TERMINATED
    assert machine.deadline is None


def test_over_a_stream_nothing_is_sent_again() -> None:
    machine = inviting(TCP)
    machine.begin()
    assert run(machine, 100) == ([], [(32.0, "timeout")])


def test_a_provisional_answer_stops_both_timers() -> None:
    machine = inviting()
    assert told(machine.receive(answer(180), UDP, 0.1)) == [180]
    assert machine.deadline is None
    assert told(machine.receive(answer(183), UDP, 0.2)) == [183]
    assert state(machine) is State.PROCEEDING


def test_a_refusal_is_acknowledged_each_time_and_told_once() -> None:
    machine = inviting()
    machine.receive(answer(180), UDP, 0.1)
    actions = machine.receive(answer(486), UDP, 1.0)
    assert (starts(actions), told(actions)) == (["ACK"], [486])
    again = machine.receive(answer(486), UDP, 2.0)
    assert (starts(again), told(again)) == (["ACK"], [])
    assert machine.receive(answer(180), UDP, 2.0) == []
    assert run(machine, 32.9) == ([], [])
    assert state(machine) is State.COMPLETED
    assert run(machine, 33.0) == ([], [])
    assert state(machine) is State.TERMINATED
    assert machine.receive(answer(486), UDP, 34.0) == []


def test_over_a_stream_a_refusal_is_the_end() -> None:
    machine = inviting(Flow("tcp", TCP.local, TCP.remote))
    actions = machine.receive(answer(486), TCP, 1.0)
    assert starts(actions) == ["ACK"]
    # On the connection the answer came by, which was opened for the request.
    assert [action.flow for action in actions if isinstance(action, Send)] == [TCP]
    assert state(machine) is State.TERMINATED


def test_every_2xx_is_told_until_64_round_trips_have_passed() -> None:
    machine = inviting()
    assert told(machine.receive(answer(200), UDP, 1.0)) == [200]
    assert told(machine.receive(answer(200), UDP, 20.0)) == [200]
    assert machine.receive(answer(180), UDP, 20.0) == []
    assert machine.receive(answer(486), UDP, 20.0) == []
    assert machine.broke() == []
    assert run(machine, 32.9) == ([], [])
    assert state(machine) is State.ACCEPTED
    run(machine, 33.0)
    assert state(machine) is State.TERMINATED


def test_a_fork_that_answers_after_a_refusal_is_told() -> None:
    machine = inviting()
    machine.receive(answer(486), UDP, 1.0)
    actions = machine.receive(answer(200), UDP, 2.0)
    assert (starts(actions), told(actions)) == ([], [200])


def test_a_cancel_waits_for_a_provisional_answer_goes_out_once_and_bounds_the_wait() -> None:
    machine = inviting()
    assert machine.due_cancel(0.0) is None
    machine.cancel([("Reason", "SIP;cause=200")])
    machine.cancel([("Reason", "another")])
    assert machine.due_cancel(0.1) is None
    machine.receive(answer(180), UDP, 1.0)
    cancel = machine.due_cancel(1.0)
    assert cancel is not None
    assert cancel.headers.get("Reason") == "SIP;cause=200"
    assert machine.due_cancel(1.0) is None
    assert run(machine, 100) == ([], [(33.0, "timeout")])


def test_what_is_answered_cannot_be_cancelled() -> None:
    machine = inviting()
    machine.receive(answer(200), UDP, 1.0)
    machine.cancel([])
    assert machine.due_cancel(1.0) is None


def test_the_ack_and_the_cancel_belong_to_the_invite() -> None:
    ack = ack_for(request(), answer(486))
    cancel = cancel_for(request(), [("Reason", "Q.850;cause=16")])
    for made, method in ((ack, "ACK"), (cancel, "CANCEL")):
        read = parse(made.encode())
        assert isinstance(read, Request)
        assert (read.method, read.uri, str(read.cseq)) == (method, "sip:bert@example.net", f"7 {method}")
        assert read.headers.get_all("Via") == ["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa"]
        assert read.headers.get_all("Route") == ["<sip:edge.example;lr>"]
        assert (read.call_id, read.from_address.tag, read.headers.get("Max-Forwards")) == ("one", "f", "70")
    assert ack.to_address.tag == "t"
    assert cancel.to_address.tag is None


# --- another request of ours -----------------------------------------------------------------------------------


def test_another_request_is_sent_again_at_pauses_of_up_to_t2() -> None:
    machine = client("OPTIONS")
    assert starts(machine.begin()) == ["OPTIONS"]
    sent, said = run(machine, 100)
    assert sent == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert said == [(32.0, "timeout")]


def test_after_a_provisional_answer_it_is_sent_again_each_t2_and_still_given_up() -> None:
    machine = client("OPTIONS")
    assert told(machine.receive(answer(100, "OPTIONS"), UDP, 0.1)) == [100]
    assert told(machine.receive(answer(100, "OPTIONS"), UDP, 0.2)) == [100]
    sent, said = run(machine, 100)
    assert sent == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert said == [(32.0, "timeout")]


def test_its_final_answer_is_told_once() -> None:
    machine = client("OPTIONS")
    assert told(machine.receive(answer(404, "OPTIONS"), UDP, 1.0)) == [404]
    assert machine.receive(answer(404, "OPTIONS"), UDP, 2.0) == []
    assert run(machine, 5.9) == ([], [])
    assert state(machine) is State.COMPLETED
    assert run(machine, 6.0) == ([], [])
    assert state(machine) is State.TERMINATED


def test_over_a_stream_its_answer_is_the_end() -> None:
    machine = client("OPTIONS", TCP)
    assert told(machine.receive(answer(100, "OPTIONS"), TCP, 1.0)) == [100]
    assert told(machine.receive(answer(200, "OPTIONS"), TCP, 1.0)) == [200]
    assert state(machine) is State.TERMINATED


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_broken_way_ends_what_waits_for_an_answer(method: str) -> None:
    machine = client(method)
    assert machine.broke() == [TransactionFailed("k", "transport")]
    assert state(machine) is State.TERMINATED
    assert machine.receive(answer(200, method), UDP, 1.0) == []
    done = client(method)
    done.receive(answer(500, method), UDP, 1.0)
    assert done.broke() == []


# --- an INVITE to us -------------------------------------------------------------------------------------------


def test_an_invite_that_nobody_answers_at_once_gets_a_100() -> None:
    machine = invited()
    assert machine.repeated() == []
    assert machine.deadline == 0.2
    assert starts(machine.wake(0.2)) == ["100"]
    assert starts(machine.repeated()) == ["100"]
    assert machine.wake(0.3) == []
    assert run(machine, 4000) == ([], [(TIMERS.proceeding_s, "timeout")])


def test_the_last_provisional_answer_is_repeated() -> None:
    machine = invited()
    assert starts(machine.respond(answer(180), 0.1)) == ["180"]
    machine.respond(answer(183), 0.1)
    assert starts(machine.repeated()) == ["183"]
    assert run(machine, 100) == ([], [])


def test_a_refusal_is_sent_again_until_it_is_acknowledged() -> None:
    machine = invited()
    machine.respond(answer(486), 0.0)
    assert machine.request is None
    sent, _ = run(machine, 8.0)
    assert sent == [0.5, 1.5, 3.5, 7.5]
    assert starts(machine.repeated()) == ["486"]
    assert machine.respond(answer(200), 8.0) == []
    assert machine.acknowledged(9.0)
    assert state(machine) is State.CONFIRMED
    assert machine.acknowledged(9.1)
    assert machine.repeated() == []
    assert run(machine, 13.9) == ([], [])
    assert run(machine, 14.0) == ([], [])
    assert state(machine) is State.TERMINATED


def test_a_refusal_that_nobody_acknowledges_is_told() -> None:
    machine = invited()
    machine.respond(answer(486), 0.0)
    sent, said = run(machine, 100)
    assert sent == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert said == [(32.0, "no ack")]
    stream = invited(TCP)
    stream.respond(answer(486), 0.0)
    assert run(stream, 100) == ([], [(32.0, "no ack")])


def test_over_a_stream_the_ack_is_the_end() -> None:
    machine = invited(TCP)
    machine.respond(answer(486), 0.0)
    assert machine.acknowledged(1.0)
    assert state(machine) is State.TERMINATED


def test_a_2xx_is_repeated_by_the_dialog_only_and_its_acks_pass() -> None:
    machine = invited()
    assert starts(machine.respond(answer(200), 1.0)) == ["200"]
    assert machine.repeated() == []
    assert starts(machine.respond(answer(200), 1.5)) == ["200"]
    assert machine.respond(answer(486), 1.5) == []
    assert not machine.acknowledged(2.0)
    assert run(machine, 32.9) == ([], [])
    assert run(machine, 33.0) == ([], [])
    assert state(machine) is State.TERMINATED


def test_an_ack_before_any_answer_is_nobodys() -> None:
    machine = invited()
    assert machine.acknowledged(0.1)
    assert state(machine) is State.PROCEEDING


# --- another request to us -------------------------------------------------------------------------------------


def test_the_answer_to_another_request_is_repeated_when_it_is() -> None:
    machine = asked()
    assert machine.repeated() == []
    assert starts(machine.respond(answer(100, "OPTIONS"), 1.0)) == ["100"]
    assert starts(machine.repeated()) == ["100"]
    assert starts(machine.respond(answer(200, "OPTIONS"), 2.0)) == ["200"]
    assert machine.respond(answer(500, "OPTIONS"), 2.0) == []
    assert starts(machine.repeated()) == ["200"]
    assert run(machine, 33.9) == ([], [])
    assert machine.wake(33.9) == []
    assert run(machine, 34.0) == ([], [])
    assert state(machine) is State.TERMINATED


def test_over_a_stream_our_answer_is_the_end() -> None:
    machine = asked(TCP)
    machine.respond(answer(200, "OPTIONS"), 1.0)
    assert state(machine) is State.TERMINATED
    assert machine.deadline is None
    assert machine.wake(5.0) == []


def test_an_answer_that_nobody_waits_for_any_more_is_not_sent() -> None:
    machine = asked()
    assert run(machine, 100) == ([], [(32.0, "timeout")])
    assert machine.respond(answer(200, "OPTIONS"), 40.0) == []


@pytest.mark.parametrize(
    ("transport", "via", "port"),
    [("tcp", "c:5070", 5070), ("tcp", "c", 5060), ("tls", "c", 5061)],
)
def test_what_is_still_to_be_said_after_a_connection_broke_goes_to_the_via(
    transport: Transport, via: str, port: int
) -> None:
    flow = Flow(transport, TCP.local, TCP.remote, "c1")
    asking = request("OPTIONS")
    asking.headers.set("Via", f"SIP/2.0/{transport.upper()} {via};branch=z9hG4bKa")
    machine = RequestServer("k", asking, flow, flow, TIMERS, 0, 0.0)
    machine.broke()
    (sent,) = machine.respond(answer(200, "OPTIONS"), 1.0)
    assert isinstance(sent, Send)
    assert sent.flow == Flow(transport, TCP.local, ("192.0.2.2", port))
    # What was answered is not answered again.
    machine.broke()
    assert machine.reply_flow == sent.flow


# --- any order of anything -------------------------------------------------------------------------------------

STATUSES = st.sampled_from([100, 180, 183, 200, 202, 302, 401, 486, 487, 503, 603])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["answer", "again", "ack", "wake", "cancel", "break"]), STATUSES, st.floats(0, 40)
    ),
    max_size=25,
)
MAKERS: list[Callable[[Flow], Any]] = [
    inviting,
    lambda flow: client("OPTIONS", flow),
    invited,
    asked,
]


def step(machine: Any, what: str, status: int, now: float) -> list[Action]:
    method = "INVITE" if isinstance(machine, InviteClient | InviteServer) else "OPTIONS"
    if what == "wake":
        return machine.wake(now)
    if isinstance(machine, InviteClient | RequestClient):
        if what == "break":
            return machine.broke()
        if what == "cancel" and isinstance(machine, InviteClient):
            machine.cancel([])
            machine.due_cancel(now)
            return []
        return machine.receive(answer(status, method), machine.flow, now)
    if what == "answer":
        return machine.respond(answer(status, method), now)
    if what == "ack" and isinstance(machine, InviteServer):
        machine.acknowledged(now)
        return []
    if what == "break":
        machine.broke()
        return []
    return machine.repeated()


@examples(100)
@given(st.sampled_from(MAKERS), st.sampled_from([UDP, TCP]), STEPS)
def test_in_any_order_a_machine_ends_and_says_so_at_most_once(
    make: Callable[[Flow], Any], flow: Flow, steps: list[tuple[str, int, float]]
) -> None:
    machine = make(flow)
    now = 0.0
    failures = finals = 0
    for what, status, after in steps:
        now += after
        while machine.deadline is not None and machine.deadline < now:
            failures += len(told(machine.wake(machine.deadline)))
        over = machine.state is State.TERMINATED
        actions = step(machine, what, status, now)
        failures += sum(isinstance(action, TransactionFailed) for action in actions)
        finals += sum(
            isinstance(action, ResponseReceived) and action.response.status >= 300 for action in actions
        )
        if over:
            assert state(machine) is State.TERMINATED
            assert actions == []
        assert failures <= 1
        assert finals <= 1
        assert not (failures and finals)
        assert machine.deadline is None or machine.deadline > now - 1e-9 or what != "wake"
    if isinstance(machine, InviteClient) and machine.state is State.PROCEEDING:
        machine.cancel([])
        machine.due_cancel(now)
    # Left alone it is over at last, and nothing wants to be woken.
    run(machine, now + TIMERS.proceeding_s)
    assert state(machine) is State.TERMINATED
    assert machine.deadline is None

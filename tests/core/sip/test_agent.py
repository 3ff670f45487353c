"""Whole calls between two agents over a network in virtual time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.plan import Codec
from aywa.core.sip.asking import PATIENCE_S
from aywa.core.sip.dial import Dial
from aywa.core.sip.events import (
    Answered,
    Banned,
    Confirmed,
    DigitReceived,
    Ended,
    InfoReceived,
    InfoSent,
    InviteReceived,
    MediaChanged,
    MediaRefused,
    PingResult,
    Progress,
    Reason,
    ReferProgress,
    ReferReceived,
    Registered,
    RegistrationFailed,
    RequestAnswered,
    TrunkDown,
    TrunkUp,
)
from aywa.core.sip.flow import AckReceived, Cancelled, Flow, Send
from aywa.core.sip.message import Request, Response, parse
from aywa.core.sip.offer import Srtp
from aywa.core.sip.resolve import HostAddress, Srv
from aywa.core.sip.trunk import Gateway, Trunk
from tests.core.feed import examples
from tests.core.sip.network import Network, Node, Pair, Peer, Wired, media, reply

B_MEDIA = media("192.0.2.2", 5000)


def kinds(node: Node) -> list[str]:
    return [type(event).__name__ for event in node.events]


def at_rest(net: Network) -> None:
    """Long after, nothing is left of anything."""
    net.run(4000)
    for node in net.nodes.values():
        assert node.agent.calls == ()
        assert node.agent._calls._sessions == {}
        assert node.agent._calls._by_place == {}
        assert node.agent._calls._by_invite == {}
        assert len(node.agent.asking) == 0
        assert node.agent._endpoint.transactions == (0, 0)


# --- calls -----------------------------------------------------------------------------------------------------------


def test_a_call_from_ringing_to_the_end() -> None:
    net = Pair()
    mine = net.dial(from_name="Alice", headers=(("X-Order", "7"),))
    net.run(0.1)
    invite = net.b.last(InviteReceived)
    assert (invite.caller.name, invite.caller.uri) == ("Alice", "sip:alice@192.0.2.1")
    assert ("X-Order", "7") in invite.headers
    assert invite.has_offer
    net.tell_b(net.b.agent.ring, invite.call, net.now)
    net.run(1)
    assert net.a.last(Progress).status == 180
    net.tell_b(net.b.agent.answer, invite.call, B_MEDIA, net.now, (("X-Answer", "yes"),))
    assert net.b.last(MediaChanged).plan.remote.port == 4000
    net.run(1)
    answered = net.a.last(Answered)
    assert answered.plan.remote == ("192.0.2.2", 5000)
    assert ("X-Answer", "yes") in answered.headers
    assert net.b.last(Confirmed).plan.codec is Codec.PCMU
    assert net.a.agent.calls == (mine,)
    net.tell_b(net.b.agent.hang_up, invite.call, net.now, Reason("Q.850", 16, 'done "now"'))
    net.run(1)
    ended = net.a.last(Ended)
    assert (ended.by, ended.status, ended.cause, ended.answered) == (
        "remote",
        200,
        Reason("Q.850", 16, "done 'now'"),
        True,
    )
    assert net.b.last(Ended).by == "local"
    assert net.names_sent == [
        "INVITE", "100 INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE",
    ]  # fmt: skip
    at_rest(net)


def test_a_refusal() -> None:
    net = Pair()
    net.dial()
    net.run(0.1)
    net.tell_b(
        net.b.agent.reject,
        net.b.last(InviteReceived).call,
        486,
        net.now,
        "Busy",
        30,
        (("Reason", "Q.850;cause=17"),),
    )
    net.run(1)
    ended = net.a.last(Ended)
    assert (ended.by, ended.status, ended.cause) == ("remote", 486, Reason("Q.850", 17))
    assert ("Retry-After", "30") in ended.headers
    assert not ended.answered
    assert (net.b.last(Ended).by, net.b.last(Ended).status) == ("local", 486)
    at_rest(net)


def test_what_is_no_refusal_is_not_sent() -> None:
    net = Pair()
    net.dial()
    net.run(0.1)
    net.tell_b(net.b.agent.reject, net.b.last(InviteReceived).call, 200, net.now)
    assert net.b.of(Ended) == []


def test_hanging_up_before_the_answer() -> None:
    net = Pair()
    mine = net.dial()
    net.run(0.1)
    net.tell_a(net.a.agent.hang_up, mine, net.now, Reason("SIP", 487))
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("local", 487)
    net.tell_a(net.a.agent.hang_up, mine, net.now)
    net.run(1)
    ended = net.b.last(Ended)
    assert (ended.by, ended.status, ended.cause) == ("remote", 487, Reason("SIP", 487))
    assert "487 INVITE" in net.names_sent
    assert len(net.a.of(Ended)) == 1
    at_rest(net)


def test_hanging_up_before_anything_was_heard() -> None:
    net = Pair()
    mine = net.dial()
    net.tell_a(net.a.agent.hang_up, mine, net.now)
    net.run(1)
    assert net.b.last(Ended).status == 487
    at_rest(net)


def test_the_answer_crosses_the_cancel() -> None:
    net = Pair()
    mine = net.dial()
    net.run(0.1)
    net.tell_b(net.b.agent.answer, net.b.last(InviteReceived).call, B_MEDIA, net.now)
    net.tell_a(net.a.agent.hang_up, mine, net.now)
    net.run(1)
    assert net.names_sent[-2:] == ["BYE", "200 BYE"] or "BYE" in net.names_sent
    assert len(net.a.of(Ended)) == len(net.b.of(Ended)) == 1
    assert net.b.last(Ended).by == "remote"
    at_rest(net)


def test_nobody_answers() -> None:
    net = Pair()
    net.dial(ring_s=20.0)
    net.run(25)
    assert (net.a.last(Ended).by, net.a.last(Ended).status, net.a.last(Ended).reason) == (
        "local",
        408,
        "no answer",
    )
    assert net.b.last(Ended).status == 487
    at_rest(net)


def test_the_called_side_hangs_up_before_it_answers() -> None:
    net = Pair()
    net.dial()
    net.run(0.1)
    net.tell_b(net.b.agent.hang_up, net.b.last(InviteReceived).call, net.now)
    net.run(1)
    assert net.a.last(Ended).status == 603
    at_rest(net)


def test_nobody_is_there() -> None:
    net = Pair()
    net.dial(uri="sip:bob@192.0.2.77")
    net.run(40)
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("network", 408)
    at_rest(net)


def test_the_port_is_closed() -> None:
    net = Pair()
    net.a.paths.blocked.add(("192.0.2.2", 5060))
    net.dial()
    net.run(1)
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("network", 503)
    at_rest(net)


@pytest.mark.parametrize(
    "uri", ["sip:bob@nowhere.example", "tel:+49301234", "bob", "sip:bob@192.0.2.2;transport=sctp"]
)
def test_it_is_not_known_where(uri: str) -> None:
    net = Pair()
    net.dial(uri=uri)
    net.run(40)
    assert net.a.last(Ended).by == "network"
    at_rest(net)


def test_an_unusable_offer_is_refused_by_the_agent() -> None:
    net = Pair()
    net.dial(media=media(codecs=("opus",)))
    net.run(0.1)
    net.tell_b(
        net.b.agent.answer,
        net.b.last(InviteReceived).call,
        media("192.0.2.2", 5000, codecs=("PCMU",)),
        net.now,
    )
    net.run(1)
    assert (net.b.last(Ended).by, net.b.last(Ended).status) == ("local", 488)
    assert net.a.last(Ended).status == 488
    at_rest(net)


def test_srtp() -> None:
    net = Pair()
    net.up(media=media(srtp=Srtp.REQUIRED))
    plan, far = net.a.last(Answered).plan, net.b.last(Confirmed).plan
    assert plan.secured
    assert (plan.send_keys, plan.receive_keys) == (far.receive_keys, far.send_keys)


# --- a bad network ---------------------------------------------------------------------------------------------------


def test_the_answer_is_sent_until_it_is_acknowledged_and_acknowledged_each_time() -> None:
    net = Pair()
    lost = {"ACK": 3}

    def tamper(wired: Wired) -> bytes | None:
        if lost.get(wired.name, 0) > 0:
            lost[wired.name] -= 1
            return None
        return wired.data

    net.tamper = tamper
    net.up()
    net.run(10)
    assert net.names_sent.count("200 INVITE") == net.names_sent.count("ACK") == 4
    assert len(net.a.of(Answered)) == len(net.b.of(Confirmed)) == 1


def test_an_answer_that_is_never_acknowledged_ends_the_call() -> None:
    net = Pair()
    net.tamper = lambda wired: None if wired.name == "ACK" else wired.data
    net.up()
    net.run(40)
    assert (net.b.last(Ended).by, net.b.last(Ended).reason) == ("network", "no ACK")
    assert net.a.last(Ended).by == "remote"
    at_rest(net)


def test_a_bye_waits_for_the_ack() -> None:
    net = Pair()
    net.dial()
    net.run(0.1)
    theirs = net.b.last(InviteReceived).call
    net.tell_b(net.b.agent.answer, theirs, B_MEDIA, net.now)
    net.tell_b(net.b.agent.hang_up, theirs, net.now)
    net.run(1)
    assert net.names_sent.index("ACK") < net.names_sent.index("BYE")
    assert net.a.last(Ended).by == "remote"
    assert net.b.last(Ended).by == "local"
    at_rest(net)


def test_a_bye_that_waited_in_vain_is_sent_in_the_end() -> None:
    net = Pair()
    net.tamper = lambda wired: None if wired.name == "ACK" else wired.data
    net.dial()
    net.run(0.1)
    theirs = net.b.last(InviteReceived).call
    net.tell_b(net.b.agent.answer, theirs, B_MEDIA, net.now)
    net.tell_b(net.b.agent.hang_up, theirs, net.now)
    net.run(40)
    assert net.names_sent.count("BYE") >= 1
    assert net.a.last(Ended).by == "remote"
    at_rest(net)


SEEDS = st.integers(0, 2**32 - 1)


@examples(60)
@given(
    SEEDS,
    st.integers(0, 25),
    st.lists(st.sampled_from(("hold_a", "hold_b", "info", "digit", "free", "wait")), max_size=6),
    st.booleans(),
)
def test_whatever_is_lost_doubled_or_late_both_sides_agree_on_the_end(
    seed: int, loss: int, turns: list[str], a_ends: bool
) -> None:
    def delay_s(number: int) -> float | None:
        chance = (number * 2654435761 + seed) % 2**32
        return None if chance % 100 < loss else 0.001 + (chance >> 8) % 400 / 1000

    net = Pair(delay_s)
    mine = net.dial()
    for _ in range(30):
        net.run(1)
        if net.b.of(InviteReceived):
            break
    if not net.b.of(InviteReceived):
        at_rest(net)
        return
    theirs = net.b.last(InviteReceived).call
    net.tell_b(net.b.agent.ring, theirs, net.now)
    net.run(1)
    net.tell_b(net.b.agent.answer, theirs, B_MEDIA, net.now)
    net.run(2)
    for turn in turns:
        if turn.startswith("hold"):
            node, call = (net.a, mine) if turn == "hold_a" else (net.b, theirs)
            net.do(node, node.agent.hold(call, True, net.now))
        elif turn == "free":
            net.tell_a(net.a.agent.hold, mine, False, net.now)
            net.tell_b(net.b.agent.hold, theirs, False, net.now)
        elif turn == "info":
            net.tell_a(net.a.agent.send_info, mine, "text/plain", b"x", net.now)
        elif turn == "digit":
            net.tell_b(net.b.agent.send_digit, theirs, "5", 100, net.now)
        else:
            net.run(5)
    net.run(60)
    both_up = bool(net.a.agent.calls) and bool(net.b.agent.calls)
    if both_up:
        plan = net.a.agent._calls._sessions[mine].line.plan
        far = net.b.agent._calls._sessions[theirs].line.plan
        assert plan is not None
        assert far is not None
        assert (plan.sends, plan.receives) == (far.receives, far.sends)
    node, call = (net.a, mine) if a_ends else (net.b, theirs)
    net.do(node, node.agent.hang_up(call, net.now))
    at_rest(net)
    assert len(net.a.of(Ended)) == len(net.b.of(Ended)) == 1


# --- trunks, passwords, names ----------------------------------------------------------------------------------------

ACCOUNTS = {"bob": "s3cret"}


def test_a_stranger_needs_a_password_and_a_wrong_one_does_not_do() -> None:
    net = Pair()
    net.b = net.node("192.0.2.2", open_networks=(), accounts=ACCOUNTS)
    net.dial(username="bob", password="s3cret")
    net.run(1)
    assert net.b.last(InviteReceived).user == "bob"
    assert net.names_sent[:4] == ["INVITE", "401 INVITE", "ACK", "INVITE"]
    net.dial(username="bob", password="wrong")
    net.dial(username="nobody", password="s3cret")
    net.dial()
    net.run(1)
    assert [each.status for each in net.a.of(Ended)] == [401, 401, 401]
    assert len(net.b.of(InviteReceived)) == 1
    net.b.agent.set_accounts({})
    net.dial(username="bob", password="s3cret")
    net.run(1)
    assert net.a.last(Ended).status == 403


def test_credentials_serve_within_the_dialog_too() -> None:
    net = Pair()
    net.b = net.node("192.0.2.2", open_networks=(), accounts=ACCOUNTS)
    mine, _ = net.up(username="bob", password="s3cret")
    net.tell_a(net.a.agent.hold, mine, True, net.now)
    net.run(1)
    assert net.b.last(MediaChanged).plan.on_hold


def test_a_trunk_s_calls_are_known_by_their_network() -> None:
    net = Pair()
    net.b = net.node("192.0.2.2", open_networks=())
    for name in ("one", "two"):
        net.tell_b(net.b.agent.set_trunk, Trunk(name, networks=("192.0.2.0/24",)), net.now)
    net.dial(asserted="sip:+4930@192.0.2.1", diversion="sip:office@192.0.2.1")
    net.run(1)
    invite = net.b.last(InviteReceived)
    assert (invite.trunk, invite.trunks) == ("one", ("one", "two"))
    assert (invite.asserted, invite.diversion) == ("sip:+4930@192.0.2.1", "sip:office@192.0.2.1")
    net.tell_b(net.b.agent.remove_trunk, "one", net.now)
    net.tell_b(net.b.agent.remove_trunk, "two", net.now)
    net.tell_b(net.b.agent.remove_trunk, "two", net.now)
    net.dial()
    net.run(1)
    assert net.a.last(Ended).status == 403


def trunk(**values: object) -> Trunk:
    return Trunk("carrier", (Gateway("192.0.2.2", 5060),), **values)  # type: ignore[arg-type]


def test_calls_by_a_trunk() -> None:
    net = Pair()
    net.tell_a(net.a.agent.set_trunk, trunk(domain="carrier.example", username="acme"), net.now)
    dial = Dial("+49 30", media(), "carrier", "+49301", "Acme", asserted="+49302", diversion="+49303")
    net.do(net.a, net.a.agent.dial(dial, net.now)[1])
    net.do(net.a, net.a.agent.dial(Dial("+491", media(), "carrier"), net.now)[1])
    net.run(1)
    first, second = net.b.of(InviteReceived)
    assert first.uri == "sip:+49%2030@carrier.example"
    assert (first.caller.name, first.caller.uri) == ("Acme", "sip:+49301@carrier.example")
    assert (first.asserted, first.diversion) == ("sip:+49302@carrier.example", "sip:+49303@carrier.example")
    assert second.caller.uri == "sip:acme@carrier.example"
    assert second.asserted == ""


def test_a_trunk_registers_with_its_password_and_stops_when_it_is_taken_away() -> None:
    net = Pair()
    net.b = net.node("192.0.2.2", open_networks=(), accounts=ACCOUNTS)
    config = trunk(username="bob", password="s3cret", register=True, expires_s=100)
    net.tell_a(net.a.agent.set_trunk, config, net.now)
    net.run(1)
    assert (net.a.last(Registered).trunk, net.a.last(Registered).expires_s) == ("carrier", 100)
    # The same again changes nothing.
    net.tell_a(net.a.agent.set_trunk, config, net.now)
    net.run(100)
    assert net.names_sent.count("200 REGISTER") == 2
    assert net.names_sent.count("401 REGISTER") == 1
    net.tell_a(net.a.agent.remove_trunk, "carrier", net.now)
    net.run(300)
    assert net.names_sent.count("200 REGISTER") == 3
    assert net.a.agent.deadline is None


def test_a_trunk_that_changes_begins_anew() -> None:
    net = Pair()
    net.b = net.node("192.0.2.2", open_networks=(), accounts=ACCOUNTS)
    net.tell_a(net.a.agent.set_trunk, trunk(username="bob", password="wrong", register=True), net.now)
    net.run(1)
    assert (net.a.last(RegistrationFailed).status, net.a.last(RegistrationFailed).retry_s) == (401, None)
    net.tell_a(net.a.agent.set_trunk, trunk(username="bob", password="s3cret", register=True), net.now)
    net.run(1)
    assert net.a.of(Registered)
    net.tell_a(net.a.agent.set_trunk, trunk(), net.now)
    net.run(1)
    assert net.names_sent.count("200 REGISTER") == 2


def test_a_trunk_is_pinged_and_what_answers_comes_first() -> None:
    net = Pair()
    gateways = (Gateway("192.0.2.77"), Gateway("192.0.2.2", 5060))
    net.tell_a(net.a.agent.set_trunk, Trunk("carrier", gateways, ping_s=10.0), net.now)
    net.run(40)
    assert [type(event) for event in net.a.events] == [TrunkUp]
    net.do(net.a, net.a.agent.dial(Dial("1", media(), "carrier"), net.now)[1])
    net.run(0.5)
    assert len(net.b.of(InviteReceived)) == 1
    net.a.paths.blocked.add(("192.0.2.2", 5060))
    net.run(40)
    assert kinds(net.a)[-1] == TrunkDown.__name__
    net.a.paths.blocked.clear()
    net.run(40)
    assert kinds(net.a)[-1] == TrunkUp.__name__


def test_a_gateway_that_keeps_silent_is_given_up_for_the_next() -> None:
    net = Pair()
    gateways = (Gateway("192.0.2.77", 5060), Gateway("192.0.2.2", 5060))
    net.tell_a(net.a.agent.set_trunk, Trunk("carrier", gateways), net.now)
    net.do(net.a, net.a.agent.dial(Dial("1", media(), "carrier"), net.now)[1])
    net.run(PATIENCE_S + 1)
    assert len(net.b.of(InviteReceived)) == 1
    assert net.a.of(Ended) == []


def test_names_are_looked_up_and_the_next_place_is_tried() -> None:
    net = Pair()
    net.names[("SRV", "_sip._udp.carrier.example")] = [
        Srv(1, 0, 5060, "a.example"),
        Srv(2, 0, 5060, "b.example"),
    ]
    net.names[("ADDRESS", "a.example")] = [HostAddress("192.0.2.66")]
    net.names[("ADDRESS", "b.example")] = [HostAddress("192.0.2.2")]
    net.a.paths.blocked.add(("192.0.2.66", 5060))
    net.dial(uri="sip:bob@carrier.example")
    net.run(1)
    assert len(net.b.of(InviteReceived)) == 1
    assert len(net.a.lookups) >= 4


def test_one_question_about_a_place() -> None:
    net = Pair()
    key, actions = net.a.agent.ping("sip:192.0.2.2", net.now)
    net.do(net.a, actions)
    net.run(1)
    result = net.a.last(PingResult)
    assert (result.key, result.status) == (key, 200)
    assert result.round_trip_s == pytest.approx(0.02)
    net.b.agent.refuse_new(7)
    net.tell_a(net.a.agent.set_trunk, trunk(), net.now)
    net.do(net.a, net.a.agent.ping("", net.now, "carrier")[1])
    net.do(net.a, net.a.agent.ping("sip:192.0.2.99", net.now)[1])
    net.run(40)
    assert {each.status for each in net.a.of(PingResult)} == {200, 503, 0}


# --- who comes in ----------------------------------------------------------------------------------------------------


def test_when_there_is_no_room_the_caller_is_told_when_to_come_again() -> None:
    net = Pair()
    net.b.agent.refuse_new(9)
    net.dial()
    net.run(1)
    assert net.a.last(Ended).status == 503
    assert ("Retry-After", "9") in net.a.last(Ended).headers
    net.b.agent.refuse_new(None)
    net.dial()
    net.run(1)
    assert len(net.b.of(InviteReceived)) == 1


def test_so_many_calls_and_no_more() -> None:
    net = Pair(calls=2)
    for _ in range(3):
        net.dial()
    net.run(1)
    assert len(net.b.of(InviteReceived)) == 2
    assert net.a.last(Ended).status == 503


INVITE = (
    "INVITE sip:demo@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{n}\r\nFrom: <sip:a@192.0.2.1>;tag=1\r\n"
    "To: <sip:demo@192.0.2.2>{tag}\r\nCall-ID: raw{n}\r\nCSeq: 1 {method}\r\nContact: <sip:a@192.0.2.1>\r\n{more}\r\n{body}"
)


def raw(net: Pair, method: str = "INVITE", more: str = "", body: str = "", tag: str = "") -> Response | None:
    """What b answers to something that no agent of ours would send."""
    number = len(net.wire)
    text = INVITE.format(n=number, method=method, more=more, body=body, tag=tag).replace("INVITE", method, 1)
    flow = Flow("udp", ("192.0.2.2", 5060), ("192.0.2.1", 5060))
    actions = net.b.agent.receive(text.encode(), flow, net.now)
    sends = [parse(action.data) for action in actions if isinstance(action, Send)]
    net.do(net.b, [action for action in actions if not isinstance(action, Send)])
    finals = [each for each in sends if isinstance(each, Response)]
    return finals[-1] if finals else None


@pytest.mark.parametrize(
    ("method", "more", "body", "tag", "status"),
    [
        ("INVITE", "Require: weather\r\n", "", "", 420),
        ("INVITE", "Supported: timer\r\nSession-Expires: 10\r\n", "", "", 422),
        ("INVITE", "Content-Type: text/plain\r\n", "hello", "", 415),
        ("INVITE", "Replaces: nonsense\r\n", "", "", 400),
        ("INVITE", "Replaces: a;to-tag=1;from-tag=2\r\n", "", "", 481),
        ("INVITE", "Replaces: a;to-tag=1;from-tag=2\r\nReplaces: a;to-tag=1;from-tag=2\r\n", "", "", 400),
        ("INVITE", "", "", ";tag=9", 481),
        ("BYE", "", "", ";tag=9", 481),
        ("BYE", "", "", "", 481),
        ("NOTIFY", "", "", "", 489),
        ("REGISTER", "Expires: 60\r\n", "", "", 200),
        ("SUBSCRIBE", "", "", "", 405),
        ("OPTIONS", "", "", "", 200),
        ("INVITE", 'P-Asserted-Identity: "x\r\nDiversion: <sip:y@z>\r\n', "", "", 100),
    ],
)
def test_what_comes_in_and_is_answered_at_once(
    method: str, more: str, body: str, tag: str, status: int
) -> None:
    net = Pair()
    answer = raw(net, method, more, body, tag)
    assert answer is not None
    assert answer.status == status


def test_a_telephone_may_believe_that_it_is_registered() -> None:
    net = Pair()
    answer = raw(net, "REGISTER", "Expires: 60\r\n")
    assert answer is not None
    assert answer.headers.get("contact") == "<sip:a@192.0.2.1>;expires=60"


def test_an_ack_to_nothing_and_an_end_of_nothing() -> None:
    net = Pair()
    assert raw(net, "ACK", tag=";tag=9") is None
    assert net.b.agent.hang_up("nobody", net.now) == []
    assert net.b.agent.looked_up("SRV", "nobody", (), net.now) == []


def test_scanners_are_not_heard_and_others_are() -> None:
    net = Pair()
    net.b = net.node("192.0.2.2", open_networks=(), accounts=ACCOUNTS)
    assert raw(net, more="User-Agent: friendly-scanner\r\n") is None
    assert net.b.last(Banned).why == "scanner"
    assert raw(net, "OPTIONS") is None
    assert net.b.agent.shuns("192.0.2.1", net.now)
    net.tell_b(net.b.agent.set_trunk, Trunk("t", networks=("192.0.2.1/32",)), net.now)
    assert raw(net, "OPTIONS") is not None
    assert not net.b.agent.shuns("192.0.2.1", net.now)


def test_who_sends_nonsense_is_banned_within_seconds() -> None:
    net = Pair()
    net.b = net.node("192.0.2.2", open_networks=())
    flow = Flow("udp", ("192.0.2.2", 5060), ("203.0.113.5", 5060))
    for _ in range(20):
        net.do(
            net.b,
            net.b.agent.receive(
                b"INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n", flow, net.now
            ),
        )
        net.run(0.1)
    assert (net.b.last(Banned).address, net.b.last(Banned).why) == ("203.0.113.5", "malformed")
    assert len(net.b.of(Banned)) == 1


# --- transfers with Replaces -----------------------------------------------------------------------------------------


def replaces_of(net: Pair, call: str) -> str:
    """The Replaces field that means b's call."""
    session = next(each for each in net.b.agent._calls._sessions.values() if each.line.key == call)
    dialog = session.line.dialog
    assert dialog is not None
    return f"{dialog.call_id};to-tag={dialog.local_tag};from-tag={dialog.remote_tag}"


def test_a_call_takes_the_place_of_another() -> None:
    net = Pair()
    _, theirs = net.up()
    net.dial(replaces=replaces_of(net, theirs))
    net.run(1)
    invite = net.b.last(InviteReceived)
    assert invite.replaces == theirs
    net.tell_b(net.b.agent.answer, invite.call, B_MEDIA, net.now)
    net.run(1)
    assert (net.b.last(Ended).call, net.b.last(Ended).cause) == (theirs, Reason("SIP", 200, "replaced"))
    assert net.b.agent.calls == (invite.call,)


def test_which_calls_may_be_replaced() -> None:
    net = Pair()
    net.dial()
    net.run(0.5)
    early = net.b.last(InviteReceived).call
    wanted = replaces_of(net, early)
    # A call that rings here was begun by somebody else (RFC 3891 3).
    net.dial(replaces=wanted)
    net.run(0.5)
    assert net.a.last(Ended).status == 481
    net.tell_b(net.b.agent.answer, early, B_MEDIA, net.now)
    net.run(0.5)
    net.dial(replaces=f"{wanted};early-only")
    net.run(0.5)
    assert net.a.last(Ended).status == 486
    net.tell_b(net.b.agent.hang_up, early, net.now)
    net.dial(replaces=wanted)
    net.run(0.5)
    assert net.a.last(Ended).status == 603
    net.dial(replaces=wanted.replace("from-tag=", "from-tag=x"))
    net.run(0.5)
    assert net.a.last(Ended).status == 481


def test_a_call_of_ours_that_still_rings_may_be_replaced() -> None:
    net = Pair()
    calls, actions = net.b.agent.dial(Dial("sip:alice@192.0.2.1", media("192.0.2.2")), net.now)
    net.do(net.b, actions)
    net.run(0.5)
    net.tell_a(net.a.agent.ring, net.a.last(InviteReceived).call, net.now)
    net.run(0.5)
    net.dial(replaces=replaces_of(net, calls))
    net.run(0.5)
    assert net.b.last(InviteReceived).replaces == calls
    net.tell_b(net.b.agent.answer, net.b.last(InviteReceived).call, B_MEDIA, net.now)
    net.run(0.5)
    assert net.b.last(Ended).call == calls


def test_a_transfer_from_beginning_to_end() -> None:
    net = Pair()
    c = net.node("192.0.2.3")
    mine, theirs = net.up()
    net.tell_b(net.b.agent.refer, theirs, "sip:carol@192.0.2.3", net.now)
    net.run(0.5)
    refer = net.a.last(ReferReceived)
    net.tell_a(net.a.agent.accept_refer, mine, net.now)
    call, actions = net.a.agent.dial(Dial(refer.target, media(port=4002), headers=refer.headers), net.now)
    net.do(net.a, actions)
    net.run(0.5)
    assert ("Referred-By", refer.referred_by) in c.last(InviteReceived).headers
    net.do(c, c.agent.answer(c.last(InviteReceived).call, media("192.0.2.3"), net.now))
    net.run(0.5)
    net.tell_a(net.a.agent.refer_status, mine, 200, "OK", net.now)
    net.run(0.5)
    assert (net.b.last(ReferProgress).status, net.b.last(ReferProgress).final) == (200, True)
    net.tell_b(net.b.agent.hang_up, theirs, net.now)
    net.run(0.5)
    assert net.a.agent.calls == (call,)
    net.tell_a(net.a.agent.refuse_refer, call, 603, net.now)
    assert json.dumps(net.a.agent.snapshot(call, net.now))


def test_a_request_within_a_call_and_within_none() -> None:
    net = Pair()
    mine, _ = net.up()
    net.tell_a(net.a.agent.send, mine, "1", "MESSAGE", (("X-A", "b"),), b"", net.now)
    net.tell_a(net.a.agent.send, mine, "2", "INFO", (("Content-Type", "text/plain"),), b"hello", net.now)
    net.do(net.a, net.a.agent.send("nobody", "3", "INFO", (), b"", net.now))
    net.run(1)
    found = {each.key: (each.call, each.status) for each in net.a.of(RequestAnswered)}
    assert found == {"1": (mine, 405), "2": (mine, 200), "3": ("nobody", 0)}
    assert net.b.last(InfoReceived).body == b"hello"


def test_other_words_arrive() -> None:
    net = Pair()
    mine, _ = net.up()
    net.tell_a(net.a.agent.send_digit, mine, "9", 120, net.now)
    net.tell_a(net.a.agent.send_info, mine, "text/plain", b"hello", net.now)
    net.tell_a(net.a.agent.renegotiate, mine, media("192.0.2.1", 4010), net.now)
    net.run(1)
    assert net.b.last(DigitReceived).digit == "9"
    assert net.b.last(InfoReceived).body == b"hello"
    assert [each.status for each in net.a.of(InfoSent)] == [200, 200]
    assert net.b.last(MediaChanged).plan.remote.port == 4010
    assert net.a.of(MediaRefused) == []
    assert kinds(net.a)[0] == "Answered"
    assert isinstance(net.wire[0].message, Request)


def test_a_call_that_another_agent_had() -> None:
    net = Pair()
    mine, _ = net.up()
    values = net.a.agent.snapshot(mine, net.now)
    assert values is not None
    other = net.node("192.0.2.1")
    key, actions = other.agent.take_up(values, net.now)
    assert (key, actions, other.agent.calls) == (mine, [], (mine,))
    assert other.agent.deadline is not None


def test_what_belongs_to_nothing_is_passed_over() -> None:
    net = Pair()
    flow = Flow("udp", ("192.0.2.2", 5060), ("192.0.2.1", 5060))
    invite = parse(INVITE.format(n=1, tag=";tag=9", method="INVITE", more="", body="").encode())
    assert isinstance(invite, Request)
    net.b.agent._one(Cancelled("nothing", invite, flow))
    net.b.agent._one(AckReceived(invite, flow))
    net.b.agent._calls.touch("nobody")
    assert net.b.agent._settled() == []


def test_a_question_that_is_answered_twice_is_told_once_it_is_final() -> None:
    net = Network()
    node, peer = net.node("192.0.2.1"), Peer(net)
    peer.replies = lambda request: [reply(request, 100), reply(request, 200)]
    net.do(node, node.agent.ping("sip:192.0.2.9", 0.0)[1])
    net.run(1)
    assert len(node.of(PingResult)) == 1


# --- somewhere else --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trunk", ["", "t"])
def test_a_call_is_followed_directly_or_through_a_trunk(trunk: str) -> None:
    net = Network()
    a = net.node("192.0.2.1")
    first, second = Peer(net, "192.0.2.8"), Peer(net)
    net.do(a, a.agent.set_trunk(Trunk("t", (Gateway("192.0.2.9"),)), net.now))

    def moved(request: Request) -> list[Response]:
        if request.method != "INVITE":
            return []
        made = reply(request, 302)
        made.headers.set("Contact", "<sip:carol@192.0.2.9>")
        return [made]

    first.replies = moved
    call, actions = a.agent.dial(Dial("sip:bob@192.0.2.8", media(), from_uri="sip:alice@192.0.2.1"), net.now)
    net.do(a, actions)
    net.run(0.1)
    uri = "sip:+4930@carrier.example" if trunk else ""
    net.do(a, a.agent.follow(call, "sip:carol@192.0.2.9", net.now, uri=uri, trunk=trunk))
    net.run(0.1)
    assert second.requests("INVITE")[0].uri == (uri or "sip:carol@192.0.2.9")


def test_a_call_is_not_followed() -> None:
    net = Network()
    a = net.node("192.0.2.1")
    peer = Peer(net)
    peer.replies = lambda request: [reply(request, 302)] if request.method == "INVITE" else []
    call, actions = a.agent.dial(Dial("sip:bob@192.0.2.9", media(), from_uri="sip:alice@192.0.2.1"), net.now)
    net.do(a, actions)
    net.run(0.1)
    net.do(a, a.agent.refuse_redirect(call, net.now))
    assert a.last(Ended).status == 302

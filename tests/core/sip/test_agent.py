"""Whole calls between two agents over a network in virtual time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.plan import Codec
from aywa.core.sip.agent import Dial
from aywa.core.sip.asking import PATIENCE_S
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
    TrunkDown,
    TrunkUp,
)
from aywa.core.sip.flow import Flow, Send
from aywa.core.sip.message import Request, Response, parse
from aywa.core.sip.offer import Srtp
from aywa.core.sip.resolve import HostAddress, Srv
from aywa.core.sip.trunk import Gateway, Trunk
from tests.core.feed import examples
from tests.core.sip.network import Network, Node, Pair, Wired, media

B_MEDIA = media("192.0.2.2", 5000)


def kinds(node: Node) -> list[str]:
    return [type(event).__name__ for event in node.events]


def at_rest(net: Network) -> None:
    """Long after, nothing is left of anything."""
    net.run(4000)
    for node in net.nodes.values():
        assert node.agent.calls == ()
        assert node.agent._sessions == {}
        assert node.agent._by_dialog == {}
        assert node.agent._by_invite == {}
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
    _, theirs = net.up()
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
        plan = net.a.agent._sessions[mine].line.plan
        far = net.b.agent._sessions[theirs].line.plan
        assert plan is not None
        assert far is not None
        assert (plan.sends, plan.receives) == (far.receives, far.sends)
    node, call = (net.a, mine) if a_ends else (net.b, theirs)
    net.do(node, node.agent.hang_up(call, net.now))
    at_rest(net)
    assert len(net.a.of(Ended)) == len(net.b.of(Ended)) == 1

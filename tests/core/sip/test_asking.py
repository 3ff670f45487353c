"""Requests of ours: one place after the other, with credentials, to the last word."""

from __future__ import annotations

import pytest

from aywa.core.sip.asking import LOOKUP_S, MOST_NAMES, PATIENCE_S, Asking, contact_uri
from aywa.core.sip.dial import Dial
from aywa.core.sip.digest import DigestServer
from aywa.core.sip.endpoint import Endpoint
from aywa.core.sip.events import Answered, Ended, Lookup, PingResult
from aywa.core.sip.flow import Flow, Send
from aywa.core.sip.line import Ask, Hop, unconcerned
from aywa.core.sip.message import Request, Response
from aywa.core.sip.resolve import HostAddress
from aywa.core.sip.trunk import Gateway, Trunk
from tests.core.sip.lines import asked
from tests.core.sip.network import OFFER, Called, Network, Pair, Paths, Peer, answers, media, reply

SECRETS = {"me": "secret"}


def guarded(*, proxy: bool = False, stale: int = 0) -> Called:
    """A far side that wants a password, and says stale so often."""
    server = DigestServer("r", b"k" * 32, SECRETS.get)
    left = [stale]
    count = [0]

    def replies(request: Request) -> list[Response]:
        if request.method == "ACK":
            return []
        verdict = server.verify(request, 0.0, proxy=proxy)
        good = verdict.proof == "proven" and left[0] == 0
        if good:
            return answers(request)
        old = verdict.proof == "proven"
        left[0] -= old
        count[0] += 1
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        fields = [(name, each) for each in server.challenge(f"salt{count[0]}", 0.0, stale=old)]
        return [reply(request, 407 if proxy else 401, *fields)]

    return Called(replies)


def test_a_challenge_is_met_once_and_the_same_words_serve_again() -> None:
    for proxy in (False, True):
        net = guarded(proxy=proxy)
        net.dial(username="me", password="secret")
        assert len(net.a.of(Answered)) == 1
        invites = net.peer.requests("INVITE")
        assert [each.cseq.number for each in invites] == [1, 2]
        assert invites[0].via.branch != invites[1].via.branch
        assert net.peer.requests("ACK")[-1].cseq.number == 2
        net.tell(net.a.agent.hang_up, net.now)
        net.run(1)
        assert net.peer.statuses("BYE") == []
        assert [each.cseq.number for each in net.peer.requests("BYE")][-1] >= 3


def test_a_nonce_that_has_grown_old_is_asked_for_again() -> None:
    net = guarded(stale=1)
    net.dial(username="me", password="secret")
    assert len(net.peer.requests("INVITE")) == 3
    assert len(net.a.of(Answered)) == 1


def test_wrong_words_are_not_repeated() -> None:
    net = guarded()
    net.dial(username="me", password="wrong")
    assert len(net.peer.requests("INVITE")) == 2
    assert net.a.last(Ended).status == 401


def test_a_challenge_after_the_call_was_given_up() -> None:
    net = Called(lambda request: [])
    net.dial(username="me", password="secret")
    net.tell(net.a.agent.hang_up, net.now)
    server = DigestServer("r", b"k" * 32, SECRETS.get)
    invite = net.peer.requests("INVITE")[0]
    net.peer.send(reply(invite, 401, ("WWW-Authenticate", server.challenge("s", 0.0)[0])))
    assert len(net.peer.requests("INVITE")) == 1
    net.run(100)
    assert len(net.a.agent.asking) == 0


# --- places ----------------------------------------------------------------------------------------------------------


def two_gateways(*hosts: str) -> tuple[Network, list[Peer]]:
    net = Network()
    node = net.node("192.0.2.1")
    peers = [Peer(net, host) for host in hosts]
    gateways = tuple(Gateway(host, 5060) for host in hosts)
    net.do(node, node.agent.set_trunk(Trunk("t", gateways), 0.0))
    return net, peers


def dial(net: Network, uri: str = "1", trunk: str = "t") -> str:
    node = net.nodes["192.0.2.1", 5060]
    call, actions = node.agent.dial(Dial(uri, media(), trunk), net.now)
    net.do(node, actions)
    return call


def test_who_cannot_is_passed_over() -> None:
    net, (sick, well) = two_gateways("192.0.2.8", "192.0.2.9")
    sick.replies = lambda request: [reply(request, 503)] if request.method == "INVITE" else []
    well.replies = answers
    dial(net)
    net.run(1)
    assert len(net.nodes["192.0.2.1", 5060].of(Answered)) == 1
    assert [each.cseq.number for each in well.requests("INVITE")] == [2]
    # Both cannot: the last answer is told.
    well.replies = sick.replies
    dial(net)
    net.run(1)
    assert net.nodes["192.0.2.1", 5060].last(Ended).status == 503


def test_who_answers_too_late_is_hung_up() -> None:
    net, (slow, well) = two_gateways("192.0.2.8", "192.0.2.9")
    well.replies = answers
    dial(net)
    net.run(PATIENCE_S + 0.5)
    assert len(net.nodes["192.0.2.1", 5060].of(Answered)) == 1
    invite = slow.requests("INVITE")[0]
    slow.send(reply(invite, 180))
    assert len(slow.requests("CANCEL")) == 1
    slow.send(reply(invite, 200, body=OFFER))
    # Its Contact is where the other one is.
    assert len(well.requests("ACK")) == 2
    assert len(well.requests("BYE")) == 1
    slow.replies = answers
    net.run(100)
    assert len(net.nodes["192.0.2.1", 5060].of(Answered)) == 1
    # A response to nothing.
    slow.send(reply(invite, 200, body=OFFER))
    assert len(well.requests("ACK")) == 2


def test_given_up_while_the_name_is_looked_up() -> None:
    net = Network()
    node = net.node("192.0.2.1")
    call, actions = node.agent.dial(Dial("sip:x@slow.example", media()), 0.0)
    assert [type(action) for action in actions] == [Lookup]
    ended = node.agent.hang_up(call, 0.1)
    assert [type(action) for action in ended] == [Ended]
    assert len(node.agent.asking) == 0
    assert node.agent.looked_up("NAPTR", "slow.example", (), 0.2) == []


def test_a_name_that_never_comes() -> None:
    net = Network()
    node = net.node("192.0.2.1")
    _, actions = node.agent.dial(Dial("sip:x@slow.example:5060", media()), 0.0)
    assert actions == [Lookup("ADDRESS", "slow.example")]
    assert node.agent.deadline == LOOKUP_S
    (ended,) = node.agent.wake(LOOKUP_S)
    assert isinstance(ended, Ended)
    assert ended.reason == "nowhere"


def test_a_name_that_was_looked_up_is_remembered_for_a_while() -> None:
    net = Network()
    node = net.node("192.0.2.1")
    node.agent.dial(Dial("sip:x@h.example:5060", media()), 0.0)
    sends = node.agent.looked_up("ADDRESS", "h.example", [HostAddress("192.0.2.9")], 0.0)
    assert [type(action) for action in sends] == [Send]
    _, again = node.agent.dial(Dial("sip:x@h.example:5060", media()), 1.0)
    assert [type(action) for action in again] == [Send]
    _, later = node.agent.dial(Dial("sip:x@h.example:5060", media()), 100.0)
    assert [type(action) for action in later] == [Lookup]
    for number in range(MOST_NAMES + 5):
        node.agent.looked_up("ADDRESS", f"h{number}", (), 100.0)


def test_two_that_wait_for_the_same_name() -> None:
    node = Network().node("192.0.2.1")
    node.agent.dial(Dial("sip:x@h.example:5060", media()), 0.0)
    node.agent.dial(Dial("sip:y@h.example:5060", media()), 0.0)
    node.agent.dial(Dial("sip:y@other.example:5060", media()), 0.0)
    sends = node.agent.looked_up("ADDRESS", "h.example", [HostAddress("192.0.2.9")], 0.0)
    assert [type(action) for action in sends] == [Send, Send]


class NoPaths(Paths):
    def flow_to(self, transport: str, remote: tuple[str, int], name: str) -> Flow | None:
        return None


def asking(paths: Paths | None = None) -> tuple[Asking, list[object], list[str]]:
    out: list[object] = []
    failures: list[str] = []
    endpoint = Endpoint(lambda: str(len(out)), b"k" * 32)
    return Asking(endpoint, paths or Paths(("192.0.2.1", 5060)), lambda count: 0, out.extend), out, failures


def test_there_is_no_way() -> None:
    made, out, failures = asking(NoPaths(("192.0.2.1", 5060)))
    hop = Hop(("nonsense", "tel:1", "sip:192.0.2.9", "sip:192.0.2.8"))
    made.ask(Ask(asked("OPTIONS"), hop, unconcerned, failures.append, lambda: 2), None, 0.0)
    made.pass_on(asked("ACK"), hop, 0.0)
    made.pass_on(asked("ACK"), Hop(("sip:name.example",)), 0.0)
    assert (failures, out) == (["nowhere"], [])
    made.cancel(99, (), 0.0)
    made.failed("c|x", "timeout", 0.0)


def test_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _, failures = asking()
    monkeypatch.setattr("aywa.core.sip.asking.MOST_ASKS", 1)
    for _ in range(2):
        hop = Hop(("sip:name.example",))
        made.ask(Ask(asked("OPTIONS"), hop, unconcerned, failures.append, lambda: 2), None, 0.0)
    assert failures == ["overload"]


def test_a_connection_that_is_gone_is_opened_again() -> None:
    net = Pair()
    made = Flow("tcp", ("192.0.2.1", 5060), ("192.0.2.2", 5060), "old")
    net.do(net.a, net.a.agent.ping("sip:192.0.2.2;transport=tcp", 0.0)[1])
    net.run(1)
    assert net.a.last(PingResult).status == 200
    assert net.wire[0].message.via.transport == "TCP"
    a, sent, failures = asking()
    a.ask(
        Ask(
            asked("OPTIONS"),
            Hop(("sip:192.0.2.2;transport=tcp",), made),
            unconcerned,
            failures.append,
            lambda: 2,
        ),
        None,
        0.0,
    )
    first = sent[0]
    assert isinstance(first, Send)
    assert first.flow.connection_id == "old"
    for action in a._endpoint.flow_failed(made, 1.0):
        a.failed(getattr(action, "key", ""), "transport", 1.0)
    again = sent[-1]
    assert isinstance(again, Send)
    assert again.flow.connection_id is None
    assert b"CSeq: 2 OPTIONS" in again.data
    assert failures == []


def test_addresses_of_ours() -> None:
    assert contact_uri(Flow("udp", ("h", 1), ("r", 2)), "2001:db8::1", 5060) == "sip:aywa@[2001:db8::1]:5060"
    assert contact_uri(Flow("tls", ("h", 1), ("r", 2)), "[::1]", 5061) == "sip:aywa@[::1]:5061;transport=tls"


def test_a_place_that_was_left_fails_unheard_and_a_second_name_is_asked_for() -> None:
    net, (slow, well) = two_gateways("192.0.2.8", "192.0.2.9")
    well.replies = lambda request: [reply(request, 180)] if request.method == "INVITE" else []
    dial(net)
    node = net.nodes["192.0.2.1", 5060]
    # The first never says anything: its transaction fails after the second has begun to ring.
    net.run(40)
    assert len(slow.requests("INVITE")) > 1
    assert node.of(Ended) == []
    made, out, failures = asking()
    made.ask(
        Ask(asked("OPTIONS"), Hop(("sip:name.example",)), unconcerned, failures.append, lambda: 2), None, 0.0
    )
    made.wake(LOOKUP_S)
    made.wake(2 * LOOKUP_S)
    assert out == [
        Lookup("NAPTR", "name.example"),
        Lookup("SRV", "_sip._udp.name.example"),
        Lookup("SRV", "_sip._tcp.name.example"),
    ]
    assert failures == []


def test_who_has_said_something_is_not_left_for_another() -> None:
    net, (slow, well) = two_gateways("192.0.2.8", "192.0.2.9")
    slow.replies = lambda request: [reply(request, 180)] if request.method == "INVITE" else []
    dial(net)
    net.run(10)
    node = net.nodes["192.0.2.1", 5060]
    flow = Flow("udp", node.local, slow.local)
    net.do(node, node.agent.flow_lost(flow, net.now))
    assert (node.last(Ended).by, node.last(Ended).status) == ("network", 503)
    assert well.requests("INVITE") == []

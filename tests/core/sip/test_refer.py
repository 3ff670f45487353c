"""Transfers: asked for and done, both ways."""

from __future__ import annotations

import pytest

from aywa.core.sip.dialog import Dialog
from aywa.core.sip.events import ReferProgress, ReferReceived
from aywa.core.sip.message import Request, Response
from aywa.core.sip.refer import NEWS_S, SIPFRAG, Replaces, read_fragment, read_replaces
from tests.core.sip.network import Called, Calling, answers, reply

FRAGMENT = ("Content-Type", f"{SIPFRAG};version=2.0")
EVENT = ("Event", "refer")


def called(status: int = 202, *fields: tuple[str, str]) -> Called:
    def replies(request: Request) -> list[Response]:
        if request.method == "REFER":
            return [reply(request, status, *fields)] if status else []
        return answers(request)

    net = Called(replies)
    net.dial()
    return net


def notify(net: Called, body: bytes, state: str = "active") -> int:
    dialog = net.dialog
    dialog.local_cseq = 100 + len(net.peer.received)
    net.peer.send(dialog.request("NOTIFY", (EVENT, ("Subscription-State", state), FRAGMENT), body))
    return net.peer.statuses("NOTIFY")[-1]


# --- ours ------------------------------------------------------------------------------------------------------------


def test_a_blind_transfer() -> None:
    net = called()
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now, headers=(("X-Why", "x"),))
    (refer,) = net.peer.requests("REFER")
    assert refer.headers.get("refer-to") == "<sip:carol@192.0.2.3>"
    assert refer.headers.get("referred-by") == "<sip:alice@192.0.2.1>"
    assert refer.headers.get("x-why") == "x"
    assert notify(net, b"SIP/2.0 180 Ringing\r\n") == 200
    assert notify(net, b"SIP/2.0 200 OK\r\n", "terminated;reason=noresource") == 200
    assert notify(net, b"SIP/2.0 200 OK\r\n", "terminated") == 200
    told = [(each.status, each.final) for each in net.a.of(ReferProgress)]
    assert told == [(180, False), (200, True)]


def test_an_attended_transfer_names_the_other_dialog() -> None:
    net = called()
    first = net.call
    net.dial()
    second = net.call
    net.call = first
    net.tell(net.a.agent.refer, "", net.now, replaces_call=second)
    refer_to = net.peer.requests("REFER")[0].headers.get("refer-to") or ""
    other = net.peer.requests("INVITE")[1]
    assert refer_to.startswith("<sip:peer@192.0.2.9?Replaces=")
    assert f"{other.call_id}%3Bto-tag%3Dp1%3Bfrom-tag%3D{other.from_address.tag}" in refer_to
    net = called()
    first = net.call
    net.dial()
    other_call, net.call = net.call, first
    net.tell(net.a.agent.refer, "sip:x@192.0.2.9?X-A=1", net.now, replaces_call=other_call)
    assert "?X-A=1&Replaces=" in (net.peer.requests("REFER")[0].headers.get("refer-to") or "")


def test_one_transfer_at_a_time() -> None:
    net = called(100)
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now)
    net.tell(net.a.agent.refer, "sip:dave@192.0.2.3", net.now)
    assert [(each.status, each.final) for each in net.a.of(ReferProgress)] == [(491, True)]


@pytest.mark.parametrize(
    ("status", "fields", "told"),
    [(603, (), 603), (202, (("Refer-Sub", "false"),), 202)],
)
def test_what_is_answered_at_once(status: int, fields: tuple[tuple[str, str], ...], told: int) -> None:
    net = called(status, *fields)
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now)
    last = net.a.last(ReferProgress)
    assert (last.status, last.final) == (told, True)


def test_no_answer_and_no_news() -> None:
    net = called(0)
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now)
    net.run(40)
    assert (net.a.last(ReferProgress).status, net.a.last(ReferProgress).final) == (408, True)
    net = called()
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now)
    net.run(NEWS_S + 1)
    assert (net.a.last(ReferProgress).status, net.a.last(ReferProgress).reason) == (408, "no news")
    net = called()
    net.a.paths.blocked.add(net.peer.local)
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now)
    assert net.a.last(ReferProgress).status == 503


def test_an_answer_after_the_news() -> None:
    net = called(0)
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now)
    notify(net, b"SIP/2.0 200 OK\r\n")
    net.peer.send(reply(net.peer.requests("REFER")[0], 202))
    assert len(net.a.of(ReferProgress)) == 1


def test_a_subscription_that_ends_without_a_result() -> None:
    net = called()
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now)
    assert notify(net, b"") == 200
    assert net.a.of(ReferProgress) == []
    notify(net, b"", "terminated")
    assert (net.a.last(ReferProgress).status, net.a.last(ReferProgress).reason) == (480, "no result")


@pytest.mark.parametrize("event", [(), (("Event", "presence"),), (("Event", 'refer;id="'),)])
def test_news_of_something_else(event: tuple[tuple[str, str], ...]) -> None:
    net = called()
    net.peer.send(net.dialog.request("NOTIFY", event))
    assert net.peer.statuses("NOTIFY") == [489]


# --- the far side's --------------------------------------------------------------------------------------------------


def test_what_the_far_side_asks_for_is_told_done_and_told_of() -> None:
    net = Calling()
    call = net.up()
    target = "<sip:carol@192.0.2.3;method=INVITE?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2&X-Why=x&Subject=no>"
    net.peer.send(refer(net, target, ("Referred-By", "<sip:peer@192.0.2.9>")))
    received = net.a.last(ReferReceived)
    assert (received.call, received.target, received.replaces) == (call, "sip:carol@192.0.2.3", "")
    assert received.referred_by == "<sip:peer@192.0.2.9>"
    assert received.headers == (
        ("Replaces", "abc;to-tag=1;from-tag=2"),
        ("X-Why", "x"),
        ("Referred-By", "<sip:peer@192.0.2.9>"),
    )
    net.tell(net.a.agent.accept_refer, net.now)
    net.tell(net.a.agent.accept_refer, net.now)
    net.tell(net.a.agent.refer_status, 180, "", net.now)
    net.tell(net.a.agent.refer_status, 200, "O\r\nK", net.now)
    net.tell(net.a.agent.refer_status, 200, "OK", net.now)
    assert net.peer.statuses("REFER") == [202]
    news = net.peer.requests("NOTIFY")
    assert [each.body for each in news] == [
        b"SIP/2.0 100 Trying\r\n",
        b"SIP/2.0 180 Ringing\r\n",
        b"SIP/2.0 200 O  K\r\n",
    ]
    assert [each.headers.get("subscription-state") for each in news][-1] == "terminated;reason=noresource"
    assert news[0].headers.get("event") == "refer;id=50"


def refer(net: Calling, target: str, *fields: tuple[str, str], cseq: int = 50) -> Request:
    session = next(iter(net.a.agent._calls._sessions.values()))
    assert session.line.dialog is not None
    ours = session.line.dialog
    dialog = Dialog(ours.call_id, ours.remote, ours.local, "sip:demo@192.0.2.1", (), cseq - 1)
    return dialog.request("REFER", (("Refer-To", target), *fields))


def test_one_of_our_own_calls_may_be_meant() -> None:
    net = Calling()
    call = net.up()
    dialog = net.dialog
    wanted = f"{dialog.call_id}%3Bto-tag%3D{dialog.remote_tag}%3Bfrom-tag%3D{dialog.local_tag}"
    net.peer.send(refer(net, f"<sip:demo@192.0.2.1?Replaces={wanted}>"))
    assert net.a.last(ReferReceived).replaces == call
    net.peer.send(refer(net, "<sip:carol@192.0.2.3>", cseq=60))
    assert net.peer.statuses("REFER") == [491]
    net.tell(net.a.agent.refuse_refer, 603, net.now)
    net.tell(net.a.agent.refuse_refer, 603, net.now)
    assert net.peer.statuses("REFER") == [491, 603]


def test_without_news_if_none_are_wanted() -> None:
    net = Calling()
    net.up()
    net.peer.send(refer(net, "<tel:+4930123>", ("Refer-Sub", "false")))
    assert net.a.last(ReferReceived).target == "tel:+4930123"
    net.tell(net.a.agent.accept_refer, net.now)
    assert net.peer.responses("REFER")[-1].headers.get("refer-sub") == "false"
    net.tell(net.a.agent.refer_status, 200, "OK", net.now)
    assert net.peer.requests("NOTIFY") == []


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("nonsense", 400),
        ("<http://example.com>", 400),
        ("<sip:x@192.0.2.3;method=BYE>", 501),
        ("<sip:a", 400),
    ],
)
def test_what_cannot_be_done(target: str, status: int) -> None:
    net = Calling()
    net.up()
    net.peer.send(refer(net, target))
    assert net.peer.statuses("REFER") == [status]
    assert net.a.of(ReferReceived) == []


def test_two_targets() -> None:
    net = Calling()
    net.up()
    net.peer.send(refer(net, "<sip:x@192.0.2.3>", ("Refer-To", "<sip:y@192.0.2.3>")))
    assert net.peer.statuses("REFER") == [400]


def test_news_after_the_end_are_not_told() -> None:
    net = Calling()
    net.up()
    net.peer.send(refer(net, "<sip:x@192.0.2.3>"))
    net.tell(net.a.agent.accept_refer, net.now)
    net.tell(net.a.agent.hang_up, net.now)
    net.tell(net.a.agent.refer_status, 200, "OK", net.now)
    net.tell(net.a.agent.refer, "sip:x@192.0.2.3", net.now)
    assert len(net.peer.requests("NOTIFY")) == 1
    assert net.peer.requests("REFER") == []


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "replaces"),
    [
        ("a@b;to-tag=1;from-tag=2", Replaces("a@b", "1", "2")),
        ("a@b;from-tag=2;to-tag=1;early-only", Replaces("a@b", "1", "2", True)),
        ("a@b;to-tag=1", None),
        ("a@b;from-tag=1", None),
        (";to-tag=1;from-tag=2", None),
        ('a;to-tag="1', None),
        ("", None),
    ],
)
def test_replaces(text: str, replaces: Replaces | None) -> None:
    assert read_replaces(text) == replaces
    if replaces is not None and not replaces.early_only:
        assert str(replaces) == text


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b"SIP/2.0 200 OK\r\n", (200, "OK")),
        (b"\r\nSIP/2.0 603\r\nVia: x", (603, "")),
        (b"", (0, "")),
        (b"HTTP/1.1 200 OK", (0, "")),
        (b"SIP/2.0 9 no", (0, "")),
        (b"SIP/2.0 abc", (0, "")),
        (b"\xff\xfe", (0, "")),
    ],
)
def test_fragments(body: bytes, read: tuple[int, str]) -> None:
    assert read_fragment(body) == read


def test_nothing_is_given_up_before_its_time() -> None:
    net = called()
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now)
    net.a.agent._calls._sessions[net.call].wake()
    assert net.a.of(ReferProgress) == []

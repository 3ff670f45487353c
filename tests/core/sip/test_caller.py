"""The calling side of a call, against a far side that follows a script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.caller import Caller
from aywa.core.sip.dial import Dial
from aywa.core.sip.events import Answered, Ended, Progress, Redirected
from aywa.core.sip.line import Hop, Line
from aywa.core.sip.message import Request, Response
from aywa.core.sip.offer import Negotiation
from aywa.core.sip.redirect import MOST_REDIRECTS
from aywa.core.sip.session_timer import SessionTimer
from aywa.core.sip.trunk import Gateway, Trunk
from tests.core.sip.lines import StubWire
from tests.core.sip.network import HELD, OFFER, Called, media, reply


def scripted(*steps: tuple[int, str, bytes, tuple[tuple[str, str], ...]]) -> Called:
    """The far side answers the INVITE by these, and anything else by 200. A step: status, tag, body, fields."""

    def replies(request: Request) -> list[Response]:
        if request.method == "ACK":
            return []
        if request.method != "INVITE":
            return [reply(request, 200)]
        return [reply(request, status, *fields, tag=tag, body=body) for status, tag, body, fields in steps]

    return Called(replies)


def test_early_media_and_its_confirmation() -> None:
    net = scripted(
        (100, "", b"", ()), (183, "p1", OFFER, ()), (200, "p1", OFFER.replace(b"7000", b"7002"), ())
    )
    net.dial()
    assert net.a.last(Progress).plan.remote.port == 7000
    assert net.a.last(Answered).plan.remote.port == 7002
    assert len(net.a.of(Progress)) == 1


def test_an_answer_without_a_description_after_one_that_came_early() -> None:
    net = scripted((183, "p1", OFFER, ()), (200, "p1", b"", ()))
    net.dial()
    assert net.a.last(Answered).plan.remote.port == 7000


def test_what_is_said_early_and_cannot_be_used_waits_for_the_answer() -> None:
    net = scripted((183, "p1", b"nonsense", ()), (200, "p1", OFFER, ()))
    net.dial()
    assert net.a.last(Progress).plan is None
    assert net.a.last(Answered).plan.remote.port == 7000


@pytest.mark.parametrize("body", [b"", b"nonsense"])
def test_an_answer_that_cannot_be_used_ends_the_call(body: bytes) -> None:
    net = scripted((200, "p1", body, ()))
    net.dial()
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("local", 488)
    (bye,) = net.peer.requests("BYE")
    assert "cause=488" in (bye.headers.get("reason") or "")
    assert len(net.peer.requests("ACK")) == 1


RELIABLE = ("Require", "100rel")


def test_reliable_answers_are_acknowledged_in_their_order() -> None:
    net = scripted(
        (183, "p1", OFFER, (RELIABLE, ("RSeq", "5"))),
        (180, "p1", b"", (RELIABLE, ("RSeq", "5"))),
        (180, "p1", b"", (RELIABLE, ("RSeq", "7"))),
        (180, "p1", b"", (RELIABLE, ("RSeq", "x"))),
        (180, "p1", b"", (RELIABLE, ("RSeq", "6"))),
        (200, "p1", HELD, ()),
    )
    net.dial()
    assert [each.headers.get("rack") for each in net.peer.requests("PRACK")] == ["5 1 INVITE", "6 1 INVITE"]
    assert [each.status for each in net.a.of(Progress)] == [183, 180]
    # A reliable description is the answer (RFC 3262 5); what the 2xx says again changes nothing.
    assert net.a.last(Answered).plan.receives
    assert net.a.last(Answered).plan.sends


def test_the_first_answer_of_a_fork_wins_and_the_others_are_hung_up() -> None:
    net = scripted(
        (180, "p1", b"", ()),
        (180, "p2", b"", ()),
        (200, "p2", OFFER, ()),
        (200, "p1", OFFER, ()),
        (200, "p2", OFFER, ()),
        (200, "p3", OFFER, ()),
    )
    net.dial()
    assert len(net.a.of(Answered)) == 1
    assert [each.to_address.tag for each in net.peer.requests("ACK")] == ["p2", "p1", "p2", "p3"]
    assert [each.to_address.tag for each in net.peer.requests("BYE")] == ["p1", "p3"]
    assert net.a.agent.calls == (net.call,)


def test_more_forks_than_anybody_has_are_answered_all_the_same() -> None:
    early = [(180, f"e{number}", b"", ()) for number in range(20)]
    late = [(200, f"e{number}", OFFER, ()) for number in range(20)]
    net = scripted(*early, *late)
    net.dial()
    assert len(net.peer.requests("BYE")) == 19
    assert len(net.a.of(Progress)) == 20


def test_an_answer_to_who_gave_up() -> None:
    net = scripted((180, "p1", b"", ()))
    net.dial()
    net.tell(net.a.agent.hang_up, net.now)
    invite = net.peer.requests("INVITE")[0]
    net.peer.send(reply(invite, 180, tag="p1"))
    net.peer.send(reply(invite, 200, tag="p1", body=OFFER))
    net.peer.send(reply(invite, 200, tag="p1", body=OFFER))
    assert len(net.peer.requests("ACK")) == 2
    assert len(net.peer.requests("BYE")) == 1
    assert net.a.last(Ended).status == 487
    assert len(net.a.of(Progress)) == 1


def test_an_interval_that_is_too_small_is_asked_for_again_and_not_for_ever() -> None:
    def replies(request: Request) -> list[Response]:
        asked = int((request.headers.get("session-expires") or "0").partition(";")[0])
        return [reply(request, 422, ("Min-SE", str(asked + 100)))] if request.method == "INVITE" else []

    net = Called(replies)
    net.dial()
    asked = [each.headers.get("session-expires") for each in net.peer.requests("INVITE")]
    assert asked == ["1800", "1900", "2000"]
    assert [each.cseq.number for each in net.peer.requests("INVITE")] == [1, 2, 3]
    assert net.a.last(Ended).status == 422


def test_without_a_timer_of_ours_none_is_asked_for() -> None:
    net = Called(session_expires_s=0)
    net.dial()
    assert net.peer.requests("INVITE")[0].headers.get("session-expires") is None
    assert len(net.a.of(Answered)) == 1


def test_early_dialogs_take_requests() -> None:
    net = scripted((180, "p1", b"", ()), (180, "p2", b"", ()))
    net.dial()
    dialog = net.dialog
    net.peer.send(dialog.request("INFO", (("Content-Type", "application/dtmf"),), b"1"))
    assert net.peer.statuses("INFO") == [200]
    dialog.local = dialog.local.with_tag("p9")
    net.peer.send(dialog.request("INFO"))
    assert net.peer.statuses("INFO") == [200, 481]


def test_a_progress_without_a_tag_is_told() -> None:
    def replies(request: Request) -> list[Response]:
        made = reply(request, 183, tag="x", body=OFFER)
        made.headers.set("To", "<sip:bob@192.0.2.9>")
        return [made]

    net = Called(replies)
    net.dial()
    assert net.a.last(Progress).plan is not None


def test_silence_after_hanging_up() -> None:
    net = scripted((180, "p1", b"", ()))
    net.dial()
    net.peer.replies = lambda request: []
    net.tell(net.a.agent.hang_up, net.now)
    net.run(200)
    assert len(net.a.of(Ended)) == 1
    assert len(net.a.agent.asking) == 0


def test_what_comes_after_the_end_of_it_changes_nothing() -> None:
    wire = StubWire()
    line = Line("k", wire, SessionTimer())
    line.negotiation = Negotiation(media(), wire.token)
    caller = Caller(line, "sip:bob@192.0.2.9", Hop(("sip:bob@192.0.2.9",)), (), 60.0)
    caller.invite("<sip:alice@192.0.2.1>;tag=a", "<sip:bob@192.0.2.9>", "c1")
    assert wire.asked[0].next_cseq() == 2
    wire.fail("transport")
    wire.answer(486)
    wire.answer(100)
    wire.answer(180)
    wire.fail("timeout")
    assert [type(event) for event in wire.events] == [Ended]
    assert caller.fork("far") is None


# --- somewhere else (RFC 3261 8.1.3.4) -----------------------------------------------------------------------------------


def sent_on(contacts: dict[str, list[str]], **statuses: int) -> Called:
    """A far side that sends callers on: by the user of the Request-URI, where to; else a status, or an answer."""

    def replies(request: Request) -> list[Response]:
        if request.method != "INVITE":
            return [] if request.method == "ACK" else [reply(request, 200)]
        user = request.uri.partition(":")[2].partition("@")[0]
        if user in contacts:
            made = reply(request, 302, tag=f"at-{user}")
            made.headers.set_list("Contact", [f"<sip:{each}@192.0.2.9>" for each in contacts[user]])
            return [made]
        status = statuses.get(user, 200)
        return [reply(request, status, tag=f"at-{user}", body=OFFER if status == 200 else b"")]

    return Called(replies)


def follow(net: Called, *, known: bool = False) -> bool:
    """To the first of the targets that were told last; False: nothing was told since."""
    told = net.a.of(Redirected)
    if len(told) == net.followed:
        return False
    net.followed = len(told)
    net.tell(net.a.agent.follow, told[-1].targets[0], net.now, known=known)
    return True


def test_a_call_that_is_sent_on_goes_there_when_it_may() -> None:
    net = sent_on({"bob": ["carol"]})
    net.dial()
    assert net.a.last(Redirected).targets == ("sip:carol@192.0.2.9",)
    assert not net.a.of(Ended)
    follow(net)
    first, second = net.peer.requests("INVITE")
    assert second.uri == "sip:carol@192.0.2.9"
    assert [each.cseq.number for each in (first, second)] == [1, 2]
    assert (first.call_id, str(first.from_address), str(first.to_address)) == (
        second.call_id,
        str(second.from_address),
        str(second.to_address),
    )
    assert len(net.a.of(Answered)) == 1
    net.tell(net.a.agent.hang_up, net.now)
    assert net.peer.requests("BYE")[0].to_address.tag == "at-carol"


def test_a_call_that_may_not_go_there_ends_as_it_was_refused() -> None:
    net = sent_on({"bob": ["carol"]})
    net.dial()
    net.tell(net.a.agent.refuse_redirect, net.now)
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("remote", 302)
    net.tell(net.a.agent.follow, "sip:carol@192.0.2.9", net.now)
    net.tell(net.a.agent.refuse_redirect, net.now)
    assert len(net.peer.requests("INVITE")) == 1
    assert len(net.a.of(Ended)) == 1


def test_nobody_says_whether_it_may() -> None:
    net = sent_on({"bob": ["carol"]})
    net.dial(ring_s=5.0)
    net.run(6)
    assert (net.a.last(Ended).by, net.a.last(Ended).reason) == ("local", "no answer")
    assert not net.peer.requests("CANCEL")
    net.run(100)
    assert len(net.a.agent.asking) == 0


def test_it_is_not_wanted_any_more_while_that_is_decided() -> None:
    net = sent_on({"bob": ["carol"]})
    net.dial()
    net.tell(net.a.agent.hang_up, net.now)
    assert net.a.last(Ended).status == 487
    assert not net.peer.requests("CANCEL")
    assert not net.peer.requests("BYE")


def test_only_what_was_named_is_followed() -> None:
    net = sent_on({"bob": ["carol"]})
    net.dial()
    net.tell(net.a.agent.follow, "sip:mallory@192.0.2.9", net.now)
    assert len(net.peer.requests("INVITE")) == 1
    net.tell(net.a.agent.follow, "sip:carol@192.0.2.9", net.now, uri="sip:dave@192.0.2.9")
    assert net.peer.requests("INVITE")[1].uri == "sip:dave@192.0.2.9"


def test_a_number_goes_through_the_trunk_s_gateways() -> None:
    net = sent_on({"bob": ["carol"]})
    net.do(net.a, net.a.agent.set_trunk(Trunk("t", (Gateway("192.0.2.9"),)), net.now))
    net.dial()
    net.tell(
        net.a.agent.follow, "sip:carol@192.0.2.9", net.now, uri="sip:4930@example.com", trunk="t", known=True
    )
    assert net.peer.requests("INVITE")[1].uri == "sip:4930@example.com"
    assert len(net.a.of(Answered)) == 1


def test_where_one_does_not_answer_the_next_is_tried() -> None:
    net = sent_on({"bob": ["carol", "dave", "erin"], "dave": ["frank"]}, carol=486, frank=404)
    net.dial()
    while follow(net):
        pass
    assert [each.uri.partition("@")[0] for each in net.peer.requests("INVITE")] == [
        "sip:bob",
        "sip:carol",
        "sip:dave",
        "sip:frank",
        "sip:erin",
    ]
    assert len(net.a.of(Answered)) == 1


def test_a_refusal_for_everybody_is_one() -> None:
    net = sent_on({"bob": ["carol", "dave"]}, carol=603)
    net.dial()
    follow(net)
    assert net.a.last(Ended).status == 603
    assert len(net.peer.requests("INVITE")) == 2


def test_where_nobody_is_the_next_is_tried() -> None:
    net = sent_on({"bob": ["carol", "dave"]})
    net.dial()
    wanted = net.a.last(Redirected).targets
    assert wanted == ("sip:carol@192.0.2.9", "sip:dave@192.0.2.9")
    net.a.paths.blocked.add(("192.0.2.9", 5060))
    follow(net)
    net.run(1)
    net.a.paths.blocked.clear()
    assert net.a.last(Redirected).targets == ("sip:dave@192.0.2.9",)
    follow(net)
    assert len(net.a.of(Answered)) == 1


def test_a_loop_ends() -> None:
    net = sent_on({"bob": ["carol"], "carol": ["bob", "carol"]})
    net.dial()
    while follow(net):
        pass
    assert net.a.last(Ended).status == 302
    assert len(net.peer.requests("INVITE")) == 2


def test_a_chain_without_an_end_ends() -> None:
    net = sent_on({f"u{number}": [f"u{number + 1}"] for number in range(20)} | {"bob": ["u0"]})
    net.dial()
    while follow(net):
        pass
    assert net.a.last(Ended).status == 302
    assert len(net.peer.requests("INVITE")) == 1 + MOST_REDIRECTS


def test_another_place_gets_other_keys_and_no_password() -> None:
    def replies(request: Request) -> list[Response]:
        if request.method != "INVITE":
            return []
        if request.uri.startswith("sip:bob"):
            made = reply(request, 302)
            made.headers.set("Contact", "<sip:carol@192.0.2.9>")
            return [made]
        return [reply(request, 401, ("WWW-Authenticate", 'Digest realm="x", nonce="n", qop="auth"'))]

    for known, invites in ((False, 2), (True, 3)):
        net = Called(replies)
        dial = Dial("sip:bob@192.0.2.9", media(srtp="required"), username="anna", password="secret")
        net.call, actions = net.a.agent.dial(dial, net.now)
        net.do(net.a, actions)
        net.run(0.1)
        follow(net, known=known)
        sent = net.peer.requests("INVITE")
        assert (len(sent), any("authorization" in each.headers for each in sent)) == (invites, known)
        keys = [[line for line in each.body.split(b"\r\n") if b"inline:" in line] for each in sent[:2]]
        assert keys[0]
        assert not set(keys[0]) & set(keys[1])


def test_a_fork_of_the_place_before_that_answers_late_is_hung_up() -> None:
    net = sent_on({"bob": ["carol"]})
    net.dial()
    first = net.peer.requests("INVITE")[0]
    net.peer.replies = lambda request: []
    follow(net)
    net.peer.send(reply(first, 200, tag="late", body=OFFER))
    assert [each.to_address.tag for each in net.peer.requests("BYE")] == ["late"]
    assert not net.a.of(Answered)
    second = net.peer.requests("INVITE")[1]
    net.peer.send(reply(second, 200, tag="right", body=OFFER))
    assert len(net.a.of(Answered)) == 1


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3), max_size=6),
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([200, 302, 404, 486, 503, 603]), max_size=6),
    st.lists(st.booleans(), max_size=8),
)
def test_wherever_it_is_sent_it_ends_once_and_goes_nowhere_twice(
    contacts: dict[str, list[str]], statuses: dict[str, int], allowed: list[bool]
) -> None:
    net = sent_on({"bob": ["a", "b"], **contacts}, **statuses)
    net.dial()
    for each in allowed:
        if not each or not follow(net):
            break
    net.tell(net.a.agent.refuse_redirect, net.now)
    invites = net.peer.requests("INVITE")
    sent = {(each.uri, each.cseq.number) for each in invites}
    assert len({uri for uri, _ in sent}) == len(sent) <= 1 + MOST_REDIRECTS
    assert len(net.a.of(Ended)) + len(net.a.of(Answered)) == 1


def test_who_gave_up_is_sent_nowhere_any_more() -> None:
    net = scripted((180, "p1", b"", ()))
    net.dial()
    net.tell(net.a.agent.hang_up, net.now)
    invite = net.peer.requests("INVITE")[0]
    net.peer.send(reply(invite, 302, tag="p1"))
    assert not net.a.of(Redirected)
    assert [each.status for each in net.a.of(Ended)] == [487]

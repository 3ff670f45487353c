from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.esl import link as module
from aywa.core.esl.commands import Unsendable
from aywa.core.esl.event import Event
from aywa.core.esl.link import Action, Lingering, Link, LinkSettings, Opened, Over, Replied, Send
from tests.core.feed import examples

SETTINGS = LinkSettings(login_s=5, reply_s=10, job_s=100, quiet_s=30)
EVENTS = b"event json ALL\n\n"
FILTER = b"filter Unique-ID u\n\n"


def words() -> Iterable[str]:
    return (f"job-{number}" for number in count(1))


def reply(text: str) -> bytes:
    return f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode()


def answer(text: str) -> bytes:
    return f"Content-Type: api/response\nContent-Length: {len(text)}\n\n{text}".encode()


def plain(name: str, body: str = "", **fields: str) -> bytes:
    lines = "".join(f"{key.replace('_', '-')}: {quote(value)}\n" for key, value in fields.items())
    text = f"Event-Name: {name}\n{lines}" + (f"Content-Length: {len(body)}\n\n{body}" if body else "\n")
    return f"Content-Length: {len(text)}\nContent-Type: text/event-plain\n\n{text}".encode()


def sent(actions: Iterable[Action]) -> list[bytes]:
    return [each.data for each in actions if isinstance(each, Send)]


def client(first: tuple[bytes, ...] = (EVENTS, FILTER)) -> Link:
    jobs = iter(words())
    link = Link(SETTINGS, lambda: next(jobs), password="secret", first=first)
    assert link.connected(0.0) == []
    return link


def opened() -> Link:
    link = client(())
    link.receive(b"Content-Type: auth/request\n\n", 0.0)
    assert link.receive(reply("+OK accepted"), 0.0) == [Opened(None)]
    return link


def test_signing_in() -> None:
    link = client()
    assert link.deadline == 5.0
    assert sent(link.receive(b"Content-Type: auth/request\n\n", 1.0)) == [b"auth secret\n\n"]
    # Asked again, it is not said again.
    assert link.receive(b"Content-Type: auth/request\n\n", 1.0) == []
    assert sent(link.receive(reply("+OK accepted"), 1.0)) == [EVENTS]
    assert sent(link.receive(reply("+OK event listener enabled json"), 1.0)) == [FILTER]
    assert not link.open
    assert link.receive(reply("+OK filter added."), 1.0) == [Opened(None)]
    assert link.open
    assert link.deadline == 31.0
    assert "secret" not in repr(Send(b"auth secret"))


@pytest.mark.parametrize(
    ("data", "why", "refused"),
    [
        (b"Content-Type: text/rude-rejection\nContent-Length: 3\n\nno!", "lets nobody in", True),
        (b"Content-Type: text/disconnect-notice\n\n", "has closed", False),
        (b"Content-Length: x\n\n", "no number", False),
    ],
)
def test_what_ends_it(data: bytes, why: str, refused: bool) -> None:
    link = client()
    (over,) = link.receive(data, 1.0)
    assert isinstance(over, Over)
    assert (why in over.why, over.refused) == (True, refused)
    assert link.over
    assert link.deadline is None
    assert link.receive(reply("+OK"), 2.0) == link.lost("x") == link.wake(99.0) == []


def test_a_wrong_password_and_a_refused_wish() -> None:
    link = client()
    link.receive(b"Content-Type: auth/request\n\n", 1.0)
    assert link.receive(reply("-ERR invalid"), 1.0) == [
        Over("FreeSWITCH refuses the password: -ERR invalid", refused=True)
    ]
    link = client()
    link.receive(b"Content-Type: auth/request\n\n", 1.0)
    link.receive(reply("+OK accepted"), 1.0)
    assert link.receive(reply("-ERR no keywords"), 1.0) == [
        Over("FreeSWITCH refuses to tell events: -ERR no keywords", refused=True)
    ]


def test_nobody_signs_us_in() -> None:
    link = client()
    assert link.wake(4.9) == []
    assert link.wake(5.0) == [Over("no sign-in in time")]


def test_answers_come_in_the_order_of_their_commands() -> None:
    link = opened()
    one, first = link.command(b"api one\n\n", 1.0)
    two, second = link.command(b"api two\n\n", 2.0)
    assert sent(first + second) == [b"api one\n\n", b"api two\n\n"]
    assert link.deadline == 11.0
    found = link.receive(answer("1") + plain("HEARTBEAT") + reply("-ERR two"), 3.0)
    assert found[0] == Replied(one, "1")
    assert isinstance(found[1], Event)
    assert found[2] == Replied(two, "-ERR two")
    assert [each.good for each in found if isinstance(each, Replied)] == [True, False]
    # One that nobody asked for is nobody's.
    assert link.receive(answer("3"), 3.0) == []
    assert not Replied(1, "+OK", lost=True).good


def test_an_answer_that_does_not_come_ends_it() -> None:
    link = opened()
    token, _ = link.command(b"api one\n\n", 1.0)
    assert link.wake(10.9) == []
    assert link.wake(11.0) == [Replied(token, "", lost=True), Over("an answer did not come in time")]


def test_jobs() -> None:
    link = opened()
    token, actions = link.background("originate", "x &park()", 1.0)
    assert sent(actions) == [b"bgapi originate x &park()\nJob-UUID: job-1\n\n"]
    assert link.receive(reply("+OK Job-UUID: job-1"), 1.0) == []
    assert link.receive(plain("BACKGROUND_JOB", "+OK theirs\n", Job_UUID="other"), 2.0) == []
    assert link.receive(plain("BACKGROUND_JOB", "-ERR USER_BUSY\n", Job_UUID="job-1"), 2.0) == [
        Replied(token, "-ERR USER_BUSY\n")
    ]
    assert link.receive(plain("BACKGROUND_JOB", "+OK\n", Job_UUID="job-1"), 2.0) == []


def test_a_job_that_is_refused_and_one_that_never_ends() -> None:
    link = opened()
    token, _ = link.background("originate", "x", 1.0)
    assert link.receive(reply("-ERR no"), 1.0) == [Replied(token, "-ERR no")]
    slow, _ = link.background("originate", "y", 2.0)
    other, _ = link.background("originate", "z", 50.0)
    link.receive(reply("+OK Job-UUID: job-2") + reply("+OK Job-UUID: job-3"), 50.0)
    assert link.deadline == 80.0
    link.receive(plain("HEARTBEAT"), 101.0)
    assert link.deadline == 102.0
    assert link.wake(102.0) == [Replied(slow, "", lost=True)]
    assert link.lost("gone") == [Replied(other, "", lost=True), Over("gone")]


def test_the_outcome_may_come_before_the_answer() -> None:
    link = opened()
    token, _ = link.background("originate", "x", 1.0)
    job = plain("BACKGROUND_JOB", "+OK\n", Job_UUID="job-1")
    assert link.receive(job + reply("-ERR odd"), 1.0) == [Replied(token, "+OK\n")]


def test_nothing_is_said_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    link = client()
    token, actions = link.command(b"api one\n\n", 1.0)
    assert actions == [Replied(token, "", lost=True)]
    monkeypatch.setattr(module, "PENDING_MAX", 1)
    link = opened()
    link.command(b"api one\n\n", 1.0)
    token, actions = link.command(b"api two\n\n", 1.0)
    assert actions == [Replied(token, "", lost=True)]
    with pytest.raises(Unsendable):
        link.background("originate", "a\nb", 1.0)


def test_a_quiet_far_side_is_asked_for_a_sign_of_life() -> None:
    link = opened()
    assert link.deadline == 30.0
    assert link.wake(29.0) == []
    assert sent(link.wake(30.0)) == [b"api uptime\n\n"]
    # It is asked once, and has its time to answer.
    assert link.deadline == 40.0
    assert link.receive(answer("17"), 31.0) == []
    assert link.deadline == 61.0
    assert sent(link.wake(61.0)) == [b"api uptime\n\n"]
    assert link.wake(71.0) == [Over("an answer did not come in time")]


def test_it_is_not_asked_twice() -> None:
    link = Link(LinkSettings(reply_s=100), lambda: "j", password="p")
    link.connected(0.0)
    link.receive(b"Content-Type: auth/request\n\n" + reply("+OK accepted"), 0.0)
    assert len(link.wake(30.0)) == 1
    assert link.wake(60.0) == []


CHANNEL = (
    b"Event-Name: CHANNEL_DATA\nUnique-ID: u-1\nvariable_x: a%20b\nContent-Type: command/reply\n"
    b"Reply-Text: %2BOK%0A\nSocket-Mode: async\nControl: full\n\n"
)


def test_a_call_that_came() -> None:
    link = Link(SETTINGS, lambda: "j", first=(b"linger 10\n\n",), ping=b"linger 10\n\n")
    assert sent(link.connected(0.0)) == [b"connect\n\n"]
    assert link.receive(b"Content-Type: auth/request\n\n", 0.0) == []
    assert sent(link.receive(CHANNEL, 0.0)) == [b"linger 10\n\n"]
    (told,) = link.receive(reply("+OK will linger 10 seconds"), 0.0)
    assert isinstance(told, Opened)
    assert told.channel is not None
    assert (told.channel.uuid, told.channel.variable("x")) == ("u-1", "a b")
    assert sent(link.wake(30.0)) == [b"linger 10\n\n"]
    notice = b"Content-Type: text/disconnect-notice\nContent-Disposition: linger\n\n"
    assert link.receive(notice + plain("CHANNEL_DESTROY"), 31.0)[0] == Lingering()


def test_a_call_that_is_refused() -> None:
    link = Link(SETTINGS, lambda: "j")
    link.connected(0.0)
    (over,) = link.receive(b"Content-Type: command/reply\n\n", 0.0)
    assert isinstance(over, Over)
    assert over.refused


def test_events_in_json_and_what_is_neither() -> None:
    link = opened()
    body = b'{"Event-Name": "DTMF", "Unique-ID": "u"}'
    head = b"Content-Length: %d\nContent-Type: text/event-json\n\n" % len(body)
    (event,) = link.receive(head + body, 1.0)
    assert isinstance(event, Event)
    assert event.uuid == "u"
    broken = b"Content-Length: 2\nContent-Type: text/event-json\n\n[]"
    assert link.receive(broken + b"Content-Type: log/data\n\n", 1.0) == []


STEPS = st.lists(
    st.one_of(
        st.sampled_from(
            ("command", "job", "wake", "auth", "accept", "answer", "event", "jobdone", "lost", "bye")
        ),
        st.binary(max_size=40),
    ),
    max_size=40,
)
BYTES = {
    "auth": b"Content-Type: auth/request\n\n",
    "accept": reply("+OK"),
    "answer": answer("+OK"),
    "event": plain("DTMF", Unique_ID="u"),
    "bye": b"Content-Type: text/disconnect-notice\n\n",
}


@examples(300)
@given(STEPS)
def test_every_command_is_answered_once_and_it_ends_once(steps: list[str | bytes]) -> None:
    jobs = iter(words())
    link = Link(SETTINGS, lambda: next(jobs), password="p")
    link.connected(0.0)
    now, asked, told, job = 0.0, set[int](), list[Action](), 0
    for step in [*steps, "lost"]:
        now += 3.0
        if isinstance(step, bytes):
            told += link.receive(step, now)
        elif step == "command":
            token, actions = link.command(b"api x\n\n", now)
            asked.add(token)
            told += actions
        elif step == "job":
            token, actions = link.background("a", "b", now)
            asked.add(token)
            told += actions
        elif step == "wake":
            told += link.wake(now)
        elif step == "jobdone":
            job += 1
            told += link.receive(plain("BACKGROUND_JOB", "+OK", Job_UUID=f"job-{job}"), now)
        elif step == "lost":
            told += link.lost("gone")
        else:
            told += link.receive(BYTES[step], now)
        assert link.over or link.deadline is not None
    answered = [each.token for each in told if isinstance(each, Replied)]
    assert sorted(answered) == sorted(asked)
    assert sum(isinstance(each, Over) for each in told) == 1

"""What FreeSWITCH sends, or who pretends to be one, guided by coverage: bytes into framer, events and connection."""

from __future__ import annotations

from aywa.core.esl.audio import audio_news, module
from aywa.core.esl.channel import Channel
from aywa.core.esl.event import Event, json_event, plain_event
from aywa.core.esl.frame import BODY_MAX_BYTES, HEAD_MAX_BYTES, Framer
from aywa.core.esl.link import Link, LinkSettings, Over, Replied
from aywa.testing.fuzz import fuzz

WATCHED = ["aywa/core/esl/"]
EVENT = (
    b"Event-Name: CHANNEL_HANGUP\nUnique-ID: u\nHangup-Cause: USER_BUSY\nvariable_sip_term_status: 486\n"
    b"Event-Sequence: 7\nDTMF-Digit: 5\nContent-Length: 3\n\n%7B}\n"
)
SEEDS = [
    b"Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK accepted\n\n",
    b"Content-Length: %d\nContent-Type: text/event-plain\n\n" % len(EVENT) + EVENT,
    b'Content-Length: 43\nContent-Type: text/event-json\n\n{"Event-Name": "DTMF", "Unique-ID": ["u"]}\n',
    b"Content-Type: api/response\nContent-Length: 4\n\n-ERR",
    b"Content-Type: text/disconnect-notice\nContent-Disposition: linger\n\n",
    b"Content-Type: text/rude-rejection\n\n",
]


def test_frames_hold_no_more_than_one() -> None:
    def target(data: bytes) -> None:
        framer = Framer()
        for begin in range(0, len(data), 7):
            for frame in framer.receive(data[begin : begin + 7]):
                assert len(frame.body) <= BODY_MAX_BYTES
                assert len(frame.head) <= HEAD_MAX_BYTES

    assert fuzz(target, SEEDS, WATCHED, runs=2000).edges > 30


def test_events_and_what_is_made_of_them() -> None:
    def target(data: bytes) -> None:
        for event in (plain_event(data), json_event(data)):
            if event is not None:
                assert set(map(type, event.fields.values())) <= {str}
                Channel("u").handle(event)
                Channel("u").found(event)
                audio_news(event)
        module("audio_fork", data.decode("latin-1"))

    assert fuzz(target, [EVENT, *SEEDS], WATCHED, runs=3000).edges > 60


def test_a_connection_answers_everything_once() -> None:
    def target(data: bytes) -> None:
        for password in ("", "secret"):
            link = Link(LinkSettings(), lambda: "job", password=password)
            told = link.connected(0.0)
            told += link.receive(b"Content-Type: auth/request\n\n", 0.0) if password else []
            told += link.receive(b"Content-Type: command/reply\nReply-Text: %2BOK\n\n", 0.0)
            asked = []
            for token, actions in (link.command(b"api x\n\n", 1.0), link.background("a", "b", 1.0)):
                asked.append(token)
                told += actions
            told += link.receive(data, 2.0)
            told += link.wake(500.0)
            told += link.lost("gone")
            assert sorted(each.token for each in told if isinstance(each, Replied)) == sorted(asked)
            assert sum(isinstance(each, Over) for each in told) == 1
            assert all(isinstance(each.name, str) for each in told if isinstance(each, Event))

    assert fuzz(target, SEEDS, WATCHED, runs=2000).edges > 100

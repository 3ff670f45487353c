"""A call's SIP messages, a line each: what is read of them, whose they are, and how many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.ladder import DIALOGS_MOST, TOLD_MOST, WAITING_MOST, Ladders, Rung, read_rung
from tests.core.feed import examples

INVITE = b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID: one@h\r\nCSeq: 7 INVITE\r\nAuthorization: Digest x\r\n\r\nv=0"
RINGING = b"SIP/2.0 180 Ringing\r\ni: one@h\r\nCSeq: 7 INVITE\r\n\r\n"


def read(data: bytes) -> tuple[str, Rung] | None:
    return read_rung(data, "received", "10.0.0.1:5060", "udp", 1.5)


def rung(what: str = "INVITE", method: str = "INVITE") -> Rung:
    return Rung(1.0, "received", what, method, 1, "h", "udp")


def test_a_request_and_an_answer_are_read_at_a_glance() -> None:
    assert read(INVITE) == ("one@h", Rung(1.5, "received", "INVITE", "INVITE", 7, "10.0.0.1:5060", "udp"))
    found = read(RINGING)
    assert found is not None
    assert (found[0], found[1].what) == ("one@h", "180 Ringing")
    bare = read(b"SIP/2.0 200\r\nCall-ID: x\r\nCSeq: 1 BYE\r\n\r\n")
    assert bare is not None
    assert bare[1].what == "200"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nCall-ID: x\r\n\r\n",
        RINGING.replace(b"i: one@h", b""),
        b"GET / HTTP/1.1\r\nCall-ID: x\r\nCSeq: 1 A\r\n",
    ],
)
def test_what_cannot_be_read_is_not_there(data: bytes) -> None:
    assert read(data) is None


@examples(200)
@given(st.binary(max_size=300))
def test_nothing_that_comes_breaks_it(data: bytes) -> None:
    for each in (data, INVITE[: len(data)] + data, RINGING + data):
        found = read(each)
        assert found is None or all(character.isprintable() for character in found[0] + found[1].what)


def test_messages_wait_for_their_call() -> None:
    ladders = Ladders()
    assert ladders.seen("d", rung()) is None
    assert ladders.seen("d", rung("100 Trying")) is None
    assert [each.what for each in ladders.belongs("d", "call-1")] == ["INVITE", "100 Trying"]
    assert ladders.seen("d", rung("200 OK")) == "call-1"
    ladders.over("call-1")
    assert ladders.seen("d", rung("BYE", "BYE")) is None


def test_other_peoples_dialogs_and_what_begins_none_are_nothing() -> None:
    ladders = Ladders()
    assert ladders.seen("d", rung("OPTIONS", "OPTIONS")) is None
    assert ladders.belongs("d", "call-1") == []
    ladders.belongs("e", "call-2")
    ladders.over("call-1")
    assert ladders.seen("e", rung()) == "call-2"


def test_there_is_a_bound_on_everything() -> None:
    ladders = Ladders()
    for number in range(DIALOGS_MOST + 1):
        ladders.seen(f"d{number}", rung())
    assert ladders.belongs("d0", "call-0") == []
    for _ in range(WAITING_MOST * 2):
        ladders.seen("d1", rung("180 Ringing"))
    assert len(ladders.belongs("d1", "call-1")) == WAITING_MOST
    told = [ladders.seen("d1", rung("INFO", "INFO")) for _ in range(TOLD_MOST * 2)]
    assert sum(each is not None for each in told) == TOLD_MOST - WAITING_MOST

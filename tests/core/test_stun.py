"""The question and its answers, these written here from RFC 8489 by hand; RFC 5769 has the test vectors."""

from __future__ import annotations

import struct
import zlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import stun
from aywa.core.stun import Mapped, Outcome, Place, Question, Refused, Timers, Unanswered
from tests.core.feed import examples

SERVER = ("198.51.100.1", 3478)
NUMBER = bytes(range(12))
# RFC 5769 2.1: what its Binding request begins with is our head; the addresses of 2.2 and 2.3.
VECTOR = bytes.fromhex("b7e7a701bc34d686fa87dfae")
IPV4 = bytes.fromhex("0001a147e112a643")
IPV6 = bytes.fromhex("0002a1470113a9faa5d3f179bc25f4b5bed2b9d9")


def question(now: float = 0.0, timers: Timers | None = None) -> Question:
    return Question(SERVER, lambda count: NUMBER[:count], now, timers)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(*attributes: bytes, kind: int = 0x0101, number: bytes = NUMBER) -> bytes:
    body = b"".join(attributes)
    return struct.pack("!HHI", kind, len(body), 0x2112A442) + number + body


def plain(host: str, port: int) -> bytes:
    address = ip_address(host)
    return attribute(0x0001, struct.pack("!BBH", 0, 1 if address.version == 4 else 2, port) + address.packed)


def veiled(host: str, port: int, number: bytes = NUMBER) -> bytes:
    address = ip_address(host)
    veil = bytes.fromhex("2112a442") + number
    packed = bytes(a ^ b for a, b in zip(address.packed, veil, strict=False))
    return attribute(0x0020, struct.pack("!BBH", 0, 1 if address.version == 4 else 2, port ^ 0x2112) + packed)


def sealed(data: bytes) -> bytes:
    """With a FINGERPRINT."""
    head = data[:2] + struct.pack("!H", len(data) - 20 + 8) + data[4:]
    return head + attribute(0x8028, struct.pack("!I", zlib.crc32(head) ^ 0x5354554E))


def heard(data: bytes, source: Place = SERVER) -> Outcome | None:
    asked = question()
    asked.wake(0.0)
    asked.receive(data, source)
    return asked.outcome


def test_the_question_is_a_binding_with_our_number() -> None:
    (sent,) = question().wake(0.0)
    assert sent[:8] == bytes.fromhex("000100082112a442")
    assert sent[8:20] == NUMBER
    assert sent == sealed(message(kind=0x0001))
    assert stun.read(sent) == stun.Answer(1, NUMBER, {})


def test_it_is_sent_again_after_ever_longer_waits_and_then_given_up() -> None:
    asked, sent, now = question(5.0), [], 0.0
    assert asked.wake(4.0) == []
    while asked.deadline is not None:
        now = asked.deadline
        sent += [now] * len(asked.wake(now))
    assert sent == [5.0, 5.5, 6.5, 8.5]
    assert now == 10.5
    assert asked.outcome == Unanswered("it does not answer")
    assert asked.wake(20.0) == []


def test_the_rfc_s_own_times_can_be_had() -> None:
    asked, sent, now = question(timers=Timers(0.5, 7, 16)), [], 0.0
    while asked.deadline is not None:
        now = asked.deadline
        sent += [now] * len(asked.wake(now))
    assert sent == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert now == 39.5


@pytest.mark.parametrize(
    ("value", "host"), [(IPV4, "192.0.2.1"), (IPV6, "2001:db8:1234:5678:11:2233:4455:6677")]
)
def test_the_addresses_of_rfc_5769(value: bytes, host: str) -> None:
    asked = Question(SERVER, lambda count: VECTOR, 0.0)
    asked.receive(
        sealed(message(attribute(0x8022, b"test vector"), attribute(0x0020, value), number=VECTOR)), SERVER
    )
    assert asked.outcome == Mapped(host, 32853)
    assert asked.deadline is None


def test_the_veiled_address_counts_more_than_the_plain_one() -> None:
    assert heard(message(plain("10.0.0.1", 1), veiled("203.0.113.9", 4711))) == Mapped("203.0.113.9", 4711)
    assert heard(message(plain("203.0.113.9", 4711), attribute(0x0004, b"12345678"))) == Mapped(
        "203.0.113.9", 4711
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        plain("0.0.0.0", 4711),
        plain("224.0.0.1", 4711),
        plain("203.0.113.9", 0),
        attribute(0x0020, b"\0\1"),
        attribute(0x0020, b"\0\2\0\0\0\0\0\0"),
        attribute(0x0001, b"\0\1" + bytes(18)),
    ],
)
def test_an_answer_without_an_address_is_none(body: bytes) -> None:
    assert heard(message(body)) == Unanswered("its answer names no address")


def test_an_answer_that_must_be_understood_and_is_not_is_not_used() -> None:
    given_up = heard(message(veiled("203.0.113.9", 4711), attribute(0x7001, b"")))
    assert given_up == Unanswered("its answer needs attribute 0x7001 understood")
    assert heard(message(veiled("203.0.113.9", 4711), attribute(0x8801, b"x"))) == Mapped("203.0.113.9", 4711)


def test_a_refusal_has_its_status_and_a_short_reason() -> None:
    error = attribute(0x0009, b"\0\0\4\x14" + "Wrong\r\nr\u00e9alm".encode() + b"x" * 100)
    refused = heard(message(error, kind=0x0111))
    assert refused == Refused(420, "Wrongr\u00e9alm" + "x" * (60 - 12))
    assert heard(message(kind=0x0111)) == Refused(0, "")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x01",
        message(veiled("203.0.113.9", 4711), number=bytes(12)),
        message(veiled("203.0.113.9", 4711), kind=0x0001),
        message(veiled("203.0.113.9", 4711), kind=0x0011),
        b"\x80" + message(veiled("203.0.113.9", 4711))[1:],
        message(veiled("203.0.113.9", 4711))[:-1],
        message(veiled("203.0.113.9", 4711)) + b"\0\0\0\0",
        message(veiled("203.0.113.9", 4711)).replace(bytes.fromhex("2112a442"), bytes(4), 1),
        message(struct.pack("!HH", 0x0020, 12)),
        message(veiled("203.0.113.9", 4711), b"\0" * 1500),
        sealed(message(veiled("203.0.113.9", 4711)))[:-1] + b"\0",
        # Nothing may stand behind the fingerprint.
        message(attribute(0x8028, struct.pack("!I", zlib.crc32(message(b"12345678" * 2)[:20]) ^ 0x5354554E)), b"\0\0\0\0"),
    ],
)  # fmt: skip
def test_what_is_no_answer_to_us_changes_nothing(data: bytes) -> None:
    assert heard(data) is None


def test_nobody_else_may_answer_and_nobody_twice() -> None:
    good = message(veiled("203.0.113.9", 4711))
    assert heard(good, ("198.51.100.2", 3478)) is None
    assert heard(good, ("198.51.100.1", 3479)) is None
    asked = question()
    asked.receive(good, SERVER)
    asked.receive(message(veiled("203.0.113.10", 1)), SERVER)
    assert asked.outcome == Mapped("203.0.113.9", 4711)


@examples(300)
@given(st.binary(max_size=80), st.booleans())
def test_no_bytes_raise(data: bytes, framed: bool) -> None:
    asked = question()
    asked.receive(message(data[: len(data) // 4 * 4]) if framed else data, SERVER)
    assert asked.outcome is None or isinstance(asked.outcome, Mapped | Unanswered | Refused)


@given(st.ip_addresses(), st.integers(1, 65_535), st.binary(min_size=12, max_size=12), st.booleans())
def test_any_address_comes_back_as_it_was(address: object, port: int, number: bytes, with_seal: bool) -> None:
    asked = Question(SERVER, lambda count: number, 0.0)
    host = str(ip_address(str(address)))
    data = message(veiled(host, port, number), number=number)
    asked.receive(sealed(data) if with_seal else data, SERVER)
    usable = not (ip_address(host).is_unspecified or ip_address(host).is_multicast)
    assert asked.outcome == (Mapped(host, port) if usable else Unanswered("its answer names no address"))


@given(st.lists(st.floats(0, 3), max_size=30), st.integers(1, 9), st.floats(0.01, 2))
def test_however_it_is_woken_it_sends_a_bounded_number_and_ends(
    steps: list[float], sends: int, rto_s: float
) -> None:
    asked, now, sent = question(timers=Timers(rto_s, sends, 2)), 0.0, 0
    for step in steps:
        now += step
        sent += len(asked.wake(now))
    while (due := asked.deadline) is not None:
        now = max(now, due)
        sent += len(asked.wake(now))
    assert sent == sends
    assert asked.outcome == Unanswered("it does not answer")

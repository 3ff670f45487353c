"""Whose packets are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.media.rtp.latch import Latch, Source, plain_host

PHONE = ("203.0.113.7", 4000)
NATTED = ("203.0.113.7", 61_000)
SIGNALLING = ("198.51.100.1", 7000)
STRANGER = ("192.0.2.66", 4000)


def test_the_negotiated_address_is_taken_and_sent_to() -> None:
    latch = Latch(PHONE)
    assert latch.destination == PHONE
    assert latch.taken(PHONE, False, 9.0)
    assert (latch.source, latch.destination, latch.moves) == (PHONE, PHONE, 0)


def test_another_port_of_the_host_is_its_nat() -> None:
    latch = Latch(PHONE)
    assert latch.taken(NATTED, False, 9.0)
    assert latch.destination == NATTED


def test_the_negotiated_address_takes_over_from_its_nat_at_once_and_never_the_other_way() -> None:
    latch = Latch(PHONE)
    latch.taken(NATTED, False, 9.0)
    assert latch.taken(PHONE, False, 0.0)
    assert not latch.taken(NATTED, False, 60.0)
    assert (latch.destination, latch.moves, latch.refused) == (PHONE, 1, 1)


def test_an_equal_source_takes_over_when_the_present_one_is_silent() -> None:
    latch = Latch(PHONE, silent_s=1.0)
    latch.taken(NATTED, False, 9.0)
    other = ("203.0.113.7", 62_000)
    assert not latch.taken(other, False, 0.9)
    assert latch.taken(other, False, 1.0)
    assert latch.destination == other


def test_where_signalling_came_from_may_send() -> None:
    latch = Latch(("192.168.1.5", 4000), hosts=[SIGNALLING[0]])
    assert latch.taken(SIGNALLING, False, 9.0)
    assert latch.destination == SIGNALLING
    assert latch.allows((SIGNALLING[0], 9))
    assert not latch.allows(STRANGER)


def test_strangers_are_counted_and_taken_only_when_their_packets_are_proven() -> None:
    latch = Latch(PHONE)
    assert not latch.taken(STRANGER, False, 60.0)
    assert latch.refused == 1
    assert latch.taken(STRANGER, True, 60.0)
    assert latch.allows(("192.0.2.66", 4001))


def test_nobody_is_taken_before_anything_was_agreed() -> None:
    latch = Latch(None)
    assert latch.destination is None
    assert not latch.taken(PHONE, False, 60.0)
    latch.negotiate(PHONE)
    assert latch.taken(PHONE, False, 60.0)


def test_another_agreed_address_ends_the_old_one() -> None:
    latch = Latch(PHONE)
    latch.taken(NATTED, False, 9.0)
    latch.negotiate(STRANGER)
    assert (latch.source, latch.destination) == (None, STRANGER)
    assert not latch.taken(PHONE, False, 60.0)
    assert latch.taken(STRANGER, False, 0.0)
    # The far side came to where it is already.
    latch.negotiate(PHONE)
    latch.taken(PHONE, False, 0.0)
    latch.negotiate(PHONE)
    assert latch.source == PHONE


def test_a_source_that_becomes_the_agreed_one_stays() -> None:
    latch = Latch(PHONE)
    latch.taken(NATTED, False, 9.0)
    latch.negotiate(NATTED)
    assert latch.source == NATTED
    assert not latch.taken(PHONE, False, 60.0)


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("phone.example", "phone.example"),
    ],
)
def test_an_address_has_one_spelling(host: str, plain: str) -> None:
    assert plain_host(host) == plain


HOSTS = st.sampled_from(["203.0.113.7", "198.51.100.1", "192.0.2.66"])
SOURCES = st.tuples(HOSTS, st.integers(4000, 4003))


@given(SOURCES, st.lists(st.tuples(SOURCES, st.floats(0, 3))))
def test_without_proof_only_an_agreed_host_is_ever_the_source(
    remote: tuple[str, int], packets: list[tuple[Source, float]]
) -> None:
    latch = Latch(remote, hosts=["198.51.100.1"])
    for source, quiet_s in packets:
        if source != latch.source and latch.taken(source, False, quiet_s):
            assert latch.source == source
        assert latch.source is None or latch.source[0] in (remote[0], "198.51.100.1")
        if source == remote:
            assert latch.source == remote

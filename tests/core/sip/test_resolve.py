"""RFC 3263: from a URI to the places to try."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.resolve import (
    MOST_CANDIDATES,
    Candidate,
    HostAddress,
    Naptr,
    Question,
    Record,
    Resolution,
    Srv,
    default_port,
    is_ip,
    weighed,
)
from aywa.core.sip.uri import SipUri, parse_uri
from tests.core.feed import examples

Zone = dict[tuple[str, str], Sequence[Record]]


def resolved(
    text: str, zone: Zone | None = None, transports: Sequence[str] = ("udp", "tcp", "tls")
) -> list[str]:
    """transport:address:port of each candidate."""
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    resolution = Resolution(uri, lambda count: 0, transports)
    for _ in range(100):
        question = resolution.question
        if question is None:
            return [f"{each.transport}:{each.address}:{each.port}" for each in resolution.candidates]
        assert resolution.candidates == ()
        resolution.answer(Question("SRV", "something.else"), ())
        resolution.answer(question, (zone or {}).get((question.kind, question.name), ()))
    raise AssertionError("it never ends")


@pytest.mark.parametrize(
    ("uri", "places"),
    [
        ("sip:192.0.2.1", ["udp:192.0.2.1:5060"]),
        ("sip:192.0.2.1:5070", ["udp:192.0.2.1:5070"]),
        ("sip:192.0.2.1;transport=TCP", ["tcp:192.0.2.1:5060"]),
        ("sip:192.0.2.1;transport=tls", ["tls:192.0.2.1:5061"]),
        ("sips:192.0.2.1", ["tls:192.0.2.1:5061"]),
        ("sips:192.0.2.1;transport=tcp", ["tls:192.0.2.1:5061"]),
        ("sip:[2001:db8::1]", ["udp:2001:db8::1:5060"]),
        ("sip:host;maddr=192.0.2.9", ["udp:192.0.2.9:5060"]),
        ("sip:192.0.2.1;transport=sctp", []),
        ("sip:nowhere.example", []),
    ],
)
def test_addresses_need_no_question(uri: str, places: list[str]) -> None:
    assert resolved(uri) == places


ZONE: Zone = {
    ("NAPTR", "full.example"): (
        Naptr(20, 10, "SIP+D2U", "_sip._udp.full.example."),
        Naptr(10, 20, "SIP+D2T", "_tcp.full.example"),
        Naptr(10, 10, "SIPS+D2T", "_tls.full.example"),
        Naptr(1, 1, "SIP+D2S", "_sctp.full.example"),
        Naptr(1, 1, "SIP+D2U", "regexp", "u"),
    ),
    ("SRV", "_tls.full.example"): (Srv(1, 0, 5061, "a.full.example."),),
    ("SRV", "_tcp.full.example"): (Srv(1, 0, 5062, "192.0.2.5"),),
    ("SRV", "_sip._udp.full.example"): (Srv(1, 0, 0, "no.port"), Srv(1, 0, 5060, ".")),
    ("ADDRESS", "a.full.example"): (
        HostAddress("192.0.2.4"),
        HostAddress("2001:db8::4"),
        HostAddress("nonsense"),
    ),
    ("SRV", "_sip._udp.plain.example"): (Srv(2, 0, 5060, "b.example"), Srv(1, 0, 5066, "a.example")),
    ("ADDRESS", "a.example"): (HostAddress("192.0.2.10"),),
    ("ADDRESS", "b.example"): (HostAddress("192.0.2.11"),),
    ("ADDRESS", "host.example"): (HostAddress("192.0.2.20"),),
}


@pytest.mark.parametrize(
    ("uri", "places"),
    [
        ("sip:full.example", ["tls:192.0.2.4:5061", "tls:2001:db8::4:5061", "tcp:192.0.2.5:5062"]),
        ("sip:plain.example", ["udp:192.0.2.10:5066", "udp:192.0.2.11:5060"]),
        ("sip:plain.example;transport=udp", ["udp:192.0.2.10:5066", "udp:192.0.2.11:5060"]),
        ("sip:host.example", ["udp:192.0.2.20:5060"]),
        ("sip:HOST.example:5099;transport=tcp", ["tcp:192.0.2.20:5099"]),
        ("sip:host.example;transport=tcp", ["tcp:192.0.2.20:5060"]),
        ("sips:host.example", ["tls:192.0.2.20:5061"]),
    ],
)
def test_names(uri: str, places: list[str]) -> None:
    assert resolved(uri, ZONE) == places


def test_only_what_we_speak() -> None:
    assert resolved("sip:full.example", ZONE, ("udp",)) == []
    assert resolved("sip:host.example", ZONE, ("tcp",)) == ["tcp:192.0.2.20:5060"]


def test_records_of_another_kind_are_passed_over() -> None:
    zone: Zone = {
        key: (*records, Srv(0, 0, 1, "x"), HostAddress("1.2.3.4"), Naptr(0, 0, "", ""))
        for key, records in ZONE.items()
    }
    assert resolved("sip:host.example:5060", zone) == ["udp:192.0.2.20:5060", "udp:1.2.3.4:5060"]


def test_a_host_with_very_many_addresses() -> None:
    zone: Zone = {
        ("SRV", "_sip._udp.many.example"): [Srv(1, 0, 5060, f"192.0.2.{number}") for number in range(100)]
    }
    assert len(resolved("sip:many.example;transport=udp", zone)) == MOST_CANDIDATES


def test_the_name_stays_for_the_certificate() -> None:
    uri = parse_uri("sips:192.0.2.1:5061")
    assert isinstance(uri, SipUri)
    assert Resolution(uri, lambda count: 0).candidates == (Candidate("tls", "192.0.2.1", 5061, "192.0.2.1"),)
    assert default_port("tls") == 5061
    assert not is_ip("host")


@examples(100)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=8),
    st.lists(st.integers(0, 50), min_size=8, max_size=8),
)
def test_priorities_stand_before_weights_and_none_is_lost(
    records: list[tuple[int, int]], draws: list[int]
) -> None:
    made = [Srv(priority, weight, 5060 + number, "x") for number, (priority, weight) in enumerate(records)]
    chances = iter(draws)
    ordered = weighed(made, lambda count: next(chances) % count)
    assert sorted(ordered, key=lambda each: each.port) == made
    assert [each.priority for each in ordered] == sorted(each.priority for each in made)


def test_the_weight_decides_by_chance() -> None:
    light, heavy = Srv(1, 1, 1, "light"), Srv(1, 9, 2, "heavy")
    first = [weighed([light, heavy], lambda count, draw=draw: draw % count)[0] for draw in range(11)]  # type: ignore[misc]
    assert first.count(heavy) > 6
    assert light in first

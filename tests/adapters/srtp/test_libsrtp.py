"""Two ends with each other's keys: what passes, what does not, and a call that goes on in another process."""

from __future__ import annotations

import json
import sys

import pytest

from aywa.adapters.srtp.libsrtp import LibSrtp
from aywa.core.rtp.packet import Sender, build, parse
from aywa.core.rtp.rtcp import Report
from aywa.core.rtp.rtcp import build as build_report
from aywa.core.rtp.srtp_keys import SrtpKeys, SrtpSuite
from aywa.ports.srtp import Srtp, SrtpMaker, SrtpUnavailable

REPORT = build_report(Report(7, None, ()), "aywa")


def keys(suite: SrtpSuite, first: int, identifier: bytes = b"") -> SrtpKeys:
    return SrtpKeys(suite, bytes(range(first, first + suite.master_bytes)), identifier=identifier)


def pair(suite: SrtpSuite, identifiers: tuple[bytes, bytes] = (b"", b"")) -> tuple[LibSrtp, LibSrtp]:
    left, right = keys(suite, 0, identifiers[0]), keys(suite, 100, identifiers[1])
    return LibSrtp(left, right), LibSrtp(right, left)


@pytest.mark.parametrize("identifiers", [(b"", b""), (b"\x01", b""), (b"\0\0\0\x01", b"\x07")])
@pytest.mark.parametrize("suite", SrtpSuite)
def test_packets_and_reports_pass_both_ways(suite: SrtpSuite, identifiers: tuple[bytes, bytes]) -> None:
    left, right = pair(suite, identifiers)
    for one, other, identifier in ((left, right, identifiers[0]), (right, left, identifiers[1])):
        sender = Sender(7, 65530, 0)
        for number in range(20):
            packet = sender.packet(0, b"speech" * 20, number * 160)
            protected = one.protect(packet)
            assert b"speech" not in protected
            assert len(protected) >= len(packet) + 4 + len(identifier)
            assert other.unprotect(protected) == packet
        protected = one.protect_rtcp(REPORT)
        assert other.unprotect_rtcp(protected) == REPORT


@pytest.mark.parametrize("suite", SrtpSuite)
def test_the_published_overhead(suite: SrtpSuite) -> None:
    # RFC 3711: 10 or 4 bytes of tag; RFC 7714: 16. Reports: 4 bytes of index as well.
    left, _ = pair(suite)
    overhead = {"80": 10, "32": 4}.get(suite[-2:], 16)
    assert len(left.protect(build(0, False, 1, 0, 7, bytes(160)))) == 172 + overhead
    assert len(left.protect_rtcp(REPORT)) == len(REPORT) + 4 + max(overhead, 10)


@pytest.mark.parametrize("identifier", [b"", b"\x01"])
def test_what_is_not_authentic_or_comes_again_is_none(identifier: bytes) -> None:
    left, right = pair(SrtpSuite.AES_CM_128_HMAC_SHA1_80, (identifier, b""))
    packet = build(0, False, 1, 0, 7, bytes(160))
    protected = left.protect(packet)
    broken = protected[:20] + bytes([protected[20] ^ 1]) + protected[21:]
    assert right.unprotect(broken) is None
    assert right.unprotect(packet) is None
    assert right.unprotect(b"") is None
    assert right.unprotect(bytes(4000)) is None
    assert right.unprotect(protected) == packet
    assert right.unprotect(protected) is None
    report = left.protect_rtcp(REPORT)
    assert right.unprotect_rtcp(report[:-1]) is None
    assert right.unprotect_rtcp(REPORT) is None
    assert right.unprotect_rtcp(report) == REPORT
    assert right.unprotect_rtcp(report) is None


def moved(end: Srtp, sends: SrtpKeys, receives: SrtpKeys) -> LibSrtp:
    return LibSrtp(sends, receives, json.loads(json.dumps(end.to_dict())))


@pytest.mark.parametrize("suite", SrtpSuite)
def test_either_end_goes_on_in_another_process_after_the_numbers_wrapped(suite: SrtpSuite) -> None:
    left_keys, right_keys = keys(suite, 0, b"\x01"), keys(suite, 100)
    left, right = LibSrtp(left_keys, right_keys), LibSrtp(right_keys, left_keys)
    senders = {left: Sender(7, 40_000, 0), right: Sender(8, 65_000, 0)}

    def talk(one: LibSrtp, other: LibSrtp, sender: Sender, stride: int) -> None:
        sender.sequence = (sender.sequence + stride - 1) & 0xFFFF
        packet = sender.packet(0, b"speech", 0)
        assert other.unprotect(one.protect(packet)) == packet

    for _ in range(12):
        talk(left, right, senders[left], 20_000)
        talk(right, left, senders[right], 7000)
        assert right.unprotect_rtcp(left.protect_rtcp(REPORT)) == REPORT
    new_left = moved(left, left_keys, right_keys)
    for _ in range(2):
        talk(new_left, right, senders[left], 1)
        talk(right, new_left, senders[right], 1)
    # The reports' own numbers go on: a report that were numbered anew would be one that came before.
    assert right.unprotect_rtcp(new_left.protect_rtcp(REPORT)) == REPORT
    new_right = moved(right, right_keys, left_keys)
    talk(new_left, new_right, senders[left], 1)
    talk(new_right, new_left, senders[right], 1)
    assert new_left.to_dict() == moved(new_left, left_keys, right_keys).to_dict()
    assert new_left.to_dict()["sent"][0][1] >> 16 == 4


def test_it_remembers_a_few_sources_and_no_more() -> None:
    left, right = pair(SrtpSuite.AEAD_AES_128_GCM)
    for ssrc in range(20):
        packet = build(0, False, 5, 0, ssrc, b"speech")
        assert right.unprotect(left.protect(packet)) == packet
    assert right.to_dict()["received"] == [[ssrc, 5] for ssrc in range(16, 20)]
    # What comes late does not lead back.
    late = left.protect(build(0, False, 4, 0, 19, b"speech"))
    assert parse(right.unprotect(late) or b"") is not None
    assert right.to_dict()["received"][-1] == [19, 5]


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylibsrtp", None)
    with pytest.raises(SrtpUnavailable, match="package pylibsrtp"):
        pair(SrtpSuite.AEAD_AES_128_GCM)


def test_it_is_what_the_port_asks_for() -> None:
    maker: SrtpMaker = LibSrtp
    assert maker(keys(SrtpSuite.AEAD_AES_256_GCM, 0), keys(SrtpSuite.AEAD_AES_256_GCM, 9), None).to_dict() == {
        "sent": [], "reports": [0, 0], "received": [],
    }  # fmt: skip

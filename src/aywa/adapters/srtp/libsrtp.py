"""SRTP by libsrtp through pylibsrtp (RFC 3711, RFC 7714): 3 us for a packet there and one back.

The library keeps how often the sequence numbers wrapped and how many reports were sent, and gives neither out, so both
are counted here as well; a session that goes on in another process is led to where it was by packets that nobody gets.
The master key identifier (RFC 3711 3.1) is not authenticated and the library does not know it: it is put in and taken out
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from struct import pack
from typing import Any

from aywa.core.rtp.srtp_keys import SrtpKeys, SrtpSuite
from aywa.ports.srtp import SrtpUnavailable

# libsrtp estimates the number of wraps from steps of less than half of the sequence numbers.
_STRIDE = 1 << 14
# What a day of calls needs, many times over; a state from elsewhere leads no further.
_MOST_WRAPS = 1 << 10
_MOST_REPORTS = 1 << 17
# A far side may change its SSRC; of the ones before, nothing is remembered.
_MOST_SOURCES = 4

# RFC 4568 6.2: reports always have the long tag. In RFC 7714 8 and 9 the tag lies within, and the identifier behind it.
_TAG_BYTES = {SrtpSuite.AES_CM_128_HMAC_SHA1_80: 10, SrtpSuite.AES_CM_128_HMAC_SHA1_32: 4}
_RTCP_TAG_BYTES = {SrtpSuite.AES_CM_128_HMAC_SHA1_80: 10, SrtpSuite.AES_CM_128_HMAC_SHA1_32: 10}
_PROFILES = {
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: "SRTP_PROFILE_AES128_CM_SHA1_80",
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: "SRTP_PROFILE_AES128_CM_SHA1_32",
    SrtpSuite.AEAD_AES_128_GCM: "SRTP_PROFILE_AEAD_AES_128_GCM",
    SrtpSuite.AEAD_AES_256_GCM: "SRTP_PROFILE_AEAD_AES_256_GCM",
}


class LibSrtp:
    """ports.srtp.Srtp. before: what to_dict gave."""

    def __init__(
        self, send_keys: SrtpKeys, receive_keys: SrtpKeys, before: Mapping[str, Any] | None = None
    ) -> None:
        self._library = _library()
        self._error: type[Exception] = self._library.Error
        self._sending = _Direction(send_keys)
        self._receiving = _Direction(receive_keys)
        self._send = self._session(send_keys, outbound=True)
        self._receive = self._session(receive_keys, outbound=False)
        if before is not None:
            self._lead_to(before, receive_keys)

    def protect(self, packet: bytes) -> bytes:
        """An RTP packet to send."""
        self._sending.passed(packet)
        protected: bytes = self._send.protect(packet)
        return self._sending.with_identifier(protected, self._sending.tag_bytes)

    def unprotect(self, packet: bytes) -> bytes | None:
        """An RTP packet that came."""
        bare = self._receiving.without_identifier(packet, self._receiving.tag_bytes)
        try:
            plain: bytes = self._receive.unprotect(bare)
        except (self._error, ValueError):
            return None
        self._receiving.passed(plain)
        return plain

    def protect_rtcp(self, packet: bytes) -> bytes:
        """A report to send."""
        self._sending.reported(packet)
        protected: bytes = self._send.protect_rtcp(packet)
        return self._sending.with_identifier(protected, self._sending.rtcp_tag_bytes)

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """A report that came."""
        bare = self._receiving.without_identifier(packet, self._receiving.rtcp_tag_bytes)
        try:
            plain: bytes = self._receive.unprotect_rtcp(bare)
        except (self._error, ValueError):
            return None
        return plain

    def to_dict(self) -> dict[str, Any]:
        """Where both directions are. Reports that come carry their own number."""
        return {
            "sent": self._sending.places(),
            "reports": list(self._sending.reports),
            "received": self._receiving.places(),
        }

    def _session(self, keys: SrtpKeys, outbound: bool) -> Any:
        policy_class = self._library.Policy
        sources = policy_class.SSRC_ANY_OUTBOUND if outbound else policy_class.SSRC_ANY_INBOUND
        profile = getattr(policy_class, _PROFILES[keys.suite])
        return self._library.Session(
            policy_class(key=keys.master, ssrc_type=sources, ssrc_value=0, srtp_profile=profile)
        )

    def _lead_to(self, before: Mapping[str, Any], receive_keys: SrtpKeys) -> None:
        self._sending.take_up(before["sent"])
        reporter, count = before["reports"]
        self._sending.reports = (reporter, min(count, _MOST_REPORTS))
        self._receiving.take_up(before["received"])
        for ssrc, index in self._sending.places():
            for packet in _way_to(ssrc, index):
                self._send.protect(packet)
        for _ in range(self._sending.reports[1]):
            self._send.protect_rtcp(pack("!BBHI", 0x80, 201, 1, reporter))
        # The far side's keys make packets that are authentic, from nowhere.
        far_side = self._session(receive_keys, outbound=True)
        for ssrc, index in self._receiving.places():
            for packet in _way_to(ssrc, index):
                self._receive.unprotect(far_side.protect(packet))


def _library() -> Any:
    try:
        return import_module("pylibsrtp")
    except ImportError:
        raise SrtpUnavailable("SRTP needs the package pylibsrtp") from None


def _way_to(ssrc: int, index: int) -> list[bytes]:
    """Packets whose numbers lead there, the last of them being there."""
    return [
        pack("!BBHII", 0x80, 0, place & 0xFFFF, 0, ssrc)
        for place in (*range(index % _STRIDE, index, _STRIDE), index)
    ]


class _Direction:
    """What one direction's keys mean for the bytes, and where its packets are: sequence numbers with their wraps."""

    def __init__(self, keys: SrtpKeys) -> None:
        self.tag_bytes = _TAG_BYTES.get(keys.suite, 0)
        self.rtcp_tag_bytes = _RTCP_TAG_BYTES.get(keys.suite, 0)
        # Who reports, and how often it did (RFC 3711 3.4: the index is each source's own).
        self.reports = (0, 0)
        self._identifier = keys.identifier
        self._indices: dict[int, int] = {}

    def passed(self, packet: bytes) -> None:
        """A packet that is authentic (RFC 3711 3.3.1)."""
        sequence = packet[2] << 8 | packet[3]
        ssrc = int.from_bytes(packet[8:12])
        index = self._indices.get(ssrc)
        if index is None:
            while len(self._indices) >= _MOST_SOURCES:
                del self._indices[next(iter(self._indices))]
            self._indices[ssrc] = sequence
            return
        step = (sequence - index) & 0xFFFF
        if step < 0x8000:
            self._indices[ssrc] = index + step

    def reported(self, packet: bytes) -> None:
        """A report is sent."""
        reporter = int.from_bytes(packet[4:8])
        self.reports = (reporter, self.reports[1] + 1 if reporter == self.reports[0] else 1)

    def places(self) -> list[list[int]]:
        """SSRC and index of each source, plain."""
        return [[ssrc, index] for ssrc, index in self._indices.items()]

    def take_up(self, places: list[list[int]]) -> None:
        """What `places` gave."""
        self._indices = {ssrc: min(index, _MOST_WRAPS << 16) for ssrc, index in places[-_MOST_SOURCES:]}

    def with_identifier(self, packet: bytes, tag_bytes: int) -> bytes:
        """The packet with the identifier before its tag."""
        if not self._identifier:
            return packet
        end = len(packet) - tag_bytes
        return packet[:end] + self._identifier + packet[end:]

    def without_identifier(self, packet: bytes, tag_bytes: int) -> bytes:
        """The packet without the identifier; as it is where it has another."""
        size = len(self._identifier)
        end = len(packet) - tag_bytes
        if not size or end < size or packet[end - size : end] != self._identifier:
            return packet
        return packet[: end - size] + packet[end:]

"""What an RTP stream is to be, as offer and answer settled it: the record between signalling and media.

It knows numbers and names only; refuses to know SDP, sockets, and how a codec works.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from aywa.core.rtp.srtp_keys import SrtpKeys, SrtpSuite


class Codec(StrEnum):
    """How the audio is coded, by the name in SDP."""

    PCMU = "PCMU"
    PCMA = "PCMA"
    G722 = "G722"
    OPUS = "opus"

    @property
    def rate_hz(self) -> int:
        """The rate of the audio that goes into the encoder and comes out of the decoder here. Opus decodes to any of its
        rates whatever was sent (RFC 7587 4.1): 16 kHz is what recognition takes."""
        return 8000 if self in (Codec.PCMU, Codec.PCMA) else 16_000

    @property
    def clock_hz(self) -> int:
        """The rate of RTP's timestamps: 8000 for G.722 by an old mistake (RFC 3551 4.5.2), 48000 for Opus always
        (RFC 7587 4.1)."""
        return 48_000 if self is Codec.OPUS else 8000

    @property
    def channels(self) -> int:
        """What rtpmap says: Opus always two (RFC 7587 7)."""
        return 2 if self is Codec.OPUS else 1

    @property
    def static_type(self) -> int | None:
        """The payload type that needs no rtpmap (RFC 3551 6), or None."""
        return _STATIC_TYPES.get(self)


_STATIC_TYPES = {Codec.PCMU: 0, Codec.PCMA: 8, Codec.G722: 9}
# RFC 3389 3: comfort noise at 8 kHz.
COMFORT_NOISE_TYPE = 13


class Address(NamedTuple):
    """Where packets go: an IP address without brackets, and a UDP port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One audio stream of one leg.

    codec, payload_type: what is sent. receive_types: what may come, by payload type (the far side may change among them at
    any packet, RFC 3264 7). rate_hz: of the audio, clock_hz: of the timestamps.
    dtmf_type, dtmf_receive_type: telephone-event's payload types, None without; its clock is clock_hz where the far side
    offered that (dtmf_clock_hz). comfort_noise_type: 13 or the negotiated one, None without.
    remote: where to send, None until an answer; a port of 0 never stands here: the stream is None then.
    rtcp: where reports go; with rtcp_mux the same as remote. Both none: no reports are sent.
    sends, receives: the direction; both false is "inactive". on_hold: the far side put us on hold.
    send_keys, receive_keys: SRTP both ways, None for plain RTP; both or none.
    """

    codec: Codec
    payload_type: int
    receive_types: Mapping[int, Codec]
    ptime_ms: int = 20
    remote: Address | None = None
    rtcp: Address | None = None
    rtcp_mux: bool = False
    sends: bool = True
    receives: bool = True
    on_hold: bool = False
    dtmf_type: int | None = None
    dtmf_receive_type: int | None = None
    dtmf_clock_hz: int = 8000
    comfort_noise_type: int | None = None
    send_keys: SrtpKeys | None = None
    receive_keys: SrtpKeys | None = None

    def __post_init__(self) -> None:
        if (self.send_keys is None) != (self.receive_keys is None):
            raise ValueError("SRTP needs keys both ways")
        if self.ptime_ms <= 0:
            raise ValueError(f"a packet holds some audio, not {self.ptime_ms} ms")

    @property
    def rate_hz(self) -> int:
        """The rate of the audio."""
        return self.codec.rate_hz

    @property
    def clock_hz(self) -> int:
        """The rate of the timestamps."""
        return self.codec.clock_hz

    @property
    def packet_samples(self) -> int:
        """Samples of audio in a packet that is sent."""
        return self.rate_hz * self.ptime_ms // 1000

    @property
    def packet_ticks(self) -> int:
        """By how much the timestamp grows with a packet that is sent."""
        return self.clock_hz * self.ptime_ms // 1000

    @property
    def secured(self) -> bool:
        """SRTP both ways."""
        return self.send_keys is not None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, to be taken up in another process. Holds the keys: never to be journaled or logged."""
        return {
            "codec": self.codec.value,
            "payload_type": self.payload_type,
            "receive_types": {str(number): codec.value for number, codec in self.receive_types.items()},
            "ptime_ms": self.ptime_ms,
            "remote": _listed(self.remote),
            "rtcp": _listed(self.rtcp),
            "rtcp_mux": self.rtcp_mux,
            "sends": self.sends,
            "receives": self.receives,
            "on_hold": self.on_hold,
            "dtmf_type": self.dtmf_type,
            "dtmf_receive_type": self.dtmf_receive_type,
            "dtmf_clock_hz": self.dtmf_clock_hz,
            "comfort_noise_type": self.comfort_noise_type,
            "send_keys": _key_values(self.send_keys),
            "receive_keys": _key_values(self.receive_keys),
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> StreamPlan:
        """What to_dict gave."""
        return StreamPlan(
            **{
                **values,
                "codec": Codec(values["codec"]),
                "receive_types": {int(key): Codec(name) for key, name in values["receive_types"].items()},
                "remote": _address(values["remote"]),
                "rtcp": _address(values["rtcp"]),
                "send_keys": _keys(values["send_keys"]),
                "receive_keys": _keys(values["receive_keys"]),
            }
        )


def _listed(address: Address | None) -> list[Any] | None:
    return None if address is None else list(address)


def _address(values: list[Any] | None) -> Address | None:
    return None if values is None else Address(*values)


def _key_values(keys: SrtpKeys | None) -> list[Any] | None:
    if keys is None:
        return None
    return [keys.suite.value, b64encode(keys.master).decode(), keys.lifetime_packets, keys.identifier.hex()]


def _keys(values: list[Any] | None) -> SrtpKeys | None:
    if values is None:
        return None
    suite, master, lifetime_packets, identifier = values
    return SrtpKeys(SrtpSuite(suite), b64decode(master), lifetime_packets, bytes.fromhex(identifier))

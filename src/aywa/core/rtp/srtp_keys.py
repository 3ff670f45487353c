"""The keys of an SRTP stream as SDP carries them (RFC 4568, RFC 7714); refuses to encrypt, and to show a key."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

# RFC 4568 6.1: the most packets a key may protect, which is also what holds when the line names no lifetime.
MOST_PACKETS = 2**48
# RFC 4568 9.2 allows an identifier of 128 bytes, in every packet; nobody needs more than a few.
_LONGEST_IDENTIFIER = 16
_LONGEST_NUMBER = 40


class SrtpSuite(StrEnum):
    """Crypto suites, by their names in SDP; the best first."""

    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"

    @property
    def master_bytes(self) -> int:
        """Of the master key and the salt together (RFC 4568 6.2, RFC 7714 12)."""
        return _KEY_BYTES[self] + _SALT_BYTES[self]


_KEY_BYTES = {
    SrtpSuite.AEAD_AES_256_GCM: 32,
    SrtpSuite.AEAD_AES_128_GCM: 16,
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: 16,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: 16,
}
_SALT_BYTES = {
    SrtpSuite.AEAD_AES_256_GCM: 12,
    SrtpSuite.AEAD_AES_128_GCM: 12,
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: 14,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: 14,
}


class KeyRefused(ValueError):
    """The key parameters cannot be used; the message says why and never what they were."""


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """One direction's keys. master: key, then salt. lifetime_packets: how many packets they may protect. identifier: the
    MKI that each packet carries (RFC 3711 3.1), or none."""

    suite: SrtpSuite
    master: bytes = field(repr=False)
    lifetime_packets: int = MOST_PACKETS
    identifier: bytes = b""

    def __post_init__(self) -> None:
        if len(self.master) != self.suite.master_bytes:
            raise KeyRefused(f"{self.suite} needs {self.suite.master_bytes} bytes of key and salt")

    @property
    def inline(self) -> str:
        """The key parameter of a crypto line."""
        return "inline:" + b64encode(self.master).decode()


def new_keys(suite: SrtpSuite, randomness: Callable[[int], bytes]) -> SrtpKeys:
    """Fresh keys. randomness(count) gives bytes that nobody can guess."""
    return SrtpKeys(suite, randomness(suite.master_bytes))


def read_inline(suite: SrtpSuite, parameter: str) -> SrtpKeys:
    """The keys of "inline:KEY[|LIFETIME][|MKI:LENGTH]" (RFC 4568 9.2). Raises KeyRefused."""
    method, separator, rest = parameter.partition(":")
    if not separator or method.lower() != "inline":
        raise KeyRefused("the key method is not inline")
    if ";" in rest:
        raise KeyRefused("more than one key in a line")
    encoded, *options = rest.split("|")
    identifier = _identifier(options.pop()) if options and ":" in options[-1] else b""
    if len(options) > 1:
        raise KeyRefused("more than one lifetime")
    lifetime = _lifetime(options[0]) if options else MOST_PACKETS
    try:
        # Some senders leave the padding out.
        master = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        raise KeyRefused("the key is not base64") from None
    return SrtpKeys(suite, master, lifetime, identifier)


def _identifier(text: str) -> bytes:
    value, _, length = text.partition(":")
    if not (_is_number(value) and _is_number(length)):
        raise KeyRefused("the master key identifier is not VALUE:LENGTH")
    number, size = int(value), int(length)
    if not 1 <= size <= _LONGEST_IDENTIFIER or number >> (8 * size):
        raise KeyRefused("the master key identifier does not fit its length")
    return number.to_bytes(size)


def _lifetime(text: str) -> int:
    base, power, exponent = text.partition("^")
    digits = exponent if power else base
    if not _is_number(digits) or (power and base != "2"):
        raise KeyRefused("the lifetime is not a number of packets")
    packets = MOST_PACKETS if power and int(digits) > 48 else 2 ** int(digits) if power else int(digits)
    if packets == 0:
        raise KeyRefused("the key has no lifetime")
    return min(packets, MOST_PACKETS)


def _is_number(text: str) -> bool:
    return len(text) <= _LONGEST_NUMBER and text.isascii() and text.isdigit()

"""Carriers, as this process has them: their adapters by name, and where vendors reach it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from aywa.adapters.carriers.asterisk import Asterisk
from aywa.adapters.carriers.exotel import Exotel
from aywa.adapters.carriers.plivo import Plivo
from aywa.adapters.carriers.signalwire import SignalWire
from aywa.adapters.carriers.telnyx import Telnyx
from aywa.adapters.carriers.twilio import Twilio
from aywa.adapters.carriers.vonage import Vonage
from aywa.boot.errors import CannotStart
from aywa.ports.calls import CallLegs
from aywa.ports.carriers import Carrier
from aywa.service.carrier_lines import CarrierLines, CarrierParts

PUBLIC_URL = "RUNTIME_PUBLIC_URL"
PUBLIC_MEDIA_URL = "RUNTIME_PUBLIC_MEDIA_URL"
ADAPTERS = (Asterisk, Exotel, Plivo, SignalWire, Telnyx, Twilio, Vonage)


def carriers(legs: CallLegs, public_url: str, media_url: Callable[[], str]) -> CarrierParts:
    """All that there are. media_url: how the media port is reached where nobody says."""
    told = public_media_url()
    made: dict[str, Carrier] = {adapter.vendor: adapter() for adapter in ADAPTERS}
    return CarrierParts(made, legs, (lambda: told) if told else media_url, public_url)


class LineControl:
    """equipment.door.Control of a carrier's call: what its media socket cannot carry, the vendor is told."""

    def __init__(self, lines: CarrierLines, call_id: str) -> None:
        self._lines = lines
        self._call_id = call_id

    def hang_up(self, reason: str) -> None:
        """The vendor is told when the call's session is over, if the socket's end is not enough."""

    def send_keys(self, digits: str) -> bool:
        """As the protocol says."""
        return self._lines.send_keys(self._call_id, digits)


class Streams(Protocol):
    """Media sockets, as far as a carrier's calls matter to them."""

    def govern(self, call_id: str, control: LineControl) -> None: ...

    def forget(self, call_id: str) -> None: ...


def govern(lines: CarrierLines, streams: Streams) -> None:
    """A carrier's calls are told of also by their vendor's API."""
    lines.began = lambda call_id: streams.govern(call_id, LineControl(lines, call_id))
    lines.gone = streams.forget


def public_url() -> str:
    """Where others reach the API, as the operator says; empty when he does not. Raises CannotStart."""
    return _url(PUBLIC_URL, ("https", "http"), "https://voice.example.com")


def public_media_url() -> str:
    """Where others reach the media port. Raises CannotStart."""
    return _url(PUBLIC_MEDIA_URL, ("wss", "ws"), "wss://voice.example.com:8081")


def _url(name: str, schemes: tuple[str, ...], example: str) -> str:
    given = os.environ.get(name, "").strip().rstrip("/")
    if not given:
        return ""
    try:
        parts = urlsplit(given)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or "@" in given or "?" in given or not given.isascii() or not given.isprintable():
        raise CannotStart(f"{name} must be an address such as {example}, got {given[:80]!r}")
    return given

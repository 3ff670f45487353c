"""The sides by the name that a protocol has in the runtime's addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import uuid4

from aywa.testing.equipment.audio_fork import AudioForkSide
from aywa.testing.equipment.audio_stream import AudioStreamSide
from aywa.testing.equipment.audiosocket import AudioSocketSide
from aywa.testing.equipment.chan_websocket import ChanWebSocketSide
from aywa.testing.equipment.exotel import ExotelSide
from aywa.testing.equipment.jambonz import JambonzSide
from aywa.testing.equipment.plivo import PlivoSide
from aywa.testing.equipment.side import Facts, Side
from aywa.testing.equipment.signalwire import SignalWireSide
from aywa.testing.equipment.telnyx import TelnyxSide
from aywa.testing.equipment.twilio import TwilioSide
from aywa.testing.equipment.vonage import VonageSide

SIDES: Mapping[str, type[Side]] = {
    side.name: side
    for side in (
        TwilioSide, TelnyxSide, SignalWireSide, ExotelSide, PlivoSide, VonageSide, AudioSocketSide, ChanWebSocketSide,
        AudioForkSide, AudioStreamSide, JambonzSide,
    )
}  # fmt: skip

_UUIDS = ("audiosocket", "plivo", "vonage", "jambonz", "audio_fork", "audio_stream", "chan_websocket")


def facts_for(name: str, facts: Facts | None = None) -> Facts:
    """The facts with ids of their own, in the vendor's form."""
    facts = facts or Facts()
    if name in _UUIDS:
        return replace(facts, call_id=str(uuid4()), stream_id=str(uuid4()))
    if name == "telnyx":
        return replace(facts, call_id=f"v3:{uuid4().hex}", stream_id=str(uuid4()).upper())
    return replace(facts, call_id=f"CA{uuid4().hex}", stream_id=f"MZ{uuid4().hex}")

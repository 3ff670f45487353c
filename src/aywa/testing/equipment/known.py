"""All equipment, by the name that a protocol has in the runtime's addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import uuid4

from aywa.testing.equipment.audio_fork import AudioForkEquipment
from aywa.testing.equipment.audio_stream import AudioStreamEquipment
from aywa.testing.equipment.audiosocket import AudioSocketEquipment
from aywa.testing.equipment.base import Equipment, Facts
from aywa.testing.equipment.chan_websocket import ChanWebSocketEquipment
from aywa.testing.equipment.exotel import ExotelEquipment
from aywa.testing.equipment.jambonz import JambonzEquipment
from aywa.testing.equipment.plivo import PlivoEquipment
from aywa.testing.equipment.signalwire import SignalWireEquipment
from aywa.testing.equipment.telnyx import TelnyxEquipment
from aywa.testing.equipment.twilio import TwilioEquipment
from aywa.testing.equipment.vonage import VonageEquipment

EQUIPMENT: Mapping[str, type[Equipment]] = {
    kind.name: kind
    for kind in (
        TwilioEquipment, TelnyxEquipment, SignalWireEquipment, ExotelEquipment, PlivoEquipment, VonageEquipment,
        AudioSocketEquipment, ChanWebSocketEquipment, AudioForkEquipment, AudioStreamEquipment, JambonzEquipment,
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

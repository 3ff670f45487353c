"""All equipment, by the name that a protocol has in the runtime's addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
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


RUN = "run"
"""The parameter that tells one call from another, for protocols that have no id of a call."""


def facts_for(name: str, facts: Facts | None = None) -> Facts:
    """The facts with ids of their own, in the vendor's form; one of them is among the parameters."""
    facts = facts or Facts()
    if name in _UUIDS:
        call_id, stream_id = str(uuid4()), str(uuid4())
    elif name == "telnyx":
        call_id, stream_id = f"v3:{uuid4().hex}", str(uuid4()).upper()
    else:
        call_id, stream_id = f"CA{uuid4().hex}", f"MZ{uuid4().hex}"
    parameters = {**facts.parameters, RUN: uuid4().hex[:12]}
    return replace(facts, call_id=call_id, stream_id=stream_id, parameters=parameters)


def brought(facts: Facts, call: Mapping[str, Any]) -> bool:
    """Whether this is the runtime's document of the call with these facts."""
    overrides = call.get("assistantOverrides") or {}
    run = (overrides.get("variableValues") or {}).get(RUN)
    if RUN in facts.parameters and run is not None:
        return bool(run == facts.parameters[RUN])
    return call.get("phoneCallProviderId") in (facts.call_id, facts.stream_id)

"""The runtime ends a call: over every protocol in the way that the vendor has for it, after the last word was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest

from aywa.testing.equipment.audio_fork import AudioForkEquipment
from aywa.testing.equipment.audio_stream import AudioStreamEquipment
from aywa.testing.equipment.audiosocket import AudioSocketEquipment
from aywa.testing.equipment.base import Equipment, Facts
from aywa.testing.equipment.call import Called
from aywa.testing.equipment.chan_websocket import ChanWebSocketEquipment
from aywa.testing.equipment.ear import SILENT
from aywa.testing.equipment.exotel import ExotelEquipment
from aywa.testing.equipment.jambonz import JambonzEquipment
from aywa.testing.equipment.known import facts_for
from aywa.testing.equipment.plivo import PlivoEquipment
from aywa.testing.equipment.report import measure
from aywa.testing.equipment.signalwire import SignalWireEquipment
from aywa.testing.equipment.telnyx import TelnyxEquipment
from aywa.testing.equipment.twilio import TwilioEquipment
from aywa.testing.equipment.vonage import VonageEquipment
from aywa.testing.script import Pause
from tests.equipment.runtime import ASSISTANT, BYE, MediaRuntime

EQUIPMENT: Mapping[str, Callable[[Facts], Equipment]] = {
    "twilio": TwilioEquipment,
    "telnyx": TelnyxEquipment,
    "signalwire": SignalWireEquipment,
    "exotel": ExotelEquipment,
    "plivo": PlivoEquipment,
    "vonage": VonageEquipment,
    "audiosocket": AudioSocketEquipment,
    "chan_websocket": ChanWebSocketEquipment,
    "audio_fork": AudioForkEquipment,
    "audio_stream": AudioStreamEquipment,
    "jambonz": JambonzEquipment,
}
LEFT_S = 0.06
SAYS_SO = ("audiosocket", "chan_websocket", "audio_fork", "jambonz")
"""These have a message for it; with the others the socket's end is the end."""


@pytest.fixture(scope="module")
def brief(runtime: MediaRuntime) -> Iterator[str]:
    """An assistant that says goodbye at once."""
    body = {**ASSISTANT, "firstMessage": BYE, "endCallPhrases": ["goodbye"]}
    status, made = runtime.dev.ask("POST", "/assistant", body)
    assert status == 201, made
    yield made["id"]
    runtime.dev.ask("DELETE", f"/assistant/{made['id']}")


@pytest.fixture(scope="module")
def ended(runtime: MediaRuntime, brief: str) -> Mapping[str, Called]:
    async def every() -> Mapping[str, Called]:
        async def one(name: str) -> Called:
            facts = Facts(call_id=brief) if name == "audiosocket" else facts_for(name)
            return await runtime.call(EQUIPMENT[name](facts), [Pause(30)], name=brief)

        calls = await asyncio.gather(*map(one, EQUIPMENT))
        return dict(zip(EQUIPMENT, calls, strict=True))

    return asyncio.run(every())


@pytest.mark.parametrize("name", EQUIPMENT)
async def test_the_runtime_hangs_up_when_all_was_heard(
    name: str, ended: Mapping[str, Called], runtime: MediaRuntime
) -> None:
    called = ended[name]
    assert called.ended_by == "runtime"
    measures = measure(called)
    assert measures.violations == ()
    assert measures.hung_up is (name in SAYS_SO)
    assert measures.cleared_ms == 0
    # Nothing of the goodbye waits any more: it was heard before the line went.
    equipment = called.equipment
    waiting = np.frombuffer(equipment.ear.waiting(), "<i2")
    assert np.count_nonzero(np.abs(waiting) > SILENT) / equipment.rate_hz <= LEFT_S + equipment.late_s
    call = await runtime.document(called.equipment)
    assert call["endedReason"] == "assistant-said-end-call-phrase"

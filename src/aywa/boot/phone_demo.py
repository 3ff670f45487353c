"""A stand-in for the router of numbers: `demo` reaches the receptionist, whoever else is dialled is not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from aywa.boot.phone_settings import DEMO_USER
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.journal import StoreUnavailable
from aywa.ports.media import AudioFormat
from aywa.ports.telephony import Account, Answer, InboundInvite, Refusal, Trunk
from aywa.service.calls import Calls, Creator

_AUDIO = {"format": "mulaw", "container": "raw", "sampleRate": 8000}


class DemoRouter:
    """ports.telephony.Router."""

    def __init__(self, calls: Calls, org_id: str, assistant_id: str) -> None:
        self._calls = calls
        self._org_id = org_id
        self._assistant_id = assistant_id

    async def route(self, invite: InboundInvite) -> Answer:
        """As the port says."""
        if invite.called != DEMO_USER or not (invite.trusted or invite.account == DEMO_USER):
            return Refusal(404)
        body = {
            "assistantId": self._assistant_id,
            "transport": {"provider": "vapi.websocket", "audioFormat": _AUDIO},
        }
        try:
            text = await self._calls.create(Creator(self._org_id, "phone"), body, web=False)
        except CallRefused as refusal:
            return Refusal(503, message=str(refusal), ended_reason=refusal.ended_reason)
        except StoreUnavailable:
            return Refusal(503)
        call_id = json.loads(text)["id"]
        return CallPlan(call_id, self._org_id, "inboundPhoneCall", {}, AudioFormat.MULAW, 8000, 0)

    async def trunks(self) -> Sequence[Trunk]:
        """None yet."""
        return ()

    async def accounts(self) -> Sequence[Account]:
        """None but our own."""
        return ()

    def on_change(self, tell: Callable[[], None]) -> None:
        """Nothing changes."""

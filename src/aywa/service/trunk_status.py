"""How the trunks fare that this process keeps: whether their gateways answer, whether we are registered. Changes nothing.

A trunk that is neither registered at nor asked by OPTIONS has no state that anybody could know before a call.
"""

from __future__ import annotations

import json

from aywa.ports.store import JsonObject
from aywa.ports.telephony import Trunk, TrunkState, TrunkStates
from aywa.service.clock import iso
from aywa.service.trunks import Trunks

UP, DOWN, UNKNOWN, OFF = "up", "down", "unknown", "off"


class TrunkStatus:
    """The use-cases. states: None where this runtime has no SIP port."""

    def __init__(self, trunks: Trunks, states: TrunkStates | None) -> None:
        self._trunks = trunks
        self._states = states

    async def of(self, org_id: str) -> str:
        """Each of the organisation's trunks, the oldest first, as a JSON array. Raises StoreUnavailable."""
        own = [trunk for trunk in await self._trunks.all() if trunk.org_id == org_id]
        return json.dumps([self._row(trunk) for trunk in own])

    def _row(self, trunk: Trunk) -> JsonObject:
        state = TrunkState() if self._states is None else self._states.trunk_state(trunk.id)
        registers = trunk.registration is not None
        asked = any(gateway.ping for gateway in trunk.gateways)
        return {
            "id": trunk.id,
            "name": trunk.name,
            "state": OFF if self._states is None else _judged(state, registers=registers, asked=asked),
            "registered": state.registered if registers else None,
            "answers": state.answers if asked else None,
            "reason": state.why,
            "since": iso(state.since_ms) if state.since_ms else None,
            "gateways": [
                {
                    "ip": gateway.host,
                    "port": gateway.port,
                    "protocol": gateway.transport,
                    "inbound": bool(gateway.network),
                    "outbound": gateway.outbound,
                }
                for gateway in trunk.gateways
            ],
        }


def _judged(state: TrunkState, *, registers: bool, asked: bool) -> str:
    known = [state.registered] * registers + [state.answers] * asked
    if False in known:
        return DOWN
    return UNKNOWN if None in known or not known else UP

"""What FreeSWITCH says of a channel, in the words of the router; and which channels are an earlier process's."""

from __future__ import annotations

import json

from aywa.core.esl.event import Event
from aywa.ports.telephony import InboundInvite

HEADER = "variable_sip_h_"


def invite_of(channel: Event, source: str) -> InboundInvite:
    """A channel that came, as the router knows calls. Its variable aywa_number says whom it is for, where that is not what was
    dialled."""
    headers = tuple(
        (name.removeprefix(HEADER), value)
        for name, value in channel.fields.items()
        if name.startswith((f"{HEADER}X-", f"{HEADER}x-"))
    )
    called = channel.variable("aywa_number") or channel.get("Caller-Destination-Number")
    return InboundInvite(
        source=source,
        called=called or channel.get("Channel-Destination-Number"),
        caller=channel.get("Caller-Caller-ID-Number"),
        caller_name=channel.get("Caller-Caller-ID-Name"),
        diversion=channel.variable("sip_h_Diversion"),
        # It came from an address that may come: nothing else needs to be shown.
        trusted=True,
        headers=headers,
        sip_call_id=channel.variable("sip_call_id") or channel.uuid,
        transport="tcp",
    )


def orphans_of(text: str, mark: str) -> list[str]:
    """The channels with that mark, from `show channels as json`."""
    try:
        rows = json.loads(text)["rows"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    if not isinstance(rows, list):
        return []
    found = [row.get("uuid") for row in rows if isinstance(row, dict) and row.get("presence_data") == mark]
    return [uuid for uuid in found if isinstance(uuid, str)]

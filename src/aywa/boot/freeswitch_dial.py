"""A call that is to be placed, in the words of FreeSWITCH's `originate`: whom it dials, and what it knows of the call."""

from __future__ import annotations

from aywa.boot.freeswitch_settings import FreeSwitchSettings
from aywa.core.esl import commands
from aywa.ports.telephony import OutboundCall


def target_of(call: OutboundCall, settings: FreeSwitchSettings) -> str:
    """The dial string of whom it is placed to. Raises Unsendable."""
    trunk = call.trunk
    if call.uri:
        return commands.dial_uri(settings.profile, call.uri)
    if trunk is not None and trunk.freeswitch:
        return commands.dial_string(settings.dial, trunk.freeswitch, call.user)
    gateway = next((each for each in trunk.gateways if each.outbound), None) if trunk is not None else None
    if gateway is None:
        raise commands.Unsendable("there is nobody to be called through FreeSWITCH")
    host = f"[{gateway.host}]" if ":" in gateway.host else gateway.host
    user = commands.checked(call.user, commands.DIALLED)
    return commands.dial_uri(
        settings.profile, f"sip:{user}@{host}:{gateway.port};transport={gateway.transport}"
    )


def variables_of(call: OutboundCall, uuid: str, mark: str) -> dict[str, str]:
    """The channel's variables. mark: by which it is known as this runtime's."""
    values = {
        "origination_uuid": uuid,
        "originate_timeout": str(round(call.ring_s)),
        # Answered is who picked up, not who is heard ringing.
        "ignore_early_media": "true",
        "presence_data": mark,
        "aywa_call_id": call.call_id,
        "origination_caller_id_number": commands.shown(call.caller_id),
        "origination_caller_id_name": commands.shown(call.caller_name),
        "sip_h_Diversion": commands.shown(f"sip:{call.diversion}") if call.diversion else "",
    }
    for name, value in call.headers:
        if commands.WORD.match(f"sip_h_{name}"):
            values[f"sip_h_{name}"] = commands.shown(value)
    return {name: value for name, value in values.items() if value}

from __future__ import annotations

from dataclasses import replace

import pytest

from aywa.boot.freeswitch_dial import target_of, variables_of
from aywa.boot.freeswitch_settings import FreeSwitchSettings
from aywa.core.esl.commands import Unsendable
from aywa.ports.telephony import Gateway, OutboundCall, Trunk

SETTINGS = FreeSwitchSettings()
TRUNK = Trunk("t", "org", "T", (Gateway("gw.example", outbound=False), Gateway("::1", 5070, "tcp")))
CALL = OutboundCall("c-1", "org", TRUNK, "+4930")


def test_by_a_gateway_of_freeswitch() -> None:
    call = replace(CALL, trunk=replace(TRUNK, freeswitch="carrier"))
    assert target_of(call, SETTINGS) == "sofia/gateway/carrier/+4930"
    assert target_of(call, replace(SETTINGS, dial="sofia/x/{number}@y")) == "sofia/x/+4930@y"


def test_by_an_address() -> None:
    assert target_of(CALL, SETTINGS) == "sofia/external/sip:+4930@[::1]:5070;transport=tcp"
    assert target_of(replace(CALL, uri="sip:ann@x"), replace(SETTINGS, profile="p")) == "sofia/p/sip:ann@x"


def test_nobody() -> None:
    for call in (replace(CALL, trunk=None), replace(CALL, trunk=replace(TRUNK, gateways=()))):
        with pytest.raises(Unsendable, match="nobody"):
            target_of(call, SETTINGS)


def test_what_freeswitch_knows_of_the_call() -> None:
    assert variables_of(replace(CALL, ring_s=20.4), "u-1", "m") == {
        "origination_uuid": "u-1",
        "originate_timeout": "20",
        "ignore_early_media": "true",
        "presence_data": "m",
        "aywa_call_id": "c-1",
    }
    more = replace(
        CALL, caller_id="+4989", caller_name="A, B", diversion="+491", headers=(("X-A", "1{2}"), ("X B", "3"))
    )
    found = variables_of(more, "u-1", "m")
    assert found["origination_caller_id_number"] == "+4989"
    assert found["origination_caller_id_name"] == "A B"
    assert found["sip_h_Diversion"] == "sip:+491"
    assert found["sip_h_X-A"] == "12"
    assert "sip_h_X B" not in found

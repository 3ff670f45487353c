from __future__ import annotations

from aywa.boot.freeswitch_reading import invite_of, orphans_of
from aywa.core.esl.event import Event


def test_a_channel_as_a_call() -> None:
    channel = Event(
        fields={
            "Unique-ID": "u-1",
            "Caller-Destination-Number": "+4930",
            "Caller-Caller-ID-Number": "+4989",
            "Caller-Caller-ID-Name": "Ann",
            "variable_sip_h_X-Order-Id": "4711",
            "variable_sip_h_P-Other": "x",
            "variable_sip_call_id": "abc@host",
        }
    )
    invite = invite_of(channel, "10.0.0.5")
    assert (invite.source, invite.called, invite.caller, invite.caller_name) == (
        "10.0.0.5",
        "+4930",
        "+4989",
        "Ann",
    )
    assert invite.headers == (("X-Order-Id", "4711"),)
    assert invite.sip_call_id == "abc@host"
    assert invite.trusted


def test_the_dialplan_may_say_whom_it_is_for() -> None:
    fields = {"Unique-ID": "u-1", "variable_aywa_number": "sales", "Caller-Destination-Number": "1"}
    assert invite_of(Event(fields=fields), "").called == "sales"
    assert invite_of(Event(fields={"Channel-Destination-Number": "9", "Unique-ID": "u"}), "").called == "9"
    assert invite_of(Event(fields={"Unique-ID": "u-1"}), "").sip_call_id == "u-1"


def test_which_channels_are_left_over() -> None:
    rows = '[{"uuid": "a", "presence_data": "m"}, {"uuid": "b", "presence_data": "x"}, 3, {"presence_data": "m"}]'
    assert orphans_of(f'{{"row_count": 4, "rows": {rows}}}', "m") == ["a"]
    for text in ('{"row_count": 0}', "", "-ERR no", "[]", '{"rows": 3}', "[" * 100_000):
        assert orphans_of(text, "m") == []

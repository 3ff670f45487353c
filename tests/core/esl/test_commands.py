from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.esl import commands as say
from aywa.core.esl.commands import LINE_MAX_BYTES, Unsendable
from tests.core.feed import examples


def test_what_is_said() -> None:
    assert say.login("ClueCon") == b"auth ClueCon\n\n"
    assert say.login("pw", "me@example.com") == b"userauth me@example.com:pw\n\n"
    assert say.connect() == b"connect\n\n"
    assert say.api("uptime") == b"api uptime\n\n"
    assert say.api("uuid_kill", "u NORMAL") == b"api uuid_kill u NORMAL\n\n"
    assert say.background("originate", "x &park()", "j-1") == b"bgapi originate x &park()\nJob-UUID: j-1\n\n"
    assert say.events("json", ["A", "B"]) == b"event json A B\n\n"
    assert say.events("plain", ["A"], ["m::x"]) == b"event plain A CUSTOM m::x\n\n"
    assert say.my_events("json") == b"myevents json\n\n"
    assert say.add_filter("Unique-ID", "u") == b"filter Unique-ID u\n\n"
    assert say.remove_filter("Unique-ID", "u") == b"filter delete Unique-ID u\n\n"
    assert say.linger(10) == b"linger 10\n\n"
    assert say.leave() == b"exit\n\n"
    assert say.hang_up() == b"sendmsg\ncall-command: hangup\nhangup-cause: NORMAL_CLEARING\n\n"
    assert say.hang_up("USER_BUSY", "u") == b"sendmsg u\ncall-command: hangup\nhangup-cause: USER_BUSY\n\n"


def test_applications() -> None:
    assert say.execute("answer") == b"sendmsg\ncall-command: execute\nexecute-app-name: answer\n\n"
    assert say.execute("playback", "a.wav", "u", "e", lock=True) == (
        b"sendmsg u\ncall-command: execute\nexecute-app-name: playback\nEvent-UUID: e\nevent-lock: true\n"
        b"execute-app-arg: a.wav\n\n"
    )
    long = "x" * (LINE_MAX_BYTES + 1)
    assert say.execute("set", long) == (
        b"sendmsg\ncall-command: execute\nexecute-app-name: set\ncontent-type: text/plain\n"
        b"content-length: " + str(len(long)).encode() + b"\n\n" + long.encode()
    )


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b"])
def test_nothing_can_end_a_line(bad: str) -> None:
    with pytest.raises(Unsendable):
        say.login(bad)
    with pytest.raises(Unsendable):
        say.api(bad)
    with pytest.raises(Unsendable):
        say.api("uptime", bad)
    with pytest.raises(Unsendable):
        say.execute("set", bad)
    with pytest.raises(Unsendable):
        say.execute("set", bad + "x" * LINE_MAX_BYTES)
    with pytest.raises(Unsendable):
        say.events("json", [bad])


def test_a_command_has_an_end() -> None:
    with pytest.raises(Unsendable, match="too long"):
        say.api("uptime", "x" * say.COMMAND_MAX_BYTES)


@examples(200)
@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_is_sent_is_one_command(argument: str, name: str) -> None:
    found: list[bytes] = []
    with suppress(Unsendable):
        found.append(say.api("a", argument))
    with suppress(Unsendable):
        found.append(say.execute("b", argument))
    with suppress(Unsendable):
        found.append(say.api(name, "x"))
    for data in found:
        assert data.endswith(b"\n\n")
        assert data.count(b"\n\n") == 1


def test_variables() -> None:
    assert say.variables({}) == ""
    assert say.variables({"a": "1", "b": "x y"}) == "{a=1,b='x y'}"
    for bad in ("1,b=2", "x'y", "${system(x)}", "}", "a\nb", "\\"):
        with pytest.raises(Unsendable):
            say.variables({"a": bad})
    with pytest.raises(Unsendable):
        say.variables({"a b": "1"})


def test_what_is_shown_keeps_what_may_stand_there() -> None:
    assert say.shown("Ann O'Hara, {evil}\n+49 (1)") == "Ann OHara evil+49 1"
    assert len(say.shown("x" * 200)) == 80


@examples(200)
@given(st.text(max_size=60))
def test_what_is_shown_can_be_a_variable(text: str) -> None:
    assert say.variables({"a": say.shown(text)}).startswith("{a=")


def test_dial_strings() -> None:
    assert say.dial_string("sofia/gateway/{gateway}/{number}", "gw", "+4930") == "sofia/gateway/gw/+4930"
    assert say.dial_string("sofia/external/{number}@pbx", "bad gateway", "1000") == "sofia/external/1000@pbx"
    for gateway, number in (("g/w", "1"), ("", "1"), ("g", "1,sofia/x/2"), ("g", "1 &system(x)"), ("g", "")):
        with pytest.raises(Unsendable):
            say.dial_string("sofia/gateway/{gateway}/{number}", gateway, number)


def test_whole_addresses() -> None:
    assert (
        say.dial_uri("external", "sip:ann@[::1]:5070;transport=tcp")
        == "sofia/external/sip:ann@[::1]:5070;transport=tcp"
    )
    for uri in (
        "tel:+49",
        "sip:a@b|sip:c@d",
        "sip:a@b,x",
        "sip:a b@c",
        "sip:{x}@c",
        "sip:a@b@c",
        "sip:a@b:_:sip:c",
    ):
        with pytest.raises(Unsendable):
            say.dial_uri("external", uri)
    with pytest.raises(Unsendable):
        say.dial_uri("exter nal", "sip:a@b")


def test_originate() -> None:
    assert say.originate({"a": "1"}, "sofia/external/x") == "{a=1}sofia/external/x &park()"
    assert say.originate({}, "loopback/9", "echo") == "loopback/9 &echo()"
    with pytest.raises(Unsendable):
        say.originate({}, "x", "park() x")

from __future__ import annotations

from pathlib import Path

import pytest

from aywa.boot.errors import CannotStart
from aywa.boot.freeswitch_settings import FreeSwitchSettings, freeswitch_from_environment, mark_of


def read(**variables: str) -> FreeSwitchSettings:
    return freeswitch_from_environment(
        {f"RUNTIME_FREESWITCH_{name}": value for name, value in variables.items()}
    )


def test_without_any_there_is_no_freeswitch() -> None:
    assert read() == FreeSwitchSettings()
    assert not read().enabled


def test_all_of_them() -> None:
    settings = read(
        HOST="10.0.0.5", PORT="8022", PASSWORD="pw", USER="me@x", LISTEN_HOST="0.0.0.0", LISTEN_PORT="8084",
        NETWORKS="10.0.0.5/32", AUDIO="audio_stream", RATE="16000", MEDIA_URL="wss://voice.example/",
        DIAL="sofia/external/{number}@carrier", PROFILE="internal", ORGS="a,b", ORPHANS="100@default",
    )  # fmt: skip
    assert settings == FreeSwitchSettings(
        host="10.0.0.5", port=8022, password="pw", user="me@x", listen_host="0.0.0.0", listen_port=8084,
        networks=("10.0.0.5/32",), audio="audio_stream", rate_hz=16000, media_url="wss://voice.example",
        dial="sofia/external/{number}@carrier", profile="internal", orgs=("a", "b"), orphans="100@default",
    )  # fmt: skip
    assert settings.enabled
    assert "pw" not in repr(settings)


def test_calls_may_come_without_a_connection_of_ours() -> None:
    assert read(LISTEN_PORT="8084").enabled


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HOST": "10.0.0.5"}, "PASSWORD"),
        ({"DIAL": "sofia/gateway/x"}, "DIAL"),
        ({"DIAL": "{number} &system(x)"}, "DIAL"),
        ({"DIAL": "{a=1}sofia/gateway/x/{number}"}, "DIAL"),
        ({"PROFILE": "a b"}, "PROFILE"),
        ({"ORPHANS": "a b"}, "ORPHANS"),
        ({"MEDIA_URL": "http://x"}, "MEDIA_URL"),
        ({"AUDIO": "mod_audio"}, "AUDIO"),
        ({"RATE": "44100"}, "RATE"),
        ({"LISTEN_PORT": "x"}, "LISTEN_PORT"),
        ({"NETWORKS": "here"}, "NETWORKS"),
    ],
)
def test_what_makes_no_sense_is_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(CannotStart, match=f"RUNTIME_FREESWITCH_{named}"):
        read(**variables)


def test_who_may_call_through_it() -> None:
    assert read().may_call("first", "first")
    assert not read().may_call("other", "first")
    assert read(ORGS="other").may_call("other", "first")
    assert not read(ORGS="other").may_call("first", "first")
    assert read(ORGS="*").may_call("whoever", "first")


def test_a_runtime_knows_its_channels_by_its_data(tmp_path: Path) -> None:
    assert mark_of(tmp_path) == mark_of(tmp_path)
    assert mark_of(tmp_path) != mark_of(tmp_path / "other")

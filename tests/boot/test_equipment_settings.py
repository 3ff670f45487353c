"""Settings of media sockets: what is read, what is refused, and the secret that is made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from aywa.boot.equipment import DIALECTS, media_addresses, open_networks
from aywa.boot.equipment_settings import (
    LOOPBACK,
    EquipmentSettings,
    equipment_from_environment,
    media_secret,
)
from aywa.boot.errors import CannotStart
from aywa.core.equipment.token import address_token


def test_without_a_word_there_is_the_media_port_alone() -> None:
    settings = equipment_from_environment({})
    assert settings == EquipmentSettings()
    assert settings.audiosocket_port is None
    assert "secret" not in repr(EquipmentSettings(secret="a-secret-of-its-own"))


def test_what_is_said_is_read() -> None:
    settings = equipment_from_environment(
        {
            "RUNTIME_MEDIA_NETWORKS": "10.0.0.0/8, 192.0.2.1",
            "RUNTIME_MEDIA_SECRET": "0123456789abcdef",
            "RUNTIME_AUDIOSOCKET_PORT": "9092",
            "RUNTIME_AUDIOSOCKET_HOST": "0.0.0.0",
            "RUNTIME_AUDIOSOCKET_NETWORKS": "10.0.0.0/8",
        }
    )
    assert settings == EquipmentSettings(
        ("10.0.0.0/8", "192.0.2.1"),
        "0123456789abcdef",
        9092,
        ("0.0.0.0",),
        ("10.0.0.0/8",),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNTIME_MEDIA_SECRET", "short"),
        ("RUNTIME_MEDIA_NETWORKS", "somewhere"),
        ("RUNTIME_AUDIOSOCKET_PORT", "70000"),
        ("RUNTIME_AUDIOSOCKET_NETWORKS", "10.0.0.0/99"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(CannotStart, match=name) as refusal:
        equipment_from_environment({name: value})
    assert name != "RUNTIME_MEDIA_SECRET" or value not in str(refusal.value)


def test_the_secret_is_made_once_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    made = media_secret(EquipmentSettings(), tmp_path / "data")
    file = tmp_path / "data" / "media-secret"
    assert len(made) == 64
    assert file.stat().st_mode & 0o777 == 0o600
    assert media_secret(EquipmentSettings(), tmp_path / "data") == made
    assert (
        media_secret(EquipmentSettings(secret="another-secret-of-ours"), tmp_path / "data")
        == b"another-secret-of-ours"
    )


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 40])
def test_a_secret_that_is_none_is_not_worked_with(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "media-secret").write_bytes(content)
    with pytest.raises(CannotStart, match="media-secret"):
        media_secret(EquipmentSettings(), tmp_path)


def test_no_token_is_needed_from_this_machine_while_nothing_leads_here_from_elsewhere() -> None:
    silent = EquipmentSettings()
    assert open_networks(silent, loopback=True, public=False) == LOOPBACK
    assert open_networks(silent, loopback=True, public=True) == ()
    assert open_networks(silent, loopback=False, public=False) == ()
    said = EquipmentSettings(networks=("10.0.0.0/8",))
    assert open_networks(said, loopback=False, public=True) == ("10.0.0.0/8",)


def test_every_protocol_has_an_address_with_one_token() -> None:
    found = media_addresses("wss://voice.example.com", b"secret", "desk")
    assert [each.protocol for each in found] == sorted(DIALECTS)
    assert {each.token for each in found} == {address_token(b"secret", "desk")}
    assert "wss://voice.example.com/media/twilio/desk" in {each.url for each in found}
    assert {"twilio", "telnyx", "signalwire", "exotel", "plivo", "vonage", "jambonz"} < set(DIALECTS)

"""RUNTIME_SIP_* and RUNTIME_MEDIA_*: defaults, values, and what is told of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from aywa.boot.errors import CannotStart
from aywa.boot.phone_settings import PhoneSettings, phone_from_environment


def test_nothing_set_is_the_default() -> None:
    assert phone_from_environment({}) == PhoneSettings()


def test_everything_can_be_set() -> None:
    settings = phone_from_environment(
        {
            "RUNTIME_SIP_ENABLED": "no",
            "RUNTIME_SIP_HOST": "0.0.0.0, ::",
            "RUNTIME_SIP_PORT": "5080",
            "RUNTIME_SIP_TLS_PORT": "5081",
            "RUNTIME_SIP_TLS_VERIFY": "false",
            "RUNTIME_SIP_TLS_CA": "/etc/ca.pem",
            "RUNTIME_MEDIA_PUBLIC_IP": "203.0.113.5",
            "RUNTIME_MEDIA_STUN": "stun:stun.example.com, [2001:DB8::1]:3479",
            "RUNTIME_MEDIA_PORTS": "20000-20100",
            "RUNTIME_SIP_SRTP": "Required",
            "RUNTIME_SIP_PASSWORD": "secret" * 4,
            "RUNTIME_SIP_NETWORKS": "10.0.0.0/8 192.168.1.7",
            "RUNTIME_SIP_CPU_MOST": "0.75",
            "RUNTIME_SIP_DIGEST": "md5",
        }
    )
    assert settings == PhoneSettings(
        enabled=False,
        hosts=("0.0.0.0", "::"),
        port=5080,
        tls_port=5081,
        tls_verify=False,
        tls_authorities=Path("/etc/ca.pem"),
        public_host="203.0.113.5",
        media_public_host="203.0.113.5",
        stun=(("stun.example.com", 3478), ("2001:db8::1", 3479)),
        first_media_port=20_000,
        last_media_port=20_100,
        srtp="required",
        password="secret" * 4,
        networks=("10.0.0.0/8", "192.168.1.7"),
        cpu_most=0.75,
        digest=("MD5",),
    )
    assert "secret" not in repr(settings)


def test_one_public_address_is_enough_for_both() -> None:
    settings = phone_from_environment({"RUNTIME_SIP_PUBLIC_IP": "203.0.113.5"})
    assert (settings.public_host, settings.media_public_host) == ("203.0.113.5", "203.0.113.5")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RUNTIME_SIP_ENABLED", "perhaps", "true or false"),
        ("RUNTIME_SIP_PORT", "70000", "a port"),
        ("RUNTIME_SIP_TLS_PORT", "x", "a port"),
        ("RUNTIME_MEDIA_STUN", "stun.example.com:0", "servers such as"),
        ("RUNTIME_MEDIA_STUN", "stun.example.com:99999", "servers such as"),
        ("RUNTIME_MEDIA_STUN", "https://example.com", "servers such as"),
        ("RUNTIME_MEDIA_STUN", "a b c d e", "4 servers"),
        ("RUNTIME_MEDIA_PORTS", "20000", "a range of ports"),
        ("RUNTIME_MEDIA_PORTS", "20100-20000", "a range of ports"),
        ("RUNTIME_SIP_CPU_MOST", "7", "a share"),
        ("RUNTIME_SIP_PASSWORD", "short", "20 to 40 characters"),
        ("RUNTIME_SIP_DIGEST", "sha-1", "SHA-256, MD5"),
        ("RUNTIME_SIP_SRTP", "sometimes", "one of never, optional, required"),
        ("RUNTIME_SIP_NETWORKS", "10.0.0.0/40", "networks"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, told: str) -> None:
    with pytest.raises(CannotStart) as error:
        phone_from_environment({name: value})
    assert name in str(error.value)
    assert told in str(error.value)

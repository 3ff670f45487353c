"""`aywa dev`: what its options and variables become, and what it says of the telephone. That it runs is told in tests/e2e."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from aywa.boot import dev
from aywa.boot.phone_port import PhoneAddress
from aywa.boot.phone_settings import PhoneSettings
from aywa.boot.runtime import Runtime
from aywa.boot.settings import RuntimeSettings
from aywa.cli import app


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[RuntimeSettings]:
    """The settings that a runtime was started with."""
    found: list[RuntimeSettings] = []
    monkeypatch.setattr(dev, "run_dev", lambda settings, say: found.append(settings))
    monkeypatch.delenv("RUNTIME_CALLS_MAX", raising=False)
    return found


@pytest.mark.parametrize(
    ("options", "environment", "calls"),
    [
        ([], {}, RuntimeSettings().calls_max),
        (["--calls-max", "200"], {}, 200),
        ([], {"RUNTIME_CALLS_MAX": "300"}, 300),
        (["--calls-max", "200"], {"RUNTIME_CALLS_MAX": "300"}, 200),
    ],
)
def test_how_many_calls_at_once(
    options: list[str], environment: dict[str, str], calls: int, started: list[RuntimeSettings]
) -> None:
    result = CliRunner().invoke(app, ["dev", "--tiny", *options], env=environment)
    assert result.exit_code == 0, result.stderr
    assert [settings.calls_max for settings in started] == [calls]


def test_no_calls_at_all_is_wrong_usage(started: list[RuntimeSettings]) -> None:
    assert CliRunner().invoke(app, ["dev", "--calls-max", "0"]).exit_code == 2
    assert started == []


def said(phone: PhoneAddress | None, **settings: Any) -> str:
    runtime = SimpleNamespace(phone_address=phone, settings=RuntimeSettings(phone=PhoneSettings(**settings)))
    lines: list[str] = []
    dev._tell_phone(cast(Runtime, runtime), lines.append)
    return "\n".join(lines)


def test_what_is_said_of_the_telephone() -> None:
    address = PhoneAddress("sip:demo@127.0.0.1:5060", 5060)
    assert "RUNTIME_SIP_ENABLED" in said(None)
    assert said(address) == ""
    assert "port 5060 is taken: calls come in at 5061" in said(PhoneAddress("", 5061, moved=5060))
    assert "password open-sesame" in said(PhoneAddress("", 5060, password="open-sesame"))
    assert "over TLS at port 5061" in said(address, tls_port=5061)

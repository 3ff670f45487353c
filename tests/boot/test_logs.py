from __future__ import annotations

import errno
import io

import pytest
import structlog

from aywa.boot.logs import HIDDEN, Printed, configure_logs, redact


def test_what_its_name_calls_a_secret_is_hidden_at_any_depth() -> None:
    event = {
        "event": "e",
        "api_key": "s",
        "tokens": 5,
        "credential": {"apiKey": "s", "name": "n", "headers": {"a": "s"}},
        "many": [{"password": b"s"}, "plain"],
    }
    assert redact(None, "info", event) == {
        "event": "e",
        "api_key": HIDDEN,
        "tokens": 5,
        "credential": {"apiKey": HIDDEN, "name": "n", "headers": HIDDEN},
        "many": [{"password": HIDDEN}, "plain"],
    }


def test_a_traceback_shows_no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    before = structlog.get_config()
    try:
        configure_logs()
        structlog.configure(logger_factory=lambda *_: Printed(out), cache_logger_on_first_use=False)
        _fail("planted-secret")
    finally:
        structlog.configure(**before)
    assert "call_failed" in out.getvalue()
    assert "ZeroDivisionError" in out.getvalue()
    assert "planted-secret" not in out.getvalue()


def _fail(key: str) -> None:
    try:
        _ = len(key) / 0
    except ZeroDivisionError:
        structlog.get_logger("aywa.test").exception("call_failed")


class Full(io.StringIO):
    """On a disk that is full, for a while."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")
        return super().write(text)


def test_who_logs_on_a_full_disk_goes_on() -> None:
    out = Full()
    before = structlog.get_config()
    try:
        configure_logs()
        structlog.configure(logger_factory=lambda *_: Printed(out), cache_logger_on_first_use=False)
        log = structlog.get_logger("aywa.test")
        log.warning("while_full")
        _fail("key")
        out.full = False
        log.warning("afterwards")
        told = out.getvalue()
        out.close()
        log.error("closed")
    finally:
        structlog.configure(**before)
    assert "while_full" not in told
    assert "afterwards" in told

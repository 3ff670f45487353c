"""How the runtime's own log looks. What is secret does not reach it: neither by name, nor by the variables of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

from aywa.boot.log_file import LogFile
from aywa.service.secret_fields import is_secret

HIDDEN = "[hidden]"


def configure_logs(folder: Path | None = None) -> None:
    """For this process, once. folder: where what went wrong is written down besides."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            redact,
            *([] if folder is None else [LogFile(folder)]),
            # The default one prints every variable of every frame, keys among them.
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ],
        logger_factory=lambda *_: Printed(),
    )


class Printed:
    """A logger that prints lines. What cannot be printed (a full disk, a pipe that nobody reads any more) is not; whoever logged
    it goes on."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out

    def msg(self, line: str) -> None:
        """One event."""
        out = sys.stdout if self._out is None else self._out
        try:
            out.write(line + "\n")
            out.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = warn = error = critical = fatal = failure = exception = log = msg


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hides what its name calls a secret, at any depth."""
    for name, value in event.items():
        event[name] = HIDDEN if _hides(name, value) else _redacted(value)
    return event


def _redacted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: HIDDEN if _hides(str(name), item) else _redacted(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item) for item in value]
    return value


def _hides(name: str, value: Any) -> bool:
    # A number of tokens is none of them.
    return is_secret(name) and isinstance(value, str | bytes | Mapping | list | tuple)

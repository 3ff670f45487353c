"""How the runtime's own log looks. What is secret does not reach it: neither by name, nor by the variables of a traceback."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from aywa.service.secret_fields import is_secret

HIDDEN = "[hidden]"


def configure_logs() -> None:
    """For this process, once."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            redact,
            # The default one prints every variable of every frame, keys among them.
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    )


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

"""Which settings are set. A value is told where the settings' table calls it no secret, and of an address its host alone; of a
secret how long it is, roughly, and whether it can be used.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from aywa.boot.secrets import PREVIOUS, SETTING
from aywa.boot.settings_table import settings as known_settings
from aywa.boot.support.place import Place
from aywa.boot.support.secrets import keys_are_readable

PREFIXES = ("RUNTIME_", "AYWA_", "VOICE_PIPELINE_")
NEAR = 0.8
SHORT, USUAL = 16, 32


def settings(place: Place) -> dict[str, Any]:
    """settings.json."""
    known = {setting.name: setting.secret for setting in known_settings()}
    found = {name: _told(name, place.environment, secret=secret) for name, secret in known.items()}
    unknown = {
        name: {"nearest": next(iter(difflib.get_close_matches(name, known, 1, NEAR)), None)}
        for name in sorted(place.environment)
        if name.startswith(PREFIXES) and name not in known
    }
    return {"settings": found, "unknown": unknown}


def _told(name: str, environment: Mapping[str, str], *, secret: bool) -> dict[str, Any]:
    value = environment.get(name, "").strip()
    told: dict[str, Any] = {"set": bool(value), "secret": secret}
    if not value:
        return told
    if name in (SETTING, PREVIOUS):
        told["usable"] = all(keys_are_readable(part) for part in value.split(",") if part.strip())
    if "://" in value:
        told["host"] = host_of(value)
    elif secret:
        told["length"] = "short" if len(value) < SHORT else "usual" if len(value) < USUAL else "long"
    else:
        told["value"] = value
    return told


def host_of(url: str) -> str | None:
    """With its port; nothing else of the address."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"

"""Where the runtime is and what opens it, for the verbs that call one: options, environment, files of `aywa dev`."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8080"


def url_of(given: str | None) -> str:
    """The runtime's address: as given, else AYWA_URL, else where `aywa dev` listens."""
    return (given or os.environ.get("AYWA_URL") or DEFAULT_URL).rstrip("/")


def is_given(given: str | None) -> bool:
    """Whether somebody said which runtime is meant."""
    return bool(given or os.environ.get("AYWA_URL"))


def key_of(given: str | None) -> str | None:
    """The API key: as given, else AYWA_API_KEY, else the one that `aywa dev` left in its home; None if there is none."""
    if key := given or os.environ.get("AYWA_API_KEY"):
        return key
    try:
        return key_file().read_text("ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def key_file() -> Path:
    """Where `aywa dev` leaves the key it made."""
    from aywa.boot.store import home

    return home() / "dev-key"

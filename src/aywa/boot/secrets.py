"""Opens the vault that seals secrets: the operator's key, or one of this machine's own that is made once and kept."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aywa.adapters.secrets.aes_gcm import KEY_BYTES, AesGcmVault, BadKey, read_key
from aywa.boot.errors import CannotStart
from aywa.ports.secrets import Vault

SETTING = "RUNTIME_STORE_ENCRYPTION_KEY"
PREVIOUS = "RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS"
DEVELOPMENT_KEY = "store-key"


@dataclass(frozen=True, slots=True)
class Opened:
    """warning: what the operator should know; None when the key is theirs."""

    vault: Vault
    warning: str | None = None


def open_vault(folder: Path, environment: Mapping[str, str] = os.environ) -> Opened:
    """The vault for the store in a data folder. Raises CannotStart: a key that is malformed, and how to make one."""
    own = folder / DEVELOPMENT_KEY
    try:
        previous = [
            read_key(text, PREVIOUS) for text in environment.get(PREVIOUS, "").split(",") if text.strip()
        ]
        given = environment.get(SETTING, "").strip()
        if given:
            # What was sealed before there was a setting stays readable.
            if own.exists():
                previous.append(_kept(own))
            return Opened(AesGcmVault(read_key(given, SETTING), previous))
        made = not own.exists()
        if made:
            _make(own)
        key = _kept(own)
    except BadKey as error:
        raise CannotStart(str(error)) from None
    except OSError as error:
        raise CannotStart(f"{own} cannot be used: {error.strerror}; mend it, or set {SETTING}") from error
    said = "was made" if made else "is used"
    warning = (
        f"a development key {said} to seal credentials ({own}): who copies the data folder copies it too;"
        f" set {SETTING} for anything but development"
    )
    return Opened(AesGcmVault(key, previous), warning)


def _kept(file: Path) -> bytes:
    file.chmod(0o600)
    return read_key(file.read_bytes().decode("ascii", "replace"), str(file))


def _make(file: Path) -> None:
    """Whole or not at all, and by one process only: a second key would lock out what the first one sealed."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n"
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as draft:
            draft.write(text)
            draft.flush()
            os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, file)
    finally:
        os.unlink(name)

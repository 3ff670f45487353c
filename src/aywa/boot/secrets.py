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

from aywa.adapters.secrets.aes_gcm import KEY_BYTES, AesGcmVault, BadKey, key_id, read_key
from aywa.boot.errors import CannotStart
from aywa.ports.sealed import SealedRows
from aywa.ports.secrets import Vault
from aywa.service.clock import Clock, now_ms

SETTING = "RUNTIME_STORE_ENCRYPTION_KEY"
PREVIOUS = "RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS"
DEVELOPMENT_KEY = "store-key"
EXCHANGE = (
    f"exchange {SETTING} and {PREVIOUS}, or take the older key into use again: aywa encryption rotate --back"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """warning: what the operator should know; None when the key is theirs. key_ids: of the keys that open, the one that seals
    first. kept: the last of them lies in the data folder, from before there was a setting."""

    vault: Vault
    warning: str | None = None
    key_ids: tuple[str, ...] = ()
    kept: bool = False


def open_vault(folder: Path, environment: Mapping[str, str] = os.environ) -> Opened:
    """The vault for the store in a data folder. Raises CannotStart: a key that is malformed, and how to make one."""
    own = folder / DEVELOPMENT_KEY
    try:
        previous = [
            read_key(text, PREVIOUS) for text in environment.get(PREVIOUS, "").split(",") if text.strip()
        ]
        given = environment.get(SETTING, "").strip()
        if given:
            key = read_key(given, SETTING)
            # What was sealed before there was a setting stays readable.
            before = [_kept(own)] if own.exists() else []
            kept = before not in ([], [key])
            return _opened(key, [*previous, *(before if kept else ())], kept=kept)
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
    return _opened(key, previous, warning)


async def held_against(rows: SealedRows, opened: Opened, clock: Clock = now_ms) -> str | None:
    """Puts on record that this key seals from now on; answers what the operator should know, also of secrets that none of
    the keys opens. Raises CannotStart when they are swapped, StoreUnavailable."""
    from aywa.service.rotation import note_key, rotated_away

    _ = await note_key(rows, opened.key_ids[0], clock())
    newer = rotated_away(await rows.keys(), opened.key_ids)
    if newer is not None:
        raise CannotStart(f"{rotated(opened.key_ids[0], newer)}: {EXCHANGE}")
    strange = sorted(set(await rows.key_ids()) - set(opened.key_ids))
    if not strange:
        return opened.warning
    told = (
        f"secrets in the store are sealed with a key that is not set ({', '.join(strange)[:80]}), and no call can use them:"
        f" {PREVIOUS}= the key of then; if that is lost, enter the secrets again"
    )
    return f"{opened.warning}; {told}" if opened.warning else told


def rotated(current: str, newer: str) -> str:
    """Why nothing may be sealed with this key."""
    return f"{SETTING} is {current}, which everything was brought away from; {newer} has sealed since"


def _opened(key: bytes, previous: list[bytes], warning: str | None = None, *, kept: bool = False) -> Opened:
    return Opened(AesGcmVault(key, previous), warning, tuple(map(key_id, (key, *previous))), kept)


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

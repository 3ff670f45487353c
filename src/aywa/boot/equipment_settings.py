"""What an operator can set of media sockets, with its defaults."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aywa.boot.errors import CannotStart
from aywa.boot.phone_settings import Reader

LOOPBACK = ("127.0.0.0/8", "::1/128")
SECRET_LENGTH_MIN = 16
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class EquipmentSettings:
    """networks: from where equipment needs no token; None: this machine, as long as nothing else can reach the port. secret:
    what tokens are made with; empty: one of the data folder's own. audiosocket_port: None without AudioSocket, 0: any free
    one. audiosocket_hosts: to bind, the API's own when empty. audiosocket_networks: from where its connections may come."""

    networks: tuple[str, ...] | None = None
    secret: str = field(default="", repr=False)
    audiosocket_port: int | None = None
    audiosocket_hosts: tuple[str, ...] = ()
    audiosocket_networks: tuple[str, ...] = LOOPBACK


def equipment_from_environment(environment: Mapping[str, str] | None = None) -> EquipmentSettings:
    """What the environment says. Raises CannotStart, naming the variable and what it may hold."""
    read = Reader(os.environ if environment is None else environment)
    secret = read.text("RUNTIME_MEDIA_SECRET")
    if secret and len(secret) < SECRET_LENGTH_MIN:
        raise CannotStart(f"RUNTIME_MEDIA_SECRET must be at least {SECRET_LENGTH_MIN} characters long")
    networks = read.networks("RUNTIME_MEDIA_NETWORKS", ())
    return EquipmentSettings(
        networks=networks or None,
        secret=secret,
        audiosocket_port=read.port("RUNTIME_AUDIOSOCKET_PORT", None),
        audiosocket_hosts=read.words("RUNTIME_AUDIOSOCKET_HOST"),
        audiosocket_networks=read.networks("RUNTIME_AUDIOSOCKET_NETWORKS", LOOPBACK),
    )


def media_secret(settings: EquipmentSettings, folder: Path) -> bytes:
    """What tokens are made with: the operator's, or the data folder's own, which is made once. Raises CannotStart."""
    if settings.secret:
        return settings.secret.encode()
    file = folder / "media-secret"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            # By one process only: a second secret would lock out who has a token.
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            kept = file.read_text("ascii").strip()
        else:
            kept = secrets.token_hex(_SECRET_BYTES)
            with os.fdopen(descriptor, "w") as opened:
                opened.write(kept + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"{file} cannot be used: {error}; mend it, or set RUNTIME_MEDIA_SECRET") from error
    if len(kept) < SECRET_LENGTH_MIN:
        raise CannotStart(f"{file} holds no secret: remove it, or set RUNTIME_MEDIA_SECRET")
    return kept.encode()

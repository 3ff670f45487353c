"""What a runtime has from its first start on: an organisation, and in development an assistant to talk to and keys for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aywa.boot.receptionist import receptionist
from aywa.boot.settings import RuntimeSettings
from aywa.service.errors import Unauthenticated
from aywa.service.keys import Keys
from aywa.service.services import Services


@dataclass(frozen=True, slots=True)
class FirstDocuments:
    """assistant_id, key (private), talk_key (public): empty in production, where none is made. key_is_new: nobody has seen it."""

    org_id: str
    assistant_id: str = ""
    key: str = field(default="", repr=False)
    key_is_new: bool = False
    talk_key: str = field(default="", repr=False)


async def first_documents(services: Services, settings: RuntimeSettings) -> FirstDocuments:
    """Those that are there, and those that are made now. Raises StoreUnavailable, OSError."""
    org_id = (await services.orgs.default()).id
    if settings.served is not None:
        if settings.served.api_key:
            services.keys.admit(org_id, settings.served.api_key)
        return FirstDocuments(org_id)
    assistant_id = await receptionist(services, org_id)
    key, key_is_new = await _kept_key(services.keys, settings.data / "dev-key", org_id, "private")
    talk_key, _ = await _kept_key(services.keys, settings.data / "talk-key", org_id, "public")
    return FirstDocuments(org_id, assistant_id, key, key_is_new, talk_key)


async def _kept_key(keys: Keys, file: Path, org_id: str, kind: str) -> tuple[str, bool]:
    """The key in the file while it is good, else a new one; and whether it is new."""
    kept = _read(file)
    try:
        if kept is not None:
            await keys.authenticate(kept)
            return kept, False
    except Unauthenticated:
        pass
    _, secret = await keys.create(org_id, f"aywa dev ({kind})", kind)
    _write_secret(file, secret)
    return secret, True


def _read(file: Path) -> str | None:
    try:
        file.chmod(0o600)
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _write_secret(file: Path, secret: str) -> None:
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(secret + "\n", "ascii")

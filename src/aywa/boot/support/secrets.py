"""Every secret that this runtime knows: of its environment, of the files in its data folder, of its store. They are looked for in
what a bundle would hold, and go nowhere else.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from aywa.adapters.secrets.aes_gcm import AesGcmVault, BadKey, read_key
from aywa.boot.secrets import DEVELOPMENT_KEY, PREVIOUS, SETTING
from aywa.boot.support.place import Place
from aywa.boot.support.rows import Rows, Unreadable, opened
from aywa.core.support.forms import secrets_in
from aywa.ports.secrets import CannotOpen, Sealed, Vault
from aywa.service.secret_fields import is_secret

FILES = ("dev-key", "talk-key", DEVELOPMENT_KEY, "sip-password", "media-secret")
FILE_BYTES_MAX = 64 * 1024
TOKEN_LEAST = 12
ROWS_MOST = 20_000
_KINDS = {
    "assistants": "assistant",
    "tools": "tool",
    "squads": "squad",
    "credentials": "credential",
    "org_settings": "org",
    "phone_numbers": "phone-number",
    "calls": "call",
}
"""Table -> what its secrets are sealed for (service.sealing)."""
_SEALED = "sealed:"


@dataclass(slots=True)
class Unsealed:
    """What the store's secrets are, as far as they could be opened; and how many could not. unknown: it could not be read."""

    values: set[str] = field(default_factory=set, repr=False)
    rows: int = 0
    without_key: int = 0
    altered: int = 0
    unknown: bool = False

    @property
    def opened(self) -> int:
        """How many could be."""
        return self.rows - self.without_key - self.altered


def known_secrets(place: Place) -> tuple[frozenset[str], Unsealed]:
    """All of them, and what became of those in the store."""
    keys = list(_keys(place))
    values = {*_of_environment(place.environment), *_of_files(place.folder)}
    for key in keys:
        values |= {key.hex(), base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()}
    unsealed = _of_store(place, keys)
    values |= unsealed.values
    return secrets_in(values), unsealed


def keys_are_readable(text: str) -> bool:
    """Whether a store's encryption key is one."""
    try:
        _ = read_key(text, SETTING)
    except BadKey:
        return False
    return True


# --- the environment and files ---------------------------------------------------------------------------------------


def _of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if is_secret(name) or name in (PREVIOUS, SETTING):
            yield value
            yield from (part for part in value.split(",") if "," in value)
        yield from in_url(value)


def in_url(text: str) -> Iterator[str]:
    """The password and the secret parameters of an address; nothing of anything else."""
    if "://" not in text:
        return
    try:
        parts = urlsplit(text.strip())
        password, user = parts.password, parts.username
    except ValueError:
        return
    # A user is told, if there is a password; some servers take a token in its place.
    alone = user if password is None and len(user or "") >= TOKEN_LEAST else None
    for value in (password, alone):
        if value:
            yield value
            yield unquote(value)
    for name, value in parse_qsl(parts.query):
        if is_secret(name):
            yield value


def _of_files(folder: Path) -> Iterator[str]:
    paths = [folder / name for name in FILES]
    tls = folder / "tls"
    paths += sorted(tls.glob("*key*")) if tls.is_dir() else []
    for path in paths:
        try:
            with path.open("rb") as file:
                yield file.read(FILE_BYTES_MAX).decode("utf-8", "replace")
        except OSError:
            continue


def _keys(place: Place) -> Iterator[bytes]:
    """That open what the store has sealed, the one that seals first."""
    texts = [
        place.environment.get(SETTING, ""),
        *place.environment.get(PREVIOUS, "").split(","),
    ]
    try:
        texts.append((place.folder / DEVELOPMENT_KEY).read_text("ascii", "replace"))
    except OSError:
        pass
    for text in texts:
        if text.strip():
            try:
                yield read_key(text, SETTING)
            except BadKey:
                continue


# --- the store -------------------------------------------------------------------------------------------------------


def _of_store(place: Place, keys: list[bytes]) -> Unsealed:
    found = Unsealed()
    vault = AesGcmVault(keys[0], keys[1:]) if keys else None
    try:
        with opened(place) as rows:
            for table, kind in _KINDS.items():
                _table(found, rows, vault, table, kind)
            _api_keys(found, rows, vault)
            _endpoints(found, rows, vault)
    except Unreadable:
        found.unknown = True
    return found


def _read(rows: Rows, query: str) -> list[Any]:
    """What is not there in time is not known, and must be said: no `if_in_time` here."""
    try:
        return list(rows(query))
    except Unreadable as problem:
        # An older schema has fewer tables.
        if problem.code == "no_tables":
            return []
        raise


def _table(found: Unsealed, rows: Rows, vault: Vault | None, table: str, kind: str) -> None:
    query = f"SELECT org_id, id, key_id, sealed FROM {table} WHERE sealed IS NOT NULL LIMIT {ROWS_MOST}"  # noqa: S608
    for org_id, row_id, key_id, sealed in _read(rows, query):
        plain = _open(found, vault, key_id, sealed, (org_id, kind, row_id, "secrets"))
        if plain is not None:
            found.values.update(_leaves_of(plain))


def _api_keys(found: Unsealed, rows: Rows, vault: Vault | None) -> None:
    query = f"SELECT org_id, id, key_id, sealed FROM api_keys WHERE sealed IS NOT NULL LIMIT {ROWS_MOST}"  # noqa: S608
    for org_id, row_id, key_id, sealed in _read(rows, query):
        plain = _open(found, vault, key_id, sealed, (org_id, "api-key", row_id, "secret"))
        if plain is not None:
            found.values.add(plain.decode("utf-8", "replace"))


def _endpoints(found: Unsealed, rows: Rows, vault: Vault | None) -> None:
    """Servers of what waits to be sent: each has what signs its requests, and may have more in its address."""
    query = f"SELECT DISTINCT org_id, endpoints FROM outbox_deliveries LIMIT {ROWS_MOST}"  # noqa: S608
    for org_id, text in _read(rows, query):
        for endpoint in _json(text) or ():
            found.values.update(in_url(str(endpoint.get("url", ""))))
            auth = str(endpoint.get("auth", ""))
            if auth.startswith(_SEALED):
                key_id, _, blob = auth.removeprefix(_SEALED).rpartition(":")
                try:
                    sealed = base64.b64decode(blob)
                except binascii.Error:
                    continue
                plain = _open(found, vault, key_id, sealed, (org_id, "webhook", "auth", "server"))
                if plain is not None:
                    found.values.update(_leaves_of(plain))


def _open(
    found: Unsealed, vault: Vault | None, key_id: str, sealed: bytes, place: tuple[str, ...]
) -> bytes | None:
    found.rows += 1
    try:
        if vault is not None:
            return vault.open(Sealed(key_id, bytes(sealed)), place)
        found.without_key += 1
    except CannotOpen as problem:
        if "is not set" in str(problem):
            found.without_key += 1
        else:
            found.altered += 1
    return None


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return None


def _leaves_of(plain: bytes) -> Iterable[str]:
    """Whatever was sealed: [[path, value], ...] or an object. Names of fields are not secret."""
    value = _json(plain)
    if isinstance(value, list):
        value = [item[1] for item in value if isinstance(item, list) and len(item) == 2]
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            yield one
            yield from in_url(one)
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield str(one)

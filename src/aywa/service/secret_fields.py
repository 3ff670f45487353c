"""Which fields of a document are secrets, and how they are taken out of it and put back. Refuses to know any one provider.

What a field is called decides: `apiKey`, `authToken`, `clientSecret`, `password` ... and every header. In doubt it is a
secret: who sent it has it, nobody else need see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aywa.ports.store import JsonObject

Secrets = list[tuple[list[str | int], Any]]
"""Where each secret lies in the document, and what it is."""

_ENDS = (
    "key",
    "keys",
    "secret",
    "secrets",
    "token",
    "tokens",
    "password",
    "passwords",
    "passphrase",
    "jwt",
    "cookie",
)
_WHOLE = frozenset("authorization connectionstring webhookurl headers".split())
_OPEN = frozenset(("publickey",))
# A list's items are the same if these say so.
_SAME = ("provider", "name")


def is_secret(name: str) -> bool:
    """Whether a field of this name holds one."""
    letters = "".join(character for character in name.lower() if character.isalnum())
    return letters not in _OPEN and (letters in _WHOLE or letters.endswith(_ENDS))


def split(document: Any) -> tuple[Any, Secrets]:
    """The document without its secrets, and they. Changes nothing."""
    secrets: Secrets = []
    return _without(document, [], secrets), secrets


def joined(document: Any, secrets: Secrets) -> Any:
    """The document with its secrets. One whose place is gone is left out."""
    for path, secret in secrets:
        document = _with(document, path, secret)
    return document


def kept(new: JsonObject, old: JsonObject) -> JsonObject:
    """The new document, with the old one's secrets where the new one says nothing of them.

    Nobody can read a secret, so who changes an object that holds one sends it back without. null takes it away, and so
    does another `type`.
    """
    result = dict(new)
    for name, value in old.items():
        if is_secret(name) and name not in new:
            result[name] = value
        elif (
            isinstance(value, dict) and isinstance(other := new.get(name), dict) and _same_type(value, other)
        ):
            result[name] = kept(other, value)
    return result


def kept_in_list(new: Sequence[Any], old: Sequence[Any]) -> list[Any]:
    """As `kept`, for a list of documents: an item takes the secrets of the first old one with its provider and name."""
    left = [item for item in old if isinstance(item, dict)]
    result: list[Any] = []
    for item in new:
        same = next((one for one in left if isinstance(item, dict) and _same(one, item)), None)
        if same is None:
            result.append(item)
        else:
            left.remove(same)
            result.append(kept(item, same))
    return result


def _same_type(one: JsonObject, other: JsonObject) -> bool:
    return one.get("type") == other.get("type")


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in _SAME)


def _without(value: Any, path: list[str | int], secrets: Secrets) -> Any:
    if isinstance(value, dict):
        result: JsonObject = {}
        for name, item in value.items():
            # true and null are answers to other questions: secretIsBase64, and a field that was cleared.
            if is_secret(name) and item is not None and not isinstance(item, bool):
                secrets.append(([*path, name], item))
            else:
                result[name] = _without(item, [*path, name], secrets)
        return result
    if isinstance(value, list):
        return [_without(item, [*path, index], secrets) for index, item in enumerate(value)]
    return value


def _with(value: Any, path: Sequence[str | int], secret: Any) -> Any:
    if not path:
        return secret
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and isinstance(step, str) and (step in value or not rest):
        return value | {step: _with(value.get(step), rest, secret)}
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return [*value[:step], _with(value[step], rest, secret), *value[step + 1 :]]
    return value

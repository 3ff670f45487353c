"""The secrets of what thinks in a call: of an assistant's, a squad's or a tool's servers, and of its own credentials.

They are sealed beside a stored document, and in a call they travel with its keys: the assistant of a call is put on record, and
what is on record has no secrets. The headers of a model and of a voice are their adapters', and stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aywa.ports.calls import SECRETS_ID, ProviderKey
from aywa.ports.store import JsonObject
from aywa.service.secret_fields import Secrets, is_secret, joined, split

API_REQUEST = "apiRequest"
LEGACY_SECRET = "serverUrlSecret"  # noqa: S105 - what the field is called
_WHOLE = ("server", "credentials")
# What a client keeps in them is data, or the shape of data, whatever its fields are called.
_NOT_INTO = frozenset(
    ("metadata", "variableValues", "parameters", "schema", "variableExtractionPlan", "voice", "transcriber")
)
_HEADER_WORDS = ("auth", "cookie", "credential")


def split_brain(document: Mapping[str, Any]) -> tuple[JsonObject, Secrets]:
    """The document without its secrets, and they. Changes nothing."""
    secrets: Secrets = []
    return _without(document, [], secrets), secrets


def _without(value: Any, path: list[str | int], secrets: Secrets) -> Any:
    if isinstance(value, list):
        return [_without(item, [*path, index], secrets) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    result: JsonObject = {}
    for name, item in value.items():
        where = [*path, name]
        if name == LEGACY_SECRET and item is not None:
            secrets.append((where, item))
        elif name in _WHOLE and isinstance(item, dict | list):
            result[name], inside = split(item)
            secrets += [([*where, *rest], secret) for rest, secret in inside]
        elif name == "headers" and value.get("type") == API_REQUEST:
            result[name] = _without_values(item, where, secrets)
        elif name in _NOT_INTO:
            result[name] = item
        else:
            result[name] = _without(item, where, secrets)
    return result


def _without_values(headers: Any, path: list[str | int], secrets: Secrets) -> Any:
    """A request's headers are a schema: constant values of those that open something are secrets (contract 5)."""
    properties = headers.get("properties") if isinstance(headers, dict) else None
    if not isinstance(properties, dict):
        return headers
    shown: JsonObject = {}
    for name, schema in properties.items():
        if isinstance(schema, dict) and schema.get("value") is not None and _opens(name):
            secrets.append(([*path, "properties", name, "value"], schema["value"]))
            schema = {key: item for key, item in schema.items() if key != "value"}
        shown[name] = schema
    return headers | {"properties": shown}


def _opens(header: str) -> bool:
    return is_secret(header) or any(word in header.lower() for word in _HEADER_WORDS)


def kept_brain(new: JsonObject, old: Mapping[str, Any]) -> JsonObject:
    """The new document, or some of its fields, with the old one's secrets where an object that had one says nothing of it.

    Nobody can read a secret, so who changes what he has read sends it back without. null takes it away.
    """
    result = new
    for path, secret in split_brain(old)[1]:
        place = _place(path, old, new)
        if place is not None:
            result = joined(result, [(place, secret)])
    return result


def _place(path: Sequence[str | int], old: Any, new: Any) -> list[str | int] | None:
    """Where in the new document the old one's secret belongs; None where nothing is like its holder, or it is told."""
    place: list[str | int] = []
    for step in path[:-1]:
        if isinstance(old, list) and isinstance(step, int):
            found = _same(old, step, new) if isinstance(new, list) else None
            if found is None:
                return None
            old, new = old[step], new[found]
            place.append(found)
        else:
            if not isinstance(new, dict) or step not in new:
                return None
            old, new = old[step], new[step]
            place.append(step)
        if isinstance(old, dict) and isinstance(new, dict) and _text(old, "type") != _text(new, "type"):
            return None
    return [*place, path[-1]] if isinstance(new, dict) and path[-1] not in new else None


def _same(old: Sequence[Any], index: int, new: Sequence[Any]) -> int | None:
    """The item of the new list that is called as this one of the old, the first for the first."""
    wanted = _called(old[index])
    earlier = sum(_called(item) == wanted for item in old[:index])
    places = [place for place, item in enumerate(new) if _called(item) == wanted]
    return places[earlier] if earlier < len(places) else None


def _called(item: Any) -> tuple[Any, ...]:
    if not isinstance(item, dict):
        return ()
    function = item.get("function")
    name = _text(function, "name") if isinstance(function, dict) else None
    return (*(_text(item, each) for each in ("provider", "type", "name", "assistantId")), name)


def _text(holder: Mapping[str, Any], name: str) -> str | None:
    """Only texts tell things apart: in anything else there may have been a secret."""
    value = holder.get(name)
    return value if isinstance(value, str) else None


def hidden(brain: Mapping[str, Any], keys: dict[str, ProviderKey]) -> JsonObject:
    """An assistant or a squad for a call: each server and request without its secrets, which go to the keys under a name that
    is left in their place. The older fields of an assistant's server become the newer ones (contract 4.1)."""
    found: JsonObject = _hide(brain, keys)
    return found


def _hide(value: Any, keys: dict[str, ProviderKey]) -> Any:
    if isinstance(value, list):
        return [_hide(item, keys) for item in value]
    if not isinstance(value, dict):
        return value
    value = _with_server(value)
    result: JsonObject = {}
    for name, item in value.items():
        if name == "server" and isinstance(item, dict):
            result[name] = _named(item, split(item)[1], keys)
        elif name in _NOT_INTO:
            result[name] = item
        else:
            result[name] = _hide(item, keys)
    if value.get("type") == API_REQUEST:
        secrets: Secrets = []
        _ = _without_values(value.get("headers"), ["headers"], secrets)
        return _named(result, secrets, keys)
    return result


def _with_server(assistant: JsonObject) -> JsonObject:
    url, secret = assistant.get("serverUrl"), assistant.get(LEGACY_SECRET)
    if not isinstance(url, str) and not isinstance(secret, str):
        return assistant
    given = assistant.get("server")
    server = dict(given) if isinstance(given, dict) else {}
    if isinstance(url, str) and url:
        server.setdefault("url", url)
    if isinstance(secret, str) and secret:
        server.setdefault("secret", secret)
    rest = {name: value for name, value in assistant.items() if name not in ("serverUrl", LEGACY_SECRET)}
    return rest | ({"server": server} if server else {})


def _named(holder: JsonObject, secrets: Secrets, keys: dict[str, ProviderKey]) -> JsonObject:
    if not secrets:
        return holder
    extra: JsonObject = {}
    public: Any = holder
    for path, secret in secrets:
        _put(extra, path, secret)
        public = _taken(public, path)
    name = f"secrets:{len(keys)}"
    keys[name] = ProviderKey("", extra=extra, source="the assistant's own")
    return dict(public) | {SECRETS_ID: name}


def _put(holder: JsonObject, path: Sequence[str | int], secret: Any) -> None:
    for step in path[:-1]:
        holder = holder.setdefault(str(step), {})
    holder[str(path[-1])] = secret


def _taken(value: Any, path: Sequence[str | int]) -> Any:
    step, rest = path[0], path[1:]
    if not isinstance(value, dict) or step not in value:
        return value
    if not rest:
        return {name: item for name, item in value.items() if name != step}
    return value | {str(step): _taken(value[step], rest)}

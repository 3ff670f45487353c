"""Where `aywa calls` and `aywa timeline` read: a running runtime over HTTP when one is named, else this machine's store.

Reading the store needs no runtime. It refuses to change anything.
"""

from __future__ import annotations

import asyncio
import json
import os
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlsplit

import typer

from aywa.cli import address
from aywa.ports.store import Store

TIMEOUT_S = 30.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Json = Any
T = TypeVar("T")


def fail(message: str) -> NoReturn:
    """Says why in one line, and ends with 1."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


def printable(text: str) -> str:
    """The text without what would steer the terminal: callers and models wrote it."""
    return "".join(character if character.isprintable() else " " for character in text)


def calls(limit: int, url: str | None, key: str | None) -> list[dict[str, Any]]:
    """The newest calls, newest first."""
    if asks_runtime(url):
        found: list[dict[str, Any]] = fetch(f"/call?limit={limit}", url, key)
        return found
    return in_store(lambda store: _calls(store, limit)) or []


def timeline(call_id: str, url: str | None, key: str | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A call and its timeline."""
    if asks_runtime(url):
        path = f"/call/{quote(call_id, safe='')}"
        return fetch(path, url, key), fetch(f"{path}/timeline", url, key)
    from aywa.boot.store import home

    found = in_store(lambda store: _timeline(store, call_id))
    if found is None:
        fail(f"There is no call {printable(call_id)} in {home()} (another runtime: --url or AYWA_URL).")
    return found


def asks_runtime(url: str | None) -> bool:
    """Whether a runtime was named."""
    return bool(url or os.environ.get("AYWA_URL"))


def in_store(work: Callable[[Store], Awaitable[T]]) -> T | None:
    """What the work answers on this machine's store; None when there is none yet."""
    from aywa.boot.store import store_exists
    from aywa.ports.journal import StoreUnavailable

    try:
        if not store_exists():
            return None
    except StoreUnavailable as error:
        fail(f"The store cannot be opened: {error}")
    return with_store(work)


def with_store(work: Callable[[Store], Awaitable[T]]) -> T:
    """What the work answers on this machine's store, which is made if need be."""
    from aywa.boot.store import open_store
    from aywa.ports.journal import StoreUnavailable
    from aywa.ports.store import StoreTooNew

    async def run() -> T:
        store = await open_store()
        try:
            return await work(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except (StoreUnavailable, StoreTooNew, OSError) as error:
        fail(f"The store cannot be opened: {error}")


def fetch(
    path: str,
    url: str | None,
    key: str | None,
    *,
    body: Json = None,
    timeout_s: float = TIMEOUT_S,
    answers: Collection[int] = (),
) -> Json:
    """What the runtime answers to a GET, or to a POST if there is a body. answers: statuses that are no failure here."""
    content = fetch_bytes(path, url, key, body=body, timeout_s=timeout_s, answers=answers)
    try:
        return json.loads(content)
    except ValueError as error:
        fail(f"No runtime answers at {address.url_of(url)}: {error}")


def fetch_bytes(
    path: str,
    url: str | None,
    key: str | None,
    *,
    body: Json = None,
    timeout_s: float = TIMEOUT_S,
    missing: bytes | None = None,
    answers: Collection[int] = (),
) -> bytes:
    """As `fetch`, as it came. missing: what a 404 is taken for, where it is no failure."""
    base = address.url_of(url)
    secret = address.key_of(key)
    if not base.startswith(("http://", "https://")):
        fail(f"{printable(base)} is not an address: it must begin with http:// or https://")
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, headers)
    # A proxy cannot reach this machine's own loopback.
    proxies: dict[str, str] | None = {} if urlsplit(base).hostname in _LOOPBACK else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(request, timeout=timeout_s) as response:
            content: bytes = response.read()
            return content
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND and missing is not None:
            return missing
        if error.code in answers:
            with error:
                return error.read()
        fail(_refusal(base, error))
    except (OSError, ValueError) as error:
        fail(f"No runtime answers at {base}: {getattr(error, 'reason', error)}")


def _refusal(base: str, error: urllib.error.HTTPError) -> str:
    try:
        message = json.load(error)["message"]
    except (ValueError, KeyError, TypeError, OSError):
        message = error.reason
    hint = " (give a key: --key or AYWA_API_KEY)" if error.code == 401 else ""
    return f"{base} answered {error.code}: {printable(str(message))}{hint}"


async def _calls(store: Store, limit: int) -> list[dict[str, Any]]:
    from aywa.ports.store import ListQuery

    found: list[dict[str, Any]] = []
    for organisation in await store.organisations.list():
        found += [json.loads(text) for text in await store.calls.list(organisation.id, ListQuery(limit))]
    found.sort(key=lambda call: call["createdAt"], reverse=True)
    return found[:limit]


async def _timeline(store: Store, call_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    from aywa.service.errors import NotFound
    from aywa.service.timeline import Timeline

    for organisation in await store.organisations.list():
        try:
            text = await Timeline(store.calls, store, store.outbox).of(organisation.id, call_id)
        except NotFound:
            continue
        document = await store.calls.get(organisation.id, call_id)
        if document is not None:
            return json.loads(document.text), json.loads(text)
    return None

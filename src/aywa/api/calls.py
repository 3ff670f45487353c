"""/call: HTTP to the calls' use-cases and back, and what was kept of a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from aywa.api.answers import StoredJson, ranged
from aywa.api.auth import AnyKey, PrivateKey
from aywa.api.body import read_json
from aywa.api.once import IdempotencyKey
from aywa.api.openapi import AUDIO, CALL_LIST, CALL_QUERY, LOG, SIDE, TIMELINE, answers, takes
from aywa.ports.store import ApiKey
from aywa.service.batches import is_batch
from aywa.service.calls import Creator
from aywa.service.errors import NotFound
from aywa.service.key_tokens import check_call
from aywa.service.recordings import RECORDING, BadRecording, Side, open_recording
from aywa.service.services import Services
from aywa.service.shipped import OBJECTS

router = APIRouter(tags=["Calls"])
guests = APIRouter(tags=["Calls"], include_in_schema=False)

_SIDES = {
    "stereo-recording": Side.STEREO,
    "mono-recording": Side.MONO,
    "customer-recording": Side.CUSTOMER,
    "assistant-recording": Side.ASSISTANT,
}
_Redirect = Annotated[
    bool,
    Query(
        description="Where artifacts lie in a bucket, a recording is answered with its address there (302);"
        " with false, with its bytes."
    ),
]


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _create(request: Request, key: ApiKey, idempotency: str | None, *, web: bool) -> Response:
    settings = request.app.state.settings
    base_url = settings.public_url or str(request.base_url)
    creator = Creator(key.org_id, key.id, base_url.rstrip("/"))
    body = await read_json(request, settings)
    check_call(key, body, request.headers.get("origin"))
    calls = _services(request).calls
    if not web and is_batch(body):
        return StoredJson(await _services(request).batches.create(creator, body, idempotency), 201)
    text = await calls.create(creator, body, web=web, idempotency=idempotency)
    if await request.is_disconnected():
        calls.undelivered(creator, body, text, web=web)
    return StoredJson(text, 201)


@router.post("/call/phone", status_code=201, include_in_schema=False)
@router.post(
    "/call",
    status_code=201,
    summary="Create a call over WebSocket, or to a telephone",
    description="Answers at once. Over WebSocket: connect to transport.websocketCallUrl to begin. With phoneNumberId and"
    " customer: it rings there; status and endedReason tell what becomes of it. With customers: a call to each of them.",
    responses=answers("CallOrBatch", 201, 429, 503),
    openapi_extra=takes("CreateCall"),
)
async def create(request: Request, key: PrivateKey, idempotency: IdempotencyKey = None) -> Response:
    return await _create(request, key, idempotency, web=False)


@router.post(
    "/call/web",
    status_code=201,
    summary="Create a call from a web page",
    description="The only operation that a public key may use.",
    responses=answers("Call", 201, 429, 503),
    openapi_extra=takes("CreateWebCall"),
)
async def create_web(request: Request, key: AnyKey, idempotency: IdempotencyKey = None) -> Response:
    return await _create(request, key, idempotency, web=True)


@router.get("/call", summary="List calls", responses=CALL_LIST, openapi_extra={"parameters": CALL_QUERY})
async def list_all(request: Request, key: PrivateKey) -> Response:
    return StoredJson(await _services(request).calls.list(key.org_id, request.query_params))


@router.get("/call/{call_id}", summary="Get a call", responses=answers("Call", 200, 404))
async def get(request: Request, key: PrivateKey, call_id: str) -> Response:
    services = _services(request)
    text = await services.calls.get(key.org_id, call_id)
    if services.shipped is not None:
        text = await services.shipped.with_links(key.org_id, call_id, text)
    return StoredJson(text)


@router.patch(
    "/call/{call_id}",
    summary="Rename a call",
    responses=answers("Call", 200, 404),
    openapi_extra=takes("UpdateCall"),
)
async def rename(request: Request, key: PrivateKey, call_id: str) -> Response:
    body = await read_json(request, request.app.state.settings)
    return StoredJson(await _services(request).calls.rename(key.org_id, call_id, body))


@router.delete(
    "/call/{call_id}",
    summary="Delete a call",
    description="Ends it if it runs, and forgets all that was kept of it. A body {ids: [...]} deletes those as well.",
    responses=answers("Call", 200, 404),
)
async def delete(request: Request, key: PrivateKey, call_id: str) -> Response:
    body = await read_json(request, request.app.state.settings)
    return StoredJson(await _services(request).calls.delete(key.org_id, call_id, body))


@router.get("/call/{call_id}/timeline", summary="What happened in a call, and why", responses=TIMELINE)
async def timeline(
    request: Request,
    key: PrivateKey,
    call_id: str,
    full: Annotated[bool, Query(description="Also what happens many times a second.")] = False,
) -> Response:
    return StoredJson(await _services(request).timeline.of(key.org_id, call_id, full=full))


@router.get(
    "/call/{call_id}/call-logs", summary="Every record of a call, as gzipped JSON lines", responses=LOG
)
async def call_logs(request: Request, key: PrivateKey, call_id: str) -> Response:
    return await _log(request, key.org_id, call_id)


@router.head("/call/{call_id}/{side}-recording", include_in_schema=False)
@router.get(
    "/call/{call_id}/{side}-recording",
    summary="The recording: stereo (left caller, right assistant), mono, or one side of it",
    responses=AUDIO,
    openapi_extra=SIDE,
)
async def recording(
    request: Request, key: PrivateKey, call_id: str, side: str, redirect: _Redirect = True
) -> Response:
    return await _recording(request, key.org_id, call_id, f"{side}-recording", redirect=redirect)


@guests.api_route("/artifact/{call_id}/{token}/{name}", methods=["GET", "HEAD"])
async def artifact(
    request: Request, call_id: str, token: str, name: str, redirect: _Redirect = True
) -> Response:
    """What a call's own party may read with the address that it was given."""
    org_id = await _services(request).calls.organisation_of_guest(call_id, token)
    if org_id is None:
        raise NotFound("There is no such artifact, or its address has expired.")
    if name == "call-logs":
        return await _log(request, org_id, call_id)
    return await _recording(request, org_id, call_id, name, redirect=redirect)


async def _log(request: Request, org_id: str, call_id: str) -> Response:
    content = await _services(request).timeline.log(org_id, call_id)
    headers = {"Content-Disposition": f'attachment; filename="{call_id}.jsonl.gz"'}
    return Response(content, headers=headers, media_type="application/gzip")


async def _recording(request: Request, org_id: str, call_id: str, name: str, *, redirect: bool) -> Response:
    side = _SIDES.get(name)
    if side is None:
        raise NotFound(f"There is no {name[:80]}.")
    services = _services(request)
    await services.calls.get(org_id, call_id)
    path = None if services.files is None else services.files.find(call_id, RECORDING)
    if path is None:
        return await _shipped(request, org_id, call_id, side, redirect=redirect)
    try:
        view = await asyncio.to_thread(open_recording, path, side)
    except (BadRecording, OSError):
        raise NotFound(f"Call {call_id[:80]} has no readable recording.") from None
    return ranged(request, view.size, view.read, "audio/wav", f"{call_id}-{side.value}.wav")


async def _shipped(request: Request, org_id: str, call_id: str, side: Side, *, redirect: bool) -> Response:
    """A recording that is not on this machine: its address in the bucket, or its bytes from there."""
    shipped, name = _services(request).shipped, OBJECTS[side]
    found = None if shipped is None else await shipped.find(org_id, call_id, name)
    if shipped is None or found is None:
        raise NotFound(f"Call {call_id[:80]} has no recording.")
    # An address is signed for GET alone.
    link = await shipped.link(org_id, call_id, name) if redirect and request.method == "GET" else None
    if link is not None:
        return RedirectResponse(link, 302, {"Cache-Control": "no-store"})

    def read(start: int, end: int) -> AsyncIterator[bytes]:
        return shipped.read(org_id, call_id, name, start, end)

    return ranged(request, found.size, read, "audio/wav", f"{call_id}-{side.value}.wav")

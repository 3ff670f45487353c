"""/file: HTTP to the files' use-cases and back. A file comes as multipart/form-data, as the official SDKs send it."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from aywa.api.answers import StoredJson
from aywa.api.auth import PrivateKey
from aywa.api.body import read_bytes, read_json
from aywa.api.multipart import BadForm, Part, read_form
from aywa.api.once import IdempotencyKey
from aywa.api.openapi import FILE_CONTENT, FILE_QUERY, FILE_UPLOAD, answers, list_of, takes
from aywa.service.errors import Rejected
from aywa.service.files import OCTETS, Upload
from aywa.service.once import asked
from aywa.service.services import Services

router = APIRouter(tags=["Files"])


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


@router.post("/file/upload", status_code=201, include_in_schema=False)
@router.post(
    "/file",
    status_code=201,
    summary="Upload a file",
    description="Text, Markdown, CSV, JSON, HTML and Word files can be searched by query tools; others are only kept.",
    responses=answers("File", 201, 503),
    openapi_extra=FILE_UPLOAD,
)
async def create(request: Request, key: PrivateKey, idempotency: IdempotencyKey = None) -> Response:
    settings = request.app.state.settings
    raw = await read_bytes(request, replace(settings, payload_bytes=settings.file_bytes))
    try:
        parts = read_form(request.headers.get("content-type", ""), raw)
    except BadForm as reason:
        raise Rejected([str(reason)]) from None
    base_url = (settings.public_url or str(request.base_url)).rstrip("/")
    # Each client's form has boundaries of its own: its parts are what was sent.
    sent = b"\0".join(
        repr((part.name, part.file_name, part.media_type)).encode() + part.content for part in parts
    )
    once = asked(key.id, idempotency, sent)
    text = await _services(request).uploads.create(key.org_id, _upload(parts), base_url, once)
    return StoredJson(text, 201)


@router.get(
    "/file",
    summary="List files",
    responses=list_of("File"),
    openapi_extra={"parameters": FILE_QUERY},
)
async def list_all(request: Request, key: PrivateKey) -> Response:
    return StoredJson(await _services(request).uploads.list(key.org_id, request.query_params))


@router.get("/file/{file_id}", summary="Get what is known of a file", responses=answers("File", 200, 404))
async def get(request: Request, key: PrivateKey, file_id: str) -> Response:
    return StoredJson(await _services(request).uploads.get(key.org_id, file_id))


@router.get("/file/{file_id}/content", summary="Get a file's bytes", responses=FILE_CONTENT)
async def content(request: Request, key: PrivateKey, file_id: str) -> Response:
    file = await _services(request).uploads.content(key.org_id, file_id)
    # What somebody uploaded is never shown as a page of this host.
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(file.content, headers=headers, media_type=OCTETS)


@router.patch(
    "/file/{file_id}",
    summary="Rename a file",
    responses=answers("File", 200, 404),
    openapi_extra=takes("UpdateFile"),
)
async def change(request: Request, key: PrivateKey, file_id: str) -> Response:
    body = await read_json(request, request.app.state.settings)
    return StoredJson(await _services(request).uploads.change(key.org_id, file_id, body))


@router.delete("/file/{file_id}", summary="Delete a file", responses=answers("File", 200, 404))
async def delete(request: Request, key: PrivateKey, file_id: str) -> Response:
    return StoredJson(await _services(request).uploads.delete(key.org_id, file_id))


def _upload(parts: list[Part]) -> Upload:
    """Raises Rejected."""
    given = {part.name: part for part in reversed(parts)}
    file = given.get("file")
    if file is None:
        raise Rejected(["file is required, got null"])
    purpose, metadata = (given[name].text if name in given else None for name in ("purpose", "metadata"))
    # A client's path is none of ours: only the last step of it is a name.
    name = (file.file_name or "file").replace("\\", "/").rpartition("/")[2]
    name = "".join(each for each in name if each.isprintable()) or "file"
    return Upload(name, file.media_type, file.content, purpose or None, metadata)

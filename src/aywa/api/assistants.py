"""/assistant: HTTP to the assistants' use-cases and back."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from aywa.api.answers import StoredJson
from aywa.api.auth import PrivateKey
from aywa.api.body import read_json
from aywa.api.once import IdempotencyKey
from aywa.api.openapi import ASSISTANT_LIST, LIST_QUERY, answers, takes
from aywa.service.once import asked
from aywa.service.services import Services

router = APIRouter(tags=["Assistants"])


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


@router.post(
    "/assistant",
    status_code=201,
    summary="Create an assistant",
    responses=answers("Assistant", 201),
    openapi_extra=takes("CreateAssistant"),
)
async def create(request: Request, key: PrivateKey, idempotency: IdempotencyKey = None) -> Response:
    body = await read_json(request, request.app.state.settings)
    once = asked(key.id, idempotency, body)
    return StoredJson(await _services(request).assistants.create(key.org_id, body, once), 201)


@router.get(
    "/assistant",
    summary="List assistants",
    responses=ASSISTANT_LIST,
    openapi_extra={"parameters": LIST_QUERY},
)
async def list_all(request: Request, key: PrivateKey) -> Response:
    return StoredJson(await _services(request).assistants.list(key.org_id, request.query_params))


@router.get(
    "/assistant/{assistant_id}",
    summary="Get an assistant",
    responses=answers("Assistant", 200, 404),
)
async def get(request: Request, key: PrivateKey, assistant_id: str) -> Response:
    return StoredJson(await _services(request).assistants.get(key.org_id, assistant_id))


@router.put(
    "/assistant/{assistant_id}",
    summary="Change an assistant, as PATCH does",
    operation_id="put_assistant",
    responses=answers("Assistant", 200, 404),
    openapi_extra=takes("UpdateAssistant"),
)
@router.patch(
    "/assistant/{assistant_id}",
    summary="Change an assistant",
    description="Replaces each supplied top-level field whole; null clears it; the others stay.",
    responses=answers("Assistant", 200, 404),
    openapi_extra=takes("UpdateAssistant"),
)
async def change(request: Request, key: PrivateKey, assistant_id: str) -> Response:
    body = await read_json(request, request.app.state.settings)
    return StoredJson(await _services(request).assistants.change(key.org_id, assistant_id, body))


@router.delete(
    "/assistant/{assistant_id}", summary="Delete an assistant", responses=answers("Assistant", 200, 404)
)
async def delete(request: Request, key: PrivateKey, assistant_id: str) -> Response:
    return StoredJson(await _services(request).assistants.delete(key.org_id, assistant_id))

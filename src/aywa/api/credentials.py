"""/credential: HTTP to the credentials' use-cases and back. What is secret goes in and never comes out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from aywa.api.answers import StoredJson
from aywa.api.auth import PrivateKey
from aywa.api.body import read_json
from aywa.api.once import IdempotencyKey
from aywa.api.openapi import CREDENTIAL_LIST, LIST_QUERY, answers, takes
from aywa.service.once import asked
from aywa.service.services import Services

router = APIRouter(tags=["Credentials"])


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


@router.post(
    "/credential",
    status_code=201,
    summary="Store a provider's key",
    description="Secrets are sealed when they are stored, and never answered.",
    responses=answers("Credential", 201),
    openapi_extra=takes("CreateCredential"),
)
async def create(request: Request, key: PrivateKey, idempotency: IdempotencyKey = None) -> Response:
    body = await read_json(request, request.app.state.settings)
    once = asked(key.id, idempotency, body)
    return StoredJson(await _services(request).credentials.create(key.org_id, body, once), 201)


@router.get(
    "/credential",
    summary="List credentials",
    responses=CREDENTIAL_LIST,
    openapi_extra={"parameters": LIST_QUERY},
)
async def list_all(request: Request, key: PrivateKey) -> Response:
    return StoredJson(await _services(request).credentials.list(key.org_id, request.query_params))


@router.get(
    "/credential/{credential_id}",
    summary="Get a credential, without its secrets",
    responses=answers("Credential", 200, 404),
)
async def get(request: Request, key: PrivateKey, credential_id: str) -> Response:
    return StoredJson(await _services(request).credentials.get(key.org_id, credential_id))


@router.patch(
    "/credential/{credential_id}",
    summary="Change a credential",
    description="Replaces each supplied top-level field whole; null clears it; a secret that is not sent stays.",
    responses=answers("Credential", 200, 404),
    openapi_extra=takes("UpdateCredential"),
)
async def change(request: Request, key: PrivateKey, credential_id: str) -> Response:
    body = await read_json(request, request.app.state.settings)
    return StoredJson(await _services(request).credentials.change(key.org_id, credential_id, body))


@router.delete(
    "/credential/{credential_id}",
    summary="Delete a credential",
    responses=answers("Credential", 200, 404),
)
async def delete(request: Request, key: PrivateKey, credential_id: str) -> Response:
    return StoredJson(await _services(request).credentials.delete(key.org_id, credential_id))

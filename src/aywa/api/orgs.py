"""/org: HTTP to the organisation's own settings and back."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from aywa.api.answers import StoredJson
from aywa.api.auth import PrivateKey
from aywa.api.body import read_json
from aywa.api.openapi import ORG_LIST, answers, takes
from aywa.service.services import Services

router = APIRouter(tags=["Organisation"])


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


@router.get("/org", summary="List the organisations of the key: its own", responses=ORG_LIST)
async def list_all(request: Request, key: PrivateKey) -> Response:
    return StoredJson(f"[{await _services(request).org_settings.get(key.org_id)}]")


@router.get("/org/{org_id}", summary="Get the organisation", responses=answers("Org", 200, 404))
async def get(request: Request, key: PrivateKey, org_id: str) -> Response:
    return StoredJson(await _services(request).org_settings.get(key.org_id, org_id))


@router.patch(
    "/org/{org_id}",
    summary="Change the organisation's settings",
    description=(
        "server: the account webhook, told of every call whose assistant and phone number have no server, and of every other one"
        " when their servers fail. webhookPolicy: fallback (that), precedence (the first server alone is told) or fan-out (all of"
        " them are). Replaces each supplied field whole; null clears it; a secret that is not sent stays."
    ),
    responses=answers("Org", 200, 404),
    openapi_extra=takes("UpdateOrg"),
)
async def change(request: Request, key: PrivateKey, org_id: str) -> Response:
    body = await read_json(request, request.app.state.settings)
    return StoredJson(await _services(request).org_settings.change(key.org_id, org_id, body))

"""/providers: HTTP to how providers fare and back, and a try at each. A path of our own; no secret is ever answered."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from aywa.api.answers import StoredJson
from aywa.api.auth import PrivateKey
from aywa.api.body import read_json
from aywa.api.openapi import PROVIDER_CHECKS, PROVIDER_ROUTES, takes
from aywa.service.services import Services

router = APIRouter(tags=["Providers"])


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


@router.get(
    "/providers",
    summary="How the routes to providers fare",
    description="Every route that your calls have asked since this process began: its circuit, its first answers, its failures.",
    responses=PROVIDER_ROUTES,
)
async def statuses(request: Request, key: PrivateKey) -> Response:
    return StoredJson(_services(request).providers.statuses(key.org_id))


@router.post(
    "/providers/check",
    summary="Ask each route once",
    description="One small request, which the vendor bills, to every provider that has a key, or to every route of an"
    " assistant, those that are asked instead included.",
    responses=PROVIDER_CHECKS,
    openapi_extra=takes("CheckProviders"),
)
async def check(request: Request, key: PrivateKey) -> Response:
    body = await read_json(request, request.app.state.settings)
    return StoredJson(await _services(request).providers.check(key.org_id, body))

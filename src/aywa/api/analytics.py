"""/analytics: HTTP to the sums over calls, and back."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from aywa.api.auth import PrivateKey
from aywa.api.body import read_json
from aywa.api.openapi import ANALYTICS_RESULT, takes
from aywa.service.services import Services

router = APIRouter(tags=["Analytics"])


@router.post(
    "/analytics",
    status_code=201,
    summary="Sums, averages and counts over calls",
    description="In groups and in steps of time. `duration` is in minutes; the table `subscription` has no rows here.",
    responses=ANALYTICS_RESULT,
    openapi_extra=takes("AnalyticsQueries"),
)
async def run(request: Request, key: PrivateKey) -> JSONResponse:
    services: Services = request.app.state.services
    body = await read_json(request, request.app.state.settings)
    return JSONResponse(await services.analytics.run(key.org_id, body), 201)

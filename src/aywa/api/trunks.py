"""/trunks: HTTP to how SIP trunks fare, and back. A path of our own; a trunk itself is a credential."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from aywa.api.answers import StoredJson
from aywa.api.auth import PrivateKey
from aywa.api.openapi import TRUNK_LIST
from aywa.service.services import Services

router = APIRouter(tags=["Trunks"])


@router.get(
    "/trunks",
    summary="How the SIP trunks fare",
    description="Whether a trunk's gateways answer and whether this runtime is registered there, as far as it is asked to know:"
    " `optionsPingEnabled`, `sipRegisterPlan`.",
    responses=TRUNK_LIST,
)
async def statuses(request: Request, key: PrivateKey) -> Response:
    services: Services = request.app.state.services
    return StoredJson(await services.trunks.of(key.org_id))

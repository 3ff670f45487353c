"""/live/{callId}/{key}/control: a running call's controlUrl (contract 15.1).

The address itself opens it: it is made for one call, nobody can guess it, and it ends with the call. It is in no list of
operations, because nobody puts it together: it is read from the call's `monitor`.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from aywa.api.auth import BEARER
from aywa.api.body import read_json
from aywa.api.errors import RETRY_AFTER_S, error_response
from aywa.ports.calls import SteeringRefused
from aywa.service.errors import NotFound
from aywa.service.services import Services

router = APIRouter(tags=["Calls"], include_in_schema=False)


@router.post("/live/{call_id}/{key}/control")
async def control(request: Request, call_id: str, key: str) -> Response:
    """One control."""
    services: Services = request.app.state.services
    if services.live is None:
        raise NotFound("No running call is controlled here.")
    given = await BEARER(request)
    message = await read_json(request, request.app.state.settings)
    host = request.client.host if request.client is not None else ""
    secret = None if given is None else given.credentials
    try:
        await services.live.steer(call_id, key, message, secret=secret, host=host)
    except SteeringRefused as refused:
        headers = {"Retry-After": str(RETRY_AFTER_S)} if refused.status == 429 else None
        return error_response(
            refused.status, [str(refused)] if refused.status == 400 else str(refused), headers
        )
    return JSONResponse({"status": "ok"})

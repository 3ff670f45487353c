"""/inbound/{vendor}/{phoneNumberId}: what a carrier asks and tells over HTTP, to the use-case and back.

No key of ours opens it: the vendor's own signature does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response

from aywa.api.body import BadBody, BodyTooLarge, read_bytes
from aywa.ports.carriers import CarrierAnswer, CarrierRequest
from aywa.service.carrier_door import NOBODY, STEPS
from aywa.service.services import Services

router = APIRouter(tags=["Carriers"], include_in_schema=False)

FIELDS_MAX = 200


@router.api_route("/inbound/{vendor}/{phone_number_id}", methods=["GET", "POST"])
async def called(request: Request, vendor: str, phone_number_id: str) -> Response:
    """A call comes in: what is to become of it?"""
    return await _take(request, vendor, phone_number_id, "")


@router.api_route("/inbound/{vendor}/{phone_number_id}/{step}", methods=["GET", "POST"])
async def told(request: Request, vendor: str, phone_number_id: str, step: str) -> Response:
    """How a call goes on."""
    return await _take(request, vendor, phone_number_id, step)


async def _take(request: Request, vendor: str, number_id: str, step: str) -> Response:
    services: Services = request.app.state.services
    if services.carriers is None or (step and step not in STEPS):
        return _response(NOBODY)
    settings = request.app.state.settings
    try:
        body = await read_bytes(request, settings)
        query = parse_qs(
            request.url.query, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="replace"
        )
    except (BadBody, BodyTooLarge, ValueError):
        return _response(NOBODY)
    headers = {name.lower(): value for name, value in request.headers.items()}
    bases = _bases(request, headers, settings.public_url)
    path = request.scope.get("raw_path", b"").decode("ascii", "replace").partition("?")[0]
    asked = request.scope.get("query_string", b"").decode("ascii", "replace")
    tail = f"{path}?{asked}" if asked else path
    carried = CarrierRequest(
        request.method, tuple(base + tail for base in bases), headers, query, body, time.time()
    )
    return _response(await services.carriers.take(vendor, number_id, step, carried, bases[0]))


def _bases(request: Request, headers: Mapping[str, str], public_url: str | None) -> list[str]:
    """Where the vendor may have sent it: as the operator says, and as the request does, with or without a proxy before us."""
    bases = [] if public_url is None else [public_url.rstrip("/")]
    hosts = [headers.get("x-forwarded-host", ""), headers.get("host", "")]
    stated = headers.get("x-forwarded-proto", "") or request.url.scheme
    schemes = ("http", "https") if stated == "http" else ("https", "http")
    bases += [f"{scheme}://{host}" for scheme in schemes for host in hosts if host]
    return list(dict.fromkeys(bases)) or [f"{schemes[0]}://localhost"]


def _response(answer: CarrierAnswer) -> Response:
    return Response(answer.body, answer.status, media_type=answer.media_type)

"""/phone-number: HTTP to the phone numbers' use-cases and back."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from aywa.api.answers import StoredJson
from aywa.api.auth import PrivateKey
from aywa.api.body import read_json
from aywa.api.once import IdempotencyKey
from aywa.api.openapi import (
    LIST_QUERY,
    PAGE_QUERY,
    PHONE_NUMBER_LIST,
    PHONE_NUMBER_PAGE,
    answers,
    takes,
)
from aywa.service.once import asked
from aywa.service.services import Services

router = APIRouter(tags=["Phone numbers"])


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


@router.post(
    "/phone-number",
    status_code=201,
    summary="Create a phone number",
    description=(
        "A number on a SIP trunk of yours (byo-phone-number), of your account at Twilio, Telnyx or Vonage, or a SIP URI (vapi)."
        " Secrets are never answered."
    ),
    responses=answers("PhoneNumber", 201),
    openapi_extra=takes("CreatePhoneNumber"),
)
async def create(request: Request, key: PrivateKey, idempotency: IdempotencyKey = None) -> Response:
    body = await read_json(request, request.app.state.settings)
    once = asked(key.id, idempotency, body)
    return StoredJson(await _services(request).phone_numbers.create(key.org_id, body, once), 201)


@router.get(
    "/phone-number",
    summary="List phone numbers",
    responses=PHONE_NUMBER_LIST,
    openapi_extra={"parameters": LIST_QUERY},
)
async def list_all(request: Request, key: PrivateKey) -> Response:
    return StoredJson(await _services(request).phone_numbers.list(key.org_id, request.query_params))


@router.get(
    "/v2/phone-number",
    summary="Page through phone numbers",
    responses=PHONE_NUMBER_PAGE,
    openapi_extra={"parameters": PAGE_QUERY},
)
async def page(request: Request, key: PrivateKey) -> Response:
    return StoredJson(await _services(request).phone_numbers.page(key.org_id, request.query_params))


@router.get(
    "/phone-number/{phone_number_id}",
    summary="Get a phone number",
    responses=answers("PhoneNumber", 200, 404),
)
async def get(request: Request, key: PrivateKey, phone_number_id: str) -> Response:
    return StoredJson(await _services(request).phone_numbers.get(key.org_id, phone_number_id))


@router.patch(
    "/phone-number/{phone_number_id}",
    summary="Change a phone number",
    description="Replaces each supplied top-level field whole; null clears it; a secret that is not sent stays.",
    responses=answers("PhoneNumber", 200, 404),
    openapi_extra=takes("UpdatePhoneNumber"),
)
async def change(request: Request, key: PrivateKey, phone_number_id: str) -> Response:
    body = await read_json(request, request.app.state.settings)
    return StoredJson(await _services(request).phone_numbers.change(key.org_id, phone_number_id, body))


@router.delete(
    "/phone-number/{phone_number_id}",
    summary="Delete a phone number",
    responses=answers("PhoneNumber", 200, 404),
)
async def delete(request: Request, key: PrivateKey, phone_number_id: str) -> Response:
    return StoredJson(await _services(request).phone_numbers.delete(key.org_id, phone_number_id))

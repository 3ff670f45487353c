"""/webhook-delivery, /webhook-endpoint: HTTP to the outbox's use-cases and back."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from aywa.api.answers import StoredJson
from aywa.api.auth import PrivateKey
from aywa.api.body import read_json
from aywa.api.openapi import (
    DELIVERY_LIST,
    DELIVERY_QUERY,
    DISABLED_ENDPOINTS,
    answers,
    takes,
)
from aywa.service.deliveries import Deliveries

router = APIRouter(tags=["Webhook deliveries"])


def _deliveries(request: Request) -> Deliveries:
    deliveries: Deliveries = request.app.state.services.deliveries
    return deliveries


@router.get(
    "/webhook-delivery",
    summary="List messages to your servers",
    responses=DELIVERY_LIST,
    openapi_extra={"parameters": DELIVERY_QUERY},
)
async def list_all(request: Request, key: PrivateKey) -> Response:
    return StoredJson(await _deliveries(request).list(key.org_id, request.query_params))


@router.post(
    "/webhook-delivery/replay",
    summary="Send messages again",
    description=(
        "Begins deliveries anew that are over: some by their ids, those of a call or of a time, or all that failed since a time."
        " Each keeps its webhook-id. At most 1000 by one request."
    ),
    responses=answers("ReplayedWebhooks", 200),
    openapi_extra=takes("ReplayWebhooks"),
)
async def replay(request: Request, key: PrivateKey) -> Response:
    body = await read_json(request, request.app.state.settings)
    return StoredJson(await _deliveries(request).replay(key.org_id, body))


@router.get(
    "/webhook-delivery/{delivery_id}",
    summary="Get a message with every attempt to deliver it",
    responses=answers("WholeWebhookDelivery", 200, 404),
)
async def get(request: Request, key: PrivateKey, delivery_id: str) -> Response:
    return StoredJson(await _deliveries(request).get(key.org_id, delivery_id))


@router.get(
    "/webhook-endpoint/disabled",
    summary="List the servers that answered 410 and get no messages",
    responses=DISABLED_ENDPOINTS,
)
async def disabled(request: Request, key: PrivateKey) -> Response:
    return StoredJson(await _deliveries(request).disabled(key.org_id))


@router.post(
    "/webhook-endpoint/enable",
    summary="Send to a server again that answered 410",
    responses=answers("EnabledWebhookEndpoint", 200, 404),
    openapi_extra=takes("EnableWebhookEndpoint"),
)
async def enable(request: Request, key: PrivateKey) -> Response:
    body = await read_json(request, request.app.state.settings)
    return StoredJson(await _deliveries(request).enable(key.org_id, body))

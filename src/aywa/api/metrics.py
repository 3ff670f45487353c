"""/metrics and /metrics.json: the process's figures. They are of all organisations together, so only the operator sees them."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from aywa.api.auth import BEARER
from aywa.api.openapi import FIGURES_JSON, FIGURES_TEXT
from aywa.api.settings import ApiSettings
from aywa.ports.analytics import HistoryQuery, HistoryStep
from aywa.ports.metrics import MetricPages
from aywa.service.clock import iso, now_ms
from aywa.service.errors import NotAllowed, NotFound, Rejected, Unauthenticated
from aywa.service.scopes import grants, scope_of
from aywa.service.services import Services

router = APIRouter(tags=["Health"])

TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus, Exposition formats."""
HISTORY_MAX_S = 366 * 86_400
STEPS_MAX = 1000

ReadHistory = Callable[[HistoryQuery], Awaitable[Sequence[HistoryStep]]]
"""Raises AnalyticsUnavailable."""


async def operator(request: Request, given: Annotated[object, Depends(BEARER)]) -> None:
    """Lets in who may see the figures. Raises Unauthenticated, NotAllowed."""
    settings: ApiSettings = request.app.state.settings
    if settings.metrics_open:
        return
    secret = getattr(given, "credentials", None)
    if secret is None:
        raise Unauthenticated(
            "The figures need Authorization: Bearer and RUNTIME_METRICS_TOKEN, or a private key of the first organisation"
        )
    if settings.metrics_token and hmac.compare_digest(secret.encode(), settings.metrics_token.encode()):
        return
    services: Services = request.app.state.services
    key = await services.keys.authenticate(secret)
    first = await services.orgs.default()
    if key.kind != "private" or key.org_id != first.id:
        raise NotAllowed("The figures are the operator's: use a private key of the first organisation.")
    needed = scope_of(request.method, request.url.path)
    if not grants(key.scopes, needed):
        raise NotAllowed(f"This key may not do that: it has no scope {needed}.")


def _pages(request: Request) -> MetricPages:
    pages: MetricPages | None = request.app.state.metrics
    if pages is None:
        raise NotFound("There are no figures here.")
    return pages


@router.get(
    "/metrics",
    dependencies=[Depends(operator)],
    summary="Figures for Prometheus",
    description="Calls, turns and their latency at the wire, providers, media, webhooks and the process itself. Of this process,"
    " all organisations together; taken at most once a second.",
    response_class=Response,
    responses=FIGURES_TEXT,
)
async def text(request: Request) -> Response:
    return Response(await _pages(request).text(), media_type=TEXT)


@router.get(
    "/metrics.json",
    dependencies=[Depends(operator)],
    summary="The same figures as JSON, and their history",
    description="Value for value what /metrics says at `atSeconds`. With `historySeconds`, which needs analytics in ClickHouse:"
    " also `history`, the calls that were made since then, in steps.",
    response_class=Response,
    responses=FIGURES_JSON,
)
async def as_json(
    request: Request,
    history_seconds: Annotated[
        int | None, Query(alias="historySeconds", ge=60, le=HISTORY_MAX_S, description="How far back.")
    ] = None,
    step_seconds: Annotated[
        int | None,
        Query(alias="stepSeconds", ge=60, le=HISTORY_MAX_S, description="Of a step; a hundredth by default."),
    ] = None,
) -> Response:
    page = await _pages(request).json()
    if history_seconds is not None:
        step_s = step_seconds or max(60, history_seconds // 100)
        steps = await _history(request, history_seconds, step_s)
        # The page is an object, and this is its last field.
        page = page[:-1] + b',"history":' + orjson.dumps(steps) + b"}"
    return Response(page, media_type="application/json")


async def _history(request: Request, back_s: int, step_s: int) -> list[dict[str, Any]]:
    read: ReadHistory | None = request.app.state.history
    if read is None:
        raise NotFound(
            "There is no history here: it is kept in ClickHouse (RUNTIME_ANALYTICS_CLICKHOUSE_URL)."
        )
    if back_s > step_s * STEPS_MAX:
        raise Rejected([f"stepSeconds must be at least {-(-back_s // STEPS_MAX)}: {STEPS_MAX} steps at most"])
    end_ms = now_ms()
    found = await read(HistoryQuery(end_ms - back_s * 1000, end_ms, step_s))
    return [_step(step) for step in found]


def _step(step: HistoryStep) -> dict[str, Any]:
    providers = [
        {
            "kind": each.kind,
            "provider": each.provider,
            "requests": each.requests,
            "failures": each.failures,
            "firstP50Ms": each.first_p50_ms,
            "firstP95Ms": each.first_p95_ms,
        }
        for each in step.providers
    ]
    return {
        "at": iso(step.start_ms),
        "calls": step.calls,
        "ended": dict(step.ended or {}),
        "minutes": step.minutes,
        "cost": step.dollars,
        "turns": step.turns,
        "wireP50Ms": step.wire_p50_ms,
        "wireP95Ms": step.wire_p95_ms,
        "providers": providers,
    }

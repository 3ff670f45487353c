"""Makes the HTTP application; refuses to know how anything is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

import aywa
from aywa.api import (
    analytics,
    assistants,
    calls,
    credentials,
    docs_page,
    errors,
    files,
    health,
    inbound,
    live,
    metrics,
    openapi,
    orgs,
    other_lists,
    phone_numbers,
    providers,
    resources,
    talk_page,
    trunks,
    webhook_deliveries,
)
from aywa.api.health import Check, Readiness
from aywa.api.metrics import ReadHistory
from aywa.api.settings import ApiSettings
from aywa.api.talk_page import TalkConfig
from aywa.ports.metrics import MetricPages
from aywa.service.services import Services

DESCRIPTION = (
    "Voice agents that run inside your own infrastructure: assistants, calls, and what happened in them."
)
ROUTERS = (
    health.router,
    assistants.router,
    resources.tools,
    resources.squads,
    files.router,
    analytics.router,
    calls.router,
    calls.guests,
    credentials.router,
    phone_numbers.router,
    orgs.router,
    inbound.router,
    live.router,
    metrics.router,
    providers.router,
    trunks.router,
    webhook_deliveries.router,
    other_lists.router,
)
WEB_CALL_PATH = "/call/web"
LIVE_PATH = "/live/"
DEFAULT_SETTINGS = ApiSettings()


def create_app(
    services: Services,
    settings: ApiSettings = DEFAULT_SETTINGS,
    *,
    checks: Mapping[str, Check] | None = None,
    shown: Collection[str] = (),
    figures: MetricPages | None = None,
    history: ReadHistory | None = None,
    talk_page: Path | None = None,
    talk_config: TalkConfig | None = None,
) -> FastAPI:
    """The application. checks: what /readyz asks; shown: those among them without which calls are taken. figures: what
    /metrics tells; history: and what was before. talk_page: the folder of the page at /."""
    app = FastAPI(
        title="Aywa Runtime",
        version=aywa.__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.settings = settings
    app.state.readiness = Readiness(checks or {}, settings.check_timeout_s, shown=shown)
    app.state.metrics = figures
    app.state.history = history
    errors.install(app)
    openapi.install(app)
    docs_page.install(app)
    app.state.routers = ROUTERS
    for router in ROUTERS:
        app.include_router(router)
    _install_talk_page(app, talk_page, talk_config)
    app.add_middleware(_Cors, origins=settings.cors_origins)
    return app


_install_talk_page = talk_page.install


class _Cors:
    """Any origin may start a web call (contract 16): its key says for whom, and no cookie is ever looked at.
    Everything else answers only the origins that the operator named."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._web = _cors(app, ("*",))
        self._rest = _cors(app, origins) if origins else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_web = scope["type"] == "http" and scope["path"] == WEB_CALL_PATH
        # Nor for a controlUrl, which is its own key.
        is_web = is_web or (scope["type"] == "http" and scope["path"].startswith(LIVE_PATH))
        await (self._web if is_web else self._rest)(scope, receive, send)


def _cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=["Retry-After"],
        max_age=600,
    )

"""Errors as the contract answers them: {message, error, statusCode}; refuses to let anything internal out."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from aywa.api.body import BadBody, BodyTooLarge
from aywa.ports.calls import CallRefused
from aywa.ports.journal import StoreUnavailable
from aywa.service.errors import NotAllowed, NotFound, Rejected, Unauthenticated

RETRY_AFTER_S = 2
"""When a client may ask again after a 429 or 503."""


def error_response(
    status: int, message: str | list[str], headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """The error body (contract 2.4)."""
    phrase = (
        "Payload Too Large" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else HTTPStatus(status).phrase
    )
    content = {"message": message, "error": phrase, "statusCode": status} | more
    return JSONResponse(content, status, headers=None if headers is None else dict(headers))


def install(app: FastAPI) -> None:
    """Gives every kind of failure its answer."""

    @app.exception_handler(Rejected)
    async def rejected(_request: Request, error: Rejected) -> JSONResponse:
        return error_response(400, error.problems)

    @app.exception_handler(BadBody)
    async def bad_body(_request: Request, error: BadBody) -> JSONResponse:
        return error_response(400, [str(error)])

    @app.exception_handler(RequestValidationError)
    async def bad_request(_request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(400, [_problem(problem) for problem in error.errors()])

    @app.exception_handler(Unauthenticated)
    async def unauthenticated(_request: Request, error: Unauthenticated) -> JSONResponse:
        return error_response(401, str(error), {"WWW-Authenticate": "Bearer"})

    @app.exception_handler(NotAllowed)
    async def not_allowed(_request: Request, error: NotAllowed) -> JSONResponse:
        return error_response(403, str(error))

    @app.exception_handler(NotFound)
    async def not_found(_request: Request, error: NotFound) -> JSONResponse:
        return error_response(404, str(error))

    @app.exception_handler(BodyTooLarge)
    async def too_large(_request: Request, error: BodyTooLarge) -> JSONResponse:
        # What the client still sends is not read, so the connection cannot be used again.
        return error_response(413, f"The body is longer than {error.limit} bytes.", {"Connection": "close"})

    @app.exception_handler(CallRefused)
    async def refused(_request: Request, error: CallRefused) -> JSONResponse:
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return error_response(error.status, str(error), headers, endedReason=error.ended_reason)

    @app.exception_handler(StoreUnavailable)
    async def no_store(_request: Request, _error: StoreUnavailable) -> JSONResponse:
        return error_response(
            503, "The store does not answer right now.", {"Retry-After": str(RETRY_AFTER_S)}
        )

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        message, headers = str(error.detail), error.headers
        if error.status_code in (404, 405):
            message = f"Cannot {request.method} {request.url.path[:200]}"
        if error.status_code == 405:
            # The framework names the methods of one of the path's routes only.
            headers = {"Allow": ", ".join(_methods(request)) or (headers or {}).get("Allow", "")}
        return error_response(error.status_code, message, headers)

    @app.exception_handler(Exception)
    async def broken(_request: Request, _error: Exception) -> JSONResponse:
        return error_response(500, "Internal server error")


def _methods(request: Request) -> list[str]:
    routers: tuple[APIRouter, ...] = request.app.state.routers
    routes = (route for router in routers for route in router.routes if isinstance(route, APIRoute))
    path = request.url.path
    return sorted(
        {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}
    )


def _problem(problem: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in problem.get("loc", ())[1:])
    return f"{path or 'request'} {str(problem.get('msg', 'is not valid')).lower()}"

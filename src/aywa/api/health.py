"""Alive and ready: told to anybody, because they tell nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

import aywa

router = APIRouter(tags=["Health"])

Check = Callable[[], Awaitable[str | None]]
"""Answers None when all is well, else one line that says what is not."""


@router.get("/health", summary="The process answers")
@router.get("/healthz", summary="The process answers")
async def alive() -> dict[str, str]:
    return {"status": "ok", "version": aywa.__version__}


@router.get(
    "/readyz", summary="Calls can be taken", responses={503: {"description": "They cannot; checks say why."}}
)
async def ready(request: Request) -> JSONResponse:
    checks: Mapping[str, Check] = request.app.state.checks
    timeout_s: float = request.app.state.settings.check_timeout_s
    problems = await asyncio.gather(*(_problem(check, timeout_s) for check in checks.values()))
    told = {
        name: {"ok": problem is None} | ({} if problem is None else {"problem": problem})
        for name, problem in zip(checks, problems, strict=True)
    }
    is_ready = all(problem is None for problem in problems)
    return JSONResponse(
        {"status": "ready" if is_ready else "not ready", "checks": told}, 200 if is_ready else 503
    )


async def _problem(check: Check, timeout_s: float) -> str | None:
    try:
        async with asyncio.timeout(timeout_s):
            return await check()
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except Exception as error:  # noqa: BLE001 - a check that fails says no, whatever it fails with
        return type(error).__name__

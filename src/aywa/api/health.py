"""Alive and ready: told to anybody, because they tell nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

import aywa

router = APIRouter(tags=["Health"])

LOOK_S = 5.0
"""How often it is looked whether all is well when nobody asks: `since` is right to so many seconds."""
DRAIN = "drain"
"""The check that says why no new calls are taken while those that run go on."""

Check = Callable[[], Awaitable[str | None]]
"""Answers None when all is well, else one line that says what is not."""


@dataclass(frozen=True, slots=True)
class State:
    """Of one dependency. problem: None when all is well. since_s: Unix time since which it is as it is. needed: no calls are to
    come while it is not well; else they go on, and what it lacks is made up for."""

    problem: str | None
    since_s: float
    needed: bool = True

    def document(self) -> dict[str, Any]:
        """As it is told."""
        since = datetime.fromtimestamp(self.since_s, UTC).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {"ok": self.problem is None, "since": since.replace("+00:00", "Z")}
        told |= {} if self.needed else {"needed": False}
        return told if self.problem is None else told | {"problem": self.problem}


class Readiness:
    """Asks every dependency, and remembers since when each has been well or not. `run` looks also when nobody asks. shown: names
    of those without which calls are taken all the same."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        timeout_s: float = 2.0,
        now: Callable[[], float] = time.time,
        shown: Collection[str] = (),
    ) -> None:
        self._checks = checks
        self._shown = shown
        self._timeout_s = timeout_s
        self._now = now
        self.states: dict[str, State] = {}
        self._since_s = now()

    @property
    def ready(self) -> bool:
        """Calls can be taken, as far as was last seen."""
        return all(state.problem is None for state in self.states.values() if state.needed)

    @property
    def status(self) -> str:
        """In a word: ready, draining, or not ready."""
        drain = self.states.get(DRAIN)
        if drain is not None and drain.problem is not None:
            return "draining"
        return "ready" if self.ready else "not ready"

    async def look(self) -> Mapping[str, State]:
        """How everything is now."""
        was = self.status if self.states else ""
        problems = await asyncio.gather(*(self._problem(check) for check in self._checks.values()))
        for name, problem in zip(self._checks, problems, strict=True):
            before = self.states.get(name)
            # Another reason for the same trouble does not make it a newer one.
            same = before is not None and (before.problem is None) == (problem is None)
            since_s = before.since_s if same and before else self._now()
            self.states[name] = State(problem, since_s, name not in self._shown)
        if self.status != was:
            self._since_s = self._now()
        return self.states

    def document(self) -> dict[str, Any]:
        """What was last seen."""
        return {
            "status": self.status,
            "since": State(None, self._since_s).document()["since"],
            "checks": {name: state.document() for name, state in self.states.items()},
        }

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def _problem(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await check()
        except TimeoutError:
            return f"no answer within {self._timeout_s:g} s"
        except Exception as error:  # noqa: BLE001 - a check that fails says no, whatever it fails with
            return type(error).__name__


@router.get("/health", summary="The process answers")
@router.get("/healthz", summary="The process answers")
async def alive() -> dict[str, str]:
    return {"status": "ok", "version": aywa.__version__}


@router.get(
    "/readyz", summary="Calls can be taken", responses={503: {"description": "They cannot; checks say why."}}
)
async def ready(request: Request) -> JSONResponse:
    readiness: Readiness = request.app.state.readiness
    _ = await readiness.look()
    return JSONResponse(readiness.document(), 200 if readiness.ready else 503)

"""Runs `aywa serve`: judges the settings, starts the runtime with them, serves until it is told to stop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from aywa.boot.dev import Say, run_dev
from aywa.boot.equipment_settings import equipment_from_environment
from aywa.boot.finding import Finding
from aywa.boot.freeswitch_settings import freeswitch_from_environment
from aywa.boot.node_settings import node_from_environment
from aywa.boot.phone_settings import phone_from_environment
from aywa.boot.production import report
from aywa.boot.production.examine import examine, faults
from aywa.boot.serve_settings import ServeSettings, pipeline_from_environment, serve_from_environment
from aywa.boot.settings import RuntimeSettings, keys_from_environment
from aywa.boot.store import home

DRAIN_S = 30.0
DRAIN_MAX_S = 600
"""Without RUNTIME_DRAIN_MAX_S: so long may calls go on after the first signal."""


class CannotServe(Exception):
    """Something that production needs is missing or weak. findings: all of it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(f"{len(faults(findings))} findings")
        self.findings = tuple(findings)


def run_serve(say: Say) -> None:
    """Blocks until SIGINT or SIGTERM, and until the calls have ended. Raises CannotServe, CannotStart, and what Runtime.start
    raises."""
    judge(os.environ, say)
    run_dev(settings_of(os.environ), say)


def judge(environment: Mapping[str, str], say: Say) -> None:
    """Raises CannotServe in production; in development it only tells."""
    # What is malformed is told with all the rest, and production is what counts until somebody says otherwise.
    serve = _readable(environment)
    wait_s = serve.start_wait_s if serve.production else 0.0
    findings = asyncio.run(examine(environment, home(), wait_s=wait_s))
    if serve.production and faults(findings):
        raise CannotServe(findings)
    if findings:
        say(report.as_text(findings, "aywa serve"))


def _readable(environment: Mapping[str, str]) -> ServeSettings:
    from aywa.boot.errors import CannotStart

    try:
        return serve_from_environment(environment)
    except CannotStart:
        return ServeSettings(start_wait_s=0.0)


def settings_of(environment: Mapping[str, str]) -> RuntimeSettings:
    """Raises CannotStart."""
    serve = serve_from_environment(environment)
    return RuntimeSettings(
        host=serve.host,
        port=serve.port,
        media_port=serve.media_port,
        llm=serve.llm,
        keys=keys_from_environment(),
        phone=phone_from_environment(environment),
        equipment=equipment_from_environment(environment),
        freeswitch=freeswitch_from_environment(environment),
        calls_max=serve.calls_max,
        drain_s=DRAIN_S,
        node=node_from_environment(environment, drain_max_s=DRAIN_MAX_S),
        pipeline=pipeline_from_environment(environment),
        served=serve,
    )

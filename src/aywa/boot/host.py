"""Runs the calls of this process: prepares them, gives their party a way in, and sees them to their end and on record."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from aywa.adapters.transports.websocket import Refusal
from aywa.boot.artifacts import Artifacts
from aywa.boot.engine_version import engine_version
from aywa.boot.layout import CallPlane
from aywa.call.session import Routes, Session, SessionPlan
from aywa.call.template import builtin_variables, render_assistant
from aywa.core import events as ev
from aywa.core.cost import LLM, STT, TTS, Prices, Source, all_sources, source_of_route, sources_of
from aywa.core.lifecycle import CallState
from aywa.core.settings import read_settings
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.journal import Journal
from aywa.ports.media import FORWARDED, CloseLeg, HandOver, LegPlan
from aywa.service.contradictions import settings_warnings

_log = structlog.get_logger("aywa.boot.host")

TOO_MANY = "call.start.error-subscription-concurrency-limit-reached"
DELETED = "call-deleted"
PHONE_CALLS = ("inboundPhoneCall", "outboundPhoneCall")
NO_WORKER = "call.start.error-vapifault-worker-not-available"


@dataclass(slots=True)
class _Running:
    """A call that is here. connected: its leg was there, once. gone: it is not connected any more. forwarded: it is, but with
    somebody else."""

    plan: CallPlan
    session: Session
    token: str
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    forwarded: bool = False
    connected: bool = False

    def post(self, event: ev.MediaEvent) -> None:
        """What the leg tells, to the session."""
        if isinstance(event, ev.LegEnded):
            if self.forwarded or event.cause != FORWARDED:
                self.gone.set()
            self.forwarded = True
        self.connected = self.connected or isinstance(event, ev.LegConnected)
        self.session.post(event)


class Host:
    """ports.calls.CallHost and CallLegs over the media plane. media_url: answers ws:// or wss:// and host of the media port.
    ended: is told which call needs its routes no more."""

    def __init__(
        self,
        plane: CallPlane,
        journal: Journal,
        artifacts: Artifacts,
        routes: Callable[[CallPlan], Routes],
        media_url: Callable[[], str],
        calls_max: int,
        prices: Prices | None = None,
        ended: Callable[[str], None] = lambda call_id: None,
    ) -> None:
        self._plane = plane
        self._journal = journal
        self._artifacts = artifacts
        self._routes = routes
        self._media_url = media_url
        self._calls_max = calls_max
        self._prices = prices or Prices()
        self._ended = ended
        self._calls: dict[str, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._told_over: list[Callable[[str, bool], None]] = []

    # --- ports.calls.CallHost ------------------------------------------------------------------------------------

    def prepare(self, plan: CallPlan) -> str:
        """As the port says."""
        if self._draining:
            raise CallRefused(NO_WORKER, "the runtime is shutting down: try again in a moment")
        if len(self._calls) >= self._calls_max:
            raise CallRefused(TOO_MANY, f"{self._calls_max} calls are running, the limit (calls_max)", 429)
        try:
            routes = self._routes(plan)
            session = Session(self._session_plan(plan, routes), routes, self._plane, self._journal)
        except BaseException:
            self._ended(plan.call_id)
            raise
        running = _Running(plan, session, secrets.token_urlsafe(24))
        self._calls[plan.call_id] = running
        task = asyncio.get_running_loop().create_task(self._run(running), name=f"call {plan.call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return f"{self._media_url()}/{plan.call_id}/transport?token={running.token}"

    def end(self, call_id: str, reason: str, detail: str = "") -> bool:
        """As the ports say."""
        running = self._calls.get(call_id)
        if running is None:
            return False
        running.session.post(ev.EndRequested(reason, detail))
        return True

    def rang(self, call_id: str) -> None:
        """Whoever the call is placed to is being rung."""
        running = self._calls.get(call_id)
        if running is not None:
            running.session.post(ev.RingingStarted())

    def active(self) -> Mapping[str, str]:
        """As the port says."""
        return {call_id: _status(running.session) for call_id, running in self._calls.items()}

    # --- ports.calls.CallLegs ------------------------------------------------------------------------------------

    def media_path(self, call_id: str) -> str | None:
        """As the port says."""
        running = self._calls.get(call_id)
        return None if running is None else f"{call_id}/{running.token}"

    def connected(self, call_id: str) -> bool:
        """As the port says."""
        running = self._calls.get(call_id)
        return running is not None and running.connected

    def give_away(self, call_id: str) -> bool:
        """As the port says."""
        running = self._calls.get(call_id)
        if running is None or not self._plane.has_leg(call_id):
            return False
        given = f"given {call_id}"
        self._plane.send(HandOver(call_id, given))
        self._plane.send(CloseLeg(given, FORWARDED))
        return True

    def on_over(self, tell: Callable[[str, bool], None]) -> None:
        """As the port says."""
        self._told_over.append(tell)

    # --- the transport's question ----------------------------------------------------------------------------------

    def open_call(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> LegPlan | Refusal:
        """What a connection at /{callId}/transport?token= is to be."""
        parts = path.strip("/").split("/")
        if len(parts) != 2 or parts[1] != "transport":
            return _refuse(404, "Not Found", f"nothing is at {path[:80]}: calls are at /{{callId}}/transport")
        running = self._calls.get(parts[0])
        if running is None or running.session.conversation.lifecycle.over:
            return _refuse(
                404, "Not Found", f"call {parts[0][:80]} is not waiting here: make one with POST /call"
            )
        if not hmac.compare_digest(query.get("token", "").encode(), running.token.encode()):
            return _refuse(401, "Unauthorized", "the token is wrong: use websocketCallUrl as it was given")
        return self._leg_plan(running)

    def admits(self, call_id: str, token: str) -> bool | None:
        """Whether the token opens the leg of a prepared call; None: the call is not here, or over."""
        running = self._calls.get(call_id)
        if running is None or running.session.conversation.lifecycle.over:
            return None
        return hmac.compare_digest(token.encode(), running.token.encode())

    def leg_plan(self, call_id: str) -> LegPlan | None:
        """What the leg of a prepared call is to be, for a transport of this process; None when the call is over."""
        running = self._calls.get(call_id)
        if running is None or running.session.conversation.lifecycle.over:
            return None
        return self._leg_plan(running)

    def _leg_plan(self, running: _Running) -> LegPlan:
        plan = running.plan
        recording = self._artifacts.recording(plan.call_id) if _keeps_recording(plan.assistant) else None
        return LegPlan(
            leg_id=plan.call_id,
            format=plan.format,
            rate_hz=plan.rate_hz,
            epoch_s=running.session.epoch_s,
            post=running.post,
            recording=recording,
        )

    # --- the end ---------------------------------------------------------------------------------------------------

    async def close(self, within_s: float) -> None:
        """Takes no more calls, asks those that run to end, and waits for them."""
        self._draining = True
        for running in self._calls.values():
            running.session.post(ev.EndRequested("worker-shutdown"))
        # Those that have ended may still wait for their recording.
        tasks = list(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _session_plan(self, plan: CallPlan, routes: Routes) -> SessionPlan:
        variables = builtin_variables(datetime.fromtimestamp(plan.created_ms / 1000, UTC)) | dict(
            plan.variables
        )
        assistant, problems = render_assistant(plan.assistant, variables)
        if plan.type in PHONE_CALLS:
            # A telephone takes no messages: none are made.
            assistant = {**assistant, "clientMessages": []}
        started = ev.CallStarted(
            plan.call_id,
            plan.org_id,
            round(time.time() * 1000),
            assistant,
            dict(plan.variables),
            engine_version(),
            self._prices.rows(_sources(assistant, routes)),
        )
        base_url = plan.call.get("artifactBaseUrl")
        ended_extra = {"recordingUrl": f"{base_url}/stereo-recording"} if base_url else {}
        warnings = (*plan.warnings, *settings_warnings(assistant), *self._cost_warnings(assistant))
        return SessionPlan(
            started,
            plan.call_id,
            plan.join_timeout_s,
            ended_extra=ended_extra,
            problems=tuple(problems),
            warnings=warnings,
        )

    def _cost_warnings(self, assistant: Mapping[str, Any]) -> Iterator[str]:
        if read_settings(assistant).max_dollars is None:
            return
        for source in sources_of(assistant).values():
            if self._prices.of(source) is None:
                name = f"{source.provider} {source.model}".strip()
                yield (
                    f"costPlan.maxDollars does not count {name} ({source.kind}): it has no price;"
                    " name one in the file of RUNTIME_PRICES"
                )

    async def _run(self, running: _Running) -> None:
        plan, session = running.plan, running.session
        try:
            await session.run()
        except Exception:  # noqa: BLE001 - whatever broke the call broke only this one
            # The session has put its end on record; the other calls go on.
            _log.exception("call_failed", call_id=plan.call_id)
        finally:
            self._calls.pop(plan.call_id, None)
            self._ended(plan.call_id)
            # A session can end before its leg has, which nobody owns from then on.
            self._plane.send(CloseLeg(plan.call_id, session.conversation.lifecycle.reason or ""))
            for tell in self._told_over:
                tell(plan.call_id, running.connected)
        if running.forwarded or self._plane.has_leg(plan.call_id):
            # Also whom it was forwarded to belongs to its recording.
            await running.gone.wait()
        recording = await self._plane.recorded(plan.call_id)
        if session.conversation.lifecycle.reason == DELETED:
            # What the recorder wrote after the call's files were removed.
            await asyncio.to_thread(self._artifacts.remove, plan.call_id)
        elif recording is not None and recording.seconds:
            session.note("ArtifactStored", self._artifacts.stored(plan, recording))


def _sources(assistant: Mapping[str, Any], routes: Routes) -> list[Source]:
    """All who may work for the call: those whom its assistant names, and those whom it was given."""
    known = all_sources(assistant)
    models, voices = routes.reply.names
    given = [source_of_route(LLM, name, known) for name in models]
    given += [source_of_route(TTS, name, known) for name in voices]
    return [*known, *given, source_of_route(STT, routes.stt.name, known)]


def _status(session: Session) -> str:
    state = session.conversation.lifecycle.state
    return CallState.IN_PROGRESS.value if state is CallState.ENDING else state.value


def _keeps_recording(assistant: Mapping[str, Any]) -> bool:
    plan = assistant.get("artifactPlan")
    return not (isinstance(plan, Mapping) and plan.get("recordingEnabled") is False)


def _refuse(status: int, error: str, message: str) -> Refusal:
    return Refusal(status, {"message": message, "error": error, "statusCode": status})

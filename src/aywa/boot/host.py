"""Runs the calls of this process: prepares them, gives their party a way in, and sees them to their end and on record."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from aywa.adapters.local.rules import RuleLlm
from aywa.adapters.transports.websocket import Refusal
from aywa.boot.artifacts import Artifacts
from aywa.boot.background import BackgroundSounds, sound_of
from aywa.boot.engine_version import engine_version
from aywa.boot.layout import CallPlane
from aywa.boot.questions import call_of
from aywa.call.analysis import NO_MODEL, TOO_FEW, Analyst, skipped
from aywa.call.handoffs import CallHandoffs, ready
from aywa.call.session import Routes, Session, SessionPlan
from aywa.call.template import builtin_variables, render_assistant
from aywa.core import events as ev
from aywa.core.analysis import TRANSCRIPT_CHARACTERS, Facts, read_analysis_plan
from aywa.core.cost import LLM, STT, TTS, Prices, Source, all_sources, source_of_route, sources_of
from aywa.core.lifecycle import CallState
from aywa.core.retention import read_retention
from aywa.core.settings import read_settings
from aywa.core.transcript import read_transcript_plan, shortened, transcript_of
from aywa.ports.calls import CallPlan, CallRefused, LiveKeys
from aywa.ports.errors import ProviderError
from aywa.ports.handoffs import HandoffDesk
from aywa.ports.journal import Journal
from aywa.ports.media import FORWARDED, CloseLeg, HandOver, LegPlan, Underlay
from aywa.service.contradictions import settings_warnings

_log = structlog.get_logger("aywa.boot.host")

TOO_MANY = "call.start.error-subscription-concurrency-limit-reached"
DELETED = "call-deleted"
PHONE_CALLS = ("inboundPhoneCall", "outboundPhoneCall")
LOCAL_ROUTE = "local-"
NO_WORKER = "call.start.error-vapifault-worker-not-available"


@dataclass(slots=True)
class _Running:
    """A call that is here. assistant: with its texts rendered. connected: its leg was there, once. gone: it is not connected any
    more. forwarded: it is, but with somebody else."""

    plan: CallPlan
    session: Session
    token: str
    assistant: Mapping[str, Any]
    routes: Routes
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    forwarded: bool = False
    connected: bool = False
    came: Callable[[str], None] = lambda call_id: None
    rate_hz: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    sounding: asyncio.Task[None] | None = None

    def post(self, event: ev.MediaEvent) -> None:
        """What the leg tells, to the session."""
        if isinstance(event, ev.LegEnded):
            if self.forwarded or event.cause != FORWARDED:
                self.gone.set()
            self.forwarded = True
        if isinstance(event, ev.LegConnected):
            self.came(self.plan.call_id)
        if isinstance(event, ev.LegConnected) and not self.connected:
            self.connected = True
            if not self.rate_hz.done():
                self.rate_hz.set_result(event.rate_hz)
        self.session.post(event)


class Host:
    """ports.calls.CallHost and CallLegs over the media plane. media_url: answers ws:// or wss:// and host of the media port.
    ended: is told which call needs its routes no more. turn_over: has the journal begin a new file, so that the one before it
    goes. sounds: what sounds under a call. takes_calls: False: the voice pipeline is switched off."""

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
        turn_over: Callable[[], None] = lambda: None,
        sounds: BackgroundSounds | None = None,
        takes_calls: bool = True,
    ) -> None:
        self._plane = plane
        self._journal = journal
        self._artifacts = artifacts
        self._routes = routes
        self._media_url = media_url
        self._calls_max = calls_max
        self._prices = prices or Prices()
        self._ended = ended
        self._turn_over = turn_over
        self._sounds = sounds
        # A model that runs here has calls to serve: one question about a call that is over at a time.
        self._local_gate = asyncio.Semaphore(1)
        self._calls: dict[str, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self.measured_max: int | None = None
        """So many calls this machine was measured to carry (`aywa bench`)."""
        self._takes_calls = takes_calls
        self.handoff_desk: HandoffDesk | None = None
        """Finds whom no squad has; who joins the services sets it."""
        self._told_over: list[Callable[[str, bool], None]] = []
        # Whoever has listeners: told when a call's leg is there, and when a person speaks in the agent's place.
        self.leg_came: Callable[[str], None] = lambda call_id: None
        self.taken_over: Callable[[str, bool], None] = lambda call_id, taken: None

    # --- ports.calls.CallHost ------------------------------------------------------------------------------------

    def prepare(self, plan: CallPlan) -> str:
        """As the port says."""
        if not self._takes_calls:
            raise CallRefused(NO_WORKER, "this runtime takes no calls: VOICE_PIPELINE_ENABLED is false")
        if self._draining:
            raise CallRefused(NO_WORKER, "the runtime is shutting down: try again in a moment")
        if self.measured_max is not None and len(self._calls) >= self.measured_max:
            told = f"{self.measured_max} calls are running, which is what this machine carries (aywa bench)"
            raise CallRefused(NO_WORKER, told)
        if self.full():
            raise CallRefused(TOO_MANY, f"{self._calls_max} calls are running, the limit (calls_max)", 429)
        plan = _withheld(self._ready(plan))
        try:
            routes = replace(self._routes(plan), handoffs=self._handoffs(plan))
            of_session = self._session_plan(plan, routes)
            session = Session(of_session, routes, self._plane, self._journal)
        except BaseException:
            self._ended(plan.call_id)
            raise
        running = _Running(plan, session, secrets.token_urlsafe(24), of_session.started.assistant, routes)
        running.came = lambda call_id: self.leg_came(call_id)
        self._calls[plan.call_id] = running
        if self._sounds is not None and (sound := sound_of(running.assistant)):
            running.sounding = asyncio.get_running_loop().create_task(self._lay(running, self._sounds, sound))
        task = asyncio.get_running_loop().create_task(self._run(running), name=f"call {plan.call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return f"{self._media_url()}/{plan.call_id}/transport?token={running.token}"

    def full(self) -> bool:
        """As the port says."""
        return not self._draining and len(self._calls) >= self.calls_max

    @property
    def calls_max(self) -> int:
        """So many calls may run: by the setting, and by what was measured."""
        return self._calls_max if self.measured_max is None else min(self._calls_max, self.measured_max)

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

    # --- for those who listen and steer ----------------------------------------------------------------------------

    def live(self, call_id: str) -> tuple[str, LiveKeys] | None:
        """The call's organisation, and what opens it; None when it is over, or not here."""
        running = self._calls.get(call_id)
        if running is None or running.session.conversation.lifecycle.over:
            return None
        return running.plan.org_id, running.plan.live

    def is_waiting(self, call_id: str) -> bool:
        """Whether the call's party is not there yet."""
        running = self._calls.get(call_id)
        return running is not None and running.session.conversation.lifecycle.waiting

    def note(self, call_id: str, kind: str, data: Mapping[str, Any]) -> bool:
        """Puts something on a call's record; False when it is not here."""
        running = self._calls.get(call_id)
        if running is not None:
            running.session.note(kind, data)
        return running is not None

    def tell(self, call_id: str, event: ev.Event) -> None:
        """Something that somebody outside wants of the call. To one that is not here it is nothing."""
        running = self._calls.get(call_id)
        if running is not None:
            running.session.post(event)

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
        kept = read_retention(plan.assistant)
        recording = self._artifacts.recording(plan.call_id) if kept.recording else None
        return LegPlan(
            leg_id=plan.call_id,
            format=plan.format,
            rate_hz=plan.rate_hz,
            epoch_s=running.session.epoch_s,
            post=running.post,
            recording=recording,
        )

    # --- the end ---------------------------------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """It takes no more calls."""
        return self._draining

    def drain(self) -> None:
        """Takes no more calls; those that run go on."""
        self._draining = True

    async def idle(self) -> None:
        """Returns when the calls that run now have ended and are on record."""
        if self._tasks:
            await asyncio.wait(list(self._tasks))

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

    def _ready(self, plan: CallPlan) -> CallPlan:
        members = ready(plan.members)
        return replace(plan, assistant=members[0].assistant, members=members) if members else plan

    def _handoffs(self, plan: CallPlan) -> CallHandoffs:
        return CallHandoffs(
            plan,
            self._routes,
            lambda assistant, routes: self._prices.rows(_sources(assistant, routes)),
            self._warnings,
            self.handoff_desk,
            quiet=plan.type in PHONE_CALLS,
        )

    def _warnings(self, assistant: Mapping[str, Any]) -> tuple[str, ...]:
        return (*settings_warnings(assistant), *self._cost_warnings(assistant))

    def _session_plan(self, plan: CallPlan, routes: Routes) -> SessionPlan:
        own = {**plan.members[0].variables, **plan.variables} if plan.members else dict(plan.variables)
        variables = builtin_variables(datetime.fromtimestamp(plan.created_ms / 1000, UTC)) | own
        assistant, problems = render_assistant(plan.assistant, variables)
        if plan.type in PHONE_CALLS:
            # A telephone takes no messages: none are made.
            assistant = {**assistant, "clientMessages": []}
        started = ev.CallStarted(
            plan.call_id,
            plan.org_id,
            round(time.time() * 1000),
            assistant,
            own,
            engine_version(),
            self._prices.rows(_sources(assistant, routes)),
            squad=_squad(plan),
            call=call_of(plan) if plan.webhooks else {},
            webhooks=plan.webhooks,
        )
        base_url = plan.call.get("artifactBaseUrl")
        keeps = read_retention(assistant).recording
        ended_extra = {"recordingUrl": f"{base_url}/stereo-recording"} if base_url and keeps else {}
        warnings = (*plan.warnings, *self._warnings(assistant))
        return SessionPlan(
            started,
            plan.call_id,
            plan.join_timeout_s,
            ended_extra=ended_extra,
            problems=tuple(problems),
            warnings=warnings,
            taken_over=lambda taken: self.taken_over(plan.call_id, taken),
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
            if running.sounding is not None:
                running.sounding.cancel()
            # A session can end before its leg has, which nobody owns from then on.
            self._plane.send(CloseLeg(plan.call_id, session.conversation.lifecycle.reason or ""))
            for tell in self._told_over:
                tell(plan.call_id, running.connected)
        _ = await asyncio.gather(self._keep_recording(running), self._analyse_safely(running))
        if not session.keeps_words or 0 in (_days(plan.assistant), _days(running.assistant)):
            # The next record is the first of a new file; when it is in the store, those with what was said are removed.
            self._turn_over()
        if not session.keeps_words:
            session.note("WordsWithheld", {"reason": "compliance_plan"})
        # Nothing more comes: the report can be written.
        session.note("CallClosed", {})

    async def _lay(self, running: _Running, sounds: BackgroundSounds, sound: str) -> None:
        """What sounds under the call, ready before its party is there if there is time."""
        plan = running.plan
        try:
            _ = await sounds.of(sound, plan.rate_hz)
            rate_hz = await running.rate_hz
            self._plane.send(Underlay(plan.call_id, await sounds.of(sound, rate_hz), rate_hz))
        except ProviderError as error:
            detail = f"backgroundSound is not heard: {error}"
            running.session.note("SettingsWarned", {"code": "background_sound", "detail": detail})

    async def _keep_recording(self, running: _Running) -> None:
        plan, session = running.plan, running.session
        if running.forwarded or self._plane.has_leg(plan.call_id):
            # Also whom it was forwarded to belongs to its recording.
            await running.gone.wait()
        recording = await self._plane.recorded(plan.call_id)
        if session.conversation.lifecycle.reason == DELETED or not session.keeps_words:
            # What the recorder wrote after the call's files were removed, or before somebody had the call who wants no recording.
            await self._artifacts.remove(plan.org_id, plan.call_id)
        elif recording is not None and recording.seconds:
            session.note("ArtifactStored", self._artifacts.stored(plan, recording))

    async def _analyse_safely(self, running: _Running) -> None:
        try:
            await self._analyse(running)
        except Exception as error:  # noqa: BLE001 - the recording must be kept, whatever became of this
            _log.warning("analysis_failed", call_id=running.plan.call_id, error=type(error).__name__)
        finally:
            self._ended(running.plan.call_id)

    async def _analyse(self, running: _Running) -> None:
        """What is asked about a call when it is over (contract 13.1)."""
        session, reply = running.session, running.routes.reply
        conversation = session.conversation
        local = reply.llm.name.startswith(LOCAL_ROUTE)
        plan = read_analysis_plan(
            running.assistant, by_default=_asks_by_default(running.assistant, local=local)
        )
        if not plan.questions or not running.connected or conversation.lifecycle.reason == DELETED:
            return
        if reply.llm.name == RuleLlm.name:
            session.note("AnalysisCompleted", skipped(NO_MODEL))
            return
        messages = conversation.history.messages
        if sum(m["role"] in ("bot", "user") for m in messages) < plan.least_messages:
            session.note("AnalysisCompleted", skipped(TOO_FEW))
            return
        text = transcript_of(messages, read_transcript_plan(running.assistant))
        facts = Facts(
            transcript=shortened(text, TRANSCRIPT_CHARACTERS),
            ended_reason=conversation.lifecycle.reason or "",
            prompt=conversation.history.prompt,
            chat=conversation.history.chat(),
            variables=session.variables,
        )
        analyst = Analyst(reply, self._local_gate if local else None)
        session.note("AnalysisCompleted", await analyst.analyse(plan, facts))


def _asks_by_default(assistant: Mapping[str, Any], *, local: bool) -> bool:
    """Whether a summary and an evaluation are made though nobody asked for them: not by a model of the customer's own, which may
    do something about a request, and not by one that runs here and has calls to serve."""
    model = assistant.get("model")
    provider = model.get("provider") if isinstance(model, Mapping) else None
    return not local and provider not in (None, "", "custom-llm")


def _days(assistant: Mapping[str, Any]) -> int | None:
    return read_retention(assistant).days


def _withheld(plan: CallPlan) -> CallPlan:
    """Where one assistant of a squad may not have words kept, none of the call's are; and who has it kept shortest, counts."""
    members = [read_retention(member.assistant) for member in plan.members]
    own = read_retention(plan.assistant)
    changed: dict[str, Any] = {}
    if not all(member.words for member in members):
        changed["compliancePlan"] = {**_mapping(plan.assistant, "compliancePlan"), "hipaaEnabled": True}
    days = [each.days for each in (own, *members) if each.days is not None]
    if days and min(days) != own.days:
        changed["artifactPlan"] = {**_mapping(plan.assistant, "artifactPlan"), "retentionDays": min(days)}
    return replace(plan, assistant={**plan.assistant, **changed}) if changed else plan


def _mapping(assistant: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = assistant.get(name)
    return value if isinstance(value, Mapping) else {}


def _squad(plan: CallPlan) -> dict[str, Any]:
    """What the record says of the call's squad."""
    if not plan.members:
        return {}
    squad_id = plan.call.get("squadId")
    named = {"id": squad_id} if isinstance(squad_id, str) else {}
    return {**named, "members": [member.name for member in plan.members]}


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


def _refuse(status: int, error: str, message: str) -> Refusal:
    return Refusal(status, {"message": message, "error": error, "statusCode": status})

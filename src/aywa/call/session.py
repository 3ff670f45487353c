"""One call, the brain's shell: one inbox, one owner task; children may only post.

Takes an event, asks the conversation, puts both on record, carries out every command, takes the next. Decides nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from aywa.call.handoffs import CallHandoffs, Situation, Successor
from aywa.call.phrases import PhraseMaker
from aywa.call.recogniser import EarRoute, Recogniser
from aywa.call.replies import ReplyMaker, ReplyRoutes
from aywa.call.router.attempt import aside
from aywa.call.rules import CallRules, RuleThreads
from aywa.call.tools.rejections import Said
from aywa.call.tools.runs import ToolRoutes, ToolRuns
from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.conversation import Conversation
from aywa.core.retention import read_retention
from aywa.core.settings import read_settings
from aywa.core.tool_asking import FAILURE
from aywa.core.tools import MCP
from aywa.ports import media as to_media
from aywa.ports.endpointing import EndpointingModel, EndpointingRequest
from aywa.ports.errors import ProviderError
from aywa.ports.handoffs import HandoffRefused
from aywa.ports.journal import Journal
from aywa.ports.media import MediaPlane
from aywa.ports.server_questions import CallQuestions
from aywa.ports.stt import Stt
from aywa.ports.telephony import CallTransfers
from aywa.ports.turn_model import TurnModel

TURN_AUDIO_S = 8.0
OUTLAST_S = 10.0
"""So long after the call's end a tool that nobody waits for has to be done."""
MCP_LIST_S = 10.0
"""By then an MCP server has told what it can do."""
ROUNDING_S = 1e-6
SHUTDOWN = "worker-shutdown"
FAILED = "call.in-progress.error-vapifault-worker-died"
# What may be dropped from a full inbox: more of the same is on its way, or nothing is decided on it.
_SPARE = (
    ev.ClientMessageReceived,
    ev.VoiceScored,
    ev.VoiceSuspected,
    ev.VoiceFaded,
    ev.PlayoutAdvanced,
    ev.ReplyTextReceived,
    ev.MediaWarned,
    ev.QualityMeasured,
    ev.DtmfReceived,
)


@dataclass(frozen=True, slots=True)
class Routes:
    """The call's providers. turn_model, endpointing: None where there is none. reads_ahead: the model is warmed with
    partials. rules: where the customer's rules are tried; None: threads of the call's own. keyterms, ear: for the recogniser;
    more_ears: who listens when it is not well. problems: who was named and cannot be asked. transfers: passes the call's
    caller on; None where nobody can. questions: the customer's servers. tools: whoever else runs tools. handoffs: gets other
    assistants ready, None where there are none."""

    stt: Stt
    reply: ReplyRoutes
    turn_model: TurnModel | None = None
    language: str = "en"
    reads_ahead: bool = False
    endpointing: EndpointingModel | None = None
    rules: RuleThreads | None = None
    keyterms: tuple[str, ...] = ()
    ear: Mapping[str, Any] = field(default_factory=dict)
    more_ears: tuple[EarRoute, ...] = ()
    problems: tuple[str, ...] = ()
    transfers: CallTransfers | None = None
    questions: CallQuestions | None = None
    tools: ToolRoutes = field(default_factory=ToolRoutes)
    handoffs: CallHandoffs | None = None


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What a session is told once. ended_extra: put beside the last status-update to the client. problems: met while
    the assistant's texts were rendered; warnings: what is odd about its settings; both go on record. taken_over: told when
    a person speaks to the caller in the agent's place, and when none does any more."""

    started: ev.CallStarted
    leg_id: str = "caller"
    join_timeout_s: float = 15.0
    inbox_limit: int = 20_000
    ended_extra: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    taken_over: Callable[[bool], None] = lambda taken: None


class Session:
    """Runs from queued to ended. `post` may be called at any time from the loop's thread, and never waits."""

    def __init__(self, plan: SessionPlan, routes: Routes, media: MediaPlane, journal: Journal) -> None:
        self._plan = plan
        self._routes = routes
        self._media = media
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._conversation = Conversation(plan.leg_id, plan.join_timeout_s)
        self._inbox: deque[ev.Event] = deque([plan.started])
        self._alarm: asyncio.Future[None] | None = None
        # Rings at the deadline, or before it: most deadlines move on before they come, and a timer costs more than a look.
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = inf
        self._group: asyncio.TaskGroup | None = None
        self._children: set[asyncio.Task[None]] = set()
        self._replies: dict[int, tuple[ReplyMaker, asyncio.Task[None]]] = {}
        self._recogniser: Recogniser | None = None
        self._rate_hz: int | None = None
        self._to_read: str | None = None
        self._reading: asyncio.Task[None] | None = None
        self._threads = routes.rules or RuleThreads()
        self._own_threads = routes.rules is None
        # Of the call, for what is filled in while it runs: as it began with them, and as has come to light since.
        self.variables: dict[str, Any] = dict(plan.started.variables)
        # Whether nobody who has had the call forbids to keep what was said.
        self.keeps_words = read_retention(plan.started.assistant).words
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._outlasting: set[asyncio.Task[None]] = set()
        self._successors: dict[str, Successor] = {}
        self._work_for(plan.started.assistant, routes)
        self._seq = 0
        self._ended = False
        self.call_id = plan.started.call_id
        self.epoch_s = self._loop.time()
        self.overrun = 0

    def _work_for(self, assistant: Mapping[str, Any], routes: Routes) -> None:
        """From now on the call is this assistant's, and these work for it."""
        settings = read_settings(assistant)
        self._routes = routes
        routes.reply.tell(self.note)
        routes.reply.offer([tool.definition for tool in settings.tools])
        routes.reply.voicing.tell = lambda problem: self._warn("replacement", problem)
        self._phrases = PhraseMaker(routes.reply, self.post)
        self._rules = CallRules(settings.start.rules, self._threads)
        self._told = settings.client_messages
        self._tools = ToolRuns(
            self._plan.started.call_id,
            routes.tools,
            routes.questions,
            self._threads,
            self.variables,
            self.note,
            settings.language,
        )

    @property
    def conversation(self) -> Conversation:
        """The call's state, to be read only."""
        return self._conversation

    def post(self, event: ev.Event) -> None:
        """Puts an event into the inbox. Past the limit what the call can do without is dropped and counted: a call must
        not eat the process, and must not miss its end."""
        if self._ended:
            return
        if len(self._inbox) >= self._plan.inbox_limit and isinstance(event, _SPARE):
            if not self.overrun:
                self.note("MediaWarned", {"leg_id": self._plan.leg_id, "code": "inbox_full", "detail": ""})
            self.overrun += 1
            return
        self._inbox.append(event)
        self._ring()

    def note(self, kind: str, data: Mapping[str, Any]) -> None:
        """Puts something on record that no machine decides on, also after the end."""
        self._record(self._now(), "note", kind, data)

    async def run(self) -> None:
        """From queued to ended. Cancelled, or broken by an error of ours, it ends the call first."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for problem in self._plan.problems:
                    self.note("TemplateProblem", {"detail": problem})
                for problem in self._routes.problems:
                    self._warn("provider", problem)
                _ = self._spawn("dial", self._dial(self._routes))
                self._find_tools(self._plan.started.assistant)
                for warning in self._plan.warnings:
                    self._warn("contradiction", warning)
                try:
                    await self._own()
                except asyncio.CancelledError:
                    self._break_off(SHUTDOWN, "the runtime could not wait for the call's end")
                    raise
                except Exception as error:
                    self._break_off(FAILED, f"the call's own task failed: {type(error).__name__}")
                    raise
                finally:
                    self._ended = True
                    self._keep_news()
                    for child in self._children - self._outlasting:
                        child.cancel()
                    with suppress(asyncio.CancelledError):
                        await self._outlast()
                    for child in self._children:
                        child.cancel()
        finally:
            self._ended = True
            self._stop_timer()
            if self._own_threads:
                self._threads.close()
            if self._recogniser is not None:
                await self._recogniser.close()

    def _break_off(self, reason: str, message: str) -> None:
        """The end, whatever state the call is in: what was heard is kept, and the end is on record in any case."""
        if self._ended:
            return
        try:
            for event in (
                ev.EndRequested(reason, message),
                ev.LegEnded(self._plan.leg_id, "local", message),
            ):
                now = self._now()
                self._note(now, "event", event)
                self._carry_out(self._conversation.handle(event, now), now)
        except Exception as error:  # noqa: BLE001 - it is broken already
            message = f"{message}, and {type(error).__name__} on ending it"
        if not self._ended:
            self._ended = True
            self._record(self._now(), "command", "EndCall", {"reason": reason, "message": message})
        with suppress(Exception):
            self._media.send(to_media.CloseLeg(self._plan.leg_id, reason))

    async def _dial(self, routes: Routes) -> None:
        """While the phone rings: what the first turn needs is connected before it comes."""
        ear = EarRoute(routes.stt, routes.language, routes.keyterms, routes.ear)
        work = [routes.reply.voices.warm(), aside(routes.stt.warm(ear.options(routes.reply.voice.rate_hz)))]
        if not routes.reads_ahead:
            work.append(routes.reply.models.warm(routes.reply.request(())))
        _ = await asyncio.gather(*work, return_exceptions=True)

    async def _own(self) -> None:
        deadline: float | None = None
        while not self._ended:
            await self._next(deadline)
            while self._inbox and not self._ended:
                event = self._inbox.popleft()
                now = self._now()
                self._note(now, "event", event)
                self._observe(event)
                self._carry_out(self._conversation.handle(event, now), now)
                if isinstance(event, ev.ToolsFound):
                    self._offer()
            now = self._now()
            deadline = self._conversation.deadline
            if deadline is not None and now >= deadline - ROUNDING_S:
                # The loop's clock less the epoch may fall a hair short of the deadline that the timer was set for.
                now = max(now, deadline)
                # On record even if nothing follows: a machine may have noted that it looked.
                self._record(now, "event", "Woken", {})
                self._carry_out(self._conversation.wake(now), now)
                deadline = self._conversation.deadline

    async def _next(self, deadline: float | None) -> None:
        if self._inbox:
            return
        if deadline is not None and deadline < self._timer_s:
            self._stop_timer()
            self._timer_s = deadline
            self._timer = self._loop.call_at(self.epoch_s + deadline, self._timer_rang)
        self._alarm = self._loop.create_future()
        try:
            await self._alarm
        finally:
            self._alarm = None

    def _timer_rang(self) -> None:
        self._stop_timer()
        self._ring()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_s = None, inf

    def _ring(self) -> None:
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(None)

    def _now(self) -> float:
        return self._loop.time() - self.epoch_s

    # --- commands ------------------------------------------------------------------------------------------------

    def _carry_out(self, cmds: list[do.Command], now: float) -> None:
        for command in cmds:
            self._note(now, "command", command)
            self._do(command)

    def _do(self, command: do.Command) -> None:
        match command:
            case do.FinalizeTranscript():
                if self._recogniser is not None:
                    self._recogniser.finalize()
            case do.CommitTranscript():
                if self._recogniser is not None:
                    self._recogniser.commit()
            case do.ScoreTurn():
                self._score_turn(command)
            case do.MatchRules():
                _ = self._spawn("rules", self._match_rules(command))
            case do.AskEndpointing():
                history = self._conversation.history
                messages = history.messages_with(command.said, command.from_s, command.to_s)
                request = EndpointingRequest(messages, history.chat(command.said))
                _ = self._spawn("endpointing", self._ask_endpointing(command, request))
            case do.StartReply():
                maker = ReplyMaker(command.reply_id, self._routes.reply, self.post)
                if command.speculative:
                    maker.put_off()
                self._make(maker, maker.answer(command.messages))
            case do.SayText():
                maker = ReplyMaker(command.reply_id, self._routes.reply, self.post)
                self._make(maker, maker.say(command.text))
            case do.ReleaseReply():
                made = self._replies.get(command.reply_id)
                if made is not None:
                    made[0].release()
            case do.PreparePhrase():
                if self._phrases.want(command):
                    _ = self._spawn("phrases", self._phrases.run())
            case do.CancelReply():
                self._cancel(command.reply_id)
            case do.StartTransfer():
                _ = self._spawn("transfer", self._transfer(command), self._not_transferred)
            case do.StartTool():
                self._start_tool(command)
            case do.GiveUpTool():
                if (given_up := self._runs.pop(command.run, None)) is not None:
                    given_up.cancel()
            case do.StartHandoff():
                refused = ev.HandoffRefused(command.call_id, "it could not be made ready")
                _ = self._spawn("handoff", self._hand_over(command), lambda: self.post(refused))
            case do.ChangeAssistant():
                self._change_assistant(command.call_id)
            case do.TellClient():
                self._tell(command)
            case do.EndCall():
                self._ended = True
            case do.RecordMessage():
                if command.message["role"] == "bot":
                    self._warm("")
            case do.RecordDecision() | do.RecordTurn() | do.RecordGap():
                pass
            case _:
                self._media_command(command)

    def _media_command(self, command: do.Command) -> None:
        send = self._media.send
        match command:
            case do.PlayClause():
                made = self._replies.get(command.reply_id)
                pcm = None if made is None else made[0].audio.pop(command.clause, None)
                if pcm is not None:
                    send(to_media.Play(command.leg_id, command.reply_id, pcm))
            case do.PlayPhrase():
                pcm = self._phrases.audio.get((command.phrase_id, command.source))
                if pcm:
                    send(to_media.Play(command.leg_id, command.reply_id, pcm))
            case do.FinishPlayout():
                send(to_media.Finish(command.leg_id, command.reply_id))
            case do.PausePlayout():
                send(to_media.Pause(command.leg_id))
            case do.ResumePlayout():
                send(to_media.Resume(command.leg_id, command.at_sample))
            case do.DropPlayout():
                send(to_media.Drop(command.leg_id))
            case do.ArmPause():
                send(to_media.Arm(command.leg_id, command.armed, command.voice_s, command.least_db))
            case do.SendKeys():
                send(to_media.SendDtmf(command.leg_id, command.digits, command.signalled))
            case do.TakeOver():
                send(to_media.TakeOver(command.leg_id))
                self._plan.taken_over(True)
            case do.GiveBack():
                send(to_media.GiveBack(command.leg_id))
                self._plan.taken_over(False)
            case do.HangUp():
                send(to_media.CloseLeg(command.leg_id, command.reason))
            case _:
                pass

    def _tell(self, command: do.TellClient) -> None:
        if command.type not in self._told:
            # It is for the record alone.
            return
        body = {"type": command.type, **command.body}
        if body.get("status") == "ended":
            body |= self._plan.ended_extra
        self._media.send(to_media.SendText(self._plan.leg_id, json.dumps(body, separators=(",", ":"))))

    # --- children ------------------------------------------------------------------------------------------------

    def _spawn(
        self, child: str, work: Coroutine[Any, Any, None], failed: Callable[[], None] | None = None
    ) -> asyncio.Task[None]:
        assert self._group is not None
        task = self._group.create_task(self._contain(child, work, failed), name=f"{child} of {self.call_id}")
        self._children.add(task)
        task.add_done_callback(self._children.discard)
        # Cancelled before its first step, a task never takes up the work it was given.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _contain(
        self, child: str, work: Coroutine[Any, Any, None], failed: Callable[[], None] | None = None
    ) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - a child may fail in any way, and the call goes on
            code = error.code if isinstance(error, ProviderError) else error.__class__.__name__
            self.post(ev.ChildFailed(child, code))
            if failed is not None:
                failed()

    def _make(self, maker: ReplyMaker, work: Coroutine[Any, Any, None]) -> None:
        broken = ev.ReplyFailed(maker.reply_id, "llm", "reply_child_failed")
        task = self._spawn("reply", work, lambda: self.post(broken))
        # Audio of a reply that is over is of no use; two are kept because one may still play while the next is made.
        for old in sorted(self._replies)[:-2]:
            if self._replies[old][1].done():
                del self._replies[old]
        self._replies[maker.reply_id] = (maker, task)

    def _cancel(self, reply_id: int) -> None:
        made = self._replies.pop(reply_id, None)
        if made is not None:
            made[1].cancel()

    def _score_turn(self, command: do.ScoreTurn) -> None:
        model = self._routes.turn_model
        if model is None:
            return
        pcm = self._media.recent_audio(command.leg_id, TURN_AUDIO_S)

        async def score() -> None:
            self.post(ev.TurnScored(command.turn_id, await model.score(pcm), command.pause_id))

        _ = self._spawn("turn_model", score())

    async def _match_rules(self, command: do.MatchRules) -> None:
        matched = await self._rules.match(command.said, command.heard)
        for problem in matched.problems:
            self._warn("endpointing_rule", problem)
        self.post(ev.RulesMatched(command.turn_id, command.question, matched.wait_s, matched.index))

    async def _ask_endpointing(self, command: do.AskEndpointing, request: EndpointingRequest) -> None:
        wait_s, problem = None, ""
        try:
            if self._routes.endpointing is None:
                problem = "no_server"
            else:
                async with asyncio.timeout(command.deadline_s):
                    wait_s = await self._routes.endpointing.wait_s(request)
        except TimeoutError:
            problem = "deadline"
        except Exception as error:  # noqa: BLE001 - however it failed, the turn goes on by our own wait
            problem = error.code if isinstance(error, ProviderError) else error.__class__.__name__
        self.post(ev.EndpointingAnswered(command.turn_id, command.question, wait_s, problem))

    def _offer(self) -> None:
        """The model is told what it can have run."""
        self._routes.reply.offer([tool.definition for tool in self._conversation.tools.values()])

    def _find_tools(self, assistant: Mapping[str, Any]) -> None:
        """What the MCP servers of an assistant can do is asked for, and told when it is known."""
        model = assistant.get("model")
        tools = model.get("tools") if isinstance(model, Mapping) else None
        for tool in tools if isinstance(tools, list) else []:
            if isinstance(tool, Mapping) and tool.get("type") == MCP:
                _ = self._spawn("mcp", self._find(tool))

    async def _find(self, tool: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(MCP_LIST_S):
                listed = await self._tools.found(tool)
        except (ProviderError, TimeoutError) as error:
            why = error.code if isinstance(error, ProviderError) else "deadline"
            self._warn("mcp", f"an MCP server did not tell its tools, which are not offered: {why}")
        else:
            self.post(ev.ToolsFound(tool, tuple(listed)))

    def _start_tool(self, command: do.StartTool) -> None:
        tool = self._conversation.tool_of(command.run)
        if tool is None:
            return
        history = self._conversation.history
        said = Said(history.messages, history.chat())
        broken = ev.ToolReturned(command.run, FAILURE, "The tool failed.", detail="tool_child_failed")

        async def run() -> None:
            try:
                self._returned(await self._tools.run(command, tool, said))
            finally:
                self._runs.pop(command.run, None)

        task = self._spawn("tool", run(), lambda: self._returned(broken))
        self._runs[command.run] = task
        if command.detached:
            self._outlasting.add(task)
            task.add_done_callback(self._outlasting.discard)

    def _returned(self, event: ev.ToolReturned) -> None:
        """When the call is over, for the record alone."""
        if self._ended:
            self._note(self._now(), "note", event)
        else:
            self.post(event)

    async def _outlast(self) -> None:
        """What was sent and not waited for comes to its end, also after the call; a while at most."""
        if self._outlasting:
            await asyncio.wait(list(self._outlasting), timeout=OUTLAST_S)

    async def _transfer(self, command: do.StartTransfer) -> None:
        transfers = self._routes.transfers
        if transfers is None:
            self._transfer_changed("failed", 0, "this call is not on a line that can be transferred")
            return
        await transfers.begin(command.destination, self._transfer_changed)

    def _not_transferred(self) -> None:
        self._transfer_changed("failed", 0, "it could not be begun")

    def _transfer_changed(self, status: str, sip_status: int = 0, reason: str = "") -> None:
        """News of the caller's transfer; when the call is over for its assistant, for the record alone."""
        event = ev.TransferChanged(status, sip_status, reason)
        if self._ended:
            self._note(self._now(), "note", event)
        else:
            self.post(event)

    async def _hand_over(self, command: do.StartHandoff) -> None:
        handoffs, history = self._routes.handoffs, self._conversation.history
        if handoffs is None:
            self.post(ev.HandoffRefused(command.call_id, "this call has nobody else"))
            return
        now = Situation(history.messages, history.chat(), dict(self.variables), self._routes)
        try:
            successor = await handoffs.prepare(command, now, self.note)
        except HandoffRefused as refusal:
            self.post(ev.HandoffRefused(command.call_id, str(refusal), refusal.result))
            return
        # What its first words need is connected while they are waited for.
        if self._rate_hz is not None:
            successor.routes.reply.sound_at(self._rate_hz)
        _ = self._spawn("dial", self._dial(successor.routes))
        self._successors[command.call_id] = successor
        self.post(successor.prepared)

    def _change_assistant(self, call_id: str) -> None:
        """Replies that are being made are made to their end by those who began them."""
        successor = self._successors.pop(call_id, None)
        if successor is None:
            return
        self._successors.clear()
        self.variables |= successor.prepared.variables
        if successor.routes.handoffs is not None:
            successor.routes.handoffs.taken(successor)
        self._work_for(successor.prepared.assistant, successor.routes)
        self.keeps_words = self.keeps_words and read_retention(successor.prepared.assistant).words
        self._find_tools(successor.prepared.assistant)
        for problem in successor.problems:
            self.note("TemplateProblem", {"detail": problem})
        for problem in successor.routes.problems:
            self._warn("provider", problem)
        for warning in successor.warnings:
            self._warn("handoff", warning)
        if self._rate_hz is not None:
            self._turn_ears(self._rate_hz)

    def _warn(self, code: str, detail: str) -> None:
        self.note("SettingsWarned", {"code": code, "detail": detail})

    # --- the leg -------------------------------------------------------------------------------------------------

    def _observe(self, event: ev.Event) -> None:
        match event:
            case ev.LegConnected():
                self._listen(event)
            case ev.VoiceStarted() | ev.VoiceStopped():
                if self._recogniser is not None:
                    self._recogniser.voice(isinstance(event, ev.VoiceStarted))
            case ev.TranscriptReceived(confirmed=False) if self._routes.reads_ahead:
                self._warm(event.text)
            case _:
                pass

    def _listen(self, event: ev.LegConnected) -> None:
        self._rate_hz = event.rate_hz
        self._routes.reply.sound_at(event.rate_hz)
        self._open_ears(event.leg_id, event.rate_hz)
        self._warm("")

    def _open_ears(self, leg_id: str, rate_hz: int) -> None:
        recogniser = Recogniser(self._ears(), leg_id, rate_hz, self.post, self._routes.reply.board, self.note)
        self._recogniser = recogniser
        self._media.listen(leg_id, recogniser.feed, recogniser.rate_hz)
        _ = self._spawn("stt", aside(recogniser.run()))

    def _ears(self) -> tuple[EarRoute, ...]:
        routes = self._routes
        return (EarRoute(routes.stt, routes.language, routes.keyterms, routes.ear), *routes.more_ears)

    def _turn_ears(self, rate_hz: int) -> None:
        """Whoever listens for the present assistant does so from now on."""
        before = self._recogniser
        if before is not None and not before.turn_to(self._ears()):
            # They want to be fed at another rate.
            self._open_ears(self._plan.leg_id, rate_hz)
            _ = self._spawn("stt_closing", aside(before.close()))
        self._warm("")

    def _warm(self, caller: str) -> None:
        """Lets the model read the history, and the caller's words so far, before they are asked about. One at a time,
        the last words win."""
        if self._conversation.lifecycle.over:
            return
        self._to_read = caller
        if self._reading is None or self._reading.done():
            self._reading = self._spawn("llm_warm", self._read_ahead())

    async def _read_ahead(self) -> None:
        routes = self._routes.reply
        while (caller := self._to_read) is not None:
            self._to_read = None
            chat = self._conversation.history.chat(caller)
            await routes.models.warm(replace(routes.request(chat), max_tokens=1))

    # --- the record ----------------------------------------------------------------------------------------------

    def _keep_news(self) -> None:
        """What became of a transfer may come with the leg's end, or after it."""
        for event in self._inbox:
            if isinstance(event, ev.TransferChanged):
                self._note(self._now(), "note", event)
        self._inbox.clear()

    def _note(self, now: float, role: str, item: ev.Event | do.Command) -> None:
        match item:
            case do.StartReply():
                # The messages are the history, which is on record already.
                brief = {"reply_id": item.reply_id, "turn_id": item.turn_id, "messages": len(item.messages)}
                self._record(now, role, "StartReply", {**brief, "speculative": item.speculative})
                return
            case do.TellClient(type="conversation-update"):
                self._record(now, role, "TellClient", {"type": item.type})
                return
            case _:
                pass
        self._record(now, role, item.__class__.__name__, item)

    def _record(self, now: float, role: str, kind: str, data: object) -> None:
        self._seq += 1
        started = self._plan.started
        self._journal.append(started.call_id, started.org_id, self._seq, now, role, kind, data)

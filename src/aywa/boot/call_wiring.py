"""Whom a call asks: the routes to its models, voices and recognisers, its tools, its servers; and what calls have in common."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from aywa.adapters.endpointing.http import EndpointingHttp
from aywa.adapters.llm.openai import OpenAiLlm
from aywa.adapters.local import LocalEngine
from aywa.adapters.wire.outbound import Outbound
from aywa.boot.customer_wire import CONNECTIONS_MAX, CustomerWire
from aywa.boot.endpointing import endpointing_route
from aywa.boot.host import PHONE_CALLS
from aywa.boot.metrics import Metrics
from aywa.boot.phone_requests import CallDialog, Lines
from aywa.boot.pipeline import DeafVad, MuteTts, switched
from aywa.boot.providers import LocalRoutes, Providers
from aywa.boot.questions import PlanQuestions
from aywa.boot.settings import RuntimeSettings
from aywa.boot.stock import STOCK_RATE_HZ, speak_stock
from aywa.boot.tool_wire import ToolWire
from aywa.call.replies import PhraseCache, ReplyRoutes
from aywa.call.router.board import HealthBoard
from aywa.call.rules import RuleThreads
from aywa.call.sentences import SentenceCache
from aywa.call.session import Routes
from aywa.call.voicing import Voicing
from aywa.core.settings import read_settings
from aywa.ports.calls import CallPlan
from aywa.ports.llm import Llm, LlmRequest
from aywa.ports.tts import Tts
from aywa.ports.vad import Vad
from aywa.service.transfers import TransferDesk, line_of


class CallWiring:
    """`of` each call, when `transfers` (who passes callers on) is set; `lines`: the SIP port's, if there is one.

    engine: the local models. outbound: guards whatever address a customer names. customers: how their servers are asked.
    """

    transfers: TransferDesk
    lines: Lines | None = None

    def __init__(
        self,
        settings: RuntimeSettings,
        engine: LocalEngine,
        outbound: Outbound,
        customers: CustomerWire,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._customers = customers
        self._metrics = metrics
        self.board = HealthBoard()
        trusted = [key.base_url for key in settings.keys.values()]
        self.providers = Providers(outbound.check, trusted)
        self._openai: OpenAiLlm | None = None
        if settings.openai is not None:
            self._openai = OpenAiLlm(settings.openai.base_url, settings.openai.key, settings.openai.model)
        self._endpointing = EndpointingHttp(outbound.connector)
        self._tools = ToolWire(customers.signing, lambda: outbound.connector(limit=CONNECTIONS_MAX))
        self._rules = RuleThreads()
        self._stock: dict[str, bytes] = {}
        self._phrases = PhraseCache()
        self._sentences = SentenceCache()

    def close_with(self, parts: AsyncExitStack) -> None:
        """Its connections and threads end with the parts."""
        parts.push_async_callback(self.providers.close)
        if self._openai is not None:
            parts.push_async_callback(self._openai.close)
        parts.push_async_callback(self._endpointing.close)
        parts.push_async_callback(self._tools.close)
        parts.callback(self._rules.close)

    async def speak_stock(self) -> None:
        """What is said when nothing else can be, spoken beforehand."""
        await speak_stock(self._voice, self._stock)

    def vad(self, rate_hz: int) -> Vad:
        """Whether somebody speaks; nobody, where nobody is listened to."""
        return self._engine.vad(rate_hz) if self._settings.pipeline.stt else DeafVad(rate_hz)

    def of(self, plan: CallPlan) -> Routes:
        """Whom this call asks."""
        engine, openai = self._engine, self._settings.openai
        llm: Llm = engine.llm if self._openai is None else self._openai
        local = LocalRoutes(llm, engine.tts, engine.stt, "" if openai is None else openai.model)
        found = switched(self.providers.routes(plan, local), self._settings.pipeline)
        settings = read_settings(plan.assistant)
        model, voice, ear = found.models[0], found.voices[0], found.ears[0]
        reply = ReplyRoutes(
            model.llm,
            voice.tts,
            voice.options,
            model=model.model,
            temperature=model.temperature,
            max_tokens=model.max_tokens,
            first_delta_s=model.first_s,
            first_of_many_s=model.first_of_many_s,
            next_delta_s=model.next_s,
            more_models=tuple(found.models[1:]),
            more_voices=tuple(found.voices[1:]),
            board=self.board.for_org(plan.org_id, self._metrics.watch(plan.call_id)),
            about=_about(plan),
            stock=self._stock,
            stock_rate_hz=STOCK_RATE_HZ,
            phrases=self._phrases,
            voicing=Voicing.of(settings, self._rules),
            sentences=self._sentences.of(plan.org_id) if settings.caches_sentences else None,
        )
        line = line_of(plan.org_id, plan.call_id, plan.call) if plan.type in PHONE_CALLS else None
        return Routes(
            ear.stt,
            reply,
            engine.turn_model,
            language=ear.language,
            reads_ahead=model.llm is engine.llm,
            keyterms=ear.keyterms,
            ear=ear.extra,
            more_ears=tuple(found.ears[1:]),
            problems=tuple(map(str, found.problems)),
            endpointing=endpointing_route(self._endpointing, plan),
            rules=self._rules,
            transfers=None if line is None else self.transfers.of(line),
            questions=PlanQuestions(plan, self._customers.questions),
            tools=self._tools.routes(plan, CallDialog(plan.call_id, self.lines)),
        )

    @property
    def _voice(self) -> Tts:
        return self._engine.tts if self._settings.pipeline.tts else MuteTts()


def _about(plan: CallPlan) -> LlmRequest:
    """What a customer's own model is told of the call (contract 4.3)."""
    metadata = plan.assistant.get("metadata")
    customer, number = (plan.call.get(name) for name in ("customer", "phoneNumber"))
    return LlmRequest(
        (),
        metadata=metadata if isinstance(metadata, Mapping) else None,
        call={
            "id": plan.call_id,
            "orgId": plan.org_id,
            "type": plan.type,
            **{name: value for name, value in plan.call.items() if name != "artifactBaseUrl"},
        },
        customer=customer if isinstance(customer, Mapping) else None,
        phone_number=number if isinstance(number, Mapping) else None,
    )

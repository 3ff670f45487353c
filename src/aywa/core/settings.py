"""An assistant's settings as the machines use them, read from its document (contract sections 4, 9).

An absent turn-taking field is None: the machine then uses its adaptive default. A field that is sent has the
contract's meaning. This reads documents that were validated on the way in; what is malformed all the same counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aywa.core.tools import Tool, read_tools
from aywa.core.turns.wait_function import (
    DEFAULT_WAIT_FUNCTION,
    FormulaError,
    WaitFunction,
    read_wait_function,
)

ACKNOWLEDGEMENTS = (
    "i understand", "i see", "i got it", "i hear you", "im listening", "im with you", "right", "okay", "ok",
    "sure", "alright", "got it", "understood", "yeah", "yes", "uh-huh", "mm-hmm", "gotcha", "mhmm", "ah",
    "yeah okay", "yeah sure",
)  # fmt: skip
INTERRUPTIONS = (
    "stop", "shut", "up", "enough", "quiet", "silence", "but", "dont", "not", "no", "hold", "wait", "cut",
    "pause", "nope", "nah", "nevermind", "never", "bad", "actually",
)  # fmt: skip

# Contract 4.2, what a client gets when its assistant names no messages; the last four are ours.
CLIENT_MESSAGES = frozenset(
    "conversation-update function-call hang model-output speech-update status-update transfer-update "
    "transcript tool-calls user-interrupted voice-input workflow.node.started assistant.started "
    "turn-latency floor error warning".split()
)
# A client that lives on this connection cannot do without them.
ALWAYS_TOLD = frozenset(("status-update", "turn-latency", "floor", "error", "warning"))

FINAL_TRANSCRIPT = 'transcript[transcriptType="final"]'
"""What a server's list names when it wants no transcript that may still change (contract 4.2)."""

EAGERNESS = ("fast", "balanced", "patient")
IDLE_MESSAGES = ("Are you still there?",)
SILENT_CALLER = "customer.speech.timeout"
ELAPSED = "call.timeElapsed"
HOOKS = (
    "call.ending", "assistant.speech.interrupted", "customer.speech.interrupted", SILENT_CALLER,
    "session.created", ELAPSED, "assistant.transcriber.endpointedSpeechLowConfidence",
    "model.response.timeout",
)  # fmt: skip
SAY, ADD_MESSAGE, TOOL = "say", "message.add", "tool"
# What a hook may do where that is not everything (contract 12.1).
HOOK_ACTIONS = {"call.ending": (TOOL, ADD_MESSAGE), "session.created": (TOOL,)}
ALL_ACTIONS = (SAY, TOOL, ADD_MESSAGE)

# Contract 13.5: the keys that may end an entry.
DELIMITERS = ("#", "*")

# What a clause is formatted for (contract 4.4), in the contract's names.
FORMATTERS = (
    "markdown", "asterisk", "quote", "dash", "newline", "colon", "acronym", "dollarAmount", "email", "date", "time",
    "distance", "unit", "percentage", "phoneNumber", "number", "stripAsterisk",
)  # fmt: skip
BOUNDARIES = (
    "\u3002",
    "\uff0c",
    ".",
    "!",
    "?",
    ";",
    ")",
    "\u060c",
    "\u06d4",
    "\u0964",
    "\u0965",
    "|",
    "||",
    ",",
    ":",
)
REPLACEMENTS_MAX = 200
REPLACEMENT_MAX = 1000
"""Characters of a replacement's key and of its value."""

# How long the customer's endpointing model has; his server.timeoutSeconds may make it shorter.
MODEL_DEADLINE_S = 1.0

# More than any setting may be: a number past it, below 0 or not finite is malformed.
_MOST = 1e9
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
PARTING = (
    "call.ringing.hook-executed-say",
    "call.ending.hook-executed-say",
    "assistant-request-returned-error",
)
"""Why a call is over whose assistant was only there to say something."""
CONFIDENCE_THRESHOLD = 0.4
"""Words of which the recogniser is less sure are left out (contract 9.2)."""
_CONFIDENCE = re.compile(r"(?P<on>[^\[]+)\[confidence=(?P<low>[\d.]+):(?P<high>[\d.]+)\]\Z")


class FirstMessageMode(StrEnum):
    """Who opens the conversation (contract 4.1)."""

    ASSISTANT_SPEAKS_FIRST = "assistant-speaks-first"
    MODEL_GENERATED = "assistant-speaks-first-with-model-generated-message"
    ASSISTANT_WAITS = "assistant-waits-for-user"


@dataclass(frozen=True, slots=True)
class TranscriptionWaits:
    """transcriptionEndpointingPlan: waits by how the transcript ends, in seconds after the last voice."""

    on_punctuation_s: float = 0.1
    on_no_punctuation_s: float = 1.5
    on_number_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Pattern:
    """A JavaScript regular expression, tested against any part of a text. whole_word: it must not begin or end inside a
    word. multi_line: ^ and $ also stand at the ends of lines."""

    source: str
    ignore_case: bool = False
    whole_word: bool = False
    multi_line: bool = False


@dataclass(frozen=True, slots=True)
class EndpointingRule:
    """One of customEndpointingRules: the wait if the patterns that are there all match. said: what the caller has said
    in this turn. heard: the assistant's last message."""

    wait_s: float
    said: Pattern | None = None
    heard: Pattern | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """One of formatPlan.replacements: key, or what matches the pattern, is spoken as value. everywhere: and not only the
    first time. In a pattern's value $1, $<name>, $& and $$ mean what they mean in JavaScript."""

    value: str
    key: str = ""
    everywhere: bool = False
    pattern: Pattern | None = None


@dataclass(frozen=True, slots=True)
class FormatPlan:
    """How a clause is rewritten for the voice. cutoff: the number above which digits are read one by one. formatters: of
    FORMATTERS; None: all but `asterisk`, which takes words away."""

    enabled: bool = True
    cutoff: float | None = None
    replacements: tuple[Replacement, ...] = ()
    formatters: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """voice.chunkPlan: how the model's text is cut for the voice. min_characters, boundaries (of BOUNDARIES): None for our
    own adaptive cuts. Not enabled: nothing is formatted, and `<flush />` means nothing."""

    enabled: bool = True
    min_characters: int | None = None
    boundaries: tuple[str, ...] | None = None
    format: FormatPlan = field(default_factory=FormatPlan)


@dataclass(frozen=True, slots=True)
class StartSpeaking:
    """startSpeakingPlan (9.1), and our own clocks. wait_s: a floor under every wait, measured from the last voice.

    wait_function: the wait by the acoustic model's word (provider livekit). asks_model: the customer's endpointing model
    decides; model_deadline_s: how long it has. speculation_attempts, speculation_tokens: how many replies a turn may begin
    early, and how many completion tokens of those that were thrown away it may cost. eagerness: one of EAGERNESS, how soon
    our own waits end.
    """

    wait_s: float | None = None
    eagerness: str = "balanced"
    rules: tuple[EndpointingRule, ...] = ()
    wait_function: WaitFunction | None = None
    asks_model: bool = False
    model_deadline_s: float = MODEL_DEADLINE_S
    transcription: TranscriptionWaits | None = None
    finalize_after_s: float = 0.096
    unconfirmed_wait_s: float = 1.6
    speculation: bool = True
    speculation_attempts: int = 4
    speculation_tokens: int = 600


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    """stopSpeakingPlan (9.2). None: our adaptive default."""

    num_words: int | None = None
    voice_s: float | None = None
    backoff_s: float | None = None
    acknowledgements: tuple[str, ...] = ACKNOWLEDGEMENTS
    interruptions: tuple[str, ...] = INTERRUPTIONS
    pause_after_voice_s: float = 0.032


@dataclass(frozen=True, slots=True)
class Idle:
    """messagePlan's prompts of a caller who says nothing: after timeout_s, at most max_count times."""

    timeout_s: float = 10.0
    messages: tuple[str, ...] = ()
    max_count: int = 3
    reset_on_speech: bool = False


@dataclass(frozen=True, slots=True)
class HookAction:
    """kind: say (one of texts, or what the model makes of prompt), message.add (role, content; trigger_response: and
    answer it) or tool (as it is written, or {"toolId": ...})."""

    kind: str
    texts: tuple[str, ...] = ()
    prompt: tuple[Mapping[str, Any], ...] = ()
    role: str = ""
    content: str = ""
    trigger_response: bool = True
    tool: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Hook:
    """One of hooks (12.1). timeout_s, max_count, reset_on_speech: of customer.speech.timeout. elapsed_s: of call.timeElapsed.
    ended_reasons: of call.ending, parts of the reason, none meaning any. confidence: the band of a low-confidence hook,
    None meaning the contract's."""

    on: str
    name: str = ""
    timeout_s: float = 7.5
    max_count: int = 3
    reset_on_speech: bool = False
    elapsed_s: float = 0.0
    ended_reasons: tuple[str, ...] = ()
    actions: tuple[HookAction, ...] = ()
    confidence: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Fillers:
    """fillerPlan, our own: what is said when no reply has sounded after_s after the end of a turn, and again every
    repeat_after_s."""

    enabled: bool = True
    after_s: float = 1.8
    texts: tuple[str, ...] = ("One moment, please.", "Just a moment.", "Still working on it.")
    repeat_after_s: float = 2.4


@dataclass(frozen=True, slots=True)
class KeypadPlan:
    """keypadInputPlan (13.5). timeout_s: after the last key; 0: a delimiter is waited for. delimiters: keys that end an
    entry."""

    enabled: bool = False
    timeout_s: float = 2.0
    delimiters: frozenset[str] = frozenset()


def _default_idle() -> Idle:
    return Idle(messages=IDLE_MESSAGES, max_count=2, reset_on_speech=True)


@dataclass(frozen=True, slots=True)
class AssistantSettings:
    """All that the conversation goes by."""

    name: str = ""
    assistant_id: str = ""
    first_message: str = ""
    first_message_mode: FirstMessageMode = FirstMessageMode.ASSISTANT_SPEAKS_FIRST
    first_message_interruptible: bool = False
    end_call_phrases: tuple[str, ...] = ()
    end_call_message: str = ""
    voicemail_message: str = ""
    silence_timeout_s: float = 30.0
    silence_timeout_message: str = ""
    max_duration_s: float = 600.0
    prompt: tuple[Mapping[str, Any], ...] = ()
    start: StartSpeaking = field(default_factory=StartSpeaking)
    stop: StopSpeaking = field(default_factory=StopSpeaking)
    idle: Idle = field(default_factory=_default_idle)
    hooks: tuple[Hook, ...] = ()
    fillers: Fillers = field(default_factory=Fillers)
    max_dollars: float | None = None
    budget_message: str = ""
    chunks: ChunkPlan = field(default_factory=ChunkPlan)
    caches_sentences: bool = True
    confidence_threshold: float = CONFIDENCE_THRESHOLD
    parting: str = ""
    client_messages: frozenset[str] = CLIENT_MESSAGES
    server_messages: frozenset[str] = frozenset()
    language: str = "en"
    keypad: KeypadPlan = KeypadPlan()
    tools: tuple[Tool, ...] = ()

    def tells(self, kind: str, final: bool = False) -> bool:
        """Whether anybody, the client or a server, is told a message of this type. final: of transcripts, the last word."""
        if kind in self.client_messages or kind in self.server_messages:
            return True
        return final and kind == "transcript" and FINAL_TRANSCRIPT in self.server_messages


def read_settings(
    document: Mapping[str, Any], server_messages: frozenset[str] = frozenset()
) -> AssistantSettings:
    """Reads a resolved assistant document (templates already rendered). server_messages: those that a server of the customer's is
    sent; what the document says of them holds only where there is one."""
    model = _mapping(document.get("model"))
    messages = _mapping(document.get("messagePlan"))
    voice = _mapping(document.get("voice"))
    costs = _mapping(document.get("costPlan"))
    hooks = read_hooks(document.get("hooks"))
    # Contract 12.1: the hook takes the place of messagePlan's prompts.
    replaced = any(hook.on == SILENT_CALLER for hook in hooks)
    return AssistantSettings(
        name=_text(document.get("name")),
        assistant_id=_text(document.get("id")),
        first_message=_text(document.get("firstMessage")),
        first_message_mode=_mode(document.get("firstMessageMode")),
        first_message_interruptible=document.get("firstMessageInterruptionsEnabled") is True,
        end_call_phrases=_texts(document.get("endCallPhrases"), ()),
        end_call_message=_text(document.get("endCallMessage")),
        voicemail_message=_text(document.get("voicemailMessage")),
        silence_timeout_s=_number(document.get("silenceTimeoutSeconds"), 30.0),
        silence_timeout_message=_text(messages.get("silenceTimeoutMessage")),
        max_duration_s=_number(document.get("maxDurationSeconds"), 600.0),
        prompt=_prompt(model),
        start=_start(_mapping(document.get("startSpeakingPlan")), model, document),
        stop=_stop(_mapping(document.get("stopSpeakingPlan")), document),
        idle=Idle() if replaced else _idle(messages),
        hooks=hooks,
        fillers=_fillers(_mapping(document.get("fillerPlan"))),
        max_dollars=_optional(costs.get("maxDollars")) or None,
        budget_message=_text(costs.get("message")),
        client_messages=_client_messages(document.get("clientMessages")),
        server_messages=server_messages,
        chunks=read_chunk_plan(voice.get("chunkPlan")),
        caches_sentences=voice.get("cachingEnabled") is not False,
        language=_language(voice, _mapping(document.get("transcriber"))),
        parting=reason if (reason := _text(document.get("partingReason"))) in PARTING else "",
        confidence_threshold=_number(
            _mapping(document.get("transcriber")).get("confidenceThreshold"), CONFIDENCE_THRESHOLD
        ),
        keypad=_keypad(_mapping(document.get("keypadInputPlan"))),
        tools=read_tools(document),
    )


def _client_messages(chosen: object) -> frozenset[str]:
    if not isinstance(chosen, list):
        return CLIENT_MESSAGES
    return ALWAYS_TOLD | {kind for kind in chosen if isinstance(kind, str)}


def _language(*parts: Mapping[str, Any]) -> str:
    """Of what is said: a BCP 47 tag, the first that is one."""
    named = (_text(part.get("language")) for part in parts)
    return next((tag for tag in named if _LANGUAGE.fullmatch(tag)), "en")


def _start(plan: Mapping[str, Any], model: Mapping[str, Any], document: Mapping[str, Any]) -> StartSpeaking:
    # A custom LLM is the customer's cost and may have side effects: no speculation unless it is asked for.
    by_default = model.get("provider") != "custom-llm"
    wanted = plan.get("speculationEnabled")
    smart = _smart(plan)
    return StartSpeaking(
        wait_s=_optional(_newest(plan.get("waitSeconds"), document.get("responseDelaySeconds"))),
        eagerness=eager if (eager := plan.get("eagerness")) in EAGERNESS else "balanced",
        rules=_rules(plan.get("customEndpointingRules")),
        wait_function=_wait_function(smart),
        asks_model=smart.get("provider") == "custom-endpointing-model",
        model_deadline_s=min(
            _number(_mapping(smart.get("server")).get("timeoutSeconds"), MODEL_DEADLINE_S), MODEL_DEADLINE_S
        ),
        # A smart plan goes before this one, and falls back on our own wait.
        transcription=None if smart else _waits(plan.get("transcriptionEndpointingPlan"), document),
        speculation=wanted if isinstance(wanted, bool) else by_default,
        speculation_attempts=_whole(plan.get("speculationMaxAttempts"), 4),
        speculation_tokens=_whole(plan.get("speculationMaxTokens"), 600),
    )


def _smart(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """smartEndpointingPlan, or what its older spelling says."""
    smart = plan.get("smartEndpointingPlan")
    if isinstance(smart, Mapping):
        return smart
    old = plan.get("smartEndpointingEnabled")
    if old == "livekit":
        return {"provider": "livekit"}
    return {"provider": "vapi"} if old is True else {}


def _wait_function(smart: Mapping[str, Any]) -> WaitFunction | None:
    if smart.get("provider") != "livekit":
        return None
    try:
        return read_wait_function(_text(smart.get("waitFunction")) or DEFAULT_WAIT_FUNCTION)
    except FormulaError:
        return read_wait_function(DEFAULT_WAIT_FUNCTION)


def _rules(value: Any) -> tuple[EndpointingRule, ...]:
    return tuple(rule for rule in map(_rule, _list(value)) if rule is not None)


def _rule(value: Any) -> EndpointingRule | None:
    rule = _mapping(value)
    wait_s = _optional(rule.get("timeoutSeconds"))
    if wait_s is None:
        return None
    match rule.get("type"):
        # Contract 18: `user` is the documentation's word for `customer`.
        case "customer" | "user":
            said, heard = _pattern(rule, "regex"), None
            whole = said is not None
        case "assistant":
            said, heard = None, _pattern(rule, "regex")
            whole = heard is not None
        case "both":
            said, heard = _pattern(rule, "customerRegex"), _pattern(rule, "assistantRegex")
            whole = said is not None and heard is not None
        case _:
            return None
    return EndpointingRule(wait_s, said, heard) if whole else None


def _pattern(rule: Mapping[str, Any], name: str) -> Pattern | None:
    source = rule.get(name)
    if not isinstance(source, str):
        return None
    return Pattern(source, *_regex_options(rule.get(f"{name}Options")))


def _regex_options(value: Any) -> tuple[bool, bool, bool]:
    """Whether case is ignored, only whole words match, and lines count."""
    options = map(_mapping, _list(value))
    on = {o["type"] for o in options if isinstance(o.get("type"), str) and o.get("enabled") is not False}
    return "ignore-case" in on, "whole-word" in on, "multi-line" in on


def _waits(plan: Any, document: Mapping[str, Any]) -> TranscriptionWaits | None:
    # Contract 4.1: two fields of 2024 say the same as two of the plan.
    punctuated = _optional(document.get("llmRequestDelaySeconds"))
    unpunctuated = _optional(document.get("llmRequestNonPunctuatedDelaySeconds"))
    if not isinstance(plan, Mapping):
        if punctuated is None and unpunctuated is None:
            return None
        plan = {}
    return TranscriptionWaits(
        on_punctuation_s=_number(_newest(plan.get("onPunctuationSeconds"), punctuated), 0.1),
        on_no_punctuation_s=_number(_newest(plan.get("onNoPunctuationSeconds"), unpunctuated), 1.5),
        on_number_s=_number(plan.get("onNumberSeconds"), 0.5),
    )


def _stop(plan: Mapping[str, Any], document: Mapping[str, Any]) -> StopSpeaking:
    words = _optional(_newest(plan.get("numWords"), document.get("numWordsToInterruptAssistant")))
    return StopSpeaking(
        num_words=None if words is None else int(words),
        voice_s=_optional(plan.get("voiceSeconds")),
        backoff_s=_optional(plan.get("backoffSeconds")),
        acknowledgements=_texts(plan.get("acknowledgementPhrases"), ACKNOWLEDGEMENTS),
        interruptions=_texts(plan.get("interruptionPhrases"), INTERRUPTIONS),
    )


def _idle(plan: Mapping[str, Any]) -> Idle:
    messages = _texts(plan.get("idleMessages"), IDLE_MESSAGES)
    # With messages of its own the plan has the contract's defaults.
    default = _default_idle() if messages is IDLE_MESSAGES else Idle()
    reset = plan.get("idleMessageResetCountOnUserSpeechEnabled")
    return Idle(
        timeout_s=max(_number(plan.get("idleTimeoutSeconds"), default.timeout_s), 1.0),
        messages=messages,
        max_count=_whole(plan.get("idleMessageMaxSpokenCount"), default.max_count),
        reset_on_speech=reset if isinstance(reset, bool) else default.reset_on_speech,
    )


def _keypad(plan: Mapping[str, Any]) -> KeypadPlan:
    # Contract 18: one delimiter as a string, or several as an array.
    named = plan.get("delimiters")
    keys = (named,) if isinstance(named, str) else _texts(named, ())
    return KeypadPlan(
        enabled=plan.get("enabled") is True,
        timeout_s=_number(plan.get("timeoutSeconds"), KeypadPlan().timeout_s),
        delimiters=frozenset(key for key in keys if key in DELIMITERS),
    )


def _fillers(plan: Mapping[str, Any]) -> Fillers:
    default = Fillers()
    texts = _texts(plan.get("messages"), default.texts)
    return Fillers(
        enabled=plan.get("enabled") is not False and bool(texts),
        after_s=max(_number(plan.get("afterSeconds"), default.after_s), 0.5),
        texts=texts,
        repeat_after_s=max(_number(plan.get("repeatAfterSeconds"), default.repeat_after_s), 1.0),
    )


# --- the voice -------------------------------------------------------------------------------------------------


def read_chunk_plan(value: Any) -> ChunkPlan:
    """voice.chunkPlan (contract 4.4), of the assistant's voice or of one to fall back to."""
    plan = _mapping(value)
    enabled = plan.get("enabled") is not False
    least = _optional(plan.get("minCharacters"))
    boundaries = tuple(b for b in _texts(plan.get("punctuationBoundaries"), ()) if b in BOUNDARIES)
    return ChunkPlan(
        enabled=enabled,
        min_characters=None if least is None else int(least),
        # None at all would leave no place to cut.
        boundaries=boundaries or None,
        format=_format_plan(_mapping(plan.get("formatPlan")), enabled=enabled),
    )


def _format_plan(plan: Mapping[str, Any], *, enabled: bool) -> FormatPlan:
    named = plan.get("formattersEnabled")
    replacements = map(_replacement, _list(plan.get("replacements"))[:REPLACEMENTS_MAX])
    return FormatPlan(
        enabled=enabled and plan.get("enabled") is not False,
        cutoff=_optional(plan.get("numberToDigitsCutoff")),
        replacements=tuple(each for each in replacements if each is not None),
        formatters=tuple(f for f in _texts(named, ()) if f in FORMATTERS) if _is_list(named) else None,
    )


def _replacement(value: Any) -> Replacement | None:
    entry = _mapping(value)
    spoken = entry.get("value")
    if not isinstance(spoken, str) or len(spoken) > REPLACEMENT_MAX:
        return None
    if entry.get("type") == "regex":
        source = _text(entry.get("regex"))
        pattern = Pattern(source, *_regex_options(entry.get("options"))) if source else None
        return Replacement(spoken, everywhere=True, pattern=pattern) if pattern else None
    key = _text(entry.get("key"))
    if entry.get("type") != "exact" or not 0 < len(key) <= REPLACEMENT_MAX:
        return None
    return Replacement(spoken, key, everywhere=entry.get("replaceAllEnabled") is True)


# --- hooks -----------------------------------------------------------------------------------------------------


def read_hooks(value: Any) -> tuple[Hook, ...]:
    """The hooks that can be used (contract 12.1); the others count as absent."""
    return tuple(hook for hook in map(_hook, _list(value)) if hook is not None)


def split_hook_event(on: str) -> tuple[str, tuple[float, float] | None]:
    """A hook's event, and the band of confidence in brackets behind it, if there is one."""
    found = _CONFIDENCE.match(on)
    if found is None:
        return on, None
    try:
        return found["on"], (float(found["low"]), float(found["high"]))
    except ValueError:
        return on, None


def _hook(value: Any) -> Hook | None:
    hook = _mapping(value)
    on, confidence = split_hook_event(_text(hook.get("on")))
    options = _mapping(hook.get("options"))
    elapsed_s = _number(options.get("seconds"), 0.0)
    if on not in HOOKS or (on == ELAPSED and not elapsed_s):
        return None
    allowed = HOOK_ACTIONS.get(on, ALL_ACTIONS)
    actions = [action for action in map(_action, _list(hook.get("do"))) if action is not None]
    return Hook(
        on=on,
        name=_text(hook.get("name")),
        timeout_s=max(_number(options.get("timeoutSeconds"), 7.5), 1.0),
        max_count=_whole(options.get("triggerMaxCount"), 3),
        reset_on_speech=options.get("triggerResetMode") == "onUserSpeech",
        elapsed_s=elapsed_s,
        ended_reasons=_ended_reasons(hook.get("filters")),
        actions=tuple(action for action in actions if action.kind in allowed),
        confidence=confidence,
    )


def _ended_reasons(filters: Any) -> tuple[str, ...]:
    found: list[str] = []
    for item in map(_mapping, _list(filters)):
        if item.get("type") == "oneOf" and item.get("key") == "call.endedReason":
            found += _texts(item.get("oneOf"), ())
    return tuple(found)


def _action(value: Any) -> HookAction | None:
    action = _mapping(value)
    match action.get("type"):
        case "say":
            return _say(action)
        case "message.add":
            message = _mapping(action.get("message"))
            content = _text(message.get("content"))
            answered = action.get("triggerResponseEnabled") is not False
            role = _text(message.get("role")) or "system"
            return HookAction(ADD_MESSAGE, role=role, content=content, trigger_response=answered)
        case "tool":
            tool = action.get("tool")
            if isinstance(tool, Mapping):
                return HookAction(TOOL, tool=tool)
            tool_id = _text(action.get("toolId"))
            return HookAction(TOOL, tool={"toolId": tool_id}) if tool_id else None
        case _:
            return None


def _say(action: Mapping[str, Any]) -> HookAction | None:
    exact = action.get("exact")
    texts = (exact,) if isinstance(exact, str) else _texts(exact, ())
    if texts:
        return HookAction(SAY, texts=texts)
    wanted = action.get("prompt")
    prompt = _messages([{"content": wanted}] if isinstance(wanted, str) else wanted)
    return HookAction(SAY, prompt=prompt) if prompt else None


# --- values ----------------------------------------------------------------------------------------------------


def _prompt(model: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    messages = model.get("messages")
    if not _is_list(messages):
        # model.systemPrompt is the older spelling (contract 4.1).
        old = _text(model.get("systemPrompt"))
        return ({"role": "system", "content": old},) if old else ()
    return _messages(messages)


def _messages(value: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {"role": _text(m.get("role")) or "system", "content": _text(m.get("content"))}
        for m in _list(value)
        if isinstance(m, Mapping)
    )


def _mode(value: Any) -> FirstMessageMode:
    try:
        return FirstMessageMode(value)
    except ValueError:
        return FirstMessageMode.ASSISTANT_SPEAKS_FIRST


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _list(value: Any) -> Sequence[Any]:
    return value if _is_list(value) else ()


def _texts(value: Any, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if _is_list(value) else default


def _newest(new: Any, old: Any) -> Any:
    """A field's value, or that of its older spelling."""
    return old if new is None else new


def _whole(value: Any, default: int) -> int:
    return int(_number(value, default))


def _optional(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    # Comparing comes first: an integer may be too long for a float.
    return float(value) if 0 <= value <= _MOST else None


def _number(value: Any, default: float) -> float:
    number = _optional(value)
    return default if number is None else number

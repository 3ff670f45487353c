"""Settings that are each right and do not go together. The call is made all the same, as the hosted platform would; each is
told as a warning that names the fields and says which of them counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aywa.core.handoff import HANDOFF
from aywa.core.settings import ACKNOWLEDGEMENTS, INTERRUPTIONS, SILENT_CALLER
from aywa.core.tools import API_REQUEST, ASKING, BUILT_IN, MCP
from aywa.core.turns import phrases
from aywa.service.inert import INERT_TOOLS

SILENCE_TIMEOUT_S = 30.0
MAX_DURATION_S = 600.0
OFFERED = (*BUILT_IN, *ASKING)
_START, _STOP = "startSpeakingPlan", "stopSpeakingPlan"
# Contract 4.1: older fields, and what they are called now.
_RENAMED = (
    ("responseDelaySeconds", _START, "waitSeconds"),
    ("llmRequestDelaySeconds", f"{_START}.transcriptionEndpointingPlan", "onPunctuationSeconds"),
    (
        "llmRequestNonPunctuatedDelaySeconds",
        f"{_START}.transcriptionEndpointingPlan",
        "onNoPunctuationSeconds",
    ),
    ("numWordsToInterruptAssistant", _STOP, "numWords"),
)
_IGNORED = {
    "interruptionsEnabled": "stopSpeakingPlan.numWords says what it takes to interrupt",
    "backchannelingEnabled": "the assistant does not make sounds of listening",
    "fillersEnabled": "fillerPlan.enabled says whether waits are filled",
}


def settings_warnings(assistant: Mapping[str, Any]) -> list[str]:
    """The contradictions of a resolved assistant's turn taking, and what of it has no effect."""
    return [
        *_older(assistant),
        *_starting(assistant),
        *_stopping(assistant),
        *_opening(assistant),
        *_prompting(assistant),
        *_filling(assistant),
        *_tools(assistant),
    ]


def _older(assistant: Mapping[str, Any]) -> Iterator[str]:
    for old, place, new in _RENAMED:
        if assistant.get(old) is None:
            continue
        holder: Any = assistant
        for name in place.split("."):
            holder = _mapping(_mapping(holder).get(name))
        if holder.get(new) is None:
            yield f"{old} is read as {place}.{new}, its newer name"
        else:
            yield f"{old} has no effect beside {place}.{new}, its newer name"
    for name, instead in _IGNORED.items():
        if assistant.get(name) is not None:
            yield f"{name} has no effect: {instead}"


def _starting(assistant: Mapping[str, Any]) -> Iterator[str]:
    plan = _mapping(assistant.get(_START))
    smart = plan.get("smartEndpointingPlan")
    old = plan.get("smartEndpointingEnabled")
    if isinstance(smart, Mapping):
        yield from _smart(smart, assistant)
        if old is not None:
            yield f"{_START}.smartEndpointingEnabled has no effect beside smartEndpointingPlan"
    if (isinstance(smart, Mapping) or old in (True, "livekit")) and plan.get("transcriptionEndpointingPlan"):
        yield f"{_START}.transcriptionEndpointingPlan has no effect beside smart endpointing, which goes first"
    yield from _rules(plan, assistant)
    if plan.get("speculationEnabled") is False:
        for name in ("speculationMaxAttempts", "speculationMaxTokens"):
            if plan.get(name) is not None:
                yield f"{_START}.{name} has no effect while speculationEnabled is false"


def _smart(smart: Mapping[str, Any], assistant: Mapping[str, Any]) -> Iterator[str]:
    place, provider = f"{_START}.smartEndpointingPlan", smart.get("provider")
    if smart.get("waitFunction") is not None and provider != "livekit":
        yield f"{place}.waitFunction has no effect: its provider is {provider}, not livekit"
    if provider != "custom-endpointing-model":
        if smart.get("server") is not None:
            yield f"{place}.server has no effect: its provider is {provider}, not custom-endpointing-model"
        return
    servers = (_mapping(smart.get("server")), _mapping(assistant.get("server")))
    if not any(server.get("url") for server in servers) and not assistant.get("serverUrl"):
        yield f"{place} has no effect: neither it nor the assistant has a server.url; the adaptive wait decides"


def _rules(plan: Mapping[str, Any], assistant: Mapping[str, Any]) -> Iterator[str]:
    least = _number(plan.get("waitSeconds"), 0.0)
    silence_s = _number(assistant.get("silenceTimeoutSeconds"), SILENCE_TIMEOUT_S)
    for index, rule in enumerate(_list(plan.get("customEndpointingRules"))):
        place = f"{_START}.customEndpointingRules[{index}].timeoutSeconds"
        wait_s = _number(_mapping(rule).get("timeoutSeconds"), 0.0)
        if wait_s < least:
            yield f"{place} {wait_s:g} is below {_START}.waitSeconds {least:g}, which is a floor under every wait"
        if wait_s >= silence_s:
            yield f"{place} {wait_s:g} is not reached: silenceTimeoutSeconds {silence_s:g} ends the call"


def _stopping(assistant: Mapping[str, Any]) -> Iterator[str]:
    plan = _mapping(assistant.get(_STOP))
    old = assistant.get("numWordsToInterruptAssistant")
    words = _number(plan.get("numWords") if plan.get("numWords") is not None else old, 0.0)
    if plan.get("voiceSeconds") is not None and words > 0:
        yield f"{_STOP}.voiceSeconds has no effect while numWords is {words:g}: words are counted, not voice"
    if plan.get("acknowledgementPhrases") is None and plan.get("interruptionPhrases") is None:
        return
    interrupts = _texts(plan.get("interruptionPhrases"), INTERRUPTIONS)
    for phrase in _texts(plan.get("acknowledgementPhrases"), ACKNOWLEDGEMENTS):
        if phrases.has_interruption(phrase, interrupts):
            yield (
                f"{_STOP}.acknowledgementPhrases: {phrase!r} is or holds one of interruptionPhrases:"
                " it interrupts"
            )


def _opening(assistant: Mapping[str, Any]) -> Iterator[str]:
    mode = assistant.get("firstMessageMode") or "assistant-speaks-first"
    first = bool(assistant.get("firstMessage"))
    if mode == "assistant-waits-for-user" and first:
        yield "firstMessage is not spoken: firstMessageMode is assistant-waits-for-user"
    spoken = mode == "assistant-speaks-first-with-model-generated-message" or (
        first and mode == "assistant-speaks-first"
    )
    if assistant.get("firstMessageInterruptionsEnabled") is True and not spoken:
        yield "firstMessageInterruptionsEnabled has no effect: there is no first message to interrupt"


def _prompting(assistant: Mapping[str, Any]) -> Iterator[str]:
    plan = _mapping(assistant.get("messagePlan"))
    silence_s = _number(assistant.get("silenceTimeoutSeconds"), SILENCE_TIMEOUT_S)
    duration_s = _number(assistant.get("maxDurationSeconds"), MAX_DURATION_S)
    ends = f"silenceTimeoutSeconds {silence_s:g} ends the call first"
    idle_s = _number(plan.get("idleTimeoutSeconds"), 10.0)
    replaced = False
    for index, hook in enumerate(map(_mapping, _list(assistant.get("hooks")))):
        options = _mapping(hook.get("options"))
        if hook.get("on") == SILENT_CALLER:
            replaced = True
            after_s = _number(options.get("timeoutSeconds"), 7.5)
            if after_s >= silence_s:
                yield f"hooks[{index}].options.timeoutSeconds {after_s:g} is not reached: {ends}"
        if hook.get("on") == "call.timeElapsed" and _number(options.get("seconds"), 0.0) >= duration_s:
            yield f"hooks[{index}].options.seconds is not reached: maxDurationSeconds {duration_s:g} ends the call"
    if replaced and plan.get("idleMessages"):
        yield f"messagePlan.idleMessages has no effect beside a {SILENT_CALLER} hook, which takes its place"
    elif (plan.get("idleMessages") or plan.get("idleTimeoutSeconds") is not None) and idle_s >= silence_s:
        yield f"messagePlan.idleTimeoutSeconds {idle_s:g} is not reached: {ends}"


def _filling(assistant: Mapping[str, Any]) -> Iterator[str]:
    plan = _mapping(assistant.get("fillerPlan"))
    if plan.get("enabled") is True and plan.get("messages") == []:
        yield "fillerPlan.enabled has no effect while messages is empty"


def _tools(assistant: Mapping[str, Any]) -> Iterator[str]:
    model = _mapping(assistant.get("model"))
    names: set[str] = set()
    for index, tool in enumerate(map(_mapping, _list(model.get("tools")))):
        kind = tool.get("type")
        if kind not in OFFERED:
            why = INERT_TOOLS.get(str(kind), f"it is no tool of {', '.join(OFFERED)}")
            yield f"model.tools[{index}] ({kind}) is not offered to the model: {why}"
            continue
        own = _mapping(tool.get("function")).get("name") or (
            tool.get("name") if kind == API_REQUEST else None
        )
        if kind == MCP or (kind == HANDOFF and not own):
            # Each is named after whom it hands over to; an MCP server's are named when it has told of them.
            continue
        name = str(own or kind)
        if name in names:
            yield f"model.tools[{index}] has no effect: another tool is called {name}"
        names.add(name)
    keypad = _mapping(assistant.get("keypadInputPlan"))
    if keypad.get("enabled") is not True and len(keypad) > (keypad.get("enabled") is not None):
        yield "keypadInputPlan has no effect: enabled is not true"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _texts(value: Any, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else default


def _number(value: Any, default: float) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default

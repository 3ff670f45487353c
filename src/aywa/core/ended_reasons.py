"""The published endedReason of a call that a provider's failure ended, or the telephone's (contract 6.5, appendix A).

Grammar of the first: `pipeline-error-{vendor}-{fault}`. What runs on this machine, and whatever the contract has no name for,
goes by the contract's words for a customer's own. Of the second there is a short list; what SIP says more finely stands
in endedMessage.
"""

from __future__ import annotations

from typing import Final

LLM, TTS, STT = "llm", "tts", "stt"

# What routes are called, where that is not the reason's name of the vendor.
_NAMES: Final = {"elevenlabs": "eleven-labs", "11labs": "eleven-labs", "openai-speech": "openai"}
_MODELS: Final = frozenset(
    "openai azure-openai google xai baseten mistral minimax inflection-ai deep-seek groq cerebras anthropic anthropic-bedrock "
    "anthropic-vertex together-ai anyscale openrouter perplexity-ai deepinfra runpod custom-llm".split()
)
_VOICES: Final = frozenset(
    "openai cartesia deepgram eleven-labs playht lmnt azure rime-ai smallest-ai neuphonic hume sesame inworld minimax wellsaid "
    "xai microsoft".split()
)
_TRANSCRIBERS: Final = frozenset(
    "deepgram gladia speechmatics assembly-ai talkscriber azure-speech eleven-labs google openai soniox xai cartesia".split()
)
_FAULTS: Final = {
    "bad_request": "400-bad-request-validation-failed",
    "unknown_model": "400-bad-request-validation-failed",
    "unauthorized": "401-unauthorized",
    "bad_key": "401-unauthorized",
    "forbidden": "403-model-access-denied",
    "quota": "429-exceeded-quota",
    "rate_limited": "429-exceeded-quota",
    "failed": "500-server-error",
    "unavailable": "503-server-overloaded-error",
}


def of_failure(step: str, route: str = "", code: str = "") -> str:
    """step: llm, tts or stt. route: `provider` or `provider/model`; empty: nobody knows. code: of the ProviderError."""
    name = route.partition("/")[0]
    vendor = _NAMES.get(name, name)
    if step == TTS:
        return (
            f"pipeline-error-{vendor}-voice-failed"
            if vendor in _VOICES
            else "pipeline-error-custom-voice-failed"
        )
    if step == STT:
        own = vendor if vendor in _TRANSCRIBERS else "custom"
        return f"pipeline-error-{own}-transcriber-failed"
    if vendor not in _MODELS:
        return "pipeline-error-custom-llm-llm-failed"
    return f"pipeline-error-{vendor}-{_FAULTS.get(code, 'llm-failed')}"


# --- the telephone ---------------------------------------------------------------------------------------------------

ANSWERED_NOT: Final = "customer-did-not-answer"
BUSY: Final = "customer-busy"
HUNG_UP: Final = "customer-ended-call"
UNALLOCATED: Final = "sip-outbound-unallocated-number"
CARRIER_RELEASED: Final = "sip-outbound-carrier-released-call"
OUTBOUND_FAILED: Final = "call.in-progress.error-sip-outbound-call-failed-to-connect"
INBOUND_FAILED: Final = "call.in-progress.error-sip-inbound-call-failed-to-connect"
INBOUND_UNANSWERED: Final = "call.ringing.error-sip-inbound-call-failed-to-connect"
CALLER_GAVE_UP: Final = "call.ringing.sip-inbound-caller-hungup-before-call-connect"
COMPLETED: Final = "call.in-progress.sip-completed-call"

_OUTBOUND: Final = "call.in-progress.error-providerfault-outbound-sip"
# What a final response to an INVITE means for the call (RFC 3261 21, RFC 5057, RFC 8197).
_STATUSES: Final = {
    401: f"{_OUTBOUND}-407-proxy-authentication-required",
    403: f"{_OUTBOUND}-403-forbidden",
    404: UNALLOCATED,
    407: f"{_OUTBOUND}-407-proxy-authentication-required",
    408: f"{_OUTBOUND}-408-request-timeout",
    410: UNALLOCATED,
    480: f"{_OUTBOUND}-480-temporarily-unavailable",
    484: UNALLOCATED,
    486: BUSY,
    487: ANSWERED_NOT,
    503: f"{_OUTBOUND}-503-service-unavailable",
    600: BUSY,
    603: BUSY,
    604: UNALLOCATED,
    607: BUSY,
}
# Q.850 causes that say what the callee did, better than the status that a gateway made of it (RFC 3326; RFC 3398 7.2.4.1).
_CALLEE: Final = {
    1: UNALLOCATED,
    17: BUSY,
    18: ANSWERED_NOT,
    19: ANSWERED_NOT,
    21: BUSY,
    22: UNALLOCATED,
    28: UNALLOCATED,
}
# Q.850 2.2.7: no route, network out of order, temporary failure, congestion ... and interworking: not the callee's doing.
_NETWORK: Final = frozenset((2, 3, 27, *range(34, 48), 102, 111, 127))


def of_dial(status: int, cause: int | None = None) -> str:
    """Why a call that was placed was not answered. status: of the final response; 0 when none came: nobody was reached.
    cause: Q.850, of a Reason header."""
    callee = _CALLEE.get(cause or 0)
    if callee is not None:
        return callee
    known = _STATUSES.get(status)
    if known is not None:
        return known
    return CARRIER_RELEASED if cause in _NETWORK else OUTBOUND_FAILED


def of_invite(*, answered: bool, cancelled: bool = False) -> str:
    """Why a call that came in never became one. answered: we had (no ACK came). cancelled: the caller gave up."""
    if cancelled:
        return CALLER_GAVE_UP
    return INBOUND_FAILED if answered else INBOUND_UNANSWERED


def of_hang_up(*, outbound: bool, cause: int | None = None, network: bool = False) -> str:
    """Why a call that was answered is over, and nobody here ended it. cause: Q.850, of the BYE's Reason. network: no BYE
    came, the dialog is lost (a session timer ran out, a connection)."""
    if network or cause in _NETWORK:
        return CARRIER_RELEASED if outbound else COMPLETED
    return HUNG_UP


def dial_message(status: int, phrase: str = "", cause: int | None = None, text: str = "") -> str:
    """The same for a person, as endedMessage. text: of the Reason header."""
    what = (
        f"the far side answered {status} {phrase}".rstrip() if status else "the far side did not answer SIP"
    )
    said = f" ({text})" if text else ""
    return what if cause is None else f"{what}, cause {cause}{said}"


# --- a carrier's API -------------------------------------------------------------------------------------------------

TWILIO, VONAGE = "twilio", "vonage"
_CARRIER: Final = {
    "busy": BUSY,
    "no-answer": ANSWERED_NOT,
    "cancelled": ANSWERED_NOT,
    "rejected": BUSY,
    "unallocated": UNALLOCATED,
    # Whoever picked up was gone before a word.
    "completed": HUNG_UP,
}
_OF_VENDOR: Final = {
    (TWILIO, "unallocated"): "twilio-reported-customer-misdialed",
    (TWILIO, "failed"): "twilio-failed-to-connect-call",
    (VONAGE, "rejected"): "vonage-rejected",
    (VONAGE, "failed"): "vonage-failed-to-connect-call",
}


def of_carrier(vendor: str, outcome: str, *, outbound: bool, connected: bool) -> str:
    """Why a call is over, as its carrier tells it. outcome: of ports.carriers.Outcome. connected: its audio was here."""
    if connected:
        return HUNG_UP
    if not outbound:
        return CALLER_GAVE_UP
    return _OF_VENDOR.get((vendor, outcome)) or _CARRIER.get(outcome, OUTBOUND_FAILED)

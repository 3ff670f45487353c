from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.ended_reasons import dial_message, of_carrier, of_dial, of_failure, of_hang_up, of_invite

# Of contract 6.5 and appendix A, those of the telephone.
PUBLISHED = {
    "customer-busy",
    "customer-did-not-answer",
    "customer-ended-call",
    "sip-outbound-unallocated-number",
    "sip-outbound-carrier-released-call",
    "call.in-progress.error-sip-outbound-call-failed-to-connect",
    "call.in-progress.error-sip-inbound-call-failed-to-connect",
    "call.ringing.error-sip-inbound-call-failed-to-connect",
    "call.ringing.sip-inbound-caller-hungup-before-call-connect",
    "call.in-progress.sip-completed-call",
    "call.in-progress.error-providerfault-outbound-sip-403-forbidden",
    "call.in-progress.error-providerfault-outbound-sip-407-proxy-authentication-required",
    "call.in-progress.error-providerfault-outbound-sip-408-request-timeout",
    "call.in-progress.error-providerfault-outbound-sip-480-temporarily-unavailable",
    "call.in-progress.error-providerfault-outbound-sip-503-service-unavailable",
}


@pytest.mark.parametrize(
    ("step", "route", "code", "reason"),
    [
        ("llm", "openai/gpt-4.1", "unauthorized", "pipeline-error-openai-401-unauthorized"),
        ("llm", "openai", "rate_limited", "pipeline-error-openai-429-exceeded-quota"),
        ("llm", "anthropic/claude", "unavailable", "pipeline-error-anthropic-503-server-overloaded-error"),
        ("llm", "groq/x", "deadline", "pipeline-error-groq-llm-failed"),
        ("llm", "custom-llm/own", "bad_key", "pipeline-error-custom-llm-401-unauthorized"),
        ("llm", "custom-llm", "cut_short", "pipeline-error-custom-llm-llm-failed"),
        ("llm", "local-rules", "failed", "pipeline-error-custom-llm-llm-failed"),
        ("llm", "", "empty_reply", "pipeline-error-custom-llm-llm-failed"),
        ("tts", "elevenlabs/voice", "quota", "pipeline-error-eleven-labs-voice-failed"),
        ("tts", "openai-speech", "", "pipeline-error-openai-voice-failed"),
        ("tts", "local-hibari", "", "pipeline-error-custom-voice-failed"),
        ("stt", "deepgram", "", "pipeline-error-deepgram-transcriber-failed"),
        ("stt", "custom-transcriber", "", "pipeline-error-custom-transcriber-failed"),
        ("stt", "", "", "pipeline-error-custom-transcriber-failed"),
    ],
)
def test_the_reason_names_who_failed_and_how(step: str, route: str, code: str, reason: str) -> None:
    assert of_failure(step, route, code) == reason


@pytest.mark.parametrize(
    ("status", "cause", "reason"),
    [
        (403, None, "call.in-progress.error-providerfault-outbound-sip-403-forbidden"),
        (401, None, "call.in-progress.error-providerfault-outbound-sip-407-proxy-authentication-required"),
        (407, None, "call.in-progress.error-providerfault-outbound-sip-407-proxy-authentication-required"),
        (408, None, "call.in-progress.error-providerfault-outbound-sip-408-request-timeout"),
        (480, None, "call.in-progress.error-providerfault-outbound-sip-480-temporarily-unavailable"),
        (503, 34, "call.in-progress.error-providerfault-outbound-sip-503-service-unavailable"),
        (404, None, "sip-outbound-unallocated-number"),
        (484, 28, "sip-outbound-unallocated-number"),
        (604, None, "sip-outbound-unallocated-number"),
        (500, 1, "sip-outbound-unallocated-number"),
        (486, None, "customer-busy"),
        (600, None, "customer-busy"),
        (603, 16, "customer-busy"),
        (480, 17, "customer-busy"),
        (487, None, "customer-did-not-answer"),
        (480, 19, "customer-did-not-answer"),
        (500, 38, "sip-outbound-carrier-released-call"),
        (500, 16, "call.in-progress.error-sip-outbound-call-failed-to-connect"),
        (488, None, "call.in-progress.error-sip-outbound-call-failed-to-connect"),
        (0, None, "call.in-progress.error-sip-outbound-call-failed-to-connect"),
    ],
)
def test_a_call_that_was_not_answered(status: int, cause: int | None, reason: str) -> None:
    assert of_dial(status, cause) == reason


@given(st.integers(-1, 1000), st.none() | st.integers(-1, 300), st.booleans(), st.booleans())
def test_whatever_the_telephone_says_the_reason_is_published(
    status: int, cause: int | None, one: bool, other: bool
) -> None:
    reasons = {
        of_dial(status, cause),
        of_invite(answered=one, cancelled=other),
        of_hang_up(outbound=one, cause=cause, network=other),
    }
    assert reasons <= PUBLISHED


def test_a_call_that_came_in_and_never_began() -> None:
    assert of_invite(answered=False, cancelled=True) == (
        "call.ringing.sip-inbound-caller-hungup-before-call-connect"
    )
    assert of_invite(answered=False) == "call.ringing.error-sip-inbound-call-failed-to-connect"
    assert of_invite(answered=True) == "call.in-progress.error-sip-inbound-call-failed-to-connect"


def test_a_call_that_was_answered_and_is_over() -> None:
    assert of_hang_up(outbound=True) == of_hang_up(outbound=False, cause=16) == "customer-ended-call"
    assert of_hang_up(outbound=True, cause=41) == "sip-outbound-carrier-released-call"
    assert of_hang_up(outbound=False, network=True) == "call.in-progress.sip-completed-call"


def test_a_person_is_told_what_sip_said() -> None:
    assert dial_message(486, "Busy Here") == "the far side answered 486 Busy Here"
    assert dial_message(503, "", 34, "no circuit") == "the far side answered 503, cause 34 (no circuit)"
    assert dial_message(500, "Oops", 1) == "the far side answered 500 Oops, cause 1"
    assert dial_message(0) == "the far side did not answer SIP"


@pytest.mark.parametrize(
    ("vendor", "outcome", "reason"),
    [
        ("telnyx", "busy", "customer-busy"),
        ("telnyx", "rejected", "customer-busy"),
        ("vonage", "rejected", "vonage-rejected"),
        ("telnyx", "no-answer", "customer-did-not-answer"),
        ("twilio", "cancelled", "customer-did-not-answer"),
        ("twilio", "unallocated", "twilio-reported-customer-misdialed"),
        ("telnyx", "unallocated", "sip-outbound-unallocated-number"),
        ("twilio", "failed", "twilio-failed-to-connect-call"),
        ("vonage", "failed", "vonage-failed-to-connect-call"),
        ("telnyx", "failed", "call.in-progress.error-sip-outbound-call-failed-to-connect"),
        ("telnyx", "of tomorrow", "call.in-progress.error-sip-outbound-call-failed-to-connect"),
        ("twilio", "completed", "customer-ended-call"),
    ],
)
def test_why_a_call_by_a_carrier_was_not_answered(vendor: str, outcome: str, reason: str) -> None:
    assert of_carrier(vendor, outcome, outbound=True, connected=False) == reason


def test_a_carrier_s_caller_who_was_heard_has_hung_up() -> None:
    assert of_carrier("twilio", "failed", outbound=True, connected=True) == "customer-ended-call"
    assert of_carrier("plivo", "completed", outbound=False, connected=True) == "customer-ended-call"
    gave_up = "call.ringing.sip-inbound-caller-hungup-before-call-connect"
    assert of_carrier("plivo", "completed", outbound=False, connected=False) == gave_up

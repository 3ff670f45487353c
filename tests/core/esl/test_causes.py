from __future__ import annotations

import pytest

from aywa.core.esl.causes import Q850, ended_message, ended_reason, of_originate, refusal


@pytest.mark.parametrize(
    ("cause", "status", "reason"),
    [
        ("USER_BUSY", 0, "customer-busy"),
        ("NO_ANSWER", 0, "customer-did-not-answer"),
        ("NO_USER_RESPONSE", 0, "customer-did-not-answer"),
        ("CALL_REJECTED", 0, "customer-busy"),
        ("UNALLOCATED_NUMBER", 404, "sip-outbound-unallocated-number"),
        ("ORIGINATOR_CANCEL", 0, "customer-did-not-answer"),
        (
            "NORMAL_TEMPORARY_FAILURE",
            503,
            "call.in-progress.error-providerfault-outbound-sip-503-service-unavailable",
        ),
        ("NORMAL_TEMPORARY_FAILURE", 0, "sip-outbound-carrier-released-call"),
        ("GATEWAY_DOWN", 0, "call.in-progress.error-providerfault-outbound-sip-503-service-unavailable"),
        (
            "USER_NOT_REGISTERED",
            0,
            "call.in-progress.error-providerfault-outbound-sip-480-temporarily-unavailable",
        ),
        ("DESTINATION_OUT_OF_ORDER", 0, "sip-outbound-carrier-released-call"),
        ("", 0, "call.in-progress.error-sip-outbound-call-failed-to-connect"),
    ],
)
def test_why_a_call_that_was_placed_was_not_answered(cause: str, status: int, reason: str) -> None:
    assert ended_reason(cause, outbound=True, answered=False, sip_status=status) == reason


@pytest.mark.parametrize(
    ("cause", "outbound", "reason"),
    [
        ("NORMAL_CLEARING", True, "customer-ended-call"),
        ("NORMAL_CLEARING", False, "customer-ended-call"),
        ("NORMAL_TEMPORARY_FAILURE", True, "sip-outbound-carrier-released-call"),
        ("SYSTEM_SHUTDOWN", True, "sip-outbound-carrier-released-call"),
        ("SYSTEM_SHUTDOWN", False, "call.in-progress.sip-completed-call"),
        ("", False, "call.in-progress.sip-completed-call"),
        ("BLIND_TRANSFER", False, "call.in-progress.sip-completed-call"),
    ],
)
def test_why_a_call_that_was_answered_is_over(cause: str, outbound: bool, reason: str) -> None:
    assert ended_reason(cause, outbound=outbound, answered=True) == reason


def test_a_call_that_came_and_went() -> None:
    gave_up = "call.ringing.sip-inbound-caller-hungup-before-call-connect"
    assert ended_reason("ORIGINATOR_CANCEL", outbound=False, answered=False) == gave_up
    failed = "call.ringing.error-sip-inbound-call-failed-to-connect"
    assert ended_reason("CRASH", outbound=False, answered=False) == failed


def test_for_a_person() -> None:
    assert ended_message("USER_BUSY", 486) == "FreeSWITCH hung up with USER_BUSY (SIP 486)"
    assert ended_message("") == "FreeSWITCH does not have the call any more"


def test_who_is_sent_away() -> None:
    assert [refusal(status) for status in (404, 480, 486, 500, 503, 302)] == [
        "UNALLOCATED_NUMBER", "NO_ANSWER", "USER_BUSY", "NORMAL_TEMPORARY_FAILURE", "NORMAL_TEMPORARY_FAILURE",
        "NORMAL_CLEARING",
    ]  # fmt: skip
    assert all(cause in Q850 for cause in map(refusal, range(300, 700)))


def test_the_outcome_of_originate() -> None:
    assert of_originate("+OK 7f4de4bc\n") == ""
    assert of_originate("-ERR USER_BUSY\n") == "USER_BUSY"
    assert of_originate("-ERR GATEWAY_DOWN") == "GATEWAY_DOWN"
    assert of_originate("-USAGE: originate <call url>") == "DESTINATION_OUT_OF_ORDER"

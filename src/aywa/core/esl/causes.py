"""Why a channel of FreeSWITCH is over, and what that means for a call (Hangup Cause Code Table; contract 6.5).

FreeSWITCH names causes; up to 127 they are those of Q.850, above it they are its own.
"""

from __future__ import annotations

from typing import Final

from aywa.core import ended_reasons

Q850: Final = {
    "UNALLOCATED_NUMBER": 1,
    "NO_ROUTE_TRANSIT_NET": 2,
    "NO_ROUTE_DESTINATION": 3,
    "CHANNEL_UNACCEPTABLE": 6,
    "CALL_AWARDED_DELIVERED": 7,
    "NORMAL_CLEARING": 16,
    "USER_BUSY": 17,
    "NO_USER_RESPONSE": 18,
    "NO_ANSWER": 19,
    "SUBSCRIBER_ABSENT": 20,
    "CALL_REJECTED": 21,
    "NUMBER_CHANGED": 22,
    "REDIRECTION_TO_NEW_DESTINATION": 23,
    "EXCHANGE_ROUTING_ERROR": 25,
    "DESTINATION_OUT_OF_ORDER": 27,
    "INVALID_NUMBER_FORMAT": 28,
    "FACILITY_REJECTED": 29,
    "RESPONSE_TO_STATUS_ENQUIRY": 30,
    "NORMAL_UNSPECIFIED": 31,
    "NORMAL_CIRCUIT_CONGESTION": 34,
    "NETWORK_OUT_OF_ORDER": 38,
    "NORMAL_TEMPORARY_FAILURE": 41,
    "SWITCH_CONGESTION": 42,
    "ACCESS_INFO_DISCARDED": 43,
    "REQUESTED_CHAN_UNAVAIL": 44,
    "PRE_EMPTED": 45,
    "FACILITY_NOT_SUBSCRIBED": 50,
    "OUTGOING_CALL_BARRED": 52,
    "INCOMING_CALL_BARRED": 54,
    "BEARERCAPABILITY_NOTAUTH": 57,
    "BEARERCAPABILITY_NOTAVAIL": 58,
    "SERVICE_UNAVAILABLE": 63,
    "BEARERCAPABILITY_NOTIMPL": 65,
    "CHAN_NOT_IMPLEMENTED": 66,
    "FACILITY_NOT_IMPLEMENTED": 69,
    "SERVICE_NOT_IMPLEMENTED": 79,
    "INVALID_CALL_REFERENCE": 81,
    "INCOMPATIBLE_DESTINATION": 88,
    "INVALID_MSG_UNSPECIFIED": 95,
    "MANDATORY_IE_MISSING": 96,
    "MESSAGE_TYPE_NONEXIST": 97,
    "WRONG_MESSAGE": 98,
    "IE_NONEXIST": 99,
    "INVALID_IE_CONTENTS": 100,
    "WRONG_CALL_STATE": 101,
    "RECOVERY_ON_TIMER_EXPIRE": 102,
    "MANDATORY_IE_LENGTH_ERROR": 103,
    "PROTOCOL_ERROR": 111,
    "INTERWORKING": 127,
}
# FreeSWITCH's own, as the SIP status that says the same.
_STATUS: Final = {
    "ORIGINATOR_CANCEL": 487,
    "LOSE_RACE": 487,
    "USER_CHALLENGE": 407,
    "USER_NOT_REGISTERED": 480,
    "PROGRESS_TIMEOUT": 408,
    "ALLOTTED_TIMEOUT": 487,
    "NO_PICKUP": 487,
    "BUSY_EVERYWHERE": 600,
    "DECLINE": 603,
    "DOES_NOT_EXIST_ANYWHERE": 604,
    "UNWANTED": 607,
    "REJECT_ALL": 607,
    "INVALID_GATEWAY": 503,
    "GATEWAY_DOWN": 503,
    "INVALID_URL": 404,
    "INVALID_PROFILE": 503,
    "SUBSCRIBER_ABSENT": 480,
}
# Somebody at the switch, or the switch itself, ended it.
_SWITCH: Final = frozenset(
    ("SYSTEM_SHUTDOWN", "CRASH", "MANAGER_REQUEST", "MEDIA_TIMEOUT", "SRTP_READ_ERROR")
)
_MOVED: Final = frozenset(("BLIND_TRANSFER", "ATTENDED_TRANSFER"))
# The cause with which we end a channel that we refuse to take: FreeSWITCH makes the status of SIP of it again.
_REFUSALS: Final = {
    403: "CALL_REJECTED",
    404: "UNALLOCATED_NUMBER",
    480: "NO_ANSWER",
    486: "USER_BUSY",
    488: "INCOMPATIBLE_DESTINATION",
    603: "CALL_REJECTED",
}
_PLAIN: Final = "NORMAL_CLEARING"


def ended_reason(cause: str, *, outbound: bool, answered: bool, sip_status: int = 0) -> str:
    """Why the call is over whose channel ended with that cause, and nobody here ended it. sip_status: of the far side's final
    answer, where there was one."""
    number = Q850.get(cause)
    if answered:
        if cause in _MOVED:
            return ended_reasons.COMPLETED
        network = cause in _SWITCH or not cause
        return ended_reasons.of_hang_up(outbound=outbound, cause=number, network=network)
    if not outbound:
        return ended_reasons.of_invite(answered=False, cancelled=cause not in _SWITCH)
    return ended_reasons.of_dial(sip_status or _STATUS.get(cause, 0), number)


def ended_message(cause: str, sip_status: int = 0) -> str:
    """The same for a person, as endedMessage."""
    what = f"FreeSWITCH hung up with {cause}" if cause else "FreeSWITCH does not have the call any more"
    return f"{what} (SIP {sip_status})" if sip_status else what


def refusal(status: int) -> str:
    """The cause with which a channel that came is sent away."""
    return _REFUSALS.get(status, "NORMAL_TEMPORARY_FAILURE" if status >= 500 else _PLAIN)


def of_originate(text: str) -> str:
    """The cause in the outcome of `originate`, -ERR USER_BUSY; empty when it went well."""
    word = text.strip().removeprefix("-ERR").strip().partition(" ")[0]
    if not text.lstrip().startswith("-"):
        return ""
    return word if word in Q850 or word in _STATUS or word in _SWITCH else "DESTINATION_OUT_OF_ORDER"

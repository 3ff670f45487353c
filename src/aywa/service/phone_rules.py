"""The documented fields of a phone number, a SIP trunk, and a call to a telephone (contract 6.1, 14.1, 14.2).

What is not named here is kept as it is. A text that goes into a message of SIP must be one that cannot end its line.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from aywa.core.numbers import PORT_MAX, is_dialable, is_e164, sip_address
from aywa.service.rules import (
    Also,
    Choice,
    Flag,
    ListOf,
    Number,
    Obj,
    OneOf,
    Problems,
    Tagged,
    Text,
    check,
    join,
)
from aywa.service.tool_rules import OVERRIDES

BYO = "byo-phone-number"
BY_URI = "vapi"
TWILIO, TELNYX, VONAGE = "twilio", "telnyx", "vonage"
PROVIDERS = (BYO, TELNYX, TWILIO, BY_URI, VONAGE)
BY_CREDENTIAL = (TELNYX, VONAGE)
"""Their accounts are credentials of the same provider (contract 14.1)."""

CARRIERS = ("asterisk", "exotel", "plivo", "signalwire")
"""Those that the contract has no provider for: a byo-phone-number with a `carrier` of ours in the place of a trunk."""
TRUNK = "byo-sip-trunk"
GATEWAYS_MAX = 32
HOOKS_MAX = 100
RINGING, ENDING = "call.ringing", "call.ending"
SAY_MAX_CHARACTERS = 4_000
PREFIXES_MAX = 20
UNANSWERED = (
    "assistant-request-failed",
    "assistant-request-returned-error",
    "assistant-request-returned-unspeakable-error",
    "assistant-request-returned-invalid-assistant",
    "assistant-request-returned-no-assistant",
    "assistant-request-returned-forwarding-phone-number",
)
"""Of which ends a number's call.ending hears."""
HEADERS_MAX = 20
URI_LENGTH_MAX = 500
PROTOCOLS = ("udp", "tcp", "tls", "tls/srtp")
_HOST = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,252}[0-9A-Za-z_])?\Z")
_HTTP = re.compile(r"https?://[0-9A-Za-z_.:\[\]-]{1,260}(?:/[0-9A-Za-z._~/-]{0,500})?\Z")
_HEADER = re.compile(r"[Xx]-[0-9A-Za-z-]{1,60}\Z")
_PREFIX = re.compile(r"[0-9A-Za-z+*#._-]{0,64}\Z")
_GATEWAY_NAME = re.compile(r"[0-9A-Za-z._-]{1,64}\Z")
# What a description says of these: it lets nothing through that the code does not.
_PLAIN = "^[ -!#-;=?-~]*$"
_HOSTS = "^[a-z]{1,20}([.][a-z]{1,20})?$"
_EXTENSION = re.compile(r"[0-9A-Da-d*#]{1,10}\Z")


def is_plain(text: str) -> bool:
    """Whether it can stand in a header: no line end, no other control character."""
    return not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text)


def _check_plain(value: Any, path: str, problems: Problems) -> None:
    if not is_plain(value) or '"' in value or "<" in value or ">" in value:
        problems.add(path, "must not hold control characters, quotes or angle brackets", value)


def _check_uri(value: Any, path: str, problems: Problems) -> None:
    address = sip_address(value)
    if address is None or not address.user:
        problems.add(path, "must be a SIP URI such as sip:name@host, without password and headers", value)


def _check_host(value: Any, path: str, problems: Problems) -> None:
    if not _is_address(value) and _HOST.match(value) is None:
        problems.add(path, "must be an IP address or a host name", value)


def _check_url(value: Any, path: str, problems: Problems) -> None:
    if _HTTP.match(value) is None:
        problems.add(path, "must be a URL that begins with http:// or https://, without a user name", value)


def _check_number(value: Any, path: str, problems: Problems) -> None:
    if not is_dialable(value):
        problems.add(path, "must consist of 3 to 40 digits, letters or + * # . _ -", value)


def _check_prefix(value: Any, path: str, problems: Problems) -> None:
    if _PREFIX.match(value) is None:
        problems.add(path, "must consist of at most 64 digits, letters or + * # . _ -", value)


def _check_gateway_name(value: Any, path: str, problems: Problems) -> None:
    if _GATEWAY_NAME.match(value) is None:
        problems.add(path, "must consist of letters, digits or . _ -", value)


def _check_extension(value: Any, path: str, problems: Problems) -> None:
    if _EXTENSION.match(value) is None:
        problems.add(path, "must consist of 1 to 10 keys: 0 to 9, A to D, * and #", value)


def _check_caller_id(value: Any, path: str, problems: Problems) -> None:
    if not is_dialable(value) and sip_address(value) is None:
        problems.add(path, "must be a number or a SIP URI", value)


def _check_headers(value: Any, path: str, problems: Problems) -> None:
    if len(value) > HEADERS_MAX:
        problems.add(path, f"must contain no more than {HEADERS_MAX} headers", value)
        return
    for name, text in value.items():
        if _HEADER.match(name) is None:
            problems.add(join(path, name[:80]), "must be a header whose name begins with X-", text)
        elif not isinstance(text, str) or not is_plain(text) or len(text) > 1000:
            problems.add(join(path, name), "must be a text of at most 1000 characters in one line", text)


_NAME = Also(Text(200), _check_plain, _PLAIN)
_URI = Also(Text(URI_LENGTH_MAX), _check_uri, "^sip:[a-z0-9]{1,30}@[a-z0-9.]{1,30}$")
_DIALLED = Also(Text(40, 3), _check_number, "^[+][1-9][0-9]{2,13}$")
_CALLER_ID = Also(Text(URI_LENGTH_MAX, 3), _check_caller_id, "^[+][1-9][0-9]{2,13}$")
SIP_HEADERS = Also(Obj(), _check_headers)


def _check_destination(value: Any, path: str, problems: Problems) -> None:
    wanted = {"number": "number", "sip": "sipUri"}[value["type"]]
    if value.get(wanted) is None:
        problems.add(join(path, wanted), f"is required where type is {value['type']}", None)
    _check_e164(value, path, problems)


def _check_e164(value: Mapping[str, Any], path: str, problems: Problems) -> None:
    number = value.get("number")
    if isinstance(number, str) and value.get("numberE164CheckEnabled") is not False and not is_e164(number):
        rule = "must be in E.164 form, + and 2 to 15 digits, unless numberE164CheckEnabled is false"
        problems.add(join(path, "number"), rule, number)


DESTINATION = Also(
    Obj(
        {
            "type": Choice(("number", "sip")),
            "number": _DIALLED,
            "numberE164CheckEnabled": Flag(),
            "extension": Also(Text(10), _check_extension, "^[0-9A-D*#]{1,10}$"),
            "sipUri": _URI,
            "callerId": Text(URI_LENGTH_MAX),
            "sipHeaders": SIP_HEADERS,
            "message": OneOf((Text(1000), Obj())),
            "description": Text(1000),
        },
        ("type",),
    ),
    _check_destination,
)
NUMBER_HOOK = Obj(
    {
        "on": Choice((RINGING, ENDING)),
        "do": ListOf(
            Tagged(
                "type",
                {
                    "transfer": Obj({"destination": DESTINATION}, ("destination",)),
                    "say": Obj({"exact": Text(SAY_MAX_CHARACTERS, 1)}, ("exact",)),
                },
            ),
            HOOKS_MAX,
        ),
        "filters": ListOf(
            Obj(
                {
                    "type": Choice(("startsWith", "oneOf")),
                    "startsWith": ListOf(Text(40), PREFIXES_MAX),
                    "oneOf": ListOf(Choice(UNANSWERED)),
                }
            ),
            HOOKS_MAX,
        ),
    },
    ("on", "do"),
)
"""A hook of a phone number (contract 12.2), of which the first action is run."""

AUTHENTICATION = Obj(
    {
        "realm": Also(Text(253), _check_plain, _PLAIN),
        "username": Also(Text(40, 1), _check_plain, _PLAIN),
        "password": Also(Text(40, 20), _check_plain, _PLAIN),
    },
    ("username",),
)
_SERVER = Obj(
    {
        "url": Text(2_000),
        "timeoutSeconds": Number(1, 300, default=20),
        "credentialId": Text(200),
        "headers": Obj(),
        "secret": Text(2_000),
    }
)
# An account at a vendor; which of the keys it wants depends on the vendor.
_ID = Also(Text(200, 1), _check_plain, _PLAIN)
_SECRET = Also(Text(2_000, 1), _check_plain, _PLAIN)
_API_URL = Also(Text(2_000), _check_url, "^https?://[a-z]{1,20}(/[a-z]{0,20})?$")
CARRIER = Obj(
    {
        "provider": Choice(CARRIERS),
        "accountId": _ID,
        "authToken": _SECRET,
        "signingKey": _SECRET,
        "inboundToken": Also(Text(200, 20), _check_plain, _PLAIN),
        "space": Also(Text(253), _check_host, _HOSTS),
        "apiUrl": _API_URL,
    },
    ("provider",),
)
PHONE_NUMBER = Obj(
    {
        "provider": Choice(PROVIDERS),
        "name": Text(40, example="Front desk"),
        "number": _DIALLED,
        "numberE164CheckEnabled": Flag(),
        "credentialId": Text(200),
        "sipUri": _URI,
        "authentication": AUTHENTICATION,
        "twilioAccountSid": _ID,
        "twilioAuthToken": _SECRET,
        "twilioApiKey": _SECRET,
        "twilioApiSecret": _SECRET,
        "smsEnabled": Flag(),
        # Our own: a vendor that the contract has no provider for, and where requests go instead of to the vendor.
        "carrier": CARRIER,
        "apiUrl": _API_URL,
        "assistantId": Text(200),
        "squadId": Text(200),
        "workflowId": Text(200),
        "server": _SERVER,
        "fallbackDestination": DESTINATION,
        "hooks": ListOf(NUMBER_HOOK, HOOKS_MAX),
        "status": Choice(("active", "activating", "blocked"), "active"),
    },
    ("provider",),
    example={
        "provider": BYO,
        "name": "Front desk",
        "number": "+493012345678",
        "credentialId": "4f6d6f0e-9c1b-4a57-8f39-0d8b3b1c7a11",
    },
)
PHONE_NUMBER_CHANGE = Obj(PHONE_NUMBER.rules, example={"assistantId": None})


def number_problems(body: Any) -> list[str]:
    """What is wrong with a new phone number."""
    return check(PHONE_NUMBER, body) or number_wanting(body)


def number_change_problems(change: Any) -> list[str]:
    """What is wrong with some of its fields."""
    return check(PHONE_NUMBER_CHANGE, change)


def number_wanting(body: Mapping[str, Any]) -> list[str]:
    """What a whole phone number lacks, and which of its fields do not go together."""
    problems = Problems()
    provider = str(body.get("provider"))
    wanted, unwanted = _WANTED[provider]
    if provider == BYO and body.get("carrier") is not None:
        wanted, unwanted = ("number",), (*unwanted, "credentialId")
    for name in wanted:
        if body.get(name) is None:
            why = ": numbers are not sold here" if provider == BY_URI else ""
            problems.add(name, f"is required where provider is {provider}{why}", None)
    for name in unwanted:
        if body.get(name) is not None:
            value = None if name in TWILIO_SECRETS else body[name]
            problems.add(name, f"must be absent where provider is {provider}", value)
    if provider == TWILIO and not _opens_twilio(body):
        problems.add("twilioAuthToken", "or twilioApiKey and twilioApiSecret is required", None)
    _check_carrier(body.get("carrier"), problems)
    _check_e164(body, "", problems)
    _check_password(body.get("authentication"), problems)
    brains = [name for name in ("assistantId", "squadId", "workflowId") if body.get(name) is not None]
    if len(brains) > 1:
        problems.add(brains[1], f"must not be given together with {brains[0]}", body[brains[1]])
    server = body.get("server")
    if isinstance(server, Mapping) and not str(server.get("url") or "").startswith(("http://", "https://")):
        problems.add("server.url", "must be a URL that begins with http:// or https://", server.get("url"))
    return problems.found


# As the contract has one that comes with a call (6.1).
TRANSIENT = Obj(
    {
        name: rule
        for name, rule in PHONE_NUMBER.rules.items()
        if name not in ("assistantId", "squadId", "workflowId")
    }
    | {"twilioPhoneNumber": _DIALLED}
)


def transient_number(given: Mapping[str, Any]) -> dict[str, Any]:
    """A phone number that comes with a call, as one would be stored: Twilio's, unless it says whose it is."""
    number = {
        name: value for name, value in given.items() if value is not None and name != "twilioPhoneNumber"
    }
    said = given.get("twilioPhoneNumber")
    return {"provider": TWILIO} | number | ({} if said is None else {"number": said})


def transient_problems(given: Any, path: str = "phoneNumber") -> list[str]:
    """What is wrong with a phone number that comes with a call."""
    if problems := check(TRANSIENT, given, path):
        return problems
    found = [join(path, problem) for problem in number_wanting(transient_number(given))]
    if "provider" in given:
        return found
    missing, named = join(path, "number "), join(path, "twilioPhoneNumber ")
    return [
        named + problem.removeprefix(missing) if problem.startswith(missing) else problem for problem in found
    ]


TWILIO_SECRETS = ("twilioAuthToken", "twilioApiKey", "twilioApiSecret")
_OF_TWILIO = ("twilioAccountSid", *TWILIO_SECRETS, "apiUrl")
_OF_SIP = ("sipUri", "authentication")
# What a provider's number wants, and what it has no use for.
_WANTED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    BYO: (("credentialId",), (*_OF_SIP, *_OF_TWILIO)),
    BY_URI: (("sipUri",), ("credentialId", "number", "carrier", *_OF_TWILIO)),
    TWILIO: (("number", "twilioAccountSid"), ("credentialId", "carrier", *_OF_SIP)),
    TELNYX: (("number", "credentialId"), ("carrier", *_OF_SIP, *_OF_TWILIO)),
    VONAGE: (("number", "credentialId"), ("carrier", *_OF_SIP, *_OF_TWILIO)),
}
# What proves that a request is the vendor's, and what its API wants.
_OF_CARRIER: Mapping[str, tuple[str, ...]] = {
    "asterisk": ("inboundToken",),
    "exotel": ("inboundToken",),
    "plivo": ("accountId", "authToken"),
    "signalwire": ("space", "accountId", "authToken", "signingKey"),
}


def _opens_twilio(body: Mapping[str, Any]) -> bool:
    token, key, secret = (body.get(name) is not None for name in TWILIO_SECRETS)
    return token or (key and secret)


def _check_carrier(carrier: Any, problems: Problems) -> None:
    if isinstance(carrier, Mapping):
        for name in _OF_CARRIER[str(carrier.get("provider"))]:
            if carrier.get(name) is None:
                rule = f"is required where carrier.provider is {carrier['provider']}"
                problems.add(join("carrier", name), rule, None)


def _check_password(authentication: Any, problems: Problems) -> None:
    if isinstance(authentication, Mapping) and authentication.get("password") is None:
        problems.add("authentication.password", "is required", None)


# --- trunks ----------------------------------------------------------------------------------------------------------


def _check_gateway(value: Any, path: str, problems: Problems) -> None:
    address = value["ip"]
    if value.get("inboundEnabled") is not False and not _is_address(address):
        rule = "must be an IP address unless inboundEnabled is false: calls are known by where they come from"
        problems.add(join(path, "ip"), rule, address)
    elif value.get("inboundEnabled") is not False and _is_anywhere(address):
        problems.add(join(path, "ip"), "must be one peer's address", address)


GATEWAY = Also(
    Obj(
        {
            "ip": Also(Text(253, 1, "203.0.113.7"), _check_host),
            "port": Number(1, PORT_MAX, whole=True, default=5060),
            "netmask": Number(24, 32, whole=True, default=32),
            "inboundEnabled": Flag(),
            "outboundEnabled": Flag(),
            "outboundProtocol": Choice(PROTOCOLS, "udp"),
            "optionsPingEnabled": Flag(),
        },
        ("ip",),
    ),
    _check_gateway,
)
TRUNK_FIELDS = Obj(
    {
        "gateways": ListOf(GATEWAY, GATEWAYS_MAX),
        "outboundAuthenticationPlan": Obj(
            {
                "authUsername": _NAME,
                "authPassword": Text(200),
                "sipRegisterPlan": Obj(
                    {"domain": Also(Text(253), _check_host, _HOSTS), "username": _NAME, "realm": _NAME}
                ),
            }
        ),
        "outboundLeadingPlusEnabled": Flag(),
        "techPrefix": Also(Text(10_000), _check_prefix),
        "sipDiversionHeader": Also(Text(URI_LENGTH_MAX, 3), _check_caller_id),
        # Our own: its calls go out by this gateway of the operator's FreeSWITCH.
        "freeswitch": Obj({"gateway": Also(Text(64, 1), _check_gateway_name)}, ("gateway",)),
    },
    ("gateways",),
)


def trunk_problems(body: Mapping[str, Any]) -> list[str]:
    """What is wrong with a byo-sip-trunk, its secrets included."""
    problems = Problems()
    TRUNK_FIELDS.check(dict(body), "", problems)
    if body.get("gateways") == []:
        problems.add("gateways", "must contain at least 1 element", [])
    plan = body.get("outboundAuthenticationPlan")
    if not isinstance(plan, Mapping):
        return problems.found
    for one, other in (("authUsername", "authPassword"), ("authPassword", "authUsername")):
        if plan.get(one) is not None and plan.get(other) is None:
            problems.add(f"outboundAuthenticationPlan.{other}", f"is required beside {one}", None)
    if plan.get("sipRegisterPlan") is not None and plan.get("authUsername") is None:
        rule = "is required beside sipRegisterPlan"
        problems.add("outboundAuthenticationPlan.authUsername", rule, None)
    return problems.found


def _is_address(text: str) -> bool:
    try:
        _ = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _is_anywhere(text: str) -> bool:
    address = ipaddress.ip_address(text.strip("[]"))
    return address.is_unspecified or address.is_multicast


# --- calls -----------------------------------------------------------------------------------------------------------

CUSTOMER = Obj(
    {
        "number": _DIALLED,
        "numberE164CheckEnabled": Flag(),
        "extension": Also(Text(10), _check_extension, "^[0-9A-D*#]{1,10}$"),
        "sipUri": _URI,
        # Our own: who calls, where it is not the phone number itself.
        "callerId": _CALLER_ID,
        "name": Also(Text(40), _check_plain, _PLAIN),
        "email": Text(40),
        "externalId": Text(40),
        "assistantOverrides": OVERRIDES,
        "squadOverrides": OVERRIDES,
    }
)
SIP_TRANSPORT = Obj(
    {
        "provider": Text(),
        "dialTimeout": Number(1, 600, default=60),
        "sipHeaders": SIP_HEADERS,
    }
)


def target_problems(customer: Any) -> list[str]:
    """What is wrong with who is to be called."""
    problems = Problems()
    if not isinstance(customer, Mapping):
        problems.add("customer", "is required: a number or a sipUri to call", None)
        return problems.found
    given = [name for name in ("number", "sipUri") if customer.get(name) is not None]
    if not given:
        problems.add("customer.number", "or customer.sipUri is required", None)
    elif len(given) == 2:
        problems.add("customer.sipUri", "must not be given together with customer.number", customer["sipUri"])
    if "sipUri" in given and customer.get("extension") is not None:
        problems.add("customer.extension", "must be absent beside sipUri", customer["extension"])
    _check_e164(customer, "customer", problems)
    return problems.found

"""What /openapi.json says: schemas made from the same rules that check the requests, and examples that are true."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from aywa.api.delivery_schemas import delivery_schemas
from aywa.api.metric_schemas import metric_schemas
from aywa.api.org_schemas import org_schemas
from aywa.core.sums import STEPS
from aywa.service.analytics import ANALYTICS
from aywa.service.batches import CUSTOMERS_MAX
from aywa.service.call_request import BRAINS, FRAME_RATE_HZ, INBOUND_CALL, OUTBOUND_CALL, SIP
from aywa.service.credential_rules import CREDENTIAL
from aywa.service.deliveries import STATES
from aywa.service.files import FILE_CHANGE, PURPOSES
from aywa.service.phone_numbers import PAGE_MAX
from aywa.service.phone_rules import CUSTOMER, PHONE_NUMBER, PHONE_NUMBER_CHANGE, SIP_TRANSPORT, TRANSIENT
from aywa.service.providers import CHECK
from aywa.service.rules import Obj
from aywa.service.secret_fields import is_secret
from aywa.service.squad_rules import SQUAD
from aywa.service.tool_rules import TOOL
from aywa.service.validate import ASSISTANT, CALL, CALL_CHANGE, LOOSE_OVERRIDES, WEB_CALL

JsonObject = dict[str, Any]

_TIME = {"type": "string", "format": "date-time", "example": "2026-01-01T00:00:00.000Z"}
_UUID = {"type": "string", "format": "uuid", "example": "4f6d6f0e-9c1b-4a57-8f39-0d8b3b1c7a11"}
_OWN = {"id": _UUID, "orgId": _UUID, "createdAt": _TIME, "updatedAt": _TIME}
_NAMES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    413: "Payload Too Large",
} | {
    429: "Too Many Requests",
    503: "Service Unavailable",
}
_CALL_STATUS = ("scheduled", "queued", "ringing", "in-progress", "forwarding", "ended")
_SOURCES = ("call", "decision", "message", "artifact", "warning", "media", "provider")


def _ref(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: JsonObject) -> JsonObject:
    return {"application/json": {"schema": schema}}


def _problems(*statuses: int) -> dict[int | str, JsonObject]:
    return {status: {"description": _NAMES[status], "content": _json(_ref("Error"))} for status in statuses}


def _found(
    description: str, content: JsonObject, problems: dict[int | str, JsonObject], status: int = 200
) -> dict[int | str, JsonObject]:
    found: dict[int | str, JsonObject] = {status: {"description": description, "content": content}}
    return found | problems


def answers(schema: str, status: int, *more: int) -> dict[int | str, JsonObject]:
    """A document, or one of the errors that every operation has, or one of more."""
    return _found("The document", _json(_ref(schema)), _problems(400, 401, 403, 413, *more), status)


def takes(schema: str) -> JsonObject:
    """A body of this schema."""
    return {"requestBody": {"required": True, "content": _json(_ref(schema))}}


def list_of(schema: str) -> dict[int | str, JsonObject]:
    """A bare array of such documents."""
    content = _json({"type": "array", "items": _ref(schema)})
    return _found("Newest first", content, _problems(400, 401, 403))


def _query(name: str, schema: JsonObject, text: str) -> JsonObject:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


ASSISTANT_LIST = list_of("Assistant")
CALL_LIST = list_of("Call")
CREDENTIAL_LIST = list_of("Credential")
ORG_LIST = _found("The key's own", _json({"type": "array", "items": _ref("Org")}), _problems(401, 403))
PHONE_NUMBER_LIST = list_of("PhoneNumber")
PHONE_NUMBER_PAGE = _found("A page", _json(_ref("PhoneNumberPage")), _problems(400, 401, 403))
TIMELINE = _found(
    "In the order of time",
    _json({"type": "array", "items": _ref("TimelineEntry")}),
    _problems(400, 401, 403, 404),
)
PROVIDER_ROUTES = _found(
    "By name", _json({"type": "array", "items": _ref("ProviderRoute")}), _problems(401, 403)
)
FIGURES_TEXT = _found("Prometheus' text format", {"text/plain": {}}, _problems(401, 403, 404))
FIGURES_JSON = _found("All metrics", _json(_ref("Figures")), _problems(400, 401, 403, 404, 503))
TRUNK_LIST = _found("The oldest first", _json({"type": "array", "items": _ref("Trunk")}), _problems(401, 403))
PROVIDER_CHECKS = _found(
    "Models, voices, transcribers",
    _json({"type": "array", "items": _ref("ProviderCheck")}),
    _problems(400, 401, 403, 413),
)
AUDIO = _found("The whole recording", {"audio/wav": {}}, _problems(400, 401, 403, 404)) | {
    206: {"description": "The range that was asked for", "content": {"audio/wav": {}}},
    302: {"description": "It lies in a bucket: its address there, which holds for a while"},
    416: {"description": "The range lies outside the recording"},
}
LOG = _found("Gzipped JSON lines", {"application/gzip": {}}, _problems(401, 403, 404))
LIST_QUERY = [
    _query("limit", {"type": "integer", "minimum": 0, "maximum": 1000, "default": 100}, "How many at most."),
    *(
        _query(f"{field}{bound}", {"type": "string", "format": "date-time"}, f"Only those {word} this time.")
        for field in ("createdAt", "updatedAt")
        for bound, word in (("Gt", "after"), ("Lt", "before"), ("Ge", "at or after"), ("Le", "at or before"))
    ),
]
CALL_QUERY = [
    _query("id", {"type": "string"}, "Only this call."),
    _query("assistantId", {"type": "string"}, "Only calls of this assistant."),
    _query("phoneNumberId", {"type": "string"}, "Only calls to or from this phone number."),
    *LIST_QUERY,
]
PAGE_QUERY = [
    _query("page", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": 1}, "Which page."),
    _query("sortOrder", {"type": "string", "enum": ["ASC", "DESC"], "default": "DESC"}, "By creation."),
    _query("search", {"type": "string"}, "Only those with this in their number, name or SIP URI."),
    *LIST_QUERY,
]
FILE_QUERY = [
    _query("purpose", {"type": "string", "enum": list(PURPOSES)}, "Only files for this purpose."),
    *LIST_QUERY,
]
FILE_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(PURPOSES)},
                        "metadata": {
                            "type": "string",
                            "description": "A JSON object.",
                            "pattern": '^[{]("[a-z]{1,8}":[0-9]{1,3})?[}]$',
                        },
                    },
                }
            }
        },
    }
}
FILE_CONTENT = _found("The bytes", {"application/octet-stream": {}}, _problems(401, 403, 404))
ANALYTICS_RESULT = _found(
    "An answer to each query",
    _json({"type": "array", "items": _ref("AnalyticsResult")}),
    _problems(400, 401, 403, 413),
    201,
)
DELIVERY_LIST = list_of("WebhookDelivery")
DELIVERY_QUERY = [
    _query("status", {"type": "string", "enum": list(STATES)}, "Only those that are so."),
    _query("type", {"type": "string"}, "Only messages of this type."),
    _query("callId", {"type": "string"}, "Only messages about this call."),
    *LIST_QUERY[:5],
]
DISABLED_ENDPOINTS = _found(
    "The oldest first",
    _json({"type": "array", "items": _ref("DisabledWebhookEndpoint")}),
    _problems(401, 403),
)
SIDE = {
    "parameters": [
        {
            "name": "side",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "enum": ["stereo", "mono", "customer", "assistant"]},
        }
    ]
}


def _schemas() -> JsonObject:
    assistant = ASSISTANT.schema()
    given = _given(assistant)
    # As it was written, in whatever form.
    given["properties"]["hooks"] = {"type": ["array", "null"], "items": {"type": "object"}}
    document = {
        "type": "object",
        "required": list(_OWN),
        "properties": _OWN | given["properties"],
        "additionalProperties": True,
    }
    return {
        "Error": _error_schema(),
        "Assistant": document,
        "CreateAssistant": assistant,
        "UpdateAssistant": _change_schema(assistant),
        "CreateCall": _call_request(CALL, web=False),
        "CreateWebCall": _call_request(WEB_CALL, web=True),
        "UpdateCall": CALL_CHANGE.schema() | {"additionalProperties": False},
        "Call": _call_schema(),
        "CallOrBatch": {"anyOf": [_ref("Call"), _ref("CallBatch")]},
        "CallBatch": _batch_schema(),
        "AssistantOverrides": LOOSE_OVERRIDES.schema(),
        "Tool": _stored(TOOL.schema()),
        "CreateTool": TOOL.schema(),
        "UpdateTool": {"type": "object", "example": {"function": {"name": "opening_hours"}}},
        "Squad": _stored(SQUAD.schema()),
        "CreateSquad": SQUAD.schema(),
        "UpdateSquad": {
            **{name: value for name, value in SQUAD.schema().items() if name != "required"},
            "example": {"name": "Front desk"},
        },
        **_file_schemas(),
        "AnalyticsQueries": ANALYTICS.schema(),
        "AnalyticsResult": _analytics_schema(),
        **_credential_schemas(),
        **_phone_number_schemas(),
        **org_schemas(_OWN),
        **delivery_schemas(_OWN),
        **_provider_schemas(),
        **metric_schemas(),
        "Trunk": _trunk_schema(),
        "TimelineEntry": _timeline_schema(),
    }


def _stored(taken: JsonObject) -> JsonObject:
    """A document that was made of this, with what only the runtime sets."""
    own = {"type": "object", "required": list(_OWN), "properties": _OWN}
    # A secret that was sent is not answered: what is answered need not be what is taken.
    if "anyOf" in taken:
        kinds = [kind for each in taken["anyOf"] for kind in each["properties"]["type"]["enum"]]
        properties = _OWN | {"type": {"type": "string", "enum": kinds}}
        return {"type": "object", "required": [*_OWN, "type"], "properties": properties}
    required = [*_OWN, *taken.get("required", ())]
    properties = _OWN | _given(taken)["properties"]
    return own | {"required": required, "properties": properties, "additionalProperties": True}


def _given(schema: Any) -> Any:
    """The schema of what is answered: what the description of a request says of texts is narrower than what is taken."""
    if isinstance(schema, list):
        return [_given(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _given(each) for name, each in schema.items() if name != "pattern" or not isinstance(each, str)
    }


def _file_schemas() -> JsonObject:
    texts, count = {"type": "string"}, {"type": "integer", "minimum": 0}
    file = {
        "object": texts | {"enum": ["file"]},
        "status": texts | {"enum": ["processing", "done", "failed"]},
        "name": texts,
        "originalName": texts,
        "bytes": count,
        "purpose": texts | {"enum": list(PURPOSES)},
        "mimetype": texts,
        "url": texts | {"description": "Where its bytes are, for a private key."},
        "parsedTextBytes": count
        | {"description": "Of what can be searched in it; absent where nothing can."},
        "metadata": {"type": "object"},
    }
    required = [*_OWN, "object", "status", "name", "bytes", "mimetype", "url"]
    return {
        "File": {
            "type": "object",
            "required": required,
            "properties": _OWN | file,
            "additionalProperties": True,
        },
        "UpdateFile": FILE_CHANGE.schema() | {"additionalProperties": False},
    }


def _analytics_schema() -> JsonObject:
    span = {
        "start": _TIME,
        "end": _TIME,
        "step": {"type": "string", "enum": list(STEPS)},
        "timezone": {"type": "string"},
    }
    result = {
        "name": {"type": "string"},
        "timeRange": {"type": "object", "required": ["start", "end", "timezone"], "properties": span},
        "result": {"type": "array", "items": {"type": "object"}},
    }
    return {"type": "object", "required": list(result), "properties": result}


def _credential_schemas() -> JsonObject:
    """Secrets are taken and not given."""
    taken = CREDENTIAL.schema()
    properties: JsonObject = {
        name: schema | ({"writeOnly": True} if is_secret(name) else {})
        for name, schema in taken["properties"].items()
    }
    given = {name: _given(schema) for name, schema in properties.items() if not is_secret(name)}
    return {
        "Credential": {
            "type": "object",
            "required": [*_OWN, "provider"],
            "properties": _OWN | given,
            "additionalProperties": True,
        },
        "CreateCredential": taken | {"properties": properties},
        "UpdateCredential": {
            **{name: value for name, value in taken.items() if name != "required"},
            "properties": properties,
            "example": {"apiKey": "sk-another"},
        },
    }


def _phone_number_schemas() -> JsonObject:
    """Secrets are taken and not given."""
    taken, change = PHONE_NUMBER.schema(), PHONE_NUMBER_CHANGE.schema()
    answered = _OWN | _given(taken)["properties"]
    given = {"type": "object", "required": [*_OWN, "provider"], "properties": answered}
    for name in ("authentication", "server"):
        inside = given["properties"][name]
        shown = {key: schema for key, schema in inside["properties"].items() if not is_secret(key)}
        given["properties"][name] = inside | {"properties": shown}
    counts = ("itemsPerPage", "totalItems", "currentPage", "totalPages")
    metadata = {name: {"type": "integer", "minimum": 0} for name in counts} | {
        "hasNextPage": {"type": "boolean"},
        "sortOrder": {"type": "string", "enum": ["ASC", "DESC"]},
    }
    page = {
        "results": {"type": "array", "items": _ref("PhoneNumber")},
        "metadata": {"type": "object", "required": list(metadata), "properties": metadata},
    }
    return {
        "PhoneNumber": given | {"additionalProperties": True},
        "CreatePhoneNumber": taken,
        "UpdatePhoneNumber": change,
        "PhoneNumberPage": {"type": "object", "required": list(page), "properties": page},
    }


def _provider_schemas() -> JsonObject:
    texts = {"type": "string"}
    count = {"type": "integer", "minimum": 0}
    ms = {"type": ["number", "null"], "description": "Milliseconds to the first of an answer."}
    taken = CHECK.schema()
    route = {
        "route": texts | {"example": "openai/gpt-4.1"},
        "circuit": {"type": "string", "enum": ["closed", "open", "half_open"]},
        "since": _TIME | {"type": ["string", "null"]},
        "active": count | {"description": "Requests that run now."},
        "requests": count,
        "failures": count,
        "lastCode": texts,
        "firstP50Ms": ms,
        "firstP95Ms": ms,
    }
    checked = {
        "part": {"type": "string", "enum": ["model", "voice", "transcriber"]},
        "provider": texts,
        "route": texts | {"example": "openai/gpt-4.1"},
        "ok": {"type": "boolean"},
        "firstMs": ms,
        "code": texts | {"example": "unauthorized"},
        "message": texts,
        "mend": texts | {"example": "check OPENAI_API_KEY"},
        "source": texts | {"description": "Whose key it was."},
    }
    return {
        "ProviderRoute": {"type": "object", "required": list(route), "properties": route},
        "ProviderCheck": {"type": "object", "required": list(checked), "properties": checked},
        "CheckProviders": taken
        | {"properties": taken["properties"] | {"assistantId": _UUID, "assistant": _ref("CreateAssistant")}},
    }


def _trunk_schema() -> JsonObject:
    texts, flag = {"type": "string"}, {"type": "boolean"}
    maybe = {"type": ["boolean", "null"]}
    gateway = {
        "ip": texts,
        "port": {"type": "integer"},
        "protocol": texts | {"enum": ["udp", "tcp", "tls"]},
        "inbound": flag,
        "outbound": flag,
    }
    trunk = {
        "id": _UUID | {"description": "Of the credential."},
        "name": texts,
        "state": texts | {"enum": ["up", "down", "unknown", "off"]},
        "registered": maybe | {"description": "null: it is not to be, or not yet."},
        "answers": maybe | {"description": "null: nobody asks its gateways, or none has answered yet."},
        "reason": texts | {"example": "503 Service Unavailable"},
        "since": _TIME | {"type": ["string", "null"]},
        "gateways": {
            "type": "array",
            "items": {"type": "object", "required": list(gateway), "properties": gateway},
        },
    }
    return {"type": "object", "required": list(trunk), "properties": trunk}


def _error_schema() -> JsonObject:
    texts = {"type": "array", "items": {"type": "string"}}
    return {
        "type": "object",
        "required": ["message", "error", "statusCode"],
        "properties": {
            "message": {"anyOf": [{"type": "string"}, texts]},
            "error": {"type": "string"},
            "statusCode": {"type": "integer"},
        },
        "example": {
            "message": [
                'name must be shorter than or equal to 40 characters, got "An assistant with a long name"'
            ],
            "error": "Bad Request",
            "statusCode": 400,
        },
    }


def _change_schema(assistant: JsonObject) -> JsonObject:
    properties = dict(assistant["properties"])
    for name in ("model", "voice", "transcriber"):
        properties[name] = {key: value for key, value in properties[name].items() if key != "required"}
    return assistant | {
        "properties": properties,
        "example": {"firstMessage": "Good morning.", "endCallPhrases": None},
    }


def _call_request(rule: Obj, *, web: bool) -> JsonObject:
    schema = rule.schema()
    schema["properties"] = dict(schema["properties"])
    schema["properties"]["assistant"] = _ref("CreateAssistant")
    schema["properties"] |= {"assistantId": _UUID, "squadId": _UUID, "squad": _ref("CreateSquad")}
    brains = [{"required": [name]} for name in BRAINS]
    schema["oneOf"] = brains
    schema["properties"]["transport"] = _transport_schema(web=web)
    if not web:
        schema["properties"] |= {
            "phoneNumberId": _UUID
            | {"description": "Which phone number calls; in the place of a transport."},
            "phoneNumber": _transient_schema(),
            "customer": CUSTOMER.schema() | {"description": "Who is called: number or sipUri."},
            "customers": {
                "type": "array",
                "items": CUSTOMER.schema(),
                "minItems": 1,
                "maxItems": CUSTOMERS_MAX,
                "description": "Who are called, each by a call of his own.",
            },
            "schedulePlan": _schedule_schema(),
        }
        del schema["oneOf"]
        schema["allOf"] = [
            {"oneOf": brains},
            {
                "oneOf": [
                    {"required": ["transport"]},
                    {"required": ["phoneNumberId", "customer"]},
                    {"required": ["phoneNumberId", "customers"]},
                    {"required": ["phoneNumber", "customer"]},
                    {"required": ["phoneNumber", "customers"]},
                ]
            },
        ]
    described = "Merged deeply over the assistant; arrays are replaced; `tools:append` adds; variableValues fill {{names}}."
    overrides = {"anyOf": [_ref("AssistantOverrides"), {"type": "null"}], "description": described}
    schema["properties"] |= {"assistantOverrides": overrides, "squadOverrides": overrides}
    return schema


def _transient_schema() -> JsonObject:
    return TRANSIENT.schema() | {
        "required": ["twilioPhoneNumber", "twilioAccountSid", "twilioAuthToken"],
        "description": "A phone number of your account at Twilio that is kept nowhere; in the place of phoneNumberId.",
    }


def _schedule_schema() -> JsonObject:
    return {
        "type": ["object", "null"],
        "required": ["earliestAt"],
        "properties": {"earliestAt": _TIME, "latestAt": _TIME},
        "description": "When a telephone is to be called.",
    }


def _transport_schema(*, web: bool) -> JsonObject:
    pcm = {
        "format": {"type": "string", "enum": ["pcm_s16le"], "default": "pcm_s16le"},
        "container": {"type": "string", "enum": ["raw"], "default": "raw"},
        "sampleRate": {
            "type": "integer",
            "minimum": 8000,
            "maximum": 48_000,
            "multipleOf": FRAME_RATE_HZ,
            "default": 16_000,
        },
    }
    mulaw = pcm | {
        "format": {"type": "string", "enum": ["mulaw"]},
        "sampleRate": {"type": "integer", "enum": [8000], "default": 8000},
    }
    audio = {
        "anyOf": [
            {"type": "object", "properties": pcm},
            {"type": "object", "properties": mulaw, "required": ["format"]},
        ]
    }
    provider = {"type": "string"} if web else {"type": "string", "enum": ["vapi.websocket"]}
    schema: JsonObject = {"type": "object", "properties": {"provider": provider, "audioFormat": audio}}
    if web:
        return schema
    by_telephone = SIP_TRANSPORT.schema()
    by_telephone["properties"] |= {"provider": {"type": "string", "enum": [SIP]}}
    return {"anyOf": [schema | {"required": ["provider"]}, by_telephone]}


def _call_schema() -> JsonObject:
    return {
        "type": "object",
        "required": list(_OWN),
        "properties": _OWN
        | {
            "type": {
                "type": "string",
                "enum": ["vapi.websocketCall", "webCall", OUTBOUND_CALL, INBOUND_CALL],
            },
            "status": {"type": "string", "enum": list(_CALL_STATUS)},
            "assistantId": {"type": ["string", "null"]},
            "phoneNumberId": {"type": ["string", "null"]},
            "customer": {"type": ["object", "null"]},
            "phoneCallProvider": {"type": "string", "enum": ["vapi"]},
            "phoneCallTransport": {"type": "string", "enum": ["sip"]},
            "startedAt": _TIME,
            "endedAt": _TIME,
            "endedReason": {"type": "string", "example": "customer-ended-call"},
            "endedMessage": {"type": "string"},
            "expiresAt": _TIME,
            "cost": {"type": "number"},
            "costs": {"type": "array", "items": {"type": "object"}},
            "costBreakdown": {"type": "object"},
            "messages": {"type": "array", "items": {"type": "object"}},
            "artifact": {"type": "object"},
            "webCallUrl": {"type": "string"},
            "transport": {
                "type": "object",
                "properties": {
                    "provider": {"type": "string"},
                    "conversationType": {"type": "string"},
                    "websocketCallUrl": {"type": "string", "example": "wss://host/<id>/transport"},
                    "audioFormat": {"type": "object"},
                },
            },
        },
        "additionalProperties": True,
    }


def _batch_schema() -> JsonObject:
    failed = {"customer": {"type": "object"}, "error": {"type": "string"}}
    limits = {"type": "object", "properties": {"concurrencyBlocked": {"type": "boolean"}}}
    errors = {"type": "object", "required": list(failed), "properties": failed}
    return {
        "type": "object",
        "required": ["results", "errors"],
        "properties": {
            "results": {"type": "array", "items": _ref("Call")},
            "errors": {"type": "array", "items": errors},
            "subscriptionLimits": limits,
        },
    }


def _timeline_schema() -> JsonObject:
    return {
        "type": "object",
        "required": ["at", "atSeconds", "source", "kind", "reason", "text", "details"],
        "properties": {
            "at": _TIME,
            "atSeconds": {"type": "number", "description": "Seconds since the call's beginning."},
            "source": {"type": "string", "enum": list(_SOURCES)},
            "kind": {"type": "string", "example": "turn-latency"},
            "reason": {"type": "string"},
            "text": {"type": "string"},
            "details": {"type": "object"},
            "seq": {"type": "integer", "description": "The journal's number, where there is one."},
        },
    }


def install(app: FastAPI) -> None:
    """Makes app.openapi answer with our schemas; made once, when first asked for."""

    def describe() -> JsonObject:
        if app.openapi_schema is None:
            description = get_openapi(
                title=app.title, version=app.version, routes=app.routes, description=app.description
            )
            components = description.setdefault("components", {})
            components["schemas"] = _schemas()
            _without_422(description)
            app.openapi_schema = description
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _without_422(description: JsonObject) -> None:
    for operations in description["paths"].values():
        for operation in operations.values():
            operation.get("responses", {}).pop("422", None)

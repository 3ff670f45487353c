"""Where a call's own endpointing model is, read from its assistant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aywa.adapters.endpointing.http import EndpointingHttp, Server
from aywa.ports.calls import CallPlan, whole_of
from aywa.ports.endpointing import EndpointingModel

CUSTOM = "custom-endpointing-model"
# Never sent to a server that a message goes to: what opens doors elsewhere.
_SECRETS = frozenset(
    ("secret", "serverUrlSecret", "headers", "credentials", "apiKey", "authorization", "artifactBaseUrl")
)


def endpointing_route(http: EndpointingHttp, plan: CallPlan) -> EndpointingModel | None:
    """The call's route; None where its assistant asks for none, or names no server for it."""
    smart = _mapping(_mapping(plan.assistant.get("startSpeakingPlan")).get("smartEndpointingPlan"))
    if smart.get("provider") != CUSTOM:
        return None
    server = _server(smart, plan)
    if server is None:
        return None
    envelope = {"call": {**plan.call, "id": plan.call_id, "orgId": plan.org_id}, "assistant": plan.assistant}
    return http.route(server, {name: _without_secrets(value) for name, value in envelope.items()})


def _server(smart: Mapping[str, Any], plan: CallPlan) -> Server | None:
    """Its own, else the assistant's (contract 7.1), else by the older spelling."""
    assistant = plan.assistant
    for holder in (_mapping(smart.get("server")), _mapping(assistant.get("server"))):
        place = whole_of(plan.keys, holder)
        url = place.get("url")
        if isinstance(url, str) and url:
            headers = {k: v for k, v in _mapping(place.get("headers")).items() if isinstance(v, str)}
            return Server(url, _text(place.get("secret")), headers)
    url = _text(assistant.get("serverUrl"))
    return Server(url, _text(assistant.get("serverUrlSecret"))) if url else None


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_secrets(item) for name, item in value.items() if name not in _SECRETS}
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

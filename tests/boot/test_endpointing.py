"""Where a call's endpointing model is, and what it is told of the call."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.adapters.endpointing.http import EndpointingHttp, HttpEndpointingModel, Server
from aywa.boot.endpointing import endpointing_route
from aywa.ports.calls import CallPlan
from aywa.ports.media import AudioFormat

PROVIDER = {"provider": "custom-endpointing-model"}
OWN = {"url": "https://own.example/", "secret": "s1", "headers": {"X-A": "b", "X-Odd": 5}}


class Told(EndpointingHttp):
    """Keeps where a route leads and what every message about the call will carry."""

    def route(self, server: Server, envelope: Any) -> HttpEndpointingModel:
        self.server, self.envelope = server, envelope
        return super().route(server, envelope)


def told(assistant: dict[str, Any], call: dict[str, Any] | None = None) -> Told | None:
    http = Told()
    plan = CallPlan(
        call_id="c1",
        org_id="o1",
        type="webCall",
        assistant=assistant,
        format=AudioFormat.PCM16,
        rate_hz=16_000,
        created_ms=0,
        call=call or {},
    )
    return None if endpointing_route(http, plan) is None else http


def smart(**plan: Any) -> dict[str, Any]:
    return {"startSpeakingPlan": {"smartEndpointingPlan": PROVIDER | plan}}


@pytest.mark.parametrize(
    ("assistant", "server"),
    [
        (smart(server=OWN), Server("https://own.example/", "s1", {"X-A": "b"})),
        (smart() | {"server": {"url": "https://desk.example/"}}, Server("https://desk.example/")),
        (
            smart(server=OWN) | {"server": {"url": "https://desk.example/"}},
            Server("https://own.example/", "s1", {"X-A": "b"}),
        ),
        (
            smart() | {"serverUrl": "https://old.example/", "serverUrlSecret": "s2"},
            Server("https://old.example/", "s2"),
        ),
    ],
)
def test_its_own_server_then_the_assistants(assistant: dict[str, Any], server: Server) -> None:
    http = told(assistant)
    assert http is not None
    assert http.server == server


@pytest.mark.parametrize(
    "assistant",
    [
        {},
        {"server": OWN},
        {"startSpeakingPlan": {"smartEndpointingPlan": {"provider": "livekit", "server": OWN}}},
        smart(),
        smart(server={"url": 5}) | {"serverUrl": 5},
    ],
)
def test_no_route_where_none_is_asked_for_or_no_server_named(assistant: dict[str, Any]) -> None:
    assert told(assistant) is None


def test_the_call_and_the_assistant_are_told_without_what_opens_doors() -> None:
    assistant = smart(server=OWN) | {
        "name": "Desk",
        "serverUrlSecret": "s2",
        "model": {"provider": "custom-llm", "headers": {"Authorization": "s3"}, "tools": [{"secret": "s4"}]},
    }
    http = told(assistant, {"metadata": {"order": 7}, "artifactBaseUrl": "https://x/token"})
    assert http is not None
    assert http.envelope["call"] == {"metadata": {"order": 7}, "id": "c1", "orgId": "o1"}
    assert http.envelope["assistant"] == {
        "name": "Desk",
        "startSpeakingPlan": {"smartEndpointingPlan": PROVIDER | {"server": {"url": "https://own.example/"}}},
        "model": {"provider": "custom-llm", "tools": [{}]},
    }

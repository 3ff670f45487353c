"""The figures' own port: answered by a thread of its own, whatever the calls' loop does."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from http.client import HTTPConnection
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aywa.boot.errors import CannotStart
from aywa.boot.metrics import Metrics
from aywa.boot.metrics_port import MetricsPort
from aywa.boot.metrics_wiring import open_metrics_port
from aywa.core.metrics import catalogue as the

TOKEN = "a-token-of-twenty-or-more"
ANY_PORT = {"RUNTIME_METRICS_PORT": "0"}


@pytest.fixture
async def metrics() -> AsyncIterator[Metrics]:
    made = Metrics()
    made.read(the.CALLS_MAX, lambda: 50.0)
    made.read(the.CALLS_TAKEN, lambda: 3.0)
    made.start()
    yield made
    await made.close()


async def opened(metrics: Metrics, **environment: str) -> MetricsPort:
    port = open_metrics_port(metrics, "127.0.0.1", loopback=True, environment={**ANY_PORT, **environment})
    assert port is not None
    return port


@pytest.fixture
async def port(metrics: Metrics) -> AsyncIterator[MetricsPort]:
    made = await opened(metrics)
    yield made
    await made.close()


@pytest.fixture
async def guarded(metrics: Metrics) -> AsyncIterator[MetricsPort]:
    made = await opened(metrics, RUNTIME_METRICS_TOKEN=TOKEN, RUNTIME_ENV="production")
    yield made
    await made.close()


async def ask(
    port: MetricsPort, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"http://127.0.0.1:{port.port}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.read()


def samples(text: str) -> dict[tuple[str, Any], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_both_pages_say_the_same(port: MetricsPort) -> None:
    status, text = await ask(port, "/metrics")
    other_status, page = await ask(port, "/metrics.json")
    assert (status, other_status) == (200, 200)
    as_json = {
        (sample["name"], tuple(sorted(sample["labels"].items()))): sample["value"]
        for metric in json.loads(page)["metrics"]
        for sample in metric["samples"]
    }
    assert samples(text.decode()) == as_json
    assert as_json["aywa_calls_max", ()] == 50


async def test_it_is_answered_while_the_loop_stands_still(port: MetricsPort) -> None:
    answers: list[tuple[int, str]] = []

    def read() -> None:
        connection = HTTPConnection("127.0.0.1", port.port, timeout=10)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        answers.append((answer.status, answer.read().decode()))
        connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    reader.join()  # in the loop's own thread, which does nothing else until the answer is there
    [(status, text)] = answers
    assert status == 200
    found = samples(text)
    assert found["aywa_calls_max", ()] == 50
    assert found["aywa_loop_silent_seconds", ()] > 0


async def test_what_the_parts_say_is_asked_again(metrics: Metrics, port: MetricsPort) -> None:
    said = 4.0
    metrics.read(the.CALLS_TAKEN, lambda: said)
    while samples((await ask(port, "/metrics"))[1].decode())["aywa_calls_taken_total", ()] != said:
        pass


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": "Bearer é"}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/metrics.json"])
async def test_only_the_token_opens_it(
    guarded: MetricsPort, path: str, headers: Mapping[str, str], status: int
) -> None:
    answered, body = await ask(guarded, path, headers=headers)
    assert answered == status
    assert (b"aywa_calls_max" in body) == (status == 200)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/call", 404),
        ("POST", "/metrics", 405),
        ("GET", "/metrics.json?historySeconds=60", 400),
    ],
)
async def test_there_is_nothing_else(port: MetricsPort, method: str, path: str, status: int) -> None:
    assert (await ask(port, path, method))[0] == status


async def test_there_is_none_unless_it_is_asked_for(metrics: Metrics) -> None:
    assert open_metrics_port(metrics, "127.0.0.1", loopback=True, environment={}) is None


@pytest.mark.parametrize(
    ("environment", "loopback", "told"),
    [
        ({"RUNTIME_METRICS_PORT": "http"}, True, "RUNTIME_METRICS_PORT"),
        ({"RUNTIME_METRICS_PORT": "70000"}, True, "RUNTIME_METRICS_PORT"),
        (ANY_PORT, False, "RUNTIME_METRICS_TOKEN is needed beside RUNTIME_METRICS_PORT"),
        (
            ANY_PORT | {"RUNTIME_ENV": "production"},
            True,
            "RUNTIME_METRICS_TOKEN is needed beside RUNTIME_METRICS_PORT",
        ),
    ],
)
async def test_what_cannot_be_is_refused(
    metrics: Metrics, environment: Mapping[str, str], loopback: bool, told: str
) -> None:
    with pytest.raises(CannotStart, match=told):
        open_metrics_port(metrics, "127.0.0.1", loopback=loopback, environment=environment)


async def test_a_port_that_is_taken_is_named(metrics: Metrics) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        with pytest.raises(CannotStart, match=f"port {taken}: .*choose another with RUNTIME_METRICS_PORT"):
            open_metrics_port(
                metrics, "127.0.0.1", loopback=True, environment={"RUNTIME_METRICS_PORT": taken}
            )

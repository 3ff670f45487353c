"""/metrics and /metrics.json: who may see them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from aywa.api.app import create_app
from aywa.api.settings import ApiSettings
from aywa.ports.analytics import AnalyticsUnavailable, HistoryQuery, HistoryStep, ProviderStep
from tests.api.conftest import Runtime

TOKEN = "a token that only the operator's Prometheus knows"
PATHS = ("/metrics", "/metrics.json")


@dataclass
class Pages:
    async def text(self) -> bytes:
        return b"aywa_calls_max 50.0\n"

    async def json(self) -> bytes:
        return b'{"atSeconds":1.0,"metrics":[]}'


def open_at(runtime: Runtime, settings: ApiSettings) -> None:
    runtime.app.state.settings = settings
    runtime.app.state.metrics = Pages()


@pytest.mark.parametrize("path", PATHS)
async def test_an_organisations_key_does_not_show_what_all_of_them_do(runtime: Runtime, path: str) -> None:
    open_at(runtime, ApiSettings(metrics_token=TOKEN))
    first = await runtime.services.orgs.default()
    _, operator = await runtime.services.keys.create(first.id, "operator")
    _, watching = await runtime.services.keys.create(first.id, "watching", scopes=("metrics:read",))
    _, calling = await runtime.services.keys.create(first.id, "calling", scopes=("calls:write",))
    _, public = await runtime.services.keys.create(first.id, "page", "public")
    other = await runtime.services.orgs.create("Another")
    _, theirs = await runtime.services.keys.create(other.id, "theirs")
    client = runtime.as_key(None)
    assert (await client.get(path)).status_code == 401
    expected = {"aywa_wrong": 401, public: 403, theirs: 403, TOKEN + "x": 401, operator: 200, TOKEN: 200}
    expected |= {watching: 200, calling: 403}
    for key, status in expected.items():
        answer = await client.get(path, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status, answer.text


async def test_each_page_says_what_it_is(runtime: Runtime) -> None:
    open_at(runtime, ApiSettings(metrics_open=True))
    text, as_json = [await runtime.as_key(None).get(path) for path in PATHS]
    assert (text.status_code, text.text) == (200, "aywa_calls_max 50.0\n")
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert (as_json.status_code, as_json.json()) == (200, {"atSeconds": 1.0, "metrics": []})


async def test_without_a_token_an_empty_one_opens_nothing(runtime: Runtime) -> None:
    open_at(runtime, ApiSettings())
    for given in ("", " ", "x"):
        answer = await runtime.as_key(None).get("/metrics", headers={"Authorization": f"Bearer {given}"})
        assert answer.status_code == 401


async def test_where_nothing_is_counted_there_is_no_page(runtime: Runtime) -> None:
    app = create_app(runtime.services, ApiSettings(metrics_open=True))
    runtime.app.state.metrics = app.state.metrics
    runtime.app.state.settings = app.state.settings
    assert (await runtime.as_key(None).get("/metrics")).status_code == 404


def test_the_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(ApiSettings(metrics_token=TOKEN))


# --- history ---------------------------------------------------------------------------------------------------------


@dataclass
class History:
    asked: list[HistoryQuery] = field(default_factory=list)
    problem: Exception | None = None

    async def __call__(self, query: HistoryQuery) -> list[HistoryStep]:
        if self.problem is not None:
            raise self.problem
        self.asked.append(query)
        provider = ProviderStep("llm", "openai", 9, 1, 200.0, 400.0)
        return [
            HistoryStep(
                query.start_ms, 3, {"customer-ended-call": 3}, 4.5, 0.12, 20, 650.0, 900.0, (provider,)
            ),
            HistoryStep(query.start_ms + 60_000),
        ]


async def test_the_history_stands_beside_the_figures(runtime: Runtime) -> None:
    open_at(runtime, ApiSettings(metrics_open=True))
    runtime.app.state.history = history = History()
    told = (await runtime.as_key(None).get("/metrics.json?historySeconds=7200&stepSeconds=60")).json()
    assert (told["atSeconds"], told["metrics"]) == (1.0, [])
    first, second = told["history"]
    assert first["ended"] == {"customer-ended-call": 3}
    assert (first["wireP95Ms"], first["cost"]) == (900.0, 0.12)
    [provider] = first["providers"]
    assert (provider["provider"], provider["failures"], provider["firstP50Ms"]) == ("openai", 1, 200.0)
    assert (second["calls"], second["wireP50Ms"], second["ended"]) == (0, None, {})
    [query] = history.asked
    assert (query.end_ms - query.start_ms, query.step_s) == (7_200_000, 60)


@pytest.mark.parametrize(
    ("query", "step_s"),
    [("historySeconds=60", 60), ("historySeconds=86400", 864), ("historySeconds=31622400", 316_224)],
)
async def test_a_step_is_a_hundredth_of_it(runtime: Runtime, query: str, step_s: int) -> None:
    open_at(runtime, ApiSettings(metrics_open=True))
    runtime.app.state.history = history = History()
    assert (await runtime.as_key(None).get(f"/metrics.json?{query}")).status_code == 200
    assert history.asked[0].step_s == step_s


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("historySeconds=59", 400),
        ("historySeconds=99999999", 400),
        ("historySeconds=soon", 400),
        ("historySeconds=86400&stepSeconds=1", 400),
        # More steps than anybody draws.
        ("historySeconds=31622400&stepSeconds=60", 400),
    ],
)
async def test_a_history_that_is_none_is_refused(runtime: Runtime, query: str, status: int) -> None:
    open_at(runtime, ApiSettings(metrics_open=True))
    runtime.app.state.history = History()
    assert (await runtime.as_key(None).get(f"/metrics.json?{query}")).status_code == status


async def test_without_clickhouse_there_is_none_and_while_it_is_away_that_is_said(runtime: Runtime) -> None:
    open_at(runtime, ApiSettings(metrics_open=True))
    none = await runtime.as_key(None).get("/metrics.json?historySeconds=3600")
    assert (none.status_code, "RUNTIME_ANALYTICS_CLICKHOUSE_URL" in none.text) == (404, True)
    runtime.app.state.history = History(problem=AnalyticsUnavailable("it is gone"))
    assert (await runtime.as_key(None).get("/metrics.json?historySeconds=3600")).status_code == 503
    assert (await runtime.as_key(None).get("/metrics.json")).status_code == 200

"""The same home in a file and in PostgreSQL: the bundle says the same of both, and knows the secrets of both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aywa.boot.support.bundle import Bundle, made
from aywa.boot.support.live import reach
from aywa.boot.support.rows import Unreadable, opened
from aywa.core.webhooks import Cause
from tests.boot.support.home import HEALTHY, Home, place, running
from tests.peers.postgres import Postgres, postgres

POSTGRES = "RUNTIME_STORE_POSTGRES_URL"
SECRET = "planted-and-sealed-0123"
CONTENT: dict[str, Any] = {
    "calls": [
        {
            "endedReason": "customer-ended-call",
            "events": [("RouteFailed", {"kind": "llm", "route": "openai", "code": "quota"})],
        },
        {"endedReason": f"call.in-progress.error-{SECRET}-died", "status": "in-progress"},
    ],
    "servers": [
        ("https://a.example/hook", Cause.ANSWERED, 500),
        ("https://b.example/hook", Cause.ANSWERED, 410),
    ],
    "credentials": [("deepgram", {"apiKey": SECRET})],
    "assistants": [{"model": {"provider": "openai"}, "server": {"url": "https://a.example/x"}}],
    "keys": ["aywa_key-of-the-tests"],
    "now_ms": 1_780_000_000_000,
    "waiting_ms": 1_780_000_000_000,
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres("fsync=off", "full_page_writes=off") as running_one:
        yield running_one


def files(bundle: Bundle) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in bundle.files.items()}


def test_it_says_the_same_of_both(cluster: Postgres, tmp_path: Path) -> None:
    one = Home(tmp_path / "one", **CONTENT).made()
    other = Home(tmp_path / "other", **CONTENT, postgres=cluster.address).made()
    with running(one) as where:
        in_file = files(made(where))
    with running(other, HEALTHY, **{POSTGRES: cluster.address}) as where:
        elsewhere = files(made(where))
    assert elsewhere["store.json"]["kind"] == "postgres"
    for name in ("calls.json", "configured.json"):
        assert elsewhere[name] == in_file[name]
    for name in ("states", "servers", "attempts", "disabled", "waiting"):
        assert elsewhere["webhooks.json"][name] == in_file["webhooks.json"][name]
    for name in ("rows", "open_calls", "sealed", "revision", "head", "pending", "readable"):
        assert elsewhere["store.json"][name] == in_file["store.json"][name]
    assert elsewhere["store.json"]["sealed"]["opened"] == 2
    assert SECRET not in json.dumps(elsewhere)
    assert elsewhere["reach.json"]["targets"][0]["outcome"] == "reached"


def test_what_keeps_it_from_being_read_is_named(cluster: Postgres, tmp_path: Path) -> None:
    codes = {}
    for name, url in {
        "no such database": cluster.address_of("nobody"),
        "nobody listens": f"postgresql://postgres@/postgres?host={tmp_path}",
        "nothing in it": cluster.address_of("template1"),
    }.items():
        with pytest.raises(Unreadable) as problem, opened(place(tmp_path, **{POSTGRES: url})) as rows:
            _ = rows("SELECT version_num FROM alembic_version")
        codes[name] = problem.value.code
    assert codes == {
        "no such database": "missing",
        "nobody listens": "unreachable",
        "nothing in it": "no_tables",
    }


def test_a_reader_cannot_write(cluster: Postgres, tmp_path: Path) -> None:
    with (
        opened(place(tmp_path, **{POSTGRES: cluster.address})) as rows,
        pytest.raises(Unreadable, match="failed"),
    ):
        _ = rows("CREATE TABLE planted (id text)")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://127.0.0.1:1/0", {"host": "127.0.0.1", "port": 1, "outcome": "refused"}),
        ("127.0.0.1:1", {"host": "127.0.0.1", "port": 1, "outcome": "refused"}),
        ("redis://u:p@127.0.0.1:1,10.0.0.1:2/0", {"host": "127.0.0.1", "port": 1, "outcome": "refused"}),
        ("redis://", {"outcome": "bad_url"}),
        ("redis://a:b:c", {"outcome": "bad_url"}),
    ],
)
def test_an_address_is_tried(url: str, told: dict[str, Any], tmp_path: Path) -> None:
    [found] = reach(place(tmp_path, REDIS_URL=url))["targets"]
    assert {name: value for name, value in found.items() if name != "ms"} == {"setting": "REDIS_URL", **told}

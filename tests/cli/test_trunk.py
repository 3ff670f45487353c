"""`aywa trunk list` against an API that is made up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from aywa.cli import app


class Api(BaseHTTPRequestHandler):
    """Answers /trunks."""

    rows: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        assert (self.path, self.headers["Authorization"]) == ("/trunks", "Bearer k")
        body = json.dumps(self.rows).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def row(state: str, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"registered": None, "answers": None, "reason": "", "since": None, "gateways": []}
    return {"id": "c0ffee", "name": "Carrier \u001b[2J", "state": state} | told | more


def run(url: str, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["trunk", "list", "--url", url, "--key", "k", *more])
    return result.exit_code, result.output


def test_trunks_that_are_well(url: str) -> None:
    Api.rows = [row("up", registered=True, since="2026-01-01T00:00:00.000Z"), row("unknown")]
    code, said = run(url)
    assert code == 0
    lines = said.splitlines()
    assert lines[0].split() == ["ID", "STATE", "REGISTERED", "ANSWERS", "SINCE", "(UTC)", "NAME"]
    assert lines[1].split()[:4] == ["c0ffee", "up", "yes", "-"]
    assert "2026-01-01 00:00:00" in lines[1]
    assert "\u001b" not in said


def test_a_trunk_that_is_down_is_an_exit_code(url: str) -> None:
    Api.rows = [row("down", answers=False, reason="cannot connect")]
    code, said = run(url)
    assert code == 1
    assert said.rstrip().endswith("(cannot connect)")


def test_as_json_and_without_any(url: str) -> None:
    Api.rows = [row("up")]
    code, said = run(url, "--json")
    assert (code, json.loads(said)) == (0, Api.rows)
    Api.rows = []
    code, said = run(url)
    assert (code, "byo-sip-trunk" in said) == (0, True)

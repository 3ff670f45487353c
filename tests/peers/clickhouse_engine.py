"""ClickHouse's engine (chdb) behind as much of its HTTP interface as its Python client needs: a program for a process of its own.

Given a port, or 0, and an address, it prints the port it has, and answers until its standard input ends. Statements, parameters,
formats and errors are the engine's own; sessions, users but one, and compression of answers are not there.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import lz4.frame  # type: ignore[import-untyped]
from chdb import session

USER, PASSWORD = "aywa", "clickhouse-password-of-the-tests"
_INSERT = re.compile(r"\s*INSERT\s+INTO\s+(?P<into>.+?)\s+FORMAT\s+Native\s*\Z", re.S | re.I)
_INLINE = re.compile(rb"\s*INSERT\s[^\n]*?FORMAT\s+Native\s*?\n", re.I)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.I)
_CODE = re.compile(r"Code: (\d+)")


class Engine:
    """One at a time: the engine in process has one connection."""

    def __init__(self, folder: str) -> None:
        self._session: Any = session.Session(f"{folder}/engine")  # type: ignore[no-untyped-call]
        self._folder = folder
        self._lock = threading.Lock()

    def run(self, query: str, database: str, values: dict[str, str], body: bytes) -> bytes:
        """Raises RuntimeError with the engine's own text."""
        with self._lock:
            if database:
                _ = self._session.query(f"USE `{database}`")
            insert = _INSERT.match(query)
            if insert is not None:
                with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".native") as file:
                    Path(file.name).write_bytes(body)
                    text = f"INSERT INTO {insert['into']} SELECT * FROM file('{file.name}', 'Native')"
                    return self._bytes(text, "TabSeparated", {})
            found = _FORMAT.search(query)
            kind = found[1] if found else "TabSeparated"
            return self._bytes(query[: found.start()] if found else query, kind, values)

    def _bytes(self, text: str, kind: str, values: dict[str, str]) -> bytes:
        answer = self._session.query(text, kind, params=values) if values else self._session.query(text, kind)
        return bytes(answer.bytes()) if answer is not None else b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave together.
    wbufsize = 1 << 16
    engine: ClassVar[Engine]

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = self._chunks()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "lz4":
            body = lz4.frame.decompress(body)
        self._answer(body)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            _ = self.rfile.readline()
        _ = self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        address = urlsplit(self.path)
        if address.path == "/ping":
            self._send(200, b"Ok.\n")
            return
        asked = dict(parse_qsl(address.query, keep_blank_values=True))
        if not self._known():
            self._fail("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", 403)
            return
        query, body = (asked["query"], body) if "query" in asked else _split(body)
        values = {
            name.removeprefix("param_"): value for name, value in asked.items() if name.startswith("param_")
        }
        try:
            self._send(200, self.engine.run(query, asked.get("database", ""), values, body))
        except Exception as error:  # noqa: BLE001 - whatever the engine says is the answer
            self._fail(str(error), 500)

    def _known(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(given).decode() == f"{USER}:{sys.argv[2]}"

    def _fail(self, text: str, status: int) -> None:
        found = _CODE.search(text)
        self._send(status, text.encode(), {"X-ClickHouse-Exception-Code": found[1] if found else "1002"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def _split(body: bytes) -> tuple[str, bytes]:
    """A statement, and the data that follow it in its request."""
    insert = _INLINE.match(body)
    end = insert.end() if insert else len(body)
    return body[:end].decode(), body[end:]


def main() -> None:
    folder = tempfile.mkdtemp(prefix="aywa-clickhouse-")
    Handler.engine = Engine(folder)
    server = ThreadingHTTPServer((sys.argv[3], int(sys.argv[1])), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        _ = sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    # The engine's own end may take for ever.
    os._exit(0)


if __name__ == "__main__":
    main()

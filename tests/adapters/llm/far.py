"""A server that speaks OpenAI's streamed chat completions, written from the public documentation on bare TCP.

It can also be made to break every rule of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

CUT = object()
"""The connection is reset here."""
HOLD = object()
"""Nothing more is said, until the server goes."""

Step = bytes | object


@dataclass
class Request:
    """As it came."""

    line: str
    headers: dict[str, str]
    body: Any


@dataclass
class Far:
    """answers: what is sent for each request, the last one again and again. open: connections that are open now."""

    answers: list[Sequence[Step]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    url: str = ""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if not await self._answer(reader, writer, answer):
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self.gone.set()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Sequence[Step]
    ) -> bool:
        for step in answer:
            if step is CUT:
                writer.transport.abort()
                return False
            if step is HOLD:
                over = asyncio.ensure_future(self._over.wait())
                left = asyncio.ensure_future(reader.read(1))
                await asyncio.wait([over, left], return_when=asyncio.FIRST_COMPLETED)
                for one in (over, left):
                    one.cancel()
                await asyncio.gather(over, left, return_exceptions=True)
                return False
            assert isinstance(step, bytes)
            writer.write(step)
            await writer.drain()
            # Each step in a packet of its own, as a model's tokens come.
            await asyncio.sleep(0)
        return True


async def _read(reader: asyncio.StreamReader) -> Request | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(head[0], headers, json.loads(body) if body else None)


@asynccontextmanager
async def far_side(*answers: Sequence[Step]) -> AsyncIterator[Far]:
    far = Far(list(answers))
    server = await asyncio.start_server(far._serve, "127.0.0.1", 0)
    far.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield far
    finally:
        far._over.set()
        server.close()
        async with asyncio.timeout(10):
            while far.open:  # noqa: ASYNC110 - whoever is left is about to go
                await asyncio.sleep(0.01)


# --- the wire ----------------------------------------------------------------------------------------------------


def head(status: str = "200 OK", content_type: str = "text/event-stream; charset=utf-8", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", "Transfer-Encoding: chunked", *more]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def piece(data: bytes) -> bytes:
    """A chunk of the transfer coding."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


END = b"0\r\n\r\n"
DONE = piece(b"data: [DONE]\n\n")


def event(**fields: Any) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "m",
        "system_fingerprint": "fp",
        "usage": None,
        **fields,
    }
    return piece(b"data: " + json.dumps(chunk).encode() + b"\n\n")


def delta(finish_reason: str | None = None, **fields: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish_reason}])


def usage(prompt: int, completion: int, cached: int = 0) -> bytes:
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
    }
    return event(choices=[], usage=counts)


def spoken(text: str) -> list[bytes]:
    """A whole answer, word by word."""
    words = [delta(content=word) for word in text.split(" ")[:1]]
    words += [delta(content=f" {word}") for word in text.split(" ")[1:]]
    return [
        head(),
        delta(role="assistant", content="", refusal=None),
        *words,
        delta("stop"),
        usage(20, len(words)),
        DONE,
        END,
    ]


def plain(status: str, content_type: str, body: bytes, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *more]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def failure(status: str, message: str, kind: str, code: str) -> bytes:
    error = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return plain(status, "application/json", json.dumps(error).encode())

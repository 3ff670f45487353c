"""Reads a request's body: within the limit, JSON that can be kept and read back the same; refuses everything else."""

from __future__ import annotations

import asyncio
import json
import math
import re
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from aywa.api.settings import ApiSettings

DEPTH_MAX = 64
_INTEGER_MAX = 2**63 - 1
_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class BadBody(Exception):
    """The body is not JSON as RFC 8259 has it, or cannot be kept."""


class BodyTooLarge(Exception):
    """The body is longer than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"longer than {limit} bytes")
        self.limit = limit


async def read_json(request: Request, settings: ApiSettings) -> Any:
    """The body; None when it is empty. Raises BadBody, BodyTooLarge."""
    raw = await read_bytes(request, settings)
    if not raw.strip():
        return None
    if len(raw) > settings.inline_bytes:
        return await asyncio.to_thread(parse, raw)
    return parse(raw)


async def read_bytes(request: Request, settings: ApiSettings) -> bytes:
    """The body. Raises BadBody, and BodyTooLarge before it has read much more than the limit."""
    stated = request.headers.get("content-length", "0")
    if stated.isdigit() and int(stated[:12]) > settings.payload_bytes:
        raise BodyTooLarge(settings.payload_bytes)
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > settings.payload_bytes:
                raise BodyTooLarge(settings.payload_bytes)
    except ClientDisconnect:
        raise BadBody("The client left before its body was whole.") from None
    return bytes(raw)


def parse(raw: bytes) -> Any:
    """The value. Raises BadBody."""
    try:
        value = json.loads(
            raw.decode("utf-8"), parse_constant=_no_constant, parse_float=_float, parse_int=_int
        )
    except RecursionError:
        raise BadBody(f"The body is nested more than {DEPTH_MAX} levels deep.") from None
    except UnicodeDecodeError:
        raise BadBody("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise BadBody(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    _check(value, strings=_ESCAPE.search(raw) is not None)
    return value


def _check(root: Any, *, strings: bool) -> None:
    level = [root]
    for _ in range(DEPTH_MAX):
        following: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                following.extend(value.values())
                if strings:
                    following.extend(value.keys())
            elif isinstance(value, list):
                following.extend(value)
            elif strings and isinstance(value, str):
                _check_string(value)
        if not following:
            return
        level = following
    raise BadBody(f"The body is nested more than {DEPTH_MAX} levels deep.")


def _check_string(value: str) -> None:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise BadBody(
            "The body holds a string with U+0000 or half of a surrogate pair, which cannot be kept."
        )


def _no_constant(name: str) -> Any:
    raise BadBody(f"The body is not JSON: {name} is not a number.")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise BadBody("The body holds a number that is too large.")
    return value


def _int(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > _INTEGER_MAX:
        raise BadBody("The body holds an integer of more than 64 bits.")
    return int(text)

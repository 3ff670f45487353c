"""Answers that are already JSON text, and binary ones of which a client may ask for a part."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


class StoredJson(Response):
    """JSON text as it is."""

    media_type = "application/json"


def ranged(
    request: Request,
    size: int,
    read: Callable[[int, int], Iterator[bytes] | AsyncIterator[bytes]],
    media_type: str,
    name: str,
) -> Response:
    """The bytes that read(start, end) gives: all, or the one range that was asked for (RFC 9110, 14.2).

    Several ranges, and units that nobody knows, are answered with everything, as the RFC allows.
    """
    headers = {"Accept-Ranges": "bytes", "Content-Disposition": f'inline; filename="{name}"'}
    start, end, status = 0, size, 200
    wanted = _RANGE.match(request.headers.get("range", "").strip())
    if wanted is not None and wanted.group(0) != "bytes=-":
        bounds = _bounds(wanted.group(1), wanted.group(2), size)
        if bounds is None:
            return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
        start, end = bounds
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(read(start, end), status, headers, media_type)


def _bounds(first: str, last: str, size: int) -> tuple[int, int] | None:
    if not first:
        length = min(int(last), size)
        return (size - length, size) if length else None
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    return (start, end) if start < min(end, size) else None

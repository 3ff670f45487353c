"""`aywa timeline`: a call as a ladder: when, who, what and why; each turn's latency as a bar of its parts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from aywa.cli import runtime

BAR_MS = 40.0
"""Milliseconds that one character of a bar stands for."""
BAR_LENGTH_MAX = 60
DETAILS_LENGTH_MAX = 200


def timeline(
    call_id: Annotated[str, typer.Argument(help="The call's id (`aywa calls`).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the entries as a JSON array.")] = False,
    url: Annotated[
        str | None, typer.Option("--url", help="The runtime. [AYWA_URL, this machine's store]")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")
    ] = None,
) -> None:
    """Show what happened in a call, and why."""
    call, entries = runtime.timeline(call_id, url, key)
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    typer.echo(runtime.printable(heading(call)))
    width = shutil.get_terminal_size((120, 24)).columns
    for entry in entries:
        typer.echo(rung(entry)[: max(width, 60)])


def heading(call: Mapping[str, Any]) -> str:
    """The call in one line."""
    ended = f", {call['endedReason']}" if call.get("endedReason") else ""
    return f"Call {call['id']}: {call.get('type', '')}, {call.get('status', '')}{ended}, from {call['createdAt']}"


def rung(entry: Mapping[str, Any]) -> str:
    """An entry in one line."""
    if entry["kind"] == "turn-latency":
        what = latency_bar(entry["details"])
    else:
        what = entry["kind"]
        if entry["reason"]:
            what += f": {entry['reason']}"
        if entry["text"]:
            # What was said is quoted, what is told is not.
            what += f"  {entry['text']}" if entry["kind"].startswith("route-") else f'  "{entry["text"]}"'
        elif entry["source"] != "message":
            what += _details(entry["details"])
    return runtime.printable(f"{entry['atSeconds']:9.3f} s  {entry['source']:8}  {what}")


def latency_bar(details: Mapping[str, Any]) -> str:
    """A turn's latency: a bar in which each part has its first letter, a dot is nobody's."""
    parts: Mapping[str, float] = details.get("partsMs") or {}
    bar = "".join(
        ("." if name == "unattributed" else name[0]) * round(ms / BAR_MS) for name, ms in parts.items()
    )
    total = float(details.get("wireMs") or details.get("latencyMs") or 0)
    bar = bar.ljust(round(total / BAR_MS), ".")[:BAR_LENGTH_MAX]
    said = ", ".join(f"{name} {ms:.0f}" for name, ms in parts.items())
    return f"turn {details.get('turnId')}: {total:.0f} ms |{bar}| {said}"


def _details(details: Mapping[str, Any]) -> str:
    shown = " ".join(
        f"{name}={_value(value)}" for name, value in details.items() if value not in (None, "", [], {})
    )
    return f"  ({shown[:DETAILS_LENGTH_MAX]})" if shown else ""


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value)

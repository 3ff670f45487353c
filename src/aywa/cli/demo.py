"""`aywa demo`: calls a runtime, its own if none runs, and prints a scorecard measured on the caller's side of the wire.

Exits 1 and names the promise when one was broken. It refuses to take the runtime's word for any figure.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from aywa.cli import address

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.status import Status

    from aywa.boot.demo import Demo, Target
    from aywa.testing.scorecard import Bounds

_PLAIN_WIDTH = 120
# The larger model thinks longer than a conversation likes; the promise about time is the default model's.
_QUALITY_P95_MS = 3500.0


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Without language model weights: answers by rules.")
    ] = False,
    quality: Annotated[bool, typer.Option("--quality", help="With the larger language model.")] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Call this runtime. [AYWA_URL, one that runs here, one of its own]"),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")
    ] = None,
) -> None:
    """Call itself, and score the call at the wire.

    Five questions with pauses inside, one barge-in, one "mhm". Needs no network. Exit codes: 0 all went well, 1 a promise
    was broken or the call failed, 2 wrong usage.

    \b
    aywa demo
    aywa demo --json --tiny
    """
    if tiny and quality:
        raise typer.BadParameter("give --tiny or --quality, not both")
    options = ["--tiny"] * tiny + ["--quality"] * quality
    with _Progress() as progress:
        found = _run(url, key, options, progress.tell)
    broken = found.scorecard.broken(_bounds(quality))
    if as_json:
        typer.echo(json.dumps(_figures(found), indent=2))
    else:
        _show(found, quality)
    for promise in broken:
        typer.echo(f"broken: {promise}", err=True)
    if broken:
        _explain(found)
        raise typer.Exit(1)


def _run(url: str | None, key: str | None, options: list[str], tell: Callable[[str], None]) -> Demo:
    from aywa.boot.demo import run_blocking
    from aywa.ports.errors import ProviderError
    from aywa.testing.caller import CallerError, NoRuntime
    from aywa.testing.runtime import RuntimeFailed

    try:
        return run_blocking(_target(url, key, options), options, tell)
    except NoRuntime as error:
        _fail(f"{error}; start one with script/run or `aywa dev`, or leave --url out")
    except (CallerError, RuntimeFailed, ProviderError) as error:
        _fail(str(error))


def _target(url: str | None, key: str | None, options: list[str]) -> Target | None:
    """The runtime that was asked for, else one that runs here; None: the demo starts its own."""
    from aywa.boot.demo import Target, running

    place = address.url_of(url)
    if not address.is_given(url) and (options or not asyncio.run(running(place))):
        return None
    return Target(place, address.key_of(key) or "")


def _bounds(quality: bool) -> Bounds:
    from aywa.testing.scorecard import Bounds

    return Bounds(latency_p95_ms=_QUALITY_P95_MS) if quality else Bounds()


def _figures(found: Demo) -> dict[str, object]:
    card = found.scorecard
    return {
        "turns": card.turns,
        "voice_to_voice_ms": {"p50": _whole(card.latency_ms(50)), "p95": _whole(card.latency_ms(95))},
        "barge_in_stop_ms": _whole(card.stop_ms(95)),
        "false_cutoffs": card.cutoffs,
        "unexplained_gaps": card.gaps,
        "heard_truth_errors": card.truth_errors,
        "peak_rss_mb": _whole(found.peak_rss_mb),
        "call_ids": [found.placed.call_id],
    }


def _show(found: Demo, quality: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from aywa.testing import wire

    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    turns = Table(box=None, pad_edge=False)
    turns.add_column("the caller said")
    turns.add_column("answered after ms", justify="right")
    for turn in wire.latencies(found.placed.record):
        turns.add_row(turn.label, _text(turn.audible_ms))
    console.print(turns)
    console.print()
    console.print(_table(found, quality))
    console.print()
    good = not found.scorecard.broken(_bounds(quality))
    console.print("All promises were kept." if good else "A promise was broken.")
    console.print(f"See what was decided, and why: aywa timeline {found.placed.call_id}", soft_wrap=True)


def _table(found: Demo, quality: bool) -> object:
    from rich.table import Table

    card, bounds = found.scorecard, _bounds(quality)
    table = Table(box=None, pad_edge=False)
    table.add_column("measured on the caller's side of the wire")
    table.add_column("", justify="right")
    table.add_column("promised")
    latency = f"{_text(card.latency_ms(50))} / {_text(card.latency_ms(95))} ms"
    for row in (
        ("turns answered", f"{card.turns} of {card.asked}", "all"),
        ("voice to voice p50 / p95", latency, f"p95 <= {bounds.latency_p95_ms:.0f} ms"),
        ("barge-in: silent after", f"{_text(card.stop_ms(95))} ms", f"<= {bounds.barge_in_ms:.0f} ms"),
        ("caller cut off", str(card.cutoffs), "0"),
        ("silence that nobody can explain", str(card.gaps), "0"),
        ('"mhm" took the floor', str(card.floor_taken), "0"),
        ("history differs from what was heard", str(card.truth_errors), "0"),
        ("runtime's peak memory", f"{_text(found.peak_rss_mb)} MB", ""),
    ):
        table.add_row(*row)
    return table


def _explain(found: Demo) -> None:
    """What a person needs to find the place."""
    from aywa.testing import wire

    record = found.placed.record
    for cut in wire.cutoffs(record):
        place = f"{cut.into_ms / 1000:.1f} s into it, at {cut.at_s - record.opened_s:.1f} s of the call"
        typer.echo(f"  cut off in {cut.label!r}, {place}", err=True)
    for gap in wire.gaps(record):
        typer.echo(
            f"  silent for {gap.length_s:.1f} s from {gap.at_s - record.opened_s:.1f} s of the call", err=True
        )
    for verdict in found.verdicts:
        if not verdict.truthful:
            typer.echo(f"  history: {verdict.kept!r}\n  heard:   {verdict.heard!r}", err=True)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _fail(text: str) -> NoReturn:
    typer.echo(f"aywa demo: {text}", err=True)
    raise typer.Exit(1)


class _Progress:
    """What is happening: a spinner on a terminal with the latest line, else a line each; on standard error."""

    def __init__(self) -> None:
        self._status: Status | None = None

    def __enter__(self) -> _Progress:
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True, highlight=False, markup=False).status("")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def tell(self, text: str) -> None:
        """Shows a line."""
        if self._status:
            from rich.text import Text

            self._status.console.print(text)
            self._status.update(Text(text))
        else:
            typer.echo(text, err=True)

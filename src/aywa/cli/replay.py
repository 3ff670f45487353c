"""`aywa replay`: decides a recorded call again, and shows what other settings would have changed. Changes nothing."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from aywa.cli import runtime

if TYPE_CHECKING:
    from aywa.boot.replay import Change
    from aywa.ports.journal import JournalRecord
    from aywa.ports.store import Store

_PLAIN_WIDTH = 120
_CALLER_MAX = 34
PAGE = 500
TESTS = Path("tests") / "replays"
_SUFFIX = ".json.gz"


def replay(
    call_id: Annotated[str, typer.Argument(help="The call's id (`aywa calls`).")] = "",
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Another setting, FIELD=VALUE: stopSpeakingPlan.numWords=2. null: its default."
        ),
    ] = None,
    assistant: Annotated[
        Path | None, typer.Option("--assistant", help="A file with the assistant to put in the call's place.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All calls that have ended.")] = False,
    since: Annotated[
        str, typer.Option("--since", help="With --all: no older than 30m, 12h, 7d, or a date.")
    ] = "7d",
    save_test: Annotated[
        str | None, typer.Option("--save-test", help="Keep the call as a regression test of this name.")
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where tests are kept.")] = TESTS,
    redact: Annotated[
        bool, typer.Option("--redact", help="With --save-test: placeholders in the place of what was said.")
    ] = False,
    test: Annotated[
        Path | None, typer.Option("--test", help="Replay a kept test, or all of a folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: Annotated[
        str | None, typer.Option("--url", help="The runtime. [AYWA_URL, this machine's store]")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")
    ] = None,
) -> None:
    """Decide a recorded call again from its record.

    Tells whether it came out identical, or what differs first; with --set, what would have changed. Exit codes: 0 all
    decisions are the recorded ones (or another engine version took the call), 1 they differ or there is no such call, 2
    wrong usage or settings, 3 the record is damaged and what is left of it was replayed.

    \b
    aywa replay CALL_ID
    aywa replay CALL_ID --set stopSpeakingPlan.numWords=2
    aywa replay --all --since 7d --set startSpeakingPlan.waitSeconds=0.6 --json
    aywa replay CALL_ID --save-test barge-in
    """
    if sum((bool(call_id), every, test is not None)) != 1:
        raise typer.BadParameter("give a call's id, or --all, or --test FILE")
    if save_test is not None and not call_id:
        raise typer.BadParameter("--save-test keeps one call: give its id")
    if redact and save_test is None:
        raise typer.BadParameter("--redact goes with --save-test")
    change = _change(sets or [], assistant)
    if test is not None:
        _tests(test, change, as_json)
    elif every:
        _all(since, change, url, key, as_json)
    else:
        records = _records(call_id, url, key)
        if save_test is not None:
            _save(call_id, records, folder, save_test, redact)
        _one(call_id, records, change, as_json)


# --- the three uses ------------------------------------------------------------------------------------------------


def _one(call_id: str, records: Sequence[JournalRecord], change: Change, as_json: bool) -> None:
    from aywa.boot.replay import exit_code
    from aywa.boot.replay import replay as replayed

    with _refusals():
        found = replayed(call_id, records, change)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _show(found)
    raise typer.Exit(exit_code([found]))


def _all(since: str, change: Change, url: str | None, key: str | None, as_json: bool) -> None:
    from aywa.boot.replay import exit_code, since_ms, sum_up
    from aywa.boot.replay import replay as replayed

    try:
        from_ms = since_ms(since, time.time_ns() // 1_000_000)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"--since must be like 30m, 12h, 7d or 2026-11-20, got {since[:80]!r}"
        ) from None
    reports: list[dict[str, Any]] = []
    refused: list[str] = []

    def take(call_id: str, records: Sequence[JournalRecord]) -> None:
        from aywa.boot.replay import Refused

        try:
            reports.append(replayed(call_id, records, change))
        except Refused as error:
            refused.append(f"{call_id}: {'; '.join(error.problems)}")

    with _progress() as tell:
        _each_call(from_ms, url, key, take, tell)
    total = sum_up(reports)
    if as_json:
        typer.echo(json.dumps({"sum": total, "refused": refused, "calls": reports}, indent=2))
    elif not reports and not refused:
        typer.echo(f"No call has ended since {since}.")
    else:
        _show_sum(total, reports)
    for line in refused:
        typer.echo(f"the settings do not go with {runtime.printable(line)}", err=True)
    raise typer.Exit(2 if refused else exit_code(reports))


def _tests(place: Path, change: Change, as_json: bool) -> None:
    from aywa.boot.replay import exit_code, report
    from aywa.journal.replay.saved import BadTest, load

    files = sorted(place.glob(f"*{_SUFFIX}")) if place.is_dir() else [place]
    if not files:
        runtime.fail(f"There is no test (*{_SUFFIX}) in {place}.")
    reports: list[dict[str, Any]] = []
    for path in files:
        try:
            recording = load(path.read_bytes())
        except OSError as error:
            runtime.fail(f"{path}: {error.strerror}")
        except BadTest as error:
            runtime.fail(f"{path}: {error}")
        with _refusals():
            reports.append(report(recording, change) | {"test": path.name.removesuffix(_SUFFIX)})
    if as_json:
        typer.echo(json.dumps(reports[0] if not place.is_dir() else reports, indent=2))
    else:
        for found in reports:
            typer.echo(f"{found['test']}:")
            _show(found)
    # A test expects these decisions, whatever version once made them.
    failed = any(found["identical"] is not True for found in reports)
    raise typer.Exit(max(1, exit_code(reports)) if failed else exit_code(reports))


def _save(call_id: str, records: Sequence[JournalRecord], folder: Path, name: str, redact: bool) -> None:
    from aywa.journal.replay.recording import read_recording
    from aywa.journal.replay.saved import BadTest, NotRedacted, save

    if not name or not all(letter.isalnum() or letter in "-_." for letter in name) or name.startswith("."):
        raise typer.BadParameter(f"a test's name has letters, digits, - _ and . only, got {name[:80]!r}")
    try:
        content, kept_short = save(read_recording(call_id, records), redact)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}{_SUFFIX}"
        path.write_bytes(content)
    except (BadTest, NotRedacted) as error:
        runtime.fail(f"Not kept: {error}.")
    except OSError as error:
        runtime.fail(f"Not kept: {error.filename}: {error.strerror}")
    typer.echo(f"kept as {path} ({len(content) / 1000:.1f} kB)", err=True)
    if not redact:
        typer.echo(
            "It holds what was said in the call, and the assistant's prompt: --redact replaces them.",
            err=True,
        )
    elif kept_short:
        typer.echo(
            "Words of up to 4 letters are kept as they were: decisions rest on some of them.", err=True
        )


# --- where calls are read ------------------------------------------------------------------------------------------


def _records(call_id: str, url: str | None, key: str | None) -> Sequence[JournalRecord]:
    if runtime.asks_runtime(url):
        return _log(call_id, url, key)

    async def read(store: Store) -> Sequence[JournalRecord]:
        return await store.events(None, call_id)

    found = runtime.in_store(read)
    if not found:
        from aywa.boot.store import home

        runtime.fail(
            f"There is no record of call {runtime.printable(call_id)} in {home()} (another runtime: --url or AYWA_URL)."
        )
    return found


def _log(
    call_id: str, url: str | None, key: str | None, *, missing: bytes | None = None
) -> Sequence[JournalRecord]:
    from aywa.boot.replay import read_log

    path = f"/call/{quote(call_id, safe='')}/call-logs"
    return read_log(call_id, runtime.fetch_bytes(path, url, key, missing=missing))


def _each_call(
    from_ms: int,
    url: str | None,
    key: str | None,
    take: Callable[[str, Sequence[JournalRecord]], None],
    tell: Callable[[int, int], None],
) -> None:
    """Hands over the records of every call that has ended, the newest first."""
    if runtime.asks_runtime(url):
        calls = asyncio.run(_pages(lambda until_ms: _asked(from_ms, until_ms, url, key)))
        for number, call_id in enumerate(calls, 1):
            records = _log(call_id, url, key, missing=b"")
            if records:
                take(call_id, records)
            else:
                typer.echo(f"Call {runtime.printable(call_id)} is left out: it has no log.", err=True)
            tell(number, len(calls))
        return

    async def read(store: Store) -> None:
        found: list[str] = []
        for organisation in await store.organisations.list():
            found += await _pages(partial(_stored, store, organisation.id, from_ms))
        for number, call_id in enumerate(found, 1):
            take(call_id, await store.events(None, call_id))
            tell(number, len(found))

    runtime.in_store(read)


async def _asked(
    from_ms: int, until_ms: int | None, url: str | None, key: str | None
) -> list[dict[str, Any]]:
    from aywa.service.clock import iso

    until = "" if until_ms is None else f"&createdAtLe={quote(iso(until_ms))}"
    found: list[dict[str, Any]] = runtime.fetch(
        f"/call?limit={PAGE}&createdAtGe={quote(iso(from_ms))}{until}", url, key
    )
    return found


async def _stored(store: Store, org_id: str, from_ms: int, until_ms: int | None) -> list[dict[str, Any]]:
    from aywa.ports.store import ListQuery, Span

    query = ListQuery(PAGE, Span(ge=from_ms, le=until_ms))
    return [json.loads(text) for text in await store.calls.list(org_id, query)]


async def _pages(page: Callable[[int | None], Awaitable[list[dict[str, Any]]]]) -> list[str]:
    """The ids of the calls that have ended, of all pages. A page begins with the millisecond that the last one ended in."""
    known: dict[str, bool] = {}
    until_ms: int | None = None
    while True:
        calls = await page(until_ms)
        known |= {str(call["id"]): call.get("status") == "ended" for call in calls}
        if len(calls) < PAGE:
            return [call_id for call_id, ended in known.items() if ended]
        last_ms = round(datetime.fromisoformat(calls[-1]["createdAt"]).timestamp() * 1000)
        until_ms = last_ms - 1 if last_ms == until_ms else last_ms


# --- what is asked -------------------------------------------------------------------------------------------------


def _change(sets: Sequence[str], assistant: Path | None) -> Change:
    from aywa.boot.replay import read_change

    draft = None
    if assistant is not None:
        try:
            draft = json.loads(assistant.read_text("utf-8"))
        except OSError as error:
            raise typer.BadParameter(f"--assistant {assistant}: {error.strerror}") from None
        except ValueError as error:
            raise typer.BadParameter(f"--assistant {assistant} is not JSON: {error}") from None
    with _refusals():
        return read_change(sets, draft)


@contextmanager
def _refusals() -> Iterator[None]:
    """Settings that are refused are a line each, and exit code 2."""
    from aywa.boot.replay import Refused

    try:
        yield
    except Refused as error:
        for problem in error.problems:
            typer.echo(runtime.printable(problem), err=True)
        raise typer.Exit(2) from None


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from rich.console import Console

    with Console(stderr=True, highlight=False).status("reading the calls") as status:
        yield lambda done, of: status.update(f"call {done} of {of}")


# --- what is shown -------------------------------------------------------------------------------------------------


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)


def _show(found: Mapping[str, Any]) -> None:
    say = _console().print
    version = found["engine_version"]
    say(
        runtime.printable(
            f"Call {found['call_id']}: {found['length_s']:.1f} s, {found['decisions']} decisions"
        )
    )
    for line in _damage(found["damage"]):
        say(line, soft_wrap=True)
    if found["identical"]:
        say("Identical: every decision came out as it was recorded.")
    elif found["identical"] is None:
        say("Nothing could be replayed.")
    else:
        _show_difference(found["first_difference"], version)
    if found["what_if"] is not None:
        _show_what_if(found)


def _damage(damage: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    shown = 5
    for each in damage[:shown]:
        yield runtime.printable(f"Damaged at record {each['seq']} ({each['at_s']:.3f} s): {each['what']}")
    if len(damage) > shown:
        yield f"... and {len(damage) - shown} more places (--json lists them)"


def _show_difference(difference: Mapping[str, Any], version: Mapping[str, str]) -> None:
    say = _console().print
    place = f"record {difference['seq']}, after {difference['after']}"
    say(runtime.printable(f"Different from {difference['at_s']:.3f} s on ({place}):"))
    for name in ("machine", "recorded", "new"):
        say(runtime.printable(f"  {'now' if name == 'new' else name:9} {difference[name]}"), soft_wrap=True)
    if difference["after_damage"]:
        say("  Part of the record before it is missing, which may be why.")
    if version["recorded"] != version["replayed"]:
        say(
            runtime.printable(
                f"  The call was taken by engine {version['recorded'] or '(unknown)'}, this is {version['replayed']}:"
                f" {difference['machine']} decides otherwise now."
            ),
            soft_wrap=True,
        )


def _show_what_if(found: Mapping[str, Any]) -> None:
    from rich.table import Table

    console = _console()
    tried = found["what_if"]
    asked = ", ".join(f"{name}={json.dumps(value)}" for name, value in _flat(tried["settings"]))
    console.print()
    console.print(runtime.printable(f"What if: {asked or 'the assistant of the file'}"), soft_wrap=True)
    if not tried["effective"]:
        console.print("These settings are the call's own: no machine goes by anything else.")
    if not tried["reproduced"]:
        console.print("Take care: without the change the model does not give this call as it was recorded.")
    if found["changes"]:
        table = Table(box=None, pad_edge=False)
        table.add_column("at s", justify="right")
        table.add_column("the caller said", max_width=_CALLER_MAX, no_wrap=True)
        table.add_column("reply ms", justify="right")
        table.add_column("would be", justify="right")
        table.add_column("what changes")
        for change in found["changes"]:
            table.add_row(*_change_row(change))
        console.print(table)
    else:
        console.print("Nothing would have changed.")
    console.print()
    console.print(_figures(tried["recorded"], tried["new"]))
    if found["estimated"]:
        console.print(
            f"~ estimated: from {tried['estimated_from_s']:.1f} s on it rests on answers that nobody gave."
        )
    if tried["open_end"]:
        console.print("The recorded call was over before this one would have ended.")


def _change_row(change: Mapping[str, Any]) -> tuple[str, ...]:
    mark = "~ " if change["estimated"] else ""
    return (
        f"{change['at_s']:.2f}",
        runtime.printable(change["caller"]),
        _ms((change["recorded"] or {}).get("latency_ms")),
        _ms((change["new"] or {}).get("latency_ms")),
        runtime.printable(mark + ", ".join(change["what"])),
    )


_NAMES = {
    "turns": "turns answered",
    "latency_ms_mean": "end of turn to reply, mean ms",
    "cut_offs": "replies that cut the caller off",
    "interruptions": "interruptions by the caller",
    "floor_kept": "interjections that did not interrupt",
    "words_heard": "words heard by the caller",
    "replies_discarded": "replies begun early and discarded",
}


def _figures(before: Mapping[str, Any], after: Mapping[str, Any]) -> object:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("in sum")
    table.add_column("as it was", justify="right")
    table.add_column("would be", justify="right")
    for name, label in _NAMES.items():
        table.add_row(label, _ms(before[name]), _ms(after[name]))
    return table


def _show_sum(total: Mapping[str, Any], reports: Sequence[Mapping[str, Any]]) -> None:
    console = _console()
    console.print(
        f"{total['calls']} calls, {total['length_s'] / 60:.1f} minutes, {total['decisions']} decisions:"
        f" {total['identical']} identical, {total['different']} different, {total['damaged']} damaged"
    )
    for each in reports:
        difference = each["first_difference"]
        if difference is not None:
            place = f"at {difference['at_s']:.3f} s, {difference['machine']}: {difference['new']}"
            console.print(runtime.printable(f"  {each['call_id']} {place}"), soft_wrap=True)
        for line in list(_damage(each["damage"]))[:1]:
            console.print(runtime.printable(f"  {each['call_id']} {line}"), soft_wrap=True)
    tried = total["what_if"]
    if tried is None:
        return
    console.print()
    median = "" if tried["shift_ms_median"] is None else f" (median {tried['shift_ms_median']:+.0f} ms)"
    console.print(
        f"What if, over {tried['calls']} calls: {tried['calls_changed']} would have changed;"
        f" {tried['replies_earlier']} replies earlier, {tried['replies_later']} later{median}."
    )
    console.print(_figures(tried["recorded"], tried["new"]))
    if tried["calls_estimated"]:
        console.print(f"~ {tried['calls_estimated']} of the calls are estimated in part.")
    if tried["left_out"]:
        console.print(f"{tried['left_out']} calls that the model does not give again are left out.")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"

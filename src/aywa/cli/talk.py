"""`aywa talk`: plays a WAV to a runtime as the caller's microphone, in real time, and records both sides.

Prints the turns as they were at the wire. It refuses to judge them: `aywa demo` does.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from aywa.cli import address
from aywa.cli.files import unwritable

if TYPE_CHECKING:
    from aywa.testing.caller import Placed, ScriptedCaller
    from aywa.testing.script import Step
    from aywa.testing.sound import Sound
    from aywa.testing.truth import Exchange
    from aywa.testing.wire import TextEvent

# How long the caller stays on the line after the WAV, and how long a pause ends the last reply.
AFTERWARDS_S = 20.0
LAST_QUIET_S = 1.0
GREETING_S = 10.0
TELEPHONE_HZ = 8000
ASSISTANT: dict[str, Any] = {"name": "Talk", "firstMessage": "Hello, how can I help you?"}
_PLAIN_WIDTH = 120


class Format(StrEnum):
    """How the audio goes over the wire."""

    PCM16 = "pcm16"
    MULAW = "mulaw"


def talk(
    wav: Annotated[
        Path, typer.Option("--wav", help="What the caller says: a WAV of any rate, mono or stereo.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Where to write the call: left caller, right assistant.")
    ],
    url: Annotated[
        str | None, typer.Option("--url", help="The runtime. [AYWA_URL, http://127.0.0.1:8080]")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")
    ] = None,
    assistant: Annotated[str | None, typer.Option("--assistant", help="Id of the assistant to call.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    audio: Annotated[Format, typer.Option("--format", help="Audio on the wire.")] = Format.PCM16,
    after_greeting: Annotated[
        bool,
        typer.Option("--after-greeting", help="Begin after the greeting, not at once like a microphone."),
    ] = False,
    sip: Annotated[
        str | None, typer.Option("--sip", help="Dial this SIP address instead: sip:demo@127.0.0.1:5060.")
    ] = None,
    username: Annotated[str, typer.Option("--username", help="With --sip: who calls, if asked.")] = "",
    password: Annotated[
        str, typer.Option("--password", envvar="AYWA_SIP_PASSWORD", help="With --sip: his password.")
    ] = "",
) -> None:
    """Call an assistant with a WAV as the microphone.

    Records both sides and prints the turns. Afterwards it keeps the line open until the last reply has ended, at most 20 s.
    Ctrl-C hangs up. Exit codes: 0 the call took place, 1 it could not, 2 wrong usage or a file that cannot be used.

    \b
    aywa talk --wav question.wav --out call.wav
    aywa talk --wav question.wav --out call.wav --assistant 7c0c… --json
    aywa talk --sip sip:demo@127.0.0.1:5060 --wav question.wav --out call.wav
    """
    import asyncio

    from aywa.testing.caller import CallerError, NoRuntime

    sound = _read(wav)
    _check_writable(out)
    url = address.url_of(url)
    key = address.key_of(key)
    if sip is not None:
        steps = _steps(sound.pcm(TELEPHONE_HZ), after_greeting, told=False)
        placed = asyncio.run(_call_by_sip(sip, steps, (username, password), (url, key or "")))
        _write(out, placed)
        _show(placed, as_json)
        return
    try:
        placed = asyncio.run(_call(_caller(url, key, audio), assistant or ASSISTANT, sound, after_greeting))
    except NoRuntime as error:
        _fail(f"{error}; start one with script/run or `aywa dev`", 1)
    except CallerError as error:
        _fail(f"{error}{_key_hint(error, key)}", 1)
    _write(out, placed)
    _show(placed, as_json)


def _read(path: Path) -> Sound:
    from aywa.testing.sound import NotAWav, read_wav

    try:
        return read_wav(path.read_bytes())
    except OSError as error:
        _fail(f"{path} cannot be read: {error.strerror}; name a WAV file that is there", 2)
    except NotAWav as error:
        _fail(f"{path} is not a usable WAV: {error}", 2)


def _check_writable(path: Path) -> None:
    """Before the call, not after it."""
    if problem := unwritable(path):
        _fail(f"{path} cannot be written: {problem}; name another file with --out", 2)


def _caller(url: str, key: str | None, audio: Format) -> ScriptedCaller:
    from aywa.ports.media import AudioFormat
    from aywa.testing.caller import ScriptedCaller

    wire = AudioFormat.MULAW if audio is Format.MULAW else AudioFormat.PCM16
    return ScriptedCaller(url, key or "", audio=wire, on_event=_tell)


async def _call(
    caller: ScriptedCaller, assistant: str | dict[str, Any], sound: Sound, after_greeting: bool
) -> Placed:
    import asyncio
    import signal
    from contextlib import suppress

    steps = _steps(sound.pcm(caller.rate_hz), after_greeting, told=True)
    # Only the main thread of a process hears signals.
    with suppress(ValueError, RuntimeError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, caller.hang_up)
    return await caller.call(assistant, steps)


def _steps(pcm: bytes, after_greeting: bool, *, told: bool) -> list[Step]:
    from aywa.testing.script import Say, WaitReply

    steps: list[Step] = [Say(pcm), WaitReply(AFTERWARDS_S, LAST_QUIET_S, told=told)]
    return [WaitReply(GREETING_S, told=told), *steps] if after_greeting else steps


async def _call_by_sip(
    uri: str, steps: list[Step], account: tuple[str, str], runtime: tuple[str, str]
) -> Placed:
    """Over the telephone: the runtime's own document of the call gives the words, where it can be had."""
    import asyncio
    import signal
    from contextlib import suppress

    from aywa.cli.softphone import still_quiet
    from aywa.testing.caller import Placed, call_by_sip_id
    from aywa.testing.softphone.lines import host_towards
    from aywa.testing.softphone.message import NotSip, complete_uri
    from aywa.testing.softphone.phone import Setup
    from aywa.testing.softphone.talk import Dial, Softphone, audible

    try:
        uri = complete_uri(uri)
        setup = Setup(await host_towards(uri), username=account[0], password=account[1])
        phone = Softphone(setup, on_quiet=still_quiet)
        with suppress(ValueError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, phone.hang_up)
        talked = await phone.call(Dial(uri), steps)
    except (NotSip, OSError) as error:
        _fail(f"{uri} cannot be dialled: {error}; write sip:user@host:port", 2)
    if not talked.connected:
        why = talked.error or f"{talked.phone.status} {talked.phone.reason}"
        _fail(f"{uri} did not answer: {why}", 1)
    sip_id = talked.phone.dialog.call_id if talked.phone.dialog else ""
    document = await call_by_sip_id(*runtime, sip_id)
    return Placed(str(document.get("id") or sip_id), audible(talked.record), document, None)


def _tell(event: TextEvent) -> None:
    message = event.message
    if message.get("type") == "transcript" and message.get("transcriptType") == "final":
        typer.echo(f"{message.get('role')}: {message.get('transcript')}", err=True)
    elif message.get("type") == "error":
        typer.echo(f"the runtime says: {message.get('message')}", err=True)


def _write(path: Path, placed: Placed) -> None:
    from aywa.testing.sound import write_wav
    from aywa.testing.wire import stereo

    try:
        path.write_bytes(write_wav(stereo(placed.record), placed.record.rate_hz))
    except OSError as error:
        _fail(f"{path} cannot be written: {error.strerror}; call {placed.call_id} is not recorded here", 1)


def _show(placed: Placed, as_json: bool) -> None:
    from aywa.testing.truth import exchanges, history

    turns = exchanges(placed.record, history(placed.record, placed.call))
    if as_json:
        rows = [_row(turn) for turn in turns]
        answer = {"call_id": placed.call_id, "turns": rows, "ended_reason": placed.ended_reason}
        typer.echo(json.dumps(answer, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("caller", "ended s", "reply s", "latency ms", "assistant"):
        table.add_column(title, justify="left" if title in ("caller", "assistant") else "right")
    for turn in turns:
        times = (
            f"{turn.user_end_ms / 1000:.2f}",
            f"{turn.reply_start_ms / 1000:.2f}",
            f"{turn.latency_ms:.0f}",
        )
        table.add_row(turn.user_text, *times, turn.assistant_text)
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    console.print(table)
    console.print(f"call {placed.call_id} ended: {placed.ended_reason}", soft_wrap=True)


def _row(turn: Exchange) -> dict[str, object]:
    return {
        "user_text": turn.user_text,
        "user_end_ms": round(turn.user_end_ms),
        "reply_start_ms": round(turn.reply_start_ms),
        "latency_ms": round(turn.latency_ms),
        "assistant_text": turn.assistant_text,
    }


def _key_hint(error: Exception, key: str | None) -> str:
    if getattr(error, "status", None) != 401:
        return ""
    if key is None:
        return f"; give --key or set AYWA_API_KEY (there is no {address.key_file()} from `aywa dev`)"
    return "; give the right key with --key or AYWA_API_KEY"


def _fail(text: str, code: int) -> NoReturn:
    typer.echo(f"aywa talk: {text}", err=True)
    raise typer.Exit(code)

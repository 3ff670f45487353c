"""`aywa softphone`: a telephone in the terminal, for tests and demonstrations. Dials or answers, speaks a WAV, presses keys.

It says as JSON what it heard and when. It speaks SIP and RTP with code of its own and refuses to judge.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from aywa.cli.files import unwritable

if TYPE_CHECKING:
    from aywa.testing.script import Step
    from aywa.testing.softphone.talk import Answer, Dial, Softphone, Talked
    from aywa.testing.sound import Sound

# How long the phone stays on the line after the WAV, and how long a pause ends the last reply.
AFTERWARDS_S = 20.0
LAST_QUIET_S = 1.0
GREETING_S = 10.0
KEYS = re.compile(r"[0-9*#A-Da-d]*")


class Over(StrEnum):
    """What carries the signalling."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class Law(StrEnum):
    """G.711's two laws."""

    MU = "pcmu"
    A = "pcma"


def softphone(
    uri: Annotated[
        str | None, typer.Argument(help="Whom to dial: sip:demo@127.0.0.1:5060. Not with --answer.")
    ] = None,
    answer: Annotated[bool, typer.Option("--answer", help="Wait to be called instead of dialling.")] = False,
    wav: Annotated[
        Path | None, typer.Option("--wav", help="What the phone says: a WAV of any rate, mono or stereo.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write the call: left this phone, right the other.")
    ] = None,
    keys: Annotated[str, typer.Option("--keys", help="Keys to press after the WAV: 0-9 * # A-D.")] = "",
    hold: Annotated[float, typer.Option("--hold", min=0, help="Seconds on hold, after the keys.")] = 0.0,
    talk: Annotated[float, typer.Option("--talk", min=0, help="Seconds to stay silent on the line.")] = 0.0,
    after_greeting: Annotated[
        bool, typer.Option("--after-greeting", help="Speak after the greeting, not at once.")
    ] = False,
    transport: Annotated[Over, typer.Option("--transport", help="What carries the signalling.")] = Over.UDP,
    host: Annotated[
        str | None, typer.Option("--host", help="Address of this phone. [the one that leads there]")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of this phone; 0: a free one.")
    ] = 0,
    username: Annotated[str, typer.Option("--username", help="For a far side that asks.")] = "",
    password: Annotated[
        str, typer.Option("--password", envvar="AYWA_SIP_PASSWORD", help="For a far side that asks.")
    ] = "",
    codec: Annotated[Law | None, typer.Option("--codec", help="Only this one. [both]")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", help="Name: value, for the INVITE.")] = None,
    refuse: Annotated[
        int, typer.Option("--refuse", min=0, max=699, help="With --answer: refuse with this status.")
    ] = 0,
    ring: Annotated[
        float | None,
        typer.Option(
            "--ring", min=0, help="Seconds to let it ring: before giving up [60], or answering [0.2]."
        ),
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="With --answer: seconds to wait for a call.")
    ] = 60.0,
    words: Annotated[
        bool, typer.Option("--words", help="Recognise what was heard, with the models on this machine.")
    ] = False,
) -> None:
    """Dial a SIP address, or wait to be called.

    Prints as JSON what was heard and when. Ctrl-C hangs up. After the WAV it keeps the line open until the reply has ended,
    at most 20 s. Exit codes: 0 the call took place, 1 it did not, 2 wrong usage or a file that cannot be used.

    \b
    aywa softphone sip:demo@127.0.0.1:5060 --wav question.wav --after-greeting --out call.wav
    aywa softphone --answer --port 5070 --wav hello.wav
    """
    import asyncio

    from aywa.testing.softphone.phone import Setup
    from aywa.testing.softphone.talk import Answer, Dial, Softphone

    if (uri is None) == (not answer):
        _fail("name whom to dial, or say --answer; not both", 2)
    _check(keys, out)
    headers = _headers(header or [])
    uri = None if uri is None else _whole(uri)
    begin: Dial | Answer
    if uri is not None:
        begin = Dial(uri, headers, 60.0 if ring is None else ring)
    else:
        begin = Answer(wait, 0.2 if ring is None else ring, refuse)
    laws = {None: (0, 8), Law.MU: (0,), Law.A: (8,)}[codec]
    setup = Setup(
        host or _host_towards(uri), port, transport.value, username=username, password=password, payloads=laws
    )
    steps = _steps(None if wav is None else _read(wav), after_greeting, keys, hold, talk)
    phone = Softphone(setup, on_ready=_tell if uri is None else None, on_quiet=still_quiet)
    try:
        talked = asyncio.run(_call(phone, begin, steps))
    except OSError as error:
        _fail(f"{setup.host} port {setup.port} cannot be opened: {error.strerror or error}", 1)
    if out is not None:
        _write(out, talked)
    _show(talked, words)
    if not talked.connected:
        raise typer.Exit(1)


def _check(keys: str, out: Path | None) -> None:
    """Before the call, not after it."""
    if KEYS.fullmatch(keys) is None:
        _fail(f"--keys can be 0-9 * # A-D, not {keys[:40]!r}", 2)
    if out is not None and (problem := unwritable(out)):
        _fail(f"{out} cannot be written: {problem}; name another file with --out", 2)


def _whole(uri: str) -> str:
    from aywa.testing.softphone.message import NotSip, complete_uri

    try:
        return complete_uri(uri)
    except NotSip as error:
        _fail(f"{uri} cannot be dialled: {error}; write sip:user@host:port", 2)


def _steps(sound: Sound | None, after_greeting: bool, keys: str, hold: float, talk: float) -> list[Step]:
    from aywa.testing.script import Hold, Keys, Pause, Say, WaitReply
    from aywa.testing.softphone.rtp import RATE_HZ

    steps: list[Step] = [WaitReply(GREETING_S)] if after_greeting else []
    if sound is not None:
        steps += [Say(sound.pcm(RATE_HZ)), WaitReply(AFTERWARDS_S, LAST_QUIET_S)]
    if keys:
        steps += [Keys(keys), WaitReply(2.0)]
    if hold:
        steps += [Hold(hold), Pause(1.0)]
    if talk:
        steps.append(Pause(talk))
    return steps or [WaitReply(GREETING_S, LAST_QUIET_S)]


async def _call(phone: Softphone, begin: Dial | Answer, steps: list[Step]) -> Talked:
    import asyncio
    import signal
    from contextlib import suppress

    # Only the main thread of a process hears signals.
    with suppress(ValueError, RuntimeError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, phone.hang_up)
    return await phone.call(begin, steps)


def _show(talked: Talked, words: bool) -> None:
    from aywa.testing.softphone.talk import report

    told: dict[str, Any] = report(talked)
    if words and talked.record.received:
        told["words"] = _recognised(talked)
    typer.echo(json.dumps(told, indent=2))


def _recognised(talked: Talked) -> str:
    """All that was heard, as the local recogniser writes it."""
    import asyncio

    from aywa.boot.speech import open_speech
    from aywa.ports.errors import ProviderError

    heard = b"".join(frame.pcm for frame in talked.record.received)

    async def recognise() -> str:
        async with open_speech(ear=True) as speech:
            return await speech.recognise(heard, talked.record.rate_hz)

    try:
        return asyncio.run(recognise())
    except ProviderError as error:
        _fail(str(error), 1)


def _host_towards(uri: str | None) -> str:
    """The address of this machine from which the far side is reached."""
    import asyncio

    from aywa.testing.softphone.lines import host_towards
    from aywa.testing.softphone.message import NotSip

    if uri is None:
        return "127.0.0.1"
    try:
        return asyncio.run(host_towards(uri))
    except (NotSip, OSError) as error:
        _fail(f"{uri} cannot be dialled: {error}; write sip:user@host:port", 2)


def _headers(lines: list[str]) -> list[tuple[str, str]]:
    from aywa.testing.softphone.writing import headers_of

    try:
        return headers_of(lines)
    except ValueError as error:
        _fail(str(error), 2)


def _read(path: Path) -> Sound:
    from aywa.testing.sound import NotAWav, read_wav

    try:
        return read_wav(path.read_bytes())
    except OSError as error:
        _fail(f"{path} cannot be read: {error.strerror}; name a WAV file that is there", 2)
    except NotAWav as error:
        _fail(f"{path} is not a usable WAV: {error}", 2)


def _write(path: Path, talked: Talked) -> None:
    from aywa.testing.sound import write_wav
    from aywa.testing.wire import stereo

    try:
        path.write_bytes(write_wav(stereo(talked.record), talked.record.rate_hz))
    except OSError as error:
        _fail(f"{path} cannot be written: {error.strerror}", 1)


def _tell(uri: str) -> None:
    typer.echo(f"waiting at {uri}", err=True)


def still_quiet(place: tuple[str, int]) -> None:
    """Says that nothing has answered so far; the phone goes on trying."""
    typer.echo(f"no answer from {place[0]} port {place[1]} yet: is a SIP port open there?", err=True)


def _fail(text: str, code: int) -> NoReturn:
    typer.echo(f"aywa softphone: {text}", err=True)
    raise typer.Exit(code)

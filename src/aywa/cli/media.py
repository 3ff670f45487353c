"""`aywa media check`: acts as telephony equipment towards a runtime and says whether the runtime keeps to its protocol."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import urlsplit

import typer

from aywa.cli import address, media_address, runtime
from aywa.cli.files import unwritable

if TYPE_CHECKING:
    from aywa.testing.equipment.base import Equipment, Facts
    from aywa.testing.equipment.call import EquipmentCaller
    from aywa.testing.equipment.run import Api, Checked
    from aywa.testing.sound import Sound

app = typer.Typer(help="Show and try the media sockets of equipment.", no_args_is_help=True)

PROTOCOLS = (
    "twilio", "telnyx", "signalwire", "exotel", "plivo", "vonage", "audiosocket", "chan_websocket", "audio_fork",
    "audio_stream", "jambonz",
)  # fmt: skip
VARIANTS = {
    "signalwire": ("enveloped",),
    "chan_websocket": ("json",),
    "audio_fork": ("files", "plain"),
    "audio_stream": ("files",),
    "jambonz": ("files",),
}
"""What an equipment may be besides: events in envelopes, control as JSON, playing files instead of streams, without marks."""
_MARKS = {True: "ok  ", False: "FAIL", None: "note"}


app.command("address")(media_address.address)


@app.callback()
def media() -> None:
    """Media sockets of telephony equipment."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was asked for. name: of the assistant or number, None for one that is made for the check."""

    protocol: str
    variant: str
    name: str | None
    media: str
    rate_hz: int | None
    facts: Facts
    token: str = field(repr=False)


@app.command()
def check(
    protocol: Annotated[str, typer.Option("--protocol", help=f"One of: {', '.join(PROTOCOLS)}.")],
    wav: Annotated[
        Path, typer.Option("--wav", help="What the caller says: a WAV of any rate, mono or stereo.")
    ],
    assistant: Annotated[
        str | None, typer.Option("--assistant", help="Id of an assistant. [one made for the check]")
    ] = None,
    number: Annotated[
        str | None, typer.Option("--number", help="Id of a phone number, instead of an assistant's.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="The runtime's API. [AYWA_URL, http://127.0.0.1:8080]")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")
    ] = None,
    media: Annotated[
        str | None,
        typer.Option(
            "--media", help="The media port: ws://host:port, for audiosocket tcp://host:port. [the API's + 1]"
        ),
    ] = None,
    token: Annotated[
        str,
        typer.Option("--token", envvar="AYWA_MEDIA_TOKEN", help="What opens the media address, if asked."),
    ] = "",
    secret: Annotated[
        str,
        typer.Option(
            "--secret", envvar="AYWA_EQUIPMENT_SECRET", help="The vendor's: signs, or is shown at the door."
        ),
    ] = "",
    rate: Annotated[
        int | None, typer.Option("--rate", help="Of the audio in Hz. [the protocol's first]")
    ] = None,
    variant: Annotated[
        str,
        typer.Option(
            "--variant",
            help="enveloped (signalwire), json (chan_websocket), files, plain (FreeSWITCH), files (jambonz).",
        ),
    ] = "",
    caller: Annotated[str, typer.Option("--from", help="The caller's number.")] = "+4930123456",
    called: Annotated[str, typer.Option("--to", help="The number that was called.")] = "+4930654321",
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", help="name=value that the vendor passes on.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where to write the call: left the caller, right what he heard."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Be a caller behind a vendor's equipment. Connects, speaks into the greeting, says a WAV, presses a key, hangs up.

    Says whether the runtime kept to the vendor's documentation, to marks, clears and the clock. With a key it makes an
    assistant for the check and removes it, and compares the playout position told with what was heard.
    Exit codes: 0 all is well, 1 something must be mended, 2 wrong usage or a file that cannot be used.

    \b
    aywa media check --protocol twilio --wav question.wav
    aywa media check --protocol vonage --rate 16000 --assistant 7c0c… --wav question.wav --out call.wav
    aywa media check --protocol audiosocket --media tcp://127.0.0.1:9092 --wav question.wav --json
    """
    import asyncio

    from aywa.testing.caller import CallerError
    from aywa.testing.equipment.base import Facts

    _check_names(protocol, variant)
    if assistant is not None and number is not None:
        _fail("name an assistant or a phone number, not both", 2)
    sound = _read(wav)
    if out is not None and (problem := unwritable(out)):
        _fail(f"{out} cannot be written: {problem}; name another file with --out", 2)
    facts = Facts(caller, called, parameters=_parameters(parameter or []), secret=secret)
    base = address.url_of(url)
    wanted = _Wanted(
        protocol, variant, assistant or number, media or _media_of(base, protocol), rate, facts, token
    )
    try:
        checked = asyncio.run(_run(wanted, sound, base, address.key_of(key)))
    except CallerError as error:
        _fail(str(error), 1)
    if out is not None:
        _write(out, checked)
    _show(checked, as_json)
    if not checked.good:
        raise typer.Exit(1)


async def _run(wanted: _Wanted, sound: Sound, base: str, key: str | None) -> Checked:
    from aywa.testing.equipment.run import Api, run

    api: Api | None = Api(base, key) if key else None
    if wanted.name is not None:
        caller = _caller(wanted, wanted.name)
        return await run(caller, sound.pcm(caller.equipment.rate_hz), api)
    if api is None:
        _fail(f"name an assistant with --assistant, or give --key (there is no {address.key_file()})", 2)
    async with api.assistant() as made:
        caller = _caller(wanted, made)
        return await run(caller, sound.pcm(caller.equipment.rate_hz), api)


def _caller(wanted: _Wanted, name: str) -> EquipmentCaller:
    from aywa.testing.equipment.call import EquipmentCaller
    from aywa.testing.equipment.line import with_query

    equipment = _equipment(wanted, name)
    where = wanted.media.rstrip("/")
    if wanted.protocol != "audiosocket":
        where = f"{where}/media/{wanted.protocol}/{name}"
    if wanted.token:
        where = with_query(where, {"token": wanted.token})
    return EquipmentCaller(equipment, where)


def _equipment(wanted: _Wanted, name: str) -> Equipment:
    from aywa.testing.equipment.known import EQUIPMENT, facts_for

    kind = EQUIPMENT[wanted.protocol]
    if wanted.rate_hz is not None and wanted.rate_hz not in kind.rates_hz:
        _fail(f"{wanted.protocol} has {', '.join(map(str, kind.rates_hz))} Hz, not {wanted.rate_hz}", 2)
    facts = facts_for(wanted.protocol, wanted.facts)
    if wanted.protocol == "audiosocket":
        facts = replace(facts, call_id=name)
    more: dict[str, Any] = {}
    if wanted.protocol == "vonage":
        more["issued_s"] = time.time()
    match wanted.variant:
        case "enveloped":
            more["enveloped"] = True
        case "json":
            more["as_json"] = True
        case "files":
            more["playback" if wanted.protocol == "audio_stream" else "streaming"] = False
        case "plain":
            more["marks"] = False
        case _:
            pass
    if wanted.rate_hz not in (None, 8000) and wanted.protocol not in ("plivo", "vonage"):
        from aywa.testing.equipment.coding import Coding

        more["coding"] = Coding.LINEAR
    return kind(facts, rate_hz=wanted.rate_hz, **more)


def _check_names(protocol: str, variant: str) -> None:
    if protocol not in PROTOCOLS:
        _fail(f"--protocol can be {', '.join(PROTOCOLS)}, not {runtime.printable(protocol)[:40]}", 2)
    if variant and variant not in VARIANTS.get(protocol, ()):
        known = ", ".join(VARIANTS.get(protocol, ())) or "none"
        _fail(f"--variant of {protocol} can be {known}, not {runtime.printable(variant)[:40]}", 2)


def _media_of(base: str, protocol: str) -> str:
    """Beside the API, as `aywa dev` has it."""
    parts = urlsplit(base)
    if protocol == "audiosocket":
        _fail("AudioSocket has a port of its own: name it with --media tcp://host:port", 2)
    scheme = "wss" if parts.scheme == "https" else "ws"
    port = (parts.port or (443 if scheme == "wss" else 80)) + 1
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{scheme}://{host}:{port}"


def _parameters(written: list[str]) -> dict[str, str]:
    found = {}
    for one in written:
        name, equals, value = one.partition("=")
        if not name or not equals:
            _fail(f"--parameter is name=value, not {runtime.printable(one)[:40]}", 2)
        found[name] = value
    return found


def _read(path: Path) -> Sound:
    from aywa.testing.sound import NotAWav, read_wav

    try:
        return read_wav(path.read_bytes())
    except OSError as error:
        _fail(f"{path} cannot be read: {error.strerror}; name a WAV file that is there", 2)
    except NotAWav as error:
        _fail(f"{path} is not a usable WAV: {error}", 2)


def _write(path: Path, checked: Checked) -> None:
    from aywa.testing.sound import write_wav
    from aywa.testing.wire import stereo

    record = checked.called.record
    try:
        path.write_bytes(write_wav(stereo(record), record.rate_hz))
    except OSError as error:
        _fail(f"{path} cannot be written: {error.strerror}", 1)


def _show(checked: Checked, as_json: bool) -> None:
    from aywa.testing.equipment import report

    if not as_json:
        for finding in checked.findings:
            typer.echo(f"{_MARKS[finding.good]}  {finding.what}: {runtime.printable(finding.told)}")
            if finding.good is False and finding.mend:
                typer.echo(f"      {finding.mend}")
        return
    rows = [
        {"what": one.what, "good": one.good, "told": one.told, "mend": one.mend or None}
        for one in checked.findings
    ]
    told = report.as_json(checked.called, checked.measures)
    more = {"call_id": checked.call.get("id"), "ended_reason": checked.call.get("endedReason")}
    typer.echo(json.dumps({"good": checked.good, **told, **more, "findings": rows}, indent=2))


def _fail(text: str, code: int) -> NoReturn:
    typer.echo(f"aywa media check: {text}", err=True)
    raise typer.Exit(code)

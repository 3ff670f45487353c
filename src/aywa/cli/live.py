"""`aywa calls listen|say|control|take-over`: a running call heard and steered from the shell, by its `monitor`."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlsplit

import typer

from aywa.cli import runtime
from aywa.cli.files import unwritable

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_S = 30.0
TAKEN_WITHIN_S = 10.0
SWITCHES = ("mute-assistant", "unmute-assistant", "mute-customer", "unmute-customer", "say-first-message")

CallId = Annotated[str, typer.Argument(help="The call's id (`aywa calls`).")]
Url = Annotated[str | None, typer.Option("--url", help="The runtime. [AYWA_URL, http://127.0.0.1:8080]")]
Key = Annotated[str | None, typer.Option("--key", help="API key. [AYWA_API_KEY, the key of `aywa dev`]")]


def say(
    call_id: CallId,
    text: Annotated[str, typer.Argument(help="What the assistant says.")],
    interrupt: Annotated[
        bool, typer.Option("--interrupt", help="In the place of what it is saying now.")
    ] = False,
    end_call: Annotated[bool, typer.Option("--end-call", help="Hang up after it.")] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Have the assistant of a running call say something.

    \b
    aywa calls say CALL_ID "Your order has just left."
    aywa calls say CALL_ID "We have to stop here. Goodbye!" --interrupt --end-call
    """
    message = {"type": "say", "content": text}
    _control(call_id, message | _flags(interrupt=interrupt, end_call=end_call), url, key)


def _flags(*, interrupt: bool, end_call: bool) -> dict[str, bool]:
    wanted = {"interruptAssistantEnabled": interrupt, "endCallAfterSpoken": end_call}
    return {name: True for name, given in wanted.items() if given}


def control(
    call_id: CallId,
    action: Annotated[str, typer.Argument(help=f"One of {', '.join(SWITCHES)}, or a type of control.")],
    content: Annotated[
        str | None, typer.Option("--content", help="Of add-message: the text; of transfer: said before it.")
    ] = None,
    role: Annotated[str, typer.Option("--role", help="Of add-message.")] = "system",
    to: Annotated[
        str | None, typer.Option("--to", help="Of transfer: a number (+4930123456) or a SIP address.")
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Steer a running call.

    Mute and unmute, add to its history, pass the caller on, end it.

    \b
    aywa calls control CALL_ID mute-assistant
    aywa calls control CALL_ID add-message --content "The customer is a VIP."
    aywa calls control CALL_ID transfer --to +4930123456 --content "One moment."
    aywa calls control CALL_ID end-call
    """
    _control(call_id, _message(action, content, role, to), url, key)


def _message(action: str, content: str | None, role: str, to: str | None) -> dict[str, Any]:
    if action in SWITCHES:
        return {"type": "control", "control": action}
    message: dict[str, Any] = {"type": action}
    if action == "add-message":
        return message | {"message": {"role": role, "content": content or ""}}
    if to is not None:
        sip = to.startswith(("sip:", "sips:"))
        message["destination"] = {"type": "sip", "sipUri": to} if sip else {"type": "number", "number": to}
    return message if content is None else message | {"content": content}


def listen(
    call_id: CallId,
    out: Annotated[Path, typer.Option("--out", help="The WAV to write: left customer, right assistant.")],
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.1, help="Stop after so long. [at the call's end]")
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Listen to a running call.

    Writes what both sides say until the call ends, or Ctrl-C.

    \b
    aywa calls listen CALL_ID --out live.wav
    aywa calls listen CALL_ID --out live.wav --seconds 5
    """
    import asyncio

    if problem := unwritable(out):
        runtime.fail(f"{out} cannot be written: {problem}; name another file with --out")
    monitor = _monitor(call_id, url, key)
    heard = bytearray()
    try:
        asyncio.run(_hear(monitor, key, heard, seconds))
    except KeyboardInterrupt:
        pass
    except OSError as error:
        runtime.fail(f"The call cannot be listened to: {error}")
    _write(out, bytes(heard))
    typer.echo(f"{len(heard) / 64_000:.1f} s written to {out}")


def take_over(
    call_id: CallId,
    wav: Annotated[Path, typer.Option("--wav", help="What the person says: a WAV of any rate.")],
    give_back: Annotated[
        str, typer.Option("--give-back", help="What the assistant should know when it has the caller again.")
    ] = "",
    url: Url = None,
    key: Key = None,
) -> None:
    """Speak to a running call's caller in the assistant's place.

    With a recording; then it gives the caller back.

    \b
    aywa calls take-over CALL_ID --wav person.wav --give-back "I promised a refund."
    """
    import asyncio

    from aywa.testing.sound import NotAWav, read_wav

    try:
        sound = read_wav(wav.read_bytes())
    except (OSError, NotAWav) as error:
        runtime.fail(f"{wav} is not a usable WAV: {error}")
    monitor = _monitor(call_id, url, key)
    try:
        asyncio.run(_speak(monitor, key, sound.pcm(16_000), give_back))
    except (OSError, TimeoutError) as error:
        runtime.fail(f"The call cannot be taken over: {str(error) or 'nobody answered in time'}")
    typer.echo(f"{len(sound.pcm(16_000)) / 32_000:.1f} s said; the assistant has the caller again")


# --- inside ----------------------------------------------------------------------------------------------------------


def _monitor(call_id: str, url: str | None, key: str | None) -> Mapping[str, str]:
    call = runtime.fetch(f"/call/{quote(call_id, safe='')}", url, key)
    if call.get("status") == "ended":
        runtime.fail(f"Call {runtime.printable(call_id)} has ended: {call.get('endedReason', '')}")
    monitor: Mapping[str, str] = call.get("monitor") or {}
    return monitor


def _control(call_id: str, message: Mapping[str, Any], url: str | None, key: str | None) -> None:
    where = _monitor(call_id, url, key).get("controlUrl")
    if where is None:
        runtime.fail("The call has no controlUrl: its assistant's monitorPlan says so.")
    from aywa.cli import address

    headers = {"Content-Type": "application/json"}
    if secret := address.key_of(key):
        headers["Authorization"] = f"Bearer {secret}"
    request = urllib.request.Request(where, json.dumps(message).encode(), headers)
    near = urlsplit(where).hostname in ("localhost", "127.0.0.1", "::1")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({} if near else None))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            typer.echo(json.load(answer)["status"])
    except urllib.error.HTTPError as error:
        with error:
            runtime.fail(f"The call answered {error.code}: {runtime.printable(_told(error))}")
    except (OSError, ValueError, KeyError) as error:
        runtime.fail(f"The call cannot be steered: {getattr(error, 'reason', error)}")


def _told(error: urllib.error.HTTPError) -> str:
    try:
        message = json.load(error)["message"]
    except (ValueError, KeyError, TypeError, OSError):
        return str(error.reason)
    return "; ".join(message) if isinstance(message, list) else str(message)


@asynccontextmanager
async def _listening(
    monitor: Mapping[str, str], key: str | None
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Raises OSError."""
    import aiohttp

    from aywa.cli import address

    where = monitor.get("listenUrl")
    if where is None:
        raise OSError("it has no listenUrl: its assistant's monitorPlan says so")
    secret = address.key_of(key)
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.ws_connect(where, max_msg_size=1 << 20) as socket,
        ):
            yield socket
    except aiohttp.ClientError as error:
        raise OSError(str(error)) from error


async def _hear(monitor: Mapping[str, str], key: str | None, heard: bytearray, seconds: float | None) -> None:
    import aiohttp

    async with _listening(monitor, key) as socket:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                heard += message.data
            if seconds is not None and len(heard) >= seconds * 64_000:
                break


async def _speak(monitor: Mapping[str, str], key: str | None, pcm: bytes, note: str) -> None:
    import asyncio

    from aywa.cli import address

    async with _listening(monitor, key) as socket:
        await socket.send_json(
            {"type": "take-over", "controlUrl": monitor.get("controlUrl"), "token": address.key_of(key) or ""}
        )
        async with asyncio.timeout(TAKEN_WITHIN_S):
            await _until(socket, "taken-over")
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for number, at in enumerate(range(0, len(pcm), 640)):
            await asyncio.sleep(max(0.0, began_s + number * 0.02 - loop.time()))
            await socket.send_bytes(pcm[at : at + 640])
        await socket.send_json({"type": "give-back", "content": note})
        async with asyncio.timeout(TAKEN_WITHIN_S):
            await _until(socket, "given-back")


async def _until(socket: aiohttp.ClientWebSocketResponse, kind: str) -> None:
    """Raises OSError."""
    import aiohttp

    async for message in socket:
        told = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else {}
        if told.get("type") == kind:
            return
        if told.get("type") in ("error", "given-back"):
            raise OSError(told.get("message") or "the call does not allow it now")
    raise OSError("the call has ended")


def _write(path: Path, stereo: bytes) -> None:
    import wave

    try:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(stereo[: len(stereo) & ~3])
    except OSError as error:
        runtime.fail(f"{path} cannot be written: {error.strerror}")

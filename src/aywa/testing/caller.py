"""A caller on a real WebSocket: places a call, plays a script frame by frame, and records what it sent and heard.

The client is written from the contract (6.1, 15.3) and shares nothing with the runtime's transport. Frames leave
every 20 ms against one absolute schedule, so that a late frame does not delay the next ones. The running loop's clock
is the only clock: on a virtual loop a call takes no time. It refuses to judge the call: aywa.testing.wire does.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from aywa.ports.media import AudioFormat
from aywa.testing.script import Script, Step
from aywa.testing.sound import decode_mulaw, encode_mulaw
from aywa.testing.wire import FRAME_S, Record, SentFrame, TextEvent

# How long the runtime has to answer a request, to close after it was asked to, and to store the call.
ANSWER_S = 15.0
CLOSE_S = 5.0
STORE_S = 10.0
_POLL_S = 0.05
_LONGEST_ANSWER = 500


class CallerError(Exception):
    """The call could not be placed. The text is one line, fit for a person."""


class NoRuntime(CallerError):
    """Nothing answers at the address."""

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(f"no runtime answers at {url} ({detail})")
        self.url = url


class Refused(CallerError):
    """The runtime answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{message} (HTTP {status})")
        self.status = status


@dataclass(frozen=True, slots=True)
class Placed:
    """A call that is over. call: its document as the runtime keeps it, empty if it could not be had.
    close_code: of the WebSocket, None when it was lost."""

    call_id: str
    record: Record
    call: Mapping[str, Any]
    close_code: int | None

    @property
    def ended_reason(self) -> str | None:
        """As the runtime published it."""
        reason = self.call.get("endedReason")
        told = (event.message.get("endedReason") for event in reversed(self.record.events))
        return reason if isinstance(reason, str) else next((r for r in told if isinstance(r, str)), None)


class ScriptedCaller:
    """Places calls to the runtime at url with an API key.

    on_step is told of each step as it begins, on_event of each text message; both must return at once.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        audio: AudioFormat = AudioFormat.PCM16,
        on_step: Callable[[Step], None] | None = None,
        on_event: Callable[[TextEvent], None] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.audio = audio
        self.rate_hz = 8000 if audio is AudioFormat.MULAW else 16000
        self._headers = {"Authorization": f"Bearer {key}"}
        self._on_step = on_step
        self._on_event = on_event
        self._hanging_up = False

    async def call(self, assistant: str | Mapping[str, Any], steps: Sequence[Step]) -> Placed:
        """Calls an assistant, by id or as a document, and plays the steps. Raises CallerError."""
        self._hanging_up = False
        script = Script(steps, self.rate_hz)
        timeout = aiohttp.ClientTimeout(total=None, connect=ANSWER_S, sock_read=None)
        async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as http:
            call_id, url = await self._place(http, assistant)
            record, close_code = await self._talk(http, url, script)
            return Placed(call_id, record, await self._stored(http, call_id), close_code)

    def hang_up(self) -> None:
        """Ends the running call at the next frame, whatever the script says."""
        self._hanging_up = True

    async def _place(
        self, http: aiohttp.ClientSession, assistant: str | Mapping[str, Any]
    ) -> tuple[str, str]:
        brain = {"assistantId": assistant} if isinstance(assistant, str) else {"assistant": dict(assistant)}
        audio = {"format": self.audio.value, "container": "raw", "sampleRate": self.rate_hz}
        body = brain | {"transport": {"provider": "vapi.websocket", "audioFormat": audio}}
        status, answer = await self._request(http, "POST", "/call", body)
        if status != 201:
            raise Refused(status, _message(answer))
        try:
            return str(answer["id"]), str(answer["transport"]["websocketCallUrl"])
        except (KeyError, TypeError) as error:
            raise Refused(
                status, "the answer to POST /call has no id or transport.websocketCallUrl"
            ) from error

    async def _request(
        self, http: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, Any]:
        try:
            async with (
                asyncio.timeout(ANSWER_S),
                http.request(method, self.url + path, json=body) as response,
            ):
                text = await response.text()
        except TimeoutError as error:
            raise NoRuntime(self.url, f"no answer within {ANSWER_S:.0f} s") from error
        except aiohttp.ClientConnectorError as error:
            raise NoRuntime(self.url, error.os_error.strerror or "it cannot be reached") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise NoRuntime(self.url, _one_line(str(error)) or type(error).__name__) from error
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    async def _talk(self, http: aiohttp.ClientSession, url: str, script: Script) -> tuple[Record, int | None]:
        try:
            socket = await http.ws_connect(
                url, max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S)
            )
        except aiohttp.ClientError as error:
            raise CallerError(
                f"the runtime gave {url.partition('?')[0]} for the call, but: {error}"
            ) from error
        opened_s = asyncio.get_running_loop().time()
        record = Record(script.rate_hz, opened_s, opened_s, spoken=script.spoken, missed=script.missed)
        speaking = asyncio.create_task(self._speak(socket, script, record), name="caller: speak")
        try:
            await self._listen(socket, script, record)
        finally:
            speaking.cancel()
            with suppress(asyncio.CancelledError, ConnectionError, aiohttp.ClientError):
                await speaking
            await socket.close()
        return record, socket.close_code

    async def _speak(self, socket: aiohttp.ClientWebSocketResponse, script: Script, record: Record) -> None:
        """Sends a frame every 20 ms until the script is over, then hangs up."""
        loop = asyncio.get_running_loop()
        start_s, step = loop.time(), None
        for number in itertools.count():
            await asyncio.sleep(max(0.0, start_s + number * FRAME_S - loop.time()))
            frame = None if self._hanging_up else script.next_frame(loop.time())
            if frame is None:
                break
            if self._on_step and script.step is not step and script.step is not None:
                self._on_step(script.step)
            step = script.step
            await self._send(socket, frame, record)
        record.closed_s = loop.time()
        if script.hang_up.by_message:
            await socket.send_str(json.dumps({"type": "end-call"}))
            await asyncio.sleep(CLOSE_S)
        await socket.close()

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, frame: SentFrame, record: Record) -> None:
        record.sent.append(frame)
        payload = encode_mulaw(frame.pcm) if self.audio is AudioFormat.MULAW else frame.pcm
        await socket.send_bytes(payload)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse, script: Script, record: Record) -> None:
        """Takes what arrives until the connection is closed, by either side."""
        loop = asyncio.get_running_loop()
        async for message in socket:
            now_s = loop.time()
            if message.type is aiohttp.WSMsgType.BINARY:
                pcm = decode_mulaw(message.data) if self.audio is AudioFormat.MULAW else message.data
                record.received.append(script.heard(now_s, pcm))
            elif message.type is aiohttp.WSMsgType.TEXT:
                event = TextEvent(now_s, _object(message.data))
                script.told(event.message)
                self._take_event(event, record)
        if record.closed_s == record.opened_s:
            record.closed_s = loop.time()

    def _take_event(self, event: TextEvent, record: Record) -> None:
        record.events.append(event)
        if self._on_event:
            self._on_event(event)

    async def _stored(self, http: aiohttp.ClientSession, call_id: str) -> Mapping[str, Any]:
        """The call's document once it says that the call has ended; its last state if that takes too long."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + STORE_S
        call: Mapping[str, Any] = {}
        with suppress(NoRuntime):
            while loop.time() < until_s and call.get("status") != "ended":
                status, answer = await self._request(http, "GET", f"/call/{call_id}")
                call = answer if status == 200 and isinstance(answer, dict) else call
                await asyncio.sleep(_POLL_S)
        return call


async def call_by_sip_id(url: str, key: str, sip_call_id: str) -> Mapping[str, Any]:
    """The runtime's document of the phone call with this Call-ID, once it has ended; empty when it cannot be had."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + STORE_S
    found: Mapping[str, Any] = {}
    with suppress(aiohttp.ClientError, ValueError, TimeoutError):
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
            while loop.time() < until_s and found.get("status") != "ended":
                async with (
                    asyncio.timeout(ANSWER_S),
                    http.get(f"{url}/call", params={"limit": "20"}) as response,
                ):
                    calls = await response.json() if response.status == 200 else []
                ours = (call for call in calls if call.get("phoneCallProviderId") == sip_call_id)
                found = next(ours, {})
                if not found:
                    break
                await asyncio.sleep(_POLL_S)
    return found


def _object(text: str) -> Mapping[str, Any]:
    """What a text frame says; the record must survive whatever it is."""
    try:
        message = json.loads(text)
    except ValueError:
        message = None
    return message if isinstance(message, dict) else {"type": "malformed", "text": text[:_LONGEST_ANSWER]}


def _message(answer: Any) -> str:
    """The text of an error body (contract 2.4), or of anything else, in one line."""
    message = answer.get("message", answer) if isinstance(answer, dict) else answer
    parts = message if isinstance(message, list) else [message]
    return _one_line("; ".join(str(part) for part in parts)) or "no explanation"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_ANSWER]

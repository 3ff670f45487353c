"""One connection of an event socket, seen from FreeSWITCH: who is at the other end, and what he wants to be told.

The formatting is its own, from FreeSWITCH's documentation (mod_event_socket: Command Documentation; Event Socket Outbound).
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from typing import Any

UNSAFE = frozenset('\r\n #%&+:;<=>?@[\\]^`{|}"')
GOODBYE = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"


class Listener:
    """One connection: who is at the other end, and what he wants to be told."""

    def __init__(
        self,
        switch: Any,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        channel: Any = None,
        flags: str = "",
    ) -> None:
        self._switch = switch
        self._reader = reader
        self.writer = writer
        self._channel = channel
        self._flags = flags.split()
        self._format = ""
        self._names: set[str] = set()
        self._filters: list[tuple[str, str]] = []
        self._mine = False
        self._linger = False
        self._over = False
        self._authed = channel is not None
        self.done = asyncio.Event()

    async def serve(self) -> None:
        """Until it ends."""
        if not self._authed:
            self._write("Content-Type: auth/request\n\n")
        try:
            while (head := await self._head()) is not None:
                fields = {
                    name.strip(): value.strip()
                    for name, _, value in (line.partition(":") for line in head[1:])
                }
                lower = {name.lower(): value for name, value in fields.items()}
                body = await self._reader.readexactly(int(lower.get("content-length", "0")))
                if not self._command(head[0], fields, body.decode()):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._switch.forget(self)
            self.writer.close()
            self.done.set()

    async def _head(self) -> list[str] | None:
        lines: list[str] = []
        while True:
            line = await self._reader.readline()
            if not line:
                return None
            text = line.decode().rstrip("\r\n")
            if text:
                lines.append(text)
            elif lines:
                return lines

    def _command(self, line: str, fields: Mapping[str, str], body: str) -> bool:
        word, _, rest = line.partition(" ")
        if not self._authed:
            return self._login(word, rest)
        if word == "connect" and self._channel is not None:
            self._connected(self._channel)
            return True
        if word == "exit":
            self._reply("+OK bye")
            self._goodbye()
            return False
        plain = {"linger", "nolinger", "myevents", "sendmsg", "getvar", "resume", "divert_events"}
        if self._channel is not None and "full" not in self._flags and word not in plain:
            self._reply("-ERR command not found")
            return True
        if word == "api":
            answer = self._switch.api(rest) or "-ERR no reply\n"
            self._write(f"Content-Type: api/response\nContent-Length: {len(answer.encode())}\n\n{answer}")
        elif word == "bgapi":
            job = fields.get("Job-UUID") or str(uuid.uuid4())
            self._write(f"Content-Type: command/reply\nReply-Text: +OK Job-UUID: {job}\nJob-UUID: {job}\n\n")
            self._switch.background(rest, job)
        else:
            self._reply(self._small(word, rest, fields, body))
        return True

    def _login(self, word: str, rest: str) -> bool:
        if word == "auth" and rest == self._switch.password:
            self._authed = True
            self._reply("+OK accepted")
            return True
        self._reply("-ERR invalid")
        self._goodbye()
        return False

    def _connected(self, channel: Any) -> None:
        mode = "async" if "async" in self._flags else "static"
        fields = {
            "Event-Name": "CHANNEL_DATA",
            "Core-UUID": self._switch.core,
            **self._switch.fields_of(channel),
            "Content-Type": "command/reply",
            "Reply-Text": "+OK\n",
            "Socket-Mode": mode,
            "Control": "full" if "full" in self._flags else "single-channel",
        }
        self._write(_lines(fields) + "\n")

    def _small(self, word: str, rest: str, fields: Mapping[str, str], body: str) -> str:
        match word:
            case "event" | "myevents":
                kind, _, names = rest.partition(" ")
                if kind in ("plain", "json"):
                    self._format = kind
                elif kind:
                    return "-ERR no keywords supplied"
                self._mine = self._mine or word == "myevents"
                self._names |= set(names.split()) if word == "event" else {"ALL"}
                return (
                    f"+OK event listener enabled {self._format}" if word == "event" else "+OK Events Enabled"
                )
            case "filter":
                return self._filter(rest)
            case "linger":
                self._linger = True
                return f"+OK will linger {rest or 0} seconds"
            case "nolinger":
                self._linger = False
                return "+OK"
            case "sendmsg":
                channel = self._channel if not rest else self._switch.channels.get(rest)
                if channel is None or channel.uuid not in self._switch.channels:
                    return f"-ERR invalid session id [{rest}]"
                self._switch.execute(channel, fields, body)
                return "+OK"
            case _:
                return "-ERR command not found"

    def _filter(self, rest: str) -> str:
        words = rest.split(" ", 2)
        if words[0] == "delete":
            self._filters = [one for one in self._filters if list(one) != words[1:3]]
            return f"+OK filter deleted. [{words[1]}]=[{words[2]}]"
        self._filters.append((words[0], words[1]))
        return f"+OK filter added. [{words[0]}]=[{words[1]}]"

    def told(self, fields: Mapping[str, str], body: str) -> None:
        """An event was fired."""
        if not self._format or not self._wants(fields):
            return
        if self._format == "json":
            text = json.dumps(
                {**fields, **({"Content-Length": str(len(body.encode())), "_body": body} if body else {})}
            )
        elif body:
            text = _lines(fields) + f"Content-Length: {len(body.encode())}\n\n{body}"
        else:
            text = _lines(fields) + "\n"
        self._write(
            f"Content-Length: {len(text.encode())}\nContent-Type: text/event-{self._format}\n\n{text}"
        )

    def _wants(self, fields: Mapping[str, str]) -> bool:
        named = fields["Event-Subclass"] if fields["Event-Name"] == "CUSTOM" else fields["Event-Name"]
        if self._mine:
            return self._channel is not None and fields.get("Unique-ID") == self._channel.uuid
        if named not in self._names and "ALL" not in self._names:
            return False
        return not self._filters or any(fields.get(name) == value for name, value in self._filters)

    def channel_is_over(self, channel: Any) -> None:
        """Of a call's own connection: it ends with the channel, or lingers."""
        if channel is not self._channel or self._over:
            return
        self._over = True
        disposition = "linger" if self._linger else "disconnect"
        self._write(
            "Content-Type: text/disconnect-notice\n"
            f"Controlled-Session-UUID: {channel.uuid}\nContent-Disposition: {disposition}\n"
            f"Content-Length: {len(GOODBYE)}\n\n{GOODBYE}"
        )
        if not self._linger:
            self.writer.close()

    def _goodbye(self) -> None:
        self._write(f"Content-Type: text/disconnect-notice\nContent-Length: {len(GOODBYE)}\n\n{GOODBYE}")

    def _reply(self, text: str) -> None:
        self._write(f"Content-Type: command/reply\nReply-Text: {text}\n\n")

    def _write(self, text: str) -> None:
        if not self.writer.is_closing():
            self.writer.write(text.encode())


def encoded(value: str) -> str:
    """As a plain event has it."""
    return "".join(
        "".join(f"%{byte:02X}" for byte in letter.encode())
        if letter in UNSAFE or ord(letter) > 126
        else letter
        for letter in value
    )


def _lines(fields: Mapping[str, str]) -> str:
    return "".join(f"{name}: {encoded(value)}\n" for name, value in fields.items())

"""A FreeSWITCH, as far as its event socket shows: it listens, keeps channels, tells events, is asked to call, comes with calls.

Written from FreeSWITCH's documentation (mod_event_socket, Event Socket Outbound, Event List, mod_commands), with a formatting of
its own: it shares nothing with the runtime's side, so that one can show the other wrong. There is no audio: what a module of
audio is told is remembered, and given to who wants to play its part. It refuses to be more tolerant than FreeSWITCH is.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

from aywa.testing.freeswitch_socket import Listener

FORK_STREAMS = (
    "<uuid> [start | stop | send_text | pause | resume | graceful-shutdown | stop_play ] [wss-url | path] [mono | mixed | stereo]"
    " [8000 | 16000 | 24000 | 32000 | 64000] [bugname] [metadata] [bidrectionalAduo_enabled] [bidrectionalAduo_stream_enabled]"
    " [bidrectionalAduo_stream_samplerate]"
)
FORK_FILES = (
    "<uuid> [start | stop | send_text | pause | resume | graceful-shutdown ] [wss-url | path] [mono | mixed | stereo]"
    " [8000 | 16000 | 24000 | 32000 | 64000] [bugname] [metadata]"
)
STREAM = "<uuid> [start | stop | send_text | pause | resume | graceful-shutdown ] [wss-url | path] [mono | mixed | stereo] [8000]"
CAUSES = {
    "NORMAL_CLEARING": 16,
    "USER_BUSY": 17,
    "NO_ANSWER": 19,
    "CALL_REJECTED": 21,
    "UNALLOCATED_NUMBER": 1,
}


@dataclass(slots=True, eq=False)
class FakeChannel:
    """One channel. answer: ringing, early or answered. ran: applications and API commands that it was given. settled: somebody
    has picked up, or hung up."""

    uuid: str
    variables: dict[str, str]
    number: str = ""
    caller: str = ""
    caller_name: str = ""
    inbound: bool = True
    answer: str = "ringing"
    other: str = ""
    cause: str = ""
    ran: list[tuple[str, str]] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class FakeFreeSwitch:
    """usages: of the modules of audio that are loaded, by their API command. dialled(channel, dial string): what becomes of a
    call that is placed, a cause of hanging up, `answer`, or `ring` for nothing yet. audio(channel, command, arguments): a module
    was told something about a channel."""

    def __init__(
        self,
        password: str = "ClueCon",
        usages: Mapping[str, str] | None = None,
        dialled: Callable[[FakeChannel, str], str] = lambda channel, dial: "answer",
        audio: Callable[[FakeChannel, str, list[str]], None] = lambda channel, command, arguments: None,
    ) -> None:
        self.password = password
        self.usages = {"uuid_audio_fork": FORK_STREAMS} if usages is None else dict(usages)
        self.dialled = dialled
        self.audio = audio
        self.core = ""
        self.channels: dict[str, FakeChannel] = {}
        self.commands: list[str] = []
        self.port = 0
        self._sequence = count(1)
        self._listeners: list[Listener] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        """Begins to listen, with no channels."""
        self.core = str(uuid.uuid4())
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def close(self) -> None:
        """Goes, and all of its channels with it, without a word."""
        if self._server is not None:
            self._server.close()
        await self.cut()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.channels.clear()

    async def cut(self) -> None:
        """Every connection breaks; the channels stay."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.writer.transport.abort()
        await asyncio.gather(*(listener.done.wait() for listener in listeners))

    # --- what happens on the telephone network --------------------------------------------------------------------------

    async def call(
        self,
        address: tuple[str, int],
        number: str,
        caller: str = "",
        variables: Mapping[str, str] | None = None,
        flags: str = "async full",
    ) -> FakeChannel:
        """Somebody calls, and the dialplan's `socket` goes to the address. Raises OSError."""
        channel = FakeChannel(str(uuid.uuid4()), dict(variables or {}), number, caller)
        self.channels[channel.uuid] = channel
        reader, writer = await asyncio.open_connection(*address)
        listener = Listener(self, reader, writer, channel, flags)
        self._listeners.append(listener)
        self._run(listener.serve())
        return channel

    def picks_up(self, channel: FakeChannel) -> None:
        """Somebody who was called answers."""
        if channel.answer != "answered" and channel.uuid in self.channels:
            channel.answer = "answered"
            self.tell("CHANNEL_ANSWER", channel)
            channel.settled.set()

    def rings(self, channel: FakeChannel, *, early: bool = False) -> None:
        """The far side says that it rings."""
        channel.answer = "early" if early else "ringing"
        self.tell("CHANNEL_PROGRESS_MEDIA" if early else "CHANNEL_PROGRESS", channel)

    def presses(self, channel: FakeChannel, digit: str) -> None:
        """The far side presses a key."""
        self.tell("DTMF", channel, {"DTMF-Digit": digit, "DTMF-Duration": "2000", "DTMF-Source": "RTP"})

    def hangs_up(
        self, channel: FakeChannel, cause: str = "NORMAL_CLEARING", status: int = 0, by: str = "recv_bye"
    ) -> None:
        """The channel ends."""
        if self.channels.pop(channel.uuid, None) is None:
            return
        channel.cause = cause
        channel.variables |= {"hangup_cause": cause, "sip_hangup_disposition": by}
        if status:
            channel.variables["sip_term_status"] = str(status)
        self.tell("CHANNEL_HANGUP", channel, {"Hangup-Cause": cause})
        self.tell("CHANNEL_HANGUP_COMPLETE", channel, {"Hangup-Cause": cause})
        self.tell("CHANNEL_DESTROY", channel, {"Hangup-Cause": cause})
        for listener in list(self._listeners):
            listener.channel_is_over(channel)
        other = self.channels.get(channel.other)
        if other is not None and other.variables.get("hangup_after_bridge") == "true":
            self.hangs_up(other, by="send_bye")
        channel.over.set()
        channel.settled.set()

    def tells(self, channel: FakeChannel, subclass: str, body: str) -> None:
        """A module raises an event."""
        self.tell("CUSTOM", channel, {"Event-Subclass": subclass}, body)

    # --- events -----------------------------------------------------------------------------------------------------------

    def tell(
        self,
        name: str,
        channel: FakeChannel | None = None,
        more: Mapping[str, str] | None = None,
        body: str = "",
    ) -> None:
        """Fires one at all who want it."""
        fields = {"Event-Name": name, "Core-UUID": self.core, "FreeSWITCH-Hostname": "fake"}
        fields |= {"Event-Date-Timestamp": "1700000000000000", "Event-Sequence": str(next(self._sequence))}
        if channel is not None:
            fields |= self.fields_of(channel)
        fields |= dict(more or {})
        for listener in list(self._listeners):
            listener.told(fields, body)

    def fields_of(self, channel: FakeChannel) -> dict[str, str]:
        """What every event of a channel has."""
        return {
            "Channel-State": "CS_EXECUTE",
            "Channel-Call-State": "ACTIVE" if channel.answer == "answered" else "RINGING",
            "Channel-Name": f"sofia/external/{channel.number}",
            "Unique-ID": channel.uuid,
            "Call-Direction": "inbound" if channel.inbound else "outbound",
            "Answer-State": channel.answer,
            "Caller-Caller-ID-Name": channel.caller_name,
            "Caller-Caller-ID-Number": channel.caller,
            "Caller-Destination-Number": channel.number,
            **({"Other-Leg-Unique-ID": channel.other} if channel.other else {}),
            **{f"variable_{name}": value for name, value in channel.variables.items()},
        }

    # --- commands ---------------------------------------------------------------------------------------------------------

    def api(self, line: str) -> str:
        """One API command's answer."""
        self.commands.append(line)
        command, _, argument = line.partition(" ")
        words = argument.split(" ")
        if command in self.usages:
            return self._module(command, words)
        match command:
            case "uptime":
                return "17"
            case "show":
                return self._show(argument)
            case "originate":
                return "-ERR originate blocks: use bgapi\n"
            case _ if command.startswith("uuid_"):
                channel = self.channels.get(words[0])
                if command == "uuid_exists":
                    return "false" if channel is None else "true"
                return (
                    "-ERR No such channel!\n"
                    if channel is None
                    else self._on_channel(channel, command, words[1:])
                )
            case _:
                return f"-ERR {command} Command not found!\n"

    def _on_channel(self, channel: FakeChannel, command: str, words: list[str]) -> str:
        argument = " ".join(words)
        channel.ran.append((command, argument))
        match command:
            case "uuid_dump" if words == ["json"]:
                return json.dumps(
                    {"Event-Name": "CHANNEL_DATA", "Core-UUID": self.core, **self.fields_of(channel)}
                )
            case "uuid_kill":
                self.hangs_up(channel, words[0] if argument else "NORMAL_CLEARING", by="send_bye")
            case "uuid_getvar":
                return channel.variables.get(words[0], "_undef_")
            case "uuid_setvar":
                name, _, value = argument.partition(" ")
                self._set(channel, name, value)
            case "uuid_setvar_multi":
                for part in argument.split(";"):
                    self._set(channel, *part.split("=", 1))
            case "uuid_bridge":
                other = self.channels.get(words[0])
                if other is None:
                    return "-ERR Invalid uuid\n"
                self._bridge(channel, other)
            case "uuid_transfer" | "uuid_broadcast" | "uuid_break" | "uuid_send_dtmf":
                pass
            case _:
                return f"-ERR {command} Command not found!\n"
        return "+OK\n"

    def _set(self, channel: FakeChannel, name: str, value: str = "") -> None:
        if value:
            channel.variables[name] = value
        else:
            channel.variables.pop(name, None)

    def _bridge(self, one: FakeChannel, other: FakeChannel) -> None:
        one.other, other.other = other.uuid, one.uuid
        sides = {"Bridge-A-Unique-ID": one.uuid, "Bridge-B-Unique-ID": other.uuid}
        for channel in (one, other):
            self.tell("CHANNEL_BRIDGE", channel, sides)

    def _module(self, command: str, words: list[str]) -> str:
        if len(words) < 2:
            # Without any argument the real one ends FreeSWITCH.
            assert words != [""], "the module's assertion: there must be an argument"
            return f"-USAGE: {self.usages[command]}\n"
        channel = self.channels.get(words[0])
        if channel is None:
            return "-ERR Operation Failed\n"
        channel.ran.append((command, " ".join(words[1:])))
        self.audio(channel, command, words[1:])
        return "+OK Success\n"

    def _show(self, argument: str) -> str:
        like = argument.removeprefix("channels like ").removesuffix(" as json")
        rows = [
            {"uuid": channel.uuid, "presence_data": channel.variables.get("presence_data", "")}
            for channel in self.channels.values()
            if like in channel.uuid or like in channel.variables.get("presence_data", "")
        ]
        # Without any, FreeSWITCH leaves the rows out.
        return json.dumps({"row_count": len(rows), **({"rows": rows} if rows else {})})

    def background(self, line: str, job: str) -> None:
        """Does a command, and fires its outcome."""
        command, _, argument = line.partition(" ")
        if command != "originate":
            self._job_done(job, command, self.api(line))
            return
        self.commands.append(line)
        self._run(self._originate(argument, job))

    async def _originate(self, argument: str, job: str) -> None:
        listed, _, rest = argument.removeprefix("{").partition("}")
        dial = rest.partition(" ")[0]
        values = dict(part.split("=", 1) for part in listed.split(",")) if argument.startswith("{") else {}
        values = {name: value.strip("'") for name, value in values.items()}
        channel = FakeChannel(
            values.get("origination_uuid") or str(uuid.uuid4()),
            values,
            dial.rpartition("/")[2],
            values.get("origination_caller_id_number", ""),
            values.get("origination_caller_id_name", ""),
            inbound=False,
        )
        self.channels[channel.uuid] = channel
        what = self.dialled(channel, dial)
        if what == "answer":
            self.rings(channel)
            self.picks_up(channel)
        elif what != "ring":
            self.hangs_up(channel, what, 486 if what in CAUSES else 0, by="recv_refuse")
        await channel.settled.wait()
        self._job_done(
            job, "originate", f"-ERR {channel.cause}\n" if channel.cause else f"+OK {channel.uuid}\n"
        )

    def _job_done(self, job: str, command: str, text: str) -> None:
        self.tell("BACKGROUND_JOB", None, {"Job-UUID": job, "Job-Command": command}, text)

    def execute(self, channel: FakeChannel, fields: Mapping[str, str], body: str) -> None:
        """A message for a channel."""
        if fields.get("call-command") == "hangup":
            self.hangs_up(channel, fields.get("hangup-cause", "NORMAL_CLEARING"), by="send_refuse")
            return
        application, argument = fields.get("execute-app-name", ""), fields.get("execute-app-arg", body)
        channel.ran.append((application, argument))
        token = fields.get("Event-UUID", "") or str(uuid.uuid4())
        done = {"Application": application, "Application-Data": argument, "Application-UUID": token}
        self.tell("CHANNEL_EXECUTE", channel, done)
        if application == "answer":
            self.picks_up(channel)
        if application == "set":
            self._set(channel, *argument.split("=", 1))
        self.tell("CHANNEL_EXECUTE_COMPLETE", channel, {**done, "Application-Response": "_none_"})

    # --- inside -------------------------------------------------------------------------------------------------------------

    def _run(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener = Listener(self, reader, writer)
        self._listeners.append(listener)
        await listener.serve()

    def forget(self, listener: Listener) -> None:
        """Its connection is gone."""
        if listener in self._listeners:
            self._listeners.remove(listener)

"""What FreeSWITCH's events cost: a FreeSWITCH of the benchmark sends RATE events a second over TCP on loopback, the client of the
runtime signs in, takes them, and follows the channels by them.

Two processes, each on a core of its own. Events are those of a busy switch: CHANNEL_* of 60 to 100 fields with values as they are
(URL-encoded in the plain form), DTMF, CUSTOM with a body, HEARTBEAT; about 4 kB each, in the proportions of a call. They are made
before the measurement begins, and sent in bursts of 5 ms, as they fall due.

For `plain` and `json`: events: how many a second came. cpu_percent: of a core, by the kernel's count, user and system, from
SETTLE_S after the first until the last; us_an_event: the same by event. followed: of the channels, by whose news are right:
ringing, answered, one key, hung up. lost: events that were sent and not told.

Prints {"plain": {...}, "json": {...}, "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from typing import Any
from urllib.parse import quote

import uvloop

from bench.processes import answer, cpu_s, program

HOST = "127.0.0.1"
RATE = 10_000
SECONDS = 20
SETTLE_S = 2.0
BURST_S = 0.005
FIELDS = 70
NAMES = (
    "CHANNEL_CREATE", "CHANNEL_PROGRESS", "CHANNEL_EXECUTE", "CHANNEL_EXECUTE_COMPLETE", "CHANNEL_ANSWER", "DTMF",
    "CHANNEL_CALLSTATE", "CUSTOM", "CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE",
)  # fmt: skip


# --- a FreeSWITCH -----------------------------------------------------------------------------------------------------


def events(kind: str, channels: int) -> list[bytes]:
    """Those of so many calls, one after the other."""
    found = []
    sequence = 0
    for number in range(channels):
        uuid = f"{number:08x}-1111-4222-8333-444444444444"
        for name in NAMES:
            sequence += 1
            found.append(event(kind, name, uuid, sequence))
    return found


def event(kind: str, name: str, uuid: str, sequence: int) -> bytes:
    """One, as the switch sends it."""
    fields = {
        "Event-Name": name,
        "Core-UUID": "5f3c2f5e-0000-4000-8000-000000000000",
        "FreeSWITCH-IPv4": "10.0.0.5",
        "Event-Date-GMT": "Mon, 23 Nov 2026 08:00:00 GMT",
        "Event-Date-Timestamp": "1795420800000000",
        "Event-Sequence": str(sequence),
        "Unique-ID": uuid,
        "Channel-State": "CS_EXECUTE",
        "Answer-State": "answered",
        "Caller-Caller-ID-Number": "+493012345678",
        "Channel-Name": "sofia/external/+493012345678@203.0.113.7",
    }
    for number in range(FIELDS):
        fields[f"variable_sip_name_of_it_{number}"] = (
            f"<sip:user{number}@host.example.com:5060;transport=udp>"
        )
    if name == "DTMF":
        fields |= {"DTMF-Digit": "5", "DTMF-Duration": "2000"}
    if name.startswith("CHANNEL_HANGUP"):
        fields["Hangup-Cause"] = "NORMAL_CLEARING"
    body = ""
    if name == "CUSTOM":
        fields["Event-Subclass"] = "mod_audio_fork::json"
        body = json.dumps({"type": "x" * 200})
    if kind == "json":
        text = json.dumps(fields | ({"_body": body} if body else {}))
    else:
        lines = "".join(f"{key}: {quote(value, safe='/+')}\n" for key, value in fields.items())
        text = lines + (f"Content-Length: {len(body)}\n\n{body}" if body else "\n")
    return f"Content-Length: {len(text)}\nContent-Type: text/event-{kind}\n\n{text}".encode()


async def send(kind: str, rate: int, seconds: int) -> None:
    """Listens, and sends when a client has signed in; says when it is done."""
    made = events(kind, rate * seconds // len(NAMES))
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Content-Type: auth/request\n\n")
        for _ in range(4):
            # auth, event, and two filters
            await reader.readuntil(b"\n\n")
            writer.write(b"Content-Type: command/reply\nReply-Text: +OK\n\n")
        begun, sent = time.monotonic() + 0.2, 0
        while sent < len(made):
            await asyncio.sleep(BURST_S)
            due = min(len(made), int((time.monotonic() - begun) * rate))
            if due > sent:
                writer.write(b"".join(made[sent:due]))
                sent = due
                await writer.drain()
        await asyncio.sleep(1.0)
        writer.close()
        done.set()

    server = await asyncio.start_server(serve, HOST, 0)
    answer({"port": server.sockets[0].getsockname()[1], "events": len(made)})
    await done.wait()
    answer({"sent": len(made)})
    server.close()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


# --- the runtime's side -------------------------------------------------------------------------------------------------


async def take(port: int) -> None:
    """The client, and the channels as boot/freeswitch.py follows them; says what came of it when it is asked."""
    from aywa.adapters.transports.freeswitch.client import FreeSwitchClient
    from aywa.adapters.transports.freeswitch.settings import ClientSettings
    from aywa.core.esl.audio import audio_news
    from aywa.core.esl.channel import Channel, HungUp
    from aywa.core.esl.event import Event

    channels: dict[str, Channel] = {}
    told: dict[str, int] = {}
    count = {"events": 0, "followed": 0}

    def happened(event: Event) -> None:
        count["events"] += 1
        uuid = event.uuid
        channel = channels.get(uuid)
        if channel is None:
            channel = channels[uuid] = Channel(uuid)
        if event.name == "CUSTOM":
            audio_news(event)
            return
        for news in channel.handle(event):
            told[uuid] = told.get(uuid, 0) + 1
            if isinstance(news, HungUp):
                # Rang, executed, answered, a key, and this.
                count["followed"] += told.pop(uuid) == 5

    settings = ClientSettings(HOST, port, "ClueCon")
    client = FreeSwitchClient(settings, happened, lambda: None, lambda why, refused: None)
    client.start()
    answer({"ready": True})
    while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        answer({**count, "channels": len(channels)})
    await client.close()


# --- the measurement ------------------------------------------------------------------------------------------------------


async def measure(kind: str, options: argparse.Namespace) -> dict[str, float]:
    """One form of events."""
    first, last = options.cores[0], options.cores[-1]
    sizes = ("--rate", str(options.rate), "--seconds", str(options.seconds))
    async with program(__file__, "--send", kind, *sizes, core=first) as switch:
        port = str(switch.said["port"])
        async with program(__file__, "--take", port, core=last, profile=options.profile) as runtime:
            await asyncio.sleep(SETTLE_S)
            begun, cpu, before = time.monotonic(), cpu_s(runtime.pid), await runtime.ask()
            await asyncio.sleep(options.seconds - SETTLE_S - 1)
            after, cpu = await runtime.ask(), cpu_s(runtime.pid) - cpu
            taken_s = time.monotonic() - begun
            await asyncio.sleep(3.0)
            end = await runtime.ask()
    came = after["events"] - before["events"]
    return {
        "events": round(came / taken_s),
        "cpu_percent": round(100 * cpu / taken_s, 1),
        "us_an_event": round(1e6 * cpu / came, 1),
        "followed": round(end["followed"] / end["channels"], 4),
        "lost": switch.said["events"] - end["events"],
    }


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Both forms."""
    figures: dict[str, Any] = {"samples": {}}
    for kind in ("plain", "json"):
        row = await measure(kind, options)
        figures[kind] = row
        figures["samples"].update({f"{kind}.{name}": options.rate * options.seconds for name in row})
        sys.stderr.write(f"{kind}: {row}\n")
    return figures


def main() -> None:
    """The benchmark, or one of its processes."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--rate", type=int, default=RATE, help="events a second")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--profile", default="", help="where the runtime's profile is to be written")
    for name in ("core", "send", "take"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.cores = sorted(os.sched_getaffinity(0)) if options.core is None else [int(options.core)]
    os.sched_setaffinity(0, options.cores[:1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.send:
            runner.run(send(options.send, options.rate, options.seconds))
        elif options.take:
            runner.run(take(int(options.take)))
        else:
            sys.stdout.write(json.dumps(runner.run(run(options))) + "\n")


if __name__ == "__main__":
    main()
